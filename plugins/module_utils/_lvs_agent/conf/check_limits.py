# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers that keepalived takes and that would end a process of lvs-agent: it uses another one, with a warning."""

from __future__ import annotations

import typing as t

from . import model
from .director import Director
from .merge import fields
from .numbers import UINT32, Range
from .problem import WARNING, Problem

# All frames of a round are queued at once: 255 VIPs 100 times are 2 MB.
_REPEATS = Range(0, 100)
# To carry out a configuration of 1,000 instances takes a process a second of CPU time without a blocking call.
_CPU_TIME = Range(5_000_000, UINT32)
_LIMITS: t.Mapping[str, Range] = {
    **{
        f"{scope}garp_{kind}_repeat": _REPEATS
        for scope in ("", "vrrp_")
        for kind in ("master", "lower_prio", "master_refresh")
    },
    "vrrp_rlimit_rttime": _CPU_TIME,
    "checker_rlimit_rttime": _CPU_TIME,
}


def used(word: str, number: int) -> int:
    """What lvs-agent makes of the number of a keyword; 0 is off."""
    limits = _LIMITS.get(word)
    return number if limits is None or not number else max(limits.low, min(number, limits.high))


def problems(director: Director) -> list[Problem]:
    """All of them in one director's configuration."""
    found = _in_block(director, fields(director.configuration["global_defs"]), lambda word: f"global_defs.{word}")
    for instance in director.configuration["vrrp_instance"]:
        found += _in_block(director, instance, lambda word, one=instance: director.path(one, word))  # type: ignore[misc]
    return found


def _in_block(director: Director, block: t.Mapping[str, t.Any], path: t.Callable[[str], str]) -> list[Problem]:
    found: list[Problem] = []
    for word, limits in _LIMITS.items():
        number = model.whole(block.get(word))
        if number is not None and used(word, number) != number:
            what = f"lvs-agent uses {used(word, number)} for {number}"
            found.append(director.problem(path(word), what, f"write a number {limits}", WARNING))
    return found
