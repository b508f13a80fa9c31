# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A master that hears a higher one: it serves on for a moment, says nothing, and listens as a backup does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from _lvs_agent.vrrp.actions import Action, AlarmKind, Announce, RemoveVips, SendAdvert, State, Transition
from _lvs_agent.vrrp.instance import SECOND
from _lvs_agent.vrrp.machine import HANDOVER_LINGER_NS, Machine
from tests.unit.vrrp.driving import (
    DOWN,
    HIGHER,
    LOWER,
    MS,
    SKEW,
    SOURCE,
    T0,
    alarms,
    becomes_master,
    fire,
    heard,
    instance,
    mastered,
    others,
    started,
    states,
    until,
)

CABLE = frozenset({"interface eth0 is down"})
FAST = {"advert_int": 10 * MS, "garp_master_delay": 0}
FAST_DOWN = DOWN // 100


def yielding(priority: int = 200, **parameters: object) -> tuple[Machine, int]:
    """A master that has just heard a higher one, and when that was."""
    machine, now = mastered(**parameters)
    now += MS
    interval_cs = machine.instance.advert_int // (10 * MS)
    assert states(machine.advert(now, heard(priority, interval_cs=interval_cs))) == [State.HANDOVER]
    assert machine.yielding
    return machine, now


def causes(actions: Sequence[Action]) -> list[str]:
    return [action.cause for action in actions if isinstance(action, Transition)]


class TestServing:
    def test_it_serves_on_and_says_nothing(self) -> None:
        machine, now = mastered(garp_master_refresh=10 * MS)
        actions = machine.advert(now + MS, heard(200))
        assert (others(actions), states(actions)) == ([], [State.HANDOVER])
        assert not fire(machine, now + MS + HANDOVER_LINGER_NS - 1)

    def test_then_it_lets_go_and_makes_the_winner_announce_once_more(self) -> None:
        machine, now = yielding()
        actions = fire(machine, now + HANDOVER_LINGER_NS)
        assert others(actions) == [RemoveVips(), SendAdvert(100)]
        assert states(actions) == [State.BACKUP]
        assert causes(actions) == ["priority 200 of 192.0.2.11 is above 100"]
        assert not machine.yielding
        assert not others(until(machine, now + SECOND))

    def test_without_that_advert(self) -> None:
        machine, now = yielding(higher_prio_send_advert=False)
        assert others(fire(machine, now + HANDOVER_LINGER_NS)) == [RemoveVips()]

    def test_it_was_no_hand_over_on_request(self) -> None:
        machine, now = yielding()
        assert not machine.held
        fire(machine, now + HANDOVER_LINGER_NS)
        assert not machine.held

    def test_a_new_configuration_does_not_end_it(self) -> None:
        machine, now = yielding()
        assert not machine.reload(now + MS, instance(priority=90), 90)
        assert others(fire(machine, now + HANDOVER_LINGER_NS)) == [RemoveVips(), SendAdvert(90)]

    def test_who_asks_for_a_hand_over_has_one(self) -> None:
        machine, now = yielding()
        assert not machine.hand_over(now + MS)
        assert states(fire(machine, now + HANDOVER_LINGER_NS)) == [State.BACKUP]


