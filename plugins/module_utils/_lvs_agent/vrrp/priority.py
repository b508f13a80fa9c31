# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The effective priority: what tracked scripts, interfaces, processes and files make of the configured one.

As keepalived 2.2 does it (keepalived.conf(5), track_script and the others).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from .instance import OWNER

_LOWEST, _HIGHEST = 1, 254
# a tracked file's product from which it is a fault, and the most it may add
_FILE_FAULT, _FILE_MOST = -254, 253


@dataclass(frozen=True)
class Tracked:
    """A script, interface or process, and how it is: ``up`` is None until its first result is there.

    A weight above 0 is added while it is up, one below 0 while it is down; ``reverse`` turns the weight's sign round.
    Without a weight it is a fault while it is down (up with ``reverse``), and while it is not known when the instance
    begins. ``name`` is for people, as in "interface eth1".
    """

    name: str
    up: bool | None
    weight: int = 0
    reverse: bool = False


@dataclass(frozen=True)
class TrackedFile:
    """A file with a number in it, -254 to 254; 0 when it is missing.

    The number times the weight is added; at -254 or below that it is a fault. Without a weight a number that is not 0
    is one (0 with ``reverse``).
    """

    name: str
    value: int
    weight: int = 0
    reverse: bool = False


class Effective(NamedTuple):
    """The priority to advertise, and why the instance must not be master, in words for people."""

    priority: int
    faults: frozenset[str]


def effective(base: int, tracked: Iterable[Tracked | TrackedFile], *, begun: bool = False) -> Effective:
    """The configured priority ``base`` with everything tracked; an owner's stays 255, but faults count for it, too.

    ``begun``: the instance is backup or master already. What has no result yet counts as fine then, as in keepalived,
    so that a reload which adds a script moves nothing; an instance that begins waits for it.
    """
    total = base
    faults: list[str] = []
    for item in tracked:
        change, fault = _of_file(item) if isinstance(item, TrackedFile) else _of_state(item, begun)
        total += change
        if fault:
            faults.append(fault)
    priority = OWNER if base == OWNER else max(_LOWEST, min(total, _HIGHEST))
    return Effective(priority, frozenset(faults))


def _of_state(item: Tracked, begun: bool) -> tuple[int, str]:
    """(what is added to the priority, the fault or "")."""
    if not item.weight:
        if item.up is None:
            return 0, "" if begun else f"{item.name} has no result yet"
        if item.up is item.reverse:
            return 0, f"{item.name} is {'up' if item.up else 'down'}"
        return 0, ""
    if item.up is None or item.up is not (item.weight > 0):
        return 0, ""
    return -item.weight if item.reverse else item.weight, ""


def _of_file(item: TrackedFile) -> tuple[int, str]:
    if not item.weight:
        return 0, f"{item.name} holds {item.value}" if bool(item.value) is not item.reverse else ""
    change = item.value * (-item.weight if item.reverse else item.weight)
    if change <= _FILE_FAULT:
        return 0, f"{item.name} holds {item.value}"
    return min(change, _FILE_MOST), ""
