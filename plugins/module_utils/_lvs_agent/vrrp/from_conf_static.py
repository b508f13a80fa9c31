# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``static_ipaddress``, ``static_routes``, ``static_rules`` and their ``track_group``: what this host keeps; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ..conf import model
from ..conf.problem import BadValue, Problem
from ..kernel.route_names import Names
from . import from_conf_addresses, from_conf_routes
from .plan import Holding, RouteHolding, RuleHolding, StaticPlan

Words = Mapping[str, Any]
T = TypeVar("T", Holding, RouteHolding, RuleHolding)

_INTERFACE = "eth0"  # keepalived's default of default_interface


def plan(configuration: Words, names: Names, problems: list[Problem]) -> StaticPlan:
    """All three lists; what lvs-agent cannot do is appended to the problems."""
    interface = str(configuration["global_defs"].get("default_interface", _INTERFACE))
    groups = {
        str(group["name"]): tuple(line[0] for line in model.lines(group.get("group")))
        for group in configuration["track_group"]
    }
    watchers: list[tuple[Holding | RouteHolding | RuleHolding, tuple[str, ...]]] = []

    def read(word: str, make: Callable[[list[str]], T]) -> tuple[T, ...]:
        found: list[T] = []
        for number, line in enumerate(model.lines(configuration[word])):
            try:
                words, group = _without_group(line, groups)
                found.append(make(words))
            except BadValue as bad:
                problems.append(Problem(f"{word}[{number}]", bad.what, bad.instead))
                continue
            if group:
                watchers.append((found[-1], groups[group]))
        return tuple(found)

    return StaticPlan(
        read("static_ipaddress", lambda line: _address(line, interface)),
        read("static_routes", lambda line: from_conf_routes.route(line, names)),
        read("static_rules", lambda line: from_conf_routes.rule(line, names)),
        tuple(watchers),
    )


def _address(words: list[str], interface: str) -> Holding:
    if "use_vmac" in words:
        raise BadValue("lvs-agent does not support use_vmac in static_ipaddress", "remove it: it is of an instance")
    return from_conf_addresses.holding(words, interface, vmac=False, vip=False)


def _without_group(words: list[str], groups: Mapping[str, tuple[str, ...]]) -> tuple[list[str], str]:
    """The line without its ``track_group NAME``, and the name."""
    if "track_group" not in words:
        return words, ""
    place = words.index("track_group")
    name = words[place + 1]
    if name not in groups:
        raise BadValue(f"there is no track_group {name}", "write the block, or leave track_group out")
    return words[:place] + words[place + 2 :], name
