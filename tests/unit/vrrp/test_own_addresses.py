# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of the host's own that a file has for VIPs, told from what a killed daemon has left."""

from __future__ import annotations

import pytest

from _lvs_agent.kernel.route_messages import RTPROT_KEEPALIVED, AddressInfo
from _lvs_agent.vrrp import own_addresses
from _lvs_agent.vrrp.instance import Instance
from _lvs_agent.vrrp.plan import Holding, InstancePlan

HERE, VIP = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 100))
INDEX = {"lo": 1, "eth0": 2, "eth1": 3}
PLAN = InstancePlan(
    Instance("V", 51, b"", ()), 4, "eth0", (Holding("eth0", VIP, 24),), (Holding("eth1", HERE, 32),)
)


@pytest.mark.parametrize(
    "there, ours, wanted",
    [
        (AddressInfo(2, VIP, 24), set(), {(2, VIP, 24)}),
        (AddressInfo(2, VIP, 24, protocol=RTPROT_KEEPALIVED), set(), set()),
        (AddressInfo(2, VIP, 24, protocol=3), set(), {(2, VIP, 24)}),
        # of a run on a kernel that does not tell who added it
        (AddressInfo(2, VIP, 24), {(2, VIP, 24)}, set()),
        # whatever its prefix length
        (AddressInfo(3, HERE, 24), set(), {(3, HERE, 24)}),
        # a director that is a real server, too
        (AddressInfo(1, VIP, 32), set(), set()),
        (AddressInfo(2, HERE, 24), set(), set()),
    ],
)
def test_whose_an_address_is(there: AddressInfo, ours: set[own_addresses.Key], wanted: set[own_addresses.Key]) -> None:
    assert own_addresses.find([PLAN], INDEX, [there], ours) == wanted
    assert bool(own_addresses.fault(PLAN, INDEX, wanted)) is bool(wanted)


def test_the_fault_says_what_to_do() -> None:
    said = own_addresses.fault(PLAN, INDEX, {(3, HERE, 24)})
    assert said.startswith("VIP 10.0.0.1 is an address of this host already, which lvs-agent did not add to eth1: ")
    assert own_addresses.fault(PLAN, INDEX, {(1, VIP, 32), (2, HERE, 24)}) == ""
