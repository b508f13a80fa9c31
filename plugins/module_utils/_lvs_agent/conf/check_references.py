# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that refer to a block which is not there: tracked files and processes, track groups, BFD instances."""

from __future__ import annotations

import typing as t

from ..spelling import nearest
from . import model
from .director import Director
from .merge import blocks
from .problem import Problem

_TRACKED = {"track_file": "track_file", "track_process": "vrrp_track_process", "track_bfd": "bfd_instance"}
_CHECKED = {"FILE_CHECK": ("track_file", "track_file"), "BFD_CHECK": ("name", "bfd_instance")}
_STATIC = ("static_ipaddress", "static_routes", "static_rules")


_Names = t.Mapping[str, t.Collection[str]]


def problems(director: Director) -> list[Problem]:
    """All references of one director to blocks it does not have."""
    keys = {*_TRACKED.values(), "vrrp_instance", "track_group"}
    known = {
        key: dict.fromkeys(str(one.get("name")) for one in blocks(director.configuration.get(key))) for key in keys
    }
    found: list[Problem] = []
    for instance in director.configuration["vrrp_instance"]:
        for word, key in _TRACKED.items():
            if word in instance:
                names = [line[0] for line in model.lines(instance[word])]
                found += _missing(director, director.path(instance, word), key, names, known)
    for group in director.configuration["vrrp_sync_group"]:
        for word, key in _TRACKED.items():
            where = f"director_vrrp_sync_groups[{group.get('name')}].{word}"
            found += _missing(director, where, key, [line[0] for line in model.lines(group.get(word))], known)
    found += _in_checks(director, known)
    found += _track_groups(director, known)
    return found


def _missing(director: Director, where: str, key: str, names: t.Iterable[str], known: _Names) -> list[Problem]:
    return [
        director.problem(where, f"there is no {key} {name}", nearest(name, known[key]))
        for name in names
        if name not in known[key]
    ]


def _in_checks(director: Director, known: _Names) -> list[Problem]:
    found: list[Problem] = []
    for pool in director.pools:
        for path, real in pool.real_servers:
            for check, (word, key) in _CHECKED.items():
                for one in blocks(real.get(check)):
                    if one.get(word) is not None:
                        found += _missing(director, f"{path}.{check}.{word}", key, [str(one[word])], known)
    return found


def _track_groups(director: Director, known: _Names) -> list[Problem]:
    found: list[Problem] = []
    for group in director.configuration.get("track_group", []):
        where = f"director_track_groups[{group.get('name')}].group"
        names = [line[0] for line in model.lines(group.get("group"))]
        found += _missing(director, where, "vrrp_instance", names, known)
    for word in _STATIC:
        for number, line in enumerate(model.lines(director.configuration.get(word))):
            if "track_group" in line[:-1]:
                name = line[line.index("track_group") + 1]
                found += _missing(director, f"director_{word}[{number}]", "track_group", [name], known)
    return found
