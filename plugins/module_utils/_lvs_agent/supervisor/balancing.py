# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The LVS process as a part of the supervisor: kept, configured, told who is master, and what it says told on.

A site without virtual servers has none. While none runs, the kernel's table stays as it is.
"""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING, Any

from ..lvs import messages
from ..lvs.transitions import Kind as Change
from .kept import Kept, Kind
from .loop import NEVER
from .masters import MastersHere

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from ..lvs.transitions import Transition
    from ..vrrp.actions import State
    from ..vrrp.messages import TrackResult
    from ..vrrp.plan import Identity
    from .channel import Channel
    from .child import Child, Ended
    from .loop import Loop, Source
    from .process import Process
    from .reader import Settings
    from .scripting import Record

_log = logging.getLogger(__name__)
_SECOND = 1_000_000_000
NAME = "lvs-agent-lvs"
TITLE = "LVS process"
#: In the runtime directory, the record of what is ours in the kernel's table (lvs/owned.py).
OWNED = "owned.json"
_LEAVE_NS = 5 * _SECOND
ANSWER_NS = 10 * _SECOND
_CONFIGURE_NS = 60 * _SECOND
_MOST_QUESTIONS = 64
_SHOWN = 10
_BAD = (Change.SERVER_DOWN, Change.SERVER_HELD, Change.QUORUM_DOWN, Change.SORRY_BEGINS)


class Balancing:
    """``notify(transition, cause, now_ns)`` tells scripts, mail and FIFOs; ``record`` writes events.

    ``entry`` is the process's main function, ``keep`` the descriptors it inherits. ``left``: whether a process before
    has left something in the kernel's table, so that one is needed even without virtual servers.
    ``states`` are those of VRRP under a supervisor before this one.
    """

    def __init__(
        self,
        loop: Loop,
        entry: Callable[[Channel], int],
        notify: Callable[[Transition, str, int], None],
        record: Record,
        *,
        keep: Collection[int] = (),
        left: Callable[[], bool] = lambda: False,
        states: Mapping[Identity, State] | None = None,
    ) -> None:
        self._loop = loop
        self._kind = Kind(NAME, TITLE, entry, messages.KEPT)
        self._notify = notify
        self._record = record
        self._keep = keep
        self._left = left
        self._kept: Kept | None = None
        self._former: Kept | None = None
        self._settings = b""
        self._masters = MastersHere(states)
        self._masters_told: frozenset[str] = frozenset()
        self._ready = False
        self._configured = False  # before that a process has nothing to sum up
        self._stopping = False
        self._gone = False
        self._numbers = itertools.count(1)
        self._questions: dict[int, tuple[int, Callable[[messages.Answer | None], None]]] = {}
        self._summary: dict[str, Any] = {}

    # ---- a source of the loop

    def fileno(self) -> int:
        """The children are sources of their own."""
        return -1

    def deadline_ns(self) -> int:
        """When a process is to be started or killed, or somebody has waited for too long."""
        due = min((due for due, _reply in self._questions.values()), default=NEVER)
        return min([due, *(one.deadline_ns() for one in (self._kept, self._former) if one is not None)])

    def handle(self, now_ns: int) -> None:
        """Do what is due."""
        for one in (self._former, self._kept):
            if one is not None:
                one.handle(now_ns)
        for number in [number for number, (due, _reply) in self._questions.items() if due <= now_ns]:
            self._questions.pop(number)[1](None)

    # ---- a part of the supervisor

    def sources(self) -> Iterable[Source]:
        """Itself."""
        return (self,)

    def before(self, settings: Settings, now_ns: int, done: Callable[[], None]) -> int:
        """Nothing."""
        del settings, now_ns
        done()
        return 0

    def configure(self, settings: Settings, now_ns: int) -> None:
        """Balance like this from now on."""
        self._settings = settings.lvs
        self._masters.configure(settings.plan)
        self._tell_masters()  # first: a new name is as good as the old one
        if self._kept is not None:
            if self._ready:
                self._order_settings(now_ns)
        elif self._settings or self._left():
            self._start(now_ns)

    def heard(self, message: Any, now_ns: int) -> None:
        """VRRP says who is master: while it hands over, it is still this host."""
        del now_ns
        self._masters.heard(message)
        self._tell_masters()

    def results(self) -> Iterable[TrackResult]:
        """Nothing that VRRP follows."""
        return ()

    def waiting(self) -> list[str]:
        """Nothing: what is known is in files."""
        return []

    def hand_over(self) -> None:
        """The process goes on under the next program, until that has its own."""

    def children(self) -> Mapping[str, Child]:
        """For the next program."""
        child = self._kept.child if self._kept is not None else None
        return {} if child is None else {NAME: child}

    def adopt(self, name: str, process: Process, channel: Channel, now_ns: int) -> None:
        """The process of the program before: it leaves before ours begins, as both would write the same table."""
        if name != NAME:
            return
        self._former = Kept(self._kind, self._loop, heard=lambda message, now: None, gone=self._former_gone)
        self._former.adopt(process, channel, now_ns)
        self._former.end(messages.Leave(), now_ns, _LEAVE_NS)

    def stop(self, now_ns: int) -> None:
        """The daemon ends, and VRRP has."""
        self._stopping = True
        for number in list(self._questions):
            self._questions.pop(number)[1](None)
        if self._kept is None or self._kept.child is None:
            self._gone = True
        if self._kept is not None:
            self._kept.end(messages.Stop(), now_ns, _LEAVE_NS)

    def after(self, now_ns: int) -> int:
        """Nothing."""
        del now_ns
        return 0

    def busy(self) -> bool:
        """Whether the process is still about to end."""
        return self._stopping and not self._gone

    def close(self, now_ns: int) -> None:
        """It notices by itself that nobody listens any more."""
        del now_ns
        for one in (self._kept, self._former):
            if one is not None:
                one.close()

    def problems(self) -> list[str]:
        """What is wrong, in words."""
        if self._kept is None or self._stopping:
            return []
        if self._kept.child is None:
            return ["the LVS process does not run"]
        error = self._summary.get("table_error")
        return [f"the kernel's IPVS table: {error}"] if error else []

    def overview(self) -> dict[str, Any]:
        """For ``lvsctl status``: None without a process, else what it said last."""
        if self._kept is None:
            return {"lvs_process": None}
        child = self._kept.child
        return {
            "lvs_process": {
                "pid": None if child is None else child.pid,
                "deaths": self._kept.deaths,
                **self._summary,
            }
        }

    # ---- questions

    def ask(
        self,
        make: Callable[[int], messages.ToLvs],
        reply: Callable[[messages.Answer | None], None],
        now_ns: int,
        limit_ns: int = ANSWER_NS,
    ) -> None:
        """Ask the process; None when it does not answer in time. ``make`` gets the question's number."""
        if not self._ready or len(self._questions) >= _MOST_QUESTIONS:
            reply(None)
            return
        number = next(self._numbers)
        self._questions[number] = (now_ns + limit_ns, reply)
        self._tell(make(number))

    @property
    def runs(self) -> bool:
        """Whether there is anything to ask."""
        return self._kept is not None

    # ---- the process

    def _start(self, now_ns: int) -> None:
        self._kept = Kept(
            self._kind, self._loop, self._keep, heard=self._heard, gone=self._ended_as_told, died=self._died
        )
        if self._former is None:
            self._kept.start(now_ns)

    def _former_gone(self, ended: Ended, now_ns: int) -> None:
        del ended
        self._former = None
        if self._kept is not None and not self._stopping:
            self._kept.start(now_ns)

    def _tell(self, message: messages.ToLvs) -> None:
        if self._kept is not None and self._kept.child is not None:
            self._kept.child.send(message)

    def _tell_masters(self, *, first: bool = False) -> None:
        masters = self._masters.names()
        if self._ready and (first or masters != self._masters_told):
            self._masters_told = masters
            self._tell(messages.Masters(masters))

    def _order_settings(self, now_ns: int) -> None:
        """Tens of thousands of real servers may keep a slow host's process silent until it says Configured."""
        self._tell(messages.Configure(self._settings))
        self._busy(now_ns + _CONFIGURE_NS)

    def _busy(self, until_ns: int) -> None:
        if self._kept is not None and self._kept.child is not None:
            self._kept.child.busy_until(until_ns)

    def _heard(self, message: Any, now_ns: int) -> None:
        if isinstance(message, messages.Ready):
            self._ready = True
            self._tell_masters(first=True)
            self._order_settings(now_ns)
        elif isinstance(message, messages.Heartbeat):
            self._summary = message.summary if self._configured else {}
        elif isinstance(message, messages.Answer):
            _due, reply = self._questions.pop(message.number, (0, None))
            if reply is not None:
                reply(message)
        else:
            self._noted(message, now_ns)

    def _noted(self, message: Any, now_ns: int) -> None:
        """What is written down, and told on."""
        if isinstance(message, messages.Happened):
            self._happened(message, now_ns)
        elif isinstance(message, messages.Drift):
            lines = ", ".join(f"`{line}`" for line in message.lines[:_SHOWN])
            cause = f"somebody else changed it: {message.number} changes put it back: {lines}"
            _log.warning("%s: %s", message.service, cause)
            self._record("drift", cause, message.service, {"number": message.number})
        elif isinstance(message, messages.Configured):
            self._configured = True
            self._busy(now_ns)
            _log.info("%d virtual servers with %d real servers", message.virtual_servers, message.real_servers)
            for problem in message.problems:
                _log.error("%s", problem)
                self._record("remark", problem, "", {})
        elif isinstance(message, messages.Remark):
            _log.log(message.level, "%s", message.text)
            if message.level >= logging.WARNING:
                self._record("remark", message.text, "", {})

    def _happened(self, message: messages.Happened, now_ns: int) -> None:
        one = message.transition
        kind = "real_server" if one.server else "quorum"
        name = f"{one.server} of {one.service}" if one.server else one.service
        cause = message.cause or (f"the pool's weight is {one.weight}" if not one.server else one.kind.value)
        level = logging.WARNING if one.kind in _BAD else logging.INFO
        _log.log(level, "%s: %s%s", name, one.kind.value, f": {message.cause}" if message.cause else "")
        self._record(kind, cause, name, {"state": one.kind.value})
        self._notify(one, message.cause, now_ns)

    def _died(self, ended: Ended, pid: int, again_ns: int, now_ns: int) -> None:
        del now_ns
        self._lost()
        when = "at once" if again_ns <= 0 else f"in {again_ns / _SECOND:.1f} s"
        cause = f"{TITLE} {pid} died ({ended.how}); another is started {when}, the kernel's table stays as it is"
        _log.error("%s", cause)
        self._record("process_died", cause, "", {"pid": pid})

    def _ended_as_told(self, ended: Ended, now_ns: int) -> None:
        del ended, now_ns
        self._lost()
        self._gone = True

    def _lost(self) -> None:
        """Nobody answers any more, and what was said last is of the past."""
        self._ready = self._configured = False
        self._summary = {}
        waiting, self._questions = list(self._questions.values()), {}
        for _due, reply in waiting:
            reply(None)
