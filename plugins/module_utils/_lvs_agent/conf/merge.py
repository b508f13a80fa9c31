# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of one director -> its configuration: a plain mapping in keepalived's words.

A configuration is ``{"top_level": {…}, "global_defs": {…}, "static_routes": ["…"], "vrrp_instance": [{…}], …}``,
a key for each of :data:`.schema.VARIABLES`: a mapping for one block, a list of mappings for blocks of which there
can be many, a list of lines; ``raw`` is the text of director_raw, when there is one. Every key in a block is in its
present spelling and in the order of the schema, every value as the site wrote it. Merging never fails: what has the
wrong shape is left out here and reported by :mod:`.validate`.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from . import profile
from .schema import BLOCK_OF, HOST_GLOBALS, HOST_INSTANCES, PROFILE, RAW_TEXT, VARIABLES
from .words import BLOCK, BLOCKS, Block

Configuration = dict[str, t.Any]
Fields = dict[str, t.Any]

_MAPPING = (dict, Mapping)  # to ask an abstract class costs several times more


def fields(value: t.Any) -> t.Mapping[str, t.Any]:
    """The value when it is a mapping, else an empty one."""
    return value if isinstance(value, _MAPPING) else {}


def items(value: t.Any) -> list[t.Any]:
    """The elements of a list; a mapping is a list of one; anything else is empty."""
    if isinstance(value, (list, tuple)):
        return list(value)
    return [value] if isinstance(value, _MAPPING) else []


def blocks(value: t.Any) -> list[t.Mapping[str, t.Any]]:
    """The mappings among the elements of a list."""
    if value is None:
        return []
    return [item for item in items(value) if isinstance(item, _MAPPING)]


def canonical(block: Block, value: t.Any) -> Fields:
    """A block's words in present spelling and schema order, unknown ones at the end."""
    given = fields(value)
    index = block.index()
    found: Fields = {}
    for word in block.words:
        for spelling in (*word.aliases, word.name):
            if spelling in given:
                found[word.name] = _inside(block, word.name, given[spelling])
    found.update({str(key): item for key, item in given.items() if key not in index})
    return found


def _inside(block: Block, name: str, value: t.Any) -> t.Any:
    word = block.find(name)
    if word is None or word.block is None:
        return value
    if word.kind == BLOCKS:
        return [canonical(word.block, item) for item in blocks(value)]
    return canonical(word.block, value) if word.kind == BLOCK else value


def overlaid(common: t.Mapping[str, t.Any], own: t.Mapping[str, t.Any]) -> Fields:
    """``own`` over ``common``: mappings word by word, everything else (lists too) as a whole."""
    result = dict(common)
    for key, value in own.items():
        before = result.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        result[key] = overlaid(fields(before), fields(value)) if both else value
    return result


def merge(variables: t.Mapping[str, t.Any], rank: int = 0) -> Configuration:
    """The configuration of the director that has these variables (``director_*``; others are ignored).

    ``rank`` is its number among the directors of its site, from 0, for the priorities of a profile.
    """
    configuration: Configuration = {}
    for variable in VARIABLES:
        value, block = variables.get(variable.name), variable.word.block
        if block is None:
            configuration[variable.key] = [item for item in items(value) if not isinstance(item, Mapping)]
        elif variable.many:
            configuration[variable.key] = [canonical(block, item) for item in blocks(value)]
        else:
            configuration[variable.key] = canonical(block, value)
    block = BLOCK_OF["global_defs"]
    own_globals = canonical(block, variables.get(HOST_GLOBALS))
    configuration["global_defs"] = canonical(block, overlaid(configuration["global_defs"], own_globals))
    own = {str(name): words for name, words in fields(variables.get(HOST_INSTANCES)).items()}
    block = BLOCK_OF["vrrp_instance"]
    configuration["vrrp_instance"] = [
        canonical(block, overlaid(instance, canonical(block, own.get(str(instance.get("name"))))))
        for instance in configuration["vrrp_instance"]
    ]
    if variables.get(PROFILE) == profile.FAST:
        _hasten(configuration, rank)
    if variables.get(RAW_TEXT):
        configuration["raw"] = variables[RAW_TEXT]
    return configuration


def _hasten(configuration: Configuration, rank: int) -> None:
    """Fill in what the profile ``fast`` says and the site does not."""
    global_defs = profile.fast_globals(configuration["global_defs"])
    configuration["global_defs"] = canonical(BLOCK_OF["global_defs"], global_defs)
    configuration["vrrp_instance"] = [
        canonical(BLOCK_OF["vrrp_instance"], profile.fast_instance(one, global_defs, rank))
        for one in configuration["vrrp_instance"]
    ]
    configuration["virtual_server"] = [
        canonical(BLOCK_OF["virtual_server"], profile.fast_virtual_server(one))
        for one in configuration["virtual_server"]
    ]
