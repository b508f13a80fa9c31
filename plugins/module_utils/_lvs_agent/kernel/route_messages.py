# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rtnetlink's messages as bytes: links, addresses, routes and rules; pure.

Sources: rtnetlink(7), linux/rtnetlink.h, linux/if_addr.h, linux/if_link.h, linux/fib_rules.h. All numbers are in host
byte order, addresses in network byte order.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from .netlink import (
    MalformedMessage,
    cstring,
    pack_attr,
    pack_nested,
    parse_attrs,
    read_cstring,
    read_u32,
    u8,
    u32,
)

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34
RTM_NEWQDISC = 36

# of linux/if_addr.h
IFA_F_SECONDARY = 0x01
IFA_F_NODAD = 0x02
IFA_F_HOMEADDRESS = 0x10
IFA_F_DADFAILED = 0x08
IFA_F_DEPRECATED = 0x20
IFA_F_TENTATIVE = 0x40
IFA_F_MANAGETEMPADDR = 0x100
IFA_F_NOPREFIXROUTE = 0x200
IFA_F_MCAUTOJOIN = 0x400

#: Who adds VIPs, and their routes and rules (linux/rtnetlink.h).
RTPROT_KEEPALIVED = 18

IFF_UP, IFF_RUNNING, IFF_NOARP, IFF_LOWER_UP = 0x1, 0x40, 0x80, 0x10000
_ARPHRD_ETHER = 1
_RTNH_F_ONLINK = 4
_FIB_RULE_INVERT = 2
_FOREVER = 0xFFFFFFFF
_MACVLAN_PRIVATE = 1

_IFADDRMSG = struct.Struct("=BBBBI")
_IFINFOMSG = struct.Struct("=BxHiII")
# struct rtmsg and struct fib_rule_hdr have the same shape
_RTMSG = struct.Struct("=BBBBBBBBI")
_RTNEXTHOP = struct.Struct("=HBBi")
_CACHEINFO = struct.Struct("=IIII")

_IFA_ADDRESS, _IFA_LOCAL, _IFA_LABEL, _IFA_BROADCAST, _IFA_CACHEINFO, _IFA_FLAGS, _IFA_PROTO = 1, 2, 3, 4, 6, 8, 11
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINK, _IFLA_LINKINFO = 1, 3, 4, 5, 18
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _IFLA_MACVLAN_MODE = 1, 2, 1
_TCMSG = struct.Struct("=B3xiIII")
_TCA_KIND, _TCA_OPTIONS = 1, 2
_TC_H_ROOT = 0xFFFFFFFF
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_PREFSRC, _RTA_METRICS, _RTA_MULTIPATH, _RTA_TABLE = (
    1,
    4,
    5,
    6,
    7,
    8,
    9,
    15,
)
_RTAX_LOCK = 1
_FRA_DST, _FRA_SRC, _FRA_PRIORITY, _FRA_TABLE, _FRA_PROTOCOL = 1, 2, 6, 15, 21


class LinkInfo(NamedTuple):
    """An interface; ``mac`` is b"" when it has none.

    ``running`` is what keepalived calls up: administratively up, and the driver has a carrier. ``ethernet``: it has
    ARP and neighbour discovery, and they are on.
    """

    ifindex: int
    name: str
    flags: int
    mac: bytes
    mtu: int
    ethernet: bool

    @property
    def running(self) -> bool:
        """Up, and with a carrier."""
        return self.flags & (IFF_UP | IFF_RUNNING) == IFF_UP | IFF_RUNNING


class AddressInfo(NamedTuple):
    """An address of an interface, packed; what is empty is left to the kernel. ``flags`` are IFA_F_* above.

    ``peer`` is the other end's address on a point-to-point link, to which ``prefixlen`` belongs then.
    ``preferred_lft`` is in seconds, None for ever. ``protocol`` says who added it, as the RTPROT_* of a route; kernels
    before 5.18 ignore it, and have 0.
    """

    ifindex: int
    address: bytes
    prefixlen: int
    label: str = ""
    scope: int = 0
    broadcast: bytes = b""
    peer: bytes = b""
    flags: int = 0
    preferred_lft: int | None = None
    protocol: int = 0

    @property
    def key(self) -> tuple[int, bytes, int]:
        """What tells two addresses of a host apart."""
        return self.ifindex, self.address, self.prefixlen

    @property
    def serves(self) -> bool:
        """Duplicate address detection is not at work, and did not fail."""
        return not self.flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)

    @property
    def is_deprecated(self) -> bool:
        """An IPv6 address that is no source while there is another (RFC 6724 section 5)."""
        return bool(self.flags & IFA_F_DEPRECATED) or self.preferred_lft == 0


class NextHop(NamedTuple):
    """One way of a route; ifindex 0 leaves the interface to the kernel."""

    gateway: bytes = b""
    ifindex: int = 0
    weight: int = 1
    onlink: bool = False


