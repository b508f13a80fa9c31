# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every variable of one director against the schema: unknown words, wrong types and ranges, missing words."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ..spelling import nearest
from . import raw, values
from .merge import fields, items, merge
from .problem import BadValue, Problem
from .schema import HOST_GLOBALS, HOST_INSTANCES, RAW_TEXT, VARIABLES
from .schema_global import GLOBAL_DEFS
from .schema_vrrp import VRRP_INSTANCE
from .words import BLOCK, BLOCKS, GONE, LINES, RAW, Block, Word

MISSING = "it is missing"


def variable_problems(variables: t.Mapping[str, t.Any], host: str) -> list[Problem]:
    """All findings about the shape of one director's variables; ``host`` is its name."""
    found: list[Problem] = []
    for variable in VARIABLES:
        value = variables.get(variable.name)
        if value is None:
            continue
        if variable.word.block is None:
            found += _line_problems(variable.word, value, variable.name)
        elif not variable.many:
            found += block_problems(variable.word.block, value, variable.name)
        elif not isinstance(value, (list, tuple)):
            found.append(
                Problem(
                    variable.name, f"it is {values.shown(value)}", "write a list, an element for each block"
                )
            )
        else:
            found += _list_problems(variable.word.block, value, variable.name)
    found += block_problems(GLOBAL_DEFS, variables.get(HOST_GLOBALS) or {}, HOST_GLOBALS)
    found += _override_problems(variables)
    found += _incomplete_instances(variables)
    if variables.get(RAW_TEXT) is not None:
        found += raw.text_problems(variables[RAW_TEXT], RAW_TEXT)
    return [Problem(one.where, one.what, one.instead, one.severity, (host,)) for one in found]


def _list_problems(block: Block, value: t.Iterable[t.Any], where: str) -> list[Problem]:
    found: list[Problem] = []
    names: set[str] = set()
    for number, item in enumerate(value):
        path = f"{where}[{label(block, item, number)}]"
        found += block_problems(block, item, path, complete=block is not VRRP_INSTANCE)
        name = fields(item).get("name")
        if name is not None and str(name) in names:
            found.append(Problem(path, f"the name {name} is used twice", "give every block its own name"))
        names.add(str(name))
    return found


def _override_problems(variables: t.Mapping[str, t.Any]) -> list[Problem]:
    own = variables.get(HOST_INSTANCES)
    if own is None:
        return []
    if not isinstance(own, Mapping):
        return [
            Problem(
                HOST_INSTANCES,
                f"it is {values.shown(own)}",
                "write a mapping from an instance's name to its words",
            )
        ]
    known = [str(instance.get("name")) for instance in merge(variables)["vrrp_instance"]]
    found: list[Problem] = []
    for name, words in own.items():
        path = f"{HOST_INSTANCES}[{name}]"
        if str(name) not in known:
            found.append(
                Problem(
                    path, "director_vrrp_instances has no instance of this name", nearest(str(name), known)
                )
            )
        if "name" in fields(words):
            found.append(Problem(f"{path}.name", "a host cannot rename an instance", "remove it"))
        found += block_problems(VRRP_INSTANCE, words, path, complete=False)
    return found


def _incomplete_instances(variables: t.Mapping[str, t.Any]) -> list[Problem]:
    found: list[Problem] = []
    for number, instance in enumerate(merge(variables)["vrrp_instance"]):
        path = f"director_vrrp_instances[{label(VRRP_INSTANCE, instance, number)}]"
        for word in VRRP_INSTANCE.words:
            other = {"interface": "unicast_peer", "virtual_ipaddress": "no_virtual_ipaddress"}.get(word.name, "")
            if word.required and word.name not in instance and not instance.get(other):
                where_else = "" if word.name == "name" else f", here or in {HOST_INSTANCES}"
                found.append(
                    Problem(f"{path}.{word.name}", MISSING, f"write {values.expected(word)}{where_else}")
                )
    return found


def label(block: Block, item: t.Any, number: int) -> str:
    """How a path names one element of a list: its name, its address and port, or its number from 0."""
    given = fields(item)
    if block.name in ("virtual_server", "real_server"):
        if given.get("ip") is not None:
            host = f"[{given['ip']}]" if ":" in str(given["ip"]) else str(given["ip"])
            return f"{host}:{given['port']}" if given.get("port") is not None else host
        for word in ("fwmark", "group"):
            if given.get(word) is not None:
                return f"{word} {given[word]}"
    name = given.get("name") if block.find("name") is not None else None
    return str(name) if isinstance(name, (str, int)) else str(number)


def block_problems(block: Block, value: t.Any, where: str, complete: bool = True) -> list[Problem]:
    """Findings about one block's words; ``complete``: required words must be there."""
    if not isinstance(value, Mapping):
        return [Problem(where, f"it is {values.shown(value)}", f"write a mapping of {block.name}'s words")]
    found: list[Problem] = []
    index = block.index()
    seen: dict[str, str] = {}
    for key, item in value.items():
        word = index.get(str(key))
        if word is None:
            found.append(
                Problem(
                    f"{where}.{key}",
                    f"{block.name} has no word {str(key)!r}",
                    nearest(str(key), block.spellings()),
                )
            )
            continue
        if word.name in seen:
            found.append(
                Problem(f"{where}.{key}", f"it is the same word as {seen[word.name]}", "keep one of them")
            )
        seen[word.name] = str(key)
        found += _word_problems(word, item, f"{where}.{key}")
    if complete:
        for word in block.words:
            if word.required and word.name not in seen:
                found.append(Problem(f"{where}.{word.name}", MISSING, f"write {values.expected(word)}"))
    return found


def _word_problems(word: Word, value: t.Any, where: str) -> list[Problem]:
    if word.kind == BLOCK and word.block is not None:
        return block_problems(word.block, value, where)
    if word.kind == BLOCKS and word.block is not None:
        return _nested_problems(word.block, value, where)
    if word.kind == LINES:
        return _line_problems(word, value, where)
    if word.kind == RAW:
        return raw.lines_problems(value, where)
    try:
        values.scalar(word, value)
    except BadValue as bad:
        what = bad.what.replace(str(value), "the value") if word.secret and str(value) else bad.what
        return [Problem(where, what, bad.instead)]
    if word.kind == GONE:
        return [Problem(where, "it has no effect", word.reason, "warning")]
    return []


def _nested_problems(block: Block, value: t.Any, where: str) -> list[Problem]:
    if not isinstance(value, (Mapping, list, tuple)):
        return [Problem(where, f"it is {values.shown(value)}", f"write a list of {block.name} blocks")]
    found: list[Problem] = []
    if not value and not isinstance(value, Mapping):
        found.append(Problem(where, "the list is empty", f"write at least one {block.name}"))
    for number, item in enumerate(items(value)):
        path = where if isinstance(value, Mapping) else f"{where}[{label(block, item, number)}]"
        found += block_problems(block, item, path)
    return found


def _line_problems(word: Word, value: t.Any, where: str) -> list[Problem]:
    if not isinstance(value, (list, tuple)):
        return [Problem(where, f"it is {values.shown(value)}", "write a list, one line for each element")]
    found: list[Problem] = []
    if not value and word.required:
        found.append(Problem(where, "the list is empty", "write at least one line"))
    for number, item in enumerate(value):
        try:
            values.line(word, item)
        except BadValue as bad:
            found.append(Problem(f"{where}[{number}]", bad.what, bad.instead))
    return found
