# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sync groups as keepalived has them: one in FAULT is all in FAULT, one that yields is all, master is all or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from _lvs_agent.vrrp.actions import Action, AddVips, AlarmKind, Announce, RemoveVips, SendAdvert, State
from _lvs_agent.vrrp.instance import SECOND
from _lvs_agent.vrrp.machine import HANDOVER_LINGER_NS, Machine
from _lvs_agent.vrrp.sync import Groups, Membership, Outcome, settle_group_of
from tests.unit.vrrp.driving import DOWN, MS, SKEW, T0, alarms, becomes_master, fire, heard, instance, others, states

CABLE = frozenset({"interface eth1 is down"})
#: Heard again it is the same object, as of a Receiver.
MASTERS_ADVERT = heard(200)


class Pair:
    """Two members, "in" and "out"; each event is followed by settling, as the loop does it."""

    def __init__(self, started: bool = True, **parameters: object) -> None:
        one = instance(garp_master_delay=0, **parameters)
        self.inside, self.outside = Machine(replace(one, name="in")), Machine(replace(one, name="out", vrid=52))
        self.groups = Groups()
        self.notified: State | None = None
        self.regroup(T0, "VG", self.inside, self.outside)
        if started:
            self.both("start", T0)

    def regroup(self, now: int, name: str, *members: Machine) -> dict[str, list[Action]]:
        """A reload: these are a group now, and the rest of the two is in none."""
        wanted = {name: Membership(len(members), members)} if members else {}
        return self.done(self.groups.regroup(now, wanted, (self.inside, self.outside)))

    def settle(self, now: int) -> dict[str, list[Action]]:
        outcome = Outcome([], [])
        for machine in (self.inside, self.outside):
            more = settle_group_of(now, machine)
            outcome = Outcome(outcome.actions + more.actions, outcome.transitions + more.transitions)
        return self.done(outcome)

    def done(self, outcome: Outcome) -> dict[str, list[Action]]:
        actions, transitions = outcome
        self.notified = transitions[-1].state if transitions else None
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
        return [self.inside.state, self.outside.state, *(group.state for group in self.groups)]


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
        pair.regroup(T0, "")
        pair.inside.start(T0, resume=True)
        pair.outside = Machine(replace(pair.outside.instance, **parameters))  # type: ignore[arg-type]
        pair.outside.start(T0)
        assert pair.regroup(T0, "VG", pair.inside, pair.outside) == {}
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


def silent_on(pair: Pair, machine: Machine, seconds: range) -> None:
    """The network of this one is cut off; the other hears its master, by the same advert again and again."""
    other = pair.outside if machine is pair.inside else pair.inside
    for second in seconds:
        now = T0 + second * SECOND
        other.advert(now, MASTERS_ADVERT)
        pair.timers(now)


def heard_on_both(pair: Pair, seconds: range) -> None:
    for second in seconds:
        for machine in (pair.inside, pair.outside):
            machine.advert(T0 + second * SECOND, MASTERS_ADVERT)
        pair.timers(T0 + second * SECOND)


