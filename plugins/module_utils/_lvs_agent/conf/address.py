# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses, address ranges and ports as text: read, explained, normalised."""

from __future__ import annotations

import functools
import ipaddress
import re
import typing as t

from . import numbers
from .problem import BadValue

Address = t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
MOST = 65536  # addresses in one range
_DIGITS = 3  # of a part of an IPv4 address


def parse(text: str) -> Address:
    """An address. Raises :class:`BadValue` that says which part is wrong."""
    try:
        return _read(text)
    except ValueError:
        raise BadValue(f"{text!r} is not an IP address{_reason(text)}") from None


@functools.lru_cache(maxsize=MOST)
def _read(text: str) -> Address:
    """Each is asked for a dozen times, by everything that looks at a real server."""
    return ipaddress.ip_address(text)


def _reason(text: str) -> str:
    parts = text.split(".")
    if "/" in text:
        return ": a prefix length does not belong here"
    if ":" in text or not re.match(r"[0-9]+(\.[0-9]*)+\Z", text):
        return ""
    if len(parts) != 4:
        return f": it has {len(parts)} parts, an IPv4 address has 4"
    for part in parts:
        if not part:
            return ": a part is empty"
        if len(part) > _DIGITS or int(part) > 255:
            return f": its part {part} is above 255"
        if part != "0" and part.startswith("0"):
            return f": its part {part} has a leading zero"
    return ""


def try_parse(text: t.Any) -> Address | None:
    """An address, or None."""
    if text is None:
        return None
    try:
        return _read(str(text))
    except ValueError:
        return None


def interface(text: str) -> tuple[Address, int]:
    """``ADDRESS[/LENGTH]`` -> (address, prefix length; the whole address without one)."""
    host, slash, length = text.partition("/")
    address = parse(host)
    if not slash:
        return address, address.max_prefixlen
    found = numbers.whole(length)
    if found is None:
        raise BadValue(
            f"{text!r} has no prefix length after the slash",
            f"write a number from 0 to {address.max_prefixlen}",
        )
    if found > address.max_prefixlen:
        raise BadValue(f"the prefix length {length} of {text!r} is above {address.max_prefixlen}")
    return address, found


def expand(text: str) -> list[Address]:
    """``192.0.2.1``, ``192.0.2.1-10``, ``192.0.2.250-192.0.3.5``, ``192.0.2.8/29`` -> its addresses.

    As in keepalived's virtual_server_group, the short end replaces the last part (hexadecimal in IPv6).
    """
    low, count = span(text)
    return [low, *(low + offset for offset in range(1, count))]


def span(text: str) -> tuple[Address, int]:
    """The first address of such a range, and how many there are; at most :data:`MOST`."""
    if "/" in text:
        start, length = interface(text)
        if start.max_prefixlen - length > 16:
            raise BadValue(f"{text!r} has more than {MOST} addresses")
        network = ipaddress.ip_network(f"{start}/{length}", strict=False)
        return network.network_address, network.num_addresses
    first, dash, last = text.partition("-")
    low = parse(first)
    if not dash:
        return low, 1
    if re.match(r"[0-9a-fA-F]+\Z", last):
        separator = ":" if low.version == 6 else "."
        last = first.rpartition(separator)[0] + separator + last
    high = parse(last)
    if high.version != low.version:
        raise BadValue(f"the range {text!r} mixes IPv4 and IPv6")
    if int(high) <= int(low):
        raise BadValue(f"the range {text!r} does not end above its start")
    if int(high) - int(low) >= MOST:
        raise BadValue(f"the range {text!r} has more than {MOST} addresses")
    return low, int(high) - int(low) + 1


def port(text: str, low: int = 1) -> int:
    """A port number from ``low`` to 65535."""
    found = numbers.whole(text)
    if found is None or not low <= found <= numbers.UINT16:
        raise BadValue(f"{text!r} is not a port", f"write a number from {low} to {numbers.UINT16}")
    return found
