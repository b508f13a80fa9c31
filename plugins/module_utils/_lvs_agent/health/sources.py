# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source addresses of checks: never a virtual IP, which real servers of DR and TUN hold, and answer themselves.

The kernel takes a VIP where this host has nothing better: an IPv4 VIP that was added before the NIC's own address, one
on lo when the NIC has none, the only one of its network, an IPv6 one with ``preferred_lft``. An address that is asked
for (``bindto``) is taken whatever it is.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from ..kernel.errors import KernelError
from ..kernel.route import Overrun, RouteEvents, RouteSocket
from ..kernel.route_messages import AddressInfo
from .plan import Endpoint

_DISCARD_PORT = 9  # nothing is sent
_MARK = struct.Struct("=I")
# linux/rtnetlink.h: addresses of this scope and wider ones reach other hosts, RT_SCOPE_SITE
_SCOPE_SITE = 200
_LINK_LOCAL = b"\xfe\x80"
# of a burst of the kernel's events; the rest waits for the next turn of the loop
_MOST_EVENTS = 256
_NEVER = 1 << 63


class Source(NamedTuple):
    """A packed address, b"" to leave it to the kernel; ``ifindex`` is the scope of a link-local one."""

    address: bytes = b""
    ifindex: int = 0


KERNELS = Source()


def _addresses() -> list[AddressInfo]:
    with RouteSocket() as route:
        return route.addresses()


class Sources:
    """A source of the surrounding loop: what it found out is good until addresses, routes or rules change."""

    def __init__(
        self, events: RouteEvents | None = None, addresses: Callable[[], list[AddressInfo]] = _addresses
    ) -> None:
        """Without ``events`` nothing is kept, and each check asks the kernel."""
        self._events = events
        self._addresses = addresses
        self._vips: frozenset[bytes] = frozenset()
        self._services: frozenset[bytes] = frozenset()
        self._known: dict[tuple[bytes, int, int, bool], Source] = {}

    def configure(self, vips: Iterable[bytes], services: Iterable[str]) -> None:
        """VIPs of VRRP instances, packed; addresses of virtual servers, which others may have put on this host."""
        self._vips = frozenset(vips)
        self._services = frozenset(socket.inet_pton(_number(":" in text), text) for text in services if text)
        self._known.clear()

    def fileno(self) -> int:
        """Readable when something has changed; -1 without events."""
        return self._events.fileno() if self._events is not None else -1

    def deadline_ns(self) -> int:
        """None: it never has to be called."""
        return _NEVER

    def handle(self, _now_ns: int) -> None:
        """Forget everything when something has changed."""
        if self._events is None:
            return
        for _datagram in range(_MOST_EVENTS):
            try:
                if self._events.receive() is None:
                    return
            except Overrun:
                pass
            except OSError:
                return
            self._known.clear()

    def close(self) -> None:
        """No more events."""
        if self._events is not None:
            self._events.close()

    def of(self, endpoint: Endpoint) -> Source:
        """Where a check comes from. Raises OSError without a route to the real server behind a VIP."""
        if endpoint.source or not (endpoint.via or self._vips or self._services):
            return KERNELS
        # through a VIP, which this host may hold: as to the real server
        target, mark = (endpoint.via, 0) if endpoint.via else (endpoint.address, endpoint.fwmark)
        scope = socket.if_nametoindex(endpoint.interface) if endpoint.interface else 0
        always = bool(endpoint.via)
        key = (target, mark, scope, always)
        known = self._known.get(key)
        if known is None:
            known = self._found(target, endpoint.port or _DISCARD_PORT, mark, scope, always=always)
            if self._events is not None:
                self._known[key] = known
        return known

    def _found(self, target: bytes, port: int, mark: int, scope: int, *, always: bool) -> Source:
        try:
            kernels = _kernels_choice(target, port, mark, scope)
        except OSError:
            if always:
                raise
            # the check itself finds out what is wrong
            return KERNELS
        unchanged = Source(kernels) if always else KERNELS
        if kernels not in self._vips and kernels not in self._services:
            return unchanged
        try:
            here = self._addresses()
        except KernelError:
            return unchanged
        vips = self._vips | {one.address for one in here if one.address in self._services and _is_whole_host(one)}
        if kernels not in vips:
            return unchanged
        return choose(target, kernels, here, vips) or unchanged


def choose(target: bytes, kernels: bytes, here: Collection[AddressInfo], vips: Collection[bytes]) -> Source | None:
    """Instead of the VIP ``kernels``: this host's best address towards ``target``; None when it has only VIPs.

    One of the target's network, else of the VIP's interface, else the most alike; not a deprecated one if there is
    another. For IPv6 at last the link-local address of the VIP's interface.
    """
    interfaces = {one.ifindex for one in here if one.address == kernels}
    usable = [
        one
        for one in here
        if len(one.address) == len(target) and one.serves and one.address not in vips and not _is_loopback(one.address)
    ]

    def rank(one: AddressInfo) -> tuple[bool, bool, bool, int]:
        alike = _common_bits(one.address, target)
        return (
            alike >= one.prefixlen,
            one.ifindex in interfaces,
            not one.is_deprecated,
            alike,
        )

    far = [one for one in usable if one.scope <= _SCOPE_SITE and one.address[:2] != _LINK_LOCAL]
    if far:
        return Source(max(far, key=rank).address)
    near = [one for one in usable if one.address[:2] == _LINK_LOCAL and one.ifindex in interfaces]
    return Source(near[0].address, near[0].ifindex) if near and len(target) == 16 else None


def _kernels_choice(target: bytes, port: int, mark: int, scope: int) -> bytes:
    """This host's address for packets to another one. Raises OSError without a route."""
    family = _number(len(target) == 16)
    text = socket.inet_ntop(family, target)
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        if mark:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, _MARK.pack(mark))
        probe.connect((text, port) if family == socket.AF_INET else (text, port, 0, scope))
        return socket.inet_pton(family, probe.getsockname()[0].partition("%")[0])


def events() -> RouteEvents | None:
    """For Sources; None when the kernel gives none."""
    try:
        opened = RouteEvents()
        opened.watch_routes()
    except OSError:
        return None
    return opened


def _number(is_ipv6: bool) -> int:
    return socket.AF_INET6 if is_ipv6 else socket.AF_INET


def _is_whole_host(one: AddressInfo) -> bool:
    return one.prefixlen == 8 * len(one.address)


def _is_loopback(address: bytes) -> bool:
    return address[:1] == b"\x7f" if len(address) == 4 else address == bytes(15) + b"\1"


def _common_bits(one: bytes, other: bytes) -> int:
    """How many of the first bits are the same."""
    differ = int.from_bytes(one, "big") ^ int.from_bytes(other, "big")
    return 8 * len(one) - differ.bit_length()
