# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changed with a decision, for people, scripts and mails; pure. Nothing is run here."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .plan import RealServerPlan, VirtualServerPlan
    from .state import ServerState, ServiceState


class Kind(Enum):
    """What happened; the values are for people."""

    SERVER_UP = "up"
    SERVER_DOWN = "down"
    SERVER_HELD = "down but kept in the pool"
    SERVER_RELEASED = "no longer kept in the pool"
    SERVER_DRAINED = "drained"
    SERVER_UNDRAINED = "undrained"
    QUORUM_UP = "quorum up"
    QUORUM_DOWN = "quorum down"
    SORRY_BEGINS = "the sorry server serves"
    SORRY_ENDS = "the sorry server serves no more"


class Transition(NamedTuple):
    """One change of a real server, or, with ``server`` "", of a virtual server's quorum or who serves without it.

    ``command`` is the command line of ``notify_up``, ``notify_down``, ``quorum_up`` or ``quorum_down`` that is to be
    run for it, "" for none; ``smtp_alert``: it is to be mailed. ``weight`` is that of the pool, for a quorum.
    """

    kind: Kind
    service: str
    server: str = ""
    command: str = ""
    smtp_alert: bool = False
    weight: int = 0


def of_server(
    plan: VirtualServerPlan, server: RealServerPlan, before: ServerState | None, after: ServerState, *, told: bool
) -> Iterator[Transition]:
    """What changed with a server; ``told``: whether it is up is to be told."""
    if told:
        yield _of_health(plan, server, up=after.up)
    pairs = (
        (before is not None and before.held, after.held, Kind.SERVER_HELD, Kind.SERVER_RELEASED),
        (before is not None and before.drained, after.drained, Kind.SERVER_DRAINED, Kind.SERVER_UNDRAINED),
    )
    for was, now, begins, ends in pairs:
        if was is not now:
            yield Transition(begins if now else ends, plan.name, server.name)


def _of_health(plan: VirtualServerPlan, server: RealServerPlan, *, up: bool) -> Transition:
    kind, command = (Kind.SERVER_UP, server.notify_up) if up else (Kind.SERVER_DOWN, server.notify_down)
    return Transition(kind, plan.name, server.name, command, server.smtp_alert)


def of_quorum(plan: VirtualServerPlan, weight: int, *, up: bool) -> Transition:
    """The quorum was gained or lost."""
    kind, command = (Kind.QUORUM_UP, plan.quorum_up) if up else (Kind.QUORUM_DOWN, plan.quorum_down)
    return Transition(kind, plan.name, "", command, plan.smtp_alert, weight)


def of_sorry(plan: VirtualServerPlan, weight: int, *, begins: bool) -> Transition:
    """The sorry server comes into use, or goes out of it."""
    return Transition(Kind.SORRY_BEGINS if begins else Kind.SORRY_ENDS, plan.name, weight=weight)


def of_reload(old: VirtualServerPlan, new: VirtualServerPlan | None, state: ServiceState) -> list[Transition]:
    """A configuration without some of the real servers, or, with None, without the virtual server.

    Those that were up are told as down, with the words they had, as keepalived 2.2.7 does; ``omega`` counts at the
    daemon's end only.
    """
    stay = {server.name for server in new.servers} if new is not None else set()
    found = [
        _of_health(old, server, up=False)
        for server in old.servers
        if server.name not in stay and server.name in state.servers and state.servers[server.name].told
    ]
    if new is None and state.quorum:
        found.append(of_quorum(old, 0, up=False))
    return found


def of_stop(plans: Mapping[str, VirtualServerPlan], states: Mapping[str, ServiceState]) -> list[Transition]:
    """The daemon's end: with ``omega`` all that is up is told as down."""
    return [
        transition
        for name, plan in plans.items()
        if plan.omega and name in states
        for transition in of_reload(plan, None, states[name])
    ]
