# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sockets to an :class:`.plan.Endpoint`, with all that is said about where from; and what their errors mean."""

from __future__ import annotations

import errno
import os
import socket
import struct
from functools import lru_cache
from typing import Union

from .plan import Endpoint
from .sources import Source

Address = Union[tuple[str, int], tuple[str, int, int, int]]

_MARK = struct.Struct("=I")
_RESET = struct.pack("ii", 1, 0)  # struct linger
_IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h, for IPv6 too
_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
# what happened, in words that somebody who looks after servers uses
_WORDS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection reset",
    errno.ECONNABORTED: "connection aborted",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network is unreachable",
    errno.ETIMEDOUT: "connection timed out",
    errno.EPERM: "not permitted here: by the packet filter, or without CAP_NET_RAW and CAP_NET_ADMIN",
    errno.EADDRINUSE: "the source port is in use",
    errno.EADDRNOTAVAIL: "the source address is not on this host, or its ports are used up",
}
# too many files, too little memory, too many in epoll (ENOSPC): that says nothing about the server
_OURS = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC))


def opened(endpoint: Endpoint, at: Source, kind: int = socket.SOCK_STREAM, protocol: int = 0) -> socket.socket:
    """A non-blocking socket, bound and marked as ``endpoint`` says, not connected. Raises OSError.

    ``at`` is where it comes from unless ``endpoint`` says.
    """
    made = socket.socket(_FAMILY[endpoint.family], kind | socket.SOCK_NONBLOCK, protocol)
    bound = bool(endpoint.source or endpoint.source_port or at.address)
    if not (endpoint.fwmark or bound):
        return made
    try:
        if endpoint.fwmark:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, _MARK.pack(endpoint.fwmark))
        if endpoint.via and kind == socket.SOCK_STREAM:
            # IPVS must forget the connection at once: the port may soon be that of another server's check
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        if bound:
            if kind == socket.SOCK_STREAM and not (endpoint.source_port or endpoint.via):
                # connect(2) chooses it: an address has ports for this many connections to each server, not to all
                made.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            if kind == socket.SOCK_STREAM or endpoint.source_port:
                # a connection of the run before may be in TIME-WAIT; several checks may send datagrams from one port
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(source(endpoint, at))
    except BaseException:
        made.close()
        raise
    return made


def target(endpoint: Endpoint) -> Address:
    """For connect(2). Raises OSError when the interface of a link-local address is not there."""
    return _address(endpoint.family, endpoint.address, endpoint.port, endpoint.interface)


def source(endpoint: Endpoint, at: Source) -> Address:
    """For bind(2); likewise."""
    if endpoint.source or not at.address:
        any_address = bytes(4 if endpoint.family == 4 else 16)
        own = endpoint.source or any_address
        return _address(endpoint.family, own, endpoint.source_port, endpoint.source_interface)
    if endpoint.family == 4:
        return text(at.address), endpoint.source_port
    return text(at.address), endpoint.source_port, 0, at.ifindex


def _address(family: int, packed: bytes, port: int, interface: str) -> Address:
    if family == 4:
        return text(packed), port
    # an interface may come back with another index
    return text(packed), port, 0, socket.if_nametoindex(interface) if interface else 0


@lru_cache(maxsize=16384)
def text(packed: bytes) -> str:
    """An address as people write it."""
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def is_ours(error: OSError) -> bool:
    """The error says that we ran out of something, not that the server is bad."""
    return error.errno in _OURS


def said(error: OSError) -> str:
    """An error in words."""
    # the interface of a link-local address that is not there has no number
    return words(error.errno) if error.errno else str(error)


def words(number: int) -> str:
    """The number of an error in words."""
    return _WORDS.get(number) or os.strerror(number).lower()
