# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which addresses can be virtual IPs of a host, as it is now; pure but for the reader of gateways that is passed in."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.addresses import no_host

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.addresses import Address
    from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.iproute2 import Interface

    Gateways = Callable[[str], Iterable[str]]

_LENGTH = {False: 32, True: 128}


class Kept(NamedTuple):
    """Whether the task keeps a record, and the addresses without prefix that stand in it."""

    by_task: bool = False
    addresses: Collection[str] = ()


def require_virtual(address: Address) -> None:
    """Raise ValueError for an address that no host can have for others to reach it."""
    parsed = ipaddress.ip_address(address.address)
    reason = "it is a loopback address" if parsed.is_loopback else no_host(parsed)
    if reason:
        raise ValueError(f"{address.address} cannot be a virtual IP: {reason}")


def require_narrow_on_loopback(wanted: Iterable[Address], have: Interface) -> None:
    """Raise ValueError for a prefix that would take a whole network away from the host.

    By a loopback device the kernel makes the prefix's route a local one for IPv4 (fib_add_ifaddr) and a reject one for
    IPv6 (ip6_route_info_create).
    """
    for address in wanted:
        if have.link_type == "loopback" and _gives_network(address):
            what = "unreachable" if address.is_ipv6 else "local to this host"
            raise ValueError(
                f"{address.address}/{address.prefixlen} on {have.name} would make its whole network {what}; "
                f"write {address.address}/{_LENGTH[address.is_ipv6]}, or set noprefixroute"
            )


def require_hosts(wanted: Iterable[Address], found: Mapping[str, Interface]) -> None:
    """Raise ValueError for the address of a network: that of its own prefix, or one that this host is in."""
    for address in wanted:
        networks = [("by its prefix", address)]
        networks += [
            (f"by {one.address}/{one.prefixlen} on {have.name}", one)
            for have in found.values()
            for one in have.addresses
            # A virtual IP that is there already, perhaps with another prefix, tells nothing of the network.
            if one.address != address.address
        ]
        for how, other in networks:
            role = _role(address, other)
            if role:
                raise ValueError(f"{address.address} cannot be a virtual IP: {how} it is {role}")


def _role(address: Address, member: Address) -> str:
    """What an address is in the network of ``member``, if it is no host's."""
    parsed, network = ipaddress.ip_address(address.address), _network(member)
    # In a network of two addresses both are hosts' (RFC 3021, RFC 6164).
    if network.prefixlen >= network.max_prefixlen - 1 or parsed not in network:
        return ""
    if parsed == network.network_address:
        return "the Subnet-Router anycast address (RFC 4291, 2.6.1)" if address.is_ipv6 else "the network's address"
    return "the broadcast address" if not address.is_ipv6 and parsed == network.broadcast_address else ""


def require_not_own(
    wanted: Collection[Address], interface: str, found: Mapping[str, Interface], kept: Kept, gateways: Gateways
) -> None:
    """Raise ValueError for an address that the task would take from the host.

    ``gateways`` gives the gateways of an interface's routes; what it raises comes through.
    """
    by_address = {address.address: address for address in wanted}
    virtual = {*kept.addresses, *by_address}
    for have in found.values():
        for address in have.addresses:
            want = by_address.get(address.address)
            if want is None or address.address in kept.addresses:
                continue
            stays = have.name == interface and want == address and not kept.by_task
            if not stays and _is_own(address, have.name, found, virtual, gateways):
                raise ValueError(
                    f"{address.address}/{address.prefixlen} on {have.name} is the host's own address, and this task "
                    "would replace it, add it to another interface or keep it in its record; list a virtual IP"
                )


def _is_own(
    address: Address, on: str, found: Mapping[str, Interface], virtual: Collection[str], gateways: Gateways
) -> bool:
    """Whether the host lives by an address of its interface ``on``.

    It does when the address is dynamic, or alone gives the host a network, or gives an interface that of a gateway.
    A virtual IP that was set by hand is often one more address of a network, which a host has anyway.
    """
    if address.dynamic:
        return True
    if not _gives_network(address) or _is_younger(address, found[on].addresses):
        return False
    network = _network(address)
    elsewhere = any(
        ipaddress.ip_address(other.address) in network and _gives_network(other) and other.address not in virtual
        for name, have in found.items()
        # Link-local networks of two interfaces are not the same.
        if name != on and not network.is_link_local
        for other in have.addresses
    )
    return not elsewhere or any(ipaddress.ip_address(gateway) in network for gateway in gateways(on))


def _is_younger(address: Address, addresses: list[Address]) -> bool:
    """Whether the interface had another address of the network before.

    The kernel marks such an IPv4 address as secondary; IPv6 addresses it lists newest first (ipv6_link_dev_addr).
    """
    if not address.is_ipv6:
        return address.secondary
    network = _network(address)
    older = addresses[addresses.index(address) + 1 :]
    return any(_gives_network(other) and ipaddress.ip_address(other.address) in network for other in older)


def _gives_network(address: Address) -> bool:
    """Whether the kernel has a route to its network because of the address."""
    return address.prefixlen < _LENGTH[address.is_ipv6] and not address.noprefixroute


def _network(address: Address) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_interface(f"{address.address}/{address.prefixlen}").network
