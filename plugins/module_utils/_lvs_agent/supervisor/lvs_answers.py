# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the LVS process answers the operator, as plain values for JSON; pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ..kernel.ipvs_types import FWD_DROUTE, FWD_LOCALNODE, FWD_MASQ, FWD_TUNNEL
from ..lvs.drained import Tally, tally, to_json, total
from ..lvs.overrides import drain_of, progress
from ..lvs.reconcile import changes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from ..health.plan import CheckId
    from ..health.scheduler import Result
    from ..kernel.ipvs_types import DestinationEntry, ServiceKey
    from ..lvs.drained import Left
    from ..lvs.overrides import Drain, Overrides
    from ..lvs.plan import RealServerPlan, VirtualServerPlan
    from ..lvs.state import ServerState, ServiceState
    from ..lvs.table import Table

_SECOND = 1_000_000_000
_FORWARDING = {FWD_MASQ: "NAT", FWD_LOCALNODE: "local", FWD_TUNNEL: "TUN", FWD_DROUTE: "DR"}
_LONGEST_DIFF = 10_000


class Connections(NamedTuple):
    """Of a real server, in all the kernel's services of its virtual server; ``weight`` is the one it has there."""

    weight: int
    tally: Tally


_NO_CONNECTIONS = Connections(0, Tally())


@dataclass(frozen=True)
class View:
    """What an answer is made of. ``kernel`` are the real servers the kernel has, by service.

    ``left`` says of a real server's counters what a drain waits for. ``names`` are the real servers with a DNS name.
    ``now_ns`` is CLOCK_MONOTONIC, ``wall_ns`` CLOCK_REALTIME.
    """

    states: Mapping[str, ServiceState]
    results: Mapping[CheckId, Result]
    overrides: Overrides
    suspended: Collection[str]
    kernel: Mapping[ServiceKey, Sequence[DestinationEntry]]
    now_ns: int
    wall_ns: int
    left: Callable[[RealServerPlan, Tally], Left]
    names: Mapping[tuple[str, str], dict[str, str]] = field(default_factory=dict)


def connections(
    plan: VirtualServerPlan, kernel: Mapping[ServiceKey, Sequence[DestinationEntry]]
) -> dict[tuple[str, int], Connections]:
    """By address and port of the real servers, as the kernel has them."""
    found: dict[tuple[str, int], Connections] = {}
    for service in plan.services:
        for entry in kernel.get(service.key, ()):
            server = entry.destination
            key = (server.addr, server.port)
            before = found.get(key, _NO_CONNECTIONS)
            found[key] = Connections(server.weight, total([before.tally, tally(service.key, entry)]))
    return found


def of_server(
    plan: VirtualServerPlan, server: RealServerPlan, found: Mapping[tuple[str, int], Connections]
) -> Connections | None:
    """Those of one real server; None when the kernel does not have it. With DR and TUN it has the service's port."""
    destination = server.destination
    ports = [destination.port, *(service.key.port for service in plan.services)]
    return next((found[destination.addr, port] for port in ports if (destination.addr, port) in found), None)


def servers(plans: Iterable[VirtualServerPlan], view: View) -> dict[str, Any]:
    """The answer to ``lvsctl servers``."""
    return {"virtual_servers": [_virtual_server(plan, view) for plan in plans if plan.name in view.states]}


def _virtual_server(plan: VirtualServerPlan, view: View) -> dict[str, Any]:
    state = view.states[plan.name]
    drains = view.overrides.of(plan.name)
    found = connections(plan, view.kernel)
    return {
        "service": plan.name,
        "scheduler": plan.services[0].sched_name,
        "forwarding": _forwarding(plan),
        "quorum": plan.quorum,
        "quorum_up": state.quorum,
        "pool_weight": state.weight,
        "sorry_server": plan.sorry.name if plan.sorry is not None else None,
        "sorry_in_use": state.sorry,
        "suspended": plan.name in view.suspended,
        "servers": [
            {
                **_server(server, state.servers[server.name], of_server(plan, server, found), drains, view),
                "resolve": view.names.get((plan.name, server.name)),
            }
            for server in plan.servers
            if server.name in state.servers
        ],
    }


def _forwarding(plan: VirtualServerPlan) -> str:
    methods = {_FORWARDING.get(server.destination.fwd_method, "") for server in plan.servers}
    return "/".join(sorted(methods))


def _server(
    server: RealServerPlan, state: ServerState, kernel: Connections | None, drains: Mapping[str, Drain], view: View
) -> dict[str, Any]:
    drain = drain_of(drains, server.name, server.destination.addr)
    has = (kernel or _NO_CONNECTIONS).tally
    said = _drain(drain, view.left(server, has), view.wall_ns) if drain is not None else None
    return {
        "server": server.name,
        "weight": kernel.weight if kernel is not None else 0,
        "configured_weight": server.destination.weight,
        "state": _word(state, said),
        "in_table": kernel is not None,
        "active": has.active,
        "inactive": has.inactive + has.udp + has.marked,
        "templates": has.templates,
        "drain": said,
        "checks": [_check(check, view) for check in server.checks],
    }


def _word(state: ServerState, drain: Mapping[str, Any] | None) -> str:
    """One word or two for people."""
    if drain is not None:
        return f"{drain['progress']}{'' if state.up else ', down'}"
    if state.held:
        return "down, kept"
    if not state.up:
        return "down"
    if not state.serving:
        return "standing by"  # the sorry server serves
    return "slow start" if state.ramp_ns else "up"


def _drain(drain: Drain, left: Left, wall_ns: int) -> dict[str, Any]:
    return {
        "since": drain.since_ns / _SECOND,
        "until": drain.until_ns / _SECOND if drain.until_ns else None,
        "progress": progress(drain, left.waited_for, wall_ns).value,
        "left": to_json(left),
        "everywhere": not drain.service,
    }


def _check(key: CheckId, view: View) -> dict[str, Any]:
    result = view.results.get(key)
    said = {"check": f"{key.kind} {key.ordinal + 1}" if key.ordinal else key.kind}
    if result is None or not result.has_run:
        return {**said, "up": None, "why": "it has not run yet", "age_seconds": None}
    return {
        **said,
        "up": result.up,
        "why": result.outcome.why,
        "age_seconds": round((view.now_ns - result.ended_ns) / _SECOND, 3) if result.ended_ns else None,
    }


def diff(before: Table, after: Table) -> dict[str, Any]:
    """What turns one table into the other, as arguments of ipvsadm(8)."""
    found = [str(change) for change in changes(before, after)]
    return {"changes": found[:_LONGEST_DIFF], "number": len(found)}
