# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of this host that a configuration has for VIPs: to remove one would cut the host off; pure.

They look like VIPs that a killed daemon has left. What lvs-agent added has RTPROT_KEEPALIVED for its protocol
(IFA_PROTO, Linux 5.18), or the supervisor has it on record; any other is the host's own, or another program's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from ..kernel.route_messages import RTPROT_KEEPALIVED, AddressInfo
from .holdings import Index, interface_of
from .ip import text
from .plan import Holding, InstancePlan

#: Interface number, packed address, prefix length.
Key = tuple[int, bytes, int]


def find(plans: Iterable[InstancePlan], index: Index, there: Iterable[AddressInfo], ours: Collection[Key]) -> set[Key]:
    """Which addresses that are there are VIPs of a plan, with any prefix length, and not ``ours``."""
    places = {
        (index[name], one.address)
        for plan in plans
        for one in (*plan.vips, *plan.excluded)
        for name in _interfaces(plan, one)
        if name in index
    }
    return {
        one.key
        for one in there
        if (one.ifindex, one.address) in places and one.protocol != RTPROT_KEEPALIVED and one.key not in ours
    }


def fault(plan: InstancePlan, index: Mapping[str, int], own: Collection[Key]) -> str:
    """Why an instance cannot be master, in words; "" when none of its VIPs is among the host's ``own``."""
    if not own:
        return ""
    places = {(ifindex, address) for ifindex, address, _length in own}
    for one in (*plan.vips, *plan.excluded):
        for name in _interfaces(plan, one):
            if (index.get(name, 0), one.address) in places:
                return _text(one.address, name)
    return ""


def _interfaces(plan: InstancePlan, holding: Holding) -> tuple[str, str]:
    """Where a VIP goes to, and what a virtual MAC interface is on."""
    return interface_of(plan, holding), holding.interface


def _text(address: bytes, interface: str) -> str:
    what = f"VIP {text(address)} is an address of this host already, which lvs-agent did not add to {interface}"
    return f"{what}: choose another VIP, or remove the address"
