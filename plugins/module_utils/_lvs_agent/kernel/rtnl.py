# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links, addresses, routes and neighbours over rtnetlink, by pyroute2 (0.7.2 of Debian 12 to 0.9).

pyroute2 is imported when an Rtnl is opened, not with this module: the import costs 0.3 s and 36 MB.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import TYPE_CHECKING, Any

from . import sysctl
from .addresses import SCOPES, Address, state_of
from .errors import InterfaceNotFound, KernelError
from .interfaces import interface_names, require_interface
from .rtnl_types import NEIGHBOUR_STATES, TABLE_MAIN, Link, Neighbour, Route

if TYPE_CHECKING:
    from types import TracebackType

_IFF_UP, _IFF_NOARP, _IFF_LOWER_UP = 0x1, 0x80, 0x10000
_ARPHRD_ETHER = 1
# linux/if_addr.h
_IFA_F_NODAD = 0x02
_IFA_F_NOPREFIXROUTE = 0x200
# linux/rtnetlink.h
_RTPROT_UNSPEC = 0
_RTN_UNICAST = 1
_RT_SCOPE_NOWHERE = 255
_SCOPE_NAMES = {number: name for name, number in SCOPES.items()}


class RtnlError(KernelError):
    """The kernel refused to tell or to change a link, an address, a route or a neighbour."""


class Pyroute2Missing(KernelError):
    """The Python that runs this has no pyroute2."""


class Rtnl:
    """The network namespace it is opened in; a context manager.

    Opening raises Pyroute2Missing, RtnlError. Methods take interface names and raise InterfaceNotFound, RtnlError.
    """

    def __init__(self) -> None:
        try:
            from pyroute2 import IPRoute
            from pyroute2.netlink.exceptions import NetlinkError
        except ImportError as error:
            raise Pyroute2Missing(
                0, "pyroute2", "this Python cannot import it: install the package python3-pyroute2"
            ) from error
        self._refused = NetlinkError
        try:
            self._ipr = IPRoute()
        except OSError as error:
            raise RtnlError(error.errno or 0, "rtnetlink", "no socket could be opened") from error

    def __enter__(self) -> Rtnl:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._ipr.close()

    def links(self) -> list[Link]:
        """All interfaces, in index order."""
        return sorted(_link_of(message) for message in self._read("links", self._ipr.get_links))

    def addresses(self, interface: str) -> list[Address]:
        """The interface's addresses, IPv4 then IPv6, each in the kernel's order."""
        index = require_interface(interface)
        return [
            _address_of(message)
            for family in (socket.AF_INET, socket.AF_INET6)
            for message in self._read(f"addresses of {interface}", self._ipr.get_addr, family=family, index=index)
            # The kernel filters by index only for strict requests; pyroute2's versions differ in what they do.
            if message["index"] == index
        ]

    def routes(self, interface: str, table: int = TABLE_MAIN) -> list[Route]:
        """The interface's unicast routes in one table, IPv4 then IPv6; not the parts of multipath routes."""
        index = require_interface(interface)
        return [
            _route_of(message, interface)
            for family in (socket.AF_INET, socket.AF_INET6)
            for message in self._read(f"routes of {interface}", self._ipr.get_routes, family=family, table=table)
            if message.get_attr("RTA_OIF") == index
            and message.get_attr("RTA_TABLE") == table
            and message["type"] == _RTN_UNICAST
        ]

    def neighbours(self, interface: str) -> list[Neighbour]:
        """What the kernel knows of the interface's neighbours, IPv4 then IPv6, as ``ip neighbour`` lists them."""
        index = require_interface(interface)
        return [
            Neighbour(
                message.get_attr("NDA_DST"),
                interface,
                message.get_attr("NDA_LLADDR") or "",
                NEIGHBOUR_STATES.get(message["state"], str(message["state"])),
            )
            for family in (socket.AF_INET, socket.AF_INET6)
            for message in self._read(f"neighbours of {interface}", self._ipr.get_neighbours, family=family)
            if message["ifindex"] == index and NEIGHBOUR_STATES.get(message["state"]) not in ("NONE", "NOARP")
        ]

    def add_address(self, interface: str, address: Address, *, nodad: bool = True) -> None:
        """Add an address; an IPv6 one without duplicate address detection unless told, so that it serves at once."""
        arguments: dict[str, Any] = {
            "index": require_interface(interface),
            "family": _family_of(address.address),
            "address": address.address,
            "prefixlen": address.prefixlen,
            "scope": SCOPES.get(address.scope, 0),
            "flags": (_IFA_F_NOPREFIXROUTE if address.noprefixroute else 0)
            | (_IFA_F_NODAD if address.is_ipv6 and nodad else 0),
        }
        if address.label:
            arguments["label"] = address.label
        self._change(f"adding {address} to {interface}", self._ipr.addr, "add", arguments)

    def delete_address(self, interface: str, address: Address) -> None:
        """Delete this address and no other; one that is gone already is no error."""
        arguments = {
            "index": require_interface(interface),
            "family": _family_of(address.address),
            "address": address.address,
            "prefixlen": address.prefixlen,
        }
        subject = f"deleting {address} from {interface}"
        with contextlib.nullcontext() if address.is_ipv6 else sysctl.secondaries_stay(interface):
            self._change(subject, self._ipr.addr, "del", arguments, gone=(errno.EADDRNOTAVAIL,))

    def set_up(self, interface: str) -> None:
        """Bring the link up."""
        arguments = {"index": require_interface(interface), "state": "up"}
        self._change(f"bringing {interface} up", self._ipr.link, "set", arguments)

    def replace_route(self, route: Route) -> None:
        """See that there is this route, in place of one to the same destination with the same metric."""
        arguments = _route_request(route)
        arguments["proto"] = route.protocol
        if not route.is_ipv6:
            arguments["scope"] = SCOPES.get(route.scope, 0)
        if route.prefsrc:
            arguments["prefsrc"] = route.prefsrc
        self._change(f"setting the route {route}", self._ipr.route, "replace", arguments)

    def delete_route(self, route: Route) -> None:
        """Delete that route, whoever set it; one that is gone already is no error."""
        # These two match any protocol and any scope (fib_table_delete in the kernel).
        arguments = {**_route_request(route), "proto": _RTPROT_UNSPEC}
        if not route.is_ipv6:
            arguments["scope"] = _RT_SCOPE_NOWHERE
        self._change(f"deleting the route {route}", self._ipr.route, "del", arguments, gone=(errno.ESRCH,))

    def _read(self, subject: str, call: Any, **arguments: Any) -> list[Any]:
        try:
            return list(call(**arguments))
        except self._refused as error:
            raise RtnlError(error.code, f"reading the {subject}", _advice(error.code)) from error
        except OSError as error:
            raise RtnlError(error.errno or 0, f"reading the {subject}", _advice(error.errno or 0)) from error

    def _change(
        self, subject: str, call: Any, verb: str, arguments: dict[str, Any], gone: tuple[int, ...] = ()
    ) -> None:
        try:
            call(verb, **arguments)
        except self._refused as error:
            if error.code in gone:
                return
            if error.code == errno.ENODEV:
                raise _interface_gone(error.code, subject) from error
            raise RtnlError(error.code, subject, _advice(error.code)) from error


