# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine of a director is going to say of its keepalived.conf, before it is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from . import refusals
from .conf.director import Director
from .conf.excerpt import excerpt
from .conf.problem import ERROR, ConfigurationError, Problem
from .conf.read import AGENT, KEEPALIVED, Parsed, file_problems, read_text
from .conf.render import render
from .conf.settle import settle

ENGINES = {"agent": AGENT, "keepalived": KEEPALIVED}  # director_engine -> the reader's name for it


class Verdict(NamedTuple):
    """A sentence each, with the host and the line of the file that it is about."""

    errors: list[str]
    warnings: list[str]


def engine_verdict(
    host: str,
    variables: Mapping[str, Any],
    rank: int = 0,
    engine: str = "agent",
    real_servers: Mapping[str, Mapping[str, Any]] | None = None,
) -> Verdict:
    """Judge the rendered text of ``host``, director number ``rank`` of its site, as ``engine`` judges the file.

    The engine is "agent" or "keepalived"; of keepalived, what this library knows of it. Included files are on the
    director, so they are not judged.
    """
    director = Director.of(host, variables, rank, real_servers)
    try:
        text = render(director.configuration)
    except ConfigurationError as error:
        return Verdict([f"{host}: {problem}" for problem in error.problems], [])
    lines = ["" if line.split()[:1] == ["include"] else line for line in text.split("\n")]
    parsed = read_text("\n".join(lines), ids=[host], engine=ENGINES[engine], environment={})
    found = file_problems(parsed)
    if engine == "agent" and all(problem.severity != ERROR for problem in found):
        found += [parsed.places.with_position(one) for one in refusals.problems(settle(parsed.configuration))]
    errors = list(_sentences(host, parsed, (one for one in found if one.severity == ERROR)))
    return Verdict(errors, list(_sentences(host, parsed, (one for one in found if one.severity != ERROR))))


def _sentences(host: str, parsed: Parsed, problems: Iterable[Problem]) -> Iterable[str]:
    """One for each finding; the same one on several lines once."""
    seen: set[tuple[str, str]] = set()
    for problem in problems:
        line = excerpt(parsed.sources, problem.position)[0].strip() if problem.position is not None else ""
        if (problem.what, line) in seen:
            continue
        seen.add((problem.what, line))
        place = ": ".join(part for part in (host, problem.where, f"`{line}`" if line else "") if part)
        yield f"{place}: {problem.what}{f'; {problem.instead}' if problem.instead else ''}"
