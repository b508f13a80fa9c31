# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a variable's value to the words after its keyword: the one place that knows what each kind accepts."""

from __future__ import annotations

import decimal
import functools
import re
import typing as t
from collections.abc import Mapping

from ..spelling import nearest
from . import address, syntax
from .lexer import escaped_words
from .problem import BadValue
from .quoting import quote, quote_escaped, split
from .words import (
    ADDRESS,
    CHOICE,
    FLAG,
    GONE,
    INT,
    LINES,
    NAME,
    NUMBER,
    REFUSED,
    REGEX,
    SCRIPT,
    SWITCH,
    TEXT,
    WORDS,
    Word,
)

_EXPECTED = {
    ADDRESS: "an IP address",
    FLAG: "nothing",
    LINES: "a list",
    NAME: "one word",
    SCRIPT: "a command line",
    REGEX: "a regular expression",
    SWITCH: "true or false",
    TEXT: "a text",
}
WITHOUT_USER = ("script", "misc_path")  # their block has a word of its own for the user
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,9})?\Z")
_TRUE = ("true", "yes", "on")
_FALSE = ("false", "no", "off")


def boolean(value: t.Any) -> bool | None:
    """True and false in YAML's and keepalived's spellings; None for anything else."""
    if isinstance(value, bool):
        return bool(value)
    if isinstance(value, str) and value.lower() in _TRUE:
        return True
    if isinstance(value, str) and value.lower() in _FALSE:
        return False
    return None


def number(value: t.Any) -> decimal.Decimal | None:
    """A number, or the text of one, exactly; None for anything else."""
    if value is None or isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    return _decimal(str(value).strip())


@functools.lru_cache(maxsize=1024)
def _decimal(text: str) -> decimal.Decimal | None:
    """The same few numbers stand in every real server."""
    # decimal.Decimal itself reads the digits of every script, and 1_000
    if not _NUMBER.match(text):
        return None
    found = decimal.Decimal(text)
    # 1e999999 is a number too, and would be a megabyte of digits
    return found if -20 < found.adjusted() < 30 else None


def shown(value: t.Any) -> str:
    """A value in an error message, short."""
    plain = str(value) if isinstance(value, (str, int, float)) else type(value).__name__
    if isinstance(value, Mapping):
        plain = "a mapping"
    elif isinstance(value, (list, tuple)):
        plain = "a list"
    elif value is None:
        plain = "nothing"
    elif isinstance(value, str):
        plain = repr(str(value))
    return plain if len(plain) <= 60 else plain[:57] + "..."


def scalar(word: Word, value: t.Any) -> list[str] | None:
    """The words to write after the keyword, quoted; None when the keyword is left out.

    For every kind but LINES, BLOCK and BLOCKS. Raises :class:`BadValue`.
    """
    if word.kind == REFUSED:
        raise BadValue(f"{word.name} cannot be used", word.reason)
    if word.kind == GONE:
        return None
    if word.kind in (FLAG, SWITCH):
        said = boolean(value)
        if said is None:
            raise BadValue(f"{shown(value)} is neither true nor false")
        return _said(word, said)
    if word.bare and isinstance(value, bool):
        return [] if value else None
    if isinstance(value, (Mapping, list, tuple, bool)) or value is None:
        raise BadValue(
            f"it is {shown(value) if not isinstance(value, bool) else str(value).lower()}",
            f"write {expected(word)}",
        )
    words = _READ[word.kind](word, value)
    return None if word.zero_is_off and number(value) == 0 else words


def _said(word: Word, said: bool) -> list[str] | None:
    if word.kind == SWITCH:
        return ["true" if said else "false"]
    return [] if said else None


def line(word: Word, value: t.Any) -> list[str]:
    """The words of one line of a LINES word, quoted. Raises :class:`BadValue`."""
    if isinstance(value, (Mapping, list, tuple, bool)) or value is None:
        raise BadValue(f"it is {shown(value)}", "write a line of text")
    if word.line == "text":
        return [_one(value)]
    return _words(word, value)


