# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From files to statements: includes, conditional lines, parameters, sequences and lists.

Source: keepalived.conf(5), "Conditional configuration", "Parameter substitution", "Sequence blocks" and "List
blocks", and ``keepalived -t`` of 2.2.7, which also reads an include line with a condition or a parameter in it.
"""

from __future__ import annotations

import itertools
import random
import re
import typing as t

from ..spelling import nearest
from . import lexer, numbers
from .include import Includer
from .lexer import LONGEST_LINE, Source
from .problem import WARNING, BadValue, Position
from .tree import Builder, Statement
from .words import OWN

MOST_LINES = 1_500_000  # read or made by parameters, sequences and lists
MOST_REPLACEMENTS = 1000  # in one line
_DEEPEST = 32  # parameters of several lines within each other, and sequences on one line

# A line of ordinary words, with at most one brace at its end: nearly all lines of a large file.
_PLAIN = re.compile(r"[ \t]*((?!include)[A-Za-z0-9_./:*+-][A-Za-z0-9_./:,%+=*^<>|&;?()\[\]' \t-]*)?([{}])?[ \t]*\r?\Z")
_BLANKS = " \t\r\f\v"
_DEFINITION = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)=[ \t]*(.*)\Z", re.DOTALL)
_USE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)((?: +[A-Za-z0-9_]+)*)\}|([A-Za-z_][A-Za-z0-9_]*)(?=[ \t,)]|\Z))")
_QUOTED = re.compile(r'"[^"]*"')
_MISUSE = re.compile(r"\$\{[^}\"]*\}?")
_SEQUENCE = re.compile(r"~SEQ(x?)[ \t]*\(([^()]*)\)[ \t]*(.*)\Z", re.DOTALL)
_LIST = re.compile(r"~LST[ \t]*\(([^()]*)\)[ \t]*(.*)\Z", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_ITEM = re.compile(r"[ \t]*(?:\{([^{}]*)\}|([^\s,{}\"]*))[ \t]*(?:,|\Z)")


class Line(t.NamedTuple):
    """A line on its way: its text now, and where it comes from. ``exact``: nothing in it was replaced."""

    text: str
    source: Source
    number: int
    column: int = 1
    own: bool = False
    exact: bool = True

    def position(self) -> Position:
        """Where it begins."""
        return Position(self.source.name, self.number, self.column)

    def rest(self, text: str) -> Line:
        """The same line when only this end of its text is left."""
        moved = len(self.text) - len(text) if self.exact else 0
        return self._replace(text=text, column=self.column + moved)


class Preprocessor:
    """Reads sources line by line into a :class:`.tree.Builder`.

    ``ids`` are the configuration's ids (keepalived's ``-i``); ours, ``lvs_agent``, is always one of them.
    ``environment`` is what ``${_ENV NAME}`` reads.
    """

    def __init__(
        self, builder: Builder, includer: Includer, ids: t.Collection[str], environment: t.Mapping[str, str]
    ) -> None:
        self.builder = builder
        self._includer = includer
        self._ids = {*ids, OWN}
        self._instance = next(iter(ids), "")
        self._environment = environment
        self._parameters: dict[str, str | list[Line]] = {}
        self._defining: tuple[str, list[Line]] | None = None
        self._lines = 0
        self._depth = 0
        self._random = random.Random()

    def read(self, source: Source) -> None:
        """All lines of one file."""
        plain, add = _PLAIN.match, self.builder.add
        open_block, close_block = self.builder.open, self.builder.close
        for number, line in enumerate(source.lines, 1):
            match = plain(line) if self._defining is None and len(line) <= LONGEST_LINE else None
            if match is None:
                self._raw(line, source, number)
                continue
            text, brace = match.groups()
            if text is not None:
                add(Statement(text.split(), source, number))
            if brace is not None:
                (open_block if brace == "{" else close_block)(source, number, match.start(2) + 1)
        self._defining = None

    def _raw(self, line: str, source: Source, number: int) -> None:
        """A line as it stands in the file, when it is not a plain one."""
        if self._defining is None and line.lstrip(_BLANKS)[:1] in ("#", "!", "") and len(line) <= LONGEST_LINE // 4:
            return
        where = Position(source.name, number, 1)
        if len(line) > LONGEST_LINE or len(line.encode("utf-8", "surrogateescape")) > LONGEST_LINE:
            what = f"the line is longer than {LONGEST_LINE} bytes"
            self.builder.problem(where, what, "keepalived takes the rest for another line; write a shorter one")
            return
        if "\0" in line:
            at = Position(source.name, number, line.index("\0") + 1)
            self.builder.problem(at, "there is a zero byte", "remove it; keepalived reads no further in this line")
            return
        continued = line.rstrip("\r").endswith("\\")
        try:
            text = lexer.without_comment(line.rstrip("\r")[:-1] if continued else line)
        except BadValue as bad:
            at = Position(source.name, number, line.rfind('"') + 1)
            self.builder.problem(at, bad.what, bad.instead)
            return
        stripped = text.lstrip(_BLANKS)
        column = len(text) - len(stripped) + 1
        # an escaped comment sign has moved what follows it
        exact = line.startswith(text)
        one = Line(stripped, source, number, column, exact=exact)
        if self._defining is not None:
            self._define_more(one, continued)
        elif continued and not _DEFINITION.match(self._unconditional(stripped)):
            if stripped:
                self.builder.problem(
                    Position(source.name, number, len(line.rstrip("\r"))),
                    "the line ends with a backslash",
                    "a value stands on one line; only a $PARAMETER= can have several",
                )
        elif stripped:
            self.line(one, continued)

    @staticmethod
    def _unconditional(text: str) -> str:
        """The text behind its condition."""
        return text.partition(" ")[2].lstrip(_BLANKS) if text.startswith("@") else text

    # --- one line, in keepalived's order: condition, definition, sequence or list, parameters, include, braces

    def line(self, line: Line, continued: bool = False) -> None:
        """Take one line whose comment is gone. ``continued``: it ends with a backslash, which is gone too."""
        rest: Line | None = line
        while rest is not None:
            self._count(rest)
            rest = self._until_brace(rest, continued)

    def _until_brace(self, line: Line, continued: bool) -> Line | None:
        """Take a line up to and with its first brace; what follows is a line again, None when nothing does."""
        while line.text:
            before = line
            if line.text[0] == "@":
                line = self._condition(line)
            elif line.text[0] == "$" and _DEFINITION.match(line.text):
                self._define(line, continued)
                return None
            elif line.text.startswith(("~SEQ", "~LST")):
                self._repeat(line)
                return None
            elif "$" in line.text:
                replaced = self._replaced(line)
                if replaced is None:
                    return None
                line = replaced
            if line.text == before.text:
                break
        return self._split(line) if line.text and not self._included(line) else None

    def _count(self, line: Line) -> None:
        self._lines += 1
        if self._lines > MOST_LINES:
            self.builder.too_much(line.position(), f"parameters and ranges make more than {MOST_LINES} lines")

    def _condition(self, line: Line) -> Line:
        """The line without its ``@id``; an empty one when it is not for us."""
        word, _blank, rest = line.text.replace("\t", " ").partition(" ")
        name = word[1:].lstrip("^") if word.startswith("@^") else word[1:]
        text = line.text[len(line.text) - len(rest) :].lstrip(_BLANKS) if rest else ""
        wanted = (name in self._ids) != word.startswith("@^")
        moved = line.rest(text if wanted else "")
        return moved._replace(own=True) if name == OWN and wanted else moved

    def _included(self, line: Line) -> bool:
        """Read the files an include line names; False when it is no include line."""
        word, _blank, rest = line.text.replace("\t", " ").partition(" ")
        if word == "include_check":
            self._includer.check_level([token.text for token in lexer.tokens(line.text)[1:]])
        if not self._includer.is_include(word) or not rest.strip():
            return False
        self._includer.include(word, rest.strip(_BLANKS), line.position(), self)
        return True

    def _split(self, line: Line) -> Line | None:
        """The statement and the brace a line begins with; returns what follows the brace."""
        place = lexer.brace(line.text)
        if place < 0:
            self._statement(line)
            return None
        if line.own:
            what = f"a line of @{OWN} cannot have braces"
            self.builder.problem(line.position(), what, "keepalived leaves out the whole line")
            return None
        before, after = line.text[:place].rstrip(_BLANKS), line.text[place + 1 :].lstrip(_BLANKS)
        if before:
            self._statement(line._replace(text=before))
        at = line.rest(line.text[place:])
        (self.builder.open if line.text[place] == "{" else self.builder.close)(at.source, at.number, at.column)
        return line.rest(after) if after else None

    def _statement(self, line: Line) -> None:
        words = lexer.tokens(line.text)
        for token in words:
            if not token.text.isascii() and re.search("[\udc80-\udcff]", token.text):
                at = line.rest(line.text[token.start :]).position()
                self.builder.problem(at, "this word is not UTF-8", "save the file as UTF-8")
                return
        text = [token.text for token in words]
        self.builder.add(
            Statement(
                text,
                line.source,
                line.number,
                column=line.column,
                text=line.text,
                own=line.own,
                exact=line.exact,
            )
        )

    # --- parameters

    def _define(self, line: Line, continued: bool) -> None:
        match = _DEFINITION.match(line.text)
        if match is None:
            return
        name, value = match.group(1), match.group(2).rstrip(_BLANKS)
        if not continued:
            self._parameters[name] = value
            return
        first = [line.rest(value)] if value else []
        self._defining = (name, first)
        self._parameters[name] = first

    def _define_more(self, line: Line, continued: bool) -> None:
        """One more line of a parameter of several."""
        if self._defining is not None and line.text:
            self._defining[1].append(line)
        if not continued:
            self._defining = None

    def _replaced(self, line: Line) -> Line | None:
        """The line with its parameters replaced; None when one of several lines took its place, or on an error."""
        text = line.text
        place = 0
        for _count in range(MOST_REPLACEMENTS):
            match = _USE.search(text, place)
            if match is None:
                self._unknown(line, text)
                return line if text == line.text else line._replace(text=text.strip(_BLANKS), exact=False)
            value = self._value(match, line)
            if value is None:
                place = match.end()
                continue
            if isinstance(value, list):
                if match.end() < len(text):
                    place = match.end()  # as keepalived: nothing may stand behind it
                    continue
                self._several(line._replace(text=text[: match.start()], exact=False), value)
                return None
            text = text[: match.start()] + value + text[match.end() :]
            place = match.start()
            if len(text) > LONGEST_LINE:
                what = f"with its parameters replaced the line is longer than {LONGEST_LINE} characters"
                self.builder.problem(line.position(), what)
                return None
            if text.lstrip(_BLANKS).startswith(("~SEQ", "~LST")):
                return line._replace(text=text.strip(_BLANKS), exact=False)
        self.builder.problem(line.position(), "its parameters contain themselves", "end the circle")
        return None

    def _value(self, match: re.Match[str], line: Line) -> str | list[Line] | None:
        """What a use of a parameter stands for; None when it is no parameter's name."""
        name, arguments = match.group(1) or match.group(3), (match.group(2) or "").split()
        if name in self._parameters:
            return self._parameters[name] if not arguments else None
        if name == "_ENV" and len(arguments) == 1:
            if arguments[0] not in self._environment:
                where = line.position()
                self.builder.problem(where, f"the environment has no variable {arguments[0]}", "", WARNING)
            return self._environment.get(arguments[0], "")
        if name == "_RANDOM" and len(arguments) <= 2:
            given = [numbers.whole(one) for one in arguments]
            low, high = given[0] if given else 0, given[1] if len(given) == 2 else 32767
            if low is None or high is None:
                return None
            return str(self._random.randint(min(low, high), max(low, high)))
        fixed = {"_PWD": self._includer.directory, "_INSTANCE": self._instance, "_HASH": "#", "_BANG": "!"}
        return fixed.get(name) if not arguments else None

    def _unknown(self, line: Line, text: str) -> None:
        """Complain of a ``${…}`` nobody defined: keepalived takes its braces for a block's."""
        for match in _MISUSE.finditer(text):
            if lexer.brace(_QUOTED.sub(_blanked, text)[match.start() : match.end()]) >= 0:
                said = match.group()
                known = ["_PWD", "_INSTANCE", "_RANDOM", "_HASH", "_BANG", "_ENV", *self._parameters]
                advice = nearest(said.strip("${} "), known)
                self.builder.problem(line.position(), f"the parameter {said} is not defined", advice)
                return

    def _several(self, line: Line, lines: list[Line]) -> None:
        """A parameter of several lines: the first one goes where it was used, the others follow."""
        self._deeper(line)
        for number, one in enumerate(list(lines)):
            whole = one._replace(own=line.own)
            if number == 0 and line.text.strip(_BLANKS):
                whole = line._replace(text=f"{line.text}{one.text}")
            self.line(whole)
        if not lines and line.text.strip(_BLANKS):
            self.line(line._replace(text=line.text.rstrip(_BLANKS)))
        self._depth -= 1

    def _deeper(self, line: Line) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            self.builder.too_much(line.position(), f"parameters and ranges are nested more than {_DEEPEST} deep")

    # --- sequences and lists

    def _repeat(self, line: Line) -> None:
        """``~SEQ(…) REST`` and ``~LST(…) REST``: the rest once for each value."""
        try:
            names, rows, rest = self._rows(line)
        except BadValue as bad:
            self.builder.problem(line.position(), bad.what, bad.instead)
            return
        self._deeper(line)
        for row in rows:
            self._parameters.update(zip(names, row))
            self._count(line)
            if rest:
                self.line(line._replace(text=rest, exact=False))
        self._depth -= 1

    def _rows(self, line: Line) -> tuple[list[str], t.Iterable[tuple[str, ...]], str]:
        """The parameters' names, their values in turn, and the rest of the line."""
        match = _SEQUENCE.match(line.text)
        if match is not None:
            name, _comma, sequence = match.group(2).partition(",")
            inner = self._replaced(line._replace(text=sequence))
            values = _sequence([one.strip(_BLANKS) for one in (inner.text if inner else "").split(",")])
            shape = "x" if match.group(1) else "d"
            return [_named(name)], ((format(one, shape),) for one in values), match.group(3)
        match = _LIST.match(line.text)
        if match is None:
            raise BadValue("it is neither ~SEQ(NAME, START, STEP, END) nor ~LST(NAME, VALUE, …)")
        names, *rows = _items(match.group(1))
        if not rows:
            raise BadValue("~LST has no value", "write ~LST(NAME, VALUE, …)")
        for row in rows:
            if len(row) != len(names):
                what = f"~LST has {len(names)} names and the values {', '.join(row)}"
                raise BadValue(what, "write a value for each name")
        return [_named(name) for name in names], rows, match.group(2)


