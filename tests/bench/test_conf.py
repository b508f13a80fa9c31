# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file with 37,000 real servers: read, checked and rendered; a table, build/bench/conf.json.

Each round is a process of its own, so that the peak of its memory is that of one file. keepalived -t reads
the same file in the same run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import pytest

CHECKOUT = Path(__file__).parents[2]
LIBRARY = CHECKOUT / "plugins/module_utils"
SERVERS = 37_000
POOL = 37
ROUNDS = 5
#: what is timed -> the most seconds it may take
TO_REACH = {"read": 2.0}

STEPS = f"""\
import json, resource, sys, time
sys.path.insert(0, {str(LIBRARY)!r})
from _lvs_agent.conf.read import file_problems, read_file
from _lvs_agent.conf.render import render
said = {{}}
def note(name, begin):
    said[name] = time.perf_counter() - begin
    said[name + ", MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
note("start", time.perf_counter())
begin = time.perf_counter()
parsed = read_file(sys.argv[1])
note("read", begin)
begin = time.perf_counter()
problems = file_problems(parsed)
note("check", begin)
begin = time.perf_counter()
text = render(parsed.configuration)
note("render", begin)
assert not problems, problems[0]
assert sum(line.lstrip().startswith("real_server ") for line in text.splitlines()) == {SERVERS}
print(json.dumps(said))
"""


def configuration() -> str:
    """Pools of 37 servers, each with a check; their VIPs on instances of 20, as many as an advert can hold."""
    vips = [f"10.{number // 250}.0.{number % 250 + 1}" for number in range(SERVERS // POOL)]
    parts = ["global_defs {\n    router_id lvs01\n}\n"]
    for number in range(0, len(vips), 20):
        listed = "".join(f"        {vip}\n" for vip in vips[number : number + 20])
        parts.append(
            f"vrrp_instance VI_{number} {{\n    interface ens33\n    virtual_router_id {number // 20 + 1}\n"
            f"    priority 100\n    virtual_ipaddress {{\n{listed}    }}\n}}\n"
        )
    for number, vip in enumerate(vips):
        parts.append(
            f"virtual_server {vip} 80 {{\n    delay_loop 6\n    lb_algo wlc\n    lb_kind DR\n    protocol TCP\n"
        )
        for server in range(POOL):
            parts.append(
                f"    real_server 172.{16 + number // 250}.{number % 250}.{server + 1} 80 {{\n        weight 1\n"
                "        TCP_CHECK {\n            connect_timeout 3\n            retry 3\n"
                "            delay_before_retry 3\n        }\n    }\n"
            )
        parts.append("}\n")
    return "".join(parts)


def keepalived(path: Path) -> float:
    """Seconds of keepalived -t, which must be content; in a network namespace that has the interface."""
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    script = 'ip link add ens33 type veth peer name ens34; date +%s.%N; keepalived -t -f "$0" >&2; date +%s.%N'
    said = subprocess.run(
        ["unshare", "--net", *as_root, "sh", "-euc", script, str(path)],
        env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    begin, end = said.stdout.split()
    return float(end) - float(begin)


def program(path: Path) -> float:
    """Seconds of the whole lvs-agent check."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "_lvs_agent.cli", "check", "--strict", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
    return time.perf_counter() - begin


def test_thirty_seven_thousand_real_servers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "keepalived.conf"
    path.write_text(configuration())
    rounds: list[dict[str, float]] = []
    for _round in range(ROUNDS):
        command = [sys.executable, "-c", STEPS, str(path)]
        said = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert said.returncode == 0, said.stderr
        taken: dict[str, float] = json.loads(said.stdout)
        rounds.append({**taken, "program": program(path), "keepalived": keepalived(path)})
    figures = {name: median(one[name] for one in rounds) for name in rounds[0]}
    directory = CHECKOUT / "build/bench"
    directory.mkdir(parents=True, exist_ok=True)
    document = {"servers": SERVERS, "bytes": path.stat().st_size, "rounds": rounds, "median": figures}
    (directory / "conf.json").write_text(json.dumps(document, indent=1))
    with capsys.disabled():
        print("\n" + "\n".join(table(figures, path.stat().st_size)))
    assert {name: figures[name] for name, limit in TO_REACH.items() if figures[name] > limit} == {}


def table(figures: dict[str, float], size: int) -> list[str]:
    """Seconds, medians, and the highest memory so far."""
    lines = [f"{SERVERS:,} real servers, {size / 1e6:.1f} MB{'time':>14}{'peak memory':>16}"]
    for name, title in (("read", "read"), ("check", "check"), ("render", "render again")):
        lines.append(f"{title:<34}{figures[name]:8.2f} s{figures[f'{name}, MiB']:12.0f} MiB")
    lines.append(f"{'lvs-agent check, the program':<34}{figures['program']:8.2f} s")
    lines.append(f"{'keepalived -t':<34}{figures['keepalived']:8.2f} s")
    return lines
