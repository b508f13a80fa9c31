# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back of checks through the VIP, on a director that holds the VIP itself.

The real server answers from the VIP, and the kernel takes a packet that comes from outside with one of its own
addresses as source for a forgery, unless net.ipv4.conf.INTERFACE.accept_local is set (ip-sysctl.rst). It is set on the
interfaces towards such real servers, while there are such checks, and put back after that. IPv6 has no such rule.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Collection, Iterable

from ..kernel import sysctl
from ..kernel.errors import KernelError
from ..kernel.route import RouteSocket

_NAME = "accept_local"
_DISCARD_PORT = 9  # nothing is sent
_STRICT = 1


class ReplyPath:
    """``borrowed`` are the interfaces whose setting is ours, from before a restart too; ``keep`` is told them first."""

    def __init__(self, borrowed: Iterable[str], keep: Callable[[Collection[str]], None]) -> None:
        self.borrowed = set(borrowed)
        self._keep = keep

    def follow(self, vias: Iterable[bytes], vips: Collection[bytes]) -> list[str]:
        """Set what checks of these real servers need, and nothing else of ours; what is wrong, in words.

        ``vips`` are the packed addresses that are checked through. What cannot be kept is set all the same: without it
        every check through a VIP fails.
        """
        problems: list[str] = []
        wanted: set[str] = set()
        sources = {source for source in map(source_towards, {via for via in vias if len(via) == 4}) if source}
        if sources:
            try:
                wanted, problems = _interfaces(sources, vips)
            except KernelError as error:
                return [f"checks through the VIP: {error}"]
        needed = {name for name in wanted if name in self.borrowed or not _accepts(name)}
        if needed - self.borrowed:
            problems += self._kept(needed | self.borrowed)
        for name in sorted(needed):
            problems += _write(name, "1")
        left = self.borrowed - needed
        for name in left:
            _write(name, "0")  # an interface that is gone has no setting
        if needed != self.borrowed:
            self.borrowed = needed
            problems += self._kept(needed)
        return list(dict.fromkeys(problems))

    def _kept(self, names: Collection[str]) -> list[str]:
        try:
            self._keep(names)
        except OSError as error:
            return [f"the interfaces with {_NAME} cannot be kept: {error}; after a crash it may be left set"]
        return []


def source_towards(address: bytes) -> bytes:
    """This host's own address for packets to another one, b"" without a route. Raises no error."""
    family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((socket.inet_ntop(family, address), _DISCARD_PORT))
            return socket.inet_pton(family, probe.getsockname()[0])
    except OSError:
        return b""


def _interfaces(sources: Collection[bytes], vips: Collection[bytes]) -> tuple[set[str], list[str]]:
    """Those that have the source addresses, and where a VIP on another one makes answers look forged."""
    with RouteSocket() as route:
        addresses = route.addresses()
    towards = {one.ifindex for one in addresses if one.address in sources}
    names = {number: name for number, name in socket.if_nameindex() if number in towards}
    problems = [
        f"checks through the VIP {socket.inet_ntop(socket.AF_INET, one.address)} get no answer: rp_filter of"
        f" {names[number]} is 1 and the VIP is on another interface; set it to 2"
        for number in sorted(names)
        for one in addresses
        if one.address in vips and len(one.address) == 4 and one.ifindex not in towards and _is_strict(names[number])
    ]
    return set(names.values()), problems


def _value(interface: str, name: str) -> int:
    both = [int(sysctl.read(sysctl.conf_key(one, name))) for one in ("all", interface)]
    return sysctl.effective(name, both[0], both[1])


def _accepts(interface: str) -> bool:
    return bool(_value(interface, _NAME))


def _is_strict(interface: str) -> bool:
    return _value(interface, "rp_filter") == _STRICT


def _write(interface: str, value: str) -> list[str]:
    key = sysctl.conf_key(interface, _NAME)
    try:
        if sysctl.read(key) != value:
            sysctl.write(key, value)
    except sysctl.SysctlError as error:
        if error.errno == errno.ENOENT:
            return []
        return [f"checks through the VIP get no answer while it is here: {error}"]
    return []
