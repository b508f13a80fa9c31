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
from .problem import BadValue


def host_needs(host: str, directors: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, list[t.Any]]:
    """The options of the module ``host_info`` for ``host``, one of ``directors``.

    ``interfaces``: names of those it speaks VRRP on, tracks, puts VIPs on and syncs connections by;
    ``addresses``: {interface, address} its adverts come from, which the other directors' firewalls let in;
    ``virtual_ips``: {interface, address} that are to be nobody's own;
    ``peers``: the other directors' addresses; ``kernel_modules``: names.
    Raises BadValue when a director's address is not an IP address.
    """
    own = Director.of(host, directors[host])
    others = [Director.of(name, variables) for name, variables in directors.items() if name != host]
    interfaces: list[str] = []
    sources: list[dict[str, str]] = []
    vips: list[dict[str, str]] = []
    for instance in own.configuration["vrrp_instance"]:
        if instance.get("interface") is None:
            continue  # the check of the site's variables tells
        interface = str(instance["interface"])
        tracked = [line[0] for line in model.lines(items(instance.get("track_interface")))]
        interfaces += [interface, *tracked, *_vip_interfaces(instance)]
        vips += _vips(instance, interface)
        source = _source(own, instance)
        if source is not None:
            sources.append({"interface": interface, "address": source})
    interfaces += [interface for interface, _instance in model.sync_daemon_interfaces(own.configuration)]
    return {
        "interfaces": list(dict.fromkeys(interfaces)),
        "addresses": [pair for place, pair in enumerate(sources) if pair not in sources[:place]],
        "virtual_ips": vips,
        "peers": [_address_of(other) for other in others],
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


def _source(own: Director, instance: t.Mapping[str, t.Any]) -> str | None:
    """Where an instance's adverts come from; None when the kernel picks a link-local address for IPv6."""
    said = instance.get("mcast_src_ip") or instance.get("unicast_src_ip")
    if said:
        return str(said)
    if all(at.version == 6 for at in model.vips(instance)) and model.vips(instance):
        return None
    return _address_of(own)


def _address_of(director: Director) -> str:
    found = address.try_parse(director.own_address)
    if found is None:
        what = f"{director.name}: director_address {director.own_address!r} is not an IP address"
        raise BadValue(what, "write the address its VRRP packets come from")
    return str(found)
