# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The LVS process's end of its channel, as a source of its loop; it never waits, whatever the supervisor does."""

from __future__ import annotations

import select
import selectors
import time
from typing import TYPE_CHECKING, Any

from ..vrrp.messages import ChannelClosed

if TYPE_CHECKING:
    from collections.abc import Callable

    from .channel import Channel

_LAST_WORDS_SECONDS = 0.5


class Line:
    """``told`` gets each message and the time; ``alone`` is called when the supervisor is gone."""

    def __init__(self, channel: Channel, told: Callable[[Any, int], None], alone: Callable[[], None]) -> None:
        self._channel = channel
        self._told = told
        self._alone = alone
        self._selector = selectors.DefaultSelector()
        self._selector.register(channel, selectors.EVENT_READ)

    def fileno(self) -> int:
        """Readable when there is something to hear, or room for what is queued."""
        return self._selector.fileno()

    def deadline_ns(self) -> int:
        """Only what comes."""
        return 1 << 63

    def handle(self, now_ns: int) -> None:
        """Hear what came, send what is queued."""
        try:
            found = self._channel.receive()
        except ChannelClosed:
            self._alone()
            return
        for message in found:
            self._told(message, now_ns)
        self._channel.flush()
        self._want_write()

    def send(self, message: object) -> None:
        """Say something; what finds no room is dropped by the channel, and what must not be is not."""
        self._channel.send(message)
        self._want_write()

    def finish(self) -> None:
        """Wait a moment for what is queued."""
        end = time.monotonic() + _LAST_WORDS_SECONDS
        while not self._channel.flush():
            left = end - time.monotonic()
            if left <= 0:
                return
            select.select([], [self._channel.fileno()], [], left)

    def _want_write(self) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._channel.wants_write else 0)
        if self._selector.get_key(self._channel).events != events:
            self._selector.modify(self._channel, events)
