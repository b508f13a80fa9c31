# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon's parent process: it keeps the VRRP process, reads the configuration, and answers the operator.

It is where the daemon's parts meet. Everything happens in one loop that never waits for anything but its sources.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import logging
import os
import signal
import time
from typing import TYPE_CHECKING, Any

from .. import heap
from ..control import verbs
from ..control.events import Events
from ..control.protocol import Refused
from ..control.socket import ControlSocket
from ..version import VERSION, program
from ..vrrp import messages
from ..vrrp.actions import State
from . import files, head_start, sd_notify
from .ending import TELLING_NS, Ending
from .exchange import Exchange
from .journal import Journal
from .loop import Loop
from .operator import Operator
from .other_daemons import OtherDaemons
from .probation import Probation
from .reader import Result
from .reload import Reloads
from .signals import Signals
from .state_file import resumes
from .vrrp_keeper import VrrpKeeper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..control.protocol import Request
    from ..control.verb import Reply
    from .child import Child, Ended
    from .head_start import Entry, Start
    from .loop import Source
    from .part import Part
    from .reader import Settings

_log = logging.getLogger(__name__)
_SECOND = 1_000_000_000
_LEAST_STOP_NS = 5 * _SECOND
# A hand-over gives up after five adverts, and one more is for what may be late.
_STOP_ADVERTS = 6

STOPPED = 0
FAILED = 1
BAD_CONFIGURATION = 5


@dataclasses.dataclass(frozen=True)
class Options:
    """The command line. ``group`` may use the control socket, -1 for the daemon's own; "" stands for none."""

    file: str
    config_id: str
    runtime_dir: str
    history_dir: str | None
    socket: str
    group: int = -1
    pid_file: str = ""


