# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a master announces its VIPs: keepalived's garp_* words."""

from __future__ import annotations

from .actions import Action, Announce
from .alarms import NEVER
from .instance import Instance


class Announcements:
    """The rounds an instance still owes; ``due`` is the time of the next one."""

    def __init__(self) -> None:
        self.due = NEVER
        self._second = NEVER
        self._second_repeat = 0
        self._refresh = NEVER
        self._answered = -1

    def became_master(self, now: int, instance: Instance, *, at_once: bool) -> list[Action]:
        """garp_master_repeat of them, and as many again after garp_master_delay."""
        self.stop()
        self._plan(now, instance.garp_master_delay, instance.garp_master_repeat)
        self.restart_refresh(now, instance)
        return [Announce(instance.garp_master_repeat)] if at_once else []

    def loser_heard(self, now: int, instance: Instance) -> list[Action]:
        """garp_lower_prio_repeat of them, again after garp_lower_prio_delay; once for a batch of adverts."""
        repeat = instance.garp_lower_prio_repeat
        if not repeat or self._answered == now:
            return []
        self._answered = now
        self._plan(now, instance.garp_lower_prio_delay, repeat)
        return [Announce(repeat)]

    def restart_refresh(self, now: int, instance: Instance) -> None:
        """Every garp_master_refresh from now on, if any."""
        self._refresh = now + instance.garp_master_refresh if instance.garp_master_refresh else NEVER
        self._rearm()

    def stop(self) -> None:
        """No longer master."""
        self._second = self._refresh = self.due = NEVER

    def expire(self, now: int, instance: Instance) -> list[Action]:
        """The rounds that are due now."""
        actions: list[Action] = []
        if now >= self._second:
            self._second = NEVER
            actions.append(Announce(self._second_repeat))
        if now >= self._refresh:
            actions.append(Announce(instance.garp_master_refresh_repeat))
            self._refresh = now + instance.garp_master_refresh
        self._rearm()
        return actions

    def _plan(self, now: int, delay: int, repeat: int) -> None:
        if delay:
            self._second, self._second_repeat = now + delay, repeat
            self._rearm()

    def _rearm(self) -> None:
        self.due = min(self._second, self._refresh)
