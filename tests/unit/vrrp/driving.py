# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Short words for the tests of the state machine: one router, 192.0.2.10, and what it hears."""

from __future__ import annotations

from typing import Any

from _lvs_agent.vrrp.actions import (
    Action,
    AddVips,
    Alarm,
    AlarmCleared,
    AlarmKind,
    Announce,
    SendAdvert,
    State,
    Transition,
)
from _lvs_agent.vrrp.instance import GROUPS, SECOND, Instance
from _lvs_agent.vrrp.machine import Machine
from _lvs_agent.vrrp.packet import Advert

MS = SECOND // 1000
SOURCE, LOWER, HIGHER = bytes((192, 0, 2, 10)), bytes((192, 0, 2, 9)), bytes((192, 0, 2, 11))
VIPS = (bytes((192, 0, 2, 100)),)
#: When the router starts; not 0, so that a time taken for a span is seen.
T0 = 1000 * SECOND
#: of priority 100 at 1 s, in nanoseconds, worked out by hand: (256 - 100) / 256 s (RFC 9568 section 6.1)
SKEW = 609_375_000
DOWN = 3 * SECOND + SKEW


def instance(**parameters: Any) -> Instance:
    """Version 3, priority 100, one advert in a second; keepalived's defaults else."""
    return Instance("VI", 51, SOURCE, VIPS, **{"version": 3, **parameters})


def heard(priority: int, source: bytes = HIGHER, **parameters: Any) -> Advert:
    """An advert of another router, by default with the same configuration."""
    fields = {"version": 3, "vrid": 51, "interval_cs": 100, "addresses": VIPS, "destination": GROUPS[4]}
    return Advert(**{**fields, **parameters}, priority=priority, source=source)


def started(**parameters: Any) -> Machine:
    """A router that was started at T0."""
    machine = Machine(instance(**parameters))
    machine.start(T0)
    return machine


def mastered(**parameters: Any) -> tuple[Machine, int]:
    """A router that became master since nobody was there, and when."""
    machine = started(**parameters)
    now = T0 + down(machine)
    fire(machine, now)
    assert machine.state is State.MASTER
    return machine, now


def fire(machine: Machine, now: int) -> list[Action]:
    """The actions of all the timers up to and with ``now``, each at its time: a loop that is never late."""
    return [action for _t, action in until(machine, now)]


def until(machine: Machine, end: int) -> list[tuple[int, Action]]:
    """(time, action) of all the timers up to and with ``end``, each at its time."""
    actions: list[tuple[int, Action]] = []
    while machine.wake_ns <= end:
        now = machine.wake_ns
        actions += [(now, action) for action in machine.timer(now, now)]
    return actions


def down(machine: Machine, interval: int = SECOND) -> int:
    """The master down interval of version 3, by the RFC's formula, for spans that divide by 256."""
    whole = (256 - machine.priority) * interval
    assert whole % 256 == 0
    return 3 * interval + whole // 256


def becomes_master(priority: int = 100, repeat: int = 5) -> list[Action]:
    """What a backup does to become master, without the transition's cause."""
    return [SendAdvert(priority), AddVips(), Announce(repeat)]


def states(actions: Any) -> list[State]:
    """The states of the transitions among actions."""
    return [action.state for action in actions if isinstance(action, Transition)]


def alarms(actions: Any) -> list[AlarmKind]:
    """The kinds of the alarms among actions that went on."""
    return [action.kind for action in actions if isinstance(action, Alarm)]


def cleared(actions: Any) -> list[AlarmKind]:
    """The kinds of the alarms among actions that went off."""
    return [action.kind for action in actions if isinstance(action, AlarmCleared)]


def others(actions: Any) -> list[Action]:
    """Actions without transitions and alarms."""
    return [action for action in actions if not isinstance(action, (Transition, Alarm, AlarmCleared))]
