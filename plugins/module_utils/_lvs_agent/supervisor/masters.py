# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which VRRP instances hold their VIPs here, for the IPVS table and its sync daemons; pure.

The last state heard counts: of a VRRP process that died or does not answer, the VIPs stay where they are, and so does
the table. After a death of the supervisor it is the state in the runtime directory (:mod:`.state_file`), until the VRRP
process has spoken. An instance keeps its state over a reload that renames it, as it keeps its VIPs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..vrrp.actions import State
from ..vrrp.messages import Configured, TakesVips, Transitioned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..vrrp.plan import Identity, Plan

_HOLDING = (State.MASTER, State.HANDOVER)


class MastersHere:
    """``states`` are those of a supervisor before this one."""

    def __init__(self, states: Mapping[Identity, State] | None = None) -> None:
        self._holding = {identity for identity, state in (states or {}).items() if state in _HOLDING}
        self._planned: dict[Identity, str] = {}
        self._heard: dict[Identity, str] = {}

    def configure(self, plan: Plan) -> None:
        """What the instances are called from now on."""
        self._planned = {one.identity: one.name for one in plan.instances}

    def heard(self, message: Any) -> None:
        """The VRRP process said this. An instance holds its VIPs from just before it adds them until they are gone."""
        if isinstance(message, Configured):
            # what the plan does not have is gone; of an instance that a process had which died, no transition says so
            self._holding &= self._planned.keys()
            self._heard = {identity: self._planned[identity] for identity in self._holding}
            return
        if isinstance(message, TakesVips):
            holds = True
        elif isinstance(message, Transitioned) and message.identity is not None:
            holds = message.state in _HOLDING
        else:
            return
        if holds:
            self._holding.add(message.identity)
            self._heard[message.identity] = message.name
        else:
            self._holding.discard(message.identity)
            self._heard.pop(message.identity, None)

    def names(self) -> frozenset[str]:
        """By the names of the configuration, and by those they had when they were heard."""
        return frozenset(
            known[identity] for known in (self._planned, self._heard) for identity in self._holding if identity in known
        )
