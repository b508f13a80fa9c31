# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directors that are real servers of their own site by DR or TUN (LVS-HOWTO, "LocalNode"), and ``lvs_master_only``.

The master sends such a director packets whose destination stays the VIP. With a table of its own it schedules them
anew: some go to another real server, which may be the master, and so to and fro until their TTL is over.
"""

from __future__ import annotations

import typing as t

from . import address, model
from .director import Director
from .problem import WARNING, Problem

Addresses = t.Collection[str]
HostVariables = t.Mapping[str, t.Mapping[str, t.Any]]

_KEEPS = ("DR", "TUN")  # forwarding methods that keep the VIP as a packet's destination
_WORD = "lvs_master_only"
_LOST = "a backup's IPVS table sends its master's packets on, also back to the master, and connections are lost"


def serving(directors: t.Sequence[Director], real_servers: HostVariables) -> list[str]:
    """Names of the directors that are real servers too: by address, or by being among the ``real_servers``."""
    pools = {at for director in directors for server in _servers(director) for at in _pool(server)}
    found = [one.name for one in directors if pools & _sources(one)]
    listed = [one.name for one in directors if pools and str(_mode(real_servers.get(one.name))) in _KEEPS]
    return [one.name for one in directors if one.name in {*found, *listed}]


def problems(directors: t.Sequence[Director], real_servers: HostVariables) -> list[Problem]:
    """Of a site's variables. All are warnings: such sites run, and lose some of their connections."""
    names = serving(directors, real_servers)
    if not names:
        return []
    are = f"{' and '.join(names)} {'are real servers' if names[1:] else 'is a real server'} by DR or TUN too"
    found: list[Problem] = []
    for director in directors:
        said = director.configuration["global_defs"].get(_WORD)
        if director.variables.get("director_engine") == "keepalived":
            what = f"{are}, and keepalived has its IPVS table as a backup too: {_LOST}"
            advice = f"write director_engine: agent, which has {_WORD}, or take the directors out of their pools"
            found.append(director.problem("director_engine", what, advice, WARNING))
        elif said is None:
            what = f"{are}, so the role sets {_WORD}: the IPVS table is on the master only"
            found.append(director.problem("director_global_defs", what, f"write {_WORD}: true to agree", WARNING))
        elif not model.is_on(said):
            found.append(director.problem(f"director_global_defs.{_WORD}", f"{are}: {_LOST}", "write true", WARNING))
        if director.name in names and director.name not in real_servers:
            what = "it is a real server by DR or TUN, and as a backup it does not accept packets for the VIPs"
            advice = "put it among the real servers, whose role holds the VIPs on lo or tunl0 without ARP"
            found.append(director.problem("director_virtual_servers", what, advice, WARNING))
    return found


def local(director: Director, own: Addresses) -> list[Problem]:
    """Of one director's file, which says it for each virtual server; ``own`` are the addresses its host has."""
    here = {at for at in map(address.try_parse, own) if at is not None} | _sources(director)
    everywhere = director.configuration["global_defs"].get(_WORD)
    found: list[Problem] = []
    for where, server, _reals in director.pools:
        mine = sorted(str(at) for at in here.intersection(_pool(server)))
        if mine and not model.is_on(server.get(_WORD, everywhere)):
            what = f"{mine[0]} is this host: {_LOST}"
            found.append(director.problem(where, what, f"write @lvs_agent {_WORD} true in it", WARNING))
    return found


def unheld(director: Director) -> list[Problem]:
    """``lvs_master_only`` of addresses that no instance holds, whose services are in the table all the time."""
    said = director.configuration["global_defs"].get(_WORD)
    groups = model.groups_of(director.configuration)
    held = {at for instance in director.configuration["vrrp_instance"] for at in model.all_vips(instance)}
    found: list[Problem] = []
    for where, server, _reals in director.pools:
        if not model.is_on(server.get(_WORD, said)):
            continue
        missing = [shown for shown, at in _addresses(server, groups) if at is not None and at not in held]
        marks = model.is_mark_only(server, groups)
        if missing or (marks and not held):
            what = f"no vrrp_instance holds {missing[0] if missing else 'a VIP'}, so it is in the table all the time"
            place = f"{where}.{_WORD}" if _WORD in server else where
            found.append(director.problem(place, what, f"write {_WORD} false, or add the VIP", WARNING))
    return found


def _addresses(
    server: t.Mapping[str, t.Any], groups: t.Mapping[str, t.Mapping[str, t.Any]]
) -> list[tuple[str, address.Address | None]]:
    if server.get("ip") is not None:
        return [(str(server["ip"]), address.try_parse(server["ip"]))]
    entries = model.lines(groups.get(str(server.get("group")), {}).get("entries"))
    # of a range only its first address is looked at: it may have thousands
    starts = [entry[0].partition("/")[0].partition("-")[0] for entry in entries if entry and entry[0] != "fwmark"]
    return [(start, address.try_parse(start)) for start in starts]


def _servers(director: Director) -> t.Iterable[t.Mapping[str, t.Any]]:
    return (server for _where, server in director.servers())


def _pool(server: t.Mapping[str, t.Any]) -> set[address.Address]:
    """The real servers, and the sorry server, that get packets for the VIP."""
    default = model.method(server, "lb_kind")
    said = [real["ip"] for real in model.real_servers(server) if model.method(real, "lvs_method", default) in _KEEPS]
    if model.method(server, "sorry_server_lvs_method", default) in _KEEPS:
        said += str(server.get("sorry_server", "")).split()[:1]
    return {at for at in map(address.try_parse, said) if at is not None}


def _sources(director: Director) -> set[address.Address]:
    return {*director.sources(4), *director.sources(6)}


def _mode(variables: t.Mapping[str, t.Any] | None) -> t.Any:
    """Of a host that is no real server None; the role's default is DR."""
    return None if variables is None else variables.get("real_server_mode") or "DR"
