# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals as a source of the loop: each is handled in its turn, not in the middle of something else."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

from .loop import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_AT_ONCE = 512


class Signals:
    """Calls a function for each kind of signal that has come since the last turn, in the order of ``handlers``."""

    def __init__(self, handlers: Mapping[signal.Signals, Callable[[int], None]]) -> None:
        self._handlers = dict(handlers)
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        # a full pipe is no news: something waits in it already
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in self._handlers:
            signal.signal(number, _noted)

    def fileno(self) -> int:
        """Readable when a signal has come."""
        return self._read

    def deadline_ns(self) -> int:
        """None."""
        return NEVER

    def handle(self, now_ns: int) -> None:
        """Call what belongs to the signals that came."""
        came: set[int] = set()
        with contextlib.suppress(BlockingIOError):
            came.update(os.read(self._read, _AT_ONCE))
        for number, handler in self._handlers.items():
            if number in came:
                handler(now_ns)

    def close(self) -> None:
        """The signals do what they do by default again."""
        signal.set_wakeup_fd(-1)
        for number in self._handlers:
            signal.signal(number, signal.SIG_DFL)
        os.close(self._read)
        os.close(self._write)


def _noted(_number: int, _frame: object) -> None:
    """Python writes the number into the pipe; there must be a handler for that."""
