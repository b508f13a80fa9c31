# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gratuitous ARP: telling a network which link-layer address an IPv4 address has now (RFC 826, RFC 5227 section 3)."""

from __future__ import annotations

import errno
import socket
import struct

from .errors import KernelError

_ETH_P_ARP = 0x0806
_ARPHRD_ETHER = 1
_ARPOP_REQUEST = 1
_BROADCAST = b"\xff" * 6
_ETHERNET = struct.Struct("!6s6sH")
_ARP = struct.Struct("!HHBBH6s4s6s4s")


class AnnounceError(KernelError):
    """An announcement could not be sent; ``subject`` names the interface."""


def pack_gratuitous_arp(mac: bytes, address: str) -> bytes:
    """The 42-byte Ethernet frame: an ARP request for ``address`` by itself.

    The target MAC is ff:ff:ff:ff:ff:ff as in keepalived's announcements. Raises OSError for what is not IPv4.
    """
    ip = socket.inet_pton(socket.AF_INET, address)
    arp = _ARP.pack(_ARPHRD_ETHER, 0x0800, 6, 4, _ARPOP_REQUEST, mac, ip, _BROADCAST, ip)
    return _ETHERNET.pack(_BROADCAST, mac, _ETH_P_ARP) + arp


def announce(interface: str, addresses: list[str], count: int) -> None:
    """Send ``count`` gratuitous ARPs for each address, all addresses once before any a second time.

    Raises AnnounceError; needs CAP_NET_RAW, and an Ethernet interface that is up.
    """
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as sock:
            sock.bind((interface, 0))
            _name, _protocol, _packet_type, hardware, mac = sock.getsockname()
            if hardware != _ARPHRD_ETHER:
                raise AnnounceError(errno.EAFNOSUPPORT, interface, "only Ethernet has gratuitous ARP")
            for _round in range(count):
                for address in addresses:
                    sock.send(pack_gratuitous_arp(mac, address))
    except AnnounceError:
        raise
    except OSError as error:
        raise AnnounceError(
            error.errno or 0, interface, "sending gratuitous ARP failed; it needs root and a link that is up"
        ) from error
