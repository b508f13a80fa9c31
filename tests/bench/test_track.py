# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tracking costs: 500 scripts a second beside keepalived, and looking for processes; build/bench/track.json."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_loop import run_until

from _lvs_agent.spawn import Command, Spawner
from _lvs_agent.track.processes import TrackProcesses
from _lvs_agent.track.quorum import ProcessPlan
from _lvs_agent.track.scripts import ScriptPlan, TrackScripts

pytestmark = pytest.mark.root

RESULT = Path(__file__).parents[2] / "build/bench/track.json"
SCRIPTS = 500
SECONDS = 10
SECOND = 1_000_000_000
TICK = os.sysconf("SC_CLK_TCK")


def told(name: str, found: dict[str, float], capsys: pytest.CaptureFixture[str]) -> None:
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    table = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    RESULT.write_text(json.dumps({**table, name: found}, indent=1))
    with capsys.disabled():
        print(f"\n{name:<32}" + "   ".join(f"{what} {value:.2f}" for what, value in found.items()))


def cpu() -> tuple[float, float]:
    """Seconds of this process, and of those it has waited for."""
    ours, theirs = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return ours.ru_utime + ours.ru_stime, theirs.ru_utime + theirs.ru_stime


def test_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    spawner = Spawner()
    scripts = TrackScripts(spawner, lambda _result, _why: None)
    true = Command(("/bin/true",), "/bin/true", 65534, 65534)
    begun, before = time.monotonic(), cpu()
    plans = [ScriptPlan(f"s{number}", true, SECOND, SECOND) for number in range(SCRIPTS)]
    scripts.configure(plans, time.monotonic_ns())
    longest = run_until([spawner, scripts], lambda: time.monotonic() - begun > SECONDS, SECONDS + 5)
    after = cpu()
    left_out = sum(one.overruns for one in scripts.status())
    spawner.close()
    found = {
        "loop, % of a core": (after[0] - before[0]) / SECONDS * 100,
        "scripts, % of a core": (after[1] - before[1]) / SECONDS * 100,
        "longest turn, ms": longest * 1000,
        "runs left out, %": left_out / SCRIPTS / SECONDS * 100,
    }
    told(f"{SCRIPTS} scripts each second", found, capsys)
    assert found["loop, % of a core"] < 25


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"lvs-{uuid.uuid4().hex[:8]}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    words = ["link", "add", "v0", "type", "veth", "peer", "name", "v1"]
    for line in (words, ["link", "set", "v0", "up"], ["address", "add", "192.0.2.1/24", "dev", "v0"]):
        subprocess.run(["ip", "-n", name, *line], check=True)
    yield name
    subprocess.run(["ip", "netns", "delete", name], check=True)


def test_scripts_of_keepalived(namespace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"s{number}" for number in range(SCRIPTS)]
    blocks = [f'vrrp_script {name} {{\n script "/bin/true"\n interval 1\n}}' for name in names]
    tracked = "\n".join(names)
    (tmp_path / "keepalived.conf").write_text(
        "global_defs {\n script_user nobody\n}\n" + "\n".join(blocks) + "\nvrrp_instance V {\n interface v0\n"
        "virtual_router_id 1\n virtual_ipaddress {\n192.0.2.9/24\n}\n track_script {\n" + tracked + "\n}\n}\n"
    )
    arguments = ["keepalived", "-n", "-l", "-P", "-f", str(tmp_path / "keepalived.conf")]
    arguments += ["-p", str(tmp_path / "pid"), "-r", str(tmp_path / "vrrp.pid")]
    with open(tmp_path / "messages", "w", encoding="utf-8") as messages:
        daemon = subprocess.Popen(["ip", "netns", "exec", namespace, *arguments], stdout=messages, stderr=messages)
    try:
        run_until([], (tmp_path / "vrrp.pid").exists)
        time.sleep(1)
        stat = Path(f"/proc/{(tmp_path / 'vrrp.pid').read_text().strip()}/stat")
        before = [int(one) for one in stat.read_text().rpartition(")")[2].split()[11:15]]
        skipped = (tmp_path / "messages").read_text().count("skipping run")
        time.sleep(SECONDS)
        after = [int(one) for one in stat.read_text().rpartition(")")[2].split()[11:15]]
        skipped = (tmp_path / "messages").read_text().count("skipping run") - skipped
    finally:
        daemon.terminate()
        daemon.wait()
    used = [(late - early) / TICK / SECONDS * 100 for early, late in zip(before, after)]
    found = {
        "loop, % of a core": used[0] + used[1],
        "scripts, % of a core": used[2] + used[3],
        "runs left out, %": skipped / SCRIPTS / SECONDS * 100,
    }
    told("the same, keepalived", found, capsys)


@pytest.mark.parametrize("others", [0, 2000])
def test_looking_for_processes(others: int, capsys: pytest.CaptureFixture[str]) -> None:
    sleepers = [subprocess.Popen(["/bin/sleep", "1000"]) for _each in range(others)]
    processes = TrackProcesses(lambda _result, _why: None)
    try:
        begun = time.monotonic()
        plan = ProcessPlan("p", ("haproxy", "-f"), param_match="partial")
        processes.configure([plan], time.monotonic_ns())
        first = time.monotonic() - begun
        # the first looks read all of them
        run_until([processes], lambda: time.monotonic() - begun > 4)
        before = cpu()[0]
        longest = run_until([processes], lambda: time.monotonic() - begun > 4 + SECONDS, SECONDS + 5)
        found = {
            "first look, ms": first * 1000,
            "% of a core": (cpu()[0] - before) / SECONDS * 100,
            "longest turn, ms": longest * 1000,
        }
        told(f"{len(os.listdir('/proc'))} entries in /proc", found, capsys)
        assert found["% of a core"] < 10
    finally:
        processes.close()
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()
