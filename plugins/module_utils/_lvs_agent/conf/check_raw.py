# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lvs-agent would say of a site's raw lines: they are read in the file that the role writes.

Pure: the files that a raw line includes are on the director, and not looked at.
"""

from __future__ import annotations

import re

from .director import Director
from .include import Includer
from .merge import blocks, items
from .problem import ERROR, WARNING, ConfigurationError, Problem
from .read import AGENT, KEEPALIVED, read_text
from .render import render


def problems(director: Director) -> list[Problem]:
    """Errors of reading the rendered file; only warnings while keepalived is to run it."""
    if not _has_raw(director):
        return []
    try:
        lines = render(director.configuration).split("\n")
    except ConfigurationError:
        return []  # the check of the variables tells
    engine = KEEPALIVED if director.variables.get("director_engine") == KEEPALIVED else AGENT
    text = "\n".join("" if _includes(line) else line for line in lines)
    found: list[Problem] = []
    for problem in read_text(text, ids=[director.name], engine=engine, environment={}).problems:
        if problem.severity == ERROR and problem.position is not None:
            said = lines[problem.position.line - 1].strip()
            what = f"lvs-agent refuses the raw line {said!r}: {problem.what}"
            severity = ERROR if engine == AGENT else WARNING
            found.append(director.problem(problem.where, what, problem.instead, severity))
    return found


def _has_raw(director: Director) -> bool:
    def has(block: object) -> bool:
        return any(one.get("raw") or any(has(inner) for inner in one.values()) for one in blocks(items(block)))

    return has([director.configuration])


def _includes(line: str) -> bool:
    words = re.sub(r"^(\s*@\S+)+", "", line).split()
    return bool(words) and Includer.is_include(words[0])
