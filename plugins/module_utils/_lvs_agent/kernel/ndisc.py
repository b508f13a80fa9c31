# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPv6 neighbour discovery on Ethernet as frames of bytes (RFC 4861): announcements, probes, and what others say; pure.

Whole Ethernet frames, since a duplicate detection probe comes from ``::``, which no ICMPv6 socket can send from.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from .echo import checksum

ETH_P_IPV6 = 0x86DD
SOLICITATION, ADVERTISEMENT = 135, 136

_ICMPV6 = 58
_HOP_LIMIT = 255
_ANY = bytes(16)
_ALL_NODES = socket.inet_pton(socket.AF_INET6, "ff02::1")
# RFC 4291 section 2.7.1: the last three bytes of the address follow
_SOLICITED_NODE = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13]
_OPTION_SOURCE_LLADDR, _OPTION_TARGET_LLADDR = 1, 2
# RFC 4861 section 4.4
_NA_ROUTER, _NA_OVERRIDE = 0x80000000, 0x20000000

_ETHERNET = struct.Struct("!6s6sH")
_IPV6 = struct.Struct("!IHBB16s16s")
_PSEUDO_HEADER = struct.Struct("!16s16sII")
_MESSAGE = struct.Struct("!BBHI16s")
_LLADDR_OPTION = struct.Struct("!BB6s")


class Neighbour(NamedTuple):
    """What a neighbour solicitation (135) or advertisement (136) says; ``mac`` is its sender's, six bytes."""

    kind: int
    mac: bytes
    source: str
    target: str


def solicited_node(address: str) -> bytes:
    """The 16 bytes of the multicast address on which the owner of ``address`` listens (RFC 4291 section 2.7.1)."""
    return _SOLICITED_NODE + socket.inet_pton(socket.AF_INET6, address)[13:]


def multicast_mac(group: bytes) -> bytes:
    """The Ethernet address of an IPv6 multicast group's 16 bytes (RFC 2464 section 7)."""
    return b"\x33\x33" + group[12:]


def pack_unsolicited_advertisement(mac: bytes, address: str, *, router: bool = False) -> bytes:
    """The 86-byte frame that tells all nodes that ``address`` is at ``mac`` now (RFC 4861 section 7.2.6).

    It comes from the address itself and has the override flag, so that neighbours replace what they know. ``router``
    must say whether this host forwards on the interface: neighbours drop a router that says it is none (7.2.5).
    Raises OSError for what is not IPv6.
    """
    ip = socket.inet_pton(socket.AF_INET6, address)
    message = _MESSAGE.pack(ADVERTISEMENT, 0, 0, _NA_OVERRIDE | (_NA_ROUTER if router else 0), ip)
    return _pack(mac, ip, _ALL_NODES, message + _LLADDR_OPTION.pack(_OPTION_TARGET_LLADDR, 1, mac))


def pack_probe(mac: bytes, address: str) -> bytes:
    """The 78-byte frame that asks who has ``address`` without claiming it (RFC 4862 section 5.4.2).

    A solicitation from ``::`` to the address's solicited-node group, without a link-layer option. Nobody's neighbour
    table changes by it. Raises OSError for what is not IPv6.
    """
    message = _MESSAGE.pack(SOLICITATION, 0, 0, 0, socket.inet_pton(socket.AF_INET6, address))
    return _pack(mac, _ANY, solicited_node(address), message)


def _pack(mac: bytes, source: bytes, group: bytes, message: bytes) -> bytes:
    """The frame to a multicast group; the message's checksum is filled in."""
    check = checksum(_PSEUDO_HEADER.pack(source, group, len(message), _ICMPV6) + message)
    return b"".join(
        (
            _ETHERNET.pack(multicast_mac(group), mac, ETH_P_IPV6),
            _IPV6.pack(6 << 28, len(message), _ICMPV6, _HOP_LIMIT, source, group),
            message[:2],
            check.to_bytes(2, "big"),
            message[4:],
        )
    )


def parse(frame: bytes) -> Neighbour | None:
    """The neighbour solicitation or advertisement in an Ethernet frame; None for anything else.

    What RFC 4861 7.1 says must be dropped is None too: a hop limit below 255 (it came through a router), a wrong
    checksum, a length that is not the frame's.
    """
    start = _ETHERNET.size + _IPV6.size
    if len(frame) < start + _MESSAGE.size:
        return None
    _destination, mac, ethertype = _ETHERNET.unpack_from(frame)
    version, length, following, hop_limit, source, group = _IPV6.unpack_from(frame, _ETHERNET.size)
    message = frame[start : start + length]
    if ethertype != ETH_P_IPV6 or version >> 28 != 6 or (following, hop_limit) != (_ICMPV6, _HOP_LIMIT):
        return None
    # Every option is a multiple of 8 bytes, so an odd length is wrong by itself.
    if len(message) != length or length < _MESSAGE.size or length % 8:
        return None
    kind, code, _check, _flags, target = _MESSAGE.unpack_from(message)
    if kind not in (SOLICITATION, ADVERTISEMENT) or code:
        return None
    if checksum(_PSEUDO_HEADER.pack(source, group, length, _ICMPV6) + message):
        return None
    told = _lladdr(message[_MESSAGE.size :], kind)
    return Neighbour(
        kind, told or mac, socket.inet_ntop(socket.AF_INET6, source), socket.inet_ntop(socket.AF_INET6, target)
    )


def _lladdr(options: bytes, kind: int) -> bytes:
    """The link-layer address that a message's options tell of its sender; b"" without one."""
    wanted = _OPTION_TARGET_LLADDR if kind == ADVERTISEMENT else _OPTION_SOURCE_LLADDR
    while len(options) >= _LLADDR_OPTION.size:
        option, units, lladdr = _LLADDR_OPTION.unpack_from(options)
        if option == wanted and units == 1:
            return bytes(lladdr)
        if not units:
            return b""
        options = options[units * 8 :]
    return b""


def claimed(packet: Neighbour) -> str:
    """The address whose use, or wish to use it, the packet's sender shows; "" for a question (RFC 4862 5.4.3, 5.4.4).

    An advertisement shows the use of its target; a solicitation from ``::`` is another host's own probe for it.
    """
    if packet.kind == ADVERTISEMENT or packet.source == "::":
        return packet.target
    return ""
