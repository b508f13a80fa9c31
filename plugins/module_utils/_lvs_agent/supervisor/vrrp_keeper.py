# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping the VRRP process: started, configured, started again when it dies, and replaced by that of a new program.

While none runs the kernel goes on holding the addresses; the next one goes on where the last one was.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

from ..vrrp import messages
from ..vrrp.actions import State
from . import child
from .backoff import Backoff
from .loop import NEVER
from .state_file import resumes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from ..vrrp.plan import Identity, Plan
    from .channel import Channel
    from .loop import Loop
    from .process import Process
    from .state_file import StateFile

_log = logging.getLogger(__name__)
_SECOND = 1_000_000_000
NAME = "lvs-agent-vrrp"
_FIRST_NS, _MOST_NS, _CALM_NS = _SECOND // 10, 10 * _SECOND, 60 * _SECOND
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

    def died(self, ended: child.Ended, pid: int, again_ns: int) -> None:
        """It ended unasked, and is started again in ``again_ns`` nanoseconds."""

    def stopped(self) -> None:
        """It ended, as it was told by ``stop``."""


class VrrpKeeper:
    """Whoever is the VRRP process now; a source of the loop, for what is due.

    ``entry`` is the process's main function. ``states``: each instance's state as far as it was told. ``deaths``
    counts unasked ends.
    """

    def __init__(
        self,
        loop: Loop,
        entry: Callable[[Channel], int],
        state_file: StateFile,
        listener: Listener,
        keep: Collection[int] = (),
    ) -> None:
        self._loop = loop
        self._entry = entry
        self._file = state_file
        self._listener = listener
        self._keep = keep
        self._backoff = Backoff(_FIRST_NS, _MOST_NS, _CALM_NS)
        self._start_ns = NEVER
        self._kill_ns = NEVER
        self._plan: Plan | None = None
        self._resumes: tuple[messages.Resume, ...] = ()
        self._former: child.Child | None = None
        self._settle_ns = NEVER
        self._look_ns = NEVER
        self._ready = False
        self._configured = False
        self._stopping = False
        self.child: child.Child | None = None
        self.states: dict[Identity, State] = {}
        self.deaths = 0

    def fileno(self) -> int:
        """The children are sources of their own."""
        return -1

    def deadline_ns(self) -> int:
        """When a process is to be started, or one is to be killed."""
        return min(self._start_ns, self._kill_ns, self._look_ns)

    def handle(self, now_ns: int) -> None:
        """Do what is due."""
        if now_ns >= self._start_ns:
            self._start_ns = NEVER
            self.start(now_ns)
        if now_ns >= self._kill_ns:
            self._kill_ns = NEVER
            for one in (self._former, self.child if self._stopping else None):
                if one is not None:
                    one.kill("it did not end when it was told to")
        if now_ns >= self._look_ns:
            self._go_on(now_ns)

    def start(self, now_ns: int, resume: tuple[messages.Resume, ...] = ()) -> None:
        """Start a process; it is configured when it is ready and there is a plan. ``resume``: who was master."""
        self._resumes = resume or self._resumes
        self._ready = self._configured = False
        try:
            self.child = child.start(NAME, self._entry, self._keep, now_ns, heard=self._heard, ended=self._ended)
        except OSError as error:
            again_ns = self._backoff.died(now_ns, now_ns) - now_ns or _FIRST_NS
            self._start_ns = now_ns + again_ns
            _log.error("the VRRP process cannot be started: %s; once more in %.1f s", error.strerror, again_ns / 1e9)
            return
        self._loop.add(self.child)

    def adopt(self, process: Process, channel: Channel, now_ns: int) -> None:
        """A process of the program before runs and serves: it is to be replaced when the next one can go on."""
        self._former = child.Child(process, channel, now_ns, heard=self._former_heard, ended=self._former_ended)
        self._loop.add(self._former)

    def configure(self, plan: Plan, now_ns: int) -> None:
        """Do this from now on."""
        self._plan = plan
        if self._configured:
            self.send(messages.Configure(plan))
        elif self._ready:
            self._begin(now_ns)

    def send(self, message: messages.ToVrrp) -> bool:
        """Tell it; False when there is no process that was configured."""
        if self.child is None or not self._configured:
            return False
        self.child.send(message)
        return True

    def stop(self, now_ns: int, limit_ns: int, *, at_once: bool = False) -> None:
        """Hand over and end; ``limit_ns`` is how long that may take, ``at_once`` does not wait for a successor."""
        self._stopping = True
        self._start_ns = NEVER
        self._kill_ns = now_ns + limit_ns
        if self._former is not None:
            # it still serves what the other one was about to
            self._former.stop(at_once=at_once)
        if self.child is not None:
            self.child.stop(at_once=at_once)
        if self.child is None and self._former is None:
            self._listener.stopped()

    def close(self) -> None:
        """The supervisor ends unplanned: the processes notice that by themselves, and leave the addresses."""
        for one in (self._former, self.child):
            if one is not None:
                self._loop.remove(one)
                one.close()
        self.child = self._former = None

    # ---- what the process says

    def _heard(self, message: Any, now_ns: int) -> None:
        if isinstance(message, messages.Ready):
            self._ready = True
            if self._plan is not None:
                self._begin(now_ns)
        elif isinstance(message, messages.Configured):
            self._resumes = ()
        if self._configured:
            self._note(message)
        self._listener.heard(message, now_ns)

    def _note(self, message: Any) -> None:
        """Keep the states, in memory and on disk."""
        if isinstance(message, messages.Heartbeat):
            self._file.alive(message.monotonic_ns)
        elif isinstance(message, messages.Transitioned) and message.identity is not None:
            if message.state is State.INIT or message.removed:
                self.states.pop(message.identity, None)
            else:
                self.states[message.identity] = message.state
            self._file.states(self.states, message.monotonic_ns)

    def _begin(self, now_ns: int) -> None:
        """The process is ready, and there is a plan."""
        self._settle_ns = now_ns + (_FIRST_RESULTS_NS if self._former is None else _SETTLE_NS)
        self._go_on(now_ns)

    def _go_on(self, now_ns: int) -> None:
        """Configure the process when what is tracked is known, and the process of the program before is gone."""
        self._look_ns = NEVER
        if self.child is None or self._plan is None or self._stopping:
            return
        at_once = self._former is None and self._resumes
        if not at_once and not self._listener.settled() and now_ns < self._settle_ns:
            self._look_ns = now_ns + _LOOK_NS
            return
        if self._former is not None:
            self._kill_ns = now_ns + _LEAVE_NS
            self._former.leave()
            return
        for result in self._listener.results():
            self.child.send(result)
        self.child.send(messages.Configure(self._plan, self._resumes))
        self._configured = True

    # ---- ends

    def _ended(self, ended: child.Ended, now_ns: int) -> None:
        gone = self.child
        if gone is None:
            return
        self._forget(gone)
        self.child = None
        if self._stopping:
            if self._former is None:
                self._listener.stopped()
            return
        if self._configured:
            # one that was not knows no more than the one before
            self._resumes = resumes(self.states, ended.alive_ns)
        self._ready = self._configured = False
        self.deaths += 1
        self._start_ns = self._backoff.died(gone.started_ns, now_ns)
        self._listener.died(ended, gone.pid, self._start_ns - now_ns)

    def _forget(self, gone: child.Child) -> None:
        self._loop.remove(gone)
        gone.close()

    # ---- the process of the program before

    def _former_heard(self, message: Any, now_ns: int) -> None:
        self._note(message)
        if isinstance(message, (messages.Transitioned, messages.AlarmRaised, messages.AlarmGone, messages.Remark)):
            self._listener.heard(message, now_ns)

    def _former_ended(self, ended: child.Ended, now_ns: int) -> None:
        if self._former is None:
            return
        self._forget(self._former)
        self._former = None
        self._kill_ns = self._look_ns = NEVER
        if self._stopping:
            if self.child is None:
                self._listener.stopped()
            return
        if not ended.asked:
            _log.warning("the VRRP process of the program before ended by itself: %s", ended.how)
        self._resumes = resumes(self.states, ended.alive_ns)
        if self._ready and self._plan is not None:
            self._begin(now_ns)
