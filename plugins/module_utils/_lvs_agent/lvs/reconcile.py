# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From one IPVS table to another by the fewest changes; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kernel.ipvs_change import AddServer, AddService, DeleteServer, DeleteService, EditServer, EditService

if TYPE_CHECKING:
    from ..kernel.ipvs_change import Change
    from .table import Table, VirtualService


def changes(before: Table, after: Table) -> list[Change]:
    """What turns ``before`` into ``after``, one change for each service or server that differs.

    All additions and edits come before all deletions, so that a service whose servers are exchanged always has one.
    Both tables hold the services that are compared and no others: one that only ``before`` has is deleted.
    """
    first: list[Change] = []
    last: list[Change] = []
    for key, wanted in after.items():
        have = before.get(key)
        if have is None:
            first.append(AddService(wanted.service))
            first += [AddServer(key, server) for server in wanted.servers.values()]
        else:
            _compare(have, wanted, first, last)
    last += [DeleteService(key) for key in before if key not in after]
    return first + last


def _compare(have: VirtualService, wanted: VirtualService, first: list[Change], last: list[Change]) -> None:
    key = wanted.service.key
    if have.service != wanted.service:
        first.append(EditService(wanted.service))
    for name, server in wanted.servers.items():
        known = have.servers.get(name)
        if known is None:
            first.append(AddServer(key, server))
        elif known != server:
            first.append(EditServer(key, server))
    last += [DeleteServer(key, name) for name in have.servers if name not in wanted.servers]
