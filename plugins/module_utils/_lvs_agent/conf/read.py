# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way in: a file or text of keepalived.conf -> its configuration, with places and problems.

    parsed = read_file("/etc/keepalived/keepalived.conf", ids=["lb01"])
    parsed.configuration["vrrp_instance"][0]["priority"]       # as :mod:`.merge` makes it from variables
    parsed.places.of("vrrp_instance[VI_1].priority")           # a Position, for every path a problem can have
    file_problems(parsed)                                      # of reading, and of everything the checks know
    render(parsed.configuration)                               # the file again

Nothing is raised for what a file holds: every finding is a :class:`.problem.Problem` with its position, and what
could be read is there. Time grows with the size of the file only; see :mod:`.tree`, :mod:`.include` and
:mod:`.preprocess` for the bounds.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import typing as t

from . import (
    check_danger,
    check_file,
    check_idle,
    check_limits,
    check_login,
    check_lvs,
    check_order,
    check_references,
    check_vrrp,
)
from .director import Director
from .lexer import Source
from .merge import Configuration
from .parser import Tree, parse_file, parse_text
from .places import Places
from .problem import ERROR, Problem
from .reading import AGENT, KEEPALIVED, Reading

__all__ = ["AGENT", "KEEPALIVED", "Parsed", "file_problems", "read_file", "read_text", "read_tree"]


@dataclasses.dataclass(frozen=True)
class Parsed:
    """What was read.

    ``problems`` are those of reading, in the order of the file; ``files`` the names of all files read, in order;
    ``sources`` their lines by name; ``engine`` is who will run it.
    """

    configuration: Configuration
    places: Places
    problems: list[Problem]
    files: list[str]
    sources: t.Mapping[str, Source]
    engine: str = AGENT

    @property
    def is_good(self) -> bool:
        """Reading found no error."""
        return all(problem.severity != ERROR for problem in self.problems)


def read_file(
    path: str,
    ids: t.Collection[str] = (),
    engine: str = AGENT,
    environment: t.Mapping[str, str] | None = None,
) -> Parsed:
    """The configuration of a file and all it includes.

    ``ids`` are the names for which ``@NAME`` lines are meant (keepalived's ``--config-id``; it takes the first part
    of the host's name when none is given, and so should the caller). ``engine`` is who will run the file:
    "keepalived" leaves out what is only wrong or without effect for lvs-agent. ``environment`` is for
    ``${_ENV NAME}``, the process's own by default.
    """
    with _uncollected():
        return read_tree(parse_file(path, ids, environment), engine)


def read_text(
    text: str,
    name: str = "keepalived.conf",
    ids: t.Collection[str] = (),
    engine: str = AGENT,
    environment: t.Mapping[str, str] | None = None,
) -> Parsed:
    """As :func:`read_file`, for a text; ``name`` is the file's name in positions."""
    with _uncollected():
        return read_tree(parse_text(text, name, ids, environment), engine)


_CHECKS = (check_vrrp, check_lvs, check_login, check_references, check_file, check_danger, check_idle, check_limits)


def read_tree(tree: Tree, engine: str = AGENT) -> Parsed:
    """As :func:`read_file`, for what the parser made of it."""
    reading = Reading(tree.statements, tree.problems, engine)
    found = reading.problems + (check_order.problems(tree.statements) if engine == KEEPALIVED else [])
    return Parsed(reading.configuration, reading.places, _sorted(found), list(tree.sources), tree.sources, engine)


def file_problems(parsed: Parsed) -> list[Problem]:
    """The problems of reading and those of the configuration as a whole, with positions, in the order of the file."""
    director = Director("", {"director_engine": parsed.engine}, parsed.configuration)
    found: list[Problem] = []
    for check in _CHECKS:
        found += check.problems(director)
    return _sorted(_causes([*parsed.problems, *(parsed.places.with_position(problem) for problem in found)]))


def _causes(problems: t.Sequence[Problem]) -> list[Problem]:
    """Without the errors that only follow from a line whose words could not be told apart."""

    def line(problem: Problem) -> tuple[str, int] | None:
        return None if problem.position is None else (problem.position.file, problem.position.line)

    broken = {line(one) for one in problems if one.severity == ERROR and not one.where} - {None}
    return [one for one in problems if not one.where or line(one) not in broken]


def _sorted(problems: t.Iterable[Problem]) -> list[Problem]:
    """By line within each file, files in the order in which they were first complained of, each finding once."""
    unique = list(dict.fromkeys(problems))
    files: dict[str, int] = {}
    for problem in unique:
        if problem.position is not None:
            files.setdefault(problem.position.file, len(files))

    def place(problem: Problem) -> tuple[int, int, int]:
        at = problem.position
        return (-1, 0, 0) if at is None else (files[at.file], at.line, at.column)

    return sorted(unique, key=place)


@contextlib.contextmanager
def _uncollected() -> t.Iterator[None]:
    """No garbage collection meanwhile: a tree has no cycles, and the collector would walk it again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
