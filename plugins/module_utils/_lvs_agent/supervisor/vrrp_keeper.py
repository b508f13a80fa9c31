# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping the VRRP process: started, configured, started again when it dies, and replaced by that of a new program.

While none runs the kernel goes on holding the addresses; the next one goes on where the last one was.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from typing import TYPE_CHECKING, Any, Protocol

from ..vrrp import messages
from ..vrrp.actions import State
from ..vrrp.plan import Plan
from .channel import KEPT
from .head_start import NAME
from .kept import Kept, Kind
from .loop import NEVER
from .owned import Owned
from .state_file import resumes
from .vip_removal import VipRemoval

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from ..vrrp.plan import Identity
    from .channel import Channel
    from .child import Child, Ended
    from .head_start import Entry, Running
    from .loop import Loop
    from .process import Process
    from .sequence_file import SequenceFile
    from .state_file import StateFile

_log = logging.getLogger(__name__)
_SECOND = 1_000_000_000
TITLE = "VRRP process"
# A process of the program before is told to leave; when it does not, its successor must not wait.
_LEAVE_NS = _SECOND // 10
# How long a successor waits for what is tracked: the process before serves on meanwhile.
_SETTLE_NS = 10 * _SECOND
# The same for the first process after a start: an instance whose scripts have no result yet is in FAULT.
_FIRST_RESULTS_NS = _SECOND
_LOOK_NS = _SECOND // 100


class Listener(Protocol):
    """Who is told of the VRRP process."""

    def heard(self, message: Any, now_ns: int) -> None:
        """It said this; the keeper has done its own part."""

    def results(self) -> Iterable[messages.TrackResult]:
        """What is tracked, for a process that begins."""

    def settled(self) -> bool:
        """Whether everything in ``results`` is known."""

    def died(self, ended: Ended, pid: int, again_ns: int) -> None:
        """It ended unasked, and is started again in ``again_ns`` nanoseconds."""

    def gone(self) -> None:
        """A process has ended that another one follows: what only it knew is of the past."""

    def stopped(self) -> None:
        """It ended, as it was told by ``stop``."""


