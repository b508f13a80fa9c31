# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which interfaces an instance needs besides its own; the daemon's own test asks keepalived about the same lines."""

from __future__ import annotations

import pytest

from _lvs_agent.conf.read import read_text
from _lvs_agent.conf.settle import settle
from _lvs_agent.vrrp.followed import faults, followed
from _lvs_agent.vrrp.from_conf import plan

VIPS = "virtual_ipaddress {{\n 10.0.0.100/24\n {}\n }}"
EXCLUDED = "virtual_ipaddress_excluded {{\n {}\n }}"
ROUTES = "virtual_routes {{\n {}\n }}"
RULES = "virtual_rules {{\n {}\n }}"


def needs(words: str) -> dict[tuple[str, ...], str]:
    text = f"vrrp_instance V {{\n interface eth0\n virtual_router_id 51\n {words}\n}}"
    (instance,) = plan(settle(read_text(text, "f").configuration)).instances
    return {one.interfaces: one.what for one in followed(instance)}


@pytest.mark.parametrize(
    "words, wanted",
    [
        (VIPS.format(""), {}),
        (VIPS.format("10.1.0.100/24 dev eth1"), {("eth1",): "VIP 10.1.0.100/24"}),
        (VIPS.format("10.1.0.100/24 dev eth1 no_track"), {}),
        (EXCLUDED.format("2001:db8::1/64 dev eth1\n 10.1.0.1 dev eth1"), {("eth1",): "VIP 2001:db8::1/64 and 1 more"}),
        (f"use_vmac\n use_vmac_addr\n {EXCLUDED.format('10.1.0.1 dev eth1')}", {("eth1",): "VIP 10.1.0.1/32"}),
        (ROUTES.format("10.9.0.0/16 via 10.1.0.9 dev eth1"), {("eth1",): "virtual route 10.9.0.0/16"}),
        (ROUTES.format("10.9.0.0/16 via 10.1.0.9 dev eth1 no_track"), {}),
        (ROUTES.format("default via 10.0.0.9 dev eth0"), {("eth0",): "a default route"}),
        (ROUTES.format("10.9.0.0/16 via 10.1.0.9"), {}),
        (ROUTES.format("blackhole 10.9.0.0/16"), {}),
        (
            ROUTES.format("10.9.0.0/16 nexthop via 10.1.0.9 dev eth1 nexthop via 10.2.0.9 dev eth2"),
            {("eth1", "eth2"): "virtual route 10.9.0.0/16"},
        ),
        (ROUTES.format("10.9.0.0/16 nexthop via 10.1.0.9 dev eth1 nexthop via 10.2.0.9"), {}),
        (RULES.format("from 10.9.0.0/16 iif eth1 table 9 preference 9"), {("eth1",): "a virtual rule"}),
        (RULES.format("from 10.9.0.0/16 oif eth1 table 9 preference 9 no_track"), {}),
        (RULES.format("from 10.9.0.0/16 table 9 preference 9"), {}),
    ],
)
def test_what_an_instance_needs(words: str, wanted: dict[tuple[str, ...], str]) -> None:
    assert needs(words) == wanted


def test_a_route_with_several_next_hops_needs_one_of_them() -> None:
    text = ROUTES.format("10.9.0.0/16 nexthop via 10.1.0.9 dev eth1 nexthop via 10.2.0.9 dev eth2")
    conditions = {"eth1": "has no carrier", "eth2": ""}
    config = f"vrrp_instance V {{\n interface eth0\n virtual_router_id 51\n {text}\n}}"
    (instance,) = plan(settle(read_text(config, "f").configuration)).instances
    assert faults(followed(instance), lambda name: conditions[name]) == {}
    conditions["eth2"] = "does not exist"
    (fault,) = faults(followed(instance), lambda name: conditions[name]).values()
    assert fault == "interface eth1 has no carrier and eth2 does not exist, needed by virtual route 10.9.0.0/16"
