# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""500 instances that advertise every 100 ms, both directors on one core, the other core busy.

SCALE_SECONDS=60 measures ours for so long, instead of ten minutes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from advert_log import by_vrid
from director_pair import ENGINES, KEEPALIVED, OURS, Director, Pair, cpu_s, instance, memory_mb, pair
from figures import Figures

pytestmark = pytest.mark.root

NICS = (0, 1)
VRIDS = range(1, 251)
INSTANCES = len(NICS) * len(VRIDS)
INTERVAL_S = 0.1
PRIORITIES = {1: 250, 2: 240}
_OURS_S = int(os.environ.get("SCALE_SECONDS", "600"))
SECONDS = {OURS: _OURS_S, KEEPALIVED: min(60, _OURS_S)}
SETTLED_S = 10
#: the instance's name, as either engine logs it
_MASTER = re.compile(r"\b(VI_\d+_\d+)\b.*(?:-> MASTER|Entering MASTER STATE)")


class Found(NamedTuple):
    """Take-overs that nobody asked for, while starting and later; how late adverts came; CPU and memory of each."""

    starting: int
    later: int
    latest_ms: float
    seconds: int
    cpu_percent: dict[int, float]
    us_an_advert: float
    resident_mb: dict[int, float]
    proportional_mb: dict[int, float]


@pytest.fixture
def busy() -> Iterator[None]:
    """The second core, at normal priority."""
    burner = subprocess.Popen(["taskset", "-c", "1", sys.executable, "-c", "while True: pass"])
    yield
    burner.kill()
    burner.wait()


def write(director: Director) -> None:
    director.words = ("taskset", "-c", "0")
    blocks = [instance(vrid, PRIORITIES[director.number], 3, INTERVAL_S, nic=nic) for nic in NICS for vrid in VRIDS]
    director.file.write_text("".join(blocks))


def all_by(here: Pair, number: int, places: list[int], limit_s: float = 30) -> bool:
    return all(log.wait_for(dict.fromkeys(VRIDS, number), place, limit_s) for log, place in zip(here.logs, places))


def places(here: Pair) -> list[int]:
    return [log.place for log in here.logs]


def take_overs(here: Pair) -> int:
    """How often an instance of a director became master once more, as the engine says."""
    found = (Counter(_MASTER.findall(director.log)) for director in (here.a, here.b))
    return sum(count - 1 for counts in found for count in counts.values())


def senders_change(here: Pair, since: list[int]) -> int:
    """How often another one advertises, for all virtual routers together."""
    return sum(
        later.sender != sooner.sender
        for log, place in zip(here.logs, since)
        for adverts in by_vrid(log.since(place)).values()
        for sooner, later in pairwise(adverts)
    )


def latest_ms(here: Pair, since: list[int]) -> float:
    gaps = [
        later.at_ns - sooner.at_ns
        for log, place in zip(here.logs, since)
        for adverts in by_vrid(log.since(place)).values()
        for sooner, later in pairwise(adverts)
    ]
    return max(gaps) / 1e6 - INTERVAL_S * 1000


def measure(engine: str, directory: Path) -> Found:
    with pair(engine, directory) as here:
        for director in (here.a, here.b):
            write(director)
        begin = places(here)
        here.b.start()
        all_by(here, 2, begin)
        here.a.start()
        all_by(here, 1, begin)
        time.sleep(SETTLED_S)
        here.b.close()
        here.b.start()
        time.sleep(SETTLED_S)
        # each was master once, and then the one of higher priority
        starting = take_overs(here)
        since, pids = places(here), {one.number: one.processes() for one in (here.a, here.b)}
        before = {number: cpu_s(some) for number, some in pids.items()}
        time.sleep(SECONDS[engine])
        used = {number: cpu_s(some) - before[number] for number, some in pids.items()}
        adverts = sum(now - then for now, then in zip(places(here), since))
        memory = {number: memory_mb(some) for number, some in pids.items()}
        return Found(
            starting,
            max(senders_change(here, since), take_overs(here) - starting),
            latest_ms(here, since),
            SECONDS[engine],
            {number: seconds / SECONDS[engine] * 100 for number, seconds in used.items()},
            used[1] / adverts * 1e6,
            {number: resident for number, (resident, _share) in memory.items()},
            {number: share for number, (_resident, share) in memory.items()},
        )


def two(values: dict[int, float], unit: str) -> str:
    return f"{values[1]:.1f} and {values[2]:.1f} {unit}"


def test_500_instances(busy: None, figures: Figures, tmp_path: Path) -> None:
    found: dict[str, Found] = {engine: measure(engine, tmp_path) for engine in ENGINES}
    what = f"{INSTANCES} instances, 100 ms, one core"

    def add(name: str, to_reach: str, said: dict[str, str], **numbers: Any) -> None:
        figures.add(f"{what}: {name}", to_reach, said, **numbers)

    everything = {engine: one._asdict() for engine, one in found.items()}
    add("false take-overs while starting", "0", {engine: str(one.starting) for engine, one in found.items()})
    later = {engine: f"{one.later} in {one.seconds} s" for engine, one in found.items()}
    add("false take-overs later", "0", later, everything=everything)
    add("the latest advert", "–", {engine: f"{one.latest_ms:.1f} ms" for engine, one in found.items()})
    add("CPU of master and backup", "–", {engine: two(one.cpu_percent, "%") for engine, one in found.items()})
    add("CPU an advert, master", "–", {engine: f"{one.us_an_advert:.0f} µs" for engine, one in found.items()})
    add("memory, resident", "–", {engine: two(one.resident_mb, "MB") for engine, one in found.items()})
    add("memory, proportional", "–", {engine: two(one.proportional_mb, "MB") for engine, one in found.items()})
    assert (found[OURS].starting, found[OURS].later) == (0, 0)
