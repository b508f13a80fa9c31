# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table of figures, ours beside keepalived's, for people and as JSON; pictures beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from director_pair import KEEPALIVED, OURS
from strip_plot import strip_svg


class Figures:
    """Rows of the table: a figure, what is to be reached, and what each engine has."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.rows: list[tuple[str, str, str, str]] = []
        self.measured: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}

    def add(self, name: str, to_reach: str, said: dict[str, str], **numbers: Any) -> None:
        """What people read, and the numbers behind it."""
        self.rows.append((name, to_reach, said[OURS], said.get(KEEPALIVED, "–")))
        self.measured[name] = {"to reach": to_reach, **said, **numbers}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(self.measured, indent=1))

    def picture(self, name: str, title: str, series: Mapping[str, Sequence[float]]) -> None:
        """Milliseconds as an SVG beside the JSON."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.with_name(f"{name}.svg").write_text(strip_svg(title, series))

    def table(self) -> str:
        """All of it."""
        rows = [("", "to reach", OURS, KEEPALIVED), *self.rows]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
