# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sync groups as keepalived has them: one in FAULT is all in FAULT, one that yields is all, master is all or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from _lvs_agent.vrrp.actions import Action, Announce, RemoveVips, SendAdvert, State
from _lvs_agent.vrrp.instance import SECOND
from _lvs_agent.vrrp.machine import HANDOVER_LINGER_NS, Machine
from _lvs_agent.vrrp.sync import Group
from tests.unit.vrrp.driving import DOWN, MS, T0, becomes_master, fire, heard, instance, others, states

CABLE = frozenset({"interface eth1 is down"})


class Pair:
    """Two members, "in" and "out"; each event is followed by settling, as the group's docstring asks."""

    def __init__(self, started: bool = True, **parameters: object) -> None:
        one = instance(in_group=True, garp_master_delay=0, **parameters)
        self.inside, self.outside = Machine(replace(one, name="in")), Machine(replace(one, name="out", vrid=52))
        self.group = Group("VG", [self.inside, self.outside])
        if started:
            self.both("start", T0)

    def settle(self, now: int) -> dict[str, list[Action]]:
        actions, transition = self.group.settle(now)
        self.notified = transition.state if transition else None
        done: dict[str, list[Action]] = {}
        for machine, action in actions:
            done.setdefault(machine.instance.name, []).append(action)
        return done

    def both(self, event: str, now: int, *args: object) -> None:
        for machine in (self.inside, self.outside):
            getattr(machine, event)(now, *args)
        self.settle(now)

    def timers(self, now: int, only: Sequence[Machine] = ()) -> dict[str, list[Action]]:
        for machine in only or (self.inside, self.outside):
            fire(machine, now)
        return self.settle(now)

    def states(self) -> list[State]:
        return [self.inside.state, self.outside.state, self.group.state]


def masters() -> tuple[Pair, int]:
    pair = Pair()
    pair.timers(T0 + DOWN)
    assert pair.states() == [State.MASTER] * 3
    return pair, T0 + DOWN


def test_all_become_master_together() -> None:
    pair = Pair()
    assert pair.states() == [State.BACKUP] * 3
    done = pair.timers(T0 + DOWN)
    assert others(done["in"]) == others(done["out"]) == becomes_master()
    assert pair.notified is State.MASTER


def test_none_while_one_hears_its_master() -> None:
    pair = Pair()
    advert = heard(200)
    for second in range(1, 10):
        pair.outside.advert(T0 + second * SECOND, advert)
        pair.timers(T0 + second * SECOND)
    assert pair.inside.wants_master
    assert pair.states() == [State.BACKUP] * 3
    # then that one is silent, too
    pair.timers(T0 + 9 * SECOND + DOWN)
    assert pair.states() == [State.MASTER] * 3


def test_the_wish_ends_with_the_next_advert() -> None:
    pair = Pair()
    pair.timers(T0 + DOWN, [pair.inside])
    pair.inside.advert(T0 + DOWN + MS, heard(200))
    pair.timers(T0 + DOWN + 2 * MS)
    assert pair.states() == [State.BACKUP] * 3
    assert not pair.inside.wants_master


def test_one_that_yields_takes_the_others_along() -> None:
    pair, now = masters()
    pair.inside.advert(now + MS, heard(200))
    done = pair.settle(now + MS)
    assert others(done["out"]) == []
    assert states(done["out"]) == [State.HANDOVER]
    assert (pair.states(), pair.notified) == ([State.HANDOVER] * 3, State.HANDOVER)
    end = now + MS + HANDOVER_LINGER_NS
    # one after the other, as the loop does it: the group is told when both are
    assert pair.timers(end, [pair.inside]) == {}
    assert pair.states() == [State.BACKUP, State.HANDOVER, State.HANDOVER]
    pair.timers(end, [pair.outside])
    assert pair.states() == [State.BACKUP] * 3
    assert not pair.inside.held
    assert not pair.outside.held


