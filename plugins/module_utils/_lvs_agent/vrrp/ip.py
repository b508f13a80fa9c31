# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The IPv4 header of an advert, and what a raw socket delivers (RFC 791, RFC 9568 section 5.1.1)."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from .checksum import checksum
from .errors import PacketError, Reason

PROTO_VRRP, PROTO_AH = 112, 51
TTL = 255
HEADER_BYTES = 20

# "internetwork control" (RFC 791 section 3.1), as keepalived sends it
_TOS = 0xC0
_HEADER = struct.Struct("!BBHHHBBH4s4s")
# of the fragment field: more fragments, and the offset
_FRAGMENT = 0x3FFF


class Datagram(NamedTuple):
    """What arrived, whichever the family: packed addresses, TTL or hop limit, and what follows the IP header.

    ``header`` is the IPv4 header, which AH signs; b"" for IPv6, whose sockets deliver none.
    """

    source: bytes
    destination: bytes
    ttl: int
    protocol: int
    payload: bytes
    header: bytes = b""


def text(address: bytes) -> str:
    """A packed address as people write it; "nobody" for b""."""
    if not address:
        return "nobody"
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)


def pack_ipv4(source: bytes, destination: bytes, protocol: int, payload_bytes: int, ttl: int = TTL) -> bytes:
    """The 20-byte header for a raw socket with IP_HDRINCL: keepalived's TOS, no options, identification 0."""
    length = HEADER_BYTES + payload_bytes
    fields = (0x45, _TOS, length, 0, 0, ttl, protocol)
    check = checksum(_HEADER.pack(*fields, 0, source, destination))
    return _HEADER.pack(*fields, check, source, destination)


def parse_ipv4(packet: bytes) -> Datagram:
    """An IPv4 packet, with or without Ethernet's padding behind it. Raises PacketError.

    The kernel has checked the header's checksum before a raw socket sees the packet. VRRP has no use for options, and
    adverts are never fragmented.
    """
    if len(packet) < HEADER_BYTES:
        raise PacketError(Reason.IP_HEADER, f"{len(packet)} bytes are no IPv4 header")
    kind, _tos, length, _ident, fragment, ttl, protocol, _check, source, destination = _HEADER.unpack_from(packet)
    if kind != 0x45:
        raise PacketError(Reason.IP_HEADER, f"version and header length 0x{kind:02x}, expected 0x45", source)
    if fragment & _FRAGMENT:
        raise PacketError(Reason.IP_HEADER, "a fragment", source)
    if not HEADER_BYTES <= length <= len(packet):
        raise PacketError(Reason.IP_HEADER, f"total length {length}, {len(packet)} bytes arrived", source)
    return Datagram(source, destination, ttl, protocol, packet[HEADER_BYTES:length], packet[:HEADER_BYTES])
