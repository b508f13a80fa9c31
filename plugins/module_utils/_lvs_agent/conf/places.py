# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the parts of a configuration stand in its files: from a path such as a problem has to a position."""

from __future__ import annotations

import dataclasses
import sys
import typing as t

from .merge import Configuration, fields, items
from .problem import Position, Problem
from .schema import HOST_GLOBALS, HOST_INSTANCES, VARIABLES
from .tree import Statement
from .validate import label
from .words import BLOCK, BLOCKS, LINES, Block, Word

_KEYS = {
    **{variable.name: variable.key for variable in VARIABLES},
    HOST_INSTANCES: "vrrp_instance",
    HOST_GLOBALS: "global_defs",
}
_WORDS = {variable.key: variable.word for variable in VARIABLES}


class Places:
    """The statements behind a configuration.

    ``blocks`` has for each mapping of the configuration, by its identity, the statements that made it (a block
    can be written in parts), ``lists`` the same for the lists of lines of the top level, by keyword.
    """

    def __init__(
        self,
        configuration: Configuration,
        blocks: t.Mapping[int, list[Statement]],
        lists: t.Mapping[str, list[Statement]],
    ) -> None:
        self._configuration = configuration
        self._blocks = blocks
        self._lists = lists
        self._named: dict[int, dict[str, t.Mapping[str, t.Any]]] = {}  # by the identity of a list of blocks

    def of(self, where: str, what: str = "") -> Position | None:
        """The position of a path, or of the innermost part of it that stands in a file; None when nothing does.

        Of a list without a number behind it, the line that ``what`` speaks of.

        A path is as problems have it: ``director_vrrp_instances[VI_1].priority``, or with the keyword in place
        of the variable, ``vrrp_instance[VI_1].virtual_ipaddress[0]``.
        """
        name, _sign, rest = _head(where)
        key = _KEYS.get(name, name)
        word = _WORDS.get(key)
        if word is None:
            return None
        if word.block is None:
            return _line(self._lists.get(key, []), rest, what)
        value = self._configuration.get(key)
        found = self._step(word, value, rest, what)
        return found[0].position(found[1]) if found else None

    def made_by(self, block: t.Mapping[str, t.Any]) -> list[Statement]:
        """The statements that made a block of the configuration, which is this very mapping; none for a copy."""
        return self._blocks.get(id(block), [])

    def lists(self, keyword: str) -> list[Statement]:
        """The statements of a list of the top level, such as static_routes."""
        return self._lists.get(keyword, [])

    def with_position(self, problem: Problem) -> Problem:
        """The problem as one of a file: with its position, and keywords in place of variables."""
        name, sign, rest = _head(problem.where)
        where = f"{_KEYS.get(name, name)}{sign}{rest}"
        return dataclasses.replace(problem, where=where, hosts=(), position=self.of(problem.where, problem.what))

    def _step(self, word: Word, value: t.Any, rest: str, what: str) -> tuple[Statement, int] | None:
        """The statement and word a path leads to from the value of ``word``."""
        block = word.block
        if block is None:
            return None
        one, rest = self._element(block, value, rest)
        made_by = self._blocks.get(id(one), [])
        if not made_by:
            return None
        inner, _sign, rest = _head(rest.lstrip("."))
        found = block.find(inner) if inner else None
        if found is None:
            return self._unknown(made_by, inner), 0
        if found.key:
            return made_by[-1], _key_word(block, made_by[-1], found)
        if found.kind in (BLOCK, BLOCKS):
            return self._step(found, one.get(found.name), rest, what) or (made_by[-1], 0)
        said = _said(made_by, block, found)
        if not said:
            return made_by[-1], 0
        if found.kind == LINES:
            return _nth(said, rest, what) if not found.own else (said[min(_number(rest), len(said) - 1)], 1)
        return said[-1], min(1, len(said[-1].words) - 1)

    def _element(self, block: Block, value: t.Any, rest: str) -> tuple[t.Mapping[str, t.Any], str]:
        """The block that ``LABEL].…`` names among the elements of a value, and the rest; else the last one."""
        elements = items(value)
        if not elements:
            return {}, rest
        named = self._named.get(id(value))
        if named is None:
            named = self._named[id(value)] = {}
            for number, one in enumerate(elements):
                named.setdefault(label(block, one, number), fields(one))
        place = rest.find("]")
        while place >= 0:
            # a label may have brackets of its own: [2001:db8::1]:80
            found = named.get(rest[:place]) if rest[place + 1 : place + 2] in ("", ".", "[") else None
            if found is not None:
                return found, rest[place + 1 :]
            place = rest.find("]", place + 1)
        return fields(elements[-1]), rest

    @staticmethod
    def _unknown(made_by: list[Statement], name: str) -> Statement:
        for statement in made_by:
            for child in statement.children or ():
                if child.words[0] == name:
                    return child
        return made_by[-1]


def _head(path: str) -> tuple[str, str, str]:
    """The name a path begins with, the sign behind it ("." or "["), and the rest."""
    for place, sign in enumerate(path):
        if sign in ".[":
            return path[:place], sign, path[place + 1 :]
    return path, "", ""


def _said(made_by: list[Statement], block: Block, word: Word) -> list[Statement]:
    """The statements of a word in the block's parts, in order."""
    if block.lines == word.name:
        return made_by
    index = block.index()
    return [child for one in made_by for child in one.children or () if index.get(child.words[0]) is word]


def _key_word(block: Block, statement: Statement, word: Word) -> int:
    """Which word of a block's head a key is."""
    if word.name == "port":
        return min(2, len(statement.words) - 1)
    return len(statement.words) - 1 if word.name in ("fwmark", "group") else min(1, len(statement.words) - 1)


def _nth(said: list[Statement], rest: str, what: str) -> tuple[Statement, int]:
    """The line ``NUMBER]`` of a list, or the last one with a word of the message, or the list's keyword."""
    number = _number(rest)
    found = [child for one in said for child in one.children or ()]
    if number < len(found):
        return found[number], 0
    told = set(what.split())
    for child in reversed(found):
        for place, word in enumerate(child.words):
            if word in told or word.partition("/")[0] in told:
                return child, place
    return said[-1], 0


def _number(rest: str) -> int:
    """That of ``NUMBER]``; a large one for anything else."""
    number = rest.rstrip("]")
    return int(number) if number.isdigit() else sys.maxsize


def _line(said: list[Statement], rest: str, what: str) -> Position | None:
    if not said:
        return None
    statement, word = _nth(said, rest, what)
    return statement.position(word)
