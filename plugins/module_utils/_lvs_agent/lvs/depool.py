# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The depool floor: real servers that stay in the pool although their checks say that they are down; pure.

A check that is wrong, or what all servers lean on and lost, must not empty a pool. The servers that are kept are those
that were in the pool last. They are let go when more servers than the floor are up: not at the floor itself, so that
one server that comes and goes there moves nobody else.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from .plan import Floor


def number(floor: Floor, servers: int) -> int:
    """How many of so many servers the floor is; a percentage is rounded up."""
    return min(servers, -(-floor.number * servers // 100) if floor.percent else floor.number)


def held(floor: int, up: int, down: Sequence[str], was_pooled: Collection[str], was_held: Collection[str]) -> list[str]:
    """Which of the servers that are ``down`` stay, with ``up`` others being up. ``was_held`` stayed until now."""
    if up > floor:
        return []
    kept = [name for name in down if name in was_held]
    missing = floor - up - len(kept)
    if missing <= 0:
        return kept
    others = [name for name in down if name not in was_held]
    others.sort(key=lambda name: name not in was_pooled)  # stable: the order of the configuration among equals
    return kept + others[:missing]
