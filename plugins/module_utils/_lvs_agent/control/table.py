# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain tables, and spans of time, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Lines with columns as wide as their widest cell."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()


def span(seconds: float) -> str:
    """A span in its two largest units: ``3 d 4 h``, ``12 min 5 s``, ``4.2 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    left = int(seconds)
    found: list[str] = []
    for size, unit in _UNITS:
        if left >= size or found:
            found.append(f"{left // size} {unit}")
            left %= size
    return " ".join([*found, f"{left} s"][:2])
