# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Static addresses, routes and rules: there from the start to the planned stop, whoever is master.

As in keepalived they are put back when somebody removes them, and what cannot be put back is a fault of the instances
of its ``track_group``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from . import holdings
from .holdings import Held
from .host import shown
from .plan import Holding, RouteHolding, StaticPlan
from .repairs import Repairs

if TYPE_CHECKING:
    from .loop import Loop

# of what the kernel refused at once
_MOST_TOLD = 3


class Statics:
    """``held`` is what is there because of us. What the kernel refuses is told once, and tried again."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._plan = StaticPlan()
        self._repairs = Repairs()
        self._refused = ""
        self._faults: dict[str, set[str]] = {}
        self.held = Held()

    def change(self, plan: StaticPlan, now: int) -> None:
        """Hold this from now on; only the differences are touched."""
        former = self._plan
        wanted = holdings.of_static(plan, self._loop.host.index)
        self._tell(self._loop.host.release(holdings.no_longer(self.held, wanted), certain=True)[1], now)
        self._plan = plan
        if plan != former or wanted != self.held:
            self._hold(wanted, now)
        self._watch(now)

    def keep(self, now: int, *, links: bool = False, routes: bool = False) -> None:
        """See that all of it is there; an interface may have come, a route or rule may have gone.

        Without either only what is seen to be missing, or what the kernel refused, is tried.
        """
        plan = self._plan
        if not (plan.addresses or plan.routes or plan.rules):
            return
        if links:
            self.held = holdings.of_static(plan, self._loop.host.index)
        tracked = holdings.of_static(plan, self._loop.host.index, tracked=True)
        absent = holdings.missing(tracked, self._loop.host.addresses.keys())
        if absent and not self._repairs.allowed(now):
            return
        doubtful = links or routes or bool(self._refused)
        if not (absent or doubtful or self._faults):
            return
        if absent or tracked.routes or tracked.rules:
            added = self._hold(tracked, now, all_of_it=False)
            if added:
                self._loop.remark(logging.WARNING, "", f"put back what somebody else removed: {added}", now)
        self._watch(now)

    def concerned(self, gone: set[tuple[int, bytes, int]], routes: bool) -> bool:
        """Whether something of it may have gone: one of these addresses, or some route or rule."""
        if routes and (self.held.routes or self.held.rules):
            return True
        return any(address.key in gone for address in self.held.addresses)

    def faults(self, name: str) -> set[str]:
        """What an instance misses, in words."""
        return self._faults.get(name, set())

    def stop(self, now: int) -> None:
        """A planned stop, as in keepalived: all of it goes."""
        self.change(StaticPlan(), now)

    def _hold(self, wanted: Held, now: int, *, all_of_it: bool = True) -> str:
        """What was not there, in words."""
        if all_of_it:
            self.held = wanted
        added, problems = self._loop.host.hold(wanted)
        self._tell(problems, now)
        return ", ".join(map(shown, added))

    def _tell(self, problems: list[str], now: int) -> None:
        what = "; ".join(problems[:_MOST_TOLD])
        if what and what != self._refused:
            self._loop.remark(logging.WARNING, "", f"static addresses and routes: {what}", now)
        if what or not problems:
            self._refused = what

    def _watch(self, now: int) -> None:
        """What the track groups miss now."""
        if not (self._plan.watchers or self._faults):
            return
        found: dict[str, set[str]] = {}
        for what, names in self._plan.watchers:
            fault = self._missing(what)
            for name in names if fault else ():
                found.setdefault(name, set()).add(fault)
        if found != self._faults:
            self._faults = found
            for runner in list(self._loop.runners):
                self._loop.surroundings.refresh(runner, now)

    def _missing(self, what: Holding | RouteHolding | object) -> str:
        """Why one of them is not there, in words; "" when it is."""
        index, host = self._loop.host.index, self._loop.host
        if isinstance(what, Holding):
            one = holdings.of_static(StaticPlan(addresses=(what,)), index)
            absent = holdings.missing(one, host.addresses.keys())
            return "a static address is missing" if absent or one.absent else ""
        plan = StaticPlan(routes=(what,)) if isinstance(what, RouteHolding) else StaticPlan(rules=(what,))  # type: ignore[arg-type]
        return "a static route or rule is missing" if host.hold(holdings.of_static(plan, index))[1] else ""