# What the reader can do about the errors that rtnetlink's handlers return (net/ipv4/devinet.c, net/ipv6/addrconf.c,
# fib_semantics.c, neighbour.c).
_ADVICE = {
    errno.EPERM: "this needs root (CAP_NET_ADMIN)",
    errno.EEXIST: "it is there already; somebody else changes this interface at the same time",
    errno.EACCES: "IPv6 is disabled on the interface (net.ipv6.conf.INTERFACE.disable_ipv6)",
    errno.EADDRNOTAVAIL: "no interface has that address, or an IPv6 address may not have that prefix length",
    errno.EINVAL: "the kernel does not accept this combination; a gateway must be in an interface's own network",
    errno.ENETDOWN: "the interface is down",
    errno.ENETUNREACH: "the gateway is in no interface's own network",
    errno.ENOBUFS: "the kernel has no room for it (net.ipv4.route.max_size, net.ipv6.route.max_size, memory)",
    errno.EOPNOTSUPP: "the kernel, or this interface, cannot do that",
}


def _advice(number: int) -> str:
    return _ADVICE.get(number, "the kernel refused it")


def _interface_gone(number: int, subject: str) -> InterfaceNotFound:
    """The error for an interface that was removed, or renamed, between looking and changing."""
    names = ", ".join(interface_names())
    return InterfaceNotFound(number, subject, f"the interface has just been removed; now there are only {names}")


def _route_request(route: Route) -> dict[str, Any]:
    """What identifies a route in a request."""
    dst, prefixlen = route.dst.split("/")
    request: dict[str, Any] = {
        "dst": dst,
        "dst_len": int(prefixlen),
        "family": _family_of(dst),
        "oif": require_interface(route.interface),
        "table": route.table,
    }
    if route.gateway:
        request["gateway"] = route.gateway
    if route.metric:
        request["priority"] = route.metric
    return request


def _family_of(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _link_of(message: Any) -> Link:
    flags = message["flags"]
    return Link(
        message["index"],
        message.get_attr("IFLA_IFNAME"),
        bool(flags & _IFF_UP),
        bool(flags & _IFF_LOWER_UP),
        message.get_attr("IFLA_MTU") or 0,
        message.get_attr("IFLA_ADDRESS") or "",
        message["ifi_type"] == _ARPHRD_ETHER and not flags & _IFF_NOARP,
    )


def _address_of(message: Any) -> Address:
    flags = message.get_attr("IFA_FLAGS")
    if flags is None:
        flags = message["flags"]
    scope = message["scope"]
    return Address(
        # IFA_ADDRESS is the peer's on a point-to-point link; IPv6 sends IFA_LOCAL only there.
        message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS"),
        message["prefixlen"],
        message.get_attr("IFA_LABEL") or "",
        _SCOPE_NAMES.get(scope, str(scope)),
        bool(flags & _IFA_F_NOPREFIXROUTE),
        state_of(flags),
    )


def _route_of(message: Any, interface: str) -> Route:
    any_address = "::" if message["family"] == socket.AF_INET6 else "0.0.0.0"
    scope = message["scope"]
    return Route(
        f"{message.get_attr('RTA_DST') or any_address}/{message['dst_len']}",
        interface,
        message.get_attr("RTA_GATEWAY") or "",
        message.get_attr("RTA_PREFSRC") or "",
        message.get_attr("RTA_PRIORITY") or 0,
        _SCOPE_NAMES.get(scope, str(scope)),
        message["proto"],
        message.get_attr("RTA_TABLE"),
    )
