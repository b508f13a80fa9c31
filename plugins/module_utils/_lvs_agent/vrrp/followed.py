# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces that an instance cannot do without besides its own: those of its VIPs, virtual routes and rules; pure.

As keepalived 2.2.7 does it (measured): an instance is in FAULT while the interface of a virtual address, excluded
address, route or rule is down, unless that line has ``no_track``. Weights of track_interface change nothing about it,
and dont_track_primary concerns addresses only: a route by the instance's own interface still needs it.
keepalived does not follow the next hops of a multipath route at all; here such a route needs one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from .ip import text
from .plan import InstancePlan, RouteHolding, RuleHolding

# linux/fib_rules.h
_FRA_IIFNAME, _FRA_OIFNAME = 3, 17


class Followed(NamedTuple):
    """``what`` cannot work while each of ``interfaces`` is down."""

    interfaces: tuple[str, ...]
    what: str


def followed(plan: InstancePlan) -> tuple[Followed, ...]:
    """What a plan needs, once for each interface; VIPs on its own one are left to ``track_primary``."""
    found: dict[tuple[str, ...], list[str]] = {}
    for one in (*plan.vips, *plan.excluded):
        if one.tracked and one.interface != plan.interface:
            found.setdefault((one.interface,), []).append(f"VIP {text(one.address)}/{one.prefixlen}")
    for route in plan.routes:
        interfaces = tuple(dict.fromkeys(hop.interface for hop in route.hops))
        # a next hop without an interface is by whichever the kernel finds
        if route.tracked and interfaces and all(interfaces):
            found.setdefault(interfaces, []).append(_route(route))
    for rule in plan.rules:
        for interface in _interfaces(rule) if rule.tracked else ():
            found.setdefault((interface,), []).append("a virtual rule")
    return tuple(Followed(interfaces, _first_of(whats)) for interfaces, whats in found.items())


def faults(needs: Iterable[Followed], condition: Callable[[str], str]) -> dict[tuple[str, ...], str]:
    """By interfaces: why the instance cannot be master, in words; ``condition`` is "" for an interface that is up."""
    found: dict[tuple[str, ...], str] = {}
    for one in needs:
        conditions = [condition(name) for name in one.interfaces]
        if all(conditions):
            shown = " and ".join(f"{name} {state}" for name, state in zip(one.interfaces, conditions))
            found[one.interfaces] = f"interface {shown}, needed by {one.what}"
    return found


def _route(route: RouteHolding) -> str:
    return f"virtual route {text(route.destination)}/{route.prefixlen}" if route.destination else "a default route"


def _interfaces(rule: RuleHolding) -> list[str]:
    names = (_FRA_IIFNAME, _FRA_OIFNAME)
    return [value.rstrip(b"\0").decode() for number, value in rule.attributes if number in names]


def _first_of(whats: list[str]) -> str:
    return whats[0] + (f" and {len(whats) - 1} more" if len(whats) > 1 else "")
