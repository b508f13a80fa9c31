# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The master's daemon is stopped for maintenance and started again, beside 100 connections a second."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from director_pair import OURS, instance, pair, vip
from figures import Figures

from _lab.probe import outages

pytestmark = pytest.mark.root

STOPS = 5
#: VRID -> (version, interval in seconds): keepalived's defaults, and the profile `fast` with its priorities
ROUTERS = {2: (2, 1.0), 4: (3, 0.1)}
PRIORITIES = {2: (150, 100), 4: (250, 240)}
NAMES = {2: "VRRPv2 1 s", 4: "profile fast"}


class Found(NamedTuple):
    """Failed attempts, all attempts, the longest outage, and why attempts failed."""

    failed: int
    attempts: int
    longest_ms: float
    why: dict[str, int]

    def __str__(self) -> str:
        why = "".join(f", {count} {error}" for error, count in self.why.items())
        return f"{self.failed} of {self.attempts}, longest outage {self.longest_ms:.0f} ms{why}"


def measure(engine: str, directory: Path) -> dict[int, Found]:
    with pair(engine, directory) as here:
        for place, director in enumerate((here.a, here.b)):
            blocks = [instance(vrid, PRIORITIES[vrid][place], *kind) for vrid, kind in ROUTERS.items()]
            director.file.write_text("".join(blocks))
        here.a.start()
        assert here.log.wait_for(dict.fromkeys(ROUTERS, 1), 0, 20), here.a.log
        here.b.start()
        time.sleep(2.5)
        clients = {vrid: here.client(vip(vrid)) for vrid in ROUTERS}
        for _stop in range(STOPS):
            time.sleep(1)
            place = here.log.place
            here.a.signal(signal.SIGTERM)
            here.a.ended()
            assert here.log.wait_for(dict.fromkeys(ROUTERS, 2), place, 10), here.b.log
            time.sleep(1)
            place = here.log.place
            here.a.start()
            assert here.log.wait_for(dict.fromkeys(ROUTERS, 1), place, 20), here.a.log
        time.sleep(1)
        found = {}
        for vrid, client in clients.items():
            attempts = client.finish()
            gaps = outages(attempts)
            why = dict(Counter(one.error for one in attempts if one.error))
            longest = max((one.length_s for one in gaps), default=0.0)
            found[vrid] = Found(sum(one.failed for one in gaps), len(attempts), longest * 1000, why)
    return found


def test_stop_and_start(side_by_side: Callable[[Any], dict[str, Any]], figures: Figures, tmp_path: Path) -> None:
    found = side_by_side(lambda engine: measure(engine, tmp_path))
    for vrid, name in NAMES.items():
        figures.add(
            f"{STOPS} planned stops and returns of the master, {name}: failed connections",
            "0",
            {engine: str(one[vrid]) for engine, one in found.items()},
            counts={engine: one[vrid]._asdict() for engine, one in found.items()},
        )
    assert [one.failed for one in found[OURS].values()] == [0, 0]
