# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The LVS process: health checks and the kernel's IPVS table, apart from VRRP, which it can never keep waiting.

What checks, the operator and VRRP say goes into the decisions (lvs/decisions.py), what comes out goes to the kernel
(lvs/writer.py), to the supervisor, and into files for the process after this one. When it ends because it was told to
leave, or because its supervisor is gone, the kernel's table stays as it is.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from typing import TYPE_CHECKING, Any

from ..control.protocol import Refused
from ..health import results, sources
from ..health.attempt import Outcome
from ..health.plan import CheckId
from ..health.scheduler import Scheduler
from ..kernel.errors import KernelError
from ..kernel.ipvs import Ipvs
from ..kernel.ipvs_conn import TooLong, udp_flows
from ..lvs import messages, sync_daemon, templates, via_vip
from ..lvs.decisions import Decisions
from ..lvs.desired import Health
from ..lvs.reply_path import ReplyPath
from ..lvs.transitions import Kind
from ..lvs.writer import Repaired, Writer
from ..spawn import Spawner
from . import lvs_names, lvs_settings
from .loop import NEVER, Loop
from .lvs_channel import Line
from .lvs_operator import LvsOperator
from .lvs_searches import LvsSearches
from .scheduling import Scheduled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ..lvs.overrides import Overrides
    from ..lvs.owned import Owned
    from ..lvs.resolve import Change, Key
    from ..lvs.transitions import Transition
    from .channel import Channel
    from .lvs_files import LvsFiles
    from .lvs_settings import LvsSettings, Parts

_SECOND = 1_000_000_000
_KEEP_SHARE = 20  # writing down what is known takes one part in so many of its time, at most
_PATH_NS = 5 * _SECOND
_READY_NS = 10 * _SECOND
_LISTING_S = 0.05  # the kernel's list of connections may take that long to read; checks wait meanwhile
_log = logging.getLogger(__name__)


def run(channel: Channel, files: LvsFiles) -> int:
    """Be the LVS process until told to end; the exit status. Needs CAP_NET_ADMIN."""
    process = LvsProcess(channel, files)
    process.tell(messages.Ready())
    process.run()
    return 0


