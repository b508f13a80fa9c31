# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel is to hold for an instance, and what of it differs."""

from __future__ import annotations

import pytest

from _lvs_agent.kernel.route_messages import (
    IFA_F_NODAD,
    IFA_F_NOPREFIXROUTE,
    RTPROT_KEEPALIVED,
    AddressInfo,
    NextHop,
    RouteInfo,
)
from _lvs_agent.vrrp import holdings
from _lvs_agent.vrrp.instance import Instance
from _lvs_agent.vrrp.plan import Holding, Hop, InstancePlan, RouteHolding, RuleHolding, Vmac

V4, V6 = bytes((10, 0, 0, 100)), bytes.fromhex("20010db8000000000000000000000001")
GATEWAY = bytes((10, 0, 0, 1))
INDEX = {"eth0": 2, "eth1": 3}


def plan(**fields: object) -> InstancePlan:
    return InstancePlan(Instance("V", 51, b"", ()), 4, "eth0", **fields)  # type: ignore[arg-type]


def test_addresses_in_the_kernels_terms() -> None:
    vips = (Holding("eth0", V4, 24, "eth0:1", noprefixroute=True), Holding("gone", V4, 24))
    held = holdings.of_plan(plan(vips=vips, excluded=(Holding("eth1", V6, 64),)), INDEX)
    assert held.addresses == (
        AddressInfo(2, V4, 24, "eth0:1", flags=IFA_F_NOPREFIXROUTE, protocol=RTPROT_KEEPALIVED),
        AddressInfo(3, V6, 64, flags=IFA_F_NODAD, protocol=RTPROT_KEEPALIVED),
    )
    assert held.absent == ("gone",)


def test_what_belongs_on_the_virtual_mac_interface() -> None:
    one = plan(vips=(Holding("eth0", V4, 24, on_vmac=True),), vmac=Vmac("vrrp.51", bytes(6)))
    assert holdings.of_plan(one, INDEX).absent == ("vrrp.51",)
    (address,) = holdings.of_plan(one, {**INDEX, "vrrp.51": 9}).addresses
    assert address == AddressInfo(9, V4, 24, protocol=RTPROT_KEEPALIVED)


@pytest.mark.parametrize(
    "route, scope",
    [
        (RouteHolding(4, GATEWAY, 32, hops=(Hop(GATEWAY, "eth0"),)), 0),
        (RouteHolding(4, GATEWAY, 32, hops=(Hop(b"", "eth0"),)), 253),
        (RouteHolding(4, GATEWAY, 32, kind=2, hops=(Hop(b"", "eth0"),)), 254),
        (RouteHolding(4, GATEWAY, 32, kind=6), 0),
        (RouteHolding(6, V6, 128, hops=(Hop(b"", "eth0"),)), 0),
        (RouteHolding(4, GATEWAY, 32, hops=(Hop(b"", "eth0"),), scope=200), 200),
    ],
)
def test_the_scope_of_a_route_is_the_one_ip_gives_it(route: RouteHolding, scope: int) -> None:
    assert holdings.route_of(route, INDEX).scope == scope


def test_a_route_by_an_absent_interface_waits() -> None:
    there = RouteHolding(4, b"", 0, hops=(Hop(GATEWAY, "eth1"),))
    held = holdings.of_plan(plan(routes=(there, RouteHolding(4, b"", 0, hops=(Hop(b"", "ppp0"),)))), INDEX)
    assert held.routes == (RouteInfo(4, b"", 0, 1, (NextHop(GATEWAY, 3),), 254, 18, 0),)
    assert held.absent == ("ppp0",)


def test_a_reload_removes_what_is_no_longer_listed() -> None:
    first, second = Holding("eth0", V4, 24), Holding("eth1", V6, 64)
    rule = RuleHolding(4, table=7)
    before = holdings.of_plan(plan(vips=(first, second), rules=(rule,)), INDEX)
    # another label is the same address: it cannot be there twice
    after = holdings.of_plan(plan(vips=(Holding("eth0", V4, 24, "eth0:2"),)), INDEX)
    gone = holdings.no_longer(before, after)
    assert [address.address for address in gone.addresses] == [V6]
    assert gone.rules == before.rules
    assert holdings.no_longer(after, before) == holdings.Held()


def test_what_is_missing() -> None:
    held = holdings.of_plan(plan(vips=(Holding("eth0", V4, 24), Holding("eth1", V4, 24))), INDEX)
    assert holdings.missing(held, {(2, V4, 24), (3, V4, 32)}) == [held.addresses[1]]
