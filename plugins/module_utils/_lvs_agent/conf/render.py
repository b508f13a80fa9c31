# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration -> the text of keepalived.conf: the same text for the same configuration, always."""

from __future__ import annotations

import typing as t

from . import raw, values
from .merge import fields, items, merge
from .problem import BadValue, ConfigurationError, Problem
from .quoting import quote
from .schema import RAW_TEXT, VARIABLES
from .settle import is_needless, settle
from .validate import label, variable_problems
from .words import BLOCK, BLOCKS, LINES, OWN, RAW, Block, Word

INDENT = "    "


def render_variables(variables: t.Mapping[str, t.Any], host: str) -> str:
    """The file of the director ``host`` from its variables. Raises :class:`ConfigurationError`.

    ``director_hosts`` is looked at too: which director of its site it is decides on the priority that a profile gives.
    """
    problems = [problem for problem in variable_problems(variables, host) if problem.severity == "error"]
    if problems:
        raise ConfigurationError(problems)
    site = [str(one) for one in items(variables.get("director_hosts"))]
    return render(merge(variables, site.index(host) if host in site else 0))


def render(configuration: t.Mapping[str, t.Any]) -> str:
    """The file from a configuration (see :mod:`.merge`).

    Raises :class:`ConfigurationError`, all reasons at once.
    """
    problems: list[Problem] = []
    settled = settle(configuration)
    chunks: list[str] = []
    for variable in VARIABLES:
        block, value = variable.word.block, settled.get(variable.key)
        if block is None:
            written = _word(variable.word, value, variable.name, problems)
            chunks += ["\n".join(written)] if written else []
            continue
        for number, item in enumerate(items(value) if variable.many else [value]):
            where = f"{variable.name}[{label(block, item, number)}]" if variable.many else variable.name
            written = _block(block, item, where, problems)
            if variable.flat:
                written = [line[len(INDENT) :] for line in written[1:-1]]
            if variable.many or len(written) > (0 if variable.flat else 2):
                chunks.append("\n".join(written))
        if variable.key == "vrrp_sync_group":
            chunks += [_left_out(group) for group in configuration["vrrp_sync_group"] if is_needless(group)]
    if configuration.get("raw") is not None:
        text = configuration["raw"]
        written = _raw(raw.text_problems(text, RAW_TEXT), raw.text_lines(str(text)), problems)
        chunks += ["\n".join(written)] if written else []
    if problems:
        raise ConfigurationError(problems)
    return "\n\n".join(chunks) + "\n" if chunks else ""


def _left_out(group: t.Mapping[str, t.Any]) -> str:
    """A comment for the group of one that keepalived would complain of."""
    name = str(group.get("name")).replace("\n", " ")
    member = str(group["group"][0]).replace("\n", " ")
    return f"# vrrp_sync_group {name} is left out: it has one member, {member}"


def _block(block: Block, value: t.Any, where: str, problems: list[Problem]) -> list[str]:
    """The lines of one block, without indentation of its own."""
    given = fields(value)
    lines: list[str] = []
    for key in given:
        if block.find(str(key)) is None:
            problems.append(Problem(f"{where}.{key}", f"{block.name} has no word {str(key)!r}"))
    for word in block.words:
        if word.name not in given or word.key:
            continue
        lines += _word(word, given[word.name], f"{where}.{word.name}", problems)
    if block.find("raw") is not None and given.get("raw") is not None:
        lines += _raw(raw.lines_problems(given["raw"], f"{where}.raw"), given["raw"], problems)
    if block.lines:
        lines = [line[len(INDENT) :] for line in lines[1:-1]]
    return [
        " ".join([block.name, *_head(block, given, where, problems), "{"]),
        *(INDENT + line for line in lines),
        "}",
    ]


def _raw(wrong: list[Problem], lines: t.Sequence[str], problems: list[Problem]) -> list[str]:
    """Lines as they are, unless something is wrong with their shape."""
    problems += wrong
    return [] if wrong else list(lines)


def _head(block: Block, given: t.Mapping[str, t.Any], where: str, problems: list[Problem]) -> list[str]:
    """The words between a block's name and its brace."""
    words: list[str] = []
    for word in block.words:
        if not word.key or word.kind == RAW or given.get(word.name) is None:
            continue
        try:
            said = values.scalar(word, given[word.name]) or []
        except BadValue as bad:
            problems.append(Problem(f"{where}.{word.name}", bad.what, bad.instead))
            continue
        words += [word.name, *said] if word.name in ("fwmark", "group") else said
    if not words and any(word.key and word.kind != RAW for word in block.words):
        problems.append(Problem(where, f"this {block.name} has no name or address"))
    return words


def _word(word: Word, value: t.Any, where: str, problems: list[Problem]) -> list[str]:
    if word.kind in (BLOCK, BLOCKS) and word.block is not None:
        written: list[str] = []
        for item in items(value):
            written += _block(word.block, item, where, problems)
        return written
    try:
        if word.kind == LINES:
            return _list(word, value)
        said = values.scalar(word, value)
    except BadValue as bad:
        problems.append(Problem(where, bad.what, bad.instead))
        return []
    own = [f"@{OWN}"] if word.own else []
    return [] if said is None else [" ".join([*own, quote(word.name), *said])]


def _list(word: Word, value: t.Any) -> list[str]:
    """A braced list; an empty one is not written. One of our own has its keyword on each line, and no brace."""
    found = [" ".join(values.line(word, item)) for item in items(value)]
    if word.own:
        return [f"@{OWN} {word.name} {line}" for line in found]
    return [word.name + " {", *(INDENT + line for line in found), "}"] if found else []
