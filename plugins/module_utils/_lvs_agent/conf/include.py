# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files an include line names: relative paths, wildcards, braces, loops, and what a missing one means.

Source: keepalived.conf(5), "include" and "include_check". The only part of the language that looks at a disk.
"""

from __future__ import annotations

import glob
import itertools
import os
import stat
import typing as t

from .lexer import Source
from .problem import ERROR, WARNING, Position
from .syntax import INCLUDE_CHECKS
from .tree import Builder

MOST_BYTES = 32 * 1024 * 1024  # of all files together
MOST_FILES = 1000
DEEPEST_INCLUDE = 16
_BY_WORD: t.Mapping[str, frozenset[str]] = {
    "include": frozenset(),
    "includer": frozenset({"readable"}),
    "includem": frozenset({"readable", "match"}),
    "includew": frozenset({"readable", "match", "wildcard_match"}),
    "includeb": frozenset({"readable", "match", "brace_match"}),
    "includea": frozenset(INCLUDE_CHECKS),
}


class Reader(t.Protocol):
    """Who takes the lines of a file that was opened."""

    def read(self, source: Source) -> None:
        """All its lines."""


class Includer:
    """Opens files, each within the directory of the one that includes it.

    ``files`` are the names of all that were read, in order.
    """

    def __init__(self, builder: Builder) -> None:
        self.files: list[str] = []
        self.sources: dict[str, Source] = {}
        self.directory = os.getcwd()
        self._builder = builder
        self._level: frozenset[str] = frozenset()
        self._open: list[str] = []
        self._bytes = 0

    @staticmethod
    def is_include(word: str) -> bool:
        """This keyword names files to read."""
        return word in _BY_WORD

    def check_level(self, words: t.Sequence[str]) -> None:
        """``include_check [[+|-]CHECK …]``: what is wrong with a missing file from now on; unknown checks are none."""
        level = set(self._level) if words and words[0][:1] in ("+", "-") else set()
        remove = False
        for word in words:
            name = word.lstrip("+-")
            remove = word[0] == "-" if word[:1] in ("+", "-") else remove
            if name in INCLUDE_CHECKS:
                level = level - {name} if remove else level | {name}
        self._level = frozenset(level if words else INCLUDE_CHECKS)

    def start(self, path: str, reader: Reader) -> None:
        """Read the file a configuration begins with."""
        self._file(path, path, Position(path, 1, 1), reader, ERROR)

    def include(self, word: str, pattern: str, where: Position, reader: Reader) -> None:
        """Read all files of one include line, in the order of their names."""
        level = self._level | _BY_WORD[word]
        for one in _alternatives(pattern):
            strict = _strict(one, one != pattern, level)
            matching = glob.iglob(os.path.join(glob.escape(self.directory), one))
            found = sorted(itertools.islice(matching, MOST_FILES + 1))
            paths = [path for path in found if not os.path.isdir(path)]
            if not paths:
                severity = ERROR if strict else WARNING
                self._builder.problem(where, f"no file matches {one!r}", "keepalived reads none here", severity)
            for path in paths:
                shown = path if os.path.isabs(one) else os.path.relpath(path, self.directory)
                name = os.path.join(os.path.dirname(where.file), shown)
                self._file(path, name, where, reader, ERROR if level else WARNING)

    def _file(self, path: str, name: str, where: Position, reader: Reader, severity: str) -> None:
        real = os.path.realpath(os.path.join(self.directory, path))
        if real in self._open:
            self._builder.problem(where, f"{name} includes itself", "end the circle")
            return
        if len(self._open) >= DEEPEST_INCLUDE:
            self._builder.too_much(where, f"files include each other more than {DEEPEST_INCLUDE} deep")
        if len(self.files) >= MOST_FILES:
            self._builder.too_much(where, f"there are more than {MOST_FILES} files")
        try:
            text = self._text(real, where)
        except OSError as error:
            what = f"{name} cannot be read: {error.strerror or error}"
            self._builder.problem(where, what, severity=severity)
            return
        source = Source(name, text)
        self.files.append(name)
        self.sources.setdefault(name, source)
        before, self.directory = self.directory, os.path.dirname(real)
        level = self._level
        self._open.append(real)
        try:
            reader.read(source)
        finally:
            self._open.pop()
            self.directory, self._level = before, level

    def _text(self, path: str, where: Position) -> str:
        """A file's text. Raises OSError, also for what is no regular file (a FIFO would never end)."""
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError(0, "it is not a regular file")
            data = file.read(MOST_BYTES - self._bytes + 1)
        self._bytes += len(data)
        if self._bytes > MOST_BYTES:
            self._builder.too_much(where, f"the files have more than {MOST_BYTES // 2**20} MiB")
        return data.decode("utf-8", "surrogateescape")


class Alone(Includer):
    """For a text whose files are on another machine: none is opened here."""

    def include(self, word: str, pattern: str, where: Position, reader: Reader) -> None:
        """Note that the line cannot be followed."""
        what = f"{word} {pattern} cannot be followed from here"
        self._builder.problem(where, what, "read the file where the files that it includes are")


def _strict(pattern: str, from_braces: bool, level: t.Collection[str]) -> bool:
    """It is an error, not only worth a warning, when this pattern matches nothing."""
    if from_braces and "brace_match" in level:
        return True
    return "wildcard_match" in level or ("match" in level and not from_braces and not glob.has_magic(pattern))


def _alternatives(pattern: str, most: int = MOST_FILES) -> list[str]:
    """The patterns of csh's braces: ``a{b,c}`` is ``ab`` and ``ac``; nested ones too."""
    begin = pattern.find("{")
    depth, cuts = 0, [begin]
    for place in range(begin, len(pattern)) if begin >= 0 else ():
        sign = pattern[place]
        depth += {"{": 1, "}": -1}.get(sign, 0)
        if (sign == "," and depth == 1) or depth == 0:
            cuts.append(place)
        if depth == 0:
            break
    if begin < 0 or depth != 0:
        return [pattern]
    head, tail = pattern[:begin], pattern[cuts[-1] + 1 :]
    found: list[str] = []
    for first, last in zip(cuts, cuts[1:]):
        found += _alternatives(head + pattern[first + 1 : last] + tail, most)
        if len(found) >= most:
            break
    return found[:most]
