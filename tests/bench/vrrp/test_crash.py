# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A director's host is gone: how long until the other one advertises, and until a client is served.

Each crash is one of three virtual routers: VRRPv2 every second, VRRPv3 every half second, and the profile `fast`. The
arithmetic (RFC 3768 and 5798, 6.1) begins with the last advert that passed the bridge; the kernel's time of the
successor's first one is compared with it. The directors crash by turns (`nopreempt`), so that both serve as backup.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pytest
from advert_log import by_vrid
from director_pair import OURS, instance, pair, vip
from figures import Figures

from _lab.probe import outages

pytestmark = pytest.mark.root

CRASHES = 30
PRIORITIES = {1: 250, 2: 240}
#: a started engine hears an advert of each within that
SETTLED_S = 2.5
FAST = 4
#: VRID -> (version, interval in seconds)
ROUTERS = {2: (2, 1.0), 3: (3, 0.5), FAST: (3, 0.1)}
LATE_MS = 10
#: of two packets' times: the kernel's clock is adjusted meanwhile, at most 500 parts in a million
EARLY = -0.0005
FAST_MS = 400


class Found(NamedTuple):
    """For each virtual router the milliseconds beyond the arithmetic, relative to it; and the client's outages."""

    late_ms: dict[int, list[float]]
    early: list[float]
    client_ms: list[float]


def down_s(vrid: int, priority: int) -> float:
    version, interval = ROUTERS[vrid]
    return 3 * interval + (256 - priority) / 256 * (1 if version == 2 else interval)


def measure(engine: str, directory: Path) -> Found:
    chance = random.Random(51)
    late: dict[int, list[float]] = {vrid: [] for vrid in ROUTERS}
    early: list[float] = []
    with pair(engine, directory) as here:
        for director in (here.a, here.b):
            blocks = [
                instance(vrid, PRIORITIES[director.number], *kind, more=" state BACKUP\n nopreempt\n")
                for vrid, kind in ROUTERS.items()
            ]
            director.file.write_text("".join(blocks))
        master, backup = here.a, here.b
        master.start()
        assert here.log.wait_for(dict.fromkeys(ROUTERS, master.number), 0, 20), master.log
        backup.start()
        client = here.client(vip(FAST))
        for _crash in range(CRASHES):
            place = here.log.place
            time.sleep(SETTLED_S + chance.random())
            master.crash()
            assert here.log.wait_for(dict.fromkeys(ROUTERS, backup.number), place, 10), backup.log
            for vrid, adverts in by_vrid(here.log.since(place)).items():
                first = next(one for one in adverts if one.sender == backup.number)
                last = max(one.at_ns for one in adverts if one.sender == master.number and one.at_ns < first.at_ns)
                wanted_s = down_s(vrid, PRIORITIES[backup.number])
                took_s = (first.at_ns - last) / 1e9
                late[vrid].append((took_s - wanted_s) * 1000)
                early.append((took_s - wanted_s) / wanted_s)
            master.boot()
            master, backup = backup, master
        attempts = client.finish()
    return Found(late, early, [one.length_s * 1000 for one in outages(attempts)])


def summary(values: list[float]) -> str:
    """Of the thirty, p99 is the longest."""
    return f"{min(values):.1f} / {median(values):.1f} / {max(values):.1f} ms"


def test_crash(side_by_side: Callable[[Any], dict[str, Found]], figures: Figures, tmp_path: Path) -> None:
    found = side_by_side(lambda engine: measure(engine, tmp_path))
    for vrid, (version, interval) in ROUTERS.items():
        figures.add(
            f"crash, VRRPv{version} {interval:g} s: beyond the arithmetic, min / median / max of {CRASHES}",
            f"0 to {LATE_MS} ms",
            {engine: summary(one.late_ms[vrid]) for engine, one in found.items()},
            milliseconds={engine: one.late_ms[vrid] for engine, one in found.items()},
        )
    figures.picture(
        "vrrp_crash",
        f"{CRASHES} crashes: the successor's first advert, beyond the arithmetic",
        {
            f"VRRPv{version} {interval:g} s, {engine}": one.late_ms[vrid]
            for vrid, (version, interval) in ROUTERS.items()
            for engine, one in found.items()
        },
    )
    figures.add(
        "crash, profile fast, as a client sees it, min / median / max",
        f"{FAST_MS} ms",
        {engine: summary(one.client_ms) for engine, one in found.items()},
        milliseconds={engine: one.client_ms for engine, one in found.items()},
    )
    ours = found[OURS]
    assert len(ours.client_ms) == CRASHES
    assert min(ours.early) > EARLY
    assert max(max(late) for late in ours.late_ms.values()) <= LATE_MS
    assert max(ours.client_ms) <= FAST_MS
