# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A loop for the sources of the supervisor (see its loop.py), which ends when a test has seen what it waits for."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import Protocol


class Source(Protocol):
    def fileno(self) -> int:
        ...

    def deadline_ns(self) -> int:
        ...

    def handle(self, now_ns: int) -> None:
        ...


def run_until(sources: list[Source], seen: Callable[[], object], limit_s: float = 10) -> float:
    """Hand each source its turns until ``seen()`` is true; the longest turn in seconds. AssertionError at the limit."""
    end = time.monotonic() + limit_s
    longest = 0.0
    while not seen():
        now = time.monotonic_ns()
        assert now / 1e9 < end, "it did not happen in time"
        wait_ns = min((source.deadline_ns() for source in sources), default=1 << 63) - now
        files = [source.fileno() for source in sources if source.fileno() >= 0]
        ready = select.select(files, [], [], max(0.0, min(wait_ns / 1e9, end - now / 1e9, 0.02)))[0]
        now = time.monotonic_ns()
        for source in sources:
            if source.fileno() in ready or source.deadline_ns() <= now:
                source.handle(now)
        longest = max(longest, (time.monotonic_ns() - now) / 1e9)
    return longest
