# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A limit for putting things back; pure."""

from __future__ import annotations

# A span, and how many repairs are made in it.
_WINDOW_NS = 10_000_000_000
_MOST_REPAIRS = 20


class Repairs:
    """How often something may be put back: many times at once, but not for ever against somebody who removes it."""

    def __init__(self) -> None:
        self._window_ns = -_WINDOW_NS
        self._count = 0

    def allowed(self, now: int) -> bool:
        """Whether to put it back now; at most 20 times in 10 s."""
        if now - self._window_ns >= _WINDOW_NS:
            self._window_ns, self._count = now, 0
        self._count += 1
        return self._count <= _MOST_REPAIRS

    @property
    def resumes_ns(self) -> int:
        """When the next one is allowed."""
        return self._window_ns + _WINDOW_NS
