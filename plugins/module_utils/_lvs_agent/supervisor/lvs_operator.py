# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operator asks of the LVS process: how servers are, drains, and what would change in the kernel's table."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..control.protocol import Refused
from ..kernel.errors import KernelError
from ..kernel.ipvs_types import FWD_MASQ
from ..lvs import drained, messages
from ..lvs.decisions import Decisions
from ..lvs.desired import Health
from ..lvs.overrides import NotDrained
from ..lvs.owned import ours
from ..lvs.table import from_entries
from . import lvs_answers, lvs_drains, lvs_settings
from .loop import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Protocol

    from ..health.scheduler import Scheduler
    from ..kernel.ipvs import Ipvs
    from ..kernel.ipvs_types import ServiceKey
    from ..lvs.drained import Left
    from ..lvs.overrides import Overrides
    from ..lvs.owned import Owned
    from ..lvs.plan import RealServerPlan, VirtualServerPlan
    from ..lvs.table import Table
    from .lvs_drains import Target, Waiting
    from .lvs_settings import LvsSettings

    class Process(Protocol):
        """The LVS process."""

        decisions: Decisions
        scheduler: Scheduler

        def at_names(self, settings: LvsSettings) -> LvsSettings:
            """With the addresses of names as they are now."""

        def names(self) -> Mapping[tuple[str, str], dict[str, str]]:
            """Of real servers with a DNS name: that name, its last address, and why there was no answer."""

        def kernel(self) -> Ipvs:
            """Raises KernelError."""

        def in_step(self) -> bool:
            """Whether the kernel's table is as wanted."""

        def owned(self) -> Owned:
            """Which services of the kernel are ours."""

        def templates_end(self) -> bool:
            """Whether a persistence template leads nobody to a server of weight 0 (expire_quiescent_template)."""

        def udp_flows(self) -> Mapping[tuple[str, int], int] | None:
            """How many UDP flows each real server has, by address and port; None when that takes too long."""

        def keep_drains(self, orders: Overrides) -> None:
            """For ever. Raises OSError."""

        def tell(self, message: messages.FromLvs) -> None:
            """To the supervisor."""


_SECOND = 1_000_000_000
_LOOK_NS = _SECOND // 4
_SOON_NS = _SECOND // 100
_WRITTEN_NS = 5 * _SECOND


