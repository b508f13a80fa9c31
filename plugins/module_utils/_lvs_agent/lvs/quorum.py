# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a virtual server has its quorum; pure."""

from __future__ import annotations


def is_up(before: bool, weight: int, quorum: int, hysteresis: int) -> bool:
    """Whether the quorum is there with this weight of the pool; ``before`` is False at the start.

    It is gained at ``quorum + hysteresis`` and lost below ``quorum - hysteresis``, and always at weight 0, as with
    keepalived 2.2.7.
    """
    if before:
        return weight > 0 and weight >= quorum - hysteresis
    return weight >= quorum + hysteresis