class VrrpKeeper:
    """Whoever is the VRRP process now; a source of the loop, for what is due.

    ``entry`` is the process's main function, ``adverts`` the file in which it records them, ``lock`` is the daemon's.
    ``states``: each instance's state as far as it was told. ``told``: what
    was told last of each instance and each group (True), by name, whichever process it was.
    """

    def __init__(
        self,
        loop: Loop,
        entry: Entry,
        state_file: StateFile,
        listener: Listener,
        *,
        adverts: int,
        sequences: SequenceFile | None = None,
        keep: Collection[int] = (),
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._adverts = adverts
        self._sequences = sequences
        self._file = state_file
        self._listener = listener
        kind = Kind(NAME, TITLE, lambda channel: entry(channel, adverts), KEPT)
        self._kept = Kept(kind, loop, [adverts, *keep], heard=self._heard, gone=self._gone, died=self._died)
        self._former = Kept(kind, loop, heard=self._former_heard, gone=self._former_gone)
        self._plan: Plan | None = None
        self._resumes: tuple[messages.Resume, ...] = ()
        self._settle_ns = NEVER
        self._look_ns = NEVER
        self._ready = False
        self._configured = False
        self._stopping = False
        self._removal = VipRemoval(loop, self._removed, clock)
        self.owned = Owned(state_file)
        self.states: dict[Identity, State] = {}
        self.told: dict[tuple[bool, str], State] = {}

    @property
    def child(self) -> Child | None:
        """The process, None while there is none."""
        return self._kept.child

    def pids(self) -> list[int]:
        """Of all VRRP processes of ours: the one that is at work, and that of the program before."""
        return [one.child.pid for one in (self._kept, self._former) if one.child is not None]

    @property
    def deaths(self) -> int:
        """How often one ended unasked."""
        return self._kept.deaths

    def fileno(self) -> int:
        """The children are sources of their own."""
        return -1

    def deadline_ns(self) -> int:
        """When a process is to be started, or one is to be killed."""
        removal_ns = NEVER if self._plan is None or self._is_served() else self._removal.deadline_ns()
        return min(self._kept.deadline_ns(), self._former.deadline_ns(), self._look_ns, removal_ns)

    def handle(self, now_ns: int) -> None:
        """Do what is due."""
        self._kept.handle(now_ns)
        self._former.handle(now_ns)
        if now_ns >= self._look_ns:
            self._go_on(now_ns)
        if self._plan is not None and not self._is_served():
            self._removal.handle(self._plan, self._masters(), now_ns)

    def start(self, now_ns: int, resume: tuple[messages.Resume, ...] = ()) -> None:
        """Start a process; it is configured when it is ready and there is a plan. ``resume``: who was master."""
        self._resumes = resume
        self._removal.unserved(now_ns)
        self._kept.start(now_ns)

    def go_on(self, running: Running, states: Mapping[Identity, State], now_ns: int) -> None:
        """A process of ours is at work already; ``states`` are what it began with."""
        self._plan = running.taken.plan
        self._resumes = running.resumes
        self.owned.planned(self._plan)
        wanted = {one.identity for one in self._plan.instances}
        self.states.update({identity: state for identity, state in states.items() if identity in wanted})
        self._ready = self._configured = True
        self._kept.adopt(running.process, running.channel, now_ns)

    def adopt(self, process: Process, channel: Channel, now_ns: int) -> None:
        """A process of the program before runs and serves: it is to be replaced when the next one can go on."""
        self._former.adopt(process, channel, now_ns)

    def configure(self, plan: Plan, now_ns: int) -> None:
        """Do this from now on."""
        self._plan = plan
        self.owned.planned(plan)
        names = {(False, one.name) for one in plan.instances} | {(True, one.name) for one in plan.groups}
        self.told = {key: state for key, state in self.told.items() if key in names}
        if self._configured:
            # what has not gone on yet is to do so
            self.send(messages.Configure(plan, self._resumes, heard=self._heard_numbers()))
        elif self._ready:
            self._begin(now_ns)

    def hurry(self, now_ns: int) -> None:
        """Start the next process at once, if one is to be started."""
        self._kept.hurry(now_ns)

    def send(self, message: messages.ToVrrp) -> bool:
        """Tell it; False when there is no process that was configured."""
        if self.child is None or not self._configured:
            return False
        self.child.send(message)
        return True

    def stop(self, now_ns: int, limit_ns: int, *, at_once: bool = False) -> None:
        """Hand over and end; ``limit_ns`` is how long that may take, ``at_once`` does not wait for a successor."""
        self._stopping = True
        # the one before still serves what the other one was about to
        for one in (self._former, self._kept):
            one.end(messages.Stop(at_once), now_ns, limit_ns)
        self._tell_stopped(now_ns)

    def close(self) -> None:
        """The supervisor ends unplanned: the processes notice that by themselves, and leave the addresses."""
        self._removal.close()
        self._former.close()
        self._kept.close()

    def _is_served(self) -> bool:
        """Whether a process has been given a plan, or is asked to end; it has 5 s to say that it is alive."""
        return self._stopping or self._former.child is not None or (self.child is not None and self._configured)

    def _masters(self) -> set[Identity]:
        """Who was master last: its VIPs are still here."""
        here = (State.MASTER, State.HANDOVER)
        return {one for one, state in self.states.items() if state in here} | {one.identity for one in self._resumes}

    def _removed(self, message: messages.FromVrrp, now_ns: int) -> None:
        """What was done instead of a VRRP process; a state that was told is not told again."""
        known = isinstance(message, messages.Transitioned) and self.told.get((message.group, message.name))
        if known is State.FAULT:
            return
        self._listener.heard(self._note(message), now_ns)

    def _tell_stopped(self, now_ns: int) -> None:
        """When the processes are gone, and with them the VIPs, of one that was killed too."""
        if self._kept.child is None and self._former.child is None:
            self._removal.finish(self._plan or Plan(), self._masters(), now_ns, self._listener.stopped)

    # ---- what the process says

    def _heard(self, message: Any, now_ns: int) -> None:
        if isinstance(message, messages.Ready):
            self._ready = True
            if self._plan is not None:
                self._begin(now_ns)
        elif isinstance(message, messages.Configured):
            self._resumes = ()
            self._removal.served()
            if self._plan is not None:
                self.owned.carried_out(self._plan, message.own)
                self._forget_others(self._plan, now_ns)
        if self._configured:
            message = self._note(message)
        self._listener.heard(message, now_ns)

    def _forget_others(self, plan: Plan, now_ns: int) -> None:
        """Drop the states of instances that the plan does not have: a process that died of them did not say so."""
        gone = self.states.keys() - {one.identity for one in plan.instances}
        for identity in gone:
            del self.states[identity]
        if gone:
            self._file.states(self.states, self.told, now_ns)

    def _note(self, message: Any) -> Any:
        """Keep the states, in memory and on disk; the message, with what only we know of it."""
        if isinstance(message, messages.Heartbeat):
            self._file.alive(message.monotonic_ns)
        elif isinstance(message, messages.Borrowed):
            self.owned.borrow(message.settings)
        elif isinstance(message, messages.SequencesHeard):
            if self._sequences is not None:
                self._sequences.add(message)
        elif isinstance(message, messages.Transitioned):
            key = (message.group, message.name)
            if message.former is State.INIT and self.told.get(key) is message.state:
                message = dataclasses.replace(message, again=True)
            _keep(self.told, key, message)
            if message.identity is not None:
                _keep(self.states, message.identity, message)
            self._file.states(self.states, self.told, message.monotonic_ns)
        return message

    def _begin(self, now_ns: int) -> None:
        """The process is ready, and there is a plan."""
        self._settle_ns = now_ns + (_FIRST_RESULTS_NS if self._former.child is None else _SETTLE_NS)
        self._go_on(now_ns)

    def _go_on(self, now_ns: int) -> None:
        """Configure the process when what is tracked is known, and the process of the program before is gone."""
        self._look_ns = NEVER
        if self.child is None or self._plan is None or self._stopping:
            return
        at_once = self._former.child is None and self._resumes
        if not at_once and not self._listener.settled() and now_ns < self._settle_ns:
            self._look_ns = now_ns + _LOOK_NS
            return
        if self._former.child is not None:
            self._former.end(messages.Leave(), now_ns, _LEAVE_NS)
            return
        for result in self._listener.results():
            self.child.send(result)
        owned, heard = self.owned, self._heard_numbers()
        leftovers = owned.leftovers(self._plan)
        self.child.send(
            messages.Configure(self._plan, self._resumes, leftovers, owned.borrowed, heard, owned.former)
        )
        self._configured = True

    def _heard_numbers(self) -> tuple[messages.SequencesHeard, ...]:
        return self._sequences.heard() if self._sequences is not None else ()

    # ---- ends

    def _died(self, ended: Ended, pid: int, again_ns: int, now_ns: int) -> None:
        if self._configured:
            # one that was not knows no more than the one before
            self._resumes = resumes(self.states, ended.alive_ns, self._adverts)
        self._ready = self._configured = False
        self._removal.unserved(now_ns)
        self._listener.gone()
        self._listener.died(ended, pid, again_ns)

    def _gone(self, ended: Ended, now_ns: int) -> None:
        del ended
        self._tell_stopped(now_ns)

    # ---- the process of the program before

    def _former_heard(self, message: Any, now_ns: int) -> None:
        message = self._note(message)
        if isinstance(message, (messages.Transitioned, messages.AlarmRaised, messages.AlarmGone, messages.Remark)):
            self._listener.heard(message, now_ns)

    def _former_gone(self, ended: Ended, now_ns: int) -> None:
        self._look_ns = NEVER
        if self._stopping:
            self._tell_stopped(now_ns)
            return
        self._listener.gone()
        if not ended.asked:
            _log.warning("the VRRP process of the program before ended by itself: %s", ended.how)
        self._resumes = resumes(self.states, ended.alive_ns, self._adverts)
        self._removal.unserved(now_ns)
        if self._ready and self._plan is not None:
            self._begin(now_ns)


def _keep(states: dict[Any, State], key: object, message: messages.Transitioned) -> None:
    if message.state is State.INIT or message.removed:
        states.pop(key, None)
    else:
        states[key] = message.state
