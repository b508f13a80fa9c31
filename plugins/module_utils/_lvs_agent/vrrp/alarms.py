# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which alarms of an instance are on, and when each goes off by itself."""

from __future__ import annotations

from .actions import Action, Alarm, AlarmCleared, AlarmKind
from .instance import SECOND

#: Later than any time.
NEVER = 1 << 63

_HOLD_NS = 10 * SECOND
_HOLD_ADVERTS = 10
# forged packets must not fill the memory: more sources than these are one
_MOST = 32


class Alarms:
    """Alarms by kind and source; each stays on for 10 s or 10 advert intervals after it was seen last."""

    def __init__(self) -> None:
        self._until: dict[tuple[AlarmKind, bytes], int] = {}
        self.due = NEVER

    def seen(self, now: int, kind: AlarmKind, source: bytes, detail: str, interval: int) -> list[Action]:
        """Note it; the alarm itself if it was not on yet."""
        key = (kind, source)
        if key not in self._until and len(self._until) >= _MOST:
            key = (kind, b"")
        known = key in self._until
        self._until[key] = now + max(_HOLD_NS, _HOLD_ADVERTS * interval)
        self.due = min(self._until.values())
        return [] if known else [Alarm(*key, detail)]

    def expire(self, now: int) -> list[Action]:
        """Those that go off now."""
        over = [key for key, until in self._until.items() if until <= now]
        for key in over:
            del self._until[key]
        self.due = min(self._until.values(), default=NEVER)
        return [AlarmCleared(*key) for key in over]

    def active(self) -> list[tuple[AlarmKind, bytes]]:
        """(kind, source) of those that are on."""
        return list(self._until)
