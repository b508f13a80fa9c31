# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links, addresses, routes and rules for the daemon: asked for, changed, and watched, on our own netlink codec.

The modules and the tests use pyroute2 (rtnl.py). The daemon does not: its import costs 0.3 s and 36 MB (measured),
which is a third of a second more until a restarted VRRP process sends again, and nearly the whole of the memory the
daemon may have.

Changes are idempotent: what is there already, or gone already, is no error.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import TYPE_CHECKING, NamedTuple

from . import route_messages as m
from .netlink import (
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    MalformedMessage,
    NetlinkError,
    NetlinkSocket,
    parse_messages,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

_NETLINK_ROUTE = 0
_SO_RCVBUFFORCE = 33
_EVENT_BUFFER_BYTES = 4 << 20
_READ_SIZE = 65536
# RTMGRP_LINK, IPV4_IFADDR, IPV6_IFADDR
_GROUPS = 0x1 | 0x10 | 0x100
# RTNLGRP_IPV4_ROUTE, IPV4_RULE, IPV6_ROUTE, IPV6_RULE
_ROUTE_GROUPS = (7, 8, 11, 19)
_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP = 270, 1
_ADDED = (errno.EEXIST,)
_DELETED = (errno.EADDRNOTAVAIL, errno.ENODEV, errno.ESRCH, errno.ENOENT, errno.ENXIO)


class RouteSocket:
    """Questions and orders to the kernel of this network namespace; a context manager.

    Methods raise NetlinkError. Those that change return whether something was there to be changed.
    """

    def __init__(self) -> None:
        self._netlink = NetlinkSocket(_NETLINK_ROUTE)

    def __enter__(self) -> RouteSocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._netlink.close()

    def links(self) -> list[m.LinkInfo]:
        """All interfaces."""
        return self._netlink.dump(m.RTM_GETLINK, m.pack_link_request(), "interfaces", m.parse_link)

    def link(self, ifindex: int) -> m.LinkInfo:
        """One interface."""
        (found,) = self._netlink.request(m.RTM_GETLINK, m.pack_link_request(ifindex), "an interface", m.parse_link)
        return found

    def addresses(self) -> list[m.AddressInfo]:
        """All addresses of all interfaces, IPv4 and IPv6."""
        return self._netlink.dump(m.RTM_GETADDR, m.pack_address_request(), "addresses", m.parse_address)

    def add_address(self, address: m.AddressInfo) -> bool:
        """Add it."""
        return self._change(m.RTM_NEWADDR, m.pack_address(address), _text("adding", address), _ADDED, _MAKE)

    def change_address(self, address: m.AddressInfo) -> bool:
        """Give one that is there other flags and another lifetime."""
        return self._change(m.RTM_NEWADDR, m.pack_address(address), _text("changing", address), _DELETED, NLM_F_REPLACE)

    def delete_address(self, address: m.AddressInfo) -> bool:
        """Delete it and no other."""
        return self._change(m.RTM_DELADDR, m.pack_address(address), _text("deleting", address), _DELETED)

    def delete_addresses(self, addresses: Sequence[m.AddressInfo]) -> list[tuple[m.AddressInfo, str]]:
        """Delete them all, many in one message; those that the kernel refused to delete, and why."""
        refused: list[tuple[m.AddressInfo, str]] = []
        left = list(addresses)
        while left:
            answers = self._netlink.batch(m.RTM_DELADDR, [m.pack_address(one) for one in left], "deleting addresses")
            for answer in answers:
                if answer.errno not in _DELETED:
                    one = left[answer.position]
                    why = answer.explanation or os.strerror(answer.errno)
                    refused.append((one, f"{_text('deleting', one)}: {why}"))
            # a refusal ends a batch after its own message: what has gone already is gone when it is tried again
            left = left[answers[-1].position + 1 :] if answers else []
        return refused

    def add_route(self, route: m.RouteInfo) -> bool:
        """Add it, in front of others with the same destination, table, metric and TOS unless it says otherwise."""
        flags = NLM_F_CREATE | (NLM_F_APPEND if route.append else NLM_F_EXCL if route.add else 0)
        return self._change(m.RTM_NEWROUTE, m.pack_route(route), "adding a route", _ADDED, flags)

    def delete_route(self, route: m.RouteInfo) -> bool:
        """Delete it."""
        return self._change(m.RTM_DELROUTE, m.pack_route(route), "deleting a route", _DELETED)

    def add_rule(self, rule: m.RuleInfo) -> bool:
        """Add it."""
        return self._change(m.RTM_NEWRULE, m.pack_rule(rule), "adding a rule", _ADDED, _MAKE)

    def delete_rule(self, rule: m.RuleInfo) -> bool:
        """Delete it."""
        return self._change(m.RTM_DELRULE, m.pack_rule(rule), "deleting a rule", _DELETED)

    def add_macvlan(self, name: str, base: int, mac: bytes) -> bool:
        """Make a macvlan on the interface with the index ``base``; it is down."""
        return self._change(m.RTM_NEWLINK, m.pack_macvlan(name, base, mac), f"making {name}", _ADDED, _MAKE)

    def set_up(self, ifindex: int) -> bool:
        """Bring an interface up."""
        return self._change(m.RTM_NEWLINK, m.pack_link_flags(ifindex, m.IFF_UP, m.IFF_UP), "bringing up", ())

    def limit_queue(self, ifindex: int, packets: int) -> bool:
        """Let this many packets wait in an interface's queue; with 0 it sends nothing, and goes on receiving."""
        flags = NLM_F_CREATE | NLM_F_REPLACE
        return self._change(m.RTM_NEWQDISC, m.pack_packet_limit(ifindex, packets), "limiting a queue", (), flags)

    def delete_link(self, ifindex: int) -> bool:
        """Delete a virtual interface."""
        return self._change(m.RTM_DELLINK, m.pack_link_flags(ifindex, 0, 0), "deleting an interface", _DELETED)

    def _change(self, kind: int, payload: bytes, subject: str, done: tuple[int, ...], flags: int = 0) -> bool:
        try:
            self._netlink.request(kind, payload, subject, bytes, flags)
        except NetlinkError as error:
            if error.errno in done:
                return False
            raise
        return True


_MAKE = NLM_F_CREATE | NLM_F_EXCL


def _text(doing: str, address: m.AddressInfo) -> str:
    shown = socket.inet_ntop(m.family_number(address.address), address.address)
    return f"{doing} {shown}/{address.prefixlen}"


class Overrun(Exception):
    """Events were lost: everything must be read again."""


class Event(NamedTuple):
    """One change: the message's type, RTM_*, and the link or address it is about, None for routes and rules.

    ``protocol`` says who made the route.
    """

    kind: int
    link: m.LinkInfo | None = None
    address: m.AddressInfo | None = None
    protocol: int = 0


class RouteEvents:
    """What changes in this network namespace, from the moment it is opened; never waits.

    Links and addresses, and after ``watch_routes`` routes and rules: each address comes with six events of routes.
    """

    def __init__(self) -> None:
        self._sock = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, _NETLINK_ROUTE
        )
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _EVENT_BUFFER_BYTES)
        with contextlib.suppress(PermissionError):
            self._sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _EVENT_BUFFER_BYTES)
        self._sock.bind((0, _GROUPS))

    def fileno(self) -> int:
        """For a selector."""
        return self._sock.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def watch_routes(self) -> None:
        """From now on tell of routes and rules, too."""
        for group in _ROUTE_GROUPS:
            self._sock.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)

    def receive(self) -> list[Event] | None:
        """The events of one datagram, None when there is none. Raises Overrun."""
        try:
            data, _ancillary, flags, sender = self._sock.recvmsg(_READ_SIZE)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                raise Overrun from error
            raise
        if sender[0] != 0:
            return []
        if flags & socket.MSG_TRUNC:
            raise Overrun
        try:
            return [event for message in parse_messages(data) if (event := _event(message.type, message.payload))]
        except MalformedMessage as error:
            raise Overrun from error


def _event(kind: int, payload: bytes) -> Event | None:
    if kind in (m.RTM_NEWLINK, m.RTM_DELLINK):
        # a bridge tells of its ports in messages of its own family, and those end with RTM_DELLINK
        return Event(kind, link=m.parse_link(payload)) if payload[:1] == b"\0" else None
    if kind in (m.RTM_NEWADDR, m.RTM_DELADDR):
        return Event(kind, address=m.parse_address(payload))
    if kind == m.RTM_DELROUTE:
        return Event(kind, protocol=m.route_protocol(payload))
    return Event(kind) if kind == m.RTM_DELRULE else None
