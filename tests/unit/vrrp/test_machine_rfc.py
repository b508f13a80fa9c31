# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each row of the state tables of RFC 9568 sections 6.4.1 to 6.4.3 (version 3), and of RFC 3768 (version 2).

A test has the row's words in its docstring. What the tables say of ARP, neighbour discovery and forwarding is done
by adding and removing addresses.
"""

from __future__ import annotations

import pytest

from _lvs_agent.vrrp.actions import AddVips, Announce, ProbeVips, RemoveVips, SendAdvert, State
from _lvs_agent.vrrp.instance import SECOND
from _lvs_agent.vrrp.machine import HANDOVER_LINGER_NS, Machine
from _lvs_agent.vrrp.timers import master_down, skew
from tests.unit.vrrp.driving import (
    HIGHER,
    LOWER,
    MS,
    T0,
    becomes_master,
    down,
    fire,
    heard,
    instance,
    mastered,
    others,
    started,
    states,
    until,
)


class TestTimers:
    """RFC 9568 section 6.1 and RFC 3768 section 6.1."""

    @pytest.mark.parametrize(
        "version, priority, interval, expected",
        [
            (2, 100, SECOND, 609_375_000),
            (2, 254, SECOND, 7_812_500),
            # a second's fraction, whatever the interval
            (2, 100, 10 * SECOND, 609_375_000),
            (3, 100, SECOND, 609_375_000),
            (3, 100, 100 * MS, 60_937_500),
            # 39,062.5 ns, never early
            (3, 255, 10 * MS, 39_063),
            (3, 1, SECOND, 996_093_750),
        ],
    )
    def test_skew_time(self, version: int, priority: int, interval: int, expected: int) -> None:
        assert skew(version, priority, interval) == expected

    def test_master_down_interval(self) -> None:
        assert master_down(instance(), 100, SECOND) == 3_609_375_000
        assert master_down(instance(version=2), 100, 10 * SECOND) == 30_609_375_000
        assert master_down(instance(down_timer_adverts=5), 100, 100 * MS) == 560_937_500


class TestInitialize:
    """Section 6.4.1."""

    def test_startup_of_the_owner(self) -> None:
        """If the Priority is 255: send an advert, gratuitous ARP, Adver_Timer, transition to Active."""
        machine = Machine(instance(priority=255))
        actions = machine.start(T0)
        assert others(actions) == [RemoveVips(), ProbeVips(), *becomes_master(255)]
        assert states(actions) == [State.MASTER]
        assert machine.wake_ns == T0 + SECOND

    def test_startup_of_others(self) -> None:
        """Else: Active_Adver_Interval is ours, Active_Down_Timer is Active_Down_Interval, transition to Backup."""
        machine = Machine(instance())
        actions = machine.start(T0)
        assert others(actions) == [RemoveVips(), ProbeVips()]
        assert (states(actions), machine.state) == ([State.BACKUP], State.BACKUP)
        assert not states(fire(machine, T0 + down(machine) - 1))
        assert states(fire(machine, T0 + down(machine))) == [State.MASTER]

    def test_nothing_else_matters(self) -> None:
        machine = Machine(instance())
        assert not machine.advert(T0, heard(0))
        assert not machine.timer(T0, T0)
        assert machine.state is State.INIT


class TestBackup:
    """Section 6.4.2."""

    def test_shutdown(self) -> None:
        """Cancel the Active_Down_Timer, transition to Initialize."""
        machine = started()
        actions = machine.shutdown(T0 + 1)
        assert (others(actions), states(actions), machine.state) == ([], [State.INIT], State.INIT)
        assert not until(machine, T0 + 100 * SECOND)

    def test_active_down_timer_fires(self) -> None:
        """Send an advert, gratuitous ARP, Adver_Timer is Advertisement_Interval, transition to Active."""
        machine = started()
        now = T0 + down(machine)
        actions = fire(machine, now)
        assert others(actions) == becomes_master()
        assert states(actions) == [State.MASTER]
        assert others(fire(machine, now + SECOND - 1)) == []
        assert others(fire(machine, now + SECOND)) == [SendAdvert(100)]

    @pytest.mark.parametrize("nopreempt", [False, True])
    def test_advert_of_priority_0(self, nopreempt: bool) -> None:
        """Set the Active_Down_Timer to Skew_Time."""
        machine = started(nopreempt=nopreempt)
        now = T0 + 7 * MS
        machine.advert(now, heard(0))
        assert not states(fire(machine, now + 609_374_999))
        assert states(fire(machine, now + 609_375_000)) == [State.MASTER]

    @pytest.mark.parametrize("priority", [100, 101, 255])
    def test_advert_not_below_ours(self, priority: int) -> None:
        """Active_Adver_Interval is the advert's, recompute both intervals, set the Active_Down_Timer."""
        machine = started()
        now = T0 + SECOND
        assert not others(machine.advert(now, heard(priority, LOWER, interval_cs=50)))
        assert machine.master_interval == SECOND // 2
        assert not states(fire(machine, now + down(machine, SECOND // 2) - 1))
        assert states(fire(machine, now + down(machine, SECOND // 2))) == [State.MASTER]

    def test_advert_below_ours_without_preemption(self) -> None:
        """If Preempt_Mode is False: the same."""
        machine = started(nopreempt=True)
        now = T0 + SECOND
        machine.advert(now, heard(1))
        assert not states(fire(machine, now + down(machine) - 1))
        assert states(fire(machine, now + down(machine))) == [State.MASTER]

    def test_advert_below_ours(self) -> None:
        """Else: discard the advert; the timer runs on, with our own interval."""
        machine = started()
        assert not machine.advert(T0 + 3 * SECOND, heard(99, interval_cs=100))
        assert states(fire(machine, T0 + down(machine))) == [State.MASTER]


class TestActive:
    """Section 6.4.3."""

    def test_shutdown(self) -> None:
        """Cancel the Adver_Timer, send an advert of priority 0, transition to Initialize."""
        machine, now = mastered()
        actions = machine.shutdown(now + 1, at_once=True)
        assert others(actions) == [SendAdvert(0), RemoveVips()]
        assert (states(actions), machine.state) == ([State.INIT], State.INIT)
        assert not until(machine, now + 100 * SECOND)

    def test_adver_timer_fires(self) -> None:
        """Send an advert, reset the Adver_Timer."""
        machine, now = mastered(garp_master_delay=0)
        for second in range(1, 4):
            assert fire(machine, now + second * SECOND) == [SendAdvert(100)]
            assert machine.wake_ns == now + (second + 1) * SECOND

    def test_advert_of_priority_0(self) -> None:
        """Send an advert, reset the Adver_Timer."""
        machine, now = mastered()
        assert machine.advert(now + 300 * MS, heard(0)) == [SendAdvert(100)]
        assert machine.wake_ns == now + 1300 * MS

    @pytest.mark.parametrize("priority, source", [(101, LOWER), (101, HIGHER), (100, HIGHER)])
    def test_advert_above_ours(self, priority: int, source: bytes) -> None:
        """The higher priority, or the same from the higher address: Backup, with the advert's interval."""
        machine, now = mastered(higher_prio_send_advert=False)
        actions = machine.advert(now + 300 * MS, heard(priority, source, interval_cs=50))
        actions = [*actions, *fire(machine, now + 300 * MS + HANDOVER_LINGER_NS)]
        assert others(actions) == [RemoveVips()]
        assert states(actions) == [State.HANDOVER, State.BACKUP]
        again = now + 300 * MS + down(machine, SECOND // 2)
        assert not states(fire(machine, again - 1))
        assert states(fire(machine, again)) == [State.MASTER]

    @pytest.mark.parametrize("priority, source", [(99, HIGHER), (99, LOWER), (100, LOWER)])
    def test_advert_below_ours(self, priority: int, source: bytes) -> None:
        """Else: discard it, and send an advert at once to assert the Active state."""
        machine, now = mastered()
        actions = machine.advert(now + 300 * MS, heard(priority, source))
        assert SendAdvert(100) in actions
        assert machine.state is State.MASTER
        assert not states(actions)


class TestVersion2:
    """RFC 3768 section 6.4, where it differs: the skew is a fraction of a second, and intervals are never adopted."""

    def test_backup(self) -> None:
        machine = started(version=2, advert_int=3 * SECOND)
        now = T0 + SECOND
        machine.advert(now, heard(200, version=2, interval_cs=300))
        assert not states(fire(machine, now + 9_609_374_999))
        assert states(fire(machine, now + 9_609_375_000)) == [State.MASTER]

    def test_priority_0(self) -> None:
        machine = started(version=2, advert_int=3 * SECOND)
        machine.advert(T0 + SECOND, heard(0, version=2, interval_cs=300))
        assert not states(fire(machine, T0 + 1_609_374_999))
        assert states(fire(machine, T0 + 1_609_375_000)) == [State.MASTER]

    def test_master(self) -> None:
        machine = started(version=2, advert_int=3 * SECOND, garp_master_delay=0)
        now = machine.wake_ns
        sent = until(machine, T0 + 20 * SECOND)
        masters = [t for t, action in sent if action == SendAdvert(100)]
        assert now <= T0 + 9_609_375_000
        assert masters == [T0 + 9_609_375_000 + number * 3 * SECOND for number in range(4)]
        assert [action for _t, action in sent if isinstance(action, (AddVips, Announce))] == [AddVips(), Announce(5)]

    def test_higher(self) -> None:
        machine = started(version=2)
        fire(machine, T0 + down(machine))
        assert states(machine.advert(T0 + 5 * SECOND, heard(101, LOWER, version=2))) == [State.HANDOVER]
        assert states(fire(machine, T0 + 5 * SECOND + HANDOVER_LINGER_NS)) == [State.BACKUP]
