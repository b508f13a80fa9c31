# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links, routes and neighbours as plain data, in the words of ip(8); addresses are in their own file."""

from __future__ import annotations

from typing import NamedTuple

# linux/rtnetlink.h
TABLE_MAIN = 254
PROTOCOL_STATIC = 4
# The kernel's metric for the IPv6 routes of others (IP6_RT_PRIO_USER); its own have 256. For IPv4 both are 0.
IPV6_METRIC = 1024

# linux/neighbour.h
NEIGHBOUR_STATES = {
    0x00: "NONE",
    0x01: "INCOMPLETE",
    0x02: "REACHABLE",
    0x04: "STALE",
    0x08: "DELAY",
    0x10: "PROBE",
    0x20: "FAILED",
    0x40: "NOARP",
    0x80: "PERMANENT",
}


class Link(NamedTuple):
    """An interface; ``lladdr`` is its link-layer address in colon form, "" when it has none.

    ``ethernet``: its kind has ARP and neighbour discovery, and they are on. ``carrier`` is ip's LOWER_UP.
    """

    ifindex: int
    name: str
    up: bool
    carrier: bool
    mtu: int
    lladdr: str
    ethernet: bool


class Route(NamedTuple):
    """A unicast route by one interface; ``gateway`` and ``prefsrc`` are "" when it has none.

    ``dst`` has a prefix length always: "0.0.0.0/0" is ip's "default", "192.0.2.1/32" a host route.
    """

    dst: str
    interface: str
    gateway: str = ""
    prefsrc: str = ""
    metric: int = 0
    scope: str = "global"
    protocol: int = PROTOCOL_STATIC
    table: int = TABLE_MAIN

    @property
    def is_ipv6(self) -> bool:
        """Whether it is an IPv6 route."""
        return ":" in self.dst

    def __str__(self) -> str:
        via = f" via {self.gateway}" if self.gateway else ""
        table = "" if self.table == TABLE_MAIN else f" table {self.table}"
        return f"{self.dst}{via} dev {self.interface}{table}"


class Neighbour(NamedTuple):
    """What the kernel knows of a neighbour; ``lladdr`` is "" while that is nothing."""

    address: str
    interface: str
    lladdr: str
    state: str


def host_route(interface: str, address: str) -> Route:
    """The route to one address by an interface."""
    if ":" in address:
        return Route(f"{address}/128", interface, metric=IPV6_METRIC)
    return Route(f"{address}/32", interface, scope="link")