class RouteInfo(NamedTuple):
    """A route to be; ``destination`` b"" is the default route; ``metrics`` are (RTAX number, value).

    ``attributes`` are more of them, (RTA number, packed value). ``append``: behind others to the same place, which
    count then; ``add``: only if there is none.
    """

    family: int
    destination: bytes
    prefixlen: int
    kind: int
    hops: tuple[NextHop, ...]
    table: int
    protocol: int
    scope: int
    source: bytes = b""
    metric: int = 0
    tos: int = 0
    metrics: tuple[tuple[int, int | bytes], ...] = ()
    lock: int = 0
    attributes: tuple[tuple[int, bytes], ...] = ()
    append: bool = False
    add: bool = False


class RuleInfo(NamedTuple):
    """A routing policy rule to be; ``attributes`` are (FRA number, packed value)."""

    family: int
    action: int
    table: int
    priority: int | None
    source: bytes = b""
    source_prefixlen: int = 0
    destination: bytes = b""
    destination_prefixlen: int = 0
    tos: int = 0
    invert: bool = False
    protocol: int = 18
    attributes: tuple[tuple[int, bytes], ...] = ()


def family_number(packed: bytes) -> int:
    """AF_INET or AF_INET6 of a packed address."""
    return socket.AF_INET if len(packed) == 4 else socket.AF_INET6


# ---- links


def pack_link_request(ifindex: int = 0) -> bytes:
    """What asks for one interface, or with a dump for all."""
    return _IFINFOMSG.pack(socket.AF_UNSPEC, 0, ifindex, 0, 0)


def parse_link(payload: bytes) -> LinkInfo:
    """RTM_NEWLINK, RTM_DELLINK. Raises MalformedMessage."""
    if len(payload) < _IFINFOMSG.size:
        raise MalformedMessage(f"a link of {len(payload)} bytes")
    _family, kind, index, flags, _change = _IFINFOMSG.unpack_from(payload)
    attrs = parse_attrs(payload[_IFINFOMSG.size :])
    mtu = read_u32(attrs[_IFLA_MTU]) if _IFLA_MTU in attrs else 0
    ethernet = kind == _ARPHRD_ETHER and not flags & IFF_NOARP
    return LinkInfo(
        index, read_cstring(attrs.get(_IFLA_IFNAME, b"")), flags, attrs.get(_IFLA_ADDRESS, b""), mtu, ethernet
    )


def pack_macvlan(name: str, base_index: int, mac: bytes) -> bytes:
    """A macvlan in private mode, as keepalived makes it: its siblings do not hear each other."""
    info = pack_nested(
        _IFLA_LINKINFO,
        [
            pack_attr(_IFLA_INFO_KIND, b"macvlan"),
            pack_nested(_IFLA_INFO_DATA, [pack_attr(_IFLA_MACVLAN_MODE, u32(_MACVLAN_PRIVATE))]),
        ],
    )
    attrs = [pack_attr(_IFLA_LINK, u32(base_index)), pack_attr(_IFLA_IFNAME, cstring(name))]
    attrs.append(pack_attr(_IFLA_ADDRESS, mac))
    return _IFINFOMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + b"".join(attrs) + info


def pack_link_flags(ifindex: int, flags: int, change: int) -> bytes:
    """Set those flags of an interface that ``change`` has; IFF_UP brings it up."""
    return _IFINFOMSG.pack(socket.AF_UNSPEC, 0, ifindex, flags, change)


def pack_packet_limit(ifindex: int, packets: int) -> bytes:
    """A ``pfifo`` that holds this many packets as the interface's queue, see tc-pfifo(8); 0 drops all that it sends."""
    attrs = pack_attr(_TCA_KIND, cstring("pfifo")) + pack_attr(_TCA_OPTIONS, u32(packets))
    return _TCMSG.pack(socket.AF_UNSPEC, ifindex, 0, _TC_H_ROOT, 0) + attrs


# ---- addresses


def pack_address_request() -> bytes:
    """What asks for all addresses of all interfaces."""
    return _IFADDRMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0)


def pack_address(address: AddressInfo) -> bytes:
    """RTM_NEWADDR, RTM_DELADDR."""
    attrs = [pack_attr(_IFA_LOCAL, address.address), pack_attr(_IFA_ADDRESS, address.peer or address.address)]
    if address.label:
        attrs.append(pack_attr(_IFA_LABEL, cstring(address.label)))
    if address.broadcast:
        attrs.append(pack_attr(_IFA_BROADCAST, address.broadcast))
    if address.flags:
        attrs.append(pack_attr(_IFA_FLAGS, u32(address.flags)))
    if address.preferred_lft is not None:
        attrs.append(pack_attr(_IFA_CACHEINFO, _CACHEINFO.pack(address.preferred_lft, _FOREVER, 0, 0)))
    if address.protocol:
        attrs.append(pack_attr(_IFA_PROTO, u8(address.protocol)))
    family = family_number(address.address)
    head = _IFADDRMSG.pack(family, address.prefixlen, address.flags & 0xFF, address.scope, address.ifindex)
    return head + b"".join(attrs)


