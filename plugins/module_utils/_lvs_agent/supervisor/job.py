# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that takes too long for the supervisor's loop, done in a process of its own that tells its result and ends."""

from __future__ import annotations

import contextlib
import gc
import os
from typing import TYPE_CHECKING

from . import process
from .loop import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable

_READ = 65536
_AT_ONCE = 64
_LONGEST = 64 << 20
_REAP_NS = 10_000_000


class Job:
    """A process whose output is collected; a source of the loop, to be removed from it by ``done``.

    ``work`` writes to the descriptor it is given, and returns an exit status. ``done`` is called once, with the output
    and what went wrong: "", or words for people such as ``killed by SIGKILL``.
    """

    def __init__(
        self, name: str, work: Callable[[int], int], deadline_ns: int, done: Callable[[bytes, str], None]
    ) -> None:
        def run() -> int:
            try:
                return work(write)
            except BrokenPipeError:
                # who started it was killed meanwhile, and nobody wants the result
                return os.EX_IOERR

        self._read, write = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._read, False)
        gc.collect()
        try:
            self._process = process.fork(name, run, [write])
        except OSError:
            os.close(self._read)
            raise
        finally:
            os.close(write)
        self._deadline_ns = deadline_ns
        self._due = deadline_ns
        self._done = done
        self._output = bytearray()
        self._wrong = ""

    def fileno(self) -> int:
        """Readable when there is output, or the end of it."""
        return self._read

    def deadline_ns(self) -> int:
        """When it has taken too long."""
        return self._due

    def handle(self, now_ns: int) -> None:
        """Collect output; at its end, tell."""
        if now_ns >= self._deadline_ns and not self._wrong:
            self.kill("it took too long")
        ended = False
        with contextlib.suppress(BlockingIOError):
            for _chunk in range(_AT_ONCE):
                chunk = os.read(self._read, _READ)
                ended = not chunk
                if ended:
                    break
                self._output += chunk
        if len(self._output) > _LONGEST and not self._wrong:
            self.kill("it said too much")
        if not ended:
            return
        status = self._process.reap()
        if status is None:
            # it has closed its output, and is about to end
            self._due = now_ns + _REAP_NS
            return
        self._due = NEVER
        if status and not self._wrong:
            self._wrong = process.told(status)
        self._done(bytes(self._output), self._wrong)

    def kill(self, why: str) -> None:
        """End it; ``done`` will be told why."""
        self._wrong = why
        self._process.kill()

    def close(self) -> None:
        """Forget it; a process that still runs is killed."""
        self._process.kill()
        os.close(self._read)
