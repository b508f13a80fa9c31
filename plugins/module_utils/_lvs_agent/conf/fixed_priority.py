# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances whose priority nothing may change: members of a sync group, and the owner of an address (255).

Source: what keepalived 2.2.7 and 2.3.3 say and do with each weight that they track; the same is done here. Of the
weight of an interface that a member of a group tracks, they say that it is ignored, and obey it. Those of processes
they let pass.
"""

from __future__ import annotations

import typing as t

from . import model

IGNORED, WITHOUT_WEIGHT, ALONE = "is not tracked", "is tracked without it", "changes this priority alone"
_OWNER = 255


def reasons(configuration: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Name of each such instance -> why, in words."""
    found: dict[str, str] = {}
    for group in configuration["vrrp_sync_group"]:
        members = [line[0] for line in model.lines(group.get("group"))]
        if len(members) > 1 and not model.is_on(group.get("sync_group_tracking_weight")):
            found.update(dict.fromkeys(members, f"it is a member of the sync group {group.get('name')}"))
    for instance in configuration["vrrp_instance"]:
        if is_owner(instance):
            found[str(instance.get("name"))] = "priority 255 never changes"
    return found


def is_owner(instance: t.Mapping[str, t.Any]) -> bool:
    """It has the priority of the owner of its addresses."""
    return model.whole(instance.get("priority")) == _OWNER


def treatment(word: str, weight: int, *, said: bool, owner: bool) -> str:
    """What becomes of a line of ``track_script``, ``track_interface``, ``track_file`` or ``track_bfd``.

    IGNORED, WITHOUT_WEIGHT, ALONE when it is obeyed nevertheless, or "". ``said``: the weight is no default;
    ``owner`` tells the two kinds of instances apart.
    """
    if not weight or word == "track_process":
        return ""
    if word == "track_interface":
        return IGNORED if owner else ALONE
    return WITHOUT_WEIGHT if word == "track_file" and not said else IGNORED
