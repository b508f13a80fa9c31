# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema as a page of documentation, docs/keywords.md; a unit test says that the two agree.

PYTHONPATH=plugins/module_utils python3 -m _lvs_agent.conf.keywords >docs/keywords.md
"""

from __future__ import annotations

import dataclasses
import re
import sys
import typing as t

from . import values
from .schema import VARIABLES
from .words import (
    BLOCK,
    BLOCKS,
    FLAG,
    GONE,
    INT,
    LINES,
    NUMBER,
    OWN,
    REFUSED,
    SUPPORTED,
    SWITCH,
    WITHOUT_EFFECT,
    WORDS,
    Block,
    Word,
)

_INTRODUCTION = f"""\
# Keywords of keepalived.conf

What lvs-agent makes of every keyword of keepalived 2.2, 2.3 and 2.4. This page is made from the schema in
`plugins/module_utils/_lvs_agent/conf`; its first lines say how.

* *since*: the version of keepalived that brought the keyword; nothing for 2.2.7, Debian 12's, and before.
* *supported*: lvs-agent obeys it as keepalived does.
* *no effect*: lvs-agent reads it, warns, and goes on; the reason is beside it.
* *not supported*: an error, because ignoring it would do harm; what to use instead is beside it.
* Keywords marked `@{OWN}` are lvs-agent's own. In a file they stand on lines of their own,
  `@{OWN} KEYWORD VALUE`, which keepalived leaves out.

Flags stand alone or are followed by `true`; switches may be followed by `true` or `false` (`on`, `off`, `yes`, `no`).
The conditions, parameters, sequences, lists and includes of keepalived.conf(5) are understood, `${{_ENV NAME}}` of
keepalived 2.4 too.
"""


def markdown() -> str:
    """The whole page."""
    parts = [_INTRODUCTION]
    done: set[int] = set()
    for variable in VARIABLES:
        title = "Top level" if variable.flat else f"`{variable.key}`"
        if variable.word.block is None:
            parts.append(
                f"## {title}\n\nVariable `{variable.name}`. {_plain(variable.doc)}\n\n{_table([variable.word])}"
            )
            continue
        parts.append(
            f"## {title}\n\nVariable `{variable.name}`. {_plain(variable.doc)}\n\n{_table(variable.word.block.words)}"
        )
        parts += _inner(variable.word.block, done)
    return "\n".join(parts)


def _inner(block: Block, done: set[int]) -> t.Iterator[str]:
    """The tables of the blocks in a block; a block that is used twice has one."""
    for word in block.words:
        if word.block is None or id(word.block) in done or word.kind == REFUSED:
            continue
        done.add(id(word.block))
        yield f"### `{word.name}` in `{block.name}`\n\n{_table(word.block.words)}"
        yield from _inner(word.block, done)


def _table(words: t.Iterable[Word]) -> str:
    rows = ["| keyword | value | default | since | lvs-agent | |", "|---|---|---|---|---|---|"]
    rows += [_row(word) for word in words if word.kind != "raw"]  # not a keyword: lines of a file in a variable
    return "\n".join(rows) + "\n"


def _row(word: Word) -> str:
    name = f"`@{OWN} {word.name}`" if word.own else f"`{word.name}`"
    if word.aliases:
        name += ", also " + ", ".join(f"`{alias}`" for alias in word.aliases)
    if word.key:
        name += " (before the brace)"
    status = {SUPPORTED: "supported", WITHOUT_EFFECT: "no effect"}.get(word.status, "not supported")
    doc = _plain(word.doc)
    if word.reason:
        doc = f"{doc} {status.capitalize()}: {_plain(word.reason)}." if word.doc != word.reason else f"{doc}."
    cells = (name, _value(word), word.default, word.since, status, doc)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _value(word: Word) -> str:
    """What stands behind the keyword."""
    if word.kind in (BLOCK, BLOCKS):
        return "block" if word.kind == BLOCK else "blocks"
    if word.kind in (GONE, REFUSED):
        return ""
    if word.kind in (FLAG, SWITCH):
        return word.kind
    shown = values.expected(word)
    if word.kind == WORDS and shown[0] in "[ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        shown = f"`{shown}`"
    if word.kind in (INT, NUMBER) and word.unit:
        shown += f" {word.unit}"
    if word.kind == LINES:
        inner = values.expected(dataclasses.replace(word, kind=WORDS))
        shown = "list of words" if word.line in ("member", "text") else f"list of lines: `{inner}`"
    return f"{shown}, or alone" if word.bare else shown


def _plain(text: str) -> str:
    """Without Ansible's markup."""
    return re.sub(r"[CO]\(([^()]*)\)", r"`\1`", text)


if __name__ == "__main__":
    sys.stdout.write(markdown())
