# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ICMP says of a datagram that was sent: the error queue of its socket (``IP_RECVERR`` of ip(7), ipv6(7))."""

from __future__ import annotations

import errno
import socket
import struct
from typing import NamedTuple

from . import sockets

# linux/in.h, linux/in6.h, linux/errqueue.h
_RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
_ERROR = struct.Struct("=IBBBxII")  # struct sock_extended_err
_SOCKADDR = {socket.AF_INET: (4, 4), socket.AF_INET6: (8, 16)}  # where in a sockaddr the address is, and its length
_ICMP, _ICMP6 = 2, 3
_ROOM = 512
# RFC 792 and RFC 1122 section 3.2.2.1; RFC 4443 section 3
_WORDS = {
    (_ICMP, 3, 0): "network unreachable",
    (_ICMP, 3, 1): "host unreachable",
    (_ICMP, 3, 2): "protocol unreachable",
    (_ICMP, 3, 3): "port unreachable",
    (_ICMP, 3, 4): "packet too big",
    (_ICMP, 3, 9): "prohibited by an administrator",
    (_ICMP, 3, 10): "prohibited by an administrator",
    (_ICMP, 3, 13): "prohibited by an administrator",
    (_ICMP, 11, 0): "time to live exceeded",
    (_ICMP6, 1, 0): "no route",
    (_ICMP6, 1, 1): "prohibited by an administrator",
    (_ICMP6, 1, 3): "address unreachable",
    (_ICMP6, 1, 4): "port unreachable",
    (_ICMP6, 1, 5): "prohibited by an administrator",
    (_ICMP6, 1, 6): "route rejects it",
    (_ICMP6, 2, 0): "packet too big",
    (_ICMP6, 3, 0): "hop limit exceeded",
}


class Told(NamedTuple):
    """An error: ``why`` in words, and how the datagram begins that it is about, behind its IP header.

    For UDP the kernel gives the data without the UDP header, for a raw socket all.
    """

    why: str
    about: bytes


def listen(sock: socket.socket) -> None:
    """Have all ICMP errors about what the socket sends; without it a connected one has few. Raises OSError."""
    sock.setsockopt(*_RECVERR[sock.family], 1)


def told(sock: socket.socket) -> Told | None:
    """The next error about what was sent; None without one."""
    try:
        about, ancillary, _flags, _to = sock.recvmsg(_ROOM, _ROOM, socket.MSG_ERRQUEUE)
    except OSError:
        return None
    for level, kind, data in ancillary:
        if (level, kind) == _RECVERR[sock.family] and len(data) >= _ERROR.size:
            return Told(_words(data, sock.getsockname()[0]), about)
    return Told("an error without a reason", about)


def _words(data: bytes, own: str) -> str:
    number, origin, kind, code, _info, _data = _ERROR.unpack_from(data)
    why = _WORDS.get((origin, kind, code)) or sockets.words(number or errno.EHOSTUNREACH)
    who = _offender(data[_ERROR.size :])
    return f"{why}, says {who}" if who not in ("", own) else why


def _offender(address: bytes) -> str:
    """Who sent the error; "" for nobody, or no IP."""
    if len(address) < 2:
        return ""
    family = struct.unpack_from("=H", address)[0]
    if family not in _SOCKADDR:
        return ""
    start, length = _SOCKADDR[family]
    packed = address[start : start + length]
    return sockets.text(packed) if len(packed) == length else ""
