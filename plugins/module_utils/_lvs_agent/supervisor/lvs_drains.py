# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which real servers an operator means, what is against draining them, who waits for their connections; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..control.protocol import Refused
from ..lvs.overrides import Drain, drain_of
from ..lvs.plan import RealServerPlan, VirtualServerPlan
from ..spelling import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..lvs.overrides import Overrides
    from ..lvs.state import ServiceState

Target = tuple[VirtualServerPlan, RealServerPlan]


def services(plans: Sequence[VirtualServerPlan], said: str) -> list[VirtualServerPlan]:
    """The virtual servers that a name means: a whole one (``TCP 192.0.2.1:80``), or what is behind the protocol; all
    for "". Raises Refused.
    """
    found = [one for one in plans if said in ("", one.name, *_short(one.name))]
    if said and not found:
        names = [name for one in plans for name in (one.name, _short(one.name)[0])]
        raise Refused("unknown_service", f"there is no virtual_server {said}", nearest(said, names))
    return found


def _short(name: str) -> tuple[str, str]:
    """A name without its protocol, and without its port, too."""
    place = name.partition(" ")[2]
    return place, place.rpartition(":")[0].strip("[]") or place


def targets(plans: Sequence[VirtualServerPlan], server: str, service: str) -> list[Target]:
    """(virtual server, real server) for each that is meant by ADDRESS:PORT, or ADDRESS for any port. Raises Refused."""
    among = services(plans, service)
    found = [
        (plan, one) for plan in among for one in plan.servers if server in (one.name, one.destination.addr)
    ]
    if not found:
        names = [name for plan in among for one in plan.servers for name in (one.name, one.destination.addr)]
        where = f" of {service}" if service else ""
        raise Refused("unknown_server", f"there is no real_server {server}{where}", nearest(server, names))
    return found


def last_of(found: Sequence[Target], states: Mapping[str, ServiceState], overrides: Overrides) -> list[str]:
    """The virtual servers that nobody would serve any more without these."""
    meant: dict[str, set[str]] = {}
    plans: dict[str, VirtualServerPlan] = {}
    for plan, server in found:
        meant.setdefault(plan.name, set()).add(server.name)
        plans[plan.name] = plan
    alone: list[str] = []
    for name, gone in meant.items():
        drains = overrides.of(name)
        state = states.get(name)
        left = [
            one
            for one in plans[name].servers
            if one.name not in gone
            and drain_of(drains, one.name, one.destination.addr) is None
            and state is not None
            and one.name in state.servers
            and state.servers[one.name].pooled
            and one.destination.weight > 0
        ]
        if not left:
            alone.append(name)
    return alone


def order(said: str, service: str, wall_ns: int, timeout_ns: int) -> Drain:
    """The drain to keep."""
    return Drain(service, said, wall_ns, wall_ns + timeout_ns if timeout_ns else 0)


@dataclass
class Waiting:
    """Somebody waits for servers to be drained: until ``written_ns`` at most for the kernel's table, and if ``wait``
    until ``until_ns`` at most for what :mod:`..lvs.drained` waits for. Times are CLOCK_MONOTONIC.
    """

    number: int
    wait: bool
    written_ns: int
    targets: Sequence[Target]
    until_ns: int
