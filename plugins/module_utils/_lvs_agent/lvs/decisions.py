# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The decisions about all virtual servers, from one change to the next; pure, the clock is passed in.

What changes marks its virtual server; :meth:`Decisions.decide` then looks at the marked ones, and at those whose time
has come. So a change costs what its own virtual server has of real servers, however many others there are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from ..health.plan import CheckId
from ..kernel.ipvs_types import ServiceKey
from .desired import NEVER, Health, Surroundings, absent, decide, is_suspended
from .overrides import Overrides
from .plan import LvsPlan, VirtualServerPlan
from .state import ServiceState
from .table import Table
from .transitions import Transition, of_reload, of_stop


class Decided(NamedTuple):
    """The part of the table that may be another now, what is not in it (``lvs_master_only``), and what happened."""

    part: Table
    transitions: tuple[Transition, ...]
    absent: frozenset[ServiceKey] = frozenset()


class Decisions:
    """``states`` are what to keep for a restart; ``table`` is the whole of what the kernel should have.

    ``absent`` are the services of the plan that are not in it, as the VIP is elsewhere (``lvs_master_only``).
    """

    def __init__(self) -> None:
        self.plan = LvsPlan()
        self.states: dict[str, ServiceState] = {}
        self.table: Table = {}
        self.absent: frozenset[ServiceKey] = frozenset()
        self.overrides = Overrides()
        self.masters: frozenset[str] = frozenset()
        self._virtual: dict[str, VirtualServerPlan] = {}
        self._health: dict[CheckId, Health] = {}
        self._marked: dict[str, None] = {}
        self._due: dict[str, int] = {}

    # ---- what is known

    def configure(self, plan: LvsPlan, health: Mapping[CheckId, Health]) -> list[Transition]:
        """Decide by this plan from now on; ``health`` is all that is known of its checks.

        What is taken out is told as down; the next ``decide`` looks at all but those whose plan is the very same object
        and of whose checks nothing else is known.
        """
        virtual = {one.name: one for one in plan.virtual_servers}
        same = self._same(virtual, health) if plan.init_notifies == self.plan.init_notifies else set()
        told = [
            transition
            for name, old in self._virtual.items()
            if name in self.states and name not in same
            for transition in of_reload(old, virtual.get(name), self.states[name])
        ]
        self.table = {
            **{one.service.key: one for one in plan.probes},
            **{
                service.key: self.table[service.key]
                for name in same
                for service in virtual[name].services
                if service.key in self.table
            },
        }
        self.absent = self.absent.intersection(service.key for name in same for service in virtual[name].services)
        self.plan, self._virtual, self._health = plan, virtual, dict(health)
        self.states = {name: state for name, state in self.states.items() if name in virtual}
        self._due = {name: due for name, due in self._due.items() if name in same}
        self._marked = {name: None for name in virtual if name not in same}
        return told

    def _same(self, virtual: Mapping[str, VirtualServerPlan], health: Mapping[CheckId, Health]) -> set[str]:
        """Those about which there is nothing to decide anew."""
        known = self._health
        news = {check.service for check, one in health.items() if known.get(check) != one}
        news.update(check.service for check in known if check not in health)
        marked = news.union(self._marked)
        return {name for name, one in virtual.items() if self._virtual.get(name) is one and name not in marked}

    def resume(self, states: Mapping[str, ServiceState]) -> None:
        """What was decided before a restart, for the next ``configure``."""
        self.states = dict(states)

    def checked(self, check: CheckId, health: Health) -> None:
        """A check says something else than before."""
        self._health[check] = health
        self._mark(check.service)

    def order(self, overrides: Overrides) -> None:
        """The operator's word from now on."""
        before, self.overrides = self.overrides, overrides
        for name in self._virtual:
            if before.of(name) != overrides.of(name):
                self._mark(name)

    def follow(self, masters: frozenset[str]) -> None:
        """These VRRP instances are master here from now on."""
        before, self.masters = self.masters, masters
        for name, plan in self._virtual.items():
            if plan.served_by and absent(plan, before) != absent(plan, masters):
                self._mark(name)

    def suspended(self) -> list[str]:
        """The virtual servers whose checks rest, as their VIP is elsewhere (``ha_suspend``)."""
        return [name for name, plan in self._virtual.items() if is_suspended(plan, self.masters)]

    def virtual_server(self, name: str) -> VirtualServerPlan | None:
        """The plan of one."""
        return self._virtual.get(name)

    def keep_others(self) -> Collection[ServiceKey]:
        """The services in which others' real servers stay."""
        return [service.key for plan in self._virtual.values() if plan.keep_others for service in plan.services]

    # ---- decisions

    def deadline_ns(self) -> int:
        """When to ``decide`` at the latest: 0 when something has changed, NEVER."""
        return 0 if self._marked else min(self._due.values(), default=NEVER)

    def decide(self, now_ns: int) -> Decided:
        """Whatever is to be looked at."""
        part: Table = {}
        told: list[Transition] = []
        gone: set[ServiceKey] = set()
        for name in [*self._marked, *[name for name, due in self._due.items() if due <= now_ns]]:
            self._marked.pop(name, None)
            self._due.pop(name, None)
            around = Surroundings(now_ns, self._health, self.overrides.of(name), self.plan.init_notifies)
            decision = decide(self._virtual[name], around, self.states.get(name))
            self.states[name] = decision.state
            hidden = absent(self._virtual[name], self.masters)
            gone |= hidden
            part.update({key: one for key, one in decision.table.items() if key not in hidden})
            told += decision.transitions
            if decision.next_ns != NEVER:
                self._due[name] = decision.next_ns
        for key in gone:
            self.table.pop(key, None)
        self.table.update(part)
        self.absent = self.absent.difference(part).union(gone)
        return Decided(part, tuple(told), frozenset(gone))

    def stop(self) -> list[Transition]:
        """The daemon's end: with ``omega`` all that is up is told as down."""
        return of_stop(self._virtual, self.states)

    def _mark(self, name: str) -> None:
        if name in self._virtual:
            self._marked[name] = None
