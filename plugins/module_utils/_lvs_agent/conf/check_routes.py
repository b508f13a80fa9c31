# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes and rules that keepalived takes with a complaint: untracked ones, old words, rules in no particular order."""

from __future__ import annotations

import typing as t

from . import model
from .director import Director
from .problem import WARNING, Problem

_OUTDATED = {"or": "nexthop", "gw": "via"}
_WITHOUT_INTERFACE = ("throw", "unreachable", "prohibit", "blackhole")
_PREFERENCES = ("pref", "preference", "priority", "order")


def problems(director: Director) -> list[Problem]:
    """All findings in the static and the virtual routes and rules of one director."""
    configuration = director.configuration
    found: list[Problem] = []
    for number, line in enumerate(model.lines(configuration["static_routes"])):
        found += _outdated(director, f"director_static_routes[{number}]", line)
    for number, line in enumerate(model.lines(configuration["static_rules"])):
        found += _unordered(director, f"director_static_rules[{number}]", line)
    for instance in configuration["vrrp_instance"]:
        for number, line in enumerate(model.lines(instance.get("virtual_routes"))):
            where = f"{director.path(instance, 'virtual_routes')}[{number}]"
            found += _outdated(director, where, line) + _untracked(director, where, line)
        for number, line in enumerate(model.lines(instance.get("virtual_rules"))):
            found += _unordered(director, f"{director.path(instance, 'virtual_rules')}[{number}]", line)
    return found


def _outdated(director: Director, where: str, line: t.Sequence[str]) -> list[Problem]:
    return [
        director.problem(where, f"keepalived calls {old} deprecated", f"write {new}", WARNING)
        for old, new in _OUTDATED.items()
        if old in line
    ]


def _untracked(director: Director, where: str, line: t.Sequence[str]) -> list[Problem]:
    """keepalived notices that a virtual route has gone by its interface only."""
    if "no_track" in line or any(word in line for word in ("dev", "oif", "nexthop", *_WITHOUT_INTERFACE)):
        return []
    what = "a route without an interface is not tracked: its loss is no fault"
    return [director.problem(where, what, "write dev and the interface, or no_track", WARNING)]


def _unordered(director: Director, where: str, line: t.Sequence[str]) -> list[Problem]:
    if any(word in line for word in _PREFERENCES):
        return []
    what = "a rule without a preference gets one of keepalived's choice, from 16384 down"
    return [director.problem(where, what, "write preference and a number", WARNING)]
