# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words checker_*: what the kernel is told, and what it refuses."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from _lvs_agent.supervisor import scheduling
from _lvs_agent.supervisor.scheduling import Scheduled, Scheduling
from _lvs_agent.vrrp import memory


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the kernel would be told."""
    found: list[tuple[Any, ...]] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1})
    monkeypatch.setattr(os, "sched_setaffinity", lambda _pid, cpus: found.append(("cpus", *sorted(cpus))))
    monkeypatch.setattr(os, "setpriority", lambda _which, _who, nice: found.append(("nice", nice)))
    monkeypatch.setattr(
        os, "sched_setscheduler", lambda _pid, policy, to: found.append(("policy", policy, to.sched_priority))
    )
    monkeypatch.setattr(resource, "setrlimit", lambda _which, limits: found.append(("limit", *limits)))

    def lock() -> str:
        found.append(("lock",))
        return ""

    monkeypatch.setattr(memory, "lock", lock)
    return found


def test_an_ordinary_process_is_left_alone(told: list[tuple[Any, ...]]) -> None:
    assert Scheduled().become(scheduling.from_conf({})) == []
    assert told == []


def test_each_word_and_the_way_back(told: list[tuple[Any, ...]]) -> None:
    process = Scheduled()
    said = {
        "checker_priority": -5,
        "checker_rt_priority": "9",
        "checker_rlimit_rttime": 6000000,
        "checker_cpu_affinity": "1",
        "checker_no_swap": True,
    }
    assert process.become(scheduling.from_conf(said)) == []
    round_robin = ("policy", os.SCHED_RR | os.SCHED_RESET_ON_FORK, 9)
    forever = resource.RLIM_INFINITY
    assert told == [("cpus", 1), ("limit", 6000000, forever), ("nice", -5), round_robin, ("lock",)]
    del told[:]
    assert process.become(scheduling.from_conf(said)) == []
    assert told == []
    process.become(Scheduling(no_swap=True))
    assert told == [("cpus", 0, 1), ("limit", forever, forever), ("nice", 0), ("policy", os.SCHED_OTHER, 0)]


def test_programs_do_not_inherit_a_negative_nice_value(told: list[tuple[Any, ...]]) -> None:
    Scheduled().become(Scheduling(nice=-1))
    assert told == [("nice", -1), ("policy", os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, 0)]


def test_what_is_refused_is_told_and_the_rest_is_done(
    told: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_words: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    monkeypatch.setattr(memory, "lock", lambda: "no lock")
    assert Scheduled().become(Scheduling(3, 50, 0, (7, 8), True)) == [
        "checker_cpu_affinity 7 8: Operation not permitted",
        "checker_rt_priority 50: Operation not permitted",
        "checker_no_swap: no lock",
    ]
    assert told == [("nice", 3)]


def test_the_kernel_does_it() -> None:
    program = (
        "import sys; from _lvs_agent.supervisor.scheduling import Scheduled, Scheduling\n"
        "print(Scheduled().become(Scheduling(nice=19, cpus=(int(sys.argv[1]),))))\n"
        "print(open('/proc/self/stat').read().split()[18])\n"
        "print(*(line for line in open('/proc/self/status') if line.startswith('Cpus_allowed_list')))\n"
    )
    cpu = str(max(os.sched_getaffinity(0)))
    path = str(Path(scheduling.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", program, cpu],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stdout.split() == ["[]", "19", "Cpus_allowed_list:", cpu]
