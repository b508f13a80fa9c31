# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An upgrade of the running daemon: what is on its way is waited for, then the new program takes over."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from . import upgrade
from .loop import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .child import Child
    from .part import Part

_log = logging.getLogger(__name__)
_SECOND = 1_000_000_000
# Notify scripts and mail: what has not ended then runs on, but what it says is heard by nobody.
_PATIENCE_NS = 10 * _SECOND
_LOOK_NS = _SECOND // 20
_SHOWN = 10


class Exchange:
    """A source of the loop. ``children`` by their kinds, empty while there is nothing to hand over.

    ``last_words`` is called just before, for what is to be said by this program, ``restore`` when that failed.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        environment: Mapping[str, str],
        lock: int,
        *,
        children: Callable[[], Mapping[str, Child]],
        last_words: Callable[[], None],
        restore: Callable[[], None],
    ) -> None:
        self._parts = parts
        self._environment = environment
        self._lock = lock
        self._children = children
        self._last_words = last_words
        self._restore = restore
        self._failed: Callable[[str], None] | None = None
        self._until_ns = NEVER
        self._look_ns = NEVER

    def begin(self, now_ns: int, failed: Callable[[str], None]) -> None:
        """Let the new program take over, when nothing is on its way any more; ``failed`` is told why it does not."""
        self._failed = failed
        self._until_ns = now_ns + _PATIENCE_NS
        waiting = self._waiting()
        if waiting:
            _log.info("the new program waits up to %d s for %s", _PATIENCE_NS // _SECOND, _told(waiting))
        self._look_ns = now_ns

    def stop(self) -> None:
        """The daemon ends instead."""
        self._look_ns = self._until_ns = NEVER

    def fileno(self) -> int:
        """None."""
        return -1

    def deadline_ns(self) -> int:
        """When to look again."""
        return self._look_ns

    def handle(self, now_ns: int) -> None:
        """Exchange it, or wait on."""
        waiting = self._waiting()
        if waiting and now_ns < self._until_ns:
            self._look_ns = now_ns + _LOOK_NS
            return
        self.stop()
        if waiting:
            _log.warning("the new program takes over; what has not begun is lost: %s", _told(waiting))
        self._become()

    def _become(self) -> None:
        """Returns when that is not possible."""
        why = "there is no VRRP process to hand over"
        children = self._children()
        if children:
            self._last_words()
            for part in self._parts:
                part.hand_over()
            for one in children.values():
                one.channel.flush()
            try:
                upgrade.become(upgrade.command_line(), self._environment, children, self._lock)
            except OSError as error:
                why = f"it could not be executed: {error.strerror}"
                self._restore()
        if self._failed is not None:
            self._failed(why)

    def _waiting(self) -> list[str]:
        return [one for part in self._parts for one in part.waiting()]


def _told(waiting: Sequence[str]) -> str:
    more = f" and {len(waiting) - _SHOWN} more" if len(waiting) > _SHOWN else ""
    return ", ".join(waiting[:_SHOWN]) + more
