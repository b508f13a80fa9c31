# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Active_Down_Timer (RFC 9568 section 6.2), and the looks at the silence before and after it has run out.

Whatever hears the master restarts it by the one ``restart``: a first advert and a repeated one do the same.
"""

from __future__ import annotations

from .alarms import NEVER
from .instance import Instance
from .timers import master_down, skew

# An advert is missing when it is half an interval late.
_LATE_HALVES = 3
# A host that is always late must still become master when it is the only one left.
_GRACES = 3


class DownTimer:
    """A backup's timer; times are nanoseconds of the machine's clock. Read the attributes, call the methods.

    ``expired``: it ran out, and nothing restarted it since. ``due`` is NEVER then, but ``look``, when an advert is
    late, comes again each interval: a backup that may not become master yet still has a timer.
    """

    def __init__(self, instance: Instance, priority: int) -> None:
        self.due = self.look = NEVER
        self.expired = False
        self._graces = _GRACES  # how often one more interval may be granted after a stall
        self.measure(instance, priority, instance.advert_int)

    def measure(self, instance: Instance, priority: int, interval: int) -> None:
        """The length for this priority and the master's interval; what runs is not moved."""
        self.interval = interval
        self.length = master_down(instance, priority, interval)
        self._skew = skew(instance.version, priority, interval)
        self._late_after = interval * _LATE_HALVES // 2

    @property
    def wake(self) -> int:
        """When it wants to be looked at."""
        return self.due if self.due < self.look else self.look

    @property
    def _runs(self) -> bool:
        return self.due != NEVER

    def restart(self, now: int, not_before: int) -> None:
        """The master is there; until ``not_before`` the silence does not count."""
        self.due = (now if now > not_before else not_before) + self.length
        self.look = now + self._late_after
        self.expired = False
        self._graces = _GRACES

    def shorten(self, now: int, not_before: int) -> None:
        """The master resigned: its successor is there after one skew time."""
        self.due = max(now, not_before) + self._skew
        self.expired = False
        self._graces = _GRACES

    def end_at(self, when: int) -> None:
        """Run out then, as for the owner of the addresses."""
        self.due = when

    def stop(self) -> None:
        """Only a backup has one."""
        self.due = self.look = NEVER
        self.expired = False

    def move(self, now: int, by: int) -> None:
        """The length has changed while it runs; one that is due by this is not late."""
        if self._runs:
            self.due = max(self.due + by, min(self.due, now))

    def heard_at(self, now: int, when: int) -> None:
        """What was discarded then came from a master that counts now: not due before its silence is long enough."""
        due = when + self.length
        if self._runs:
            self.due = max(self.due, due)
        elif due > now:
            self.due, self.expired = due, False

    def another_heard(self, now: int) -> None:
        """An advert that restarts nothing is not late, either."""
        self.look = now + self._late_after

    def grant(self, now: int) -> bool:
        """After a stall, whose silence may be our own: wait for one more advert. False when granted too often."""
        if not self._graces:
            return False
        self._graces -= 1
        self.look = now + self.interval
        self.due = max(self.due if self._runs else 0, self.look + self._skew)
        self.expired = False
        return True

    def advert_is_late(self, now: int) -> bool:
        """Whether another advert is missing, in whose place the next one is waited for; not once it has run out."""
        if now < self.look:
            return False
        self.look = now + self.interval
        return not self.expired

    def expires(self, now: int) -> bool:
        """Whether it has run out."""
        if now >= self.due:
            self.due, self.expired = NEVER, True
        return self.expired
