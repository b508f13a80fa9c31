# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a director's configuration asks of the unit of lvs-agent: whom its scripts run as."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from .conf.check_local import scripts
from .conf.director import Director
from .conf.problem import BadValue, ConfigurationError
from .conf.read import read_text
from .conf.render import render
from .conf.script import command_line
from .conf.settle import settle

USER = "lvs-agent"  # whom the role's unit runs the daemon as


class Needs(NamedTuple):
    """``scripts_of_others``: some script runs as another user than the daemon."""

    scripts_of_others: bool


def agent_needs(host: str, variables: Mapping[str, Any], rank: int = 0) -> Needs:
    """What ``host``, director number ``rank`` of its site, needs; what :mod:`.engine_verdict` refuses needs nothing."""
    director = Director.of(host, variables, rank)
    try:
        text = render(director.configuration)
    except ConfigurationError:
        return Needs(scripts_of_others=False)
    # raw lines are part of the file only; files that they include are on the director
    lines = [line for line in text.split("\n") if line.split()[:1] != ["include"]]
    found = Director(host, {}, settle(read_text("\n".join(lines), ids=[host], environment={}).configuration))
    return Needs(any(_is_anothers(script.said, script.owner) for script in scripts(found)))


def _is_anothers(said: str, owner: str) -> bool:
    with contextlib.suppress(BadValue):
        line = command_line(said, owner)
        return (line.user, line.group or USER) != (USER, USER)
    return False  # the checks tell
