# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody who mistyped a name meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# A longer word was not mistyped, and comparing it with more candidates takes long.
_LONGEST = 64
_MOST_COMPARED = 1000
_MOST_LISTED = 16


def closest(wrong: str, right: Iterable[str], likeness: float = 0.6) -> str:
    """The correct name nearest to ``wrong``, whatever its case; "" when none is at least that like it (0 to 1)."""
    # Loaded by those who mistyped something, not by everybody.
    import difflib

    candidates = sorted(set(right))
    if len(candidates) > _MOST_COMPARED:
        return ""
    folded = {candidate.lower(): candidate for candidate in candidates}
    found = difflib.get_close_matches(wrong[:_LONGEST].lower(), list(folded), n=1, cutoff=likeness)
    return folded[found[0]] if found else ""


def nearest(wrong: str, right: Iterable[str]) -> str:
    """The advice for a mistyped word: its nearest correct spelling, or what there is to choose from, or ""."""
    candidates = sorted(set(right))
    found = closest(wrong, candidates)
    if found:
        return f"did you mean {found}?"
    return "it can be " + ", ".join(candidates) if 0 < len(candidates) <= _MOST_LISTED else ""
