# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a file has besides its statements: comments, and lines that are meant for somebody else."""

from __future__ import annotations

import re
import typing as t

from . import lexer
from .lexer import Source
from .problem import BadValue, Position
from .raw import braces
from .tree import Statement
from .words import OWN

_FOR = re.compile(r"[ \t]*@(\^?)([^ \t]+)[ \t]+(.*)\Z")
_MANAGED = re.compile(r"ansible.managed", re.IGNORECASE)


class Remark(t.NamedTuple):
    """A comment or a line for others: its text, where it stands, and whom it is beside.

    ``above`` is the statement that a comment stands above or behind; without one it ends ``within``, or, when that is
    None too, belongs to the file as a whole.
    """

    text: str
    position: Position
    above: Statement | None
    within: Statement | None


class Remarks(t.NamedTuple):
    """``comments`` without their sign; ``skipped`` lines are conditions that did not hold for the reader."""

    comments: list[Remark]
    skipped: list[Remark]


def remarks(sources: t.Iterable[Source], statements: t.Iterable[Statement], ids: t.Collection[str]) -> Remarks:
    """All of them, in the order of the files."""
    roots: dict[str, list[Statement]] = {}
    _sort(statements, "", roots)
    found = Remarks([], [])
    for source in sources:
        _File(source, roots.get(source.name, []), {*ids, OWN}, found).read()
    return found


def _sort(statements: t.Iterable[Statement], outer: str, roots: dict[str, list[Statement]]) -> None:
    """By file, the statements that are in no block of the same file."""
    for statement in statements:
        name = statement.source.name
        if name != outer:
            roots.setdefault(name, []).append(statement)
        _sort(statement.children or (), name, roots)


class _File:
    """One pass over the lines of a source."""

    def __init__(self, source: Source, roots: list[Statement], ids: set[str], found: Remarks) -> None:
        self._source = source
        self._roots = roots
        self._ids = ids
        self._found = found
        self._depth = 0
        self._all = sorted(_within(roots, source.name), key=lambda one: one.number)
        self._next = 0  # the first statement that is not above the line

    def read(self) -> None:
        waiting: list[tuple[str, int]] = []
        for number, line in enumerate(self._source.lines, 1):
            while self._next < len(self._all) and self._all[self._next].number < number:
                self._next += 1
            text, comment = _cut(line)
            if not text.strip():
                if comment:
                    waiting.append((comment, number))
                elif waiting and self._next == 0 and not self._depth:
                    waiting = self._note(waiting, None)  # a blank line ends what is said of the whole file
                continue
            here = self._all[self._next] if self._next < len(self._all) else None
            if text.lstrip().startswith("}"):
                waiting = self._note(waiting, None)
            elif here is not None:
                waiting = self._note(waiting, here)
            if comment:
                beside = here if here is not None and here.number == number else None
                self._note([(comment, number)], beside)
            self._skipped(text, number)
            self._depth += sum(braces(text))
        self._note(waiting, None)

    def _note(self, waiting: list[tuple[str, int]], above: Statement | None) -> list[tuple[str, int]]:
        for text, number in waiting:
            if not _MANAGED.search(text):
                place = Position(self._source.name, number, 1)
                within = None if above is not None else self._enclosing(number)
                self._found.comments.append(Remark(text, place, above, within))
        return []

    def _skipped(self, text: str, number: int) -> None:
        match = _FOR.match(text)
        if match is None or (match[2] in self._ids) != bool(match[1]):
            return
        place = Position(self._source.name, number, text.index("@") + 1)
        self._found.skipped.append(Remark(text.strip(), place, None, self._enclosing(number)))

    def _enclosing(self, number: int) -> Statement | None:
        """The innermost block that is open at a line."""
        beside, found = self._roots, None
        for _level in range(self._depth):
            above = [one for one in beside if one.number <= number and one.children is not None]
            if not above:
                break
            found = above[-1]
            beside = [one for one in found.children or () if one.source is self._source]
        return found


def _within(statements: t.Iterable[Statement], name: str) -> t.Iterator[Statement]:
    for statement in statements:
        if statement.source.name == name:
            yield statement
        yield from _within(statement.children or (), name)


def _cut(line: str) -> tuple[str, str]:
    """A line without its comment, and the comment without its sign."""
    if "#" not in line and "!" not in line:
        return line, ""
    try:
        text = lexer.without_comment(line)
    except BadValue:
        return line, ""
    for match in re.finditer("[#!]", line):
        try:
            if lexer.without_comment(line[: match.start()]) == text and not _is_escaped(line, match.start()):
                return text, line[match.start() + 1 :].strip()
        except BadValue:
            continue  # between quotes
    return text, ""


def _is_escaped(line: str, place: int) -> bool:
    return line[:place].endswith("\\")
