# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MISC_CHECK: a program says how a server is, by its exit status.

As keepalived.conf(5) has it: 0 is success; with ``misc_dynamic`` 2 to 255 are too, and the weight is two less. Beyond
that, a run past ``misc_timeout`` has failed at that moment, not when the program has ended at last; a program that
cannot be run is a failure, with ``misc_dynamic`` too; and there is a bound on how many run at once.
"""

from __future__ import annotations

import time

from ..spawn import NEVER, SECOND, Child, Finished, last_line
from .attempt import READ, NotNow, Outcome, Tools
from .plan import MiscCheck, Timing
from .tcp import seconds

MOST_AT_ONCE = 256  # programs of all kinds; more of them would all be late
_NOT_EXECUTED = (126, 127)  # setpriv(1), which then says why


def judge(check: MiscCheck, finished: Finished) -> Outcome:
    """What the end of a program means."""
    status = finished.status
    said = last_line(finished.output)
    if status == 0:
        return Outcome(True)
    if check.dynamic and status >= 2 and not _was_not_executed(finished):
        return Outcome(True, f"exit status {status}{said}", status - 2)
    return Outcome(False, f"it {finished}{said}")


def _was_not_executed(finished: Finished) -> bool:
    return finished.status in _NOT_EXECUTED and finished.output.startswith("setpriv: ")


class MiscAttempt:
    """One MISC_CHECK; the spawner has its descriptors."""

    __slots__ = ("_check", "_child", "_tools", "deadline_ns", "events", "fd", "outcome")

    def __init__(self, check: MiscCheck, timing: Timing, tools: Tools) -> None:
        self._check = check
        self._tools = tools
        self._child: Child | None = None
        self.fd = -1
        self.events = READ
        self.deadline_ns = NEVER
        self.outcome: Outcome | None = None

    def start(self, now_ns: int) -> None:
        """Start the program. Raises NotNow while too many run."""
        command, spawner = self._check.command, self._tools.spawner
        if command is None or spawner is None:
            self.outcome = Outcome(False, self._check.refused or "programs are not run here")
            return
        running = spawner.running()
        if running >= MOST_AT_ONCE:
            raise NotNow(f"{MOST_AT_ONCE} programs run at once; give them less time (misc_timeout)", SECOND)
        try:
            self._child = spawner.start(
                command, now_ns, self._check.timeout_ns, self._ended, on_timeout=self._timed_out
            )
        except OSError as error:
            raise NotNow(f"{command.argv[0]} could not be started: {error.strerror}", SECOND) from error

    def ready(self, now_ns: int, events: int) -> None:
        """It has no descriptor."""

    def expired(self, now_ns: int) -> None:
        """Its time is the spawner's business."""

    def waiting_for(self) -> str:
        """What it is waiting for."""
        return "the program has not ended"

    def close(self) -> None:
        """End the program, if it runs."""
        if self._child is not None and self._tools.spawner is not None:
            self._tools.spawner.stop(self._child, time.monotonic_ns())
            self._child = None

    def _ended(self, finished: Finished) -> None:
        if self._child is not None:
            self._child = None
            self._over(judge(self._check, finished))

    def _timed_out(self) -> None:
        # the spawner goes on to end it
        self._child = None
        self._over(Outcome(False, f"it did not end within {seconds(self._check.timeout_ns)}"))

    def _over(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self._tools.look(self)
