# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGHUP to both directors with 255 instances: how late the master's adverts come, each against its own interval."""

from __future__ import annotations

import signal
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from advert_log import by_vrid
from director_pair import ENGINES, OURS, Pair, instance, pair
from figures import Figures

from tests.integration.netns.wire import wait_until

pytestmark = pytest.mark.root

INSTANCES = 255
PRIORITIES = {1: 250, 2: 240}
LATE_MS = 20
#: VIPs that are there but for a while
MORE = ("10.0.20.1", "10.0.20.2")
#: what is done -> (VRIDs, VIPs of the instance 7 besides its own)
STEPS = {
    "nothing at all": (INSTANCES, ()),
    "nothing has changed": (INSTANCES, ()),
    "an instance goes": (INSTANCES - 1, ()),
    "an instance comes": (INSTANCES, ()),
    "two VIPs come": (INSTANCES, MORE),
    "two VIPs go": (INSTANCES, ()),
}


def write(here: Pair, interval: float, last: int, vips: tuple[str, ...]) -> None:
    for director in (here.a, here.b):
        blocks = [
            instance(vrid, PRIORITIES[director.number], 3, interval, vips=vips if vrid == 7 else ())
            for vrid in range(1, last + 1)
        ]
        director.file.write_text("".join(blocks))


def latest_ms(here: Pair, place: int, end_ns: int, interval: float, last: int) -> float:
    """The most that an advert of a came after its interval; one that is missing at the end counts, too."""
    adverts = by_vrid(one for one in here.log.since(place) if one.sender == 1 and one.priority)
    gaps = [
        later - sooner
        for vrid in range(1, last + 1)
        for sooner, later in pairwise([*(one.at_ns for one in adverts[vrid]), end_ns])
    ]
    return max(gaps) / 1e6 - interval * 1000


def happened(here: Pair, interval: float, last: int, vips: tuple[str, ...]) -> bool:
    """What is measured."""
    place = here.log.place
    time.sleep(1.5 * interval)
    advertised = {one.vrid for one in here.log.since(place)}
    held = {one.partition("/")[0] for host in (here.a.host, here.b.host) for one in host.addresses("eth0")}
    return advertised == set(range(1, last + 1)) and held & set(MORE) == set(vips)


def measure(engine: str, directory: Path, interval: float) -> dict[str, float]:
    found = {}
    with pair(engine, directory) as here:
        write(here, interval, INSTANCES, ())
        here.a.start()
        assert here.log.wait_for(dict.fromkeys(range(1, INSTANCES + 1), 1), 0, 30), here.a.log[-2000:]
        here.b.start()
        time.sleep(8)  # the gratuitous ARPs of 5 s later, too
        for step, (last, vips) in STEPS.items():
            write(here, interval, last, vips)
            place = here.log.place
            time.sleep(2 * interval)
            if step != "nothing at all":
                here.b.signal(signal.SIGHUP)
                here.a.signal(signal.SIGHUP)
            time.sleep(3 + interval)
            # on a busy machine, reading the file takes longer
            wait_until(lambda: happened(here, interval, last, vips), step, seconds=30)  # noqa: B023 - in this step
            found[step] = latest_ms(here, place, time.time_ns(), interval, min(last, INSTANCES - 1))
    return found


@pytest.mark.parametrize("interval", [1.0, 0.1])
def test_reload(interval: float, figures: Figures, tmp_path: Path) -> None:
    # one after the other: neither is to be late for the other's sake
    found: dict[str, Any] = {engine: measure(engine, tmp_path, interval) for engine in ENGINES}
    for step in STEPS:
        figures.add(
            f"{INSTANCES} instances, {interval:g} s: the latest advert when {step}",
            f"{LATE_MS} ms" if step != "nothing at all" else "–",
            {engine: f"{one[step]:.1f} ms" for engine, one in found.items()},
            milliseconds={engine: one[step] for engine, one in found.items()},
        )
    assert max(found[OURS].values()) <= LATE_MS