def test_all_become_master_again_when_the_winner_dies_while_they_yield() -> None:
    """Adverts of 10 ms: the VIPs never leave."""
    pair = Pair(advert_int=10 * MS)
    now = T0 + DOWN // 100
    pair.timers(now)
    pair.inside.advert(now + MS, heard(200, interval_cs=1))
    pair.settle(now + MS)
    done = pair.timers(now + MS + DOWN // 100)
    assert others(done["in"]) == others(done["out"]) == becomes_master()
    assert pair.states() == [State.MASTER] * 3


def test_one_fault_is_everybodys() -> None:
    pair, now = masters()
    pair.inside.set_faults(now + MS, CABLE)
    done = pair.settle(now + MS)
    assert others(done["out"]) == [SendAdvert(0), SendAdvert(0), RemoveVips()]
    assert "in is in FAULT" in str(done["out"])
    assert pair.states() == [State.FAULT] * 3


def test_the_end_of_a_fault_is_everybodys() -> None:
    pair, now = masters()
    pair.inside.set_faults(now, CABLE)
    pair.settle(now)
    pair.outside.set_faults(now + MS, frozenset({"script check is down"}))
    pair.settle(now + MS)
    pair.inside.set_faults(now + SECOND, frozenset())
    pair.settle(now + SECOND)
    assert pair.states() == [State.FAULT] * 3
    pair.outside.set_faults(now + 2 * SECOND, frozenset())
    pair.settle(now + 2 * SECOND)
    assert pair.states() == [State.BACKUP] * 3
    pair.timers(now + 2 * SECOND + DOWN)
    assert pair.states() == [State.MASTER] * 3


def test_a_hand_over_is_everybodys() -> None:
    pair, now = masters()
    pair.inside.hand_over(now)
    done = pair.settle(now)
    assert others(done["out"]) == [SendAdvert(0)]
    assert pair.states() == [State.HANDOVER] * 3
    pair.both("advert", now + 700 * MS, heard(90))
    pair.timers(now + 700 * MS + HANDOVER_LINGER_NS)
    assert pair.states() == [State.BACKUP] * 3


def test_a_hand_over_that_only_one_network_heard_is_not_taken_back_there() -> None:
    pair, now = masters()
    pair.inside.hand_over(now)
    pair.settle(now)
    for second in range(5):
        pair.inside.advert(now + second * SECOND + 700 * MS, heard(90))
        pair.timers(now + (second + 1) * SECOND)
    pair.timers(now + 5 * SECOND + HANDOVER_LINGER_NS)
    assert pair.states() == [State.BACKUP] * 3


def test_owners_wait_for_each_other() -> None:
    pair = Pair(started=False, priority=255)
    pair.inside.start(T0)
    assert pair.timers(T0) == {}
    assert pair.inside.state is State.BACKUP
    pair.outside.start(T0 + SECOND)
    done = pair.timers(T0 + SECOND)
    assert Announce(5) in done["in"]
    assert pair.states() == [State.MASTER] * 3


def test_stop() -> None:
    pair, now = masters()
    pair.both("shutdown", now)
    pair.timers(now + 6 * SECOND)
    assert pair.states() == [State.INIT] * 3
    assert pair.notified is State.INIT


def test_resume() -> None:
    pair = Pair(started=False)
    for machine in (pair.inside, pair.outside):
        machine.start(T0, resume=True)
    assert pair.settle(T0) == {}
    assert pair.states() == [State.MASTER] * 3


class TestJoining:
    """A reload adds a member to a group that is master."""

    def joined(self, **parameters: object) -> tuple[Pair, int]:
        """"in" is master, "out" has just started, and they are a group."""
        pair = Pair(started=False)
        pair.inside.start(T0, resume=True)
        pair.outside = Machine(replace(pair.outside.instance, **parameters))  # type: ignore[arg-type]
        pair.outside.start(T0)
        pair.group = Group("VG", [pair.inside, pair.outside])
        assert pair.settle(T0) == {}
        return pair, T0

    def test_it_moves_nothing_and_follows(self) -> None:
        pair, now = self.joined()
        assert pair.states() == [State.MASTER, State.BACKUP, State.MASTER]
        assert pair.notified is State.MASTER
        assert pair.timers(now + DOWN - 1) == {}
        done = pair.timers(now + DOWN)
        assert others(done["out"]) == becomes_master()
        assert "sync group VG is in MASTER; no advert was heard since the start" in str(done["out"])
        assert "in" not in done
        assert pair.states() == [State.MASTER] * 3

    def test_a_master_below_it_is_no_reason_to_leave(self) -> None:
        pair, now = self.joined()
        for second in range(1, 4):
            pair.outside.advert(now + second * SECOND, heard(50))
            pair.timers(now + second * SECOND)
        pair.timers(now + DOWN)
        assert pair.states() == [State.MASTER] * 3

    def test_a_master_above_it_is(self) -> None:
        pair, now = self.joined()
        pair.outside.advert(now + SECOND, heard(200))
        done = pair.timers(now + SECOND)
        assert states(done["in"]) == [State.HANDOVER]
        pair.timers(now + SECOND + HANDOVER_LINGER_NS)
        assert pair.states() == [State.BACKUP] * 3

    def test_an_owner_joins_at_once(self) -> None:
        pair = Pair(started=False, priority=255)
        pair.inside.start(T0, resume=True)
        pair.outside.start(T0)
        done = pair.timers(T0)
        assert others(done["out"]) == becomes_master(255)
        assert pair.states() == [State.MASTER] * 3
