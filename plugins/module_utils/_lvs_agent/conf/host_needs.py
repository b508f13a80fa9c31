# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a director's own host must have for its configuration to work: the preflight's questions."""

from __future__ import annotations

import typing as t

from . import address, model
from .director import Director
from .merge import items
from .needs import ipvs_modules


def host_needs(host: str, directors: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, list[t.Any]]:
    """The options of the module ``host_info`` for ``host``, one of ``directors``.

    ``interfaces``: names of those it speaks VRRP on, tracks, puts VIPs on and syncs connections by;
    ``addresses``: {interface, address} that the site says its adverts come from;
    ``ipv4_interfaces``: names of those whose own address is found on the host, because the site says none;
    ``virtual_ips``: {interface, address} that are to be nobody's own;
    ``peers``: the other directors' addresses; ``kernel_modules``: names.
    """
    own = Director.of(host, directors[host])
    others = [Director.of(name, variables) for name, variables in directors.items() if name != host]
    interfaces: list[str] = []
    sources: list[dict[str, str]] = []
    unnamed: list[str] = []
    vips: list[dict[str, str]] = []
    for instance in own.configuration["vrrp_instance"]:
        if instance.get("interface") is None:
            continue  # the check of the site's variables tells
        interface = str(instance["interface"])
        tracked = [line[0] for line in model.lines(items(instance.get("track_interface")))]
        interfaces += [interface, *tracked, *_vip_interfaces(instance)]
        vips += _vips(instance, interface)
        source = said_source(own, instance)
        if source is not None:
            sources.append({"interface": interface, "address": source})
        elif any(at.version == 4 for at in model.vips(instance)):
            unnamed.append(interface)
    interfaces += [interface for interface, _instance in model.sync_daemon_interfaces(own.configuration)]
    return {
        "interfaces": list(dict.fromkeys(interfaces)),
        "ipv4_interfaces": list(dict.fromkeys(unnamed)),
        "addresses": [pair for place, pair in enumerate(sources) if pair not in sources[:place]],
        "virtual_ips": vips,
        # one with a name for ansible_host is found by its adverts
        "peers": [other.own_address for other in others if address.try_parse(other.own_address) is not None],
        "kernel_modules": ipvs_modules(directors[host]),
    }


def _vips(instance: t.Mapping[str, t.Any], interface: str) -> t.Iterator[dict[str, str]]:
    """Each VIP, and where it is to be."""
    for word in ("virtual_ipaddress", "virtual_ipaddress_excluded"):
        for line in model.lines(instance.get(word)):
            at = address.try_parse(line[0].partition("/")[0])
            if at is not None:
                device = next((name for option, name in zip(line[1:], line[2:]) if option == "dev"), interface)
                yield {"interface": device, "address": str(at)}


def _vip_interfaces(instance: t.Mapping[str, t.Any]) -> list[str]:
    """Where its VIPs are to be when that is said (``dev``), without the interface that the instance itself makes."""
    vrid = instance.get("virtual_router_id")
    makes = {str(instance.get("use_vmac")), str(instance.get("use_ipvlan")), f"vrrp.{vrid}"}
    found: list[str] = []
    for word in ("virtual_ipaddress", "virtual_ipaddress_excluded"):
        for line in model.lines(instance.get(word)):
            found += [name for option, name in zip(line[1:], line[2:]) if option == "dev" and name not in makes]
    return found


def said_source(director: Director, instance: t.Mapping[str, t.Any]) -> str | None:
    """The address that the site says an instance's adverts come from; None: the interface's own.

    director_address is that of the first interface whose instances name no address.
    """
    said = instance.get("mcast_src_ip") or instance.get("unicast_src_ip")
    if said:
        return str(said)
    found = address.try_parse(director.variables.get("director_address"))
    if found is None or instance.get("interface") != first_interface(director):
        return None
    vips = model.vips(instance)
    return str(found) if not vips or any(at.version == found.version for at in vips) else None


def first_interface(director: Director) -> t.Any:
    """The first interface whose instances name no source address: director_address is on it."""
    for instance in director.configuration["vrrp_instance"]:
        if not (instance.get("mcast_src_ip") or instance.get("unicast_src_ip")):
            return instance.get("interface")
    return None
