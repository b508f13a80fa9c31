# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ICMP echo to several hosts at once (RFC 792, RFC 4443)."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
import time
from typing import TYPE_CHECKING

from .errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Iterable

_ECHO = struct.Struct("!BBHHH")
_REQUEST: dict[int, int] = {socket.AF_INET: 8, socket.AF_INET6: 128}
_REPLY: dict[int, int] = {socket.AF_INET: 0, socket.AF_INET6: 129}


class EchoError(KernelError):
    """No echo can be sent from here at all."""


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def pack_echo(family: int, ident: int, seq: int, data: bytes = b"") -> bytes:
    """An echo request with an even number of bytes of data. For IPv6 the kernel fills in the checksum (RFC 3542)."""
    message = _ECHO.pack(_REQUEST[family], 0, 0, ident, seq) + data
    if family == socket.AF_INET6:
        return message
    return _ECHO.pack(_REQUEST[family], 0, checksum(message), ident, seq) + data


def is_reply(family: int, packet: bytes, ident: int) -> bool:
    """Whether what a raw socket received is the reply to our request; IPv4 delivers the IP header too."""
    message = _message(family, packet)
    if len(message) < _ECHO.size:
        return False
    kind, _code, _sum, got, _seq = _ECHO.unpack_from(message)
    return bool(kind == _REPLY[family] and got == ident)


def answers(family: int, packet: bytes, request: bytes) -> bool:
    """Whether what a raw socket received is the reply to this request of :func:`pack_echo`, with all its data."""
    message = _message(family, packet)
    # type and code; the checksum is another one
    return message[:2] == bytes((_REPLY[family], 0)) and message[4:] == request[4:]


def _message(family: int, packet: bytes) -> bytes:
    return packet[(packet[0] & 0x0F) * 4 :] if family == socket.AF_INET and packet else packet


def answering(addresses: Iterable[str], tries: int = 2, wait_seconds: float = 1.0) -> set[str]:
    """Those of the numeric addresses that answer, within ``tries`` times ``wait_seconds`` for all together.

    Raises EchoError when no raw socket can be opened (CAP_NET_RAW), socket.gaierror for what is no address.
    """
    targets = {address: _resolve(address) for address in addresses}
    ident = os.getpid() & 0xFFFF
    silent = dict(targets)
    sockets: dict[int, socket.socket] = {}
    try:
        for family in {family for family, _target in targets.values()}:
            sockets[family] = _raw_socket(family)
        for attempt in range(tries):
            for family, target in silent.values():
                # An error means no route, or a neighbour known to be dead: it stays silent.
                with contextlib.suppress(OSError):
                    sockets[family].sendto(pack_echo(family, ident, attempt), target)
            deadline = time.monotonic() + wait_seconds
            while silent and (left := deadline - time.monotonic()) > 0:
                _collect(sockets, silent, ident, left)
    finally:
        for sock in sockets.values():
            sock.close()
    return set(targets) - set(silent)


def _collect(
    sockets: dict[int, socket.socket], silent: dict[str, tuple[int, tuple[str, int]]], ident: int, wait: float
) -> None:
    """Take out of ``silent`` who answers next, waiting no longer than ``wait`` seconds."""
    by_descriptor = {sock.fileno(): family for family, sock in sockets.items()}
    for descriptor in select.select(list(by_descriptor), [], [], wait)[0]:
        family = by_descriptor[descriptor]
        packet, sender = sockets[family].recvfrom(2048)
        if is_reply(family, packet, ident):
            answered = [name for name, (af, to) in silent.items() if af == family and _same_host(to, sender)]
            for name in answered:
                del silent[name]


def _same_host(target: tuple[str, int], sender: tuple[str, int]) -> bool:
    return target[0].partition("%")[0] == sender[0].partition("%")[0]


def _resolve(address: str) -> tuple[int, tuple[str, int]]:
    family, _kind, _protocol, _name, target = socket.getaddrinfo(
        address, 0, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
    )[0]
    return family, target  # type: ignore[return-value]


def _raw_socket(family: int) -> socket.socket:
    protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
    try:
        return socket.socket(family, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    except OSError as error:
        raise EchoError(error.errno or errno.EPERM, "ICMP echo", "a raw socket needs root (CAP_NET_RAW)") from error
