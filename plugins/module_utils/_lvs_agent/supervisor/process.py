# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process forked with everything imported: starting one, and knowing how it ended."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import logging
import os
import resource
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_log = logging.getLogger(__name__)
# sysexits.h: EX_SOFTWARE
_BUG = 70
_STANDARD = (0, 1, 2)
_COMM_LENGTH = 15  # TASK_COMM_LEN without its zero byte


class Process:
    """A process we started."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None

    def reap(self) -> int | None:
        """The wait status when it has ended, else None; may be asked again."""
        if self._status is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status = self.pid, 0  # somebody else has asked; how it ended is not known
            if pid:
                self._status = status
        return self._status

    def wait(self) -> int:
        """The wait status; waits for the end, which must be near."""
        if self._status is None:
            try:
                self._status = os.waitpid(self.pid, 0)[1]
            except ChildProcessError:
                self._status = 0
        return self._status

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal, unless it has ended."""
        if self.reap() is None:
            os.kill(self.pid, number)


def fork(name: str, run: Callable[[], int], keep: Collection[int]) -> Process:
    """Start a process that calls ``run`` and ends with the status it returns; ``name`` is for ps(1).

    Its descriptors are the standard ones and those to ``keep``. It ignores the signals that mean the daemon, since
    systemd and terminals send them to all processes: the supervisor tells it what to do. It inherits what garbage
    there is. Raises OSError.
    """
    pid = os.fork()
    if pid:
        return Process(pid)
    status = _BUG
    try:
        _settle(name, {*_STANDARD, *keep})
        status = run()
    except BaseException:  # noqa: BLE001 - told, then the process ends
        _log.exception("%s failed; this is a bug, please report it", name)
    finally:
        # nothing of the supervisor may happen here: no finally, no exit handler, no second flush of its buffers
        os._exit(status)


def limit_data(more: int) -> None:
    """Let this process have so many bytes of data beside what it has now (RLIMIT_DATA, Linux 4.7); then MemoryError."""
    with open("/proc/self/statm", encoding="ascii") as file:
        data = int(file.read().split()[5]) * resource.getpagesize()
    _soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = data + more
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def was_killed(status: int) -> bool:
    """Whether a wait status is that of SIGKILL."""
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def told(status: int) -> str:
    """A wait status for people."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(number).name}"
        return f"killed by signal {number}"
    return f"exit status {os.WEXITSTATUS(status)}"


def _settle(name: str, keep: Collection[int]) -> None:
    """Of what was inherited, keep what a process of its own would have."""
    # what lives now stays: walking it would also copy its pages
    gc.freeze()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # where it stands, on standard error, even when it turns in a circle
    faulthandler.register(signal.SIGUSR1, all_threads=False)
    for descriptor in [int(one) for one in os.listdir("/proc/self/fd")]:
        if descriptor not in keep:
            with contextlib.suppress(OSError):
                os.close(descriptor)
    with contextlib.suppress(OSError), open("/proc/self/comm", "w", encoding="ascii") as file:
        file.write(name[:_COMM_LENGTH])
