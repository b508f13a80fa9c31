# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of one line, as keepalived 2.2.7 splits them, and the way back.

Measured with its dump of the configuration: blanks separate, ``#`` and ``!`` start a comment anywhere, braces
are words of their own, double quotes keep all of these (single quotes do not, and a quoted string ends its
word). No escape exists there: a double quote cannot be written at all, and a quoted word may not begin
with a brace. Command lines and regular expressions (:func:`quote_escaped`) are read a second time, with
backslash escapes.
"""

from __future__ import annotations

import re

from .problem import BadValue

_PLAIN = re.compile(r"[A-Za-z0-9_./:,%+=*^<>|&;?()\[\]-][A-Za-z0-9_./:,@%+=*~^<>|&;?()\[\]$'-]*\Z")
_PARAMETER = re.compile(r"\$\{?_(PWD|INSTANCE|RANDOM|HASH|BANG)")
_TOKEN = re.compile(r'\s*(?:"([^"]*)"|([#!].*)|([{}])|([^\s"#!{}]+))')


def refuse_unwritable(text: str) -> None:
    """Raise :class:`BadValue` for text that no quoting can carry."""
    _refuse_control(text)
    if '"' in text:
        raise BadValue(
            'it contains a double quote ("), which keepalived cannot read inside a word',
            "use a single quote (')",
        )
    if text[:1] in ("{", "}"):
        raise BadValue("it begins with a brace, which keepalived takes for the begin or end of a block")
    if _PARAMETER.search(text):
        raise BadValue(
            "it contains one of keepalived's own parameters ($_RANDOM and the like), which would be replaced"
        )


def _refuse_control(text: str) -> None:
    if re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029]", text):
        raise BadValue("it contains a line break or another control character", "write it on one line")


def quote(text: str) -> str:
    """``text`` as one word of keepalived.conf. Raises BadValue when that cannot be written."""
    refuse_unwritable(text)
    if (len(text) - len(text.rstrip("\\"))) % 2:
        raise BadValue("it ends with a backslash, by which keepalived misses the quote behind it")
    return text if _PLAIN.match(text) else f'"{text}"'


def quote_escaped(text: str) -> str:
    """``text`` as a command line or regular expression, which keepalived reads with backslash escapes.

    What the first reading would take for something else is written as an octal escape.
    """
    _refuse_control(text)
    escaped = text.replace("\\", "\\\\").replace('"', "\\042")
    if text[:1] in ("{", "}"):
        escaped = f"\\{ord(text[0]):o}{escaped[1:]}"
    return '"' + _PARAMETER.sub(lambda use: "\\044" + use.group()[1:], escaped) + '"'


def split(text: str) -> list[str]:
    """The words of a line, without the quotes; a comment ends it.

    Raises BadValue for a line break, a brace outside quotes, or a quote that does not end.
    """
    if re.search(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]", text):
        raise BadValue("it contains a line break or another control character", "write it on one line")
    words: list[str] = []
    position = 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None:
            raise BadValue('it has a double quote (") without its end')
        quoted, comment, brace, plain = match.groups()
        if brace:
            raise BadValue(f"it has a brace ({brace}) outside quotes, which begins or ends a block")
        if comment is None:
            words.append(plain if quoted is None else quoted)
        else:
            raise BadValue(
                f"it has a comment ({comment})",
                "put the comment into the YAML file, or quotes around the word",
            )
        position = match.end()
    return words
