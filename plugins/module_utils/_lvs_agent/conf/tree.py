# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a file says, before anybody asks what it means: statements, their blocks, their places."""

from __future__ import annotations

import typing as t

from .lexer import Source, Token, tokens
from .problem import ERROR, Position, Problem

# Bounds, far above any real file, so that no input takes all memory or time. keepalived has none.
MOST_STATEMENTS = 1_000_000
MOST_PROBLEMS = 1000
DEEPEST_BLOCK = 16


class TooMuch(Exception):
    """A bound was reached; the problem that says which is noted already."""


class Statement:
    """One keyword with its words, and its block when it has one.

    ``words`` are without their quotes, the keyword first. ``children`` is None without braces. ``text`` is what
    the words were split from when it is not plainly the source's line: it has quotes, or parameters in it were
    replaced. ``column``, from 1, is where that text or the line's words begin. ``own``: its line began with
    ``@lvs_agent``. ``exact``: text and column are those of the source; otherwise a parameter or range made it.
    """

    __slots__ = ("children", "column", "exact", "number", "own", "source", "text", "words")

    def __init__(
        self,
        words: list[str],
        source: Source,
        number: int,
        *,
        column: int = 1,
        text: str | None = None,
        own: bool = False,
        exact: bool = True,
    ) -> None:
        self.words = words
        self.source = source
        self.number = number
        self.column = column
        self.text = text
        self.own = own
        self.exact = exact
        self.children: list[Statement] | None = None

    def position(self, word: int = 0) -> Position:
        """Where one of its words stands; the last one for a number beyond the words."""
        word = min(word, len(self.words) - 1)
        line = self.source.lines[self.number - 1]
        begin = self.column - 1
        if not self.exact:
            column = _alike(line, word - len(self.words)) or begin
        else:
            said = tokens((self.text if self.text is not None else line[begin:])[:_FAR])
            column = begin + said[word].start if word < len(said) else begin
        return Position(self.source.name, self.number, column + 1)

    def raw(self) -> str:
        """The text of the statement with its quotes and backslashes."""
        return self.text if self.text is not None else " ".join(self.words)


_FAR = 2000  # characters of a line in which a word's column is looked for


def _alike(line: str, from_the_end: int) -> int | None:
    """Where the word stands that became a replaced one: as many words from the end of the line."""
    said: list[Token] = tokens(line[:_FAR])
    if any(brace in line for brace in "{}#!") or -from_the_end > len(said):
        return None
    return said[from_the_end].start


class Builder:
    """Takes statements and braces in order, and makes the tree of them.

    ``statements`` are those of the top level, ``problems`` what was wrong with the braces and whatever else the
    readers note here.
    """

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self.problems: list[Problem] = []
        self._current = self.statements
        self._open: list[tuple[Statement, list[Statement]]] = []
        self._pending: Statement | None = None  # the one a brace would belong to
        self._left = MOST_STATEMENTS

    def problem(self, position: Position, what: str, instead: str = "", severity: str = ERROR) -> None:
        """Note a finding; the one that is too many ends the reading."""
        self.problems.append(Problem("", what, instead, severity, position=position))
        if len(self.problems) >= MOST_PROBLEMS:
            what = f"there are {MOST_PROBLEMS} findings by now"
            self.problems.append(Problem("", what, "the rest of the file was not read", position=position))
            raise TooMuch

    def too_much(self, position: Position, what: str) -> t.NoReturn:
        """Note that a bound was reached, and end the reading."""
        self.problems.append(Problem("", what, "the rest of the file was not read", position=position))
        raise TooMuch

    def add(self, statement: Statement) -> None:
        """The next statement of the block that is open."""
        self._left -= 1
        if self._left < 0:
            self.too_much(statement.position(), f"there are more than {MOST_STATEMENTS} statements")
        self._current.append(statement)
        self._pending = statement

    def open(self, source: Source, number: int, column: int) -> None:
        """``{``: the last statement's block begins."""
        owner, self._pending = self._pending, None
        if owner is None:
            self.problem(Position(source.name, number, column), "a { without a keyword before it")
            owner = Statement(["{"], source, number, column=column)
        if len(self._open) == DEEPEST_BLOCK:
            place = Position(source.name, number, column)
            self.too_much(place, f"blocks are nested more than {DEEPEST_BLOCK} deep")
        owner.children = []
        self._open.append((owner, self._current))
        self._current = owner.children

    def close(self, source: Source, number: int, column: int) -> None:
        """``}``: the innermost block ends."""
        self._pending = None
        if not self._open:
            self.problem(Position(source.name, number, column), "a } too much", "no block is open here")
            return
        _owner, self._current = self._open.pop()

    def finish(self) -> None:
        """Note the blocks that never ended."""
        for owner, _outer in reversed(self._open):
            name = " ".join(owner.words[:2])
            self.problem(owner.position(), f"the block {name!r} has no end", "add its }")
        self._open.clear()
