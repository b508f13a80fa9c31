# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state machine of one VRRP instance: events and the time in, actions out. It has no clock and no socket.

Sources: RFC 9568 and RFC 3768 section 6.4, and keepalived where the RFCs are silent. Time is an integer of nanoseconds
that never goes back. Each method returns the actions to carry out in order; afterwards ``wake_ns`` tells when
``timer`` is due (it may be called early, or when nothing is due; an advert usually moves it, so it is cheap to leave
an entry in a heap and look again when that comes up).

The order of events after any sleep: read the clock; read every socket until it is empty, and hand over what came;
then the timers. That the master is silent is known only when the socket was found empty after the deadline, so
``timer`` takes the time of that, too, and answers ReadFirst when it is too old. One ``now`` for a whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .actions import (
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
from .alarms import NEVER, Alarms
from .announcements import Announcements, pace
from .counters import Counters
from .down_timer import DownTimer
from .errors import PacketError
from .instance import CENTISECOND, Instance
from .ip import text
from .limit import Limit
from .packet import Advert
from .watch import Watch

# After its successor's first advert a master serves on for as long as that one needs to add the addresses and announce
# them: whoever has not heard the announcement yet still sends to us.
HANDOVER_LINGER_NS = 50_000_000
# A resignation may get lost: then the others need a whole master down interval, and we serve until they are there.
_HANDOVER_LIMIT_ADVERTS = 2
# The successor of a heard resignation is there after one skew time, which is below one interval.
_RESIGN_AGAIN_HALVES = 3
# Answers in an interval to adverts that lose and to resignations: forged ones must not make us flood the network.
_ANSWERS = 2
_NOTHING: tuple[Action, ...] = ()


class Ties(Protocol):
    """What a sync group is to a member (:class:`.sync.Group`)."""

    def fault_of(self, machine: Machine) -> str:
        """Why the others keep this member from being master, for people; "" when they do not."""


class Machine:
    """One instance; read its attributes, change them through the methods only.

    ``priority`` is the effective one. ``held``: it gave mastership away on request, and takes it back only when the
    others are silent, or after ``release``. ``group`` is set by :mod:`.sync` alone, None outside of a sync group; a
    member does not decide by itself when its timer has run out (``wants_master``) or its hand-over has found no
    successor (``unclaimed``), but leaves it to the group. Both are its own, and count at once when it leaves the group.
    ``yielding``: its successor was heard; it says nothing any more, listens as a backup does, and serves on a moment.
    """

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.state = State.INIT
        self.priority = instance.priority
        self.faults: frozenset[str] = frozenset()
        self.counters = Counters()
        self.alarms = Alarms()
        self.wake_ns = NEVER
        self.group: Ties | None = None
        self.held = False
        self.master_source = b""
        self.master_priority = 0
        self.master_interval = instance.advert_int
        self._watch = Watch(self.alarms, self.counters)
        self._down = DownTimer(instance, self.priority)
        self._deadline = NEVER  # a master's Adver_Timer, or the next step of a hand-over
        self._announcements = Announcements()
        self._answers = Limit(_ANSWERS)
        self._lower_notices = Limit()
        self._listen_until = 0  # the end of the start-up delay
        self._preempt_at = NEVER
        self._calm: Advert | None = None  # the advert that only restarts the timer
        self._heard = 0
        self._sent = -1
        self._master_since = 0
        self._give_up = NEVER  # the end of a hand-over that nobody follows
        self._gave_up = False
        self._stopping = False
        self._linger = NEVER  # the end of yielding
        self._why_left = ""
        self._owes_advert = False  # higher_prio_send_advert, when the VIPs are gone and the winner is heard
        self._probe_answer = ""
        self._why_silent = ""

    @property
    def yielding(self) -> bool:
        """Whether it only serves on until others know its successor."""
        return self._linger != NEVER

    @property
    def wants_master(self) -> bool:
        """Whether its Active_Down_Timer has run out."""
        return self._down.expired

    @property
    def follows(self) -> bool:
        """Whether it is a backup of a master that it hears, and lets be."""
        heard = self.master_source and not self._why_silent
        return self.state is State.BACKUP and bool(heard) and not self.wants_master

    @property
    def resigning(self) -> bool:
        """Whether it is looking for a successor."""
        return self.state is State.HANDOVER and not self.yielding

    @property
    def unclaimed(self) -> bool:
        """Whether it has looked for a successor for long enough."""
        return self.resigning and self._gave_up

    @property
    def standing(self) -> tuple[object, ...]:
        """All that its sync group's decisions depend on."""
        return self.state, self.faults, self.wants_master, self.follows, self.yielding, self.unclaimed

    @property
    def group_fault(self) -> str:
        """Why its sync group keeps it from being master, for people."""
        return self.group.fault_of(self) if self.group is not None else ""

    @property
    def _listens(self) -> bool:
        """Whether the timers are those of a backup."""
        return self.state is State.BACKUP or (self.yielding and not self._stopping)

    # ---- events of the surroundings

    def start(
        self, now: int, *, resume: bool = False, announce: bool = False, not_before: int = 0
    ) -> Sequence[Action]:
        """Leave INIT (RFC 9568 section 6.4.1). ``resume``: the process before us was master a moment ago.

        ``announce``: so long ago that somebody else may have announced the VIPs. ``not_before`` is when it may become
        master, as after the start-up delay.
        """
        if self.state is not State.INIT:
            return _NOTHING
        self._stopping = self.held = False
        self._listen_until = max(now + self.instance.startup_delay, not_before)
        if self._unfit():
            self.state = State.FAULT
            return self._armed([RemoveVips(), Transition(State.FAULT, self._fault_text())])
        if resume:
            return self._armed(self._become_master(now, "resumed after a restart", announce=announce))
        return self._armed([RemoveVips(), *self._begin(now, "start", probe=True)])

    def advert(self, now: int, advert: Advert) -> Sequence[Action]:
        """An advert that the instance's Receiver let pass."""
        if self.state is State.BACKUP:
            if advert is self._calm:
                self.counters.advert_rcvd += 1
                self._heard = now
                self._down.restart(now, self._listen_until)
                self.wake_ns = min(self._down.wake, self.alarms.due)
                return _NOTHING
            handle = self._advert_in_backup
        elif self.state is State.MASTER:
            handle = self._advert_in_master
        elif self.state is State.HANDOVER:
            handle = self._advert_in_handover
        else:
            return _NOTHING
        self.counters.advert_rcvd += 1
        actions = self._watch.content(now, self.instance, advert)
        actions += handle(now, advert)
        self._heard = now
        return self._armed(actions)

    def rejected(self, now: int, error: PacketError) -> Sequence[Action]:
        """A packet for this instance that its Receiver did not let pass."""
        return self._armed(self._watch.rejected(now, self.instance, error))

    def timer(self, now: int, drained_ns: int) -> Sequence[Action]:
        """``wake_ns`` has come. ``drained_ns``: what was received before that time has been handed over."""
        if now < self.wake_ns:
            return _NOTHING
        if drained_ns < self.wake_ns:
            return (ReadFirst(),)
        actions: list[Action] = []
        if now >= self._linger:
            actions += self._let_go(now, self._why_left)
        if self._listens:
            actions += self._backup_looks_up(now)
        elif now >= self._deadline:
            actions += self._advert_is_due(now) if self.state is State.MASTER else self._handover_is_due(now)
        if now >= self._announcements.due:
            actions += self._announcements.expire(now, self.instance)
        if now >= self.alarms.due:
            actions += self.alarms.expire(now)
        return self._armed(actions)

    def set_priority(self, now: int, priority: int) -> Sequence[Action]:
        """Tracking made this the effective priority; a running master down timer is shifted by the skew's change."""
        self.priority = priority
        self._shift(now)
        return self._armed([])

    def set_faults(self, now: int, faults: frozenset[str]) -> Sequence[Action]:
        """What makes the instance unable to be master, in words for people; empty means that it can."""
        self.faults = faults
        return self.fitness_changed(now)

    def hand_over(self, now: int) -> Sequence[Action]:
        """Give mastership away and stay; nothing happens unless master."""
        if self.state is not State.MASTER:
            return _NOTHING
        return self._armed(self._resign(now, "hand-over was asked for"))

    def release(self) -> None:
        """Forget that mastership was given away on request: preempt again if the configuration says so."""
        self.held = False
        self._calm = None

    def shutdown(self, now: int, *, at_once: bool = False) -> Sequence[Action]:
        """Stop. A master hands over first, and is in INIT only when ``wake_ns`` has come or a successor was heard.

        ``at_once``: one advert of priority 0, and the VIPs are gone, as keepalived does it.
        """
        self._stopping = True
        if self.state is State.INIT:
            return _NOTHING
        if self.state is State.MASTER and not at_once:
            return self._armed(self._resign(now, "stop"))
        if self.state is State.HANDOVER and not at_once:
            if self.yielding:
                self._why_left = "stop"
                self._down.stop()
            return self._armed([])
        actions: list[Action] = []
        if self.state is State.MASTER:
            actions = [self._send(now, 0), RemoveVips()]
            self.counters.release_master += 1
        elif self.state is State.HANDOVER:
            actions = self._vips_gone(now)
        return self._armed([*actions, *self._stopped("stop")])

    def reload(self, now: int, instance: Instance, priority: int) -> Sequence[Action]:
        """Other parameters for the same VRID, family, interface and source; mastership stays where it is.

        The Transmitter and the Receiver must be renewed before, so that the advert this asks for tells what is new.
        """
        former, self.instance = self.instance, instance
        if instance == former:
            return self.set_priority(now, priority)
        self.priority = priority
        if instance.version == 2 or not self.master_source:
            self.master_interval = instance.advert_int
        self._watch.reset()
        self._shift(now)
        if self.state is not State.MASTER:
            return self._armed([])
        self._deadline = now + instance.advert_int
        self._announcements.restart_refresh(now, instance)
        actions: list[Action] = [AddVips(), self._send(now, priority)]
        if instance.addresses != former.addresses:
            actions.append(Announce(instance.garp_master_repeat))
        return self._armed(actions)

    def vip_answered(self, now: int, holder: str) -> Sequence[Action]:
        """Somebody has a VIP: the answer to ProbeVips, or a claim seen on the wire; ``holder`` is for people."""
        if self.state is State.MASTER:
            return self._armed(self._vip_held_elsewhere(now, holder))
        # a master's adverts may come in a moment and explain it
        self._probe_answer = holder
        return _NOTHING

    # ---- events of the sync group

    def fitness_changed(self, now: int) -> Sequence[Action]:
        """A fault has come or gone, its own or another member's; nothing happens when it makes no difference."""
        if self._unfit():
            if self.state in (State.INIT, State.FAULT):
                return _NOTHING
            return self._armed(self._fail(now))
        if self.state is not State.FAULT:
            return _NOTHING
        return self._armed(self._begin(now, "recovered", probe=False))

    def regrouped(self, now: int) -> Sequence[Action]:
        """``group`` is another one, or None: then what it left to the group is its own to decide."""
        actions = self.fitness_changed(now)
        if self.group is not None:
            return actions
        if self.unclaimed:
            return self.take_back(now)
        if self._listens and self.wants_master:
            return self.promote(now, self.why_master(now))
        return actions

    def promote(self, now: int, cause: str) -> Sequence[Action]:
        """The whole group becomes master."""
        if not self._listens:
            return _NOTHING
        return self._armed(self._become_master(now, cause))

    def demote(self, now: int, cause: str) -> Sequence[Action]:
        """Another member left mastership, or has a successor: follow it."""
        if self.state is State.MASTER:
            return self._armed(self._leave_master(now, cause))
        if self.resigning and not self._stopping:
            self.held = True
            self._listen(now)
            return self._armed(self._let_go(now, cause))
        return _NOTHING

    def take_back(self, now: int) -> Sequence[Action]:
        """Nobody took over: be master again."""
        if not self.resigning or self._stopping:
            return _NOTHING
        actions = self._become_master(now, "nobody took over", announce=False)
        detail = "nobody took over: is there another director, and does it hear us?"
        actions += self.alarms.seen(now, AlarmKind.HANDOVER_FAILED, b"", detail, self.instance.advert_int)
        return self._armed(actions)

    # ---- adverts

    def _advert_in_backup(self, now: int, advert: Advert) -> list[Action]:
        actions: list[Action] = []
        self._calm = None
        if advert.source != self.master_source:
            if self.master_source:
                actions = self._watch.another_master(
                    now, self.master_source, advert.source, self._down.length, self.instance.advert_int
                )
            self.master_source = advert.source
        if advert.priority == 0:
            self.counters.pri_zero_rcvd += 1
            self.master_priority = 0
            self._down.shorten(now, self._listen_until)
            self._why_silent = f"{text(advert.source)} resigned"
        elif self._accepts(now, advert.priority):
            self._follow(now, advert)
            if self.state is State.BACKUP:
                actions += self._owed_advert(now)
            if self._watch.fine is advert and (advert.priority >= self.priority or not self.instance.preempt_delay):
                self._calm = advert
        else:
            self.counters.lower_prio_rcvd += 1
            self.master_priority = advert.priority
            self._down.another_heard(now)
            self._why_silent = f"priority {self.priority} is above {advert.priority} of {text(advert.source)}"
        return actions

    def _accepts(self, now: int, priority: int) -> bool:
        """Whether a backup lets this master be: not below its own priority, or preemption is off, or not yet due."""
        if priority >= self.priority:
            self._preempt_at = NEVER
            return True
        if self.instance.nopreempt or self.held:
            return True
        if not self.instance.preempt_delay:
            return False
        if self._preempt_at == NEVER:
            self._preempt_at = now + self.instance.preempt_delay
        return now < self._preempt_at

    def _follow(self, now: int, advert: Advert) -> None:
        """Restart the master down timer, in version 3 with the master's interval."""
        if advert.version == 3:
            self.master_interval = advert.interval_cs * CENTISECOND
        self._recompute()
        self.master_source, self.master_priority = advert.source, advert.priority
        self._why_silent = ""
        self._down.restart(now, self._listen_until)

    def _advert_in_master(self, now: int, advert: Advert) -> list[Action]:
        if advert.priority == 0:
            self.counters.pri_zero_rcvd += 1
            return self._answer(now)
        if advert.priority == self.priority and advert.source == self.instance.source:
            return []
        if (advert.priority, advert.source) < (self.priority, self.instance.source):
            return self._advert_of_loser(now, advert)
        cause = f"priority {advert.priority} of {text(advert.source)} is above {self.priority}"
        if advert.priority == self.priority:
            cause = f"equal priority {advert.priority}, and {text(advert.source)} is the higher address"
        actions = self._leave_master(now, cause)
        self._follow(now, advert)
        return actions

    def _advert_of_loser(self, now: int, advert: Advert) -> list[Action]:
        """Another master, below us: answer, and tell the network again where the VIPs are."""
        instance = self.instance
        self.counters.lower_prio_rcvd += 1
        actions: list[Action] = []
        if self._lower_notices.allows(now, pace(instance)):
            actions.append(LowerPriorityHeard(advert.source))
        # a normal change of master has the loser's answer, when it has let go
        if now - self._master_since > max(instance.advert_int, 2 * HANDOVER_LINGER_NS):
            detail = f"{text(advert.source)} is master with priority {advert.priority}, we are with {self.priority}"
            actions += self.alarms.seen(
                now, AlarmKind.TWO_MASTERS, advert.source, detail, instance.advert_int
            )
        if not instance.lower_prio_no_advert:
            actions += self._answer(now)
        return actions + self._announcements.loser_heard(now, instance)

    def _advert_in_handover(self, now: int, advert: Advert) -> list[Action]:
        if self._listens:
            return self._advert_in_backup(now, advert)
        if advert.priority and advert.source != self.instance.source and not self.yielding:
            self._yield(now, f"{text(advert.source)} took over")
            self.held = not self._stopping
            self._follow(now, advert)
            if self._stopping:
                self._down.stop()
        return []

    # ---- timers

    def _advert_is_due(self, now: int) -> list[Action]:
        late, interval = now - self._deadline, self.instance.advert_int
        self._deadline += interval
        if late < interval:
            return [self._send(now, self.priority)]
        self._deadline = now + interval
        return [self._send(now, self.priority), *self._stalled(now, late)]

    def _backup_looks_up(self, now: int) -> list[Action]:
        """For each advert that does not come, and when the master counts as down.

        Whoever comes late was asleep, and the silence may be its own: it waits for one more advert.
        """
        late = now - self.wake_ns
        if late > self._down.interval // 2 and self._down.grant(now):
            return self._stalled(now, late)
        if self._down.advert_is_late(now) and self.master_source:
            self.counters.advert_missed += 1
        if not self._down.expires(now) or self.group is not None:
            return []
        return self._become_master(now, self.why_master(now))

    def why_master(self, now: int) -> str:
        """Why the timer ran out, for people."""
        if self._why_silent:
            return self._why_silent
        if not self.master_source:
            return "no advert was heard since the start"
        return f"no advert from {text(self.master_source)} for {(now - self._heard) / 1e9:.3f} s"

    def _handover_is_due(self, now: int) -> list[Action]:
        late, interval = now - self._deadline, self.instance.advert_int
        if late > interval:
            # the successor may be there, and another resignation would only mislead the others
            self._deadline, self._gave_up = now + interval, False
            return self._stalled(now, late)
        if now < self._give_up:
            self._deadline = min(now + self.instance.advert_int * _RESIGN_AGAIN_HALVES // 2, self._give_up)
            return [self._send(now, 0)]
        if self._stopping:
            return self._let_go(now, "stop, and nobody took over")
        self._gave_up = True
        if self.group is None:
            return list(self.take_back(now))
        # the other members' networks may be slower
        self._deadline = now + interval
        return []

    # ---- changes of state

    def _begin(self, now: int, cause: str, *, probe: bool) -> list[Action]:
        """From INIT or FAULT (RFC 9568 section 6.4.1): an owner is master, all others listen first."""
        self.state = State.BACKUP
        self._listen(now)
        actions: list[Action] = [ProbeVips()] if probe else []
        if self.instance.owner:
            self._why_silent = "owner of the addresses"
            self._down.end_at(max(now, self._listen_until))
            if self._down.due == now and self.group is None:
                return [*actions, *self._become_master(now, self._why_silent)]
        return [*actions, Transition(State.BACKUP, cause)]

    def _listen(self, now: int) -> None:
        """The timers of a backup that has heard nobody yet."""
        self.master_source, self.master_priority = b"", 0
        self.master_interval = self.instance.advert_int
        self._why_silent = ""
        self._preempt_at = self._deadline = NEVER
        self._announcements.stop()
        self._recompute()
        self._down.restart(now, self._listen_until)

    def _become_master(self, now: int, cause: str, *, announce: bool = True) -> list[Action]:
        """RFC 9568 sections 6.4.1 and 6.4.2: the advert, the addresses, then their announcement."""
        instance = self.instance
        alarms: list[Action] = []
        if self._probe_answer and not self.master_source:
            alarms = self._vip_held_elsewhere(now, self._probe_answer)
        self._probe_answer = ""
        self.counters.become_master += 1
        self.state = State.MASTER
        self.held = False
        self._master_since = now
        self.master_source, self.master_priority = b"", 0
        self.master_interval = instance.advert_int
        self._recompute()
        self._down.stop()
        self._linger = NEVER
        self._owes_advert = False
        self._deadline = now + instance.advert_int
        announcements = self._announcements.became_master(now, instance, at_once=announce)
        # who is pre-empted serves until it hears the advert: then the addresses are here, and announced at once
        first = [self._send(now, self.priority), AddVips()]
        return [
            *(reversed(first) if self._why_silent and not instance.owner else first),
            *announcements,
            Transition(State.MASTER, cause),
            *alarms,
        ]

    def _leave_master(self, now: int, cause: str) -> list[Action]:
        self.counters.release_master += 1
        self.state = State.HANDOVER
        self._yield(now, cause)
        self._owes_advert = self.instance.higher_prio_send_advert
        return [Transition(State.HANDOVER, cause)]

    def _yield(self, now: int, cause: str) -> None:
        """Make before break: the VIPs stay for a moment, all else is a backup's from now on."""
        self._linger = now + HANDOVER_LINGER_NS
        self._why_left = cause
        self._listen(now)

    def _unfit(self) -> bool:
        return bool(self.faults or self.group_fault)

    def _fail(self, now: int) -> list[Action]:
        actions: list[Action] = []
        if self.state is State.MASTER:
            # keepalived sends two
            actions = [self._send(now, 0), self._send(now, 0), RemoveVips()]
            self.counters.release_master += 1
        elif self.state is State.HANDOVER:
            actions = self._vips_gone(now)
        if self._stopping:
            return [*actions, *self._stopped(self._fault_text())]
        self._rest(State.FAULT)
        return [*actions, Transition(State.FAULT, self._fault_text())]

    def _resign(self, now: int, cause: str) -> list[Action]:
        """Make before break: tell the backups to take over, and serve until one is heard."""
        self.counters.release_master += 1
        self.state = State.HANDOVER
        self._gave_up = False
        self._announcements.stop()
        self._deadline = now + self.instance.advert_int * _RESIGN_AGAIN_HALVES // 2
        adverts = self.instance.down_timer_adverts + _HANDOVER_LIMIT_ADVERTS
        self._give_up = now + adverts * self.instance.advert_int
        return [self._send(now, 0), Transition(State.HANDOVER, cause)]

    def _let_go(self, now: int, cause: str) -> list[Action]:
        actions = self._vips_gone(now)
        if self._stopping:
            return [*actions, *self._stopped(cause)]
        self.state = State.BACKUP
        return [*actions, Transition(State.BACKUP, cause)]

    def _vips_gone(self, now: int) -> list[Action]:
        self._linger = NEVER
        return [RemoveVips(), *self._owed_advert(now)]

    def _owed_advert(self, now: int) -> list[Action]:
        """One that loses against the master's, now that we no longer answer: it makes the master announce once more."""
        if not self._owes_advert or (self.master_priority, self.master_source) < (self.priority, self.instance.source):
            return []
        self._owes_advert = False
        return [self._send(now, self.priority)]

    def _stopped(self, cause: str) -> list[Action]:
        self._rest(State.INIT)
        return [Transition(State.INIT, cause)]

    def _rest(self, state: State) -> None:
        """INIT and FAULT: no timer runs, and adverts are ignored."""
        self.state = state
        self._calm = None
        self._deadline = self._linger = NEVER
        self._owes_advert = False
        self._down.stop()
        self._announcements.stop()

    # ---- small parts

    def _armed(self, actions: list[Action]) -> list[Action]:
        self.wake_ns = min(self._deadline, self._down.wake, self._linger, self._announcements.due, self.alarms.due)
        return actions

    def _shift(self, now: int) -> None:
        """Recompute the intervals; a running master down timer moves by the difference.

        A master that was to be preempted, and is above us now, counts as heard when it was: a priority that goes up
        and down again takes over from nobody.
        """
        before = self._down.length
        self._recompute()
        if not self._listens:
            return
        self._down.move(now, self._down.length - before)
        if self.master_priority >= self.priority:
            self._down.heard_at(now, self._heard)
            self._why_silent = ""

    def _recompute(self) -> None:
        self._down.measure(self.instance, self.priority, self.master_interval)
        self._calm = None

    def _send(self, now: int, priority: int) -> Action:
        self._sent = now
        self.counters.advert_sent += 1
        if priority == 0:
            self.counters.pri_zero_sent += 1
        return SendAdvert(priority)

    def _answer(self, now: int) -> list[Action]:
        """An advert at once, but one for a whole batch of what waited in the socket, and few in an interval."""
        if self._sent == now or not self._answers.allows(now, self.instance.advert_int // _ANSWERS):
            return []
        self._deadline = now + self.instance.advert_int
        return [self._send(now, self.priority)]

    def _stalled(self, now: int, late: int) -> list[Action]:
        self.counters.loop_stalls += 1
        detail = f"the timer came {late / 1e9:.3f} s late: this process, or the whole host, stood still"
        return self.alarms.seen(now, AlarmKind.LOOP_STALLED, b"", detail, self.instance.advert_int)

    def _vip_held_elsewhere(self, now: int, holder: str) -> list[Action]:
        detail = f"{holder} has a VIP, and we hear no advert from it"
        return self.alarms.seen(now, AlarmKind.VIP_HELD_ELSEWHERE, b"", detail, self.instance.advert_int)

    def _fault_text(self) -> str:
        return "; ".join(sorted(self.faults)) or self.group_fault
