# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ARP for IPv4 on Ethernet as frames of bytes (RFC 826): announcements, probes, and what others say; pure."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

ETH_P_ARP = 0x0806
REQUEST, REPLY = 1, 2

_BROADCAST = b"\xff" * 6
_NOBODY = bytes(6)
_ANY = bytes(4)
_ETHERNET = struct.Struct("!6s6sH")
_ARP = struct.Struct("!HHBBH6s4s6s4s")
# ar_hrd Ethernet, ar_pro IPv4, ar_hln, ar_pln (linux/if_arp.h)
_KIND = (1, 0x0800, 6, 4)


class Arp(NamedTuple):
    """What an ARP packet says; MAC addresses are six bytes, IPv4 addresses text."""

    operation: int
    sender_mac: bytes
    sender: str
    target: str


def pack_gratuitous(mac: bytes, address: str, *, reply: bool = False) -> bytes:
    """The 42-byte frame that tells everybody that ``address`` is at ``mac`` now.

    A request for the address by itself with the target MAC ff:ff:ff:ff:ff:ff, which is what keepalived sends; as a
    ``reply`` the target MAC is the sender's (RFC 5944 section 4.6), for the few hosts that learn from replies only.
    Raises OSError for what is not IPv4.
    """
    ip = socket.inet_pton(socket.AF_INET, address)
    arp = _ARP.pack(*_KIND, REPLY, mac, ip, mac, ip) if reply else _ARP.pack(*_KIND, REQUEST, mac, ip, _BROADCAST, ip)
    return _ETHERNET.pack(_BROADCAST, mac, ETH_P_ARP) + arp


def pack_probe(mac: bytes, address: str) -> bytes:
    """The frame that asks who has ``address`` without claiming it: the sender is 0.0.0.0 (RFC 5227 section 2.1.1).

    Nobody's neighbour table changes by it. Raises OSError for what is not IPv4.
    """
    ip = socket.inet_pton(socket.AF_INET, address)
    return _ETHERNET.pack(_BROADCAST, mac, ETH_P_ARP) + _ARP.pack(*_KIND, REQUEST, mac, _ANY, _NOBODY, ip)


def parse(frame: bytes) -> Arp | None:
    """The ARP packet in an Ethernet frame; None for anything else. Ethernet's padding is allowed."""
    if len(frame) < _ETHERNET.size + _ARP.size or _ETHERNET.unpack_from(frame)[2] != ETH_P_ARP:
        return None
    *kind, operation, sender_mac, sender, _target_mac, target = _ARP.unpack_from(frame, _ETHERNET.size)
    if tuple(kind) != _KIND:
        return None
    return Arp(operation, sender_mac, socket.inet_ntoa(sender), socket.inet_ntoa(target))


def claimed(packet: Arp) -> str:
    """The address whose use, or wish to use it, the packet's sender shows; "" for a question (RFC 5227 2.1.1).

    Any packet *from* an address shows its use; a probe for an address shows the wish.
    """
    if packet.sender != "0.0.0.0":
        return packet.sender
    return packet.target if packet.operation == REQUEST else ""
