# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notification FIFOs (``notify_fifo``, ``vrrp_notify_fifo``) and their scripts.

As keepalived makes them: mode 0600, of the user and group of the line, opened for both ways so that nobody needs to
read, removed at the end if we made it. What a slow reader has no room for waits; keepalived loses it.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import stat
import sys
import termios
from collections import deque
from dataclasses import dataclass

from ..conf.script import Account
from ..spawn import NEVER, SECOND, Child, Command, Finished, Spawner, last_line

_log = logging.getLogger(__name__)
_MOST_WAITING = 10_000  # lines, beside the 64 KiB in the FIFO
_TRY_AGAIN = SECOND // 10
_FIRST_RESTART, _LAST_RESTART = SECOND, 60 * SECOND


@dataclass(frozen=True)
class FifoPlan:
    """A FIFO: its path, its owner, None for us, and the command that reads it, with the path as last argument.

    ``vrrp`` and ``lvs``: whose changes are written to it.
    """

    path: str
    owner: Account | None = None
    script: Command | None = None
    vrrp: bool = True
    lvs: bool = False


class NotifyFifo:
    """One FIFO; a source of the supervisor's loop, beside its spawner. ``lost`` counts lines that found no room."""

    def __init__(self, plan: FifoPlan, spawner: Spawner, now_ns: int) -> None:
        """Raises OSError with the path when it cannot be made or opened, or is no FIFO."""
        self.plan = plan
        self.lost = 0
        self._spawner = spawner
        self._made = False
        self._fifo = self._open()
        self._waiting: deque[bytes] = deque()
        self._again_ns = NEVER
        self._reader: Child | None = None
        self._restart_ns = now_ns if plan.script is not None else NEVER
        self._delay_ns = _FIRST_RESTART
        self._closed = False

    def write(self, line: str, now_ns: int) -> None:
        """Write a line after those before; never waits."""
        self._waiting.append(line.encode("utf-8", "surrogateescape"))
        self._flush(now_ns)
        if len(self._waiting) > _MOST_WAITING:
            self._waiting.popleft()
            self.lost += 1
            if self.lost == 1:
                _log.warning("%s: nobody reads it, and the oldest lines are lost from now on", self.plan.path)

    def fileno(self) -> int:
        """None: an open FIFO that nobody reads tells nothing."""
        return -1

    def deadline_ns(self) -> int:
        """When to write again, or to start the script."""
        return min(self._again_ns, self._restart_ns)

    def handle(self, now_ns: int) -> None:
        """Write what waits, start the script."""
        if self._again_ns <= now_ns:
            self._flush(now_ns)
        if self._restart_ns <= now_ns:
            self._start(now_ns)

    def waiting(self) -> list[str]:
        """What found no room in it, and what its script has not read yet; in words."""
        if not self._waiting and (self._reader is None or not self._unread()):
            return []
        return [f"lines for {self.plan.path}"]

    def hand_over(self) -> None:
        """Leave it to the next program. Its script finds the end of what was written, and ends by itself."""
        self._closed = True
        self._restart_ns = self._again_ns = NEVER
        os.close(self._fifo)

    def close(self, now_ns: int) -> None:
        """End the script, remove the FIFO if it is ours."""
        self._closed = True
        self._restart_ns = self._again_ns = NEVER
        if self._reader is not None:
            self._spawner.stop(self._reader, now_ns)
        os.close(self._fifo)
        if self._made:
            with contextlib.suppress(OSError):
                os.unlink(self.plan.path)

    def _unread(self) -> int:
        """Bytes in it."""
        number = fcntl.ioctl(self._fifo, termios.FIONREAD, bytes(4))
        return int.from_bytes(number, sys.byteorder)

    def _open(self) -> int:
        path = self.plan.path
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, 0o600)
            self._made = True
        number = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            if not stat.S_ISFIFO(os.fstat(number).st_mode):
                raise FileExistsError(f"{path} is there, and is not a FIFO; remove it, or write another path")
            if self._made:
                os.fchmod(number, 0o600)
                if self.plan.owner is not None:
                    os.fchown(number, *self.plan.owner)
        except OSError:
            os.close(number)
            if self._made:
                os.unlink(path)
            raise
        return number

    def _flush(self, now_ns: int) -> None:
        self._again_ns = NEVER
        while self._waiting:
            try:
                # not longer than PIPE_BUF: the whole line or nothing
                os.write(self._fifo, self._waiting[0])
            except BlockingIOError:
                self._again_ns = now_ns + _TRY_AGAIN
                return
            self._waiting.popleft()

    def _start(self, now_ns: int) -> None:
        self._restart_ns = NEVER
        if self.plan.script is None:
            return
        try:
            self._reader = self._spawner.start(self.plan.script, now_ns, 0, self._ended)
        except OSError as error:
            self._later(now_ns, now_ns, f"could not be started: {error.strerror}")

    def _ended(self, end: Finished) -> None:
        self._reader = None
        if not self._closed:
            self._later(end.started_ns, end.ended_ns, f"{end}{last_line(end.output)}")

    def _later(self, started_ns: int, now_ns: int, how: str) -> None:
        """Start it again, later and later while it does not last."""
        if now_ns - started_ns > _LAST_RESTART:
            self._delay_ns = _FIRST_RESTART
        self._restart_ns = now_ns + self._delay_ns
        _log.warning("%s, the reader of %s, %s", self.plan.script, self.plan.path, how)
        self._delay_ns = min(2 * self._delay_ns, _LAST_RESTART)
