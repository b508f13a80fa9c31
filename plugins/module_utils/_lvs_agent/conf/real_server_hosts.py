# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers that are hosts of the inventory: their addresses, and virtual servers that name the host instead."""

from __future__ import annotations

import typing as t

from ..spelling import nearest
from . import address, model
from .merge import items
from .problem import Problem

if t.TYPE_CHECKING:
    from .director import Director

HostVariables = t.Mapping[str, t.Mapping[str, t.Any]]

ADDRESS = {4: "real_server_address", 6: "real_server_address6"}


def own_address(host: str, variables: t.Mapping[str, t.Any], version: int) -> address.Address | None:
    """Where directors send to: its variable of that family, else ansible_host, else its name; None when none is one."""
    for said in (variables.get(ADDRESS[version]), variables.get("ansible_host") or host):
        at = address.try_parse(said) if said else None
        if at is not None and at.version == version:
            return at
    return None


def resolved(servers: t.Any, hosts: HostVariables) -> t.Any:
    """``director_virtual_servers`` with addresses in place of hosts' names; what has none, or is none, stays."""
    if not hosts or not isinstance(servers, (list, tuple)):
        return servers
    return [_server(one, hosts) if isinstance(one, t.Mapping) else one for one in servers]


def problems(director: Director, hosts: HostVariables) -> list[Problem]:
    """Names that stayed: hosts without an address of that family, and names that are nearly a host's."""
    found: list[Problem] = []
    for pool in director.pools:
        for path, real in pool.real_servers:
            name = str(real.get("ip", ""))
            where = f"{path}.ip"
            if name in hosts and address.try_parse(name) is None:
                family = _version(pool.server)
                what = f"{name} has no IPv{family} address: its ansible_host is none"
                found.append(director.problem(where, what, f"write {ADDRESS[family]} for {name}"))
            elif name[:1].isalpha() and ":" not in name:
                what = f"{name} is neither an IP address nor a host of the group of real servers"
                found.append(director.problem(where, what, nearest(name, [str(host) for host in hosts])))
    return found


def _server(server: t.Mapping[str, t.Any], hosts: HostVariables) -> t.Mapping[str, t.Any]:
    reals = [one for one in items(server.get("real_server")) if isinstance(one, t.Mapping)]
    if not any(str(real.get("ip")) in hosts for real in reals):
        return server
    version = _version(server)
    return {**server, "real_server": [_real(one, version, hosts) for one in items(server.get("real_server"))]}


def _real(real: t.Any, version: int, hosts: HostVariables) -> t.Any:
    name = str(real.get("ip")) if isinstance(real, t.Mapping) else ""
    if name not in hosts or address.try_parse(name) is not None:
        return real
    at = own_address(name, hosts[name], version)
    return real if at is None else {**real, "ip": str(at)}


def _version(server: t.Mapping[str, t.Any]) -> int:
    """The family of a virtual server's real servers; that of a group is IPv4 unless it says ``ip_family``."""
    return model.family(server.get("ip")) or (6 if str(server.get("ip_family", "inet")) == "inet6" else 4)
