# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A line of a file with a caret under the word that a finding is about, safe to write to a terminal."""

from __future__ import annotations

import re
import typing as t
import unicodedata

from .lexer import Source
from .problem import Position

WIDEST = 100  # columns of an excerpt
_BEFORE = 40  # columns shown before the word of a line that has to be cut
_TAB = 8
_CUT = "..."
_WORD = re.compile(r'"[^"]*"?|(?:\$\{[^{}]*\}|[^\s"{}#!])+|[{}]')
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def visible(text: str) -> str:
    """The text with control characters, unpaired bytes and marks that turn the reading direction written out."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_seen, text))


def excerpt(sources: t.Mapping[str, Source], position: Position) -> tuple[str, str]:
    """The line a position is in and the line that marks its word, both at most :data:`WIDEST` columns and characters.

    Both are empty when the file was not read or has no such line. What is left out of a long line is "...".
    """
    source = sources.get(position.file)
    if source is None or not 0 < position.line <= len(source.lines):
        return "", ""
    line = source.lines[position.line - 1].rstrip()
    place = min(position.column - 1, len(line))
    cut_left = max(0, place - _BEFORE) if len(line) > WIDEST else 0
    # nothing beyond this can be shown, and a line may have a megabyte
    line = line[: cut_left + WIDEST + 1]
    match = _WORD.match(line, place)
    end = match.end() if match else place + 1
    shown, begin, stop = _CUT if cut_left else "", 0, 0
    column = len(shown)
    for number, character in enumerate(line[cut_left:], cut_left):
        drawn = " " * (_TAB - column % _TAB) if character == "\t" else _seen(character)
        # combining marks take no column, and there may be any number of them
        if max(column + _columns(drawn), len(shown) + len(drawn)) > WIDEST - len(_CUT):
            shown += _CUT
            break
        begin = column if number == place else begin
        shown += drawn
        column += _columns(drawn)
        stop = column if number < end else stop
    else:
        begin = column if place == len(line) else begin
    return shown.rstrip(), " " * begin + "^" + "~" * (stop - begin - 1)


def _seen(character: str) -> str:
    """A character that a terminal shows as what it is."""
    if unicodedata.category(character) not in _UNSEEN:
        return character
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:
        return f"\\x{number - 0xDC00:02x}"  # a byte that is not UTF-8
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _columns(text: str) -> int:
    """How wide a terminal draws a text: a wide character has two columns, a combining mark none."""
    wide = sum(unicodedata.east_asian_width(one) in "WF" for one in text)
    return len(text) + wide - sum(unicodedata.category(one) in ("Mn", "Me") for one in text)
