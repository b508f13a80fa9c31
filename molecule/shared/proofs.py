# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""The table with which a site's proofs end: what was to be shown, what the arithmetic says, what was seen."""

from __future__ import annotations


class Proofs:
    """Rows in the order in which they were shown."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, str, str]] = []

    def add(self, proof: str, expected: str, measured: str) -> None:
        self._rows.append((proof, expected, measured))

    def within(self, proof: str, seconds: float, low_s: float, high_s: float) -> None:
        """A time in a band, which is asserted; the row is there even when it is not."""
        self.add(proof, f"{low_s:.2f} to {high_s:.2f} s", f"{seconds:.2f} s")
        assert low_s <= seconds <= high_s, f"{proof}: {seconds:.2f} s, expected {low_s:.2f} to {high_s:.2f} s"

    def table(self) -> str:
        rows = [("proof", "expected", "measured"), *self._rows]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = (" | ".join(cell.ljust(width) for cell, width in zip(row, widths)) for row in rows)
        return "\n".join(f"| {line} |" for line in lines)
