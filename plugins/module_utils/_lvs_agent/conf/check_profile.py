# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a site says against the profile it chose."""

from __future__ import annotations

from ..spelling import nearest
from . import model, values
from .director import Director
from .problem import WARNING, Problem
from .profile import FAST, PROFILES, SHORT_SKEW
from .schema import PROFILE


def problems(director: Director) -> list[Problem]:
    """An unknown profile; with ``fast``, what makes a failover slow all the same."""
    chosen = director.variables.get(PROFILE)
    if chosen is not None and chosen not in PROFILES:
        return [director.problem(PROFILE, f"{values.shown(chosen)} is not known", nearest(str(chosen), PROFILES))]
    if chosen != FAST:
        return []
    found: list[Problem] = []
    for instance in director.configuration["vrrp_instance"]:
        if model.version(instance, director.configuration["global_defs"]) == 2:
            what = "it speaks VRRPv2, whose adverts come every second or more seldom, with the profile fast too"
            where = director.path(instance, "version")
            found.append(director.problem(where, what, "remove version: 2 and authentication", WARNING))
            continue
        priority = model.priority(instance)
        if priority < SHORT_SKEW:
            skew = (256 - priority) * float(model.interval(instance)) * 1000 / 256
            what = f"with priority {priority} it waits {skew:.0f} ms more than three adverts before it takes over"
            advice = "write priorities near the top, such as 250 and 240, or none: the profile fast gives them"
            found.append(director.problem(director.path(instance, "priority"), what, advice, WARNING))
    return found
