# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""Lines of keepalived.conf -> words: comments, quotes, escapes, braces, and where each word stands.

As keepalived 2.2.7 does it, measured with ``keepalived -t``:

* ``#`` and ``!`` begin a comment anywhere, glued to a word too, except between double quotes; outside quotes
  ``\#`` and ``\!`` are the characters themselves.
* A double quote begins a word that ends with the next one, whatever stands between, on the same line. Single
  quotes are plain characters. No escapes, except in command lines and regular expressions, which are read a
  second time (:func:`escaped_words`): there both quotes can join pieces of one word, and backslashes escape.
* ``{`` and ``}`` outside double quotes are words of their own.
* A line has at most 1023 bytes. keepalived takes what follows as another line, we refuse it.
"""

from __future__ import annotations

import re
import typing as t

from .problem import BadValue

LONGEST_LINE = 1023  # bytes; keepalived's MAXBUF less its end
_WORD = re.compile(r'"([^"]*)("?)|([^\s"]+)', re.ASCII)
_COMMENT = re.compile(r'[#!"\\]')
_BRACE = re.compile(r'"[^"]*"|([{}])')
_ESCAPED = re.compile(
    r"\\x(?P<hex>[0-9A-Fa-f]+)|\\(?P<octal>[0-7]{1,3})|\\c(?P<control>.)|\\(?P<other>.)"
    r"|(?P<blank>[ \t\f\n\r\v]+)|[\"'\\]|[^ \t\f\n\r\v\"'\\]+",
    re.DOTALL,
)
_LETTERS = {"a": "\a", "b": "\b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class Source:
    """One file that was read: ``name`` as it was asked for, and its ``lines`` without their ends."""

    __slots__ = ("lines", "name")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.lines = text.split("\n")
        if self.lines[-1] == "":
            del self.lines[-1]


class Token(t.NamedTuple):
    """One word and where it begins in its text, from 0. ``quoted``: it stood between double quotes."""

    text: str
    start: int
    quoted: bool


def without_comment(line: str) -> str:
    """The line without its comment and the blanks after it; escaped comment signs lose their backslash.

    Columns stay as they are unless there was such an escape. Raises :class:`BadValue` for a double quote
    without its end.
    """
    kept: list[str] = []
    quote = False
    place = begin = 0
    while True:
        match = _COMMENT.search(line, place)
        if match is None:
            break
        sign, place = match.group(), match.end()
        if sign == '"':
            quote = not quote
        elif sign == "\\":
            if not quote and line[place : place + 1] in ("#", "!"):
                kept.append(line[begin : place - 1])
                begin = place
            place += 1
        elif not quote:
            kept.append(line[begin : place - 1])
            begin = len(line)
            break
    if quote:
        raise BadValue('it has a double quote (") without its end', "a quoted word ends on the line it begins on")
    kept.append(line[begin:])
    return "".join(kept).rstrip(" \t\r\f\v")


def tokens(text: str) -> list[Token]:
    """The words of a text, braces among the plain characters; a quoted word ends where its quote does."""
    found: list[Token] = []
    for match in _WORD.finditer(text):
        quoted = match.group(3) is None
        found.append(Token(match.group(1) if quoted else match.group(3), match.start(), quoted))
    return found


def brace(text: str) -> int:
    """Where the first brace outside double quotes stands; -1 when there is none."""
    for match in _BRACE.finditer(text):
        if match.group(1):
            return match.start()
    return -1


def escaped_words(text: str) -> list[str]:
    """The words of a command line or regular expression: quotes of both kinds, pieces joined, escapes read.

    Raises :class:`BadValue` for a quote without its end and for a backslash at the end.
    """
    words: list[str] = []
    pieces: list[str] = []
    quote = ""
    begun = False
    for match in _ESCAPED.finditer(text):
        sign = match.group()
        if match.group("blank") and not quote:
            words += ["".join(pieces)] if begun else []
            pieces, begun = [], False
            continue
        begun = True
        if sign == quote:
            quote = ""
        elif sign in ('"', "'") and not quote:
            quote = sign
        else:
            pieces.append(_unescaped(match))
    if quote:
        raise BadValue(f"it has a quote ({quote}) without its end")
    return words + (["".join(pieces)] if begun else [])


def _unescaped(match: re.Match[str]) -> str:
    """What one piece of a text stands for."""
    if match.group("hex"):
        return chr(int(match.group("hex")[-2:], 16))  # keepalived keeps the last byte
    if match.group("octal"):
        return chr(int(match.group("octal"), 8) & 0xFF)
    if match.group("control"):
        return chr(ord(match.group("control")) & 0x1F)
    if match.group("other"):
        return _LETTERS.get(match.group("other"), match.group("other"))
    if match.group() == "\\":
        raise BadValue("it ends with a backslash, which escapes nothing", "write two backslashes for one")
    return match.group()
