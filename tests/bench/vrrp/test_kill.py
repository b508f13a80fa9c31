# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL to processes of the master's daemon on a healthy host; 100 ms later systemd starts it again if it is gone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from advert_log import by_vrid
from director_pair import OURS, Director, Pair, instance, pair, vip
from figures import Figures

from _lab.probe import outages

pytestmark = pytest.mark.root

KILLS = 3
RESTART_S = 0.1
#: a take-over and the return of who was killed fit in
WINDOW_S = 10
#: VRID -> (version, interval in seconds); the second is the profile `fast`
ROUTERS = {2: (2, 1.0), 4: (3, 0.1)}
PRIORITIES = {2: (150, 100), 4: (250, 240)}
NAMES = {2: "VRRPv2 1 s", 4: "profile fast"}
VICTIMS = ("the VRRP process", "the parent", "all processes")
#: A program of Python's is not up again within 300 ms: the profile `fast` then fails over, as keepalived does.
TO_REACH = {(victim, vrid) for victim in VICTIMS for vrid in ROUTERS} - {("the parent", 4), ("all processes", 4)}


class Found(NamedTuple):
    """Adverts of the other director, the longest time without any, and failed attempts of the client."""

    others: int
    longest_ms: float
    failed: int

    def __str__(self) -> str:
        taken = "taken over" if self.others else "no take-over"
        return f"{self.failed} failed, {self.longest_ms:.0f} ms without advert, {taken}"


def kill(director: Director, victim: str) -> None:
    """Kill, and do as systemd does."""
    pids = director.processes()
    chosen = {"the VRRP process": [director.vrrp_process()], "the parent": pids[:1], "all processes": pids}[victim]
    for pid in chosen:
        os.kill(pid, signal.SIGKILL)
    if pids[0] in chosen:
        director.ended()
        restart(director)


def restart(director: Director) -> None:
    """As often as it takes: keepalived refuses while the child of its killed parent still runs."""
    for _try in range(50):
        time.sleep(RESTART_S)
        director.start()
        if director.runs_for(1):
            return
    raise AssertionError(director.log[-2000:])


def measure_one(here: Pair, victim: str) -> dict[int, Found]:
    clients = {vrid: here.client(vip(vrid)) for vrid in ROUTERS}
    time.sleep(1.5)
    place, begun = here.log.place, time.time_ns()
    time.sleep(1.5)
    for _kill in range(KILLS):
        kill(here.a, victim)
        time.sleep(WINDOW_S)
    found = {}
    for vrid, adverts in by_vrid(here.log.since(place)).items():
        times = [one.at_ns for one in adverts if one.at_ns >= begun]
        longest = max(later - sooner for sooner, later in pairwise(times))
        failed = sum(one.failed for one in outages(clients[vrid].finish()))
        found[vrid] = Found(sum(one.sender == 2 for one in adverts), longest / 1e6, failed)
    return found


def measure(engine: str, directory: Path) -> dict[str, dict[int, Found]]:
    with pair(engine, directory) as here:
        for place, director in enumerate((here.a, here.b)):
            blocks = [instance(vrid, PRIORITIES[vrid][place], *kind) for vrid, kind in ROUTERS.items()]
            director.file.write_text("".join(blocks))
        here.a.start()
        assert here.log.wait_for(dict.fromkeys(ROUTERS, 1), 0, 20), here.a.log
        here.b.start()
        time.sleep(2.5)
        return {victim: measure_one(here, victim) for victim in VICTIMS}


def test_kill(side_by_side: Callable[[Any], dict[str, Any]], figures: Figures, tmp_path: Path) -> None:
    found = side_by_side(lambda engine: measure(engine, tmp_path))
    for victim in VICTIMS:
        for vrid, name in NAMES.items():
            figures.add(
                f"SIGKILL to {victim}, {KILLS} times, {name}",
                "no take-over, 0 failed" if (victim, vrid) in TO_REACH else "–",
                {engine: str(one[victim][vrid]) for engine, one in found.items()},
                counts={engine: one[victim][vrid]._asdict() for engine, one in found.items()},
            )
    ours = found[OURS]
    missed = {pair: ours[pair[0]][pair[1]] for pair in TO_REACH if sum(ours[pair[0]][pair[1]][::2])}
    assert not missed