def expected(word: Word) -> str:
    """What a word's value looks like, for messages and documentation."""
    if word.kind in (INT, NUMBER):
        kind = "a whole number" if word.kind == INT else "a number"
        return f"{kind} from {_plain(word.low)} to {_plain(word.high)}" + (", or 0 for off" if word.zero_is_off else "")
    if word.kind == CHOICE:
        return " or ".join(word.choices)
    if word.kind == WORDS:
        return _syntax(word) or "one line of text"
    return _EXPECTED.get(word.kind, "one line of text")


def _syntax(word: Word) -> str:
    """The words of a line, as the reader of such lines has them in its docstring; "" for any words."""
    match = re.search(r"``(.+?)``", getattr(syntax.READERS.get(word.line), "__doc__", None) or "")
    return match[1] if match else ""


def _plain(value: t.Any) -> str:
    """A number without exponent and without superfluous zeros."""
    text = format(decimal.Decimal(str(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _in_range(word: Word, value: t.Any) -> decimal.Decimal:
    found = number(value)
    if found is None or (word.kind == INT and found != found.to_integral_value()):
        raise BadValue(
            f"{shown(value)} is not {'a whole number' if word.kind == INT else 'a number'}",
            f"write {expected(word)}",
        )
    if word.zero_is_off and found == 0:
        return found
    low = -decimal.Decimal("Infinity") if word.low is None else decimal.Decimal(str(word.low))
    high = decimal.Decimal("Infinity") if word.high is None else decimal.Decimal(str(word.high))
    if not low <= found <= high:
        raise BadValue(f"{_plain(found)} is out of range", f"write {expected(word)}")
    return found


def _number(word: Word, value: t.Any) -> list[str]:
    return [_plain(_in_range(word, value))]


def _choice(word: Word, value: t.Any) -> list[str]:
    said = str(value)
    for one in word.choices:
        if said == one or (said.upper() == one and word.any_case):
            return [one]
    raise BadValue(f"{shown(value)} is not known", nearest(said, word.choices))


def _one(value: t.Any) -> str:
    plain = "".join([str(value)])
    if not plain:
        raise BadValue("it is empty")
    return quote(plain)


def _name(word: Word, value: t.Any) -> list[str]:
    found = _one(value)
    if any(character.isspace() for character in found):
        raise BadValue(f"{shown(value)} has a blank in it")
    if word.name in ("interface", "bind_if", "default_interface", "vrf", "lvs_sync_daemon_interface"):
        syntax.interface_name(str(value))
    return [found]


def _text(word: Word, value: t.Any) -> list[str]:
    if word.name == "digest" and (len(str(value)) != 32 or set(str(value).lower()) - set("0123456789abcdef")):
        raise BadValue(f"{shown(value)} is not an MD5 digest", "write 32 hexadecimal digits")
    if word.key:
        syntax.member([str(value)])
    return [_one(value)]


def _script(word: Word, value: t.Any) -> list[str]:
    said = str(value).strip()
    if not said:
        raise BadValue("it is empty", "write a command line")
    if not said.startswith('"'):
        return [quote_escaped(said)]
    found = escaped_words(said)
    if not found[0] or len(found) > (1 if word.name in WITHOUT_USER else 3):
        raise BadValue(f"{shown(value)} is not a quoted command line with a user and a group after it")
    return [quote_escaped(found[0]), *(quote(word) for word in found[1:])]


def _regex(word: Word, value: t.Any) -> list[str]:
    _one(value)
    return [quote_escaped(str(value))]


def _address(word: Word, value: t.Any) -> list[str]:
    found = address.parse(str(value))
    group = word.name.startswith("vrrp_mcast_group") or word.name == "mcast_dst_ip"
    if group and not found.is_multicast:
        raise BadValue(f"{value} is not a multicast address")
    return [str(found)]


def _words(word: Word, value: t.Any) -> list[str]:
    found = split(str(value))
    if not found:
        raise BadValue("it is empty")
    return [quote(one) for one in syntax.READERS[word.line](found)]


_READ: t.Mapping[str, t.Callable[[Word, t.Any], list[str]]] = {
    INT: _number,
    NUMBER: _number,
    CHOICE: _choice,
    NAME: _name,
    TEXT: _text,
    SCRIPT: _script,
    REGEX: _regex,
    ADDRESS: _address,
    WORDS: _words,
}
