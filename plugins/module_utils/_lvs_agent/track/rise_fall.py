# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a tracked script is up: keepalived's counting of successes and failures; pure.

keepalived.conf(5), vrrp_script: ``rise`` successes in a row make it up, ``fall`` failures down. As its source has it,
the first run of all decides alone, and with ``init_fail`` it is down until ``rise`` successes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class RiseFall:
    """``up`` is None until the first result; ``streak`` counts the results in a row that speak against it."""

    rise: int = 1
    fall: int = 1
    up: bool | None = None
    streak: int = 0

    def result(self, ok: bool) -> bool:
        """Count one; whether ``up`` changed."""
        if ok is self.up:
            self.streak = 0
            return False
        self.streak += 1
        if self.up is not None and self.streak < (self.rise if ok else self.fall):
            return False
        self.up, self.streak = ok, 0
        return True

    def reconfigured(self, rise: int, fall: int) -> RiseFall:
        """The same script with other numbers: what is known of it stays."""
        return RiseFall(rise, fall, self.up, self.streak)


@dataclass
class Schedule:
    """Runs at ``first_ns`` and every ``interval_ns`` after it, whatever a run takes: a late one shifts no other."""

    first_ns: int
    interval_ns: int

    def __post_init__(self) -> None:
        self.next_ns = self.first_ns

    def due(self, now_ns: int) -> int:
        """How many runs have become due by now, and are due no longer; one run answers them all."""
        if now_ns < self.next_ns:
            return 0
        passed = (now_ns - self.next_ns) // self.interval_ns + 1
        self.next_ns += passed * self.interval_ns
        return passed
