# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw sockets for adverts: one for each interface, family and protocol, however many instances share it.

Sources: raw(7), ip(7), ipv6(7), RFC 3542. A socket is bound to its interface, so what arrives by another one is never
seen. It is opened with the interface's index: an interface that was made anew needs a new port.
"""

from __future__ import annotations

import contextlib
import socket
import struct

from .instance import GROUPS
from .ip import PROTO_AH, PROTO_VRRP, TTL, Datagram, text

_SO_BINDTODEVICE = 25
_SO_RCVBUFFORCE = 33
_SO_SNDBUFFORCE = 32
_IPV6_FREEBIND = 78  # linux/in6.h
_RECEIVE_BUFFER_BYTES = 1 << 20
# Adverts to a peer that does not answer ARP wait in its neighbour entry, up to net.ipv4.neigh.*.unres_qlen_bytes
# (208 KiB, all that a socket has by default), and count for this socket: dead peers must not use it up for the others.
_SEND_BUFFER_BYTES = 8 << 20
# the least of the receive buffer that a packet takes, by far (skb->truesize)
_PACKET_COST_BYTES = 512
_READ_SIZE = 4096
_TRAFFIC_CLASS = 0xC0  # as the TOS in IPv4, see ip.py
_MREQN = struct.Struct("=4s4si")
_MREQ6 = struct.Struct("=16sI")
_PKTINFO6 = struct.Struct("=16sI")
_INT = struct.Struct("=i")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_PKTINFO6.size) + socket.CMSG_SPACE(_INT.size)
_ANY4 = bytes(4)
_IPV6_FREEBIND = 78  # linux/in6.h, since Linux 4.15
_NO_IP_PROTOCOL = 0  # the port number of a raw socket's address means nothing


class Port:
    """The socket for one interface, family (4 or 6) and protocol (PROTO_VRRP or PROTO_AH); nothing waits.

    Opening raises OSError; needs CAP_NET_RAW.
    """

    def __init__(self, interface: str, ifindex: int, family: int, protocol: int) -> None:
        self.interface = interface
        self.ifindex = ifindex
        self.family = family
        self.protocol = protocol
        self._groups: set[tuple[bytes, int]] = set()
        kind = socket.AF_INET if family == 4 else socket.AF_INET6
        self._sock = socket.socket(
            kind, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, protocol
        )
        try:
            self._sock.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, interface.encode())
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
            with contextlib.suppress(PermissionError):
                self._sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER_BYTES)
                self._sock.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _SEND_BUFFER_BYTES)
            if family == 4:
                self._prepare_ipv4()
            else:
                self._prepare_ipv6()
        except OSError:
            self._sock.close()
            raise
        # as many as fit into the buffer: whoever read these has everything that was there when it began
        self.most = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // _PACKET_COST_BYTES

    def _prepare_ipv4(self) -> None:
        self._sock.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
        self._sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
        self._sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, _MREQN.pack(_ANY4, _ANY4, self.ifindex))

    def _prepare_ipv6(self) -> None:
        level = socket.IPPROTO_IPV6
        self._sock.setsockopt(level, socket.IPV6_MULTICAST_LOOP, 0)
        self._sock.setsockopt(level, socket.IPV6_MULTICAST_IF, self.ifindex)
        self._sock.setsockopt(level, socket.IPV6_MULTICAST_HOPS, TTL)
        self._sock.setsockopt(level, socket.IPV6_TCLASS, _TRAFFIC_CLASS)
        self._sock.setsockopt(level, socket.IPV6_RECVPKTINFO, 1)
        self._sock.setsockopt(level, socket.IPV6_RECVHOPLIMIT, 1)
        # the last adverts come from an address that has gone; in IPv4 nobody asks
        self._sock.setsockopt(level, _IPV6_FREEBIND, 1)

    def fileno(self) -> int:
        """For a selector."""
        return self._sock.fileno()

    def close(self) -> None:
        """Close the socket, which leaves its groups."""
        self._sock.close()

    def join(self, group: bytes, base: int = 0) -> None:
        """Receive what is sent to a multicast group, packed; b"" is VRRP's own. Raises OSError.

        ``base``: the index of a virtual MAC's base interface, which tells switches of the group: a backup's virtual MAC
        is mute.
        """
        group = group or GROUPS[4 if self.family == 4 else 16]
        for ifindex in (self.ifindex, base):
            if not ifindex or (group, ifindex) in self._groups:
                continue
            if self.family == 4:
                request = _MREQN.pack(group, _ANY4, ifindex)
                self._sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
            else:
                request = _MREQ6.pack(group, ifindex)
                self._sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
            self._groups.add((group, ifindex))

    def borrow_source(self) -> None:
        """Send from IPv6 addresses of another interface, too: from a virtual MAC with the base's. Raises OSError."""
        if self.family == 6:
            self._sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)

    def send(self, packet: bytearray, source: bytes, destination: bytes, hop_limit: int) -> None:
        """One advert as Transmitter makes it: IPv4 with its header, IPv6 without. Raises OSError."""
        if self.family == 4:
            self._sock.sendto(packet, (text(destination), _NO_IP_PROTOCOL))
            return
        ancillary = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _PKTINFO6.pack(source, self.ifindex))]
        if hop_limit != TTL or destination[0] != 0xFF:
            ancillary.append((socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT, _INT.pack(hop_limit)))
        # the interface is told for link-local addresses only, others may be behind a router
        scope = self.ifindex if destination[:1] in (b"\xfe", b"\xff") else 0
        self._sock.sendmsg([packet], ancillary, 0, (text(destination), _NO_IP_PROTOCOL, 0, scope))

    def receive_ipv4(self) -> bytes | None:
        """The next packet with its IP header, None when there is none. Raises OSError."""
        try:
            return self._sock.recv(_READ_SIZE)
        except BlockingIOError:
            return None

    def receive_ipv6(self) -> Datagram | None:
        """The next packet, None when there is none. Raises OSError."""
        try:
            payload, ancillary, _flags, sender = self._sock.recvmsg(_READ_SIZE, _ANCILLARY_BYTES)
        except BlockingIOError:
            return None
        destination, hop_limit = bytes(16), 0
        for level, kind, data in ancillary:
            if level != socket.IPPROTO_IPV6:
                continue
            if kind == socket.IPV6_PKTINFO:
                destination = _PKTINFO6.unpack_from(data)[0]
            elif kind == socket.IPV6_HOPLIMIT:
                hop_limit = _INT.unpack_from(data)[0]
        source = socket.inet_pton(socket.AF_INET6, sender[0].partition("%")[0])
        return Datagram(source, destination, hop_limit, PROTO_VRRP, payload)


def protocol_of(signed: bool) -> int:
    """The IP protocol of adverts with or without an authentication header."""
    return PROTO_AH if signed else PROTO_VRRP
