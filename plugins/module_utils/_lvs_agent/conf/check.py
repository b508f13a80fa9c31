# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole site's variables -> everything that is wrong with them, at once.

Pure: nothing is looked up anywhere.
"""

from __future__ import annotations

import typing as t

from . import (
    address,
    check_danger,
    check_idle,
    check_localnode,
    check_login,
    check_lvs,
    check_machines,
    check_pair,
    check_pools,
    check_profile,
    check_raw,
    check_real_servers,
    check_references,
    check_vrrp,
    firewall_marks,
    model,
    password_files,
    real_server_hosts,
    role_types,
    variable_names,
)
from .director import Director
from .problem import Problem, merged
from .schema import CONFIGURATION_VARIABLES
from .validate import variable_problems

ENGINES = ("keepalived", "agent")
_VARIABLES = (
    *(*CONFIGURATION_VARIABLES, "director_address", "director_engine", "director_state"),
    *(*role_types.BOOLEANS, *role_types.LISTS, *role_types.MAPPINGS),
)

HostVariables = t.Mapping[str, t.Mapping[str, t.Any]]


def site_problems(directors: HostVariables, real_servers: HostVariables) -> list[Problem]:
    """Every problem of a site; errors first, the same one on several hosts once.

    ``directors`` and ``real_servers`` map a host's inventory name to its variables; only ``director_*``,
    ``real_server_*`` and ``ansible_host`` are read.
    """
    pair = [Director.of(name, own, rank, real_servers) for rank, (name, own) in enumerate(directors.items())]
    found: list[Problem] = []
    for director in pair:
        found += variable_names.mistyped(director.name, directors[director.name], "director", _VARIABLES)
        found += role_types.problems(director, directors[director.name])
        found += _settings(director)
        named = real_server_hosts.problems(director, real_servers)
        places = {one.where for one in named}
        found += [one for one in variable_problems(director.variables, director.name) if one.where not in places]
        found += named
        found += check_vrrp.problems(director)
        found += check_lvs.problems(director)
        found += check_login.problems(director)
        found += password_files.problems(director, directors[director.name])
        found += check_references.problems(director)
        found += check_danger.problems(director)
        found += check_idle.problems(director)
        found += check_profile.problems(director)
        found += check_raw.problems(director)
        found += firewall_marks.problems(director)
    found += _without_instances(pair)
    found += check_machines.problems(directors)
    found += check_machines.problems(real_servers)
    found += check_pair.problems(pair)
    of_pools = check_pools.problems(pair, real_servers)
    # what differs from one service's mode is also no mode of any service, which is said without the service
    said = {(one.where, one.hosts) for one in of_pools}
    own = check_real_servers.problems(pair, real_servers)
    found += [one for one in own if one.where != "real_server_mode" or (one.where, one.hosts) not in said]
    found += of_pools
    found += check_localnode.problems(pair, real_servers)
    return merged(found)


def _settings(director: Director) -> list[Problem]:
    found: list[Problem] = []
    engine = director.variables.get("director_engine")
    if engine is not None and engine not in ENGINES:
        found.append(
            director.problem("director_engine", f"{engine!s} is not known", f"it can be {', '.join(ENGINES)}")
        )
    # ansible_host may be a name: the addresses are found on the host
    if "director_address" in director.variables and address.try_parse(director.own_address) is None:
        said = director.own_address
        what = f"{said} is not an IP address, so the firewall of the others cannot let its adverts in"
        advice = "write the address this director's VRRP packets come from, or leave it out"
        found.append(director.problem("director_address", what, advice))
    for instance in director.configuration["vrrp_instance"]:
        if address.try_parse(director.own_address) in model.all_vips(instance):
            what = f"{director.own_address} is this director's own address, so it cannot be a VIP"
            advice = "choose an address that no host has"
            found.append(director.problem(director.path(instance, "virtual_ipaddress"), what, advice))
    return found


def _without_instances(pair: t.Sequence[Director]) -> list[Problem]:
    """Directors without VRRP: that is for IPVS and checks alone, on all directors of a site or on none."""
    found: list[Problem] = []
    for director in pair:
        if director.configuration["vrrp_instance"]:
            continue
        others = [one.name for one in pair if one.configuration["vrrp_instance"]]
        if others:
            what = f"there is no instance, and {' and '.join(others)} has some"
            found.append(director.problem("director_vrrp_instances", what, "write them for every director"))
        elif not director.configuration["virtual_server"]:
            what = "there is neither an instance nor one of director_virtual_servers"
            found.append(director.problem("director_vrrp_instances", what, "write what the director is for"))
    return found
