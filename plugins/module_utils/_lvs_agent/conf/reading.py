# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree of statements -> a configuration (see :mod:`.merge`), with all that is wrong and where it stands.

Repeated keywords are as in keepalived: blocks and lists add up, of a single value the last one counts.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ..spelling import nearest
from . import typed, values
from .include import Includer
from .merge import Configuration, Fields
from .places import Places
from .problem import WARNING, BadValue, Problem
from .schema import BLOCK_OF, VARIABLES
from .tree import MOST_PROBLEMS, Statement, TooMuch
from .validate import label
from .words import (
    BLOCK,
    BLOCKS,
    GONE,
    INT,
    LINES,
    NOT_SUPPORTED,
    OWN,
    REFUSED,
    SUPPORTED,
    Block,
    Word,
)

AGENT = "agent"
KEEPALIVED = "keepalived"

_TOP: dict[str, Word] = {
    spelling: variable.word
    for variable in VARIABLES
    if not variable.flat
    for spelling in (variable.word.name, *variable.word.aliases)
}
_FLAT = BLOCK_OF["top_level"]


def _homes() -> dict[str, list[str]]:
    """Every spelling -> the blocks that have it."""
    found: dict[str, list[str]] = {}

    def collect(block: Block) -> None:
        for spelling, word in block.index().items():
            if word.kind not in (GONE, REFUSED) and not word.key and block.name not in found.setdefault(spelling, []):
                found[spelling].append(block.name)
        for word in block.words:
            if word.block is not None:
                collect(word.block)

    for block in BLOCK_OF.values():
        collect(block)
    return found


_HOMES = _homes()
_REQUIRED = {"virtual_ipaddress": "no_virtual_ipaddress", "interface": "unicast_peer"}  # or else the other word


class _Trail(t.NamedTuple):
    """Where the reader is: the part before, the name here, and what tells a block from its like."""

    outer: _Trail | None
    name: str
    block: Block | None = None
    fields: t.Mapping[str, t.Any] = {}
    number: int = 0

    def path(self) -> str:
        """As in a problem: ``vrrp_instance[VI_1].priority``."""
        before = f"{self.outer.path()}." if self.outer is not None else ""
        if self.block is None:
            return f"{before}{self.name}"
        return f"{before}{self.name}[{label(self.block, self.fields, self.number)}]"


