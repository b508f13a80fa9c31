# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema as a role's argument_specs: the options of each configuration variable.

The role's ``meta/argument_specs.yml`` holds what these functions return; a unit test compares the two.
"""

from __future__ import annotations

import typing as t

from . import profile
from .schema import HOST_GLOBALS, HOST_INSTANCES, PROFILE, RAW_TEXT, VARIABLES, Variable
from .words import BLOCK, BLOCKS, CHOICE, FLAG, GONE, INT, LINES, NUMBER, RAW, REFUSED, SWITCH, Block, Word

Option = dict[str, t.Any]
_TYPES = {
    INT: "int",
    NUMBER: "float",
    FLAG: "bool",
    SWITCH: "bool",
    LINES: "list",
    RAW: "list",
    BLOCK: "dict",
    GONE: "raw",
}
_LISTS = ("real_server", "url", "host")  # blocks of which there are mostly several: always a list in variables


def variables() -> dict[str, Option]:
    """Variable name -> its argument_specs option, for all variables that make keepalived.conf."""
    found: dict[str, Option] = {}
    for variable in VARIABLES:
        found[variable.name] = {"description": variable.doc, **_shape(variable)}
    found[HOST_GLOBALS] = {
        "description": "This host's own words of C(global_defs), over O(director_global_defs).",
        "type": "dict",
        "default": {},
    }
    found[HOST_INSTANCES] = {
        "description": "By an instance's name, this host's own words, over O(director_vrrp_instances).",
        "type": "dict",
        "default": {},
    }
    found[PROFILE] = {
        "description": "C(compatible) is keepalived's defaults: VRRPv2, an advert each second. C(fast) fills in, where "
        "the site says nothing: VRRPv3, adverts every 100 ms, priorities from 250 down in the order of "
        "O(director_hosts), and quicker health checks.",
        "type": "str",
        "default": profile.COMPATIBLE,
        "choices": list(profile.PROFILES),
    }
    found[RAW_TEXT] = {
        "description": "Text to put at the end of keepalived.conf as it is; the engine has to understand it.",
        "type": "str",
        "default": "",
    }
    return found


def _shape(variable: Variable) -> Option:
    if variable.word.block is None:
        return {"type": "list", "elements": "str", "default": []}
    # a required word of an instance may come from the host's own variable, which Ansible cannot know
    inner = options(variable.word.block, optional=variable.key == "vrrp_instance")
    if variable.many:
        return {"type": "list", "elements": "dict", "default": [], "options": inner}
    return {"type": "dict", "default": {}, "options": inner}


def options(block: Block, optional: bool = False) -> dict[str, Option]:
    """Word -> option, for the words of a block that may be used.

    Every other spelling is an option of its own: a role's argument_specs have no ``aliases``.
    """
    found: dict[str, Option] = {}
    for word in block.words:
        if word.kind == REFUSED:
            continue
        found[word.name] = option(word, optional)
        for spelling in word.aliases:
            found[spelling] = {**found[word.name], "description": f"Another spelling of C({word.name})."}
    return found


def option(word: Word, optional: bool = False) -> Option:
    """One word as an option. ``optional``: only a name is required."""
    found: Option = {"description": _description(word), "type": _type(word)}
    if found["type"] == "list":
        found["elements"] = "dict" if word.kind == BLOCKS else "str"
    if word.required and (not optional or word.name == "name"):
        found["required"] = True
    if word.kind == CHOICE and not word.bare:
        lower = [choice.lower() for choice in word.choices] if word.any_case else []
        found["choices"] = [*word.choices, *lower]
    if word.secret:
        found["no_log"] = True
    if word.block is not None:
        found["options"] = options(word.block)
    return found


def _description(word: Word) -> str:
    """What the word says, with the default the file has when it is not there."""
    return f"{word.doc} Default: {word.default}." if word.default else word.doc


def is_list(word: Word) -> bool:
    """A word for blocks that a variable always holds as a list; the others, checks, are a mapping when there is one."""
    return word.name in _LISTS


def _type(word: Word) -> str:
    if word.bare:
        return "raw"
    if word.kind == BLOCKS:
        return "list" if is_list(word) else "raw"  # a check is a mapping, or, when there are several, a list of them
    return _TYPES.get(word.kind, "str")
