# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that refer to a block which is not there: tracked files and processes, track groups, BFD instances."""

from __future__ import annotations

import typing as t

from . import model
from .director import Director
from .merge import blocks
from .problem import Problem, nearest
from .schema_lvs import REAL_SERVER
from .validate import label

_TRACKED = {"track_file": "track_file", "track_process": "vrrp_track_process", "track_bfd": "bfd_instance"}
_CHECKED = {"FILE_CHECK": ("track_file", "track_file"), "BFD_CHECK": ("name", "bfd_instance")}
_STATIC = ("static_ipaddress", "static_routes", "static_rules")


def problems(director: Director) -> list[Problem]:
    """All references of one director to blocks it does not have."""
    found: list[Problem] = []
    for instance in director.configuration["vrrp_instance"]:
        for word, key in _TRACKED.items():
            names = [line[0] for line in model.lines(instance.get(word))]
            found += _missing(director, director.path(instance, word), key, names)
    for group in director.configuration["vrrp_sync_group"]:
        for word, key in _TRACKED.items():
            where = f"director_vrrp_sync_groups[{group.get('name')}].{word}"
            found += _missing(director, where, key, [line[0] for line in model.lines(group.get(word))])
    found += _in_checks(director)
    found += _track_groups(director)
    return found


def _missing(director: Director, where: str, key: str, names: t.Iterable[str]) -> list[Problem]:
    known = [str(one.get("name")) for one in director.configuration.get(key, [])]
    return [
        director.problem(where, f"there is no {key} {name}", nearest(name, known))
        for name in names
        if name not in known
    ]


def _in_checks(director: Director) -> list[Problem]:
    found: list[Problem] = []
    for where, server in director.servers():
        for number, real in enumerate(blocks(server.get("real_server"))):
            path = f"{where}.real_server[{label(REAL_SERVER, real, number)}]"
            for check, (word, key) in _CHECKED.items():
                for one in blocks(real.get(check)):
                    if one.get(word) is not None:
                        found += _missing(director, f"{path}.{check}.{word}", key, [str(one[word])])
    return found


def _track_groups(director: Director) -> list[Problem]:
    found: list[Problem] = []
    for group in director.configuration.get("track_group", []):
        where = f"director_track_groups[{group.get('name')}].group"
        names = [line[0] for line in model.lines(group.get("group"))]
        found += _missing(director, where, "vrrp_instance", names)
    for word in _STATIC:
        for number, line in enumerate(model.lines(director.configuration.get(word))):
            if "track_group" in line[:-1]:
                name = line[line.index("track_group") + 1]
                found += _missing(director, f"director_{word}[{number}]", "track_group", [name])
    return found