class TestOwnership:
    """A member's group is the one that the last reload gave it, and nothing is left of the one before."""

    def test_a_fault_of_a_fellow_ends_with_the_group(self) -> None:
        """Issue 11, 1 (a): eth1 is down; its instance and the group are taken out of the file."""
        pair, now = masters()
        pair.outside.set_faults(now, CABLE)
        pair.settle(now)
        assert pair.inside.state is State.FAULT
        done = pair.regroup(now + SECOND, "")
        assert states(done["in"]) == [State.BACKUP]
        assert "out" not in done
        assert not states(fire(pair.inside, now + SECOND + DOWN - 1))
        assert states(fire(pair.inside, now + SECOND + DOWN)) == [State.MASTER]

    def test_a_fault_ends_when_the_fellow_is_removed(self) -> None:
        pair, now = masters()
        pair.outside.set_faults(now, CABLE)
        pair.settle(now)
        outcome = pair.groups.leave(now + MS, pair.outside)
        assert states(pair.done(outcome)["in"]) == [State.BACKUP]
        assert pair.outside.group is None

    def test_a_fault_stays_when_the_group_is_renamed(self) -> None:
        pair, now = masters()
        pair.outside.set_faults(now, CABLE)
        pair.settle(now)
        assert pair.regroup(now, "other", pair.outside, pair.inside) == {}
        assert pair.states() == [State.FAULT] * 3
        assert pair.inside.group_fault == "sync group other: out is in FAULT"

    def test_who_waited_for_the_group_is_master_when_there_is_none(self) -> None:
        """Issue 11, 1 (b)."""
        pair = Pair()
        silent_on(pair, pair.inside, range(1, 10))
        assert (pair.states(), pair.inside.wants_master) == ([State.BACKUP] * 3, True)
        done = pair.regroup(T0 + 10 * SECOND, "")
        assert others(done["in"]) == becomes_master()
        assert pair.states() == [State.MASTER, State.BACKUP]

    def test_who_waits_has_a_timer(self) -> None:
        pair = Pair()
        silent_on(pair, pair.inside, range(1, 10))
        assert pair.inside.wake_ns <= T0 + 10 * SECOND

    def test_a_group_with_another_member_waits_for_it(self) -> None:
        pair = Pair()
        pair.regroup(T0 + SECOND, "VG", pair.inside)
        third = pair.outside = Machine(replace(pair.outside.instance, name="third", vrid=53))
        pair.done(pair.groups.regroup(T0 + 2 * SECOND, {"VG": Membership(2, [pair.inside])}, [pair.inside]))
        pair.timers(T0 + DOWN, [pair.inside])
        assert pair.inside.state is State.BACKUP
        pair.done(pair.groups.join(T0 + DOWN, "VG", third))
        third.start(T0 + DOWN)
        fire(third, T0 + 2 * DOWN)
        pair.settle(T0 + 2 * DOWN)
        assert (pair.inside.state, third.state) == (State.MASTER, State.MASTER)

    def test_the_same_group_again_moves_and_tells_nothing(self) -> None:
        pair, now = masters()
        assert pair.regroup(now + MS, "VG", pair.inside, pair.outside) == {}
        assert pair.notified is None
        assert pair.states() == [State.MASTER] * 3

    def test_two_groups_become_one(self) -> None:
        """One is master, the other follows: backup is what both can be."""
        pair = Pair(started=False)
        pair.done(pair.groups.regroup(T0, {"A": Membership(1, [pair.inside]), "B": Membership(1, [pair.outside])}, ()))
        pair.both("start", T0)
        for second in range(1, 5):
            pair.outside.advert(T0 + second * SECOND, MASTERS_ADVERT)
            pair.timers(T0 + second * SECOND)
        assert pair.states()[:2] == [State.MASTER, State.BACKUP]
        pair.regroup(T0 + 5 * SECOND, "A", pair.inside, pair.outside)
        pair.timers(T0 + 5 * SECOND + HANDOVER_LINGER_NS)
        assert pair.states() == [State.BACKUP] * 3

    def test_a_hand_over_goes_on_without_the_group(self) -> None:
        pair, now = masters()
        pair.inside.hand_over(now)
        pair.settle(now)
        pair.regroup(now + SECOND, "")
        for machine in (pair.inside, pair.outside):
            fire(machine, now + 5 * SECOND)
        assert pair.states() == [State.MASTER] * 2


class TestOutages:
    def test_two_of_one_network_each(self) -> None:
        """Issue 11, 1 (d): each is over before the next one; the master is there and heard on one of them always."""
        pair = Pair()
        heard_on_both(pair, range(1, 4))
        silent_on(pair, pair.inside, range(4, 11))
        assert pair.inside.wants_master
        heard_on_both(pair, range(11, 60))
        assert not pair.inside.wants_master
        silent_on(pair, pair.outside, range(60, 70))
        assert pair.outside.wants_master
        assert pair.states() == [State.BACKUP] * 3

    def test_a_master_that_is_above_us_again_ends_the_wish(self) -> None:
        """It was to be preempted, and its adverts were discarded; then our priority fell below it."""
        pair = Pair()
        for second in range(1, 10):
            pair.inside.advert(T0 + second * SECOND, heard(50))
            pair.outside.advert(T0 + second * SECOND, MASTERS_ADVERT)
            pair.timers(T0 + second * SECOND)
        assert pair.inside.wants_master
        pair.inside.set_priority(T0 + 9 * SECOND + MS, 20)
        assert not pair.inside.wants_master

    def test_a_priority_that_changes_does_not_end_the_wish_of_who_hears_nobody(self) -> None:
        """Nor is its timer late then."""
        pair = Pair()
        heard_on_both(pair, range(1, 3))
        silent_on(pair, pair.inside, range(3, 9))
        pair.inside.set_priority(T0 + 8 * SECOND + MS, 90)
        assert pair.inside.wants_master
        assert not alarms(pair.inside.timer(T0 + 9 * SECOND, T0 + 9 * SECOND))

    def test_while_it_waits_no_more_adverts_are_missing(self) -> None:
        pair = Pair()
        heard_on_both(pair, range(1, 3))
        silent_on(pair, pair.inside, range(3, 30))
        assert pair.inside.counters.advert_missed == 3

    def test_a_resignation_ends_the_wish_for_a_skew_time(self) -> None:
        pair = Pair()
        silent_on(pair, pair.inside, range(1, 6))
        pair.inside.advert(T0 + 6 * SECOND, heard(0))
        assert not pair.inside.wants_master
        pair.timers(T0 + 6 * SECOND + SKEW, [pair.inside])
        assert pair.inside.wants_master


