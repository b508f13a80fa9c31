# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping a child process, whatever its kind: started, started again when it dies, ended as told, killed when it hangs.

What a kind's process is to be told, and what its words mean, is its own keeper's matter (:mod:`.vrrp_keeper`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from . import child
from .backoff import Backoff
from .loop import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from .channel import Channel
    from .loop import Loop
    from .process import Process

_log = logging.getLogger(__name__)
_SECOND = 1_000_000_000
# One that lived for 5 s did not die of how it was started: waiting would only cost the 300 ms that a backup has.
_FIRST_NS, _MOST_NS, _CALM_NS = _SECOND // 10, 10 * _SECOND, 5 * _SECOND


class Kind(NamedTuple):
    """A kind of child: its name for ps(1), its name for people, and its main function.

    ``kept``: the messages that are never dropped when the supervisor reads too slowly.
    """

    name: str
    title: str
    entry: Callable[[Channel], int]
    kept: tuple[type, ...] = ()


class Kept:
    """One child of a kind; its keeper calls ``handle`` when ``deadline_ns`` has come.

    ``heard(message, now_ns)`` is told what it says; ``died(ended, pid, again_ns, now_ns)`` that it ended unasked and is
    started again in ``again_ns`` nanoseconds; ``gone(ended, now_ns)`` that it ended and is not, as ``end`` said, or
    because nobody gave a ``died``. ``keep`` are the descriptors it inherits.
    """

    def __init__(
        self,
        kind: Kind,
        loop: Loop,
        keep: Collection[int] = (),
        *,
        heard: Callable[[Any, int], None],
        gone: Callable[[child.Ended, int], None],
        died: Callable[[child.Ended, int, int, int], None] | None = None,
    ) -> None:
        self.kind = kind
        self.child: child.Child | None = None
        self.deaths = 0
        self._loop = loop
        self._keep = keep
        self._heard = heard
        self._gone = gone
        self._died = died
        self._backoff = Backoff(_FIRST_NS, _MOST_NS, _CALM_NS)
        self._start_ns = NEVER
        self._kill_ns = NEVER
        self._ending = False

    def deadline_ns(self) -> int:
        """When it is to be started, or killed."""
        return min(self._start_ns, self._kill_ns)

    def handle(self, now_ns: int) -> None:
        """Do what is due."""
        if now_ns >= self._start_ns:
            self._start_ns = NEVER
            self.start(now_ns)
        if now_ns >= self._kill_ns:
            self._kill_ns = NEVER
            if self.child is not None:
                self.child.kill("it did not end when it was told to")

    def start(self, now_ns: int) -> None:
        """Start it; when that fails, once more later."""
        try:
            self.child = child.start(self.kind, self._keep, now_ns, heard=self._heard, ended=self._ended)
        except OSError as error:
            again_ns = self._backoff.died(now_ns, now_ns) - now_ns or _FIRST_NS
            self._start_ns = now_ns + again_ns
            text = "the %s cannot be started: %s; once more in %.1f s"
            _log.error(text, self.kind.title, error.strerror, again_ns / 1e9)
            return
        self._loop.add(self.child)

    def hurry(self, now_ns: int) -> None:
        """When it waits to be started again, do so at once: the reason to wait has gone."""
        if self._start_ns != NEVER:
            self._start_ns = now_ns

    def adopt(self, process: Process, channel: Channel, now_ns: int) -> None:
        """It runs already: the program before started it."""
        self.child = child.Child(self.kind.title, process, channel, now_ns, heard=self._heard, ended=self._ended)
        self._loop.add(self.child)

    def end(self, message: object, now_ns: int, limit_ns: int) -> None:
        """Tell it to end, kill it when that takes longer; it is not started again. May be said again."""
        self._ending = True
        self._start_ns = NEVER
        if self.child is not None:
            self._kill_ns = now_ns + limit_ns
            self.child.end(message)

    def close(self) -> None:
        """Forget it: it notices by itself that nobody listens any more."""
        if self.child is not None:
            self._forget(self.child)

    def _forget(self, gone: child.Child) -> None:
        self.child = None
        self._kill_ns = NEVER
        self._loop.remove(gone)
        gone.close()

    def _ended(self, ended: child.Ended, now_ns: int) -> None:
        former = self.child
        if former is None:
            return
        self._forget(former)
        if self._ending or self._died is None:
            self._gone(ended, now_ns)
            return
        self.deaths += 1
        self._start_ns = self._backoff.died(former.started_ns, now_ns)
        self._died(ended, former.pid, self._start_ns - now_ns, now_ns)
