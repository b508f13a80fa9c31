# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text or files of keepalived.conf -> a tree of statements; all errors are collected, the first ends nothing."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .include import MOST_BYTES, Alone, Includer
from .lexer import Source
from .preprocess import Preprocessor
from .problem import Position, Problem
from .tree import Builder, Statement, TooMuch


@dataclasses.dataclass(frozen=True)
class Tree:
    """What was read: the statements of the top level, what is wrong so far, and the files, by name."""

    statements: list[Statement]
    problems: list[Problem]
    sources: t.Mapping[str, Source]


def parse_file(path: str, ids: t.Collection[str] = (), environment: t.Mapping[str, str] | None = None) -> Tree:
    """The tree of a file and of all it includes; see :class:`.preprocess.Preprocessor` for the arguments."""
    return _parse(ids, environment, lambda includer, reader: includer.start(path, reader))


def parse_text(
    text: str,
    name: str = "keepalived.conf",
    ids: t.Collection[str] = (),
    environment: t.Mapping[str, str] | None = None,
    alone: bool = False,
) -> Tree:
    """The tree of a text; files it includes are looked for in the present directory, or refused if it is ``alone``."""

    def start(includer: Includer, reader: Preprocessor) -> None:
        if len(text) > MOST_BYTES:
            reader.builder.too_much(Position(name, 1, 1), f"the text has more than {MOST_BYTES // 2**20} MiB")
        source = includer.sources[name] = Source(name, text)
        reader.read(source)

    return _parse(ids, environment, start, Alone if alone else Includer)


def _parse(
    ids: t.Collection[str],
    environment: t.Mapping[str, str] | None,
    start: t.Callable[[Includer, Preprocessor], None],
    includer_class: type[Includer] = Includer,
) -> Tree:
    builder = Builder()
    includer = includer_class(builder)
    reader = Preprocessor(builder, includer, ids, os.environ if environment is None else environment)
    try:
        start(includer, reader)
        builder.finish()
    except TooMuch:
        pass  # noted where it happened
    return Tree(builder.statements, builder.problems, includer.sources)