class TestHandOverWithoutASuccessor:
    """Issue 11, 1 (c): all come back once, and rest."""

    def test_all_are_master_again_together_and_it_is_said(self) -> None:
        pair, now = masters()
        pair.inside.hand_over(now)
        pair.settle(now)
        assert pair.timers(now + 5 * SECOND, [pair.inside]) == {}
        assert pair.states() == [State.HANDOVER] * 3
        done = pair.timers(now + 5 * SECOND, [pair.outside])
        for name in ("in", "out"):
            assert others(done[name]) == [SendAdvert(100), AddVips()]
            assert "nobody took over" in str(done[name])
            assert alarms(done[name]) == [AlarmKind.HANDOVER_FAILED]
        assert (pair.states(), pair.notified) == ([State.MASTER] * 3, State.MASTER)

    def test_then_nothing_happens_any_more(self) -> None:
        pair, now = masters()
        pair.inside.hand_over(now)
        pair.settle(now)
        pair.timers(now + 5 * SECOND)
        for second in range(5, 60):
            adverts = [fire(machine, now + second * SECOND) for machine in (pair.inside, pair.outside)]
            assert SendAdvert(0) not in [action for actions in adverts for action in actions]
            assert pair.settle(now + second * SECOND) == {}
        assert pair.states() == [State.MASTER] * 3
        assert pair.inside.counters.become_master == 2

    def slower_outside(self) -> Pair:
        """One sends an advert in a second, the other one in two; they hand over at T0."""
        pair = Pair(started=False)
        pair.outside.instance = replace(pair.outside.instance, advert_int=2 * SECOND)
        for machine in (pair.inside, pair.outside):
            machine.start(T0, resume=True)
        pair.settle(T0)
        pair.outside.hand_over(T0)
        pair.settle(T0)
        return pair

    def test_a_stall_gives_the_quicker_member_another_interval(self) -> None:
        """It had given up, but its successor's advert may have come while the host stood still."""
        pair = self.slower_outside()
        pair.timers(T0 + 8900 * MS)
        assert pair.inside.unclaimed
        woken = T0 + 10600 * MS
        for machine in (pair.inside, pair.outside):
            machine.timer(woken, woken)
        assert pair.settle(woken) == {}
        assert not pair.inside.unclaimed
        pair.timers(woken + SECOND - 1)
        assert pair.states() == [State.HANDOVER] * 3
        pair.timers(woken + SECOND)
        assert pair.states() == [State.MASTER] * 3

    def test_who_has_given_up_is_master_when_there_is_no_group_any_more(self) -> None:
        pair = self.slower_outside()
        pair.timers(T0 + 8 * SECOND + MS)
        done = pair.regroup(T0 + 8 * SECOND + MS, "")
        assert states(done["in"]) == [State.MASTER]
        assert pair.states() == [State.MASTER, State.HANDOVER]

    @pytest.mark.parametrize("heard_here", [True, False])
    def test_who_has_given_up_serves_while_a_fellow_yields(self, heard_here: bool) -> None:
        """The successor is there on both networks at once, but one is heard first."""
        pair = self.slower_outside()
        now = T0 + 8500 * MS
        pair.timers(now)
        assert pair.inside.unclaimed
        pair.outside.advert(now, heard(90))
        assert pair.settle(now) == {}
        if heard_here:
            pair.inside.advert(now + MS, heard(90))
            pair.settle(now + MS)
        assert pair.timers(now + HANDOVER_LINGER_NS - 1) == {}
        assert pair.states() == [State.HANDOVER] * 3
        pair.timers(now + HANDOVER_LINGER_NS + MS)
        assert pair.states() == [State.BACKUP] * 3

    def test_the_next_one_is_tried_for_as_long(self) -> None:
        pair, now = masters()
        for start in (now, now + 10 * SECOND):
            pair.timers(start)
            pair.inside.hand_over(start)
            pair.settle(start)
            pair.timers(start + 5 * SECOND - 1)
            assert pair.states() == [State.HANDOVER] * 3
            pair.timers(start + 5 * SECOND)
            assert pair.states() == [State.MASTER] * 3

    def test_the_slowest_member_has_its_time(self) -> None:
        pair = self.slower_outside()
        pair.timers(T0 + 9 * SECOND)
        assert pair.states() == [State.HANDOVER] * 3
        assert pair.inside.wake_ns <= T0 + 10 * SECOND
        # its successor is late, but there
        pair.both("advert", T0 + 9 * SECOND, heard(90))
        pair.timers(T0 + 9 * SECOND + HANDOVER_LINGER_NS)
        assert pair.states() == [State.BACKUP] * 3

    def test_what_a_fellow_gave_away_is_not_taken_back_here(self) -> None:
        pair, now = masters()
        pair.inside.hand_over(now)
        pair.settle(now)
        for second in range(5):
            pair.inside.advert(now + second * SECOND + 700 * MS, heard(90))
            pair.timers(now + (second + 1) * SECOND)
        assert pair.states() == [State.BACKUP] * 3
        assert pair.inside.held
        assert pair.outside.held
        # until its successor is silent, too
        pair.timers(now + 5 * SECOND + DOWN - 1)
        assert pair.states() == [State.BACKUP] * 3
        pair.timers(now + 5 * SECOND + DOWN)
        assert pair.states() == [State.MASTER] * 3

    def test_a_successor_that_dies_at_once_is_none(self) -> None:
        pair, now = masters()
        pair.inside.hand_over(now)
        pair.settle(now)
        pair.outside.advert(now + 700 * MS, heard(90))
        pair.timers(now + 700 * MS + HANDOVER_LINGER_NS)
        pair.timers(now + 700 * MS + DOWN)
        assert pair.states() == [State.HANDOVER, State.BACKUP, State.HANDOVER]
        pair.timers(now + 5 * SECOND)
        assert pair.states() == [State.MASTER] * 3

    def test_a_member_that_is_still_to_join_does_not_keep_the_others_from_it(self) -> None:
        pair, now = masters()
        pair.regroup(now, "VG", pair.inside)
        pair.inside.hand_over(now)
        pair.outside.shutdown(now, at_once=True)
        pair.outside.start(now + 3 * SECOND)
        pair.regroup(now + 3 * SECOND, "VG", pair.inside, pair.outside)
        pair.timers(now + 5 * SECOND)
        assert pair.states() == [State.MASTER, State.BACKUP, State.MASTER]
        pair.timers(now + 3 * SECOND + DOWN)
        assert pair.states() == [State.MASTER] * 3

    def test_who_is_asked_to_hand_over_serves_although_another_fellow_follows_already(self) -> None:
        """A reload makes a group of one that hands over, one that hears its master, and a master."""
        pair, now = masters()
        pair.regroup(now, "")
        third = Machine(replace(pair.outside.instance, name="third", vrid=53))
        third.start(now)
        third.advert(now, MASTERS_ADVERT)
        pair.inside.hand_over(now)
        members = (pair.inside, third, pair.outside)
        done = pair.done(pair.groups.regroup(now, {"VG": Membership(3, members)}, members))
        assert others(done["out"]) == [SendAdvert(0)]
        assert pair.states() == [State.HANDOVER] * 3

    def test_a_member_that_hands_over_already_takes_its_new_fellow_along(self) -> None:
        pair, now = masters()
        pair.regroup(now, "")
        pair.inside.hand_over(now)
        pair.regroup(now + SECOND, "VG", pair.inside, pair.outside)
        assert pair.states() == [State.HANDOVER] * 3
        pair.timers(now + 6 * SECOND)
        assert pair.states() == [State.MASTER] * 3