class TestEnds:
    def test_a_fault(self) -> None:
        machine, now = yielding()
        actions = machine.set_faults(now + MS, CABLE)
        assert (others(actions), states(actions)) == ([RemoveVips(), SendAdvert(100)], [State.FAULT])
        assert not until(machine, now + 100 * SECOND)

    def test_a_fault_that_is_over_begins_anew(self) -> None:
        machine, now = yielding()
        machine.set_faults(now + MS, CABLE)
        machine.set_faults(now + 2 * MS, frozenset())
        assert states(fire(machine, now + 2 * MS + DOWN)) == [State.MASTER]

    def test_a_stop_serves_to_the_end(self) -> None:
        machine, now = yielding()
        assert not machine.shutdown(now + MS)
        assert not fire(machine, now + HANDOVER_LINGER_NS - 1)
        actions = fire(machine, now + HANDOVER_LINGER_NS)
        assert (others(actions), states(actions)) == ([RemoveVips(), SendAdvert(100)], [State.INIT])
        assert causes(actions) == ["stop"]

    def test_a_stop_does_not_become_master_again(self) -> None:
        machine, now = yielding(**FAST)
        machine.shutdown(now + MS)
        machine.advert(now + 2 * MS, heard(200, interval_cs=1))
        assert states(until_actions(machine, now + SECOND)) == [State.INIT]

    def test_a_stop_at_once(self) -> None:
        machine, now = yielding()
        actions = machine.shutdown(now + MS, at_once=True)
        assert (others(actions), states(actions)) == ([RemoveVips(), SendAdvert(100)], [State.INIT])

    def test_a_stop_of_one_that_resigned_on_request(self) -> None:
        machine, now = mastered(**FAST)
        machine.hand_over(now)
        machine.advert(now + 7 * MS, heard(50, interval_cs=1))
        assert not machine.shutdown(now + 8 * MS)
        assert states(until_actions(machine, now + SECOND)) == [State.INIT]


def until_actions(machine: Machine, end: int) -> list[Action]:
    return [action for _t, action in until(machine, end)]


