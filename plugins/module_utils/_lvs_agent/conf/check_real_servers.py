# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real servers' own variables (``real_server_*``) against the directors' configuration."""

from __future__ import annotations

import typing as t

from ..spelling import nearest
from . import address, model, real_server_hosts, values, variable_names
from .director import Director
from .problem import BadValue, Problem
from .schema_lvs import METHODS

GATEWAYS = {4: "real_server_gateway", 6: "real_server_gateway6"}  # by IP version
READ_VARIABLES = (
    *("real_server_mode", "real_server_vips"),
    *GATEWAYS.values(),
    *real_server_hosts.ADDRESS.values(),
)
#: all of the role's; a unit test compares them with its defaults
VARIABLES = (
    *READ_VARIABLES,
    "real_server_state",
    "real_server_vip_interface",
    "real_server_arp_interfaces",
    "real_server_host_route",
    "real_server_directors",
    "real_server_drain",
    "real_server_drain_timeout",
    "real_server_packages",
    "real_server_prepared",
)


def problems(directors: t.Sequence[Director], hosts: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[Problem]:
    """All findings in the real servers' variables; one that a host lacks has its role's default."""
    found: list[Problem] = []
    methods = _methods(directors)
    vips = {at for director in directors for at in model.virtual_addresses(director.configuration)}
    for host, variables in hosts.items():
        found += variable_names.mistyped(str(host), variables, "real_server", VARIABLES)
        given = {name: variables.get(name) for name in READ_VARIABLES}
        found += _mode(str(host), given["real_server_mode"], methods)
        found += _vips(str(host), given["real_server_vips"], vips)
        found += _gateways(str(host), given)
        found += _addresses(str(host), given)
    return found


def _addresses(host: str, given: t.Mapping[str, t.Any]) -> list[Problem]:
    found: list[Problem] = []
    for version, name in real_server_hosts.ADDRESS.items():
        said = given[name]
        if said and model.family(said) != version:
            what = f"{values.shown(said)} is not an IPv{version} address"
            found.append(Problem(name, what, "write the one that directors send to", hosts=(host,)))
    return found


def _methods(directors: t.Sequence[Director]) -> set[str]:
    """Every forwarding method some virtual server uses; what is none is told by itself."""
    found: set[str] = set()
    for director in directors:
        for server in director.configuration["virtual_server"]:
            default = model.method(server, "lb_kind")
            found |= {model.method(real, "lvs_method", default) for real in model.real_servers(server)}
    return found.intersection(METHODS)


def _mode(host: str, mode: t.Any, methods: set[str]) -> list[Problem]:
    if mode is None:
        return []
    if str(mode) not in METHODS:
        advice = nearest(str(mode), METHODS)
        return [Problem("real_server_mode", f"{values.shown(mode)} is not known", advice, hosts=(host,))]
    if methods and str(mode) not in methods:
        used = " and ".join(sorted(methods))
        what = f"it is {mode}, the directors' virtual servers use {used}"
        return [Problem("real_server_mode", what, "make it the same as lb_kind", hosts=(host,))]
    return []


def _vips(host: str, vips: t.Any, known: set[address.Address]) -> list[Problem]:
    if vips is None:
        return []
    if not isinstance(vips, (list, tuple)):
        return [
            Problem(
                "real_server_vips", f"it is {values.shown(vips)}", "write a list of addresses", hosts=(host,)
            )
        ]
    found: list[Problem] = []
    seen: set[address.Address] = set()
    for number, said in enumerate(vips):
        where = f"real_server_vips[{number}]"
        try:
            at, _length = address.interface(str(said))
        except BadValue as bad:
            found.append(Problem(where, bad.what, bad.instead, hosts=(host,)))
            continue
        if at not in known:
            advice = nearest(str(at), [str(one) for one in known])
            found.append(Problem(where, f"no director has the VIP {at}", advice, hosts=(host,)))
        if at in seen:
            found.append(Problem(where, f"{at} is in the list twice", "write it once", hosts=(host,)))
        seen.add(at)
    return found


def _gateways(host: str, given: t.Mapping[str, t.Any]) -> list[Problem]:
    said = {version: str(given[name]) for version, name in GATEWAYS.items() if given[name] not in (None, "")}
    if not said and given["real_server_mode"] == "NAT":
        what = "it is missing, and with NAT the answers must go back through the director"
        advice = "write the address the directors share on this network"
        return [Problem(GATEWAYS[4], what, advice, hosts=(host,))]
    found: list[Problem] = []
    for version, text in said.items():
        try:
            at = address.parse(text)
        except BadValue as bad:
            found.append(Problem(GATEWAYS[version], bad.what, bad.instead, hosts=(host,)))
            continue
        if at.version != version:
            what = f"{at} is not an IPv{version} address"
            found.append(Problem(GATEWAYS[version], what, f"write it as {GATEWAYS[at.version]}", hosts=(host,)))
    return found
