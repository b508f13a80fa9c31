# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be tracked, in detail; apart from what makes it of a configuration, which the daemon does not load."""

from __future__ import annotations

from dataclasses import dataclass

from .files import FilePlan
from .quorum import ProcessPlan
from .scripts import ScriptPlan


@dataclass(frozen=True)
class TrackPlans:
    """Everything that some instance or group tracks; what nobody tracks is not run."""

    scripts: tuple[ScriptPlan, ...] = ()
    processes: tuple[ProcessPlan, ...] = ()
    files: tuple[FilePlan, ...] = ()
