# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the directors of an instance with unicast peers hear each other, by the addresses found on them.

A director that another one does not send to takes over beside it: two masters.
"""

from __future__ import annotations

import typing as t

from . import address, firewall, model
from .director import Director
from .problem import Problem

HostVariables = t.Mapping[str, t.Mapping[str, t.Any]]


def problems(directors: HostVariables) -> list[Problem]:
    """Directors that are missing among the ``unicast_peer`` of others.

    ``directors`` are their variables by inventory name, with what the preflight has found on them
    (:data:`.firewall.FOUND`). Nothing is said of one that was not looked at and whose address is not written.
    """
    all_of_them = [Director.of(name, own, rank) for rank, (name, own) in enumerate(directors.items())]
    found: list[Problem] = []
    for director in all_of_them:
        for instance in director.configuration["vrrp_instance"]:
            peers = {address.try_parse(line[0]) for line in model.lines(instance.get("unicast_peer"))}
            for other in all_of_them if peers else ():
                if other is not director:
                    looked_at = directors[other.name].get(firewall.FOUND) or {}
                    found += _missing(director, instance, other, peers, looked_at.get("interfaces"))
    return found


def _missing(
    director: Director,
    instance: t.Mapping[str, t.Any],
    other: Director,
    peers: set[address.Address | None],
    interfaces: t.Mapping[str, t.Sequence[str]] | None,
) -> list[Problem]:
    same = [one for one in other.configuration["vrrp_instance"] if one.get("name") == instance.get("name")]
    sources = {at for one in same for at in firewall.sources_of(other, one, interfaces)}
    if not sources or sources & peers:
        return []
    listed = ", ".join(sorted(map(str, sources)))
    what = f"{other.name} ({listed}) is not in it, so it does not hear this director: both would be master"
    return [director.problem(director.path(instance, "unicast_peer"), what, "list every other director")]
