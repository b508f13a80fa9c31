# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of options that several modules share, and the error that names all problems of a task at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

# Longer than any wait, and still what a socket's timeout can be.
SECONDS_MOST = 31 * 86400
# So that the message of a task with a thousand mistakes can be read.
PROBLEMS_SHOWN = 20


def refusal(problems: Iterable[Problem]) -> ValueError:
    """The error that names all problems, each once, at least one."""
    listed = list(dict.fromkeys(map(str, problems)))
    if len(listed) == 1:
        return ValueError(listed[0])
    shown = [f"- {problem}" for problem in listed[:PROBLEMS_SHOWN]]
    if len(listed) > PROBLEMS_SHOWN:
        shown.append(f"- and {len(listed) - PROBLEMS_SHOWN} more")
    return ValueError("\n".join(["Nothing was changed. Fix these in the task:", *shown]))


def at(where: str, name: str) -> str:
    """The path of an option."""
    return f"{where}.{name}" if where else name


def seconds(place: str, value: float, problems: list[Problem], most: float = SECONDS_MOST) -> bool:
    """Whether it is a time to wait."""
    # Written so that "nan" is refused too.
    if 0 < value <= most:
        return True
    problems.append(Problem(place, f"{value} is out of range", f"write seconds above 0, at most {most}"))
    return False


def in_range(place: str, value: int | None, low: int, high: int, problems: list[Problem]) -> bool:
    """Whether the number at that path is in its range; one that is not given is."""
    if value is None or low <= value <= high:
        return True
    problems.append(Problem(place, f"{value} is out of range", f"write a whole number from {low} to {high}"))
    return False
