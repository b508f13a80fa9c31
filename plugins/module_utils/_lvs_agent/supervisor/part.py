# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the supervisor asks of the daemon's other parts: tracking, notification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ..vrrp.messages import TrackResult
    from .channel import Channel
    from .child import Child
    from .loop import Source
    from .process import Process
    from .reader import Settings


class Part(Protocol):
    """One part; times are CLOCK_MONOTONIC in nanoseconds, and no method waits."""

    def sources(self) -> Iterable[Source]:
        """For the supervisor's loop; the same from start to end."""

    def before(self, settings: Settings, now_ns: int, done: Callable[[], None]) -> int:
        """Do what comes before anything begins on this host, then call ``done``; how long that may take."""

    def configure(self, settings: Settings, now_ns: int) -> None:
        """These settings hold from now on; the first ones, or others."""

    def heard(self, message: Any, now_ns: int) -> None:
        """The VRRP process said this (vrrp/messages.py)."""

    def results(self) -> Iterable[TrackResult]:
        """What the VRRP process must know; ``up`` is None for what has no result yet."""

    def waiting(self) -> list[str]:
        """What would be lost if another program took over now, in words."""

    def children(self) -> Mapping[str, Child]:
        """Processes that go on under another program, by the names of their kinds."""

    def adopt(self, name: str, process: Process, channel: Channel, now_ns: int) -> None:
        """A process of the program before, which may be another part's."""

    def overview(self) -> dict[str, Any]:
        """For the daemon's own overview, as plain values for JSON."""

    def problems(self) -> list[str]:
        """What is wrong with it now, in words."""

    def hand_over(self) -> None:
        """Another program takes over; when it cannot, ``configure`` is called."""

    def stop(self, now_ns: int) -> None:
        """The daemon ends: finish."""

    def after(self, now_ns: int) -> int:
        """Everything has ended: do what comes last; how long that may take."""

    def close(self, now_ns: int) -> None:
        """The daemon is gone."""

    def busy(self) -> bool:
        """Whether there is something to finish."""