def parse_address(payload: bytes) -> AddressInfo:
    """RTM_NEWADDR, RTM_DELADDR. Raises MalformedMessage."""
    if len(payload) < _IFADDRMSG.size:
        raise MalformedMessage(f"an address of {len(payload)} bytes")
    _family, prefixlen, flags, scope, index = _IFADDRMSG.unpack_from(payload)
    attrs = parse_attrs(payload[_IFADDRMSG.size :])
    if _IFA_FLAGS in attrs:
        flags = read_u32(attrs[_IFA_FLAGS])
    peer = attrs.get(_IFA_ADDRESS, b"")
    # IFA_ADDRESS is the peer's on a point-to-point link; IPv6 sends IFA_LOCAL only there
    address = attrs.get(_IFA_LOCAL) or peer
    label = read_cstring(attrs.get(_IFA_LABEL, b""))
    broadcast = attrs.get(_IFA_BROADCAST, b"")
    protocol = int.from_bytes(attrs.get(_IFA_PROTO, b""), "big")
    return AddressInfo(
        index, address, prefixlen, label, scope, broadcast, peer if peer != address else b"", flags, None, protocol
    )


# ---- routes and rules


def pack_route(route: RouteInfo) -> bytes:
    """RTM_NEWROUTE, RTM_DELROUTE."""
    attrs = [pack_attr(_RTA_TABLE, u32(route.table))]
    if route.destination:
        attrs.append(pack_attr(_RTA_DST, route.destination))
    if route.metric:
        attrs.append(pack_attr(_RTA_PRIORITY, u32(route.metric)))
    if route.source:
        attrs.append(pack_attr(_RTA_PREFSRC, route.source))
    attrs += [pack_attr(number, value) for number, value in route.attributes]
    metrics = [pack_attr(one, value if isinstance(value, bytes) else u32(value)) for one, value in route.metrics]
    if route.lock:
        metrics.append(pack_attr(_RTAX_LOCK, u32(route.lock)))
    if metrics:
        attrs.append(pack_nested(_RTA_METRICS, metrics))
    flags = 0
    if len(route.hops) == 1:
        (hop,) = route.hops
        attrs += _hop_attrs(hop)
        if hop.ifindex:
            attrs.append(pack_attr(_RTA_OIF, u32(hop.ifindex)))
        flags = _RTNH_F_ONLINK if hop.onlink else 0
    elif route.hops:
        attrs.append(pack_attr(_RTA_MULTIPATH, b"".join(map(_pack_hop, route.hops))))
    family = socket.AF_INET if route.family == 4 else socket.AF_INET6
    # tables above 255 are in RTA_TABLE only
    table = route.table if route.table < 256 else 0
    head = _RTMSG.pack(family, route.prefixlen, 0, route.tos, table, route.protocol, route.scope, route.kind, flags)
    return head + b"".join(attrs)


def _hop_attrs(hop: NextHop) -> list[bytes]:
    return [pack_attr(_RTA_GATEWAY, hop.gateway)] if hop.gateway else []


def _pack_hop(hop: NextHop) -> bytes:
    attrs = b"".join(_hop_attrs(hop))
    flags = _RTNH_F_ONLINK if hop.onlink else 0
    return _RTNEXTHOP.pack(_RTNEXTHOP.size + len(attrs), flags, hop.weight - 1, hop.ifindex) + attrs


def route_protocol(payload: bytes) -> int:
    """Who made the route of an RTM_NEWROUTE or RTM_DELROUTE. Raises MalformedMessage."""
    if len(payload) < _RTMSG.size:
        raise MalformedMessage(f"a route of {len(payload)} bytes")
    return int(_RTMSG.unpack_from(payload)[5])


def pack_rule(rule: RuleInfo) -> bytes:
    """RTM_NEWRULE, RTM_DELRULE."""
    attrs = [pack_attr(number, value) for number, value in rule.attributes]
    attrs.append(pack_attr(_FRA_PROTOCOL, bytes((rule.protocol,))))
    if rule.table:
        attrs.append(pack_attr(_FRA_TABLE, u32(rule.table)))
    if rule.priority is not None:
        attrs.append(pack_attr(_FRA_PRIORITY, u32(rule.priority)))
    if rule.source:
        attrs.append(pack_attr(_FRA_SRC, rule.source))
    if rule.destination:
        attrs.append(pack_attr(_FRA_DST, rule.destination))
    family = socket.AF_INET if rule.family == 4 else socket.AF_INET6
    table = rule.table if rule.table < 256 else 0
    flags = _FIB_RULE_INVERT if rule.invert else 0
    head = _RTMSG.pack(
        family, rule.destination_prefixlen, rule.source_prefixlen, rule.tos, table, 0, 0, rule.action, flags
    )
    return head + b"".join(attrs)
