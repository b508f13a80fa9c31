# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a director's firewall must let in from the other directors."""

from __future__ import annotations

import typing as t

from . import address, model, numbers
from .director import Director
from .host_needs import first_interface, said_source
from .problem import BadValue

VRRP = "112"
AUTHENTICATION_HEADER = "51"
SYNC_PORT = 8848  # default UDP port of the kernel's IPVS sync daemon
FOUND = "director_host_info"  # what the module host_info returned in the preflight
Rule = dict[str, t.Any]


def rules(host: str, directors: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[Rule]:
    """The accept rules of ``host``, in a stable order.

    A rule: ``ip_version`` ("ipv4" or "ipv6"), ``protocol`` ("112", "51" or "udp"), ``source``,
    ``comment``, for UDP ``destination_port``, and ``interface`` where the source is a link-local range.
    The addresses of the other directors' interfaces are in their variable :data:`FOUND`, where the preflight has
    looked at them. Raises BadValue for a director whose source address is neither said nor found.
    """
    found: list[Rule] = []
    own = Director.of(host, directors[host])
    for name, variables in directors.items():
        if str(name) != str(host):
            found += _from(Director.of(name, variables), variables.get(FOUND) or {})
    found += _link_local(own)
    unique: list[Rule] = []
    for rule in found:
        if rule not in unique:
            unique.append(rule)
    return unique


def _from(peer: Director, looked_at: t.Mapping[str, t.Any]) -> list[Rule]:
    sources = _sources(peer, looked_at.get("interfaces"))
    found: list[Rule] = []
    signed = _signs(peer)
    for at in sources:
        base = {"ip_version": f"ipv{at.version}", "source": str(at)}
        if at.version in _families(peer):
            found.append({**base, "protocol": VRRP, "comment": f"VRRP from {peer.name}"})
            if at.version == 4 and signed:
                comment = f"VRRP (AH) from {peer.name}"
                found.append({**base, "protocol": AUTHENTICATION_HEADER, "comment": comment})
        port = _sync_port(peer)
        if port is not None:
            comment = f"IPVS sync from {peer.name}"
            found.append({**base, "protocol": "udp", "destination_port": port, "comment": comment})
    return found


def _sources(peer: Director, interfaces: t.Mapping[str, t.Sequence[str]] | None) -> list[address.Address]:
    """Where a director's adverts and synced connections come from, IPv4 first; ``interfaces`` None: not looked at."""
    found = {at for version in (4, 6) for at in peer.sources(version)}
    own = address.try_parse(peer.own_address)
    if interfaces is None:
        # what is known of a director that is not in this run
        for instance in peer.configuration["vrrp_instance"]:
            if said_source(peer, instance) is not None or not _sends_ipv4(instance):
                continue
            if own is None or instance.get("interface") != first_interface(peer):
                what = f"{peer.name}: the address of its interface {instance.get('interface')} is not known"
                raise BadValue(what, "run the play on all directors, or write mcast_src_ip for it")
    else:
        said = (said_source(peer, one) for one in peer.configuration["vrrp_instance"])
        if "director_address" not in peer.variables and str(own) not in said:
            found.discard(t.cast("address.Address", own))  # where Ansible reaches it
        found |= _found_on(peer, interfaces)
    return sorted(found, key=lambda at: (at.version, int(at)))


def _found_on(peer: Director, interfaces: t.Mapping[str, t.Sequence[str]]) -> set[address.Address]:
    """The own addresses of the interfaces that a director sends from, where the site does not say them."""
    instances = peer.configuration["vrrp_instance"]
    vips = {at for one in instances for at in model.all_vips(one)}

    def here(interface: t.Any, version: int) -> set[address.Address]:
        return {at for at in _on(interfaces, interface, version) if not at.is_link_local} - vips

    found: set[address.Address] = set()
    for instance in instances:
        if said_source(peer, instance) is None:
            found |= here(instance.get("interface"), 4 if _sends_ipv4(instance) else 6)
    for interface, _instance in model.sync_daemon_interfaces(peer.configuration):
        found |= here(interface, 4) or here(interface, 6)
    return found


def _on(interfaces: t.Mapping[str, t.Sequence[str]], interface: t.Any, version: int) -> set[address.Address]:
    known = (address.try_parse(str(one).partition("/")[0]) for one in interfaces.get(str(interface), ()))
    return {at for at in known if at is not None and at.version == version}


def sources_of(
    director: Director, instance: t.Mapping[str, t.Any], interfaces: t.Mapping[str, t.Sequence[str]] | None
) -> set[address.Address]:
    """The addresses an instance's adverts may come from; none where the site says none and nobody has looked."""
    said = address.try_parse(said_source(director, instance))
    if said is not None:
        return {said}
    held = {at for one in director.configuration["vrrp_instance"] for at in model.all_vips(one)}
    return _on(interfaces or {}, instance.get("interface"), 4 if _sends_ipv4(instance) else 6) - held


def _sends_ipv4(instance: t.Mapping[str, t.Any]) -> bool:
    return not model.vips(instance) or any(at.version == 4 for at in model.vips(instance))


def _families(director: Director) -> set[int]:
    """IP versions of its adverts: none without an instance, IPv4 where no instance has a VIP."""
    instances = director.configuration["vrrp_instance"]
    return {at.version for one in instances for at in model.vips(one)} or ({4} if instances else set())


def _signs(director: Director) -> bool:
    return any(model.signs(one) for one in director.configuration["vrrp_instance"])


def _sync_port(director: Director) -> int | None:
    if not model.sync_daemon_interfaces(director.configuration):
        return None
    said = str(director.configuration["global_defs"].get("lvs_sync_daemon", "")).split()
    place = said.index("port") + 1 if "port" in said else len(said)
    found = numbers.whole(said[place]) if place < len(said) else None
    return SYNC_PORT if found is None else found


def _link_local(own: Director) -> list[Rule]:
    """IPv6 multicast adverts come from a link-local address nobody wrote down."""
    found: list[Rule] = []
    for instance in own.configuration["vrrp_instance"]:
        six = any(at.version == 6 for at in model.vips(instance))
        if (
            six
            and "mcast_src_ip" not in instance
            and not instance.get("unicast_peer")
            and instance.get("interface")
        ):
            comment = f"VRRP for {instance.get('name')}"
            rule = {"ip_version": "ipv6", "source": "fe80::/10", "protocol": VRRP, "comment": comment}
            found.append({**rule, "interface": str(instance["interface"])})
    return found
