# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each statement of a file went: from statements to paths of the configuration, in the form variables have.

A path is a tuple of keywords, numbers of elements, and names of VRRP instances:
``("vrrp_instance", "VI_1", "track_script", 0)``, ``("virtual_server", 3, "real_server", 0, "TCP_CHECK", "retry")``.
"""

from __future__ import annotations

import typing as t

from .argspec import is_list
from .merge import Configuration, fields, items
from .places import Places
from .schema import VARIABLES
from .tree import Statement
from .words import BLOCKS, LINES, Block, Word

Path = tuple[t.Union[str, int], ...]
_FLAT = ("member", "text")  # lists of which each word is an element


class Trails:
    """``paths``: by a statement's identity, its path; ``blocks``: by that of a block's statement, its mapping."""

    def __init__(self, configuration: Configuration, places: Places) -> None:
        self.paths: dict[int, Path] = {}
        self.blocks: dict[int, dict[str, t.Any]] = {}
        self._places = places
        for variable in VARIABLES:
            word, value = variable.word, configuration[variable.key]
            if word.block is None:
                self._lists(word, places.lists(variable.key), (variable.key,))
                continue
            for number, one in enumerate(items(value)):
                named = one.get("name") if variable.key == "vrrp_instance" else None
                last = (str(named) if named is not None else number,) if variable.many else ()
                self._block(word.block, one, (variable.key, *last))

    def _block(self, block: Block, one: dict[str, t.Any], path: Path) -> None:
        for statement in self._places.made_by(one):
            self.paths[id(statement)] = path
            self.blocks[id(statement)] = one
            for child in statement.children or ():
                word = block.find(child.words[0]) if not block.lines else None
                if word is not None and word.block is None:
                    self.paths[id(child)] = (*path, word.name)
        for word in block.words:
            if word.kind == LINES:
                said = self._places.made_by(one) if block.lines == word.name else self._said(block, word, one)
                self._lists(word, said, (*path, word.name))
            elif word.block is not None and word.name in one:
                beside = items(one[word.name])
                several = word.kind == BLOCKS and (is_list(word) or len(beside) > 1)
                for number, inner in enumerate(beside):
                    self._block(word.block, inner, (*path, word.name, *((number,) if several else ())))

    def _said(self, block: Block, word: Word, one: t.Mapping[str, t.Any]) -> list[Statement]:
        """The statements of one word in the parts of a block."""
        parts = self._places.made_by(one)
        return [child for part in parts for child in part.children or () if block.find(child.words[0]) is word]

    def _lists(self, word: Word, said: list[Statement], path: Path) -> None:
        number = 0
        for statement in said:
            if word.own:
                self.paths[id(statement)] = (*path, number)
                number += 1
                continue
            self.paths.setdefault(id(statement), path)
            for child in statement.children or ():
                self.paths[id(child)] = (*path, number)
                number += len(child.words) if word.line in _FLAT else 1


def plain(block: Block, given: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """A block as a site would write it: a check that is there once is a mapping, not a list of one."""
    found: dict[str, t.Any] = {}
    for name, value in given.items():
        word = block.find(name)
        if word is None or word.block is None:
            found[name] = value
            continue
        inner = [plain(word.block, fields(one)) for one in items(value)]
        single = len(inner) == 1 and not (word.kind == BLOCKS and is_list(word))
        found[name] = inner[0] if single else inner
    return found
