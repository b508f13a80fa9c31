# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel is to hold for an instance, in the kernel's own terms, and what differs; pure.

The kernel's terms have interfaces by number, so they are made anew from the plan whenever they are needed: an
interface may have been away.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ..kernel.route_messages import (
    IFA_F_HOMEADDRESS,
    IFA_F_MANAGETEMPADDR,
    IFA_F_MCAUTOJOIN,
    IFA_F_NODAD,
    IFA_F_NOPREFIXROUTE,
    RTPROT_KEEPALIVED,
    AddressInfo,
    NextHop,
    RouteInfo,
    RuleInfo,
)
from .plan import Holding, InstancePlan, Plan, Prefer, RouteHolding, RuleHolding, StaticPlan

# linux/rtnetlink.h: what a route without a gateway, or to this host itself, has for scope in IPv4
_SCOPE_GLOBAL, _SCOPE_LINK, _SCOPE_HOST = 0, 253, 254
_LOCAL = 2
_LINK_SCOPED = (1, 3, 4, 5)  # unicast, broadcast, anycast, multicast

Index = Mapping[str, int]


@dataclass(frozen=True)
class Held:
    """Everything an instance has in the kernel while it is master, in the order in which it is added.

    ``absent`` are interfaces that do not exist now, so that what belongs there is not listed.
    """

    addresses: tuple[AddressInfo, ...] = ()
    routes: tuple[RouteInfo, ...] = ()
    rules: tuple[RuleInfo, ...] = ()
    absent: tuple[str, ...] = ()


def of_plan(plan: InstancePlan, index: Index, *, tracked: bool = False) -> Held:
    """What a master with this plan holds; ``index`` is interface name -> number.

    ``tracked``: only what is put back when somebody else removes it.
    """
    placed = [(interface_of(plan, one), one) for one in (*plan.vips, *plan.excluded)]
    return _held(placed, plan.routes, plan.rules, index, tracked)


def of_static(plan: StaticPlan, index: Index, *, tracked: bool = False) -> Held:
    """What the host holds whoever is master, as ``of_plan``."""
    return _held([(one.interface, one) for one in plan.addresses], plan.routes, plan.rules, index, tracked)


def _held(
    placed: Iterable[tuple[str, Holding]],
    routes: Iterable[RouteHolding],
    rules: Iterable[RuleHolding],
    index: Index,
    tracked: bool,
) -> Held:
    absent: list[str] = []
    addresses: list[AddressInfo] = []
    for name, holding in placed:
        if tracked and not holding.tracked:
            continue
        if name in index:
            addresses.append(address_of(holding, index[name]))
        else:
            absent.append(name)
    found: list[RouteInfo] = []
    for route in routes:
        missing = [hop.interface for hop in route.hops if hop.interface and hop.interface not in index]
        absent += missing
        if not missing and (route.tracked or not tracked):
            found.append(route_of(route, index))
    made = tuple(rule_of(rule) for rule in rules if rule.tracked or not tracked)
    return Held(tuple(addresses), tuple(found), made, tuple(dict.fromkeys(absent)))


def places_of(plan: Plan) -> frozenset[tuple[str, bytes, int]]:
    """(interface, packed address, prefix length) of everything that a plan may add anywhere.

    With b"" for the address it is the interface itself, a virtual MAC's.
    """
    found = {(one.interface, one.address, one.prefixlen) for one in plan.static.addresses}
    for instance in plan.instances:
        found.update((vmac.name, b"", 0) for vmac in instance.vmacs)
        for one in (*instance.vips, *instance.excluded):
            found.add((interface_of(instance, one), one.address, one.prefixlen))
    return frozenset(found)


def interface_of(plan: InstancePlan, holding: Holding) -> str:
    """The interface an address goes to."""
    if holding.own_vmac:
        return holding.own_vmac
    return plan.vmac.name if holding.on_vmac and plan.vmac is not None else holding.interface


def address_of(holding: Holding, ifindex: int) -> AddressInfo:
    """One VIP; an IPv6 one without duplicate address detection, so that it serves at once."""
    flags = IFA_F_NODAD if len(holding.address) == 16 else 0
    for wanted, flag in (
        (holding.noprefixroute, IFA_F_NOPREFIXROUTE),
        (holding.home, IFA_F_HOMEADDRESS),
        (holding.mngtmpaddr, IFA_F_MANAGETEMPADDR),
        (holding.autojoin, IFA_F_MCAUTOJOIN),
    ):
        flags |= flag if wanted else 0
    return AddressInfo(
        ifindex,
        holding.address,
        holding.prefixlen,
        holding.label,
        holding.scope,
        holding.broadcast,
        holding.peer,
        flags,
        holding.preferred_lft,
        RTPROT_KEEPALIVED,
    )


def route_of(route: RouteHolding, index: Index) -> RouteInfo:
    """One of virtual_routes; the scope is what ip(8) gives it when nobody says."""
    hops = tuple(NextHop(hop.gateway, index.get(hop.interface, 0), hop.weight, hop.onlink) for hop in route.hops)
    scope = route.scope
    if scope is None:
        scope = _SCOPE_GLOBAL
        if route.family == 4 and route.kind == _LOCAL:
            scope = _SCOPE_HOST
        elif route.family == 4 and route.kind in _LINK_SCOPED and not any(hop.gateway for hop in hops):
            scope = _SCOPE_LINK
    return RouteInfo(
        route.family,
        route.destination,
        route.prefixlen,
        route.kind,
        hops,
        route.table,
        route.protocol,
        scope,
        route.source,
        route.metric,
        route.tos,
        route.metrics,
        route.lock,
        route.attributes,
        append=route.prefer is Prefer.LAST,
        add=route.prefer is Prefer.OTHERS,
    )


def rule_of(rule: RuleHolding) -> RuleInfo:
    """One of virtual_rules."""
    return RuleInfo(
        rule.family,
        rule.action,
        rule.table,
        rule.priority,
        rule.source,
        rule.source_prefixlen,
        rule.destination,
        rule.destination_prefixlen,
        rule.tos,
        rule.invert,
        rule.protocol,
        rule.attributes,
    )


def no_longer(former: Held, now: Held) -> Held:
    """What of ``former`` is not part of ``now``: what a reload removes."""
    kept = {address.key for address in now.addresses}
    return Held(
        tuple(address for address in former.addresses if address.key not in kept),
        tuple(route for route in former.routes if route not in now.routes),
        tuple(rule for rule in former.rules if rule not in now.rules),
    )


def missing(held: Held, have: Collection[tuple[int, bytes, int]]) -> list[AddressInfo]:
    """Which addresses are not there, by their keys."""
    return [address for address in held.addresses if address.key not in have]
