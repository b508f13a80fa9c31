# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of the daemon, after VRRP's: what is to be told is told, then the host's ``shutdown_script`` runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .loop import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .part import Part
    from .sd_notify import SdNotify

_SECOND = 1_000_000_000
#: How long scripts and mail that tell of the end may take.
TELLING_NS = 10 * _SECOND
_LOOK_NS = _SECOND // 50


class Ending:
    """A source of the loop. ``over`` is called when nobody has anything to finish any more."""

    def __init__(self, parts: Sequence[Part], notify: SdNotify, over: Callable[[], None]) -> None:
        self._parts = parts
        self._notify = notify
        self._over = over
        self._until_ns = self._look_ns = NEVER
        self._last = False

    def begin(self, now_ns: int) -> None:
        """The VRRP process has ended as it was told; a second time changes nothing."""
        if self._until_ns != NEVER:
            return
        for part in self._parts:
            part.stop(now_ns)
        self._until_ns = now_ns + TELLING_NS
        self._look_ns = now_ns

    def fileno(self) -> int:
        """The parts have their own."""
        return -1

    def deadline_ns(self) -> int:
        """When to look again."""
        return self._look_ns

    def handle(self, now_ns: int) -> None:
        """Go on when the parts are done, or have taken too long."""
        if any(part.busy() for part in self._parts) and now_ns < self._until_ns:
            self._look_ns = now_ns + _LOOK_NS
            return
        if self._last:
            self._look_ns = NEVER
            self._over()
            return
        self._last = True
        limit_ns = max((part.after(now_ns) for part in self._parts), default=0)
        self._notify.extend_timeout(limit_ns + TELLING_NS)
        self._until_ns = now_ns + limit_ns
        self._look_ns = now_ns