class LvsProcess:
    """A source of its own loop, for decisions and what is done once a second."""

    def __init__(
        self,
        channel: Channel,
        files: LvsFiles,
        connect: Callable[[], Ipvs] = Ipvs,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.decisions = Decisions()
        self.clock = clock
        self._files = files
        self._connect = connect
        self._kernel: Ipvs | None = None
        self._spawner = Spawner()
        self._scheduled = Scheduled()
        self._loop = Loop(clock)
        self._searches = LvsSearches(self._loop, clock)
        self._sources = sources.Sources(sources.events())
        self.scheduler = Scheduler(
            self._checked, self._spawner, clock=clock, searches=self._searches, sources=self._sources
        )
        self._writer = Writer(connect, files.record, self._repaired, files.owned())
        self._sync = sync_daemon.SyncDaemons()
        self._templates = templates.TemplateExpiry()
        self._line = Line(channel, self._told, self._alone)
        self._operator = LvsOperator(self)
        self._parts: Parts = {}
        self._digests = results.Digests()
        self._asked: dict[str, int] = {}
        self._checks: dict[tuple[str, str], tuple[CheckId, ...]] = {}
        self._settings: LvsSettings | None = None
        self._reply_path = ReplyPath(files.borrowed(), files.keep_borrowed)
        self._unready: frozenset[str] = frozenset()
        self._ready_until_ns = NEVER
        self._path_ns = 0
        self._path_problems: list[str] = []
        self._checked_at: dict[Key, str] = {}
        self._heartbeat_ns = 0
        self._keep_ns = 0
        self._news = False
        self._finished = False
        self.resolver = lvs_names.Resolver(self._loop, self._resolved, clock)
        self._serving: dict[Key, str] = {}
        for source in (self._line, self._spawner, self._sources, self.scheduler, self._operator, self, self._writer):
            self._loop.add(source)
        self._loop.add(self.resolver)

    def run(self) -> None:
        """Until told to end, or the supervisor is gone."""
        while not self._finished:
            self._loop.turn()
        self._keep()
        self.resolver.close()
        self.scheduler.close()
        self._searches.close()
        self._sources.close()
        self._spawner.close()
        self._writer.close()
        self._line.finish()

    def tell(self, message: messages.FromLvs) -> None:
        """Say something to the supervisor."""
        self._line.send(message)

    # ---- the loop

    def fileno(self) -> int:
        """Nothing but time."""
        return -1

    def deadline_ns(self) -> int:
        """When to decide, or to say that we live."""
        if self._settings is None:
            return self._heartbeat_ns
        return min(self._heartbeat_ns, self.decisions.deadline_ns())

    def handle(self, now_ns: int) -> None:
        """Decide what is to be decided."""
        if self._settings is not None and self.decisions.deadline_ns() <= now_ns:
            self._move(now_ns)
            self._decide(now_ns)
        if now_ns >= self._heartbeat_ns:
            self._heartbeat_ns = now_ns + _SECOND
            self.tell(messages.Heartbeat(now_ns, self._summary(now_ns)))
            self._follow_sync()
            self._templates.follow()
            self._move(now_ns)
            self._follow_probes(now_ns)
            if self._news and now_ns >= self._keep_ns:
                self._keep()

    def _decide(self, now_ns: int) -> None:
        decided = self.decisions.decide(now_ns)
        self._writer.update(decided.part, decided.absent)
        self._tell_all(decided.transitions)
        self._news = True

    # ---- the supervisor's orders

    def _told(self, message: Any, now_ns: int) -> None:
        if isinstance(message, messages.Configure):
            settings, self._parts = lvs_settings.unpack(message.settings, self._parts)
            self._configure(settings, now_ns)
        elif isinstance(message, messages.Masters):
            self.decisions.follow(message.names)
            if self._settings is not None and self.decisions.deadline_ns() <= now_ns:
                self._decide(now_ns)  # the table first: the VIP is about to come
            self._suspend(now_ns)
            self._follow_sync()
        elif isinstance(message, messages.Leave):
            self._finished = True
        elif isinstance(message, messages.Stop):
            self._stop()
        elif isinstance(message, messages.Ask):
            self._answer(message, now_ns)

    def _alone(self) -> None:
        """The supervisor is gone: whoever comes next goes on."""
        self._finished = True

    def _answer(self, question: messages.Ask, now_ns: int) -> None:
        try:
            self._operator.ask(question, now_ns)
        except Refused as refused:
            said = (refused.code, refused.what, refused.instead)
            self.tell(messages.Answer(question.number, refused=said))
        except KernelError as error:
            self.tell(messages.Answer(question.number, refused=("kernel", str(error), "")))

    def _configure(self, settings: LvsSettings, now_ns: int) -> None:
        problems: list[str] = []
        first = self._settings is None
        resumed = False
        if first:
            self.resolver.names.configure(settings.plan.names, self._files.addresses(), now_ns)
            known = self._files.known(self.at_names(settings))
            resumed = bool(known.states)
            self.decisions.resume(known.states)
            self.decisions.order(self._files.drains())
            self.scheduler.know(known.results)
        else:
            self.resolver.names.configure(settings.plan.names, {}, now_ns)
        self._settings, settings = settings, self.at_names(settings)
        addresses = self.resolver.names.addresses()
        self._checked_at = addresses
        self._serving = {key: self._serving.get(key, address) for key, address in addresses.items()}
        self._spawner.umask = settings.umask
        problems += self._scheduled.become(settings.scheduling)
        self._asked = self._digests.of(settings.checks)
        self._checks = {
            (one.name, server.name): server.checks for one in settings.plan.virtual_servers for server in one.servers
        }
        services = (service.key.addr for one in settings.plan.virtual_servers for service in one.services)
        self._sources.configure(settings.vips, services)
        self.scheduler.configure(settings.checks, now_ns)
        told = self.decisions.configure(settings.plan, self._health())
        if settings.plan.probes or self._reply_path.borrowed:
            self._prepare_probes(settings, now_ns)
        self._suspend(now_ns)
        decided = self.decisions.decide(now_ns)
        if first and settings.plan.flush and not resumed:
            problems += self._tried(self._writer.flush)
        self._writer.configure(self.decisions.table, self.decisions.keep_others(), self.decisions.absent)
        problems += self._tried(lambda: self._set_timeouts(settings))
        self._templates.configure(settings.plan.virtual_servers)
        self._follow_sync()
        self._tell_all([*told, *decided.transitions])
        self._news = True
        count = sum(len(one.servers) for one in settings.plan.virtual_servers)
        self.tell(messages.Configured(len(settings.plan.virtual_servers), count, tuple(problems)))

    def _health(self) -> dict[CheckId, Health]:
        found = self.scheduler.results()
        return {key: Health(one.up, one.outcome.weight) for key, one in found.items() if one.has_run}

    # ---- checks through the VIP

    def _prepare_probes(self, settings: LvsSettings, now_ns: int) -> None:
        """No check goes through a VIP before the kernel has its service: it would find any real server."""
        services = frozenset(service for service, _server in via_vip.marks_of(settings.checks))
        self._unready = services if self._missing_probes() else frozenset()
        self._ready_until_ns = now_ns + _READY_NS
        self._path_ns = 0
        self._follow_probes(now_ns)

    def _missing_probes(self) -> bool:
        probes = self._settings.plan.probes if self._settings is not None else ()
        if not probes:
            return False
        try:
            there = self.kernel().table([one.service.key for one in probes])
        except KernelError:
            self._forget_kernel()
            return True
        return any(one.service.key not in there or not there[one.service.key][1] for one in probes)

    def _follow_probes(self, now_ns: int) -> None:
        """Once a second: let checks begin when their services are there; now and then see to the way back."""
        if self._settings is None or not (self._settings.plan.probes or self._reply_path.borrowed):
            return
        if self._unready and not self._missing_probes():
            self._unready = frozenset()
            self._suspend(now_ns)
        elif self._unready and now_ns >= self._ready_until_ns:
            self._ready_until_ns = NEVER
            what = "the kernel does not take the services of checks through the VIP, and no check runs"
            self.tell(messages.Remark(logging.ERROR, f"{what}: {', '.join(sorted(self._unready))}"))
        if now_ns < self._path_ns:
            return
        self._path_ns = now_ns + _PATH_NS
        ends: list[Any] = [one.check for one in self._settings.checks if one.via_vip]
        vias = {one.endpoint.via for one in ends}
        try:
            problems = self._reply_path.follow(vias, {one.endpoint.address for one in ends})
        except (OSError, KernelError) as error:
            problems = [f"the way back of checks through the VIP: {error}"]
        for problem in problems:
            if problem not in self._path_problems:
                self.tell(messages.Remark(logging.ERROR, problem))
        self._path_problems = problems

    # ---- DNS names

    def at_names(self, settings: LvsSettings) -> LvsSettings:
        """With the addresses of names: of the real servers those that serve, of the checks the last answers."""
        named = {one.key for one in settings.plan.names}
        addresses = {key: at for key, at in self.resolver.names.addresses().items() if key in named}
        serving = {key: self._serving.get(key, at) for key, at in addresses.items()}
        plan = lvs_names.with_addresses(settings.plan, serving)
        return dataclasses.replace(
            settings, plan=plan, checks=lvs_names.checks_at(settings.checks, settings.plan, addresses)
        )

    def names(self) -> dict[Key, dict[str, str]]:
        """For ``lvsctl servers``."""
        names = self.resolver.names
        return {
            key: {"name": name, "address": address, "serving": self._serving.get(key, address), "why": names.why(key)}
            for key, (name, address) in names.known().items()
        }

    def _resolved(self, changes: list[Change]) -> None:
        """Answers have come. What has another address is checked there, and moves when that has a result."""
        for change in changes:
            self.tell(messages.Remark(logging.INFO if change.good else logging.WARNING, change.text))
        addresses = self.resolver.names.addresses()
        if self._settings is None or addresses == self._checked_at:
            return
        self._checked_at = addresses
        now_ns = self.clock()
        checks = self.at_names(self._settings).checks
        self._asked = self._digests.of(checks)
        self.scheduler.configure(checks, now_ns)
        self._suspend(now_ns)
        try:
            self._files.keep_addresses(self.resolver.names.known())
        except OSError as error:
            _log.error("the addresses of names cannot be kept: %s", error)
        self._move(now_ns)

    def _move(self, now_ns: int) -> None:
        """Put real servers whose new address has been checked there; the old one leaves after that."""
        addresses = self.resolver.names.addresses()
        moved = {
            key: address
            for key, address in addresses.items()
            if self._serving.get(key) != address and all(map(self._is_sure, self._checks.get(key, ())))
        }
        if self._settings is None or not moved:
            return
        self._serving.update(moved)
        told = self.decisions.configure(self.at_names(self._settings).plan, self._health())
        self._tell_all(told)
        self._decide(now_ns)

    def _is_sure(self, check: CheckId) -> bool:
        """Whether it has asked its present endpoint, and is not about to ask again for certainty."""
        found = self.scheduler.result(check)
        return found is None or found.suspended or (found.ended_ns > 0 and found.outcome.ok is found.up)

    def _suspend(self, now_ns: int) -> None:
        self.scheduler.suspend([*self.decisions.suspended(), *self._unready], now_ns)

    def _set_timeouts(self, settings: LvsSettings) -> None:
        if settings.plan.timeouts is not None:
            sync_daemon.set_timeouts(self.kernel(), settings.plan.timeouts)

    def _follow_sync(self) -> None:
        """The sync daemons as VRRP says; looked at once a second, as somebody else may stop them."""
        plan = self._settings.plan.sync_daemon if self._settings is not None else None
        if plan is None and not self._sync.running:
            return
        want = sync_daemon.wanted(plan, self.decisions.masters)
        if self._tried(lambda: self._sync.apply(self.kernel(), want)):
            self._forget_kernel()

    def _stop(self) -> None:
        self._tell_all(self.decisions.stop())
        self._finished = True
        if self._settings is None:
            return
        what = self._settings.plan.flush_on_stop
        if self._reply_path.borrowed:
            with contextlib.suppress(OSError):
                self._reply_path.follow((), ())
        problems = self._tried(lambda: self._sync.apply(self.kernel(), ())) if self._sync.running else []
        for problem in [*problems, *self._tried(lambda: self._writer.stop(what))]:
            self.tell(messages.Remark(logging.ERROR, problem))

    # ---- what happened

    def _checked(self, check: CheckId, up: bool, outcome: Outcome) -> None:
        result = self.scheduler.result(check)
        if result is not None:
            self._files.note(check, result)
        self.decisions.checked(check, Health(up, outcome.weight))

    def _tell_all(self, transitions: Iterable[Transition]) -> None:
        now, real = self.clock(), time.time_ns()
        for one in transitions:
            self.tell(messages.Happened(one, self._cause(one), now, real))

    def _cause(self, transition: Transition) -> str:
        """Why a server is down, in the words of its checks."""
        if transition.kind not in (Kind.SERVER_DOWN, Kind.SERVER_HELD):
            return ""
        checks = self._checks.get((transition.service, transition.server), ())
        found = [(key, self.scheduler.result(key)) for key in checks]
        failed = [(key, one.outcome.why) for key, one in found if one is not None and not one.up]
        return "; ".join(f"{key.kind}: {why}" if why else key.kind for key, why in failed)

    def _repaired(self, one: Repaired) -> None:
        self.tell(messages.Drift(str(one.key), one.lines, one.number))

    # ---- what is known

    def in_step(self) -> bool:
        """Whether the kernel's table is as wanted: nothing is to be decided, and nothing to be written."""
        return self.decisions.deadline_ns() > 0 and self._writer.in_step()

    def owned(self) -> Owned:
        """Which services of the kernel are ours."""
        return self._writer.owned

    def templates_end(self) -> bool:
        """Whether a persistence template leads nobody to a server of weight 0."""
        return templates.end_when_drained()

    def udp_flows(self) -> Mapping[tuple[str, int], int] | None:
        """How many UDP flows each real server has, by address and port; None when that takes too long."""
        try:
            return udp_flows(within_s=_LISTING_S)
        except TooLong:
            return None

    def keep_drains(self, orders: Overrides) -> None:
        """For ever. Raises OSError."""
        self._files.keep_drains(orders)

    def kernel(self) -> Ipvs:
        """A connection for questions. Raises KernelError."""
        if self._kernel is None:
            self._kernel = self._connect()
        return self._kernel

    def _forget_kernel(self) -> None:
        if self._kernel is not None:
            self._kernel.close()
            self._kernel = None

    def _tried(self, what: Callable[[], object]) -> list[str]:
        """What the kernel said against it, in words."""
        try:
            what()
        except KernelError as error:
            self._forget_kernel()
            return [str(error)]
        return []

    def _keep(self) -> None:
        """Each second, and of tens of thousands of servers, which take long to write, less often."""
        begun = self.clock()
        self._news = False
        if self._settings is not None:
            self._files.keep(self.decisions.states, self.scheduler.results(), self._asked)
        now_ns = self.clock()
        self._keep_ns = now_ns + _KEEP_SHARE * (now_ns - begun)

    def _summary(self, now_ns: int) -> dict[str, Any]:
        """For ``lvsctl status``."""
        states = self.decisions.states.values()
        counters = self._writer.counters
        return {
            "virtual_servers": len(states),
            "without_quorum": sum(not one.quorum for one in states),
            "real_servers": sum(len(one.servers) for one in states),
            "down": sum(not server.up for one in states for server in one.servers.values()),
            "drained": sum(server.drained for one in states for server in one.servers.values()),
            "in_step": self._writer.in_step(),
            "drifts_repaired": counters.drifts,
            "changes_refused": counters.refused,
            "table_error": self._writer.error or self._sync.error,
            "checks_postponed": self.scheduler.postponed,
        }
