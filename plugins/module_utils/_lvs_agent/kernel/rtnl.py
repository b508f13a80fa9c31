# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links, addresses and host routes over rtnetlink, by pyroute2 (0.7.2 of Debian 12 to 0.9).

pyroute2 is imported when an Rtnl is opened, not with this module: the import costs 0.3 s and 36 MB.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import TYPE_CHECKING, Any, NamedTuple

from . import sysctl
from .addresses import SCOPES, Address
from .errors import KernelError
from .interfaces import require_interface

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_IFF_UP = 0x1
# linux/if_addr.h
_IFA_F_NODAD = 0x02
_IFA_F_NOPREFIXROUTE = 0x200
_RT_TABLE_MAIN = 254
_RTPROT_UNSPEC, _RTPROT_STATIC = 0, 4
_RT_SCOPE_LINK, _RT_SCOPE_NOWHERE = 253, 255
# The kernel's default for IPv6 routes of others (IP6_RT_PRIO_USER); its own have 256.
_IPV6_METRIC = 1024
_SCOPE_NAMES = {number: name for name, number in SCOPES.items()}


class RtnlError(KernelError):
    """The kernel refused a change of a link, an address or a route."""


class Pyroute2Missing(KernelError):
    """The Python that runs this has no pyroute2."""


class Link(NamedTuple):
    """An interface; ``lladdr`` is its link-layer address in colon form, "" when it has none."""

    ifindex: int
    name: str
    up: bool
    lladdr: str


class Rtnl:
    """The links and addresses of the network namespace it is opened in; a context manager.

    Opening raises Pyroute2Missing. Methods take interface names and raise InterfaceNotFound or RtnlError.
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
        self._ipr = IPRoute()

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
        found = [
            Link(
                message["index"],
                message.get_attr("IFLA_IFNAME"),
                bool(message["flags"] & _IFF_UP),
                message.get_attr("IFLA_ADDRESS") or "",
            )
            for message in self._ipr.get_links()
        ]
        return sorted(found)

    def addresses(self, interface: str) -> list[Address]:
        """The interface's addresses, IPv4 then IPv6, each in the kernel's order."""
        index = require_interface(interface)
        return [
            _address_of(message)
            for family in (socket.AF_INET, socket.AF_INET6)
            for message in self._ipr.get_addr(family=family, index=index)
            # The kernel filters by index only for strict requests; pyroute2's versions differ in what they do.
            if message["index"] == index
        ]

    def add_address(self, interface: str, address: Address) -> None:
        """Add an address; an IPv6 one without duplicate address detection, so that it serves at once."""
        arguments: dict[str, Any] = {
            "index": require_interface(interface),
            "family": _family_of(address.address),
            "address": address.address,
            "prefixlen": address.prefixlen,
            "scope": SCOPES.get(address.scope, 0),
            "flags": (_IFA_F_NOPREFIXROUTE if address.noprefixroute else 0) | (_IFA_F_NODAD if address.is_ipv6 else 0),
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
        with contextlib.nullcontext() if address.is_ipv6 else _secondaries_stay(interface):
            self._change(subject, self._ipr.addr, "del", arguments, gone=(errno.EADDRNOTAVAIL,))

    def set_up(self, interface: str) -> None:
        """Bring the link up."""
        arguments = {"index": require_interface(interface), "state": "up"}
        self._change(f"bringing {interface} up", self._ipr.link, "set", arguments)

    def replace_host_route(self, interface: str, address: str) -> None:
        """See that the main table has a route to this one address by the interface."""
        subject = f"adding the host route to {address} by {interface}"
        route = _host_route(interface, address, _RTPROT_STATIC, _RT_SCOPE_LINK)
        self._change(subject, self._ipr.route, "replace", route)

    def delete_host_route(self, interface: str, address: str) -> None:
        """Delete that route, whoever set it; one that is gone already is no error."""
        subject = f"deleting the host route to {address} by {interface}"
        # These two match any protocol and any scope (fib_table_delete in the kernel).
        route = _host_route(interface, address, _RTPROT_UNSPEC, _RT_SCOPE_NOWHERE)
        self._change(subject, self._ipr.route, "del", route, gone=(errno.ESRCH,))

    def _change(
        self, subject: str, call: Any, verb: str, arguments: dict[str, Any], gone: tuple[int, ...] = ()
    ) -> None:
        try:
            call(verb, **arguments)
        except self._refused as error:
            if error.code in gone:
                return
            raise RtnlError(error.code, subject, _ADVICE.get(error.code, "the kernel refused it")) from error


_ADVICE = {
    errno.EPERM: "this needs root (CAP_NET_ADMIN)",
    errno.EEXIST: "it is there already; somebody else changes this interface at the same time",
    errno.EACCES: "IPv6 is disabled on the interface (net.ipv6.conf.INTERFACE.disable_ipv6)",
    errno.ENETDOWN: "the interface is down",
}


@contextlib.contextmanager
def _secondaries_stay(interface: str) -> Iterator[None]:
    """Keep the kernel from deleting an IPv4 network's other addresses with its first one (ip-sysctl.rst)."""
    own = sysctl.conf_key(interface, "promote_secondaries")
    if sysctl.read(own) != "0" or sysctl.read(sysctl.conf_key("all", "promote_secondaries")) != "0":
        yield
        return
    sysctl.write(own, "1")
    try:
        yield
    finally:
        sysctl.write(own, "0")


def _host_route(interface: str, address: str, proto: int, scope: int) -> dict[str, Any]:
    family = _family_of(address)
    route: dict[str, Any] = {
        "dst": address,
        "dst_len": 32 if family == socket.AF_INET else 128,
        "family": family,
        "oif": require_interface(interface),
        "table": _RT_TABLE_MAIN,
        "proto": proto,
    }
    route.update({"scope": scope} if family == socket.AF_INET else {"priority": _IPV6_METRIC})
    return route


def _family_of(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


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
    )
