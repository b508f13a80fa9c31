# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check's results make of its state, and when it runs next; pure.

keepalived 2.2.7 (keepalived.conf(5) and its behaviour): a check is up from the start, with ``alpha`` down; the first
run of all decides alone. Then ``retry`` more failures, ``delay_before_retry`` apart, make it down; one success makes it
up. Ours are ``fall`` (``retry`` + 1) and ``rise``. While it is down it runs every interval, HTTP_GET and SSL_GET too
when ``delay_before_retry`` is longer.
"""

from __future__ import annotations

from dataclasses import dataclass

from .plan import Timing


@dataclass
class Verdict:
    """``up`` is what counts. ``has_run`` is False until the first result; ``streak`` counts results against ``up``."""

    up: bool
    has_run: bool = False
    streak: int = 0

    def result(self, ok: bool, timing: Timing) -> bool:
        """Count one; whether ``up`` changed, or was said for the first time."""
        if ok is self.up and self.has_run:
            self.streak = 0
            return False
        first, self.has_run = not self.has_run, True
        self.streak += 1
        if not first and self.streak < (timing.rise if ok else timing.fall):
            return False
        self.up, self.streak = ok, 0
        return True

    def delay_ns(self, ok: bool, timing: Timing) -> int:
        """From the end of a run, which was counted, to the next one."""
        return timing.retry_delay_ns if self.up and not ok else timing.interval_ns


def begun(timing: Timing, beside_healthy: bool = False) -> Verdict:
    """A check that is new. ``beside_healthy``: its server has others, which have run and are all up.

    A check that a reload adds to such a server does not take it out: it is up, ``alpha`` or not, and one failure is not
    enough.
    """
    return Verdict(True, has_run=True) if beside_healthy else Verdict(not timing.alpha)
