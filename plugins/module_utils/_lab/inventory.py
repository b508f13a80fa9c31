# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a site's inventory variables to the hosts of a lab (pure).

What the inventory does not say about NICs is derived from what the roles are told: a director's VRRP
interface, a real server's VIP interface, `ansible_host` as the address.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .errors import LabError

DEFAULT_NIC = "eth0"
CLIENT = "client"
_VIRTUAL = ("lo", "tunl0")
_SHORT = 65536


def lab_hosts(
    names: Sequence[str],
    hostvars: Mapping[str, Mapping[str, Any]],
    real_servers: Iterable[str],
    lab_only: Sequence[Mapping[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """The `hosts` option of the module `lab`: every host of the inventory, then the lab-only ones.

    `lab_only` has the same shape ({name, nics: [{name, addresses, segment, gateway}]}); None means one
    client in the networks of the VIPs, else the first host's, at the highest addresses that nobody uses.
    """
    serving = set(real_servers)
    hosts = [_host(name, hostvars[name], name in serving) for name in names if not _is_local(hostvars[name])]
    if not hosts:
        raise LabError("the inventory has no hosts to boot (hosts with a local connection are left out)")
    variables = [hostvars[name] for name in names]
    extra = [_client(hosts, _vips(variables), _services(variables))] if lab_only is None else lab_only
    return hosts + [{**host, "lab_only": True} for host in extra]


def _host(name: str, variables: Mapping[str, Any], serving: bool) -> dict[str, Any]:
    nics = variables.get("lab_nics")
    if nics is None:
        nics = _derived_nics(name, variables)
    if not all(isinstance(nic, Mapping) and nic.get("name") for nic in nics):
        raise LabError(f"host {name}: lab_nics is a list such as [{{name: ens33, addresses: [192.0.2.10/24]}}]")
    address = str(variables.get("ansible_host") or name)
    return {
        "name": name,
        "nics": [dict(nic) for nic in nics],
        "web_ports": list(variables.get("lab_web_ports") or ([80] if serving else [])),
        "aliases": [address] if address != name else [],
    }


def _derived_nics(name: str, variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    interfaces = [str(word) for word in _interfaces(variables)]
    first = next((word for word in interfaces if word not in _VIRTUAL), DEFAULT_NIC)
    address = str(variables.get("ansible_host") or "")
    try:
        network = ipaddress.ip_interface(f"{ipaddress.ip_address(address)}/{variables.get('lab_prefix') or 24}")
    except ValueError:
        raise LabError(
            f"host {name}: ansible_host is {address!r}, not an address, so the lab cannot tell the host's NICs; "
            "say them with lab_nics: [{name: ens33, addresses: [192.0.2.10/24]}]"
        ) from None
    others = [word for word in dict.fromkeys(interfaces) if word not in (*_VIRTUAL, first)]
    return [{"name": first, "addresses": [str(network)]}] + [{"name": word, "addresses": []} for word in others]


def _interfaces(variables: Mapping[str, Any]) -> Iterable[Any]:
    own = variables.get("director_host_vrrp_instances") or {}
    for instance in variables.get("director_vrrp_instances") or ():
        interface = {**instance, **(own.get(instance.get("name")) or {})}.get("interface")
        if interface:
            yield interface
    if variables.get("real_server_vip_interface"):
        # It does not carry the server's own address: that is another NIC's.
        yield DEFAULT_NIC
        yield variables["real_server_vip_interface"]


def _vips(all_variables: Iterable[Mapping[str, Any]]) -> set[str]:
    vips: set[str] = set()
    for variables in all_variables:
        for instance in variables.get("director_vrrp_instances") or ():
            for key in ("virtual_ipaddress", "virtual_ipaddress_excluded"):
                first = [word for line in instance.get(key) or () for word in str(line).split()[:1]]
                vips.update(word.partition("/")[0] for word in first)
    return vips


def _services(all_variables: Iterable[Mapping[str, Any]]) -> set[str]:
    """The addresses of virtual servers; none of those by firewall mark or group."""
    servers = [one for variables in all_variables for one in variables.get("director_virtual_servers") or ()]
    return {str(one["ip"]) for one in servers if one.get("ip")}


def _client(hosts: Sequence[Mapping[str, Any]], vips: set[str], services: set[str]) -> dict[str, Any]:
    """A client with an address, of each family, in every network of a service.

    Where no service has an address, in every network of a VIP; without one, in the first host's network.
    """
    used = set(vips)
    places: list[tuple[Any, Mapping[str, Any]]] = []
    for host in hosts:
        for nic in host["nics"]:
            used.add(str(nic.get("gateway")))
            for text in nic.get("addresses") or ():
                try:
                    interface = ipaddress.ip_interface(text)
                except ValueError:
                    return {"name": CLIENT, "nics": []}  # the plan refuses that address, and says whose it is
                used.add(str(interface.ip))
                places.append((interface.network, nic))
    if not places:
        raise LabError("no free address for the lab's client: no host of the lab has one; write lab_only_hosts")
    asked = [ipaddress.ip_address(vip) for vip in services or vips if _is_address(vip)]
    wanted = [place for place in places if any(vip in place[0] for vip in asked)] or places[:1]
    segments: dict[str | None, dict[Any, str]] = {}
    for network, nic in wanted:
        addresses = segments.setdefault(nic.get("segment"), {})
        if network not in addresses:
            addresses[network] = _free(network, used)
            used.add(addresses[network].partition("/")[0])
    nics = [
        {"name": f"eth{number}", "addresses": list(addresses.values()), **({"segment": segment} if segment else {})}
        for number, (segment, addresses) in enumerate(segments.items())
    ]
    return {"name": CLIENT, "nics": nics}


def _free(network: Any, used: set[str]) -> str:
    """The highest of a network's addresses that nobody has, with its prefix length.

    Of a large network, one of the first that fit into 16 bits: such an IPv6 address can be read.
    """
    end = min(network.num_addresses, _SHORT)
    for offset in range(2, min(end, 250)):
        if str(network[end - offset]) not in used:
            return f"{network[end - offset]}/{network.prefixlen}"
    raise LabError(f"no free address for the lab's client in {network}; write lab_only_hosts")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_local(variables: Mapping[str, Any]) -> bool:
    return variables.get("ansible_connection") == "local"
