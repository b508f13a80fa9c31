# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the configuration, health and the operator's word to the table the kernel should have; pure.

One virtual server at a time: a change of health costs what its own virtual server has of real servers. The previous
decision goes in, the next one comes out; its :class:`.state.ServiceState` is what must be kept over a reload and a
restart.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ..health.plan import CheckId
from ..kernel.ipvs_types import FWD_MASQ, Destination, ServiceKey
from . import depool, quorum, slow_start, transitions
from .overrides import Drain, drain_of
from .plan import RealServerPlan, SorryPlan, VirtualServerPlan
from .state import ServerState, ServiceState
from .table import Table, VirtualService, virtual_service
from .transitions import Transition

NEVER = 1 << 63  # as spawn.py has it
_MOST = 2147483647  # the kernel's highest weight


class Health(NamedTuple):
    """The last result of a check. ``weight``: what a dynamic check says of the server's weight, None otherwise."""

    up: bool
    weight: int | None = None


@dataclass(frozen=True)
class Decision:
    """What follows. ``next_ns`` is when to ask again although nothing changed (a slow start); NEVER."""

    table: Table
    state: ServiceState
    transitions: tuple[Transition, ...] = ()
    next_ns: int = NEVER


@dataclass(frozen=True)
class Surroundings:
    """What a decision about a virtual server depends on besides its plan and what was before.

    ``health`` has no entry for a check that has not run yet. ``drains`` are :meth:`.overrides.Overrides.of` of it.
    ``now_ns`` is CLOCK_MONOTONIC.
    """

    now_ns: int
    health: Mapping[CheckId, Health] = field(default_factory=dict)
    drains: Mapping[str, Drain] = field(default_factory=dict)
    init_notifies: bool = False


def decide(plan: VirtualServerPlan, around: Surroundings, before: ServiceState | None = None) -> Decision:
    """The next decision about one virtual server; ``before`` is the state of the previous one, None at the start.

    As keepalived 2.2.7 where it has a word for it: a server is down while one of its checks is; with a sorry server and
    without quorum the real servers leave the table, or with ``inhibit_on_failure`` lose their weight, and without a
    sorry server they stay. A drained server that is down leaves the table like any other: while it is there, clients
    with an entry of theirs are sent to it.
    """
    known = before.servers if before is not None else {}
    servers = _pool(plan, [_judge(server, known.get(server.name), around) for server in plan.servers], known)
    weight = sum([full_weight(server, one.dynamic) for server, one in zip(plan.servers, servers) if one.pooled])
    has_quorum = quorum.is_up(before is not None and before.quorum, weight, plan.quorum, plan.hysteresis)
    sorry = plan.sorry is not None and not has_quorum and _is_usable(plan.sorry, around)
    next_ns = NEVER
    states: dict[str, ServerState] = {}
    placed: list[Destination] = []
    told: list[Transition] = []
    for server, one in zip(plan.servers, servers):
        was = known.get(server.name)
        now, tell = _served(one, was, sorry=sorry, first=before is None, server=server, around=around)
        states[server.name] = now
        own_weight, grows_ns = _weight_now(server, now, around.now_ns)
        next_ns = min(next_ns, grows_ns or NEVER)
        if now.serving or (now.drained and now.up) or server.inhibit:
            placed.append(_with_weight(server.destination, own_weight))
        if tell or was is None or was != now:
            told += transitions.of_server(plan, server, was, now, told=tell)
    if has_quorum is not (before is not None and before.quorum) or (before is None and plan.sorry and not has_quorum):
        told.append(transitions.of_quorum(plan, weight, up=has_quorum))
    if sorry is not (before is not None and before.sorry):
        told.append(transitions.of_sorry(plan, weight, begins=sorry))
    if plan.sorry is not None and (sorry or plan.sorry.inhibit):
        placed = _with_sorry(placed, _with_weight(plan.sorry.destination, int(sorry)), sorry=sorry)
    return Decision(_table(plan, placed), ServiceState(states, has_quorum, weight, sorry), tuple(told), next_ns)


def is_suspended(plan: VirtualServerPlan, masters: Collection[str]) -> bool:
    """With ``ha_suspend``: whether its checks rest, as no instance in ``masters`` holds one of its addresses.

    What the checks said last goes on to count.
    """
    return bool(plan.holders) and not any(holder in masters for holder in plan.holders)


def absent(plan: VirtualServerPlan, masters: Collection[str]) -> frozenset[ServiceKey]:
    """With ``lvs_master_only``: its services that leave the kernel's table, as no instance in ``masters`` holds them.

    A backup that is a real server too gets the master's packets for the VIP. With a table of its own it would send them
    to another real server: to the master, which sends them back, until their TTL is over.
    """
    return frozenset(
        service.key
        for service, holders in zip(plan.services, plan.served_by)
        if holders and not any(holder in masters for holder in holders)
    )


def _is_usable(sorry: SorryPlan, around: Surroundings) -> bool:
    """Until one of its checks says that it is down, the sorry server is not."""
    return all(around.health[check].up for check in sorry.checks if check in around.health)


def full_weight(server: RealServerPlan, dynamic: int) -> int:
    """The weight of a server that serves, at the end of its slow start."""
    return min(max(0, server.destination.weight + dynamic), _MOST) if dynamic else server.destination.weight


# ---- one server