class LvsOperator:
    """A source of the LVS process's loop, for those who wait for a drain."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._waiting: list[Waiting] = []
        self._look_ns = NEVER

    def fileno(self) -> int:
        """Nothing but time."""
        return -1

    def deadline_ns(self) -> int:
        """When to look for connections."""
        return self._look_ns

    def handle(self, now_ns: int) -> None:
        """Answer those whose order is in the table and whose clients are gone, or whose time is over."""
        written = self._process.in_step()
        self._waiting = [one for one in self._waiting if not self._is_over(one, now_ns, written=written)]
        self._look_ns = now_ns + (_LOOK_NS if written else _SOON_NS) if self._waiting else NEVER

    def _is_over(self, one: Waiting, now_ns: int, *, written: bool) -> bool:
        """Whether it has been answered."""
        if not written and now_ns < one.written_ns:
            return False
        try:
            left = self._left(one.targets)
        except KernelError as error:
            self._process.tell(messages.Answer(one.number, refused=("kernel", str(error), "")))
            return True
        if one.wait and left.waited_for and now_ns < one.until_ns:
            return False
        self._tell_drained(one, left)
        return True

    def ask(self, question: messages.Ask, now_ns: int) -> None:
        """Answer, now or later. Raises Refused, KernelError."""
        if isinstance(question, messages.AskServers):
            self._answer(question, self._servers(question, now_ns))
        elif isinstance(question, messages.AskDiff):
            self._answer(question, self._diff(question, now_ns))
        elif isinstance(question, messages.OrderDrain):
            self._drain(question, now_ns)
        elif isinstance(question, messages.OrderUndrain):
            self._undrain(question)

    def _answer(self, question: messages.Ask, result: dict[str, Any]) -> None:
        self._process.tell(messages.Answer(question.number, result))

    # ---- how servers are

    def _servers(self, question: messages.AskServers, now_ns: int) -> dict[str, Any]:
        decisions, scheduler = self._process.decisions, self._process.scheduler
        plans = lvs_drains.services(decisions.plan.virtual_servers, question.service)
        kernel = self._process.kernel()
        keys = {service.key for plan in plans for service in plan.services}
        view = lvs_answers.View(
            decisions.states,
            scheduler.results(),
            decisions.overrides,
            decisions.suspended(),
            {key: servers for key, (_service, servers) in kernel.table(keys).items()},
            now_ns,
            time.time_ns(),
            self._judge(),
            self._process.names(),
        )
        return lvs_answers.servers(plans, view)

    # ---- what would change

    def _diff(self, question: messages.AskDiff, now_ns: int) -> dict[str, Any]:
        """The kernel's table beside the one that is wanted, by settings of the operator's or by those in force."""
        decisions = self._process.decisions
        wanted, keep_others, absent = decisions.table, set(decisions.keep_others()), decisions.absent
        if question.settings:
            settings = self._process.at_names(lvs_settings.unpack(question.settings)[0])
            other = Decisions()
            other.resume(decisions.states)
            other.order(decisions.overrides)
            other.follow(decisions.masters)
            found = self._process.scheduler.results()
            asked = {one.id: one.check for one in settings.checks}
            health = {
                key: Health(one.up, one.outcome.weight)
                for key, one in found.items()
                if one.has_run and asked.get(key) == one.check
            }
            other.configure(settings.plan, health)
            other.decide(now_ns)
            wanted, keep_others, absent = other.table, set(other.keep_others()), other.absent
        return lvs_answers.diff(self._kernels(wanted, keep_others, absent), wanted)

    def _kernels(self, wanted: Table, keep_others: set[ServiceKey], absent: frozenset[ServiceKey]) -> Table:
        """Of the kernel's table what is ours to change."""
        owned = self._process.owned()
        found = from_entries(self._process.kernel().table())
        claimed = owned.services | absent
        mine = {key: virtual for key, virtual in found.items() if key in wanted or key in claimed}
        for key in keep_others & mine.keys():
            mine[key] = ours(mine[key], wanted.get(key), owned.servers.get(key, frozenset()))
        return mine

    # ---- drains

    def _drain(self, question: messages.OrderDrain, now_ns: int) -> None:
        decisions = self._process.decisions
        found = lvs_drains.targets(decisions.plan.virtual_servers, question.server, question.service)
        alone = lvs_drains.last_of(found, decisions.states, decisions.overrides)
        if alone and not question.force:
            what = f"{question.server} is the last real server of {', '.join(alone)}"
            raise Refused("last_server", what, "undrain another one first, or use --force")
        drain = lvs_drains.order(question.server, _name(found, question.service), time.time_ns(), question.timeout_ns)
        self._order(decisions.overrides.with_drain(drain))
        until_ns = now_ns + question.timeout_ns if question.timeout_ns else NEVER
        written_ns = now_ns + _WRITTEN_NS
        self._waiting.append(lvs_drains.Waiting(question.number, question.wait, written_ns, found, until_ns))
        self._look_ns = now_ns + _SOON_NS

    def _undrain(self, question: messages.OrderUndrain) -> None:
        decisions = self._process.decisions
        name = question.service
        if name:
            name = lvs_drains.services(decisions.plan.virtual_servers, name)[0].name
        try:
            orders = decisions.overrides.without_drain(name, question.server)
        except NotDrained as error:
            names = [drain.server for drain in decisions.overrides.drains.values()]
            instead = f"drained: {', '.join(names)}" if names else "nothing is drained"
            raise Refused("not_drained", str(error), instead) from error
        self._order(orders)
        self._answer(question, {"undrained": question.server, "service": name or None})

    def _order(self, orders: Overrides) -> None:
        """Kept first: what is done must outlive us."""
        try:
            self._process.keep_drains(orders)
        except OSError as error:
            raise Refused("not_kept", f"the order cannot be kept: {error}", "see to the state directory") from error
        self._process.decisions.order(orders)

    def _left(self, found: Iterable[Target]) -> Left:
        """What is left on all of them."""
        pairs = list(found)
        keys = {service.key for plan, _server in pairs for service in plan.services}
        table = {key: servers for key, (_service, servers) in self._process.kernel().table(keys).items()}
        judge = self._judge()
        there = [
            (server, lvs_answers.of_server(plan, server, lvs_answers.connections(plan, table)))
            for plan, server in pairs
        ]
        return drained.together(judge(server, one.tally) for server, one in there if one is not None)

    def _judge(self) -> Callable[[RealServerPlan, drained.Tally], Left]:
        """Says what is left of a real server's counters; UDP flows are read once, and only if they are to be known."""
        templates_end = self._process.templates_end()
        read: list[Mapping[tuple[str, int], int] | None] = []

        def left(server: RealServerPlan, found: drained.Tally) -> Left:
            marked: int | None = 0
            if found.marked:
                if not read:
                    read.append(self._process.udp_flows())
                at = server.destination
                # DR and TUN leave a packet its port
                marked = drained.flows_to(read[0], at.addr, at.port if at.fwd_method == FWD_MASQ else 0)
            return drained.left(found, templates_end=templates_end, marked_udp=marked)

        return left

    def _tell_drained(self, one: Waiting, left: Left) -> None:
        result = {
            "done": not left.waited_for,
            "waited": one.wait,
            "drained": [f"{server.name} of {plan.name}" for plan, server in one.targets],
            "connections": left.active + left.udp,
            "left": drained.to_json(left),
            "said": drained.sentence(left, late=one.wait),
        }
        self._process.tell(messages.Answer(one.number, result))


def _name(found: Sequence[Target], said: str) -> str:
    """The virtual server's whole name, "" for every one."""
    plan: VirtualServerPlan = found[0][0]
    return plan.name if said else ""
