# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hatch: lines of keepalived.conf that a site insists on, put into the file as they are.

Only their shape is judged here, so that they cannot end a block that is not theirs; :mod:`.check_raw` says what
lvs-agent makes of them, and ``keepalived -t`` what keepalived does.
"""

from __future__ import annotations

import re
import typing as t

from . import lexer, values
from .lexer import LONGEST_LINE
from .problem import BadValue, Problem

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")


def lines_problems(value: t.Any, where: str) -> list[Problem]:
    """What is wrong with the word ``raw`` of a block: a list, a line of the file each."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) for one in value):
        return [Problem(where, f"it is {_shown(value)}", "write a list of text, a line of the file for each element")]
    return _shape([str(one) for one in value], where)


def text_problems(value: t.Any, where: str) -> list[Problem]:
    """What is wrong with the variable ``director_raw``: a text of any number of lines."""
    if not isinstance(value, str):
        return [Problem(where, f"it is {_shown(value)}", "write a text, as in: director_raw: |")]
    return _shape(text_lines(value), where)


def text_lines(value: str) -> list[str]:
    """The lines of a text, without the empty ones at its end."""
    return value.rstrip().split("\n") if value.strip() else []


def braces(text: str) -> list[int]:
    """The braces of a line without comment: 1 for each that opens, -1 for each that closes."""
    found: list[int] = []
    place = lexer.brace(text)
    while place >= 0:
        found.append(1 if text[place] == "{" else -1)
        text = text[place + 1 :]
        place = lexer.brace(text)
    return found


def _shown(value: t.Any) -> str:
    odd = [one for one in value if not isinstance(one, str)] if isinstance(value, (list, tuple)) else []
    return f"a list with {values.shown(odd[0])} in it" if odd else values.shown(value)


def _shape(lines: t.Sequence[str], where: str) -> list[Problem]:
    depth = 0
    for number, line in enumerate(lines):
        place = f"{where}[{number}]"
        if _CONTROL.search(line):
            return [Problem(place, "it contains a line break or another control character", "write an element a line")]
        if len(line.encode("utf-8", "replace")) > LONGEST_LINE:
            return [Problem(place, f"the line is longer than {LONGEST_LINE} bytes")]
        try:
            text = lexer.without_comment(line)
        except BadValue as bad:
            return [Problem(place, bad.what, bad.instead)]
        if text.rstrip().endswith("\\"):
            return [Problem(place, "the line ends with a backslash, which would take the next one with it")]
        for step in braces(text):
            depth += step
            if depth < 0:
                return [Problem(place, "a } too much", "it would end the block around it")]
    return [Problem(where, "a { has no }", "end every block that it begins")] if depth else []
