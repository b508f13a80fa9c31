# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a child that died is started again."""

from __future__ import annotations


class Backoff:
    """At once the first time, then later and later. It has no clock.

    ``first_ns`` doubles up to ``most_ns``; a child that lived for ``calm_ns`` is a first time again.
    """

    def __init__(self, first_ns: int, most_ns: int, calm_ns: int) -> None:
        self._first_ns = first_ns
        self._most_ns = most_ns
        self._calm_ns = calm_ns
        self.deaths = 0

    def died(self, started_ns: int, now_ns: int) -> int:
        """A child that was started then is dead now; when to start the next."""
        if now_ns - started_ns >= self._calm_ns:
            self.deaths = 0
        self.deaths += 1
        if self.deaths == 1:
            return now_ns
        return now_ns + min(self._most_ns, self._first_ns << min(self.deaths - 2, 32))
