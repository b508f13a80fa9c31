# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text to whole numbers: the one place that knows which digits count.

Python's own readers take more than keepalived and the kernel's tools do: `int` reads the digits of every script and
``1_000``, `str.isdigit` is true for ``²``, and a text of some thousand digits raises ValueError.
"""

from __future__ import annotations

import re
import typing as t

from .problem import BadValue

UINT8, UINT16, UINT32, UINT64 = 2**8 - 1, 2**16 - 1, 2**32 - 1, 2**64 - 1
INT32 = 2**31 - 1

_LONGEST = 32  # characters; the longest number in range has 20 digits
_DIGITS = re.compile(r"[0-9]+\Z")
_SIGNED = re.compile(r"[+-]?[0-9]+\Z")
_C = re.compile(r"([+-]?)(?:(0[xX][0-9A-Fa-f]+)|(0[0-7]*)|([1-9][0-9]*))\Z")


class Range(t.NamedTuple):
    """The numbers from ``low`` to ``high``, both included."""

    low: int
    high: int

    def __str__(self) -> str:
        return f"from {self.low} to {self.high}"


def whole(text: str, *, signed: bool = False) -> int | None:
    """A whole number in decimal digits, with a sign where that is allowed; None for anything else."""
    return int(text) if len(text) <= _LONGEST and (_SIGNED if signed else _DIGITS).match(text) else None


def c_number(text: str) -> int | None:
    """A whole number as strtoul(3) reads it with base 0 (octal after 0, hexadecimal after 0x), or None."""
    match = _C.match(text) if len(text) <= _LONGEST else None
    if match is None:
        return None
    sign, hexadecimal, octal, decimal = match.groups()
    found = int(hexadecimal, 16) if hexadecimal else int(octal, 8) if octal else int(decimal)
    return -found if sign == "-" else found


def within(text: str, wanted: Range) -> bool:
    """Whether it is a decimal number of the range."""
    found = whole(text, signed=wanted.low < 0)
    return found is not None and wanted.low <= found <= wanted.high


def read(text: str, wanted: Range, what: str) -> int:
    """A decimal number of the range. Raises BadValue; ``what`` names the keyword."""
    if not within(text, wanted):
        raise BadValue(f"{what} {text!r} is not a number {wanted}")
    return int(text)
