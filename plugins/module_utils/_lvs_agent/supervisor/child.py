# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One life of a child process, as the supervisor sees it: told what to do, heard, watched, and its end noticed."""

from __future__ import annotations

import gc
import logging
import selectors
import signal
from typing import TYPE_CHECKING, Any, NamedTuple

from ..vrrp.messages import ChannelClosed
from . import process
from .channel import pair
from .loop import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from .channel import Channel
    from .kept import Kind

_log = logging.getLogger(__name__)
_SECOND = 1_000_000_000
# It says every second that it lives; by this time its backup has long taken over.
SILENCE_LIMIT_NS = 5 * _SECOND
# One that spoke this lately lived until its channel closed.
_FRESH_NS = 5 * _SECOND // 2
# After its channel closed, or after it was asked for its traceback.
_LAST_WORDS_NS = _SECOND // 10
_REAP_NS = _SECOND // 100


class Ended(NamedTuple):
    """How it ended, in words; when it was last known to be alive; whether it was told to end.

    ``itself``: of what it did, an exception, a fault or its silence, not of a SIGKILL from elsewhere.
    """

    how: str
    alive_ns: int
    asked: bool
    itself: bool = True


class Child:
    """A process that runs; a source of the loop, to be removed by ``ended``. ``title`` is its name for people.

    ``heard`` gets each message and the time; ``ended`` is called once. ``started_ns`` is for the caller.
    """

    def __init__(
        self,
        title: str,
        running: process.Process,
        channel: Channel,
        now_ns: int,
        *,
        heard: Callable[[Any, int], None],
        ended: Callable[[Ended, int], None],
    ) -> None:
        self._title = title
        self.process = running
        self.channel = channel
        self.started_ns = now_ns
        self.heard_ns = now_ns
        self._heard = heard
        self._ended = ended
        self._asked = False
        self._closed = False
        self._why = ""
        self._due = now_ns + SILENCE_LIMIT_NS
        self._busy_ns = 0
        self._patience_ns = NEVER
        self._selector = selectors.DefaultSelector()
        self._selector.register(channel, selectors.EVENT_READ)

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    def fileno(self) -> int:
        """Readable when it said something, or can be told more."""
        return self._selector.fileno()

    def deadline_ns(self) -> int:
        """When its silence is too long, or its end is to be looked at."""
        return self._due

    def send(self, message: object) -> None:
        """Tell it something; never waits."""
        self.channel.send(message)
        self._want_write()

    def busy_until(self, when_ns: int) -> None:
        """It has something long to do: its silence counts from then on. A time that has gone takes that back."""
        self._busy_ns = when_ns

    def end(self, message: object) -> None:
        """Tell it to end, in its own words."""
        self._asked = True
        self.send(message)

    def kill(self, why: str) -> None:
        """End it, whatever it does; ``why`` is for people."""
        self._why = self._why or why
        self.process.kill()

    def close(self) -> None:
        """Forget it; ``ended`` is not called any more."""
        self._due = NEVER
        self._selector.close()
        self.channel.close()

    def handle(self, now_ns: int) -> None:
        """Hear it, tell it what is queued, and judge its silence by what was heard."""
        if self._closed:
            self._await_end(now_ns)
            return
        try:
            messages = self.channel.receive()
        except ChannelClosed:
            self._closed = True
            self._selector.unregister(self.channel)
            if now_ns - self.heard_ns <= _FRESH_NS:
                self.heard_ns = now_ns
            self._patience_ns = now_ns + _LAST_WORDS_NS
            self._await_end(now_ns)
            return
        if messages:
            self.heard_ns = now_ns
        for message in messages:
            self._heard(message, now_ns)
        self.channel.flush()
        self._want_write()
        self._judge(now_ns)

    def _judge(self, now_ns: int) -> None:
        if self._why:
            if now_ns >= self._due:
                self.process.kill()
                self._due = now_ns + _LAST_WORDS_NS
            return
        silent_ns = now_ns - max(self.heard_ns, self._busy_ns)
        if silent_ns < SILENCE_LIMIT_NS:
            self._due = now_ns - silent_ns + SILENCE_LIMIT_NS
        elif now_ns - self._due > _SECOND:
            # we come late ourselves: the host stood still, and the child deserves a turn
            self._due = now_ns + _SECOND
        elif now_ns >= self._due:
            self._why = f"it was silent for {silent_ns / 1e9:.1f} s"
            _log.error("%s %d is killed, for %s; where it stands:", self._title, self.pid, self._why)
            self.process.kill(signal.SIGUSR1)
            self._due = now_ns + _LAST_WORDS_NS

    def _await_end(self, now_ns: int) -> None:
        status = self.process.reap()
        if status is None:
            if now_ns >= self._patience_ns:
                self.kill("it closed its channel")
            self._due = now_ns + _REAP_NS
            return
        how = process.told(status)
        self._due = NEVER
        itself = bool(self._why) or not process.was_killed(status)
        self._ended(Ended(f"{how}: {self._why}" if self._why else how, self.heard_ns, self._asked, itself), now_ns)

    def _want_write(self) -> None:
        if self._closed:
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.channel.wants_write else 0)
        if self._selector.get_key(self.channel).events != events:
            self._selector.modify(self.channel, events)


def start(
    kind: Kind,
    keep: Collection[int],
    now_ns: int,
    *,
    heard: Callable[[Any, int], None],
    ended: Callable[[Ended, int], None],
) -> Child:
    """Fork a child that runs its kind's main function with its end of the channel. Raises OSError."""
    ours, theirs = pair(kind.kept)
    gc.collect()
    try:
        running = process.fork(kind.name, lambda: kind.entry(theirs), [theirs.fileno(), *keep])
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    return Child(kind.title, running, ours, now_ns, heard=heard, ended=ended)
