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
_MILLISECOND = 1_000_000
# A source that fails again and again has a pause after each time: 1 ms, 2 ms, ... 8 s
_MOST_DOUBLINGS = 13
# of its failures after that, which is every four minutes
_LOGGED_EVERY = 30


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
        self._paused: dict[int, int] = {}  # until when, by id() of the source

    def add(self, source: Source) -> None:
        """Wait for this one too."""
        if source.fileno() >= 0:
            self._selector.register(source.fileno(), selectors.EVENT_READ, source)
        self._sources.append(source)

    def remove(self, source: Source) -> None:
        """Wait for it no longer; to be called before its descriptor is closed."""
        if self._paused.pop(id(source), None) is None:
            self._deaf(source)
        self._sources.remove(source)
        self._failures.pop(id(source), None)

    def turn(self) -> None:
        """Wait until something happens, and handle all that did."""
        due_ns = min((self._due_ns(source) for source in self._sources), default=NEVER)
        wait_ns = due_ns - self._clock()
        timeout = None if wait_ns > NEVER >> 1 else max(0, wait_ns) / 1e9
        ready = {id(key.data) for key, _events in self._selector.select(timeout)}
        now = self._clock()
        for source in tuple(self._sources):
            # an earlier one may have removed it
            if (id(source) in ready or self._due_ns(source) <= now) and source in self._sources:
                self._handle(source, now)

    def close(self) -> None:
        """Forget all sources."""
        self._selector.close()
        self._sources.clear()
        self._paused.clear()

    def _due_ns(self, source: Source) -> int:
        paused_ns = self._paused.get(id(source))
        return source.deadline_ns() if paused_ns is None else paused_ns

    def _deaf(self, source: Source) -> None:
        if source.fileno() >= 0:
            self._selector.unregister(source.fileno())

    def _handle(self, source: Source, now: int) -> None:
        """A mistake in one of the sources must not end the daemon, nor keep its loop busy for ever."""
        if self._paused.pop(id(source), None) is not None and source.fileno() >= 0:
            self._selector.register(source.fileno(), selectors.EVENT_READ, source)
        try:
            source.handle(now)
        except Exception:  # noqa: BLE001 - whatever it is, the others go on
            failures = self._failures[id(source)] = self._failures.get(id(source), 0) + 1
            pause_ns = _MILLISECOND << min(failures - 1, _MOST_DOUBLINGS)
            if failures == 1:
                _log.exception("%s failed; this is a bug, please report it", type(source).__name__)
            elif failures <= _MOST_DOUBLINGS or failures % _LOGGED_EVERY == 0:
                text = "%s failed %d times in a row; it is tried again in %g s"
                _log.critical(text, type(source).__name__, failures, pause_ns / 1e9, exc_info=True)
            if source in self._sources:
                self._deaf(source)
                self._paused[id(source)] = self._clock() + pause_ns
        else:
            self._failures.pop(id(source), None)
