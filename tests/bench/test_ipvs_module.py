# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""1,000 real servers in one task of ipvs_service against a task each: a table, and build/bench/ipvs_module.json.

ansible-playbook runs in a guest, with a local connection and pipelining. A user-mode kernel makes processes and system
calls several times slower than a host: the ratios are the figures, not the seconds. They are those of the quickest
rounds, since whatever else the machine does only adds. Of the tasks with one server each LOOP are measured, and the
thousand is worked out from them.
"""

from __future__ import annotations

import json
import re
import sys
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import uml_guest

pytestmark = pytest.mark.root

MANY = 1000
ROUNDS = 7
LOOP = 20
#: an unchanged task with MANY servers, by the time of one with a single server
TO_REACH = 1.2

ADD, SAME, ONE, EACH = "add 1,000 in one task", "1,000, unchanged", "1 server, unchanged", "a task for each server"
GUEST = """\
unset PYTHONPATH
export HOME=/mnt ANSIBLE_REMOTE_TEMP=/mnt/remote ANSIBLE_COLLECTIONS_PATH={collections} ANSIBLE_PIPELINING=1
export ANSIBLE_LOG_PATH=/mnt/log
mkdir -p /dev/shm; mount -t tmpfs tmpfs /dev/shm
part playbook {playbook} -i localhost, -c local -e ansible_python_interpreter={python} {play}
part -Sn ipvsadm -Sn
part log cat /mnt/log
"""
SERVICE = {"address": "192.0.2.1", "port": 80, "scheduler": "rr"}


def address(number: int) -> str:
    return f"10.1.{number >> 8}.{number & 255}"


def task(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "linuxha.lvs.ipvs_service": arguments}


def play() -> list[dict[str, Any]]:
    """The sides by turns."""
    many = {**SERVICE, "real_servers": [{"address": address(number), "forward": "masq"} for number in range(MANY)]}
    single = {**SERVICE, "port": 81, "real_servers": [{"address": address(0), "forward": "masq"}]}
    tasks = [task("one", **single)]
    for _round in range(ROUNDS):
        tasks += [task("none", **SERVICE, state="absent"), task(ADD, **many), task(ONE, **single), task(SAME, **many)]
    each = {"service": {"address": "192.0.2.1", "port": 81}, "address": "{{ item }}", "forward": "masq"}
    loop = [address(number) for number in range(1, LOOP + 1)]
    tasks.append({"name": EACH, "linuxha.lvs.ipvs_real_server": each, "loop": loop})
    return [{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]


def durations(log: str) -> dict[str, list[float]]:
    """Seconds of each task, from its headline to the next one, by its name; of a loop, those of each item."""
    pattern = r"^([-\d]+ [:\d]+,\d+) .*\| (?:TASK \[(.*)\] \*+|PLAY RECAP \*+|changed: .* => \(item=.*)$"
    found = re.findall(pattern, log, re.MULTILINE)
    stamps = [(datetime.strptime(at, "%Y-%m-%d %H:%M:%S,%f").replace(tzinfo=timezone.utc), name) for at, name in found]
    taken: dict[str, list[float]] = {}
    current = ""
    for (start, name), (end, _next) in pairwise(stamps):
        current = name or current
        taken.setdefault(current, []).append((end - start).total_seconds())
    return taken


def test_a_thousand_servers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    playbook, guest = tmp_path / "play.yml", tmp_path / "guest"
    playbook.write_text(json.dumps(play()))
    guest.mkdir()
    script = GUEST.format(
        collections=uml_guest.CHECKOUT / "build/collections",
        playbook=Path(sys.executable).with_name("ansible-playbook"),
        python=uml_guest.DEBIAN_PYTHON,
        play=playbook,
    )
    said = uml_guest.run(script, guest, memory_mb=512)
    assert "failed=0" in said["playbook"], said["playbook"]
    # What ipvsadm has: both services, the many, the single one and the loop's.
    assert len(said["-Sn"].splitlines()) == 2 + MANY + 1 + LOOP
    rounds = durations(said["log"])
    # Behind the last item comes only the end of the task.
    rounds[EACH] = rounds[EACH][:LOOP]
    seconds = {name: min(rounds[name]) for name in (ADD, EACH, ONE, SAME)}
    figures = {
        "rounds": ROUNDS,
        "quickest, s": seconds,
        f"{MANY} tasks of one server, s, worked out from {LOOP}": seconds[EACH] * MANY,
        f"{MANY} tasks by one task": seconds[EACH] * MANY / seconds[ADD],
        "unchanged, 1,000 servers by 1": seconds[SAME] / seconds[ONE],
        "all rounds, s": rounds,
    }
    directory = uml_guest.CHECKOUT / "build/bench"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "ipvs_module.json").write_text(json.dumps(figures, indent=1))
    with capsys.disabled():
        print("\n" + "\n".join(table(seconds)))
    assert seconds[SAME] / seconds[ONE] < TO_REACH


def table(seconds: dict[str, float]) -> list[str]:
    """Seconds of a task, and what they are to each other."""
    every = seconds[EACH] * MANY
    return [
        f"{ADD:<34}{seconds[ADD]:8.2f} s",
        f"{EACH:<34}{seconds[EACH]:8.2f} s   x 1,000 = {every:.0f} s, {every / seconds[ADD]:.0f} times as long",
        f"{ONE:<34}{seconds[ONE]:8.2f} s",
        f"{SAME:<34}{seconds[SAME]:8.2f} s   {seconds[SAME] / seconds[ONE]:.2f} of it, to reach: {TO_REACH}",
    ]
