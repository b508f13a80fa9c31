# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration language: which variable of the role holds which blocks, and every block's words.

The one table that the checker, the renderer and the role's argument_specs are made from. To teach the
language a word, add it to its block in ``schema_global``, ``schema_vrrp`` or ``schema_lvs``.
"""

from __future__ import annotations

import dataclasses

from .schema_global import GLOBAL_DEFS
from .schema_lvs import VIRTUAL_SERVER, VIRTUAL_SERVER_GROUP
from .schema_vrrp import VRRP_INSTANCE, VRRP_SCRIPT, VRRP_SYNC_GROUP
from .words import Block

HOST_INSTANCES = "director_host_vrrp_instances"
HOST_GLOBALS = "director_host_global_defs"


@dataclasses.dataclass(frozen=True)
class Variable:
    """A variable of the role ``director`` and the block its value, or each element of its value, is."""

    name: str
    block: Block
    many: bool
    doc: str


VARIABLES: tuple[Variable, ...] = (
    Variable("director_global_defs", GLOBAL_DEFS, False, "Words of C(global_defs), for all directors."),
    Variable("director_vrrp_scripts", VRRP_SCRIPT, True, "The C(vrrp_script) blocks."),
    Variable("director_vrrp_sync_groups", VRRP_SYNC_GROUP, True, "The C(vrrp_sync_group) blocks."),
    Variable(
        "director_vrrp_instances",
        VRRP_INSTANCE,
        True,
        "The C(vrrp_instance) blocks, with what is the same on all directors.",
    ),
    Variable(
        "director_virtual_server_groups", VIRTUAL_SERVER_GROUP, True, "The C(virtual_server_group) blocks."
    ),
    Variable("director_virtual_servers", VIRTUAL_SERVER, True, "The C(virtual_server) blocks."),
)

CONFIGURATION_VARIABLES: tuple[str, ...] = (
    *(variable.name for variable in VARIABLES),
    HOST_GLOBALS,
    HOST_INSTANCES,
)
