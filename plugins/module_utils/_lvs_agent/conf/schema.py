# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration language: which variable of the role holds which blocks, and every block's words.

The one table that the checker, the renderer and the role's argument_specs are made from. To teach the
language a word, add it to its block in ``schema_file``, ``schema_global``, ``schema_track``, ``schema_vrrp`` or
``schema_lvs``, and write docs/keywords.md and the role's argument_specs again (:mod:`.keywords`).
"""

from __future__ import annotations

import dataclasses

from . import schema_file, schema_track
from .schema_global import GLOBAL_DEFS
from .schema_lvs import NO_BFD, VIRTUAL_SERVER, VIRTUAL_SERVER_GROUP
from .schema_vrrp import VRRP_INSTANCE, VRRP_SCRIPT, VRRP_SYNC_GROUP
from .words import BLOCK, BLOCKS, NOT_SUPPORTED, SUPPORTED, Block, Word

HOST_INSTANCES = "director_host_vrrp_instances"
HOST_GLOBALS = "director_host_global_defs"
RAW_TEXT = "director_raw"
PROFILE = "director_profile"


@dataclasses.dataclass(frozen=True)
class Variable:
    """A variable of the role ``director`` and the part of the file it holds.

    ``word`` is the keyword at the file's top level: one block (BLOCK), as many as there are (BLOCKS), or a list
    of lines (LINES). ``flat``: not a keyword, but words of the top level itself.
    """

    name: str
    word: Word
    doc: str
    flat: bool = False

    @property
    def key(self) -> str:
        """Its name in a configuration (see :mod:`.merge`)."""
        return self.word.name

    @property
    def many(self) -> bool:
        """Its value is a list of blocks."""
        return self.word.kind == BLOCKS


def _one(name: str, block: Block, doc: str, flat: bool = False) -> Variable:
    return Variable(name, Word(block.name, BLOCK, doc, block=block), doc, flat)


def _many(name: str, block: Block, *aliases: str, doc: str = "", missing: str = "") -> Variable:
    """``missing``: lvs-agent has nothing of the kind; what to use instead."""
    doc = doc or f"The C({block.name}) blocks."
    status = NOT_SUPPORTED if missing else SUPPORTED
    word = Word(block.name, BLOCKS, doc, block=block, aliases=aliases, status=status, reason=missing)
    return Variable(name, word, doc)


def _lines(name: str, word: Word) -> Variable:
    return Variable(name, word, word.doc)


VARIABLES: tuple[Variable, ...] = (
    _one("director_top_level", schema_file.TOP_LEVEL, "Words outside all blocks.", flat=True),
    _one("director_global_defs", GLOBAL_DEFS, "Words of C(global_defs), for all directors."),
    _lines("director_linkbeat_interfaces", schema_file.LINKBEAT_INTERFACES),
    _many("director_track_groups", schema_track.TRACK_GROUP),
    _lines("director_static_ipaddress", schema_file.STATIC_IPADDRESS),
    _lines("director_static_routes", schema_file.STATIC_ROUTES),
    _lines("director_static_rules", schema_file.STATIC_RULES),
    _many("director_vrrp_track_files", schema_track.TRACK_FILE, "vrrp_track_file"),
    _many("director_vrrp_track_processes", schema_track.TRACK_PROCESS),
    _many("director_bfd_instances", schema_track.BFD_INSTANCE, missing=NO_BFD),
    _many("director_vrrp_scripts", VRRP_SCRIPT),
    _many("director_garp_groups", schema_file.GARP_GROUP),
    _many("director_vrrp_sync_groups", VRRP_SYNC_GROUP),
    _many(
        "director_vrrp_instances",
        VRRP_INSTANCE,
        doc="The C(vrrp_instance) blocks, with what is the same on all directors.",
    ),
    _lines("director_interface_up_down_delays", schema_file.INTERFACE_UP_DOWN_DELAYS),
    _one("director_ssl", schema_file.SSL, "Words of C(SSL), for all SSL_GET checks."),
    _many("director_virtual_server_groups", VIRTUAL_SERVER_GROUP),
    _many("director_virtual_servers", VIRTUAL_SERVER),
)

CONFIGURATION_VARIABLES: tuple[str, ...] = (
    *(variable.name for variable in VARIABLES),
    HOST_GLOBALS,
    HOST_INSTANCES,
    RAW_TEXT,
    PROFILE,
)

# every block of the language by its name, one of those with the same name
BLOCK_OF: dict[str, Block] = {variable.key: variable.word.block for variable in VARIABLES if variable.word.block}
