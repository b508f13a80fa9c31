# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""This host's interfaces and addresses as the kernel told them last, and the changes that are made to them."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator

from ..kernel import route_messages as m
from ..kernel import sysctl
from ..kernel.errors import KernelError
from ..kernel.interfaces import require_interface
from ..kernel.route import Event, Overrun, RouteEvents, RouteSocket
from . import buildable
from .ah import hmac_md5
from .holdings import Held
from .ip import text
from .own_addresses import Key
from .plan import Vmac
from .settings import Need, Settings

# Of a burst of events; the rest waits for the next turn of the loop.
_MOST_DATAGRAMS = 256
_LINK_LOCAL = b"\xfe\x80"
_LINK_LOCAL_PREFIX = _LINK_LOCAL + bytes(6)
_LINK_LOCAL_LENGTH = 64
_LINK = 253  # RT_SCOPE_LINK
# in the queue of a virtual MAC interface that may send: the kernel's default for Ethernet
_PACKETS_THAT_WAIT = 1000
# Each interface answers ARP for what it has itself, and asks with such an address as the sender: anything else tells
# neighbours another virtual router's MAC, which moves with that one (ip-sysctl.rst, arp_ignore, arp_announce).
_ARP = {"arp_ignore": "1", "arp_announce": "2"}
_ON_VMAC = {"accept_local": "1", "rp_filter": "0", **_ARP}
# Its MAC is the same on all routers, and so would be the addresses that the kernel makes of it.
_ON_VMAC_IPV6 = {"addr_gen_mode": "1", "accept_ra": "0"}


