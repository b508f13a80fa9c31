# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The supervisor's loop: it waits for its sources, and hands each its turn.

A source is one file descriptor and one deadline. One that has several descriptors has a selector of its own: the
descriptor of an epoll can be waited for like any other.
"""

from __future__ import annotations

import logging
import selectors
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)

#: A deadline that never comes.
NEVER = 1 << 63
_PATIENCE = 10


class Source(Protocol):
    """Something the supervisor waits for. Times are CLOCK_MONOTONIC in nanoseconds."""

    def fileno(self) -> int:
        """The descriptor that becomes readable, the same from ``add`` to ``remove``; -1 for none."""

    def deadline_ns(self) -> int:
        """When ``handle`` is to be called at the latest; NEVER."""

    def handle(self, now_ns: int) -> None:
        """The descriptor is readable, or the deadline has come; must not wait for anything."""


class Loop:
    """Sources in the order in which they were added."""

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._sources: list[Source] = []
        self._failures: dict[int, int] = {}

    def add(self, source: Source) -> None:
        """Wait for this one too."""
        if source.fileno() >= 0:
            self._selector.register(source.fileno(), selectors.EVENT_READ, source)
        self._sources.append(source)

    def remove(self, source: Source) -> None:
        """Wait for it no longer; to be called before its descriptor is closed."""
        if source.fileno() >= 0:
            self._selector.unregister(source.fileno())
        self._sources.remove(source)
        self._failures.pop(id(source), None)

    def turn(self) -> None:
        """Wait until something happens, and handle all that did."""
        wait_ns = min((source.deadline_ns() for source in self._sources), default=NEVER) - self._clock()
        timeout = None if wait_ns > NEVER >> 1 else max(0, wait_ns) / 1e9
        ready = {id(key.data) for key, _events in self._selector.select(timeout)}
        now = self._clock()
        for source in tuple(self._sources):
            # an earlier one may have removed it
            if (id(source) in ready or source.deadline_ns() <= now) and source in self._sources:
                self._handle(source, now)

    def close(self) -> None:
        """Forget all sources."""
        self._selector.close()
        self._sources.clear()

    def _handle(self, source: Source, now: int) -> None:
        """A mistake in one of the sources must not end the daemon, nor keep its loop busy for ever."""
        try:
            source.handle(now)
        except Exception:  # noqa: BLE001 - whatever it is, the others go on
            failures = self._failures[id(source)] = self._failures.get(id(source), 0) + 1
            _log.exception("%s failed; this is a bug, please report it", type(source).__name__)
            if failures >= _PATIENCE:
                _log.critical("%s failed %d times in a row: it is left out", type(source).__name__, failures)
                self.remove(source)
        else:
            self._failures.pop(id(source), None)
