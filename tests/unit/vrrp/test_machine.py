# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the state machine does beyond the RFCs' tables: as keepalived, or better where it says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from _lvs_agent.vrrp.actions import (
    Action,
    AddVips,
    AlarmKind,
    Announce,
    LowerPriorityHeard,
    ProbeVips,
    ReadFirst,
    RemoveVips,
    SendAdvert,
    State,
    Transition,
)
from _lvs_agent.vrrp.announcements import LEAST_PACE
from _lvs_agent.vrrp.errors import PacketError, Reason
from _lvs_agent.vrrp.instance import SECOND, Peer
from _lvs_agent.vrrp.machine import HANDOVER_LINGER_NS, Machine
from tests.unit.vrrp.driving import (
    DOWN,
    HIGHER,
    LOWER,
    MS,
    SKEW,
    T0,
    VIPS,
    alarms,
    becomes_master,
    cleared,
    fire,
    heard,
    instance,
    mastered,
    others,
    started,
    states,
    until,
)


class TestPreemptDelay:
    """keepalived.conf(5): seconds after seeing a lower priority master until preemption."""

    def hear_each_second(self, machine: Machine, seconds: range, priority: int) -> None:
        for second in seconds:
            now = T0 + second * SECOND
            fire(machine, now)
            machine.advert(now, heard(priority))

    def test_starts_at_the_first_lower_advert(self) -> None:
        machine = started(preempt_delay=10 * SECOND)
        self.hear_each_second(machine, range(1, 11), 50)
        # the delay is over at 11 s, the last advert that counted came at 10 s
        self.hear_each_second(machine, range(11, 14), 50)
        assert machine.state is State.BACKUP
        assert states(fire(machine, T0 + 10 * SECOND + DOWN)) == [State.MASTER]

    def test_starts_anew_after_a_higher_master(self) -> None:
        machine = started(preempt_delay=10 * SECOND)
        self.hear_each_second(machine, range(1, 10), 50)
        self.hear_each_second(machine, range(10, 12), 150)
        self.hear_each_second(machine, range(12, 22), 50)
        assert machine.state is State.BACKUP
        assert not states(fire(machine, T0 + 21 * SECOND + DOWN - 1))
        assert states(fire(machine, T0 + 21 * SECOND + DOWN)) == [State.MASTER]

    def test_does_not_delay_when_nobody_is_there(self) -> None:
        machine = started(preempt_delay=100 * SECOND)
        machine.advert(T0 + SECOND, heard(50))
        assert states(fire(machine, T0 + SECOND + DOWN)) == [State.MASTER]

    def test_starts_anew_after_an_equal_one(self) -> None:
        machine = started(preempt_delay=10 * SECOND)
        self.hear_each_second(machine, range(1, 6), 50)
        self.hear_each_second(machine, range(6, 7), 100)
        self.hear_each_second(machine, range(7, 20), 50)
        # the first lower one after it came at 7 s, the last that counted at 16 s
        assert not states(fire(machine, T0 + 16 * SECOND + DOWN - 1))
        assert states(fire(machine, T0 + 16 * SECOND + DOWN)) == [State.MASTER]

    def test_ends_although_the_same_advert_comes_again_and_again(self) -> None:
        machine, advert = started(preempt_delay=10 * SECOND), heard(50)
        for second in range(1, 14):
            fire(machine, T0 + second * SECOND)
            machine.advert(T0 + second * SECOND, advert)
        assert states(fire(machine, T0 + 10 * SECOND + DOWN)) == [State.MASTER]

    def test_starts_anew_after_a_fault(self) -> None:
        machine = started(preempt_delay=10 * SECOND)
        self.hear_each_second(machine, range(1, 9), 50)
        machine.set_faults(T0 + 8 * SECOND + MS, TestFault.DOWN)
        machine.set_faults(T0 + 8 * SECOND + 2 * MS, frozenset())
        self.hear_each_second(machine, range(9, 22), 50)
        assert not states(fire(machine, T0 + 18 * SECOND + DOWN - 1))
        assert states(fire(machine, T0 + 18 * SECOND + DOWN)) == [State.MASTER]

    def test_starts_when_a_hand_over_on_request_is_released(self) -> None:
        machine, now = mastered(preempt_delay=10 * SECOND)
        machine.hand_over(now)
        first = (now - T0) // SECOND + 1
        self.hear_each_second(machine, range(first, first + 20), 50)
        assert machine.held
        machine.release()
        self.hear_each_second(machine, range(first + 20, first + 33), 50)
        last = T0 + (first + 29) * SECOND
        assert not states(fire(machine, last + DOWN - 1))
        assert states(fire(machine, last + DOWN)) == [State.MASTER]