class Reading:
    """Reads one tree. ``engine``: "agent" complains of what lvs-agent does not do, "keepalived" does not."""

    def __init__(self, statements: t.Sequence[Statement], problems: t.Sequence[Problem], engine: str = AGENT) -> None:
        self.configuration: Configuration = {
            variable.key: {} if variable.word.kind == BLOCK else [] for variable in VARIABLES
        }
        self.problems = list(problems)
        self._engine = engine
        self._blocks: dict[int, list[Statement]] = {}
        self._lists: dict[str, list[Statement]] = {}
        self._values: dict[tuple[t.Any, ...], t.Any] = {}
        self._names: dict[tuple[str, str], Statement] = {}
        self._warned: dict[str, tuple[int, int]] = {}
        self._errors = 0
        self._flat: Statement | None = None
        try:
            for statement in statements:
                self._top(statement)
        except TooMuch:
            pass  # noted
        self._count_warnings()
        self.places = Places(self.configuration, self._blocks, self._lists)

    # --- what is wrong

    def _problem(self, trail: _Trail | None, statement: Statement, what: str, instead: str = "", word: int = 0) -> None:
        """Note an error; the one that is too many ends the reading."""
        self._note(Problem(trail.path() if trail else "", what, instead, position=statement.position(word)))
        self._errors += 1
        if self._errors >= MOST_PROBLEMS:
            what = f"there are {MOST_PROBLEMS} errors by now"
            self._note(Problem("", what, "the rest was not looked at", position=statement.position()))
            raise TooMuch

    def _warn(self, trail: _Trail, statement: Statement, what: str, instead: str) -> None:
        """Note a warning, and how often it would have come again."""
        first, more = self._warned.setdefault(what, (len(self.problems), -1))
        self._warned[what] = (first, more + 1)
        if more < 0:
            self._note(Problem(trail.path(), what, instead, WARNING, position=statement.position()))

    def _note(self, problem: Problem) -> None:
        self.problems.append(problem)

    def _count_warnings(self) -> None:
        for place, more in self._warned.values():
            if more:
                one = self.problems[place]
                times = "one more time" if more == 1 else f"{more} more times"
                self.problems[place] = dataclasses.replace(one, what=f"{one.what} (and {times} below)")

    # --- the top level

    def _top(self, statement: Statement) -> None:
        keyword = statement.words[0]
        word = _TOP.get(keyword)
        if word is None:
            flat = _FLAT.find(keyword)
            if flat is None:
                self._unknown(statement, None, None)
            else:
                self._outside(flat, statement)
            return
        self._used(word, statement, _Trail(None, word.name))
        if word.block is None:
            found = self._list(word, statement, _Trail(None, word.name))
            self.configuration[word.name] += found
            self._lists.setdefault(word.name, []).append(statement)
        else:
            self._nested(word, word.block, statement, self.configuration, None)

    def _outside(self, word: Word, statement: Statement) -> None:
        """A word of the top level, as if those were a block."""
        found = self.configuration["top_level"]
        if self._flat is None:
            self._flat = Statement(["top_level"], statement.source, statement.number)
            self._flat.children = []
            self._blocks[id(found)] = [self._flat]
        (self._flat.children or []).append(statement)
        self._word(word, statement, found, None)

    # --- blocks

    def _nested(self, word: Word, block: Block, statement: Statement, into: Fields, outer: _Trail | None) -> None:
        """A block, or one more part of it, into its place among the words around it."""
        if word.kind == BLOCKS:
            found: Fields = {}
            beside = into.setdefault(word.name, [])
            trail = _Trail(outer, word.name, block, found, len(beside))
            beside.append(found)
        else:
            found = into.setdefault(word.name, {})
            trail = _Trail(outer, word.name)
        made_by = self._blocks.setdefault(id(found), [])
        made_by.append(statement)
        self._head(block, statement, found, trail)
        if statement.children is None:
            self._problem(trail, statement, f"{word.name} has no block", "add its words between { and }")
            return
        if word.kind == BLOCKS and outer is None:
            self._unique(block, statement, found, trail)
        if block.lines:
            lines = block.find(block.lines)
            if lines is not None:
                found[lines.name] = self._list(lines, statement, trail)
        else:
            self._children(block, statement.children, found, trail)
        self._complete(block, statement, found, trail)

    def _head(self, block: Block, statement: Statement, found: Fields, trail: _Trail) -> None:
        """The words between a block's keyword and its brace."""
        keys = block.keys
        said = statement.words[1:]
        first = 1
        if said and said[0] in ("fwmark", "group") and any(word.name == said[0] for word in keys):
            keys = [word for word in keys if word.name == said[0]]
            said, first = said[1:], 2
        else:
            keys = [word for word in keys if word.name in ("name", "ip", "port")]
        for word, one in zip(keys, said):
            seen = (id(word), one)
            if seen in self._values:
                found[word.name] = self._values[seen]
                continue
            single = Statement([word.name, one], statement.source, statement.number)
            try:
                found[word.name] = typed.value(word, single)
            except BadValue as bad:
                found[word.name] = one
                self._problem(trail, statement, bad.what, bad.instead, first + keys.index(word))
                continue
            if word.kind == INT:
                # tens of thousands of real servers have the same few ports
                self._values[seen] = found[word.name]
        if keys and not said:
            self._problem(trail, statement, f"this {block.name} has no {keys[0].name}", f"write it behind {block.name}")
        if len(said) > len(keys):
            what = f"{' '.join(said[len(keys) :])!r} is too much before the block of {block.name}"
            self._problem(trail, statement, what, "keepalived would ignore it", first + len(keys))

    def _unique(self, block: Block, statement: Statement, found: Fields, trail: _Trail) -> None:
        """A name belongs to one block of its kind."""
        name = found.get("name")
        if not isinstance(name, str):
            return
        before = self._names.setdefault((block.name, name), statement)
        if before is not statement:
            what = f"the name {name} is used twice, first at {before.position()}"
            self._problem(trail, statement, what, "give every block its own name", 1)

    def _complete(self, block: Block, statement: Statement, found: Fields, trail: _Trail) -> None:
        for word in block.needed:
            if word.name not in found:
                other = _REQUIRED.get(word.name, "")
                if block.name == "vrrp_instance" and other in found:
                    continue
                if any(child.words[0] in (word.name, *word.aliases) for child in statement.children or ()):
                    continue  # it is there, and what is wrong with it was told
                self._problem(
                    trail, statement, f"{word.name} is missing", f"write {word.name} and {values.expected(word)}"
                )

    def _children(self, block: Block, children: list[Statement], found: Fields, trail: _Trail) -> None:
        index, known = block.index(), self._values
        for child in children:
            word = index.get(child.words[0])
            if word is None or word.key:
                self._unknown(child, block, trail)
                continue
            if word.block is None and child.children is None and word.name not in found:
                # nearly every line of a large file was seen before: a weight, a timeout
                seen = (id(word), child.own, *child.words)
                value = known.get(seen)
                if value is not None:
                    found[word.name] = value
                    continue
            self._word(word, child, found, trail)

    def _word(self, word: Word, child: Statement, found: Fields, outer: _Trail | None) -> None:
        """One keyword of a block."""
        trail = _Trail(outer, word.name)
        plain = self._used(word, child, trail)
        if word.kind == REFUSED:
            return
        if word.block is not None:
            self._nested(word, word.block, child, found, outer)
            return
        if word.kind == LINES:
            found[word.name] = found.get(word.name, []) + self._list(word, child, trail)
            return
        if child.children is not None:
            self._problem(trail, child, f"{word.name} has a value, no block", f"write {values.expected(word)}")
            return
        if word.name in found:
            what = f"{word.name} is here twice"
            self._warn(trail, child, what, "the last one counts; remove the other")
        try:
            value = True if word.kind == GONE else typed.value(word, child)
        except BadValue as bad:
            what = bad.what.replace(child.words[-1], "the value") if word.secret else bad.what
            self._problem(trail, child, what, bad.instead, 1 if bad.word is None else bad.word)
            return
        found[word.name] = value
        if plain and child.text is None:
            seen = (id(word), child.own, *child.words)
            self._values[seen] = value

    def _list(self, word: Word, statement: Statement, trail: _Trail) -> list[str]:
        """The lines between the braces of a list; of one of our own, without braces, what is behind its keyword."""
        if word.own:
            return self._own_line(word, statement, trail)
        if len(statement.words) > 1 and not trail.block:
            what = f"{' '.join(statement.words[1:])!r} stands before the list of {word.name}"
            self._problem(trail, statement, what, "write it between { and }", 1)
        if statement.children is None:
            self._problem(trail, statement, f"{word.name} has no list", "write it between { and }")
            return []
        found: list[str] = []
        for child in statement.children:
            if child.children is not None:
                self._problem(trail, child, "a list has no blocks in it", "is a } missing before it?")
            elif child.own:
                self._problem(trail, child, f"a list has no lines of @{OWN}", f"write them without @{OWN}")
            else:
                try:
                    found += typed.lines(word, child)
                except BadValue as bad:
                    self._problem(trail, child, bad.what, bad.instead, bad.word or 0)
        if not found and word.required and not statement.children:
            self._problem(trail, statement, "the list is empty", "write at least one line")
        return found

    def _own_line(self, word: Word, statement: Statement, trail: _Trail) -> list[str]:
        line = Statement(statement.words[1:], statement.source, statement.number, column=statement.column)
        if not line.words or statement.children is not None:
            self._problem(trail, statement, f"{word.name} has no value", "write it behind the keyword, once a line")
            return []
        try:
            return typed.lines(word, line)
        except BadValue as bad:
            self._problem(trail, statement, bad.what, bad.instead, (bad.word or 0) + 1)
            return []

    # --- keywords

    def _used(self, word: Word, statement: Statement, trail: _Trail) -> bool:
        """Say what is to say of a keyword's use; True when there was nothing."""
        keyword = statement.words[0]
        if word.own and not statement.own:
            self._problem(trail, statement, f"keepalived has no {word.name}", f"write @{OWN} {word.name}")
            return False
        if statement.own and not word.own:
            what = f"{word.name} is keepalived's own word, and keepalived does not read lines of @{OWN}"
            self._problem(trail, statement, what, f"write it without @{OWN}")
            return False
        if word.kind == REFUSED:
            self._problem(trail, statement, f"{word.name} cannot be used here", word.reason)
            return False
        plain = True
        if keyword in word.outdated:
            what = f"{keyword} is an old spelling that keepalived 2.2.7 refuses"
            self._warn(trail, statement, what, f"write {word.name}")
            plain = False
        if word.kind == GONE:
            self._warn(trail, statement, f"{word.name} has no effect", word.reason)
        elif word.status != SUPPORTED and self._engine == AGENT:
            if word.status == NOT_SUPPORTED:
                self._problem(trail, statement, f"lvs-agent does not support {word.name}", word.reason)
            else:
                self._warn(trail, statement, f"{word.name} has no effect in lvs-agent", word.reason)
        else:
            return plain
        return False

    def _unknown(self, statement: Statement, block: Block | None, trail: _Trail | None) -> None:
        """A keyword that does not belong here."""
        keyword = statement.words[0]
        if keyword == "{":
            return  # noted when it was read
        where = f"in {block.name}" if block is not None else "outside all blocks"
        if Includer.is_include(keyword):
            self._problem(trail, statement, f"{keyword} has no file name", "write the file to read behind it")
        elif block is not None and keyword in _TOP and keyword not in _HOMES:
            what = f"{keyword} does not belong into {block.name}"
            self._problem(trail, statement, what, f"is the }} of {block.name} missing before it?")
            self._top(statement)
        elif keyword in _HOMES:
            what = f"{keyword} does not belong {where.replace('in ', 'into ')}"
            self._problem(trail, statement, what, f"it is a word of {_listed(_HOMES[keyword])}")
        else:
            known = block.spellings() if block is not None else [*_TOP, *_FLAT.spellings()]
            self._problem(trail, statement, f"there is no word {keyword!r} {where}", nearest(keyword, known))


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