class Supervisor:
    """One run of the daemon.

    ``start`` is what it finds, ``entry`` the VRRP process's main function; ``parts`` makes the others, which may use
    ``loop``, ``lock`` (for their children to hold), ``operator`` and ``states_before``, VRRP's under the supervisor
    before this one.
    """

    def __init__(
        self,
        options: Options,
        start: Start,
        entry: Entry,
        environment: dict[str, str],
        *,
        parts: Callable[[Supervisor], Sequence[Part]] = lambda _supervisor: (),
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._options = options
        self._environment = environment
        self._clock = clock
        self._started_ns = clock()
        inherited = start.inherited
        self._start = start
        self.lock = start.lock
        self.loop = Loop(clock)
        self._notify = sd_notify.from_environment(environment, os.getpid())
        self._file = start.file
        self._saved = start.saved
        # the last result of everything that is tracked, the daemon before us knew it first
        self._last = {(one.kind, one.name): one for one in self._saved.results} if self._saved else {}
        self._journal = Journal(Events(options.history_dir))
        self._keeper = VrrpKeeper(
            self.loop, entry, self._file, self, adverts=start.adverts, sequences=start.sequences, keep=[self.lock]
        )
        if self._saved is not None:
            self._keeper.told.update(self._saved.told)
        self.operator = Operator(
            self._keeper,
            self._journal,
            clock,
            overview=self._overview,
            reload=self.reload,
            read=self._look,
        )
        self._others = OtherDaemons(self._journal, lambda: self.operator.plan, self._keeper.pids)
        self.states_before = dict(self._saved.states) if self._saved is not None else {}
        self._parts = parts(self)
        self._control = ControlSocket(options.socket, options.group, self._answer, clock=clock)
        self._exchange = Exchange(
            self._parts,
            environment,
            self.lock,
            children=self._children,
            last_words=self._last_words,
            restore=self._restore,
        )
        self._ending = Ending(self._parts, self._notify, self._over)
        self._reload = Reloads(
            options.file,
            options.config_id,
            self.loop,
            done=self._was_read,
            upgrade_now=lambda failed: self._exchange.begin(clock(), failed),
            clock=clock,
        )
        self._inherited = inherited
        self._settings: Settings | None = None
        self._allow_empty = False
        self._probation = Probation()
        self._deadly = ""  # why what was read last is not in force
        self._balances_otherwise = False  # than before, by what was read last
        self._prepared = inherited is not None or self._saved is not None
        self._preparing = False
        self._went_on = False  # with what was in force, and the file was not read yet
        self._said = "is being read"
        self._applied_real = 0.0
        self._status: int | None = None
        self._stopping = False
        self._up = False

    # ---- the loop

    def run(self) -> int:
        """Until a signal ends it; the exit status."""
        signals = Signals(
            {
                signal.SIGTERM: self._terminated,
                signal.SIGINT: self._terminated,
                signal.SIGHUP: lambda _now: self.reload("SIGHUP", lambda _answer: None),
            }
        )
        try:
            self._begin(signals)
            while self._status is None:
                self.loop.turn()
            return self._status
        finally:
            self._close(signals)

    def _begin(self, signals: Signals) -> None:
        now = self._clock()
        self._write_pid_file()
        sources: list[Source] = [signals, self._keeper, self._control, *self.operator.sources(), self._notify]
        sources += [self._exchange, self._ending, self._others]
        for source in [*sources, *(one for part in self._parts for one in part.sources())]:
            self.loop.add(source)
        # what lives now stays: a collection would write to all of it, and so unshare it from the children
        heap.trim()
        gc.freeze()
        if self._inherited is None:
            self._journal.event("start", f"lvs-agent {VERSION}, process {os.getpid()}")
            self._start_vrrp(now)
        else:
            if self._saved is not None:
                self._keeper.states.update(self._saved.states)
            told = f"lvs-agent {VERSION} takes over from the program before, process {os.getpid()}"
            self._journal.event("upgrade", told)
            for name, (process, channel) in self._inherited.children.items():
                if name == head_start.NAME:
                    self._keeper.adopt(process, channel, now)
                for part in self._parts:
                    part.adopt(name, process, channel, now)
            self._keeper.start(now)
        self._reload.begin()

    def _write_pid_file(self) -> None:
        """An error is logged: the VIPs matter more."""
        if not self._options.pid_file:
            return
        try:
            files.replace(self._options.pid_file, f"{os.getpid()}\n".encode(), 0o644)
        except OSError as error:
            _log.error("%s: %s; lvs-agent runs without it", self._options.pid_file, error.strerror)

    def _start_vrrp(self, now_ns: int) -> None:
        """Have a VRRP process; when one goes on already, so does all the rest with what was in force."""
        saved, running = self._saved, self._start.running
        if saved is None or running is None:
            self._keeper.start(now_ns, resumes(saved.states, saved.alive_ns, self._start.adverts) if saved else ())
            return
        self._keeper.go_on(running, saved.states, now_ns)
        self.operator.plan = running.taken.plan
        self._settings = running.taken.settings()
        if self._settings is not None:
            self._applied_real = time.time()
            self._went_on = True
            self._probation.begin(self._settings)
            for part in self._parts:
                part.configure(self._settings, now_ns)

    def _close(self, signals: Signals) -> None:
        self._reload.close()
        self._keeper.close()
        for part in self._parts:
            part.close(self._clock())
        self._control.close()
        signals.close()
        self._journal.events.close()
        self._notify.close()
        self.loop.close()
        os.close(self._start.adverts)
        os.close(self.lock)
        if self._options.pid_file:
            with contextlib.suppress(OSError):
                os.unlink(self._options.pid_file)

    # ---- configuration

    def reload(self, who: str, reply: Reply, *, allow_empty: bool = False) -> None:
        """Read the configuration again; ``allow_empty``: one without anything to serve is taken, too."""
        if self._stopping:
            reply(Refused("stopping", "the daemon is about to end"))
            return
        self._allow_empty |= allow_empty
        _log.info("reload, asked for by %s", who)
        self._journal.event("reload", f"asked for by {who}")
        if self._reload.begin(reply):
            self._notify.reloading(self._clock())

    def _was_read(self, result: Result, now_ns: int) -> None:
        if self._stopping:
            return
        if result.settings is not None and self._would_empty(result.settings):
            what = "it has neither a vrrp_instance nor a virtual_server; `lvsctl reload --allow-empty` takes it"
            result = Result(None, (f"{self._options.file}: {what}",), result.warnings)
            self._reload.errors = result.errors
        if not self._reload.again:
            self._allow_empty = False
        if result.settings is None:
            self._refuse(result)
            return
        self._said = f"read, with {len(result.warnings)} warnings" if result.warnings else "read"
        self._deadly = ""
        went_on, self._went_on = self._went_on, False
        if went_on and result.settings == self._settings:
            self._finish_reload(applied=True, errors=(), said="nothing changed")
            return
        self._balances_otherwise = self._settings is not None and self._settings.lvs != result.settings.lvs
        self._settings = result.settings
        if not self._prepared and not self._preparing:
            self._preparing = True
            self._prepare(list(self._parts), now_ns)
        elif self._prepared:
            self._apply(now_ns)

    def _would_empty(self, settings: Settings) -> bool:
        """Whether this would take everything away, which a file that was emptied by mistake must not."""
        if self._settings is None:
            # a new program, beside the process of the one before
            served = self._inherited is not None and bool(self.states_before)
        else:
            served = not self._settings.is_empty
        return served and settings.is_empty and not self._allow_empty

    def _prepare(self, parts: list[Part], now_ns: int) -> None:
        """Let each part do what comes before anything begins: one after the other, and once on this host.

        A daemon that was killed has done so, and its addresses must not wait.
        """
        if parts and self._settings is not None:
            first, *others = parts
            limit_ns = first.before(self._settings, now_ns, lambda: self._prepare(others, self._clock()))
            if limit_ns:
                self._notify.extend_timeout(limit_ns + TELLING_NS)
            return
        self._prepared = True
        self._apply(now_ns)

    def _apply(self, now_ns: int) -> None:
        """The settings that were read last hold from now on."""
        if self._settings is None or self._stopping:
            return
        self._probation.begin(self._settings)
        self._put_in_force(self._settings, now_ns)

    def _put_in_force(self, settings: Settings, now_ns: int) -> None:
        self._applied_real = time.time()
        for part in self._parts:
            part.configure(settings, now_ns)
        tracked = {(one.kind, one.name) for part in self._parts for one in part.results()}
        self._last = {key: result for key, result in self._last.items() if key in tracked}
        self.operator.plan = settings.plan
        # the answer comes with Configured
        self._keeper.configure(settings.plan, now_ns)

    def _go_back(self, settings: Settings, how: str) -> None:
        """The VRRP process died of the settings that were read last: these have worked."""
        self._deadly = f"what was read last kills the VRRP process ({how}): the configuration before is in force again"
        self._said = self._deadly
        _log.error("%s: %s; please report it", self._options.file, self._said)
        self._journal.event("configuration", self._said)
        self._settings = settings
        self._balances_otherwise = False
        now_ns = self._clock()
        self._put_in_force(settings, now_ns)
        self._keeper.hurry(now_ns)
        if self._reload.running:
            # who asked for what is being read now is answered when that is known
            self._tell_systemd()
            return
        self._finish_reload(applied=False, errors=[self._deadly], said=self._said)

    def _refuse(self, result: Result) -> None:
        count = f"{len(result.errors)} error{'' if len(result.errors) == 1 else 's'}"
        if self._settings is None and self._inherited is None:
            _log.critical("%s: %s; lvs-agent does not start", self._options.file, count)
            self._journal.event("configuration", f"{count}: not started; {result.errors[0]}")
            self._status = BAD_CONFIGURATION
            return
        self._said = f"{count} in what is there now: the configuration before stays in force"
        _log.error("%s: %s", self._options.file, self._said)
        self._journal.event("configuration", f"{self._said}; {result.errors[0]}")
        self._finish_reload(applied=False, errors=result.errors, said=self._said)

    def _configured(self, message: messages.Configured) -> None:
        if self._settings is None:
            return
        kinds = ("added", "removed", "changed", "resumed")
        changes = {kind: list(getattr(message, kind)) for kind in kinds}
        different = [f"{kind} {', '.join(names[:10])}" for kind, names in changes.items() if names]
        if self._balances_otherwise:
            different.append("virtual servers changed")
            self._balances_otherwise = False
        said = ", ".join(different)
        count = len(self._settings.plan.instances)
        self._journal.event("configured", said or "nothing changed", problems=list(message.problems))
        for problem in message.problems:
            _log.error("%s", problem)
        _log.info("%d VRRP instances: %s", count, said or "nothing changed")
        self._up = True
        self._probation.carried_out(self._clock())
        self._start.in_force.write(self._settings)
        if self._reload.running:
            # what was in force went on; the file is still being read
            self._tell_systemd()
            return
        self._finish_reload(applied=True, errors=message.problems, said=said or "nothing changed", **changes)

    def _finish_reload(self, *, applied: bool, errors: Sequence[str], said: str, **changes: list[str]) -> None:
        self._tell_systemd()
        answer = {"applied": applied, "errors": list(errors), "warnings": list(self._reload.warnings), "said": said}
        if self._reload.finish({**answer, **changes}):
            self._notify.reloading(self._clock())

    def _tell_systemd(self) -> None:
        states = list(self._keeper.states.values())
        counts = ", ".join(f"{states.count(state)} {state.value}" for state in State if state in states)
        self._notify.ready(f"{counts or 'no VRRP instances'}; configuration {self._said}")

    def _children(self) -> dict[str, Child]:
        """For the new program; none while nothing is configured."""
        child = self._keeper.child
        if child is None or self._settings is None:
            return {}
        found = {head_start.NAME: child}
        for part in self._parts:
            found.update(part.children())
        return found

    def _last_words(self) -> None:
        _log.info("the program was exchanged: the new one takes over")
        self._reload.finish({"applied": True, "errors": [], "warnings": [], "said": "the new program takes over"})
        self._control.handle(self._clock())

    def _restore(self) -> None:
        """The new program did not take over: the parts have what they left to it."""
        for part in self._parts:
            if self._settings is not None:
                part.configure(self._settings, self._clock())

    # ---- the VRRP process

    def heard(self, message: Any, now_ns: int) -> None:
        """The VRRP process said this."""
        if isinstance(message, messages.Configured):
            self._configured(message)
        elif isinstance(message, messages.Heartbeat):
            self._probation.alive(now_ns)
        self._journal.heard(message)
        if isinstance(message, messages.Transitioned) and self._up and not self._reload.running:
            self._notify.status(f"{message.name} is {message.state.value}")
        self.operator.heard(message, now_ns)
        for part in self._parts:
            part.heard(message, now_ns)

    def results(self) -> Iterable[messages.TrackResult]:
        """What is tracked, for a VRRP process that begins."""
        return [self._known(result) for part in self._parts for result in part.results()]

    def settled(self) -> bool:
        """Whether everything that is tracked has said how it is."""
        return all(result.up is not None for result in self.results())

    def _known(self, result: messages.TrackResult) -> messages.TrackResult:
        """A result, or the one that was there before it became unknown."""
        return self._last.get((result.kind, result.name), result) if result.up is None else result

    def track(self, result: messages.TrackResult, cause: str) -> None:
        """Something that is tracked changed: for the parts to call."""
        self._journal.tracked(result, cause)
        self._last[(result.kind, result.name)] = result
        self._keeper.send(result)
        self._file.results(self.results())

    def record(self, kind: str, cause: str, name: str, details: dict[str, Any]) -> None:
        """Write an event: for the parts to call."""
        self._journal.event(kind, cause, name=name, **details)

    def died(self, ended: Ended, pid: int, again_ns: int) -> None:
        """The VRRP process ended unasked."""
        when = "at once" if again_ns <= 0 else f"in {again_ns / 1e9:.1f} s"
        cause = f"VRRP process {pid} died ({ended.how}); another is started {when}, addresses stay where they are"
        _log.error("%s", cause)
        self._journal.event("process_died", cause, pid=pid)
        self.operator.vrrp_died()
        settings = self._probation.died() if ended.itself else None
        if settings is not None and not self._stopping:
            self._go_back(settings, ended.how)

    def gone(self) -> None:
        """A VRRP process has ended that another one follows."""
        self._journal.vrrp_ended()

    def stopped(self) -> None:
        """The VRRP process ended as it was told: the rest may finish."""
        self._start.forget()
        self._ending.begin(self._clock())

    # ---- the end

    def _terminated(self, now_ns: int) -> None:
        """SIGTERM or SIGINT: hand over and end; a second one does not wait for a successor."""
        at_once = self._stopping
        self._stopping = True
        limit_ns = _LEAST_STOP_NS
        if self._settings is not None and not at_once:
            adverts = [one.instance.advert_int for one in self._settings.plan.instances]
            limit_ns += _STOP_ADVERTS * max(adverts, default=0)
        _log.info("end%s", ", at once" if at_once else ": hand over first")
        self._journal.event("stop", "asked for by a signal" + (", a second time: at once" if at_once else ""))
        self.operator.stopping()
        self._exchange.stop()
        self._notify.stopping("handing over")
        self._notify.extend_timeout(limit_ns + TELLING_NS)
        self._reload.close()
        self._keeper.stop(now_ns, limit_ns, at_once=at_once)

    def _over(self) -> None:
        self._start.forget()
        self._status = STOPPED

    # ---- the operator

    def _answer(self, request: Request, who: str, reply: Reply) -> None:
        verbs.answer(self.operator, request, who, reply)

    def _look(self, done: Callable[[Result], None]) -> None:
        self._reload.look(done)

    def _overview(self) -> dict[str, Any]:
        """The daemon itself, as plain values for JSON."""
        now = self._clock()
        child = self._keeper.child
        problems = [f"the configuration file has errors: {error}" for error in self._reload.errors[:1]]
        if self._deadly:
            problems.append(self._deadly)
        if child is None:
            problems.append("the VRRP process does not run")
        if self._journal.events.path is None and self._options.history_dir is not None:
            problems.append(f"{self._options.history_dir} cannot be written: events are kept in memory only")
        problems += [*self._others.problems(), *(problem for part in self._parts for problem in part.problems())]
        return {
            "version": VERSION,
            "program": program(),
            "pid": os.getpid(),
            "uptime_seconds": round((now - self._started_ns) / _SECOND, 3),
            "configuration": {
                "file": self._options.file,
                "said": self._said,
                "applied_at": round(self._applied_real, 3),
                "errors": list(self._reload.errors),
                "warnings": list(self._reload.warnings),
            },
            "vrrp_process": {
                "pid": None if child is None else child.pid,
                "deaths": self._keeper.deaths,
                "heard_seconds_ago": None if child is None else round((now - child.heard_ns) / _SECOND, 3),
            },
            "alarms": [
                {"name": name, "kind": kind, "source": source, "detail": detail}
                for (name, kind, source), detail in self._journal.alarms.items()
            ],
            "problems": problems,
            **{key: value for part in self._parts for key, value in part.overview().items()},
        }
