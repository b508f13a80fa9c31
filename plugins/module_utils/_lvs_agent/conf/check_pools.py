# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each virtual server against the variables of those of its real servers that are in the inventory.

Health checks go to a real server's own address, so they find none of this: clients get no answer while all is green.
A host of the inventory is the real server with its ``real_server_address`` or ``ansible_host``; where that is a name,
nothing is found here.
"""

from __future__ import annotations

import dataclasses
import typing as t

from . import address, firewall_marks, model, real_server_hosts
from .check_real_servers import GATEWAYS
from .director import Director
from .merge import items
from .problem import WARNING, BadValue, Problem
from .schema_lvs import METHODS

DEFAULT_MODE = "DR"
HostVariables = t.Mapping[str, t.Mapping[str, t.Any]]


@dataclasses.dataclass(frozen=True)
class _Use:
    """A virtual server that sends to a host: its path, its method, that with its options, its addresses, the host's."""

    where: str
    method: str
    forwarding: str
    addresses: tuple[address.Address, ...]
    real: tuple[address.Address, ...]


def problems(directors: t.Sequence[Director], hosts: HostVariables) -> list[Problem]:
    """All findings; ``hosts`` are the real servers' variables by inventory name."""
    by_address = {
        at: str(host)
        for host, variables in hosts.items()
        for version in real_server_hosts.ADDRESS
        if (at := real_server_hosts.own_address(str(host), variables, version)) is not None
    }
    found: list[Problem] = []
    uses: dict[str, list[_Use]] = {}
    for director in directors:
        found += _own_addresses(director, directors, by_address)
        for use, server in _uses(director):
            host = by_address.get(server)
            if host is not None and use not in uses.setdefault(host, []):
                uses[host].append(use)
    instances = [instance for one in directors for instance in one.configuration["vrrp_instance"]]
    gateways = {at for instance in instances for at in model.all_vips(instance)}
    own = {address.try_parse(one.own_address): one.name for one in directors}
    for host, variables in hosts.items():
        for use in uses.get(str(host), ()):
            found += _mode(str(host), variables, use)
            found += _held(str(host), variables, use)
            found += _tunnel(str(host), use)
        by_nat = [use for use in uses.get(str(host), ()) if use.method == "NAT"]
        for version in sorted({at.version for use in by_nat for at in use.real}):
            found += _gateway(str(host), variables, version, gateways, own)
        if uses and str(host) in by_address.values() and str(host) not in uses:
            what = "no virtual server sends to its address"
            advice = "list it as a real_server, or take the host out of the group"
            found.append(Problem(_named_by(variables), what, advice, WARNING, (str(host),)))
    return found


def _named_by(variables: t.Mapping[str, t.Any]) -> str:
    """The variable that says where directors find a host."""
    return next((name for name in real_server_hosts.ADDRESS.values() if variables.get(name)), "ansible_host")


def _uses(director: Director) -> t.Iterator[tuple[_Use, address.Address]]:
    """Every virtual server with each address it sends to."""
    marks = _marked(director)
    groups = model.groups_of(director.configuration)
    for pool in director.pools:
        default = model.method(pool.server, "lb_kind")
        addresses = tuple(sorted(_addresses(pool.server, groups, marks), key=lambda at: (at.version, int(at))))
        for real in model.real_servers(pool.server):
            at = address.try_parse(real.get("ip"))
            if at is not None:
                method = model.method(real, "lvs_method", default)
                same = tuple(one for one in addresses if one.version == at.version)
                said = str(real.get("lvs_method") or pool.server.get("lb_kind") or method)
                yield _Use(pool.where, method, said, same, (at,)), at


def _addresses(
    server: t.Mapping[str, t.Any],
    groups: t.Mapping[str, t.Mapping[str, t.Any]],
    marks: t.Mapping[int, set[address.Address]],
) -> set[address.Address]:
    """The addresses that clients of a virtual server use; none where nothing says them."""
    at = address.try_parse(server.get("ip"))
    found = {at} if at is not None else set()
    said = [server.get("fwmark")]
    for entry in model.lines(groups.get(str(server.get("group")), {}).get("entries")):
        if entry[0] == "fwmark":
            said += entry[1:2]
            continue
        try:
            found |= set(address.expand(entry[0]))
        except BadValue:
            continue  # the check of the directors' variables tells
    for mark in map(model.whole, (one for one in said if one is not None)):
        found |= marks.get(mark or 0, set())
    return found


