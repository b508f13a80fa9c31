# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables of a host that look like a mistyped one of a role."""

from __future__ import annotations

import typing as t

from ..spelling import closest
from .problem import Problem

# A site has variables of its own with the role's prefix: only what is nearly the same is a mistake.
_LIKENESS = 0.92


def mistyped(host: str, variables: t.Iterable[t.Any], prefix: str, known: t.Collection[str]) -> list[Problem]:
    """An error for each name that begins with ``prefix``, is not ``known``, and is nearly the same as one that is."""
    found: list[Problem] = []
    for name in map(str, variables):
        near = closest(name, known, _LIKENESS) if name.startswith(prefix) and name not in known else ""
        if near:
            found.append(Problem(name, "the role has no such variable", f"did you mean {near}?", hosts=(host,)))
    return found
