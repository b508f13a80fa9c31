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

from ..control import verbs
from ..control.events import Events, event
from ..control.protocol import Refused
from ..control.socket import ControlSocket
from ..spelling import nearest
from ..version import VERSION, program
from ..vrrp import messages
from ..vrrp.actions import State
from . import files, sd_notify, upgrade, vrrp_keeper
from .loop import NEVER, Loop
from .reload import Reloads
from .signals import Signals
from .state_file import StateFile, boot_id, resumable
from .status_requests import HandOver, StatusRequests
from .vrrp_keeper import VrrpKeeper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..control.protocol import Request
    from ..control.verb import Reply
    from ..vrrp.plan import Plan
    from .channel import Channel
    from .child import Ended
    from .loop import Source
    from .part import Part
    from .reader import Result, Settings

_log = logging.getLogger(__name__)
_SECOND = 1_000_000_000
_LOCK_PATIENCE_NS = 3 * _SECOND
_LEAST_STOP_NS = 5 * _SECOND
# A hand-over gives up after five adverts, and one more is for what may be late.
_STOP_ADVERTS = 6
# After the last process was asked to end.
_FINISH_NS = 10 * _SECOND

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

    ``entry`` is the VRRP process's main function; ``parts`` makes tracking and notification.
    """

    def __init__(
        self,
        options: Options,
        entry: Callable[[Channel], int],
        environment: dict[str, str],
        parts: Callable[[Supervisor], Sequence[Part]] = lambda _supervisor: (),
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._options = options
        self._environment = environment
        self._parts = parts(self)
        self._clock = clock
        self._started_ns = clock()
        inherited = upgrade.inherited(environment)
        self._lock = (
            files.lock(os.path.join(options.runtime_dir, "lock"), _LOCK_PATIENCE_NS)
            if inherited is None
            else inherited.lock
        )
        self._loop = Loop(clock)
        self._notify = sd_notify.from_environment(environment, os.getpid())
        self._file = StateFile(os.path.join(options.runtime_dir, "state.json"), boot_id())
        self._saved = self._file.read()
        same_boot = self._saved is not None and self._saved.boot_id == boot_id()
        self._before = {(one.kind, one.name): one for one in self._saved.results} if same_boot and self._saved else {}
        self.events = Events(options.history_dir)
        self._control = ControlSocket(options.socket, options.group, self._answer)
        self._requests = StatusRequests()
        self._hand_overs: list[tuple[HandOver, Reply]] = []
        self._alarms: dict[tuple[str, str, str], str] = {}
        self._settings: Settings | None = None
        self._said = "is being read"
        self._applied_real = 0.0
        self._reload = Reloads(
            options.file,
            options.config_id,
            self._loop,
            done=self._was_read,
            upgrade_now=self._become_new_program,
            clock=clock,
        )
        self._keeper = VrrpKeeper(self._loop, entry, self._file, self, [self._lock])
        if same_boot and self._saved:
            self._keeper.told.update(self._saved.told)
        self._inherited = inherited
        self._status: int | None = None
        self._stopping = False
        self._finish_ns = NEVER
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
                self._loop.turn()
            return self._status
        finally:
            self._close(signals)

    def fileno(self) -> int:
        """The supervisor itself is a source of its loop, for what it waits for."""
        return -1

    def deadline_ns(self) -> int:
        """When a hand-over was to be done, or the end."""
        return min([self._finish_ns, *(one.deadline_ns for one, _reply in self._hand_overs)])

    def handle(self, now_ns: int) -> None:
        """Answer hand-overs that are over; end when nobody has anything to finish."""
        over = [(one, reply) for one, reply in self._hand_overs if not one.waiting or one.deadline_ns <= now_ns]
        for one, reply in over:
            self._hand_overs.remove((one, reply))
            reply(self._handed_over(one))
        if self._finish_ns != NEVER:
            self._finish(now_ns)

    def _begin(self, signals: Signals) -> None:
        now = self._clock()
        if self._options.pid_file:
            files.replace(self._options.pid_file, f"{os.getpid()}\n".encode(), 0o644)
        sources: list[Source] = [signals, self._keeper, self._control, self._requests, self._notify, self]
        for source in [*sources, *(one for part in self._parts for one in part.sources())]:
            self._loop.add(source)
        # what lives now stays: a collection would write to all of it, and so unshare it from the children
        gc.collect()
        gc.freeze()
        if self._inherited is None:
            resume = resumable(self._saved, boot_id())
            self._event("start", f"lvs-agent {VERSION}, process {os.getpid()}")
            self._keeper.start(now, resume)
        else:
            if self._saved is not None:
                self._keeper.states.update(self._saved.states)
            self._event("upgrade", f"lvs-agent {VERSION} takes over from the program before, process {os.getpid()}")
            for process, channel in self._inherited.children.values():
                self._keeper.adopt(process, channel, now)
            self._keeper.start(now)
        self._reload.begin()

    def _close(self, signals: Signals) -> None:
        self._reload.close()
        self._keeper.close()
        for part in self._parts:
            part.close(self._clock())
        self._control.close()
        signals.close()
        self.events.close()
        self._notify.close()
        self._loop.close()
        os.close(self._lock)
        if self._options.pid_file:
            with contextlib.suppress(OSError):
                os.unlink(self._options.pid_file)

    # ---- configuration

    def reload(self, who: str, reply: Reply) -> None:
        """Read the configuration again."""
        if self._stopping:
            reply(Refused("stopping", "the daemon is about to end"))
            return
        _log.info("reload, asked for by %s", who)
        self._event("reload", f"asked for by {who}")
        if self._reload.begin(reply):
            self._notify.reloading(self._clock())

    def _was_read(self, result: Result, now_ns: int) -> None:
        if self._stopping:
            return
        if result.settings is None:
            self._refuse(result)
            return
        self._settings = result.settings
        self._applied_real = time.time()
        self._said = f"read, with {len(result.warnings)} warnings" if result.warnings else "read"
        for part in self._parts:
            part.configure(result.settings, now_ns)
        # the answer comes with Configured
        self._keeper.configure(result.settings.plan, now_ns)

    def _refuse(self, result: Result) -> None:
        count = f"{len(result.errors)} error{'' if len(result.errors) == 1 else 's'}"
        if self._settings is None and self._inherited is None:
            _log.critical("%s: %s; lvs-agent does not start", self._options.file, count)
            self._event("configuration", f"{count}: not started; {result.errors[0]}")
            self._status = BAD_CONFIGURATION
            return
        self._said = f"{count} in what is there now: the configuration before stays in force"
        _log.error("%s: %s", self._options.file, self._said)
        self._event("configuration", f"{self._said}; {result.errors[0]}")
        self._finish_reload(applied=False, errors=result.errors, said=self._said)

    def _configured(self, message: messages.Configured) -> None:
        if self._settings is None:
            return
        kinds = ("added", "removed", "changed", "resumed")
        changes = {kind: list(getattr(message, kind)) for kind in kinds}
        said = ", ".join(f"{kind} {', '.join(names[:10])}" for kind, names in changes.items() if names)
        count = len(self._settings.plan.instances)
        self._event("configured", said or "nothing changed", problems=list(message.problems))
        for problem in message.problems:
            _log.error("%s", problem)
        _log.info("%d VRRP instances: %s", count, said or "nothing changed")
        self._up = True
        self._before.clear()
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

    def _become_new_program(self) -> None:
        """Returns when that is not possible."""
        child = self._keeper.child
        if child is None or self._settings is None:
            return
        _log.info("the program was exchanged: the new one takes over")
        self._reload.finish({"applied": True, "errors": [], "warnings": [], "said": "the new program takes over"})
        self._control.handle(self._clock())
        child.channel.flush()
        try:
            upgrade.become(upgrade.command_line(), self._environment, {vrrp_keeper.NAME: child}, self._lock)
        except OSError as error:
            _log.error("the new program could not be executed: %s", error.strerror)

    # ---- the VRRP process

    def heard(self, message: Any, now_ns: int) -> None:
        """The VRRP process said this."""
        if isinstance(message, messages.Status):
            self._requests.answered(message)
        elif isinstance(message, messages.Configured):
            self._configured(message)
        elif isinstance(message, messages.Transitioned):
            self._transitioned(message)
        else:
            self._noted(message)
        for part in self._parts:
            part.heard(message, now_ns)

    def results(self) -> Iterable[messages.TrackResult]:
        """What is tracked, for a VRRP process that begins."""
        return [self._known(result) for part in self._parts for result in part.results()]

    def settled(self) -> bool:
        """Whether everything that is tracked has said how it is."""
        return all(result.up is not None for result in self.results())

    def _known(self, result: messages.TrackResult) -> messages.TrackResult:
        """A result, or what the daemon before us knew of the same."""
        return self._before.get((result.kind, result.name), result) if result.up is None else result

    def track(self, result: messages.TrackResult, cause: str) -> None:
        """Something that is tracked changed: for the parts to call."""
        up = {True: "up", False: "down", None: "unknown"}[result.up]
        self._event("tracking", cause, name=result.name, tracked=result.kind.value, state=up)
        self._keeper.send(result)
        self._file.results(self.results())

    def record(self, kind: str, cause: str, name: str, details: dict[str, Any]) -> None:
        """Write an event: for the parts to call."""
        self._event(kind, cause, name=name, **details)

    def died(self, ended: Ended, pid: int, again_ns: int) -> None:
        """The VRRP process ended unasked."""
        when = "at once" if again_ns <= 0 else f"in {again_ns / 1e9:.1f} s"
        cause = f"VRRP process {pid} died ({ended.how}); another is started {when}, addresses stay where they are"
        _log.error("%s", cause)
        self._event("process_died", cause, pid=pid)
        self._requests.give_up()

    def stopped(self) -> None:
        """The VRRP process ended as it was told: the rest may finish."""
        now = self._clock()
        for part in self._parts:
            part.stop(now)
        self._finish_ns = now

    def _transitioned(self, message: messages.Transitioned) -> None:
        text = "%s %s: %s -> %s: %s"
        kind = "group" if message.group else "instance"
        _log.info(text, kind, message.name, message.former.value, message.state.value, message.cause)
        self._event(
            "transition",
            message.cause,
            real_ns=message.real_ns,
            name=message.name,
            of=kind,
            former=message.former.value,
            state=message.state.value,
            priority=message.priority,
        )
        for one, _reply in self._hand_overs:
            one.transitioned(message)
        if self._up and not self._reload.running:
            self._notify.status(f"{message.name} is {message.state.value}")

    def _noted(self, message: Any) -> None:
        """What is only written down."""
        if isinstance(message, messages.AlarmRaised):
            _log.warning("%s: alarm %s: %s", message.name, message.kind, message.detail)
            self._alarms[message.name, message.kind, message.source] = message.detail
            self._event("alarm", message.detail, name=message.name, alarm=message.kind, source=message.source)
        elif isinstance(message, messages.AlarmGone):
            _log.info("%s: alarm %s is over", message.name, message.kind)
            self._alarms.pop((message.name, message.kind, message.source), None)
            self._event("alarm_over", message.kind, name=message.name, alarm=message.kind, source=message.source)
        elif isinstance(message, messages.Remark):
            _log.log(message.level, "%s%s", f"{message.name}: " if message.name else "", message.text)
            if message.level >= logging.WARNING:
                self._event("remark", message.text, name=message.name)
        elif isinstance(message, messages.LoopStall):
            late = f"the VRRP process came {message.late_ns / 1e6:.0f} ms late to a timer"
            _log.warning("%s: the host was too busy, or stood still", late)
            self._event("stall", late)
        elif isinstance(message, messages.PriorityChanged):
            faults = f", {'; '.join(message.faults)}" if message.faults else ""
            cause = f"{message.former} -> {message.priority}{faults}"
            _log.info("%s: priority %s", message.name, cause)
            self._event("priority", cause, name=message.name, priority=message.priority)

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
        self._event("stop", "asked for by a signal" + (", a second time: at once" if at_once else ""))
        for _one, reply in self._hand_overs:
            reply(Refused("stopping", "the daemon is about to end, and hands everything over"))
        self._hand_overs.clear()
        self._notify.stopping("handing over")
        self._notify.extend_timeout(limit_ns + _FINISH_NS)
        self._reload.close()
        self._keeper.stop(now_ns, limit_ns, at_once=at_once)

    def _finish(self, now_ns: int) -> None:
        """Wait for the parts, such as scripts that tell of the end."""
        self._file.remove()
        limit_ns = _FINISH_NS
        if not any(part.busy() for part in self._parts) or now_ns >= self._finish_ns + limit_ns:
            self._status = STOPPED

    # ---- the operator

    def _answer(self, request: Request, who: str, reply: Reply) -> None:
        verbs.answer(self, request, who, reply)

    def overview(self) -> dict[str, Any]:
        """The daemon itself, as plain values for JSON."""
        now = self._clock()
        child = self._keeper.child
        problems = [f"the configuration file has errors: {error}" for error in self._reload.errors[:1]]
        if child is None:
            problems.append("the VRRP process does not run")
        if self.events.path is None and self._options.history_dir is not None:
            problems.append(f"{self._options.history_dir} cannot be written: events are kept in memory only")
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
                for (name, kind, source), detail in self._alarms.items()
            ],
            "problems": problems,
        }

    def ask_vrrp(self, reply: Callable[[messages.Status | None], None]) -> None:
        """The VRRP process's status; None when it does not answer in time."""
        number = self._requests.add(self._clock(), reply)
        if number is not None and not self._keeper.send(messages.StatusRequest(number)):
            self._requests.give_up()

    def hand_over(self, name: str | None, who: str, reply: Reply) -> None:
        """Give mastership of an instance, of a sync group, or of all away. Raises Refused."""
        plan = self._plan()
        instances = {one.name: one for one in self._affected(plan, name)}
        states = self._states()
        masters = [one for one in instances if states.get(one) is State.MASTER]
        if not masters:
            where = ", ".join(f"{one} is {states.get(one, State.INIT).value}" for one in list(instances)[:5])
            what = f"there is nothing to give away here: {where}"
            raise Refused("not_master", what, "ask the director that is master")
        if not self._keeper.send(messages.HandOver(name)):
            raise Refused("vrrp_silent", "the VRRP process does not run", "ask again in a moment")
        for one in masters:
            self._event("failover", f"asked for by {who}", name=one)
        longest = max(instances[one].instance.advert_int for one in masters)
        deadline_ns = self._clock() + _STOP_ADVERTS * longest + _SECOND
        self._hand_overs.append((HandOver(masters, deadline_ns), reply))

    def release(self, name: str | None, who: str) -> dict[str, Any]:
        """Forget a hand-over. Raises Refused."""
        names = [one.name for one in self._affected(self._plan(), name)]
        if not self._keeper.send(messages.Release(name)):
            raise Refused("vrrp_silent", "the VRRP process does not run", "ask again in a moment")
        self._event("release", f"asked for by {who}", name=name or "")
        states = self._states()
        found = [{"name": one, "state": states.get(one, State.INIT).value, "cause": "released"} for one in names]
        return {"done": True, "instances": found, "said": "the priorities decide again who is master"}

    def _handed_over(self, one: HandOver) -> dict[str, Any]:
        done, found = one.outcome(self._states())
        said = "given away; `lvsctl failover --release` ends it" if done else "not everything was given away"
        return {"done": done, "instances": found, "said": said}

    def _plan(self) -> Plan:
        if self._settings is None:
            raise Refused("starting", "the configuration is being read", "ask again in a moment")
        return self._settings.plan

    def _affected(self, plan: Plan, name: str | None) -> list[Any]:
        """The instances that a name means, and those that change with them."""
        groups = {group.name: set(group.members) for group in plan.groups}
        known = {one.name for one in plan.instances}
        if name is None:
            return list(plan.instances)
        if name not in known and name not in groups:
            what = f"there is neither a vrrp_instance nor a vrrp_sync_group {name}"
            raise Refused("unknown_instance", what, nearest(name, [*known, *groups]))
        wanted = groups.get(name, {name})
        for members in groups.values():
            wanted = wanted | members if wanted & members else wanted
        return [one for one in plan.instances if one.name in wanted]

    def _states(self) -> dict[str, State]:
        """Each instance's state by its name."""
        if self._settings is None:
            return {}
        states = self._keeper.states
        return {one.name: states[one.identity] for one in self._settings.plan.instances if one.identity in states}

    def _event(self, kind: str, cause: str, real_ns: int | None = None, **details: Any) -> None:
        self.events.add(event(time.time_ns() if real_ns is None else real_ns, kind, cause, **details))