class TestStartupDelay:
    def test_the_timer_starts_after_it(self) -> None:
        machine = started(startup_delay=20 * SECOND)
        assert not states(fire(machine, T0 + 20 * SECOND + DOWN - 1))
        assert states(fire(machine, T0 + 20 * SECOND + DOWN)) == [State.MASTER]

    def test_an_advert_in_it_does_not_end_it(self) -> None:
        machine = started(startup_delay=20 * SECOND)
        again = heard(200)
        for second in (1, 2, 3):
            machine.advert(T0 + second * SECOND, again)
        assert states(fire(machine, T0 + 20 * SECOND + DOWN)) == [State.MASTER]
        assert machine.counters.advert_rcvd == 3

    def test_even_the_owner_waits(self) -> None:
        machine = started(priority=255, startup_delay=20 * SECOND)
        machine.advert(T0 + SECOND, heard(254))
        assert machine.state is State.BACKUP
        assert states(fire(machine, T0 + 20 * SECOND)) == [State.MASTER]


class TestAnnouncements:
    def times(self, machine: Machine, end: int) -> list[tuple[int, int]]:
        return [(t, action.repeat) for t, action in until(machine, end) if isinstance(action, Announce)]

    def test_second_round(self) -> None:
        machine = started(garp_master_repeat=3, garp_master_delay=5 * SECOND)
        assert self.times(machine, T0 + 60 * SECOND) == [(T0 + DOWN, 3), (T0 + DOWN + 5 * SECOND, 3)]

    def test_no_second_round(self) -> None:
        assert self.times(started(garp_master_delay=0), T0 + 60 * SECOND) == [(T0 + DOWN, 5)]

    def test_refresh(self) -> None:
        machine = started(
            garp_master_delay=0, garp_master_refresh=20 * SECOND, garp_master_refresh_repeat=2, garp_master_repeat=1
        )
        start = T0 + DOWN
        assert self.times(machine, start + 50 * SECOND) == [
            (start, 1),
            (start + 20 * SECOND, 2),
            (start + 40 * SECOND, 2),
        ]

    def test_nothing_is_announced_after_the_end(self) -> None:
        machine, now = mastered(garp_master_refresh=SECOND)
        machine.advert(now + MS, heard(200))
        assert not self.times(machine, now + DOWN)

    def test_lower_priority(self) -> None:
        machine, now = mastered(garp_master_delay=0, garp_lower_prio_repeat=2, garp_lower_prio_delay=7 * SECOND)
        actions = machine.advert(now + 100 * MS, heard(50))
        assert actions == [LowerPriorityHeard(HIGHER), SendAdvert(100), Announce(2)]
        assert self.times(machine, now + 60 * SECOND) == [(now + 100 * MS + 7 * SECOND, 2)]

    def test_lower_priority_without_advert_or_announcement(self) -> None:
        machine, now = mastered(garp_master_delay=0, garp_lower_prio_repeat=0, lower_prio_no_advert=True)
        assert machine.advert(now + 100 * MS, heard(50)) == [LowerPriorityHeard(HIGHER)]
        assert fire(machine, now + SECOND) == [SendAdvert(100)]

    def test_one_answer_for_all_that_waited_in_the_socket(self) -> None:
        machine, now = mastered()
        answers = [action for _n in range(5) for action in machine.advert(now + 100 * MS, heard(50))]
        assert answers.count(SendAdvert(100)) == answers.count(Announce(5)) == 1
        assert answers.count(LowerPriorityHeard(HIGHER)) == 1
        assert machine.counters.lower_prio_rcvd == 5
        assert len(self.times(machine, now + 3 * SECOND)) == 0

    @pytest.mark.parametrize("interval", [SECOND // 100, SECOND // 10, SECOND], ids=lambda ns: f"{ns / 1e9} s")
    def test_a_flood_is_answered_a_few_times_in_an_interval(self, interval: int) -> None:
        machine, now = mastered(version=3, advert_int=interval, garp_master_delay=0, garp_lower_prio_repeat=2)
        end, flood = now + 5 * SECOND, SECOND // 1000
        found: list[tuple[int, Action]] = []
        for number in range(5000):
            now += flood
            found += until(machine, now)
            advert = heard(50 * (number % 2), interval_cs=interval // 10**7)
            found += [(now, one) for one in machine.advert(now, advert)]
        intervals = 5 * SECOND // interval
        paces = 5 * SECOND // max(interval, LEAST_PACE)
        adverts = [at for at, one in found if isinstance(one, SendAdvert)]
        assert 1 <= len([one for _at, one in found if isinstance(one, LowerPriorityHeard)]) <= paces + 1
        assert paces <= len([one for _at, one in found if isinstance(one, Announce)]) <= paces + 1
        assert intervals <= len(adverts) <= 2 * intervals + 3
        assert max(later - sooner for sooner, later in pairwise(adverts)) <= interval
        # what was heard last may have been from one that lets go only now
        assert self.times(machine, end + interval + SECOND)[0][0] <= end + max(interval, LEAST_PACE)

    def test_two_losers_at_once_and_one_that_resigns_are_all_answered(self) -> None:
        machine, now = mastered()
        sent = [SendAdvert(100) in machine.advert(now + number * MS, heard(50)) for number in (1, 2, 3)]
        assert sent == [True, True, False]
        assert SendAdvert(100) in machine.advert(now + SECOND, heard(0))

    def test_a_lower_master_that_keeps_its_interval_is_told_of_each_time(self) -> None:
        machine, now = mastered()
        told = [
            LowerPriorityHeard(HIGHER) in machine.advert(now + number * SECOND + jitter * MS, heard(50))
            for number, jitter in enumerate((0, 9, -9, 5, -8, 0), 1)
        ]
        assert all(told)


class TestPriority:
    @pytest.mark.parametrize("priority, shift", [(50, 50 * SECOND // 256), (150, -50 * SECOND // 256)])
    def test_a_change_shifts_the_running_timer(self, priority: int, shift: int) -> None:
        machine = started()
        now = T0 + SECOND
        machine.advert(now, heard(200))
        fire(machine, now + 2 * SECOND)
        machine.set_priority(now + 2 * SECOND, priority)
        assert not states(fire(machine, now + DOWN + shift - 1))
        assert states(fire(machine, now + DOWN + shift)) == [State.MASTER]

    def test_a_change_shifts_the_skew_time_of_a_resignation(self) -> None:
        machine = started()
        machine.advert(T0, heard(0))
        machine.set_priority(T0 + MS, 150)
        assert states(fire(machine, T0 + SKEW - 50 * SECOND // 256)) == [State.MASTER]

    def test_a_repeated_advert_is_judged_again(self) -> None:
        machine = started()
        advert = heard(100)
        for second in range(3):
            machine.advert(T0 + second * SECOND, advert)
        machine.set_priority(T0 + 2 * SECOND, 101)
        fire(machine, T0 + 3 * SECOND)
        machine.advert(T0 + 3 * SECOND, advert)
        assert states(fire(machine, T0 + 2 * SECOND + DOWN)) == [State.MASTER]

    def test_up_and_down_again_takes_over_from_nobody(self) -> None:
        """The adverts discarded in between were from a master all the same (keepalived takes over)."""
        machine = started()
        for second in range(4):
            machine.advert(T0 + second * SECOND, heard(150))
            fire(machine, T0 + second * SECOND)
            machine.set_priority(T0 + second * SECOND + MS, 200)
        machine.set_priority(T0 + 3 * SECOND + 2 * MS, 100)
        assert not states(fire(machine, T0 + 3 * SECOND + DOWN - 1))
        assert states(fire(machine, T0 + 3 * SECOND + DOWN)) == [State.MASTER]

    def test_the_next_advert_tells_it(self) -> None:
        machine, now = mastered()
        assert not machine.set_priority(now + MS, 77)
        assert fire(machine, now + SECOND) == [SendAdvert(77)]


class TestFault:
    DOWN = frozenset({"interface eth0 is down"})

    def test_master(self) -> None:
        """keepalived sends two adverts of priority 0."""
        machine, now = mastered()
        actions = machine.set_faults(now + MS, self.DOWN)
        assert others(actions) == [SendAdvert(0), SendAdvert(0), RemoveVips()]
        assert states(actions) == [State.FAULT]
        assert not machine.advert(now + 2 * MS, heard(1))
        assert not until(machine, now + 100 * SECOND)

    def test_backup(self) -> None:
        machine = started()
        actions = machine.set_faults(T0 + MS, self.DOWN)
        assert (others(actions), states(actions)) == ([], [State.FAULT])

    def test_recovery_takes_a_whole_timer(self) -> None:
        machine, now = mastered()
        machine.set_faults(now, self.DOWN)
        assert states(machine.set_faults(now + SECOND, frozenset())) == [State.BACKUP]
        assert not states(fire(machine, now + SECOND + DOWN - 1))
        assert states(fire(machine, now + SECOND + DOWN)) == [State.MASTER]

    def test_the_owner_recovers_at_once(self) -> None:
        machine = started(priority=255)
        machine.set_faults(T0 + MS, self.DOWN)
        assert others(machine.set_faults(T0 + SECOND, frozenset())) == becomes_master(255)

    def test_the_last_of_several_decides(self) -> None:
        machine = started()
        machine.set_faults(T0, self.DOWN | {"script check is down"})
        assert not machine.set_faults(T0 + MS, self.DOWN)
        assert machine.state is State.FAULT

    def test_before_the_start(self) -> None:
        machine = Machine(instance())
        assert not machine.set_faults(T0, self.DOWN)
        actions = machine.start(T0)
        assert (others(actions), states(actions)) == ([RemoveVips()], [State.FAULT])

    def test_the_cause_is_told(self) -> None:
        (transition,) = started().set_faults(T0, self.DOWN)
        assert "interface eth0 is down" in str(transition)


class TestHandOver:
    """Make before break: the VIPs stay until the successor is heard and had the time to announce them."""

    def test_stop(self) -> None:
        machine, now = mastered()
        actions = machine.shutdown(now)
        assert (others(actions), states(actions)) == ([SendAdvert(0)], [State.HANDOVER])
        later = now + 620 * MS
        assert not others(fire(machine, later))
        assert not machine.advert(later, heard(90))
        assert not machine.advert(later + HANDOVER_LINGER_NS // 2, heard(90))
        assert not fire(machine, later + HANDOVER_LINGER_NS - 1)
        actions = fire(machine, later + HANDOVER_LINGER_NS)
        assert (others(actions), states(actions)) == ([RemoveVips()], [State.INIT])

    def test_a_lost_resignation_is_repeated_but_not_before_it_was_due(self) -> None:
        """Each one would restart the others' skew time, which is below one interval."""
        machine, now = mastered()
        machine.shutdown(now)
        zeros = [t - now for t, action in until(machine, now + 4 * SECOND) if action == SendAdvert(0)]
        assert zeros == [1500 * MS, 3000 * MS]

    def test_nobody_takes_over(self) -> None:
        machine, now = mastered()
        machine.shutdown(now)
        # longer than any backup's master down interval
        assert not states(fire(machine, now + 5 * SECOND - 1))
        actions = fire(machine, now + 5 * SECOND)
        assert (others(actions), states(actions)) == ([RemoveVips()], [State.INIT])

    def test_on_request(self) -> None:
        machine, now = mastered()
        machine.hand_over(now)
        machine.advert(now + 700 * MS, heard(50))
        actions = fire(machine, now + 700 * MS + HANDOVER_LINGER_NS)
        assert (others(actions), states(actions)) == ([RemoveVips()], [State.BACKUP])
        assert machine.held

    def test_what_was_given_away_is_not_taken_back(self) -> None:
        machine, now = mastered()
        machine.hand_over(now)
        successor = heard(50)
        for tenth in range(7, 100, 10):
            fire(machine, now + tenth * 100 * MS)
            machine.advert(now + tenth * 100 * MS, successor)
        assert machine.state is State.BACKUP
        last = now + 9700 * MS
        machine.release()
        machine.advert(last, successor)
        assert states(fire(machine, last + DOWN)) == [State.MASTER]
        assert not machine.held

    def test_on_request_and_nobody_takes_over(self) -> None:
        machine, now = mastered()
        machine.hand_over(now)
        actions = fire(machine, now + 5 * SECOND)
        assert states(actions) == [State.MASTER]
        assert alarms(actions) == [AlarmKind.HANDOVER_FAILED]
        assert RemoveVips() not in actions
        assert others(actions)[-2:] == [SendAdvert(100), AddVips()]

    def test_another_resignation_is_no_successor(self) -> None:
        machine, now = mastered()
        machine.shutdown(now)
        assert not machine.advert(now + MS, heard(0))
        assert not states(fire(machine, now + SECOND))

    def test_a_fault_ends_it(self) -> None:
        machine, now = mastered()
        machine.hand_over(now)
        actions = machine.set_faults(now + MS, TestFault.DOWN)
        assert (others(actions), states(actions)) == ([RemoveVips()], [State.FAULT])

    def test_a_fault_ends_the_stop(self) -> None:
        machine, now = mastered()
        machine.shutdown(now)
        actions = machine.set_faults(now + MS, TestFault.DOWN)
        assert (others(actions), states(actions)) == ([RemoveVips()], [State.INIT])

    def test_a_stop_in_it_waits_for_the_successor_unless_told_not_to(self) -> None:
        machine, now = mastered()
        machine.hand_over(now)
        assert not machine.shutdown(now + MS)
        assert states(machine.shutdown(now + 2 * MS, at_once=True)) == [State.INIT]

    def test_after_a_pause_it_listens_before_it_resigns_again(self) -> None:
        machine, now = mastered()
        machine.shutdown(now)
        later = now + 60 * SECOND
        assert alarms(machine.timer(later, later)) == [AlarmKind.LOOP_STALLED]
        assert not others(fire(machine, later + SECOND - 1))
        machine.advert(later + SECOND - 1, heard(90))
        assert states(fire(machine, later + 2 * SECOND)) == [State.INIT]

    def zeros(self, machine: Machine, end: int) -> list[int]:
        return [t for t, action in until(machine, end) if action == SendAdvert(0)]

    def test_a_stall_in_it_puts_the_next_resignation_off(self) -> None:
        """A successor may have taken over meanwhile; the end is where it was."""
        machine, now = mastered()
        machine.hand_over(now)
        woken = now + 2600 * MS
        assert alarms(machine.timer(woken, woken)) == [AlarmKind.LOOP_STALLED]
        assert machine.state is State.HANDOVER
        assert self.zeros(machine, now + 5 * SECOND - 1) == [woken + SECOND]
        assert states(fire(machine, now + 5 * SECOND)) == [State.MASTER]

    def test_an_interval_late_is_no_stall_yet(self) -> None:
        machine, now = mastered()
        machine.hand_over(now)
        woken = now + 2500 * MS
        assert machine.timer(woken, woken) == [SendAdvert(0)]

    def test_a_stall_to_beyond_its_end_leaves_one_interval_to_hear_the_successor(self) -> None:
        machine, now = mastered()
        machine.hand_over(now)
        woken = now + 60 * SECOND
        actions = machine.timer(woken, woken)
        assert (others(actions), states(actions)) == ([], [])
        assert not others(fire(machine, woken + SECOND - 1))
        machine.advert(woken + SECOND - 1, heard(50))
        assert states(fire(machine, woken + 2 * SECOND)) == [State.BACKUP]

    def test_a_stall_to_beyond_its_end_and_nobody_is_there(self) -> None:
        machine, now = mastered()
        machine.hand_over(now)
        woken = now + 60 * SECOND
        machine.timer(woken, woken)
        assert not states(fire(machine, woken + SECOND - 1))
        actions = fire(machine, woken + SECOND)
        assert states(actions) == [State.MASTER]
        assert SendAdvert(0) not in actions

    def test_only_a_master_can(self) -> None:
        machine = started()
        assert not machine.hand_over(T0 + MS)
        assert machine.state is State.BACKUP

    def test_it_may_start_again(self) -> None:
        machine, now = mastered()
        machine.shutdown(now, at_once=True)
        assert states(machine.start(now + SECOND)) == [State.BACKUP]
        machine.advert(now + SECOND, heard(200))
        assert states(machine.shutdown(now + 2 * SECOND)) == [State.INIT]


class TestResume:
    """SIGKILL of the process, or a new version: the VIPs are still there, and no advert may be missed."""

    def test_goes_on_where_it_was(self) -> None:
        machine = Machine(instance())
        actions = machine.start(T0, resume=True)
        assert others(actions) == [SendAdvert(100), AddVips()]
        assert machine.wake_ns == T0 + SECOND
        # the second round, which the former process may have owed
        assert Announce(5) in fire(machine, T0 + 5 * SECOND)

    def test_announces_when_somebody_else_may_have_been_master(self) -> None:
        actions = Machine(instance()).start(T0, resume=True, announce=True)
        assert others(actions) == [SendAdvert(100), AddVips(), Announce(5)]

    def test_not_with_a_fault(self) -> None:
        machine = Machine(instance())
        machine.set_faults(T0, TestFault.DOWN)
        assert states(machine.start(T0, resume=True)) == [State.FAULT]


class TestReload:
    def test_nothing_changed(self) -> None:
        machine, now = mastered()
        wake = machine.wake_ns
        assert not machine.reload(now + MS, instance(), 100)
        assert (machine.state, machine.wake_ns) == (State.MASTER, wake)

    def test_a_master_stays_and_tells_what_is_new(self) -> None:
        machine, now = mastered()
        actions = machine.reload(now + MS, instance(advert_int=SECOND // 2, priority=90), 90)
        assert actions == [AddVips(), SendAdvert(90)]
        assert machine.wake_ns == now + MS + SECOND // 2

    def test_new_addresses_are_announced(self) -> None:
        machine, now = mastered()
        changed = replace(instance(), addresses=(*VIPS, HIGHER))
        assert machine.reload(now + MS, changed, 100) == [AddVips(), SendAdvert(100), Announce(5)]

    def test_a_backup_of_version_3_keeps_to_its_master(self) -> None:
        """A shorter interval of our own says nothing about when the master's next advert comes."""
        machine = started()
        machine.advert(T0 + SECOND, heard(200))
        assert not machine.reload(T0 + SECOND, instance(advert_int=100 * MS), 100)
        assert not states(fire(machine, T0 + SECOND + DOWN - 1))
        assert states(fire(machine, T0 + SECOND + DOWN)) == [State.MASTER]

    def test_a_backup_of_version_2_does_not(self) -> None:
        machine = started(version=2)
        machine.advert(T0 + SECOND, heard(200, version=2))
        machine.reload(T0 + SECOND, instance(version=2, advert_int=2 * SECOND), 100)
        assert not states(fire(machine, T0 + 7 * SECOND + SKEW - 1))
        assert states(fire(machine, T0 + 7 * SECOND + SKEW)) == [State.MASTER]

    def test_a_fault_stays_one(self) -> None:
        machine = started()
        machine.set_faults(T0, TestFault.DOWN)
        assert not machine.reload(T0 + MS, instance(priority=90), 90)
        assert machine.state is State.FAULT


class TestStalls:
    """A late timer proves nothing about the master: read first, then wait for one more advert."""

    def test_the_socket_comes_first(self) -> None:
        machine = started()
        machine.advert(T0, heard(200))
        due = machine.wake_ns
        assert machine.timer(due + MS, due - 1) == (ReadFirst(),)
        machine.advert(due + MS, heard(200))
        assert not machine.timer(due + MS, due + MS)
        assert machine.counters.advert_missed == 0

    def test_after_a_long_sleep_one_interval_is_granted(self) -> None:
        machine = started()
        machine.advert(T0, heard(200))
        now = T0 + 60 * SECOND
        actions = machine.timer(now, now)
        assert (states(actions), alarms(actions)) == ([], [AlarmKind.LOOP_STALLED])
        assert not states(fire(machine, now + SECOND + SKEW - 1))
        assert states(fire(machine, now + SECOND + SKEW)) == [State.MASTER]
        assert machine.counters.loop_stalls == 1

    def test_a_sleep_that_ends_just_when_the_time_is_up(self) -> None:
        machine = started()
        machine.advert(T0, heard(200))
        now = T0 + DOWN + MS
        assert alarms(machine.timer(now, now)) == [AlarmKind.LOOP_STALLED]
        machine.advert(now + MS, heard(200))
        assert not states(fire(machine, now + MS + DOWN - 1))

    def test_it_is_granted_three_times(self) -> None:
        """A host that is always late must still take over in the end."""
        machine = started()
        machine.advert(T0, heard(200))
        now, turns = T0, 0
        while machine.state is State.BACKUP and turns < 10:
            now = machine.wake_ns + 5 * SECOND
            machine.timer(now, now)
            turns += 1
        assert turns == 3 + 1

    @pytest.mark.parametrize("advert", ["the same", "another", "a resignation"])
    def test_it_is_granted_again_after_an_advert(self, advert: str) -> None:
        """The host is late now and then, and its master is there."""
        machine, first = started(), heard(200)
        machine.advert(T0, first)
        for _advert in range(3):
            for _stall in range(3):
                now = machine.wake_ns + 5 * SECOND
                assert not states(machine.timer(now, now))
            machine.advert(now, {"the same": first, "another": heard(201), "a resignation": heard(0)}[advert])
        now = machine.wake_ns + 5 * SECOND
        assert not states(machine.timer(now, now))
        assert machine.counters.loop_stalls == 10

    def test_not_after_a_lower_one(self) -> None:
        """Which is to be preempted: the timer goes on."""
        machine = started()
        machine.advert(T0, heard(200))
        for _stall in range(3):
            now = machine.wake_ns + 5 * SECOND
            machine.timer(now, now)
            machine.advert(now, heard(50))
        now = machine.wake_ns + 5 * SECOND
        assert states(machine.timer(now, now)) == [State.MASTER]

    @pytest.mark.parametrize("late, stalled", [(SECOND // 2, False), (SECOND // 2 + 1, True)])
    def test_half_an_interval_late_is_the_limit(self, late: int, stalled: bool) -> None:
        machine = started()
        machine.advert(T0, heard(200))
        now = machine.wake_ns + late
        assert bool(alarms(machine.timer(now, now))) is stalled
        # a stalled one looks again an interval later, and is not due before a skew time after that
        assert machine.wake_ns == now + SECOND

    def test_a_grant_shortens_no_timer(self) -> None:
        machine = started()
        machine.advert(T0, heard(200))
        # the first look, 1.5 s after the advert, comes 0.6 s late: 1.609 s after that would be as the timer says
        now = T0 + 2100 * MS
        assert alarms(machine.timer(now, now)) == [AlarmKind.LOOP_STALLED]
        assert not states(fire(machine, now + SECOND + SKEW - 1))
        assert states(fire(machine, now + SECOND + SKEW)) == [State.MASTER]
        short = started(down_timer_adverts=9)
        short.advert(T0, heard(200))
        short.timer(now, now)
        assert not states(fire(short, T0 + 9 * SECOND + SKEW - 1))
        assert states(fire(short, T0 + 9 * SECOND + SKEW)) == [State.MASTER]

    def test_a_priority_that_changes_first_hides_no_stall(self) -> None:
        machine = started()
        machine.advert(T0, heard(200))
        fire(machine, T0 + DOWN - MS)
        now = T0 + DOWN + 600 * MS
        machine.set_priority(now, 101)
        actions = machine.timer(now, now)
        assert (states(actions), alarms(actions)) == ([], [AlarmKind.LOOP_STALLED])

    def test_a_priority_that_rises_makes_nobody_late(self) -> None:
        """The timer moves before now: it is due, which is no stall."""
        machine = started()
        machine.advert(T0, heard(200))
        fire(machine, T0 + DOWN - MS)
        machine.set_priority(T0 + DOWN - MS, 250)
        actions = machine.timer(T0 + DOWN - MS, T0 + DOWN - MS)
        assert (states(actions), alarms(actions)) == ([State.MASTER], [])

    def test_a_little_late_is_not_stalled(self) -> None:
        machine = started()
        machine.advert(T0, heard(200))
        fire(machine, T0 + DOWN - 1)
        now = T0 + DOWN + 500 * MS
        assert states(machine.timer(now, now)) == [State.MASTER]

    def test_missing_adverts_are_counted_before_they_matter(self) -> None:
        machine = started()
        advert = heard(200)
        for second in (0, 1, 2):
            machine.advert(T0 + second * SECOND, advert)
        fire(machine, T0 + 4600 * MS)
        machine.advert(T0 + 4700 * MS, advert)
        assert machine.counters.advert_missed == 2
        assert machine.state is State.BACKUP

    def test_a_master_reads_first_too(self) -> None:
        machine, now = mastered()
        late = now + 10 * SECOND
        assert machine.timer(late, now) == (ReadFirst(),)
        assert states(machine.advert(late, heard(200))) == [State.HANDOVER]

    def test_a_late_master(self) -> None:
        machine, now = mastered(garp_master_delay=0)
        actions = machine.timer(now + 10 * SECOND, now + 10 * SECOND)
        assert others(actions) == [SendAdvert(100)]
        assert alarms(actions) == [AlarmKind.LOOP_STALLED]
        assert machine.wake_ns == now + 11 * SECOND

    def test_a_little_late_does_not_shift_the_adverts(self) -> None:
        machine, now = mastered(garp_master_delay=0)
        machine.timer(now + 1020 * MS, now + 1020 * MS)
        assert machine.wake_ns == now + 2 * SECOND

    def test_an_early_call_does_nothing(self) -> None:
        machine = started()
        assert not machine.timer(machine.wake_ns - 1, 0)


class TestTwoMasters:
    def test_an_ordinary_change_of_master_is_none(self) -> None:
        machine, now = mastered(priority=200)
        assert not alarms(machine.advert(now + MS, heard(100)))

    def test_a_master_that_hears_another_one(self) -> None:
        machine, now = mastered(priority=200)
        now += 5 * SECOND
        (alarm,) = [a for a in machine.advert(now, heard(100)) if alarms([a])]
        assert alarms([alarm]) == [AlarmKind.TWO_MASTERS]
        assert "192.0.2.11" in str(alarm)
        assert not alarms(machine.advert(now + SECOND, heard(100)))

    def alternate(self, machine: Machine, sources: list[bytes]) -> list[AlarmKind]:
        kinds = []
        for number, source in enumerate(sources):
            kinds += alarms(machine.advert(T0 + number * SECOND // 2, heard(150, source)))
        return kinds

    def test_a_backup_that_hears_both(self) -> None:
        assert self.alternate(started(), [LOWER, HIGHER] * 3) == [AlarmKind.TWO_MASTERS]

    def test_a_backup_that_hears_them_change(self) -> None:
        """The winner, the loser's answer, the winner's, and so it stays."""
        assert self.alternate(started(), [LOWER, LOWER, HIGHER, LOWER, HIGHER, HIGHER]) == []

    def test_changes_long_apart_are_different_stories(self) -> None:
        machine = started(nopreempt=True)
        for number in range(8):
            actions = machine.advert(T0 + number * 3600 * SECOND, heard(50, (LOWER, HIGHER)[number % 2]))
            assert not alarms(actions)


class TestAlarms:
    def test_a_list_that_differs_is_followed_all_the_same(self) -> None:
        machine = started()
        actions = machine.advert(T0, heard(200, addresses=(*VIPS, bytes((192, 0, 2, 101)))))
        assert alarms(actions) == [AlarmKind.VIP_LIST_DIFFERS]
        assert "only 192.0.2.11 has 192.0.2.101, only here is nothing" in str(actions)
        assert machine.master_source == HIGHER
        assert machine.counters.addr_list_err == 1

    def test_another_order_does_not_differ(self) -> None:
        machine = Machine(replace(instance(), addresses=(LOWER, HIGHER)))
        machine.start(T0)
        assert not machine.advert(T0, heard(200, addresses=(HIGHER, LOWER)))

    def test_nothing_in_common_is_a_stranger(self) -> None:
        assert alarms(started().advert(T0, heard(200, addresses=(LOWER,)))) == [AlarmKind.STRANGER]

    def test_interval_of_version_3(self) -> None:
        assert alarms(started().advert(T0, heard(200, interval_cs=10))) == [AlarmKind.INTERVAL_DIFFERS]

    def test_unknown_peer(self) -> None:
        machine = started(unicast_peers=(Peer(LOWER),))
        assert alarms(machine.advert(T0, heard(200))) == [AlarmKind.STRANGER]
        assert not machine.advert(T0, heard(200, LOWER))

    def test_two_owners(self) -> None:
        machine = started(priority=255)
        actions = machine.advert(T0 + MS, heard(255))
        assert alarms(actions) == [AlarmKind.OWNER_CONFLICT]
        assert states(actions) == [State.HANDOVER]

    @pytest.mark.parametrize(
        "reason, kinds",
        [
            (Reason.AUTH_FAILURE, [AlarmKind.AUTHENTICATION]),
            (Reason.ADVERT_INTERVAL, [AlarmKind.INTERVAL_DIFFERS]),
            (Reason.VERSION, [AlarmKind.STRANGER]),
            (Reason.CHECKSUM, []),
            # a network that duplicates is no attack
            (Reason.AUTH_REPLAY, []),
        ],
    )
    def test_dropped_packets_are_counted_by_reason(self, reason: Reason, kinds: list[AlarmKind]) -> None:
        machine = started()
        for _packet in range(3):
            kinds_seen = alarms(machine.rejected(T0, PacketError(reason, "it is wrong", HIGHER)))
            assert kinds_seen == kinds
            kinds = []
        assert machine.counters.errors == {reason: 3}

    def test_it_goes_off_when_it_is_over(self) -> None:
        machine = started()
        machine.advert(T0, heard(200, interval_cs=10))
        fine = heard(200)
        off = []
        for second in range(1, 12):
            off += [(second, kind) for kind in cleared(fire(machine, T0 + second * SECOND))]
            machine.advert(T0 + second * SECOND, fine)
        assert off == [(10, AlarmKind.INTERVAL_DIFFERS)]

    def test_it_stays_on_while_the_same_advert_comes_again(self) -> None:
        machine = started()
        wrong = heard(200, interval_cs=10)
        actions: list[Action] = []
        for tenth in range(300):
            now = T0 + tenth * 100 * MS
            actions += [*fire(machine, now), *machine.advert(now, wrong)]
        assert (alarms(actions), cleared(actions)) == ([AlarmKind.INTERVAL_DIFFERS], [])

    def test_forged_sources_do_not_fill_the_memory(self) -> None:
        machine = started()
        actions: list[Action] = []
        for number in range(1000):
            source = number.to_bytes(4, "big")
            actions += machine.rejected(T0, PacketError(Reason.AUTH_FAILURE, "another password", source))
        assert len(alarms(actions)) == len(machine.alarms.active()) < 40


class TestProbe:
    """Left-over or foreign holders of a VIP, whom we do not hear as VRRP routers."""

    def test_is_sent_at_the_start(self) -> None:
        assert ProbeVips() in Machine(instance()).start(T0)

    def test_a_holder_without_adverts(self) -> None:
        machine = started()
        assert not machine.vip_answered(T0 + MS, "02:00:00:00:00:07")
        actions = fire(machine, T0 + DOWN)
        assert states(actions) == [State.MASTER]
        assert alarms(actions) == [AlarmKind.VIP_HELD_ELSEWHERE]

    def test_a_master_explains_it(self) -> None:
        machine = started()
        machine.vip_answered(T0 + MS, "02:00:00:00:00:07")
        machine.advert(T0 + 2 * MS, heard(200))
        actions = fire(machine, T0 + 2 * MS + DOWN)
        assert (states(actions), alarms(actions)) == ([State.MASTER], [])

    def test_a_claim_while_master(self) -> None:
        machine, now = mastered()
        assert alarms(machine.vip_answered(now, "02:00:00:00:00:07")) == [AlarmKind.VIP_HELD_ELSEWHERE]


class TestCauses:
    """The engineer on call reads why."""

    def cause(self, actions: Sequence[Action]) -> str:
        return next(action.cause for action in actions if isinstance(action, Transition))

    def test_silence(self) -> None:
        machine = started()
        machine.advert(T0 + SECOND, heard(200))
        actions = fire(machine, T0 + SECOND + DOWN)
        assert self.cause(actions) == "no advert from 192.0.2.11 for 3.609 s"

    def test_resignation(self) -> None:
        machine = started()
        machine.advert(T0 + SECOND, heard(0))
        assert self.cause(fire(machine, T0 + 2 * SECOND)) == "192.0.2.11 resigned"

    def test_preemption(self) -> None:
        machine = started()
        machine.advert(T0 + SECOND, heard(50))
        actions = fire(machine, T0 + DOWN)
        assert self.cause(actions) == "priority 100 is above 50 of 192.0.2.11"
        # the other one lets go when it hears the advert
        assert others(actions) == [AddVips(), SendAdvert(100), Announce(5)]

    def test_nobody(self) -> None:
        assert self.cause(fire(started(), T0 + DOWN)) == "no advert was heard since the start"

    def test_tie_break(self) -> None:
        machine, now = mastered()
        assert self.cause(machine.advert(now, heard(100))) == (
            "equal priority 100, and 192.0.2.11 is the higher address"
        )


def test_counters() -> None:
    machine, now = mastered(garp_master_delay=0)
    fire(machine, now + 3 * SECOND)
    machine.advert(now + 3 * SECOND + MS, heard(0))
    machine.advert(now + 3 * SECOND + 2 * MS, heard(200))
    counters = machine.counters
    assert (counters.become_master, counters.release_master) == (1, 1)
    assert (counters.advert_sent, counters.advert_rcvd) == (5, 2)
    assert (counters.pri_zero_rcvd, counters.pri_zero_sent) == (1, 0)
