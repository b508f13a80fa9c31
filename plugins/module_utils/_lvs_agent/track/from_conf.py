# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A settled configuration -> what is to be tracked, with keepalived's defaults; looks at the scripts' paths."""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from typing import Any

from ..conf import model, values
from ..conf.quoting import split
from ..script_commands import Commands, RefusedCommand
from ..spawn import SECOND
from ..vrrp.plan import Plan, TrackKind
from .files import FilePlan
from .plans import TrackPlans
from .quorum import ProcessPlan
from .scripts import ScriptPlan

Words = Mapping[str, Any]


def plans(configuration: Words, plan: Plan, commands: Commands) -> TrackPlans:
    """What ``plan`` tracks, in detail."""
    used = {(track.kind, track.name) for instance in plan.instances for track in instance.tracks}
    used |= {(track.kind, track.name) for group in plan.groups for track in group.tracks}

    def blocks(word: str, kind: TrackKind) -> list[Words]:
        return [block for block in configuration[word] if (kind, str(block.get("name"))) in used]

    return TrackPlans(
        tuple(_script(block, commands) for block in blocks("vrrp_script", TrackKind.SCRIPT)),
        tuple(_process(block) for block in blocks("vrrp_track_process", TrackKind.PROCESS)),
        tuple(_file(block) for block in blocks("track_file", TrackKind.FILE)),
    )


def commands_of(configuration: Words) -> Commands:
    """How the configuration's command lines are run."""
    said = configuration["global_defs"]
    return Commands(
        str(said.get("script_user", "")),
        model.is_on(said.get("enable_script_security")),
        model.is_on(said.get("set_supplementary_groups")),
        _whole(said, "notify_timeout", 60),
        _whole(said, "notify_retry", 0),
    )


def _script(block: Words, commands: Commands) -> ScriptPlan:
    interval = _whole(block, "interval", 1) * SECOND
    refused = ""
    try:
        command = commands.command(str(block["script"]), str(block.get("user", "")))
    except RefusedCommand as reason:
        command, refused = None, f"{block['script']} is not run: {reason}"
    return ScriptPlan(
        name=str(block["name"]),
        command=command,
        interval_ns=interval,
        timeout_ns=_whole(block, "timeout", 0) * SECOND or interval,
        rise=_whole(block, "rise", 1),
        fall=_whole(block, "fall", 1),
        init_fail=model.is_on(block.get("init_fail")),
        refused=refused,
    )


def _process(block: Words) -> ProcessPlan:
    both = _ns(block.get("delay"))
    return ProcessPlan(
        name=str(block["name"]),
        words=tuple(split(str(block["process"]))),
        param_match=str(block.get("param_match", "")),
        full_command=model.is_on(block.get("full_command")),
        quorum=_whole(block, "quorum", 1),
        quorum_max=_whole(block, "quorum_max", 65536),
        fork_delay_ns=_ns(block.get("fork_delay")) or both,
        terminate_delay_ns=_ns(block.get("terminate_delay")) or both,
    )


def _file(block: Words) -> FilePlan:
    init = block.get("init_file")
    if init is None or init is False:
        return FilePlan(str(block["name"]), str(block["file"]))
    words = [] if init is True else str(init).split()
    number = int(words[0]) if words and words[0] != "overwrite" else 0
    return FilePlan(str(block["name"]), str(block["file"]), number, "overwrite" in words)


def _whole(block: Words, word: str, default: int) -> int:
    found = model.whole(block.get(word))
    return default if found is None else found


def _ns(value: Any) -> int:
    return int((values.number(value) or decimal.Decimal(0)) * SECOND)
