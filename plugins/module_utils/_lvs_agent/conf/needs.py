# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a configuration needs around it: kernel modules, forwarding, and the order to touch directors in."""

from __future__ import annotations

import typing as t

from . import model
from .director import Director
from .schema_lvs import ALGORITHMS


def ipvs_modules(variables: t.Mapping[str, t.Any]) -> list[str]:
    """Kernel modules of a director's virtual servers, sorted; none when it has no virtual server."""
    found: set[str] = set()
    for server in Director.of("", variables).configuration["virtual_server"]:
        algorithm = str(server.get("lb_algo", model.DEFAULT_ALGORITHM))
        found.add("ip_vs")
        if algorithm in ALGORITHMS:
            found.add(f"ip_vs_{algorithm}")
        if server.get("persistence_engine") is not None:
            found.add(f"ip_vs_pe_{server['persistence_engine']}")
    return sorted(found)


def needs_forwarding(variables: t.Mapping[str, t.Any]) -> bool:
    """Some virtual server, real server or sorry server is reached by NAT, so the director must forward."""
    for server in Director.of("", variables).configuration["virtual_server"]:
        default = model.method(server, "lb_kind")
        methods = {model.method(real, "lvs_method", default) for real in model.real_servers(server)}
        if server.get("sorry_server") is not None:
            methods.add(model.method(server, "sorry_server_lvs_method", default))
        if "NAT" in methods:
            return True
    return False


def needs_template_expiry(variables: t.Mapping[str, t.Any]) -> bool:
    """Some virtual server is persistent, so that its clients must be sent away from servers of weight 0."""
    return any(map(model.is_persistent, Director.of("", variables).configuration["virtual_server"]))


def backup_first(directors: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[str]:
    """The directors, the one most likely to be master last.

    By the sum of the priorities of a director's instances (100 where none is given), lowest first; for equal
    sums in the order given. So with masters mixed over a pair, the one that is master of more comes last.
    """
    rank = {name: number for number, name in enumerate(directors)}

    def weight(name: str) -> int:
        instances = Director.of(name, directors[name], rank[name]).configuration["vrrp_instance"]
        default = model.DEFAULT_PRIORITY
        priorities = [model.whole(one.get("priority", default)) for one in instances]
        return sum(default if priority is None else priority for priority in priorities)

    return sorted(directors, key=weight)
