# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a pair's directors, side by side: what they must agree on and do not, with the place in each file.

Which instances belong together is what the network says: the same VRID and address family; of several such, those on
an interface of the same name, then those of the same name. Names and interfaces may differ between hosts. What is left
is joined by name, then by a common VIP: there the VRID is what is wrong.
"""

from __future__ import annotations

import dataclasses
import typing as t

from . import check_pair, check_pair_lvs, model
from .check_pair import Holder, Instance
from .director import Director
from .problem import WARNING, Problem
from .read import Parsed


def compare(files: t.Mapping[str, Parsed]) -> list[Problem]:
    """The problems between files, by the names that messages give them; the first one is the one being checked."""
    directors = [Director(name, {}, parsed.configuration, parsed.places) for name, parsed in files.items()]
    found: list[Problem] = []
    for holders in _routers(directors):
        if len(holders) > 1:
            found += check_pair.between(holders)
        else:
            found += _lonely(*holders[0], [one.name for one in directors])
    found += check_pair_lvs.problems(directors)
    by_name = {one.name: one for one in directors}
    return [_of_files(problem, by_name) for problem in found]


def _of_files(problem: Problem, directors: t.Mapping[str, Director]) -> Problem:
    """A problem with keywords in place of variables, and with a place where it has none yet."""
    places = next(one.places for name, one in directors.items() if name in problem.hosts)
    if places is None:
        return problem
    told = places.with_position(problem)
    return dataclasses.replace(told, position=problem.position or told.position)


def _lonely(director: Director, instance: Instance, names: t.Sequence[str]) -> list[Problem]:
    """An instance that only one director has."""
    others = " and ".join(name for name in names if name != director.name)
    what = f"VRID {instance.get('virtual_router_id')} is not in {others}"
    advice = "its VIPs have no second director: add the instance there"
    return [director.problem(director.path(instance, "virtual_router_id"), what, advice, WARNING)]


def _routers(directors: t.Sequence[Director]) -> list[list[Holder]]:
    """The instances that belong together, each group in the order of the directors."""
    groups: list[list[Holder]] = []
    for director in directors:
        left = list(director.configuration["vrrp_instance"])
        free = [group for group in groups if group]
        for alike in _LIKENESSES:
            known: dict[t.Any, list[list[Holder]]] = {}
            for group in free:
                for key in alike(group[0][1]):
                    known.setdefault(key, []).append(group)
            rest: list[Instance] = []
            for instance in left:
                found = next((g for key in alike(instance) for g in known.get(key, []) if _is_in(g, free)), None)
                if found is None:
                    rest.append(instance)
                else:
                    found.append((director, instance))
                    free = [group for group in free if group is not found]
            left = rest
        groups += [[(director, instance)] for instance in left]
    return groups


def _is_in(group: list[Holder], groups: t.Sequence[list[Holder]]) -> bool:
    return any(one is group for one in groups)


def _family(instance: Instance) -> int:
    return 6 if any(at.version == 6 for at in model.vips(instance)) else 4


def _router(instance: Instance) -> tuple[t.Any, ...]:
    return str(instance.get("virtual_router_id")), _family(instance)


_LIKENESSES: tuple[t.Callable[[Instance], t.Iterable[t.Any]], ...] = (
    lambda one: [(*_router(one), one.get("interface"), one.get("name"))],
    lambda one: [(*_router(one), one.get("interface"))],
    lambda one: [(*_router(one), one.get("name"))],
    lambda one: [_router(one)],
    lambda one: [one.get("name")],
    model.vips,
)
