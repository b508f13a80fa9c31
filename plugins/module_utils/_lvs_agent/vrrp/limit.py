# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bound on what packets from the network can cause; pure."""

from __future__ import annotations

# a sender that keeps to the interval may be early by its jitter
_JITTER_PARTS = 8


class Limit:
    """At most ``burst`` events at once and, in the long run, one in each interval (GCRA, ITU-T I.371)."""

    def __init__(self, burst: int = 1) -> None:
        self._ahead = burst - 1
        self._next = 0

    def allows(self, now: int, interval: int) -> bool:
        """Whether one more may happen now, which then counts as happened; both in nanoseconds."""
        if self._next - now > self._ahead * interval + interval // _JITTER_PARTS:
            return False
        self._next = max(self._next, now) + interval
        return True
