# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operator said against the checks: servers that are drained; pure.

A drained server has weight 0: the kernel keeps its connections and gives it no new ones. While its checks say that it
is down it is not in the table, and it comes back with weight 0. It stays drained until it is undrained: over reloads,
restarts and hand-overs. A time-out says until when its connections are
waited for; it ends the wait, not the drain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple


class Drain(NamedTuple):
    """One order. ``service`` "" means every virtual server; ``server`` is ADDRESS:PORT, or ADDRESS for any port.

    Times are CLOCK_REALTIME in nanoseconds, so that they mean something after a restart; ``until_ns`` is 0 for a wait
    without end.
    """

    service: str
    server: str
    since_ns: int
    until_ns: int = 0


class Progress(Enum):
    """How far a drain is."""

    DRAINING = "draining"
    DRAINED = "drained"
    TIMED_OUT = "timed out"


class NotDrained(ValueError):
    """There is no such order to take back."""


@dataclass(frozen=True)
class Overrides:
    """All orders, by virtual server and real server."""

    drains: Mapping[tuple[str, str], Drain] = field(default_factory=dict)

    def with_drain(self, drain: Drain) -> Overrides:
        """With this one too; it replaces one of the same servers, whose beginning stays."""
        key = (drain.service, drain.server)
        before = self.drains.get(key)
        if before is not None:
            drain = drain._replace(since_ns=before.since_ns)
        return Overrides({**self.drains, key: drain})

    def without_drain(self, service: str, server: str) -> Overrides:
        """Without that one. Raises NotDrained, with a sentence."""
        if (service, server) not in self.drains:
            others = [_spoken(one.service) for one in self.drains.values() if one.server == server]
            there = f"; it is drained in {', '.join(others)}" if others else ""
            raise NotDrained(f"{server} is not drained in {_spoken(service)}{there}")
        return Overrides({key: drain for key, drain in self.drains.items() if key != (service, server)})

    def of(self, service: str) -> Mapping[str, Drain]:
        """Those that mean a virtual server, by ``Drain.server``; its own before those of every one."""
        found = {drain.server: drain for drain in self.drains.values() if not drain.service}
        found.update({drain.server: drain for drain in self.drains.values() if drain.service == service})
        return found

    def to_json(self) -> list[Any]:
        """For a file; see :func:`parse`."""
        return [list(drain) for drain in self.drains.values()]


def _spoken(service: str) -> str:
    return service or "every virtual server"


def drain_of(drains: Mapping[str, Drain], server: str, addr: str) -> Drain | None:
    """The order (see ``Overrides.of``) that means a server of this name and address."""
    return (drains.get(server) or drains.get(addr)) if drains else None


def progress(drain: Drain, left: int, wall_ns: int) -> Progress:
    """How far it is at that time, with so much left that is waited for (:attr:`.drained.Left.waited_for`)."""
    if not left:
        return Progress.DRAINED
    return Progress.TIMED_OUT if 0 < drain.until_ns <= wall_ns else Progress.DRAINING


def parse(content: Any) -> Overrides:
    """What ``to_json`` gave. Raises ValueError for anything else."""
    return Overrides({(drain.service, drain.server): drain for drain in _parsed(content)})


def _parsed(content: Any) -> Iterator[Drain]:
    if not isinstance(content, list):
        raise ValueError("the overrides are no list")  # noqa: TRY004 - a file's content is a value
    for one in content:
        kinds = [type(item) for item in one] if isinstance(one, list) else []
        if kinds != [str, str, int, int]:
            raise ValueError(f"{one!r} is no drain")
        yield Drain(*one)