def _blanked(match: re.Match[str]) -> str:
    return " " * len(match.group())


def _named(name: str) -> str:
    name = name.strip(_BLANKS)
    if not _NAME.match(name):
        what = f"{name!r} cannot be a parameter's name"
        raise BadValue(what, "it has letters, digits and _, and begins with no digit")
    return name


def _sequence(said: list[str]) -> t.Iterator[int]:
    """The numbers of ``[START, [STEP,]] END``, END included."""
    found = [number for number in map(numbers.c_number, said) if number is not None]
    if len(found) < len(said):
        raise BadValue(f"{', '.join(said)!r} are not the numbers of a sequence", "write START, STEP, END")
    if len(found) == 1:
        found = [-1 if found[0] < 0 else 1, found[0]]
    if len(found) == 2:
        found.insert(1, 1 if found[0] <= found[1] else -1)
    if len(found) != 3:
        raise BadValue(f"a sequence has {len(found)} numbers", "write START, STEP, END")
    start, step, end = found
    if step == 0 or (end - start) * step < 0:
        raise BadValue(f"steps of {step} never come from {start} to {end}")
    return itertools.takewhile(lambda one: (end - one) * step >= 0, itertools.count(start, step))


def _items(text: str) -> list[tuple[str, ...]]:
    """The elements between the parentheses of ``~LST``, each a tuple: of one, or of those between its braces."""
    found: list[tuple[str, ...]] = []
    place = 0
    while place < len(text) or not found or text[place - 1 : place] == ",":
        match = _ITEM.match(text, place)
        if match is None:
            what = f"{text[place:].strip()!r} cannot be read in ~LST"
            raise BadValue(what, "values have no blank and no quote in them")
        several, one = match.groups()
        found.append(tuple(part.strip(_BLANKS) for part in several.split(",")) if several is not None else (one,))
        if match.end() == place:
            break
        place = match.end()
    return found
