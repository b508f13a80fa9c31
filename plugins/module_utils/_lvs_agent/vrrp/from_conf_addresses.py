# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of ``virtual_ipaddress`` and ``virtual_ipaddress_excluded`` -> what the kernel is to hold; pure."""

from __future__ import annotations

import ipaddress
from typing import Any

from ..conf import address, ip_numbers
from ..conf.problem import BadValue
from .plan import Holding

# keepalived's "no broadcast address" (keepalived.conf(5), static_ipaddress)
_NO_BROADCAST = "-"
_FLAGS = {
    "home": "home",
    "mngtmpaddr": "mngtmpaddr",
    "noprefixroute": "noprefixroute",
    "autojoin": "autojoin",
    "use_vmac": "on_vmac",
}


def holding(words: list[str], interface: str, *, vmac: bool, vip: bool = True) -> Holding:
    """One line; ``interface`` is the instance's, on whose virtual MAC interface it goes when there is one.

    Without a prefix length the address is a whole host's, as in keepalived. ``vip``: not a static address of the
    host's. Raises BadValue.
    """
    at, prefixlen = address.interface(words[0])
    found: dict[str, Any] = {"on_vmac": vmac}
    if at.version == 6 and (vip or prefixlen == at.max_prefixlen):
        # Deprecated, or this host's own packets, health checks first of all, would come from it (RFC 6724 section 5,
        # rules 3 and 8). keepalived has it for the longest prefix only: with another one a director that becomes
        # master checks real servers of DR from an address that they hold.
        found["preferred_lft"] = 0
    rest = words[1:]
    while rest:
        option = rest.pop(0)
        if option in _FLAGS:
            found[_FLAGS[option]] = True
        elif option == "no_track":
            found["tracked"] = False
        elif option != "-nodad":
            # duplicate address detection is off in any case: a VIP must serve at once
            _take(found, option, rest.pop(0), address.interface(words[0]))
    if "interface" in found and "use_vmac" not in words:
        found["on_vmac"] = False
    return Holding(**{"interface": interface, "address": at.packed, "prefixlen": prefixlen, **found})


def _take(found: dict[str, Any], option: str, value: str, own: tuple[address.Address, int]) -> None:
    if option == "dev":
        found["interface"] = value
    elif option == "label":
        found["label"] = value if own[0].version == 4 else ""
    elif option == "scope":
        found["scope"] = ip_numbers.scope(value)
    elif option == "preferred_lft":
        found["preferred_lft"] = ip_numbers.preferred_lft(value)
    elif option == "peer":
        at, length = address.interface(value)
        found["peer"], found["prefixlen"] = at.packed, length
    elif option in ("brd", "broadcast"):
        found["broadcast"] = _broadcast(value, own)
    else:
        raise BadValue(f"{option!r} is not an option of a virtual address")


def _broadcast(value: str, own: tuple[address.Address, int]) -> bytes:
    if value == _NO_BROADCAST or own[0].version == 6:
        return b""
    if value == "+":
        return ipaddress.ip_network(f"{own[0]}/{own[1]}", strict=False).broadcast_address.packed
    return address.parse(value).packed
