# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which alarms of an instance are on, and when each goes off by itself.

Forged packets must fill neither the memory nor the log: an alarm that comes back soon after it went off stays on for
twice as long, up to ten minutes, and those of more than a few sources are one.
"""

from __future__ import annotations

from .actions import Action, Alarm, AlarmCleared, AlarmKind
from .instance import SECOND

#: Later than any time.
NEVER = 1 << 63

_HOLD_NS = 10 * SECOND
_HOLD_ADVERTS = 10
_MOST_HOLDS = 64  # doubled no further
_LONGEST_NS = 600 * SECOND
# of one kind; more of them are one without a source
_MOST_SOURCES = 8


Key = tuple[AlarmKind, bytes]


class Alarms:
    """Alarms by kind and source; each stays on for 10 s or 10 advert intervals after it was seen last, or longer."""

    def __init__(self) -> None:
        self._until: dict[Key, int] = {}
        self._holds: dict[Key, int] = {}  # how many times as long it stays on
        self._forget_ns: dict[Key, int] = {}  # when it would be a first time again
        self.due = NEVER

    def seen(self, now: int, kind: AlarmKind, source: bytes, detail: str, interval: int) -> list[Action]:
        """Note it; the alarm itself if it was not on yet."""
        key = self._key(now, kind, source)
        known = key in self._until
        if not known:
            self._holds[key] = min(_MOST_HOLDS, 2 * self._holds[key]) if key in self._holds else 1
        hold = max(_HOLD_NS, _HOLD_ADVERTS * interval)
        longer = min(self._holds[key] * hold, max(hold, _LONGEST_NS))
        self._until[key] = now + longer
        self._forget_ns[key] = now + 2 * longer
        self.due = min(self._until.values())
        return [] if known else [Alarm(*key, detail)]

    def expire(self, now: int) -> list[Action]:
        """Those that go off now."""
        return self._end([key for key, until in self._until.items() if until <= now])

    def end(self) -> list[Action]:
        """All of them: nobody looks any more, or under another name."""
        found = self._end(list(self._until))
        self._holds.clear()
        self._forget_ns.clear()
        return found

    def active(self) -> list[Key]:
        """(kind, source) of those that are on."""
        return list(self._until)

    def _key(self, now: int, kind: AlarmKind, source: bytes) -> Key:
        """Its own, or the one that all sources of a kind share when they are too many."""
        key = (kind, source)
        if key in self._holds and (key in self._until or now < self._forget_ns[key]):
            return key
        shared = (kind, b"")
        if shared in self._until:
            return shared
        for old in [one for one, when in self._forget_ns.items() if when <= now and one not in self._until]:
            del self._holds[old], self._forget_ns[old]
        known = sum(one[0] is kind for one in self._holds)
        return key if known < _MOST_SOURCES else shared

    def _end(self, keys: list[Key]) -> list[Action]:
        for key in keys:
            del self._until[key]
        self.due = min(self._until.values(), default=NEVER)
        return [AlarmCleared(*key) for key in keys]