def _judge(server: RealServerPlan, was: ServerState | None, around: Surroundings) -> ServerState:
    """What its checks and the operator say; the rest is as it was.

    A check without a result (it is new, or has new settings) leaves a server where it was, and a new one up unless it
    is ``alpha``.
    """
    up, complete, dynamic = True, True, 0
    for check in server.checks:
        health = around.health.get(check)
        if health is None:
            complete = False
        elif not health.up:
            up = False
        elif health.weight is not None:
            dynamic += _dynamic(check, health.weight, server)
    if not complete:
        dynamic = was.dynamic if was is not None else 0
        if up:
            up = was.up if was is not None else not any(check not in around.health for check in server.alpha)
    drained = drain_of(around.drains, server.name, server.destination.addr) is not None
    told = was.told if was is not None else None
    if told is None and complete and up and not server.alpha and not around.init_notifies:
        told = True  # it came into service in silence
    if was is None:
        return ServerState(up, told, False, False, drained, False, dynamic, 0)
    if was.up is up and was.drained is drained and was.dynamic == dynamic and was.told is told:
        return was
    return was._replace(up=up, told=told, drained=drained, dynamic=dynamic)


def _dynamic(check: CheckId, weight: int, server: RealServerPlan) -> int:
    """What a check adds to the weight: MISC_CHECK says the whole of it, FILE_CHECK a part."""
    return weight if check.kind == "FILE_CHECK" else weight - server.destination.weight


def _served(
    one: ServerState, was: ServerState | None, *, sorry: bool, first: bool, server: RealServerPlan, around: Surroundings
) -> tuple[ServerState, bool]:
    """With whether it serves, since when its weight grows, and what was told; whether that is to be told now."""
    serving = one.pooled and not sorry
    ramp_ns = one.ramp_ns if serving else 0
    if serving and not first and (was is None or not was.serving):
        ramp_ns = around.now_ns if server.slow_start_ns else 0
    tell = _is_news(one, server, around)
    told = one.up if tell else one.told
    if (serving, ramp_ns, told) == (one.serving, one.ramp_ns, one.told):
        return one, tell
    return one._replace(serving=serving, ramp_ns=ramp_ns, told=told), tell


def _is_news(one: ServerState, server: RealServerPlan, around: Surroundings) -> bool:
    if one.told is not None:
        return one.told is not one.up
    # nothing was told yet: a server that starts is told of when it is known what it is
    if one.up:
        return around.init_notifies or all(check in around.health for check in server.checks)
    return any(check in around.health and not around.health[check].up for check in server.checks)


def _weight_now(server: RealServerPlan, one: ServerState, now_ns: int) -> tuple[int, int]:
    """Its weight in the table, and when that grows next (0: it does not)."""
    if not one.serving:
        return 0, 0
    full = full_weight(server, one.dynamic)
    if not one.ramp_ns:
        return full, 0
    return slow_start.weight(full, one.ramp_ns, server.slow_start_ns, now_ns)


# ---- the pool


def _pool(plan: VirtualServerPlan, servers: list[ServerState], known: Mapping[str, ServerState]) -> list[ServerState]:
    """With who counts as serving: what is up and not drained, and what the depool floor keeps."""
    held: Collection[str] = ()
    if plan.floor.number:
        names = [server.name for server in plan.servers]
        eligible = [(name, one.up) for name, one in zip(names, servers) if not one.drained]
        down = [name for name, up in eligible if not up]
        floor = depool.number(plan.floor, len(eligible))
        pooled = {name for name in down if name in known and known[name].pooled}
        was_held = {name for name in down if name in known and known[name].held}
        held = set(depool.held(floor, len(eligible) - len(down), down, pooled, was_held))
    found: list[ServerState] = []
    for server, one in zip(plan.servers, servers):
        is_held = server.name in held
        pooled_now = not one.drained and (one.up or is_held)
        same = one.pooled is pooled_now and one.held is is_held
        found.append(one if same else one._replace(pooled=pooled_now, held=is_held))
    return found


# ---- the table


def _with_weight(destination: Destination, weight: int) -> Destination:
    if destination.weight == weight:
        return destination
    d = destination
    return Destination(
        d.af, d.addr, d.port, d.fwd_method, weight, d.u_thresh, d.l_thresh, d.tun_type, d.tun_port, d.tun_flags
    )


def _with_sorry(placed: list[Destination], sorry_server: Destination, *, sorry: bool) -> list[Destination]:
    """The sorry server may be one of the real servers too: then it is in the table once."""
    others = [one for one in placed if one.key != sorry_server.key]
    if len(others) < len(placed) and not sorry:
        return placed
    return [*others, sorry_server]


def _table(plan: VirtualServerPlan, placed: list[Destination]) -> Table:
    """For each of the kernel's services. Those with equal ports have one mapping of servers together."""
    table: Table = {}
    by_port: dict[int, VirtualService] = {}
    for service in plan.services:
        key = service.key
        made = by_port.get(key.port)
        if made is None:
            made = by_port[key.port] = virtual_service(service, [_at(one, key) for one in placed])
        table[key] = VirtualService(service, made.servers)
    return table


def _at(destination: Destination, key: ServiceKey) -> Destination:
    """With DR and TUN a packet keeps its port: the real server's is that of the service, 0 for a firewall mark."""
    if destination.fwd_method == FWD_MASQ or destination.port == key.port:
        return destination
    d = destination
    return Destination(
        d.af, d.addr, key.port, d.fwd_method, d.weight, d.u_thresh, d.l_thresh, d.tun_type, d.tun_port, d.tun_flags
    )