class Host:
    """A view that follows the kernel's events. ``lost`` counts how often events were lost and all was read again.

    ``settings`` are those that something here needs to be other than they were. ``own`` are keys of the host's own
    addresses that are VIPs of the configuration, too: they are never removed. ``marks``: the kernel tells who added an
    address. Opening and ``resync`` raise
    NetlinkError. Changes never raise: what the kernel refused is returned in words.
    """

    def __init__(self, route: RouteSocket, events: RouteEvents) -> None:
        self._route = route
        self._events = events
        self.settings = Settings(lambda former: None)
        self.links: dict[int, m.LinkInfo] = {}
        self.index: dict[str, int] = {}
        self.addresses: dict[tuple[int, bytes, int], m.AddressInfo] = {}
        self.own: set[Key] = set()
        self._mute: dict[int, bool] = {}
        self.marks = False
        self.lost = 0
        self.resync()

    def fileno(self) -> int:
        """Readable when something has changed."""
        return self._events.fileno()

    def watch_routes(self) -> None:
        """Somebody has routes or rules: follow them, too."""
        self._events.watch_routes()

    def resync(self) -> None:
        """Read everything again."""
        self.links = {link.ifindex: link for link in self._route.links()}
        self.index = {link.name: link.ifindex for link in self.links.values()}
        self.addresses = {address.key: address for address in self._route.addresses()}
        self.own.intersection_update(self.addresses)
        # those of lo, and of an interface's IPv6, have one
        self.marks = self.marks or any(address.protocol for address in self.addresses.values())

    def events(self) -> tuple[list[Event], bool]:
        """What has changed, already part of the view; True when events were lost, so that anything may have."""
        found: list[Event] = []
        try:
            for _datagram in range(_MOST_DATAGRAMS):
                events = self._events.receive()
                if events is None:
                    break
                for event in events:
                    self._take(event)
                found += events
        except Overrun:
            self.lost += 1
            self.resync()
            return [], True
        return found, False

    def _take(self, event: Event) -> None:
        if event.link is not None:
            former = self.links.pop(event.link.ifindex, None)
            if former is not None:
                self.index.pop(former.name, None)
            if event.kind == m.RTM_NEWLINK:
                self.links[event.link.ifindex] = event.link
                self.index[event.link.name] = event.link.ifindex
            else:
                self._mute.pop(event.link.ifindex, None)
        elif event.address is not None:
            if event.kind == m.RTM_NEWADDR:
                self.addresses[event.address.key] = event.address
                self.marks = self.marks or bool(event.address.protocol)
            else:
                self.addresses.pop(event.address.key, None)
                self.own.discard(event.address.key)

    # ---- questions

    def link(self, name: str) -> m.LinkInfo | None:
        """An interface by its name."""
        return self.links.get(self.index.get(name, 0))

    def has(self, address: bytes, *links: str) -> bool:
        """Whether an address is on any interface, and serves; a link-local one on one of ``links``."""
        local = address[:2] == _LINK_LOCAL and len(address) == 16
        numbers = {self.index.get(name, 0) for name in links}
        return any(
            one.address == address and one.serves and (not local or one.ifindex in numbers)
            for one in self.addresses.values()
        )

    def first_address(self, name: str, family: int, besides: Collection[bytes], current: bytes = b"") -> bytes:
        """The address adverts come from by default: the first one that is no VIP, in IPv6 the link-local one.

        ``current`` is kept while it can be: the kernel's order changes when addresses come and go.
        """
        ifindex, size = self.index.get(name, 0), 4 if family == 4 else 16
        first = b""
        for one in self.addresses.values():
            if one.ifindex != ifindex or len(one.address) != size or one.address in besides or not one.serves:
                continue
            if size == 4 or one.address[:2] == _LINK_LOCAL:
                if one.address == current:
                    return current
                first = first or one.address
        return first

    # ---- changes

    def hold(self, held: Held) -> tuple[list[m.AddressInfo], list[str]]:
        """See that all of it is there: which addresses were not, and what the kernel refused."""
        added: list[m.AddressInfo] = []
        problems = [f"there is no interface {name}" for name in held.absent]
        for address in held.addresses:
            with _told(problems):
                if self._route.add_address(address):
                    added.append(address)
                    self.addresses[address.key] = address
                elif self._is_outdated(address):
                    self._route.change_address(address)
        for route in held.routes:
            with _told(problems):
                self._route.add_route(route)
        for rule in held.rules:
            with _told(problems):
                self._route.add_rule(rule)
        return added, problems

    def _is_outdated(self, address: m.AddressInfo) -> bool:
        """An IPv6 address is there that may be a source and must not, or the other way round: of another plan."""
        there = self.addresses.get(address.key)
        deprecated = address.preferred_lft == 0
        return len(address.address) == 16 and there is not None and there.is_deprecated != deprecated

    def release(self, held: Held, *, certain: bool) -> tuple[list[m.AddressInfo], list[str]]:
        """See that none of it is there, last things first: which addresses were, and what the kernel refused.

        ``certain``: it was held by us. Otherwise only addresses that are seen are deleted, and routes and rules tried.
        """
        removed: list[m.AddressInfo] = []
        problems: list[str] = []
        for rule in reversed(held.rules):
            with _told(problems):
                self._route.delete_rule(rule)
        for route in reversed(held.routes):
            with _told(problems):
                self._route.delete_route(route)
        going = [one for one in held.addresses if certain or one.key in self.addresses]
        going = [one for one in going if one.key not in self.own]
        with self._others_stay(going, problems):
            for address in reversed(going):
                with _told(problems):
                    if self._route.delete_address(address):
                        removed.append(address)
                    self.addresses.pop(address.key, None)
        return removed, problems

    def clear(self, addresses: Collection[tuple[int, bytes, int]]) -> tuple[list[m.AddressInfo], list[str]]:
        """See that none of these addresses is there, all at once: those that were, and what the kernel refused."""
        keys = set(addresses) - self.own
        # the kernel's order: others of their networks first, so that it need not make one of them the first one
        going = [one for one in reversed(self.addresses.values()) if one.key in keys]
        problems: list[str] = []
        with self._others_stay(going, problems), _told(problems):
            for refused, why in self._route.delete_addresses(going):
                problems.append(why)
                going.remove(refused)
        for one in going:
            self.addresses.pop(one.key, None)
        return going, problems

    def make_vmac(self, vmac: Vmac) -> list[str]:
        """See that the virtual MAC interface is there and up; what was refused, in words.

        Once in this process's life: who sets it down later has a reason.
        """
        problems: list[str] = []
        base = self.link(vmac.base)
        made = vmac.name in self.index
        if base is None or (made and self.settings.has(vmac.name)):
            return problems
        on_base = [Need(sysctl.conf_key(base.name, name), value, True) for name, value in _ARP.items()]
        problems += self.need(vmac.name, on_base)
        if not made:
            with _told(problems):
                self._route.add_macvlan(vmac.name, base.ifindex, vmac.mac)
        for name, value in _ON_VMAC_IPV6.items():
            # there may be no IPv6
            with contextlib.suppress(KernelError):
                sysctl.write(sysctl.conf_key(vmac.name, name, "ipv6"), value)
        for name, value in _ON_VMAC.items():
            with _told(problems):
                sysctl.write(sysctl.conf_key(vmac.name, name), value)
        with _told(problems):
            ifindex = require_interface(vmac.name)
            if not made:
                problems += self.set_mute(ifindex, True)
            self._route.set_up(ifindex)
            # its instance is not at fault until the kernel's event is read
            self.links[ifindex] = self._route.link(ifindex)
            self.index[vmac.name] = ifindex
        return problems

    def set_mute(self, ifindex: int, mute: bool) -> list[str]:
        """Let a virtual MAC interface send, or not; it receives as before. What was refused, in words.

        The kernel's IGMP and MLD reports come from the virtual MAC, at once and as answers to a querier, and any packet
        of a backup has switches send to it what is for the master, until that one's next advert.
        """
        problems: list[str] = []
        if self._mute.get(ifindex) is not mute:
            self._mute[ifindex] = mute
            with _told(problems):
                self._route.limit_queue(ifindex, 0 if mute else _PACKETS_THAT_WAIT)
        return problems

    def delete_vmac(self, vmac: Vmac) -> list[str]:
        """See that it is not there, and the base interface as it was before."""
        return self.delete_interface(vmac.name) + self.settings.done(vmac.name)

    def delete_interface(self, name: str) -> list[str]:
        """See that a virtual interface is not there."""
        problems: list[str] = []
        with _told(problems):
            if name in self.index:
                self._route.delete_link(self.index[name])
        return problems

    def give_link_local(self, vmac: Vmac, source: bytes) -> list[str]:
        """See that a virtual MAC interface has a link-local address, as neighbour discovery and MLD need.

        One of its own, made of the base interface's ``source`` and its name: with the base's it would answer for that
        one, and tell the virtual MAC, which moves. A source that the file has and the base has not is given to it.
        """
        problems: list[str] = []
        ifindex = self.index[vmac.name]
        given = source[:2] == _LINK_LOCAL and not self.has(source, vmac.base)
        address = source if given else _LINK_LOCAL_PREFIX + hmac_md5(source, vmac.name.encode())[:8]
        place = (ifindex, address, _LINK_LOCAL_LENGTH)
        one = m.AddressInfo(*place, scope=_LINK, flags=m.IFA_F_NODAD, protocol=m.RTPROT_KEEPALIVED)
        if one.key not in self.addresses:
            with _told(problems):
                self._route.add_address(one)
                self.addresses[one.key] = one
        former = m.AddressInfo(ifindex, source, _LINK_LOCAL_LENGTH)
        if not given and former.key in self.addresses:
            # of an lvs-agent that is older than this
            with _told(problems):
                self._route.delete_address(former)
                del self.addresses[former.key]
        return problems

    def need(self, owner: str, needs: Collection[Need]) -> list[str]:
        """See that settings are so as long as the owner is not done with them; what was refused, in words."""
        problems: list[str] = []
        for one in needs:
            with _told(problems):
                self.settings.need(owner, one)
        return problems

    @contextlib.contextmanager
    def _others_stay(self, going: list[m.AddressInfo], problems: list[str]) -> Iterator[None]:
        """Others' addresses of the same networks stay: the kernel deletes them with a network's first address."""
        keys = {address.key for address in going}
        networks = {(address.ifindex, _network(address)) for address in going if len(address.address) == 4}
        secondaries = [one for one in self.addresses.values() if one.flags & m.IFA_F_SECONDARY and one.key not in keys]
        interfaces = {one.ifindex for one in secondaries if (one.ifindex, _network(one)) in networks}
        with contextlib.ExitStack() as stack:
            for ifindex in interfaces:
                with _told(problems):
                    stack.enter_context(sysctl.secondaries_stay(self.links[ifindex].name))
            yield


def _network(address: m.AddressInfo) -> tuple[int, int]:
    """(prefix length, network) of an IPv4 address."""
    return address.prefixlen, int.from_bytes(address.address, "big") >> (32 - address.prefixlen)


@contextlib.contextmanager
def _told(problems: list[str]) -> Iterator[None]:
    """What the kernel refuses, or no message to it can express, is a problem; the rest is done."""
    try:
        yield
    except KernelError as error:
        problems.append(str(error))
    except buildable.ERRORS as error:
        problems.append(f"not sent to the kernel: {error}")


def shown(address: m.AddressInfo) -> str:
    """An address with its prefix length, for people."""
    return f"{text(address.address)}/{address.prefixlen}"
