# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of a statement -> the value a variable would hold for it.

The other direction of :mod:`.values`, which also judges what is read here: a file and a variable obey one rule.
Stricter than keepalived 2.2.7 in one thing: it ignores words behind the ones it expects, here they are an error.
"""

from __future__ import annotations

import re
import typing as t

from . import address, values
from .lexer import escaped_words
from .problem import BadValue
from .quoting import quote, quote_escaped
from .tree import Statement
from .words import FLAG, INT, NUMBER, REGEX, SCRIPT, SWITCH, WORDS, Word

_WHOLE = re.compile(r"[+-]?[0-9]+\Z")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)\Z")
_PLAIN_ADDRESS = re.compile(r"[0-9A-Fa-f.:]+\Z")
_FLAT = ("member", "text")  # lists of which each word is an element, not each line


def value(word: Word, statement: Statement) -> t.Any:
    """The value of a statement whose keyword is ``word``; for all kinds but lists and blocks.

    Raises :class:`BadValue` with the place of the wrong word.
    """
    if word.kind in (SCRIPT, REGEX):
        return _escaped(word, statement)
    said = statement.words[1:]
    if not said:
        return _alone(word)
    if word.kind == WORDS:
        if word.line == "servers" and len(said) == 1:
            if _PLAIN_ADDRESS.match(said[0]) and address.try_parse(said[0]) is not None:
                return said[0]  # as all that follows would find at length, for each of tens of thousands
            _one_address(said[0])
        line = " ".join(quote(one) for one in said)
        return _judged(word, line, said)
    if len(said) > 1:
        what = f"{' '.join(said[1:])!r} is too much: {word.name} has one value"
        raise BadValue(what, "keepalived would ignore it", 2)
    if word.kind in (FLAG, SWITCH):
        return _boolean(word, said[0])
    found: t.Any = said[0]
    if word.kind in (INT, NUMBER):
        found = _number(word, found)
    return _judged(word, found, said)


def lines(word: Word, statement: Statement) -> list[str]:
    """The elements that one line of a list stands for. Raises :class:`BadValue` with the place of the wrong word."""
    if word.line in _FLAT:
        found = statement.words if word.line == "text" else [quote(one) for one in statement.words]
    else:
        found = [" ".join(quote(one) for one in statement.words)]
    for number, one in enumerate(found):
        try:
            values.line(word, one)
        except BadValue as bad:
            place = number if word.line in _FLAT else _place(bad, statement.words, 0)
            raise BadValue(bad.what, bad.instead, place) from None
    return found


def _alone(word: Word) -> bool:
    """The value of a keyword without words."""
    if word.kind in (FLAG, SWITCH) or word.bare:
        return True
    raise BadValue("it has no value", f"write {values.expected(word)}", 0)


def _boolean(word: Word, said: str) -> bool:
    found = values.boolean(said) if said == said.lower() else None
    if found is None:
        raise BadValue(f"{said!r} is neither true nor false", "write true or false, or nothing", 1)
    if word.kind == FLAG and not found:
        raise BadValue(f"{word.name} stands alone", "keepalived sets it whatever follows; remove the line", 1)
    return found


def _number(word: Word, said: str) -> int | float | str:
    """A number as a YAML file would hold it; the text itself where that would lose digits."""
    pattern = _WHOLE if word.kind == INT else _NUMBER
    if not pattern.match(said) or len(said) > 32:
        kind = "a whole number" if word.kind == INT else "a number"
        raise BadValue(f"{said!r} is not {kind}", f"write {values.expected(word)}", 1)
    exact = values.number(said)
    if exact is None:
        raise BadValue(f"{said!r} is out of range", f"write {values.expected(word)}", 1)
    if exact == exact.to_integral_value():
        return int(exact)
    return float(exact) if values.number(float(exact)) == exact else said


def _judged(word: Word, found: t.Any, said: list[str]) -> t.Any:
    """The value when a variable could have it too."""
    try:
        written = values.scalar(word, found)
    except BadValue as bad:
        raise BadValue(bad.what, bad.instead, _place(bad, said, 1)) from None
    if word.any_case and written:
        return written[0]
    return found


def _place(bad: BadValue, said: list[str], first: int) -> int:
    """Which of the words a message is about."""
    if bad.word is not None:
        return bad.word
    for number, one in enumerate(said):
        if repr(one) in bad.what:
            return number + first
    for number, one in enumerate(said):
        if len(said) > 1 and one in bad.what.split():
            return number + first
    return first


def _one_address(said: str) -> None:
    """A file has no ranges of real servers: keepalived reads the first address and ignores the rest."""
    if address.try_parse(said) is None and ("-" in said or "/" in said):
        raise BadValue(f"{said!r} is a range", "write a real_server for each address", 1)


def _escaped(word: Word, statement: Statement) -> str | bool:
    """A command line or regular expression, read with its escapes; user and group after a command stay quoted."""
    words = escaped_words(statement.raw())
    if len(words) < 2:
        return _alone(word)
    command, rest = words[1], words[2:]
    most = 2 if word.kind == SCRIPT and word.name not in values.WITHOUT_USER else 0
    if len(rest) > most:
        what = f"{' '.join(rest[most:])!r} is too much behind {word.name}"
        raise BadValue(what, 'put the whole command line between double quotes (")', 2 + most)
    if word.kind == REGEX:
        return str(_judged(word, command, [command]))
    plain = not rest and not command.startswith('"')
    found = command if plain else " ".join([quote_escaped(command), *(quote(one) for one in rest)])
    return str(_judged(word, found, words[1:]))