def _marked(director: Director) -> dict[int, set[address.Address]]:
    """The single addresses to which packets get a mark."""
    found: dict[int, set[address.Address]] = {}
    for entry in items(director.variables.get(firewall_marks.VARIABLE)):
        try:
            one = firewall_marks.read(entry)
        except BadValue:
            continue
        if one.network.num_addresses == 1:
            found.setdefault(one.mark, set()).add(one.network.network_address)
    return found


def _mode(host: str, variables: t.Mapping[str, t.Any], use: _Use) -> list[Problem]:
    mode = str(variables.get("real_server_mode") or DEFAULT_MODE)
    if mode == use.method or use.method not in METHODS:
        return []
    what = f"it is {mode}, and {use.where} sends to it by {use.method}"
    return [Problem("real_server_mode", what, f"write {use.method}, or change the service", hosts=(host,))]


def _held(host: str, variables: t.Mapping[str, t.Any], use: _Use) -> list[Problem]:
    if use.method not in ("DR", "TUN"):
        return []
    said = variables.get("real_server_vips")
    held = {address.try_parse(str(one).partition("/")[0]) for one in said} if isinstance(said, (list, tuple)) else set()
    return [
        Problem(
            "real_server_vips",
            f"{at} is not in it, and {use.where} sends its packets here: clients would get no answer",
            f"add {at}/{at.max_prefixlen}",
            hosts=(host,),
        )
        for at in use.addresses
        if at not in held
    ]


def _tunnel(host: str, use: _Use) -> list[Problem]:
    """A tunnel that the role does not make: it has tunl0, for IPv4 in IPv4."""
    if use.method != "TUN":
        return []
    kind = next((name for name in ("gue", "gre") if name in use.forwarding.split()), "")
    if not kind and all(at.version == 4 for at in use.real):
        return []
    what = f"{use.where} sends to it by TUN {f'of type {kind}' if kind else 'over IPv6'}, and the role makes tunl0 only"
    advice = "write TUN type ipip over IPv4, or set up the real server without the role"
    return [Problem("real_server_mode", what, advice, hosts=(host,))]


def _gateway(
    host: str,
    variables: t.Mapping[str, t.Any],
    version: int,
    vips: t.Collection[address.Address],
    own: t.Mapping[address.Address | None, str],
) -> list[Problem]:
    name = GATEWAYS[version]
    at = address.try_parse(variables.get(name))
    if at is None:
        if not any(variables.get(one) for one in GATEWAYS.values()):
            return []  # the check of the host's own variables tells
        what = f"it is missing, and IPv{version} clients are sent here by NAT"
        return [Problem(name, what, "write the directors' inner VIP of this family", hosts=(host,))]
    if at in vips:
        return []
    if at in own and not vips:
        return []  # one director, without VRRP
    if at in own:
        what = f"{at} is {own[at]}'s own address, so answers are lost when another director is master"
        return [Problem(name, what, "write a VIP of this network", WARNING, (host,))]
    what = f"no director has the VIP {at}, so no answer comes back to clients"
    known = ", ".join(str(one) for one in sorted(vips, key=lambda one: (one.version, int(one))))
    return [Problem(name, what, f"VIPs of the directors: {known or 'none'}", hosts=(host,))]


def _own_addresses(
    director: Director, directors: t.Sequence[Director], real_servers: t.Mapping[address.Address, str]
) -> list[Problem]:
    """A VIP that is a host's own address, and a real server that is the VIP."""
    found: list[Problem] = []
    own: dict[t.Any, str] = {
        address.try_parse(one.own_address): one.name for one in directors if one.name != director.name
    }
    owners: dict[t.Any, str] = {**own, **real_servers}
    owners.pop(None, "")
    for instance in director.configuration["vrrp_instance"]:
        for at in model.all_vips(instance):
            if at in owners:
                what = f"{at} is the own address of {owners[at]}, so it cannot be a VIP"
                where = director.path(instance, "virtual_ipaddress")
                found.append(director.problem(where, what, "choose an address that no host has"))
    vips = {at for one in director.configuration["vrrp_instance"] for at in model.all_vips(one)}
    for pool in director.pools:
        vip = address.try_parse(pool.server.get("ip"))
        # one director without VRRP may serve on an address of its own
        if vip not in vips and owners.get(vip, director.name) != director.name:
            what = f"{vip} is the own address of {owners[vip]}, whose packets never come here"
            found.append(director.problem(f"{pool.where}.ip", what, "write a VIP of the directors"))
        for path, real in pool.real_servers:
            if address.try_parse(real.get("ip")) in vips:
                what = f"the real server {real['ip']} is a VIP of the directors"
                found.append(director.problem(f"{path}.ip", what, "write the real server's own address"))
    return found
