# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a master announces its VIPs: keepalived's garp_* words."""

from __future__ import annotations

from .actions import Action, Announce
from .alarms import NEVER
from .instance import SECOND, Instance

#: Answers to adverts that lose are this far apart at least, however short the interval, in nanoseconds.
LEAST_PACE = SECOND // 10


def pace(instance: Instance) -> int:
    """The nanoseconds in which lower masters, or forged adverts, cause one re-announcement and one notification."""
    return max(instance.advert_int, LEAST_PACE)


class Announcements:
    """The rounds an instance still owes; ``due`` is the time of the next one."""

    def __init__(self) -> None:
        self.due = NEVER
        self._second = NEVER
        self._second_repeat = 0
        self._refresh = NEVER
        self._owed = NEVER
        self._answered, self._answer_from = -1, 0

    def became_master(self, now: int, instance: Instance, *, at_once: bool) -> list[Action]:
        """garp_master_repeat of them, and as many again after garp_master_delay."""
        self.stop()
        self._plan(now, instance.garp_master_delay, instance.garp_master_repeat)
        self.restart_refresh(now, instance)
        return [Announce(instance.garp_master_repeat)] if at_once else []

    def loser_heard(self, now: int, instance: Instance) -> list[Action]:
        """garp_lower_prio_repeat of them, again after garp_lower_prio_delay; once in an interval at most.

        What is heard meanwhile, but for the rest of a batch, is answered at the interval's end: the loser may have let
        go of the VIPs only now.
        """
        if not instance.garp_lower_prio_repeat or now == self._answered:
            return []
        if now < self._answer_from:
            self._owed = self._answer_from
            self._rearm()
            return []
        return self._answer(now, instance)

    def restart_refresh(self, now: int, instance: Instance) -> None:
        """Every garp_master_refresh from now on, if any."""
        self._refresh = now + instance.garp_master_refresh if instance.garp_master_refresh else NEVER
        self._rearm()

    def stop(self) -> None:
        """No longer master."""
        self._second = self._refresh = self._owed = self.due = NEVER

    def expire(self, now: int, instance: Instance) -> list[Action]:
        """The rounds that are due now."""
        actions: list[Action] = []
        if now >= self._second:
            self._second = NEVER
            actions.append(Announce(self._second_repeat))
        if now >= self._owed:
            actions += self._answer(now, instance)
        if now >= self._refresh:
            actions.append(Announce(instance.garp_master_refresh_repeat))
            self._refresh = now + instance.garp_master_refresh
        self._rearm()
        return actions

    def _answer(self, now: int, instance: Instance) -> list[Action]:
        self._owed = NEVER
        self._answered, self._answer_from = now, now + pace(instance)
        self._plan(now, instance.garp_lower_prio_delay, instance.garp_lower_prio_repeat)
        self._rearm()
        return [Announce(instance.garp_lower_prio_repeat)] if instance.garp_lower_prio_repeat else []

    def _plan(self, now: int, delay: int, repeat: int) -> None:
        if delay:
            self._second, self._second_repeat = now + delay, repeat
            self._rearm()

    def _rearm(self) -> None:
        self.due = min(self._second, self._refresh, self._owed)
