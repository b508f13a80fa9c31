# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``interface_up_down_delays``: a link that goes and comes back within its delay has not changed; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .alarms import NEVER
from .plan import LinkDelay

Running = Callable[[str], bool]


class Debounce:
    """What counts of the links that have delays. ``due`` is when ``turn`` has something to do."""

    def __init__(self) -> None:
        self.due = NEVER
        self._delays: dict[str, LinkDelay] = {}
        self._counts: dict[str, bool] = {}
        self._since: dict[str, int] = {}

    def configure(self, delays: Iterable[LinkDelay], running: Running) -> None:
        """These from now on; a new one starts with its link as it is."""
        self._delays = {one.interface: one for one in delays}
        self._counts = {name: self._counts.get(name, running(name)) for name in self._delays}
        self._since = {name: since for name, since in self._since.items() if name in self._delays}
        self._rearm()

    def counts(self, name: str, running: bool) -> bool:
        """Whether a link counts as up that is ``running`` or not."""
        return self._counts.get(name, running)

    def look(self, running: Running, now: int) -> None:
        """Something may have changed."""
        for name, counts in self._counts.items():
            if running(name) == counts:
                self._since.pop(name, None)
            else:
                self._since.setdefault(name, now)
        self._rearm()

    def turn(self, now: int) -> bool:
        """Whether some link counts otherwise from now on."""
        ripe = [name for name in self._since if self._ripe(name) <= now]
        for name in ripe:
            del self._since[name]
            self._counts[name] = not self._counts[name]
        self._rearm()
        return bool(ripe)

    def _ripe(self, name: str) -> int:
        delay = self._delays[name]
        return self._since[name] + (delay.down if self._counts[name] else delay.up)

    def _rearm(self) -> None:
        self.due = min(map(self._ripe, self._since), default=NEVER)
