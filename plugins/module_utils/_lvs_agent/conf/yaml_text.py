# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small writer of YAML: what a variables file needs, with comments, and without a package that a bare machine lacks.

What is written is read back as the same value by YAML 1.1 and 1.2 alike: whatever one of them takes for something
else than a string is quoted. Text that Ansible would take for a template is tagged ``!unsafe``.
"""

from __future__ import annotations

import decimal
import math
import re
import typing as t

Path = tuple[t.Union[str, int], ...]
Comments = t.Mapping[Path, t.Sequence[str]]

INDENT = "  "
_PLAIN = re.compile(
    r"(?:[A-Za-z_/]|[0-9]+(?:\.[0-9]+){3}(?![0-9.]))(?:[A-Za-z0-9_./@+%=,-]|[ :](?=[A-Za-z0-9_./@+%=,-]))*\Z"
)
_BLANK_COLON = re.compile(r":(?= )|:\Z")
_OTHER = re.compile(r"(?:y|n|yes|no|on|off|true|false|null|nan|inf)\Z", re.IGNORECASE)
_TEMPLATE = re.compile(r"\{[{%#]")
_LITERAL_LINE = re.compile(r"[\t\x20-\x7e\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]*\Z")
_ESCAPED = re.compile(r'["\\]|[^\x20-\x7e\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]')


def document(value: t.Mapping[str, t.Any], comments: Comments | None = None) -> str:
    """A mapping as a document: ``---``, the comments of the path (), a paragraph for each key.

    Values are mappings with strings as keys, lists, strings, numbers, booleans and None. ``comments`` are lines
    without their sign, by the path of what they stand above: ("director_virtual_servers", 0, "lb_algo").
    """
    writer = _Writer(comments or {})
    parts = ["\n".join(["---", *writer.comment(())])]
    for key in value:
        parts.append("\n".join(writer.mapping({key: value[key]}, ())))
    text = "\n".join(parts[:1]) + ("\n" if len(parts) > 1 else "") + "\n\n".join(parts[1:])
    return text + "\n"


def comment(line: str) -> str:
    """A line of a comment; what YAML cannot have in it becomes a question mark."""
    shown = "".join(sign if not _ESCAPED.match(sign) or sign in '"\\' else "?" for sign in line.replace("\t", " "))
    return f"# {shown}".rstrip()


def scalar(value: t.Any) -> str:
    """A value on one line; an empty list or mapping is one too."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, str):
        return _string(value)
    return "{}" if isinstance(value, t.Mapping) else "[]"


def _float(value: float) -> str:
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    text = format(decimal.Decimal(repr(value)), "f")  # 1e-07 is no number in YAML 1.1
    return text if "." in text else f"{text}.0"


def _string(value: str) -> str:
    if _PLAIN.match(value) and not _BLANK_COLON.search(value) and not _OTHER.match(value):
        return value
    quoted = '"' + _ESCAPED.sub(_escape, value) + '"'
    return f"!unsafe {quoted}" if _TEMPLATE.search(value) else quoted


def _escape(match: re.Match[str]) -> str:
    sign = match.group()
    known = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}.get(sign)
    return known or (f"\\x{ord(sign):02x}" if ord(sign) < 256 else f"\\u{ord(sign):04x}")


class _Writer:
    """Lines of nested values, indented from their own left margin."""

    def __init__(self, comments: Comments) -> None:
        self._comments = comments

    def comment(self, path: Path) -> list[str]:
        return [comment(line) for line in self._comments.get(path, ())]

    def mapping(self, value: t.Mapping[str, t.Any], path: Path) -> list[str]:
        found: list[str] = []
        for key, item in value.items():
            place = (*path, key)
            found += self.comment(place)
            found += self._value(f"{scalar(str(key))}:", item, place)
        return found

    def _value(self, head: str, value: t.Any, path: Path) -> list[str]:
        if isinstance(value, t.Mapping) and value:
            return [head, *(INDENT + line for line in self.mapping(value, path))]
        if isinstance(value, (list, tuple)) and value:
            return [head, *(INDENT + line for line in self._list(value, path))]
        literal = _literal(value)
        if literal is not None:
            return [f"{head} |", *(f"{INDENT}{line}" if line else "" for line in literal)]
        return [f"{head} {scalar(value)}"]

    def _list(self, value: t.Sequence[t.Any], path: Path) -> list[str]:
        found: list[str] = []
        for number, item in enumerate(value):
            place = (*path, number)
            found += self.comment(place)
            if isinstance(item, t.Mapping) and item:
                inner = self.mapping(item, place)
            elif isinstance(item, (list, tuple)) and item:
                inner = self._list(item, place)
            else:
                inner = [scalar(item)]
            while inner[0].startswith("#"):  # the comment of its first key stands above the element
                found.append(inner.pop(0))
            found += [f"- {inner[0]}", *(f"{INDENT}{line}" if line else "" for line in inner[1:])]
        return found


def _literal(value: t.Any) -> list[str] | None:
    """The lines of a text that can be written below a ``|``; None for all else."""
    if not isinstance(value, str) or not value.endswith("\n") or _TEMPLATE.search(value):
        return None
    lines = value[:-1].split("\n")
    if not lines[0] or lines[0][0].isspace() or not lines[-1]:
        return None
    if any(line != line.rstrip() or not _LITERAL_LINE.match(line) for line in lines):
        return None
    return lines
