# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses as plain data, and what has to change for an interface to hold the wanted ones; pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

# rtnetlink(7), rt_scope_t; any other number is spelled as one
SCOPES = {"global": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255}

# The states of RFC 4862 section 2 in ip's words. An address serves in the first two.
PREFERRED, DEPRECATED, TENTATIVE, DADFAILED = "preferred", "deprecated", "tentative", "dadfailed"
# linux/if_addr.h
_IFA_F_DADFAILED, _IFA_F_DEPRECATED, _IFA_F_TENTATIVE = 0x08, 0x20, 0x40


def state_of(flags: int) -> str:
    """The state that an address's IFA_FLAGS tell."""
    # A failed one keeps its tentative flag.
    if flags & _IFA_F_DADFAILED:
        return DADFAILED
    if flags & _IFA_F_TENTATIVE:
        return TENTATIVE
    return DEPRECATED if flags & _IFA_F_DEPRECATED else PREFERRED


@dataclass(frozen=True)
class Address:
    """An address on an interface, as ``ip address`` shows it.

    ``label`` is "" for IPv6, which has none. For IPv6 the kernel derives ``scope`` from the address. ``state`` is
    what the kernel makes of it, not what was asked for, so it does not count when two are compared. The same holds for
    ``dynamic``, an address with a limited lifetime, and ``secondary``, an IPv4 address that is not the first of its
    network on the interface.
    """

    address: str
    prefixlen: int
    label: str = ""
    scope: str = "global"
    noprefixroute: bool = False
    state: str = field(default=PREFERRED, compare=False)
    dynamic: bool = field(default=False, compare=False)
    secondary: bool = field(default=False, compare=False)

    @property
    def is_ipv6(self) -> bool:
        """Whether it is an IPv6 address."""
        return ":" in self.address

    def __str__(self) -> str:
        label = f" label {self.label}" if self.label else ""
        flag = " noprefixroute" if self.noprefixroute else ""
        state = "" if self.state == PREFERRED else f" {self.state}"
        return f"{self.address}/{self.prefixlen} scope {self.scope}{label}{flag}{state}"


class AddressPlan(NamedTuple):
    """What to delete and then to add."""

    delete: list[Address]
    add: list[Address]


def wanted_address(text: str, label: str, scope: str, noprefixroute: bool) -> Address:
    """The normalised form of ADDRESS or ADDRESS/PREFIX (a whole host without one); label and scope are for IPv4.

    Raises ValueError with a sentence for what cannot be an interface's address.
    """
    try:
        parsed = ipaddress.ip_interface(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not an address such as 192.168.1.100/24: {error}") from error
    if "%" in text:
        raise ValueError(f"{text!r} names a zone; write the address alone")
    if parsed.ip.is_multicast or parsed.ip.is_unspecified:
        raise ValueError(f"{text!r} cannot be the address of an interface")
    address, prefixlen = str(parsed.ip), parsed.network.prefixlen
    if parsed.version == 4:
        return Address(address, prefixlen, label, scope, noprefixroute)
    return Address(address, prefixlen, "", _ipv6_scope(parsed.ip), noprefixroute)


def no_host(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """Why a host cannot have this address for others to reach it, or ""; loopback addresses are left to the caller."""
    if address.is_unspecified:
        return "it is the unspecified address"
    if address.is_multicast:
        return "it is a multicast address"
    if isinstance(address, ipaddress.IPv4Address):
        if address.packed[0] == 0:
            return "0.0.0.0/8 means this network"
        return "it is the broadcast address" if address.packed == b"\xff" * 4 else ""
    mapped = address.ipv4_mapped
    return f"no packet carries an IPv4 address mapped into IPv6; write {mapped}" if mapped else ""


def _ipv6_scope(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """RFC 4291 and ipv6_addr_scope() in the kernel."""
    if address.is_loopback:
        return "host"
    if address.is_link_local:
        return "link"
    return "site" if address in ipaddress.ip_network("fec0::/10") else "global"


def plan_addresses(
    current: Iterable[Address],
    wanted: Iterable[Address],
    retired: Collection[str] = (),
    useless: Collection[str] = (DADFAILED,),
) -> AddressPlan:
    """Compare what an interface has with what it should have.

    A wanted address that is there with another prefix, label, scope or flag, or in a ``useless`` state, is deleted
    and added. ``retired`` are addresses (without prefix) that must not stay, unless wanted. Everything else is left
    alone.
    """
    plan = AddressPlan([], [])
    current, wanted = list(current), list(wanted)
    by_address = {address.address: address for address in wanted}
    for have in current:
        want = by_address.get(have.address)
        if want is None:
            if have.address in retired:
                plan.delete.append(have)
        elif want != have or have.state in useless:
            plan.delete.append(have)
    kept = [have for have in current if have not in plan.delete]
    plan.add.extend(want for want in wanted if want not in kept)
    return plan