class TestListening:
    """The timers are a backup's, from the advert that was heard: never early, never late."""

    def test_the_winner_dies(self) -> None:
        machine, now = yielding()
        fire(machine, now + DOWN - 1)
        assert machine.state is State.BACKUP
        assert states(fire(machine, now + DOWN)) == [State.MASTER]

    def test_the_winner_dies_before_it_ends(self) -> None:
        """Adverts of 10 ms: the VIPs never leave."""
        machine, now = yielding(**FAST)
        assert not fire(machine, now + FAST_DOWN - 1)
        actions = fire(machine, now + FAST_DOWN)
        assert (states(actions), others(actions)) == ([State.MASTER], becomes_master())
        later = until_actions(machine, now + SECOND)
        assert RemoveVips() not in later
        assert not states(later)

    def test_the_winner_goes_on(self) -> None:
        machine, now = yielding(**FAST)
        advert = heard(200, interval_cs=1)
        for number in range(1, 20):
            fire(machine, now + number * 10 * MS)
            machine.advert(now + number * 10 * MS, advert)
        last = now + 190 * MS
        assert not states(fire(machine, last + FAST_DOWN - 1))
        assert states(fire(machine, last + FAST_DOWN)) == [State.MASTER]

    def test_a_successor_on_request_dies(self) -> None:
        machine, now = mastered()
        machine.hand_over(now)
        machine.advert(now + 700 * MS, heard(50))
        assert not states(fire(machine, now + 700 * MS + HANDOVER_LINGER_NS - 1))
        assert states(fire(machine, now + 700 * MS + DOWN - 1)) == [State.BACKUP]
        assert states(fire(machine, now + 700 * MS + DOWN)) == [State.MASTER]

    def test_the_winner_resigns(self) -> None:
        machine, now = yielding(**FAST)
        machine.advert(now + MS, heard(0, interval_cs=1))
        assert states(fire(machine, now + MS + SKEW // 100)) == [State.MASTER]

    def test_the_winner_resigns_and_there_is_nobody_to_answer(self) -> None:
        machine, now = yielding()
        machine.advert(now + MS, heard(0))
        actions = fire(machine, now + MS + SKEW)
        assert states(actions) == [State.BACKUP, State.MASTER]
        assert others(actions)[0] == RemoveVips()
        assert [one for one in others(actions) if isinstance(one, SendAdvert)] == [SendAdvert(100)]

    def test_a_still_higher_one(self) -> None:
        machine, now = yielding()
        assert not machine.advert(now + MS, heard(210, LOWER))
        assert machine.master_source == LOWER
        assert others(fire(machine, now + HANDOVER_LINGER_NS)) == [RemoveVips(), SendAdvert(100)]
        assert states(fire(machine, now + MS + DOWN)) == [State.MASTER]

    def test_a_lower_one_does_not_count(self) -> None:
        machine, now = yielding()
        machine.advert(now + MS, heard(50, LOWER))
        assert states(fire(machine, now + DOWN)) == [State.BACKUP, State.MASTER]

    def test_a_priority_that_rises_makes_nobody_yield(self) -> None:
        """The winner would leave before we are master."""
        machine, now = yielding(150)
        machine.set_priority(now + MS, 200)
        assert others(fire(machine, now + HANDOVER_LINGER_NS)) == [RemoveVips()]
        assert states(fire(machine, now + DOWN - 100 * SECOND // 256)) == [State.MASTER]

    def test_a_long_sleep(self) -> None:
        machine, now = yielding()
        later = now + 60 * SECOND
        actions = machine.timer(later, later)
        assert states(actions) == [State.BACKUP]
        assert alarms(actions) == [AlarmKind.LOOP_STALLED]

    def test_an_owner_that_is_not_the_only_one(self) -> None:
        machine = Machine(instance(priority=255))
        machine.start(T0)
        assert states(machine.advert(T0 + MS, heard(255))) == [State.HANDOVER]
        actions = fire(machine, T0 + MS + HANDOVER_LINGER_NS)
        assert (others(actions), states(actions)) == ([RemoveVips(), SendAdvert(255)], [State.BACKUP])


class TestTheWinner:
    """It hears the loser at least once, when that one no longer answers (keepalived: only if told to)."""

    @pytest.mark.parametrize("interval", [SECOND, 10 * MS])
    def test_it_announces_and_that_is_no_alarm(self, interval: int) -> None:
        machine = started(priority=200, advert_int=interval)
        now = machine.wake_ns
        while machine.state is not State.MASTER:
            now = machine.wake_ns
            machine.timer(now, now)
        fire(machine, now + HANDOVER_LINGER_NS)
        actions = machine.advert(now + HANDOVER_LINGER_NS + MS, heard(100, interval_cs=interval // (10 * MS)))
        assert Announce(5) in actions
        assert not alarms(actions)

    def test_a_healed_split(self) -> None:
        winner, _when = mastered(priority=200)
        loser = Machine(replace(instance(), source=HIGHER))
        loser.start(T0)
        fire(loser, T0 + DOWN)
        now = T0 + 10 * SECOND
        loser.advert(now, heard(200, SOURCE))
        now += HANDOVER_LINGER_NS
        assert SendAdvert(100) in fire(loser, now)
        assert Announce(5) in winner.advert(now + MS, heard(100, HIGHER))
        assert (winner.state, loser.state) == (State.MASTER, State.BACKUP)

    def test_our_own_address_is_no_winner(self) -> None:
        machine, now = mastered()
        actions = machine.advert(now + MS, heard(100, SOURCE))
        assert others(actions) == []
        assert alarms(actions) == [AlarmKind.SAME_SOURCE]
        assert machine.state is State.MASTER


class TestFollowingItsGroup:
    """Another member has heard a winner; this one has not yet."""

    def test_it_answers_the_first_advert_of_the_winner_here(self) -> None:
        machine, now = mastered()
        actions = machine.demote(now, "sync group VG: other is in HANDOVER")
        assert (others(actions), states(actions)) == ([], [State.HANDOVER])
        assert others(fire(machine, now + HANDOVER_LINGER_NS)) == [RemoveVips()]
        assert machine.advert(now + 500 * MS, heard(200)) == [SendAdvert(100)]
        assert not machine.advert(now + 1500 * MS, heard(200))

    def test_nobody_is_heard(self) -> None:
        machine, now = mastered()
        machine.demote(now, "sync group VG: other is in HANDOVER")
        actions = fire(machine, now + DOWN)
        assert others(actions) == [RemoveVips(), *becomes_master()]
        assert machine.advert(now + DOWN + MS, heard(200))
        later = fire(machine, now + DOWN + MS + HANDOVER_LINGER_NS)
        assert others(later) == [RemoveVips(), SendAdvert(100)]
