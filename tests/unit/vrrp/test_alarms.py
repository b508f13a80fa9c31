# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""When alarms go on and off, and that forged packets fill neither the memory nor the log."""

from __future__ import annotations

from _lvs_agent.vrrp.actions import Alarm, AlarmCleared, AlarmKind
from _lvs_agent.vrrp.alarms import NEVER, Alarms

SECOND = 1_000_000_000
KIND = AlarmKind.AUTHENTICATION


def source(number: int) -> bytes:
    return number.to_bytes(4, "big")


class World:
    """Alarms, and how many lines of the log they made."""

    def __init__(self) -> None:
        self.alarms = Alarms()
        self.now = 0
        self.lines: list[Alarm | AlarmCleared] = []

    def at(self, now: int) -> None:
        while self.alarms.due <= now:
            self.lines += self.alarms.expire(self.alarms.due)  # type: ignore[arg-type]
        self.now = now

    def seen(self, one: bytes, kind: AlarmKind = KIND) -> None:
        self.lines += self.alarms.seen(self.now, kind, one, "why", SECOND)  # type: ignore[arg-type]


def test_one_goes_off_when_it_is_no_longer_seen() -> None:
    world = World()
    world.seen(source(1))
    world.at(9 * SECOND)
    world.seen(source(1))
    world.at(19 * SECOND - 1)
    assert world.lines == [Alarm(KIND, source(1), "why")]
    world.at(19 * SECOND)
    assert world.lines[1:] == [AlarmCleared(KIND, source(1))]
    # much later it is a first time again
    world.at(100 * SECOND)
    world.seen(source(1))
    world.at(110 * SECOND)
    assert len(world.lines) == 4


def test_one_that_comes_and_goes_stays_on_longer_and_longer() -> None:
    world = World()
    for number in range(24 * 3600 // 11):
        world.at(number * 11 * SECOND)
        world.seen(source(1))
    assert len(world.lines) == 3
    world.at(48 * 3600 * SECOND)
    assert world.alarms.active() == []


def test_a_flood_from_everywhere_is_a_few_lines() -> None:
    world = World()
    for number in range(20_000):
        world.at(number * SECOND // 20)
        world.seen(source(number))
        world.seen(source(number % 50), AlarmKind.STRANGER)
    assert len(world.lines) < 100
    assert (KIND, b"") in world.alarms.active()
    world.at(world.now + 3600 * SECOND)
    assert (world.alarms.active(), world.alarms.due) == ([], NEVER)
    world.seen(source(1))
    assert world.lines[-1] == Alarm(KIND, source(1), "why")
    assert len(world.alarms._holds) < 3


def test_all_end_with_their_instance() -> None:
    world = World()
    for number in range(3):
        world.seen(source(number))
    assert world.alarms.end() == [AlarmCleared(KIND, source(number)) for number in range(3)]
    assert (world.alarms.active(), world.alarms.due) == ([], NEVER)
    world.seen(source(1))
    world.at(10 * SECOND)
    assert world.lines[-1] == AlarmCleared(KIND, source(1))
