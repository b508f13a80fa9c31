# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the daemon: replaced at one stroke, held by one process."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time

from ..kernel.errors import KernelError

_POLL_SECONDS = 0.02
_log = logging.getLogger(__name__)


def replace(path: str, content: bytes, mode: int, *, durable: bool = False) -> None:
    """Make the file at ``path`` have this content; a reader sees all of it or the one before.

    ``durable``: it is on the disk on return, so that a loss of power leaves this content, not an empty file (fsync(2):
    the file before it gets its name, and then the directory). Raises OSError, with the path.
    """
    draft = f"{path}.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        handle = os.open(draft, flags, mode)
    except FileExistsError:
        # of a process that died in the middle, or put there by somebody who wants to own the file
        os.unlink(draft)
        handle = os.open(draft, flags, mode)
    try:
        with open(handle, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        # write(2) of a full file system knows no path
        error.filename = path
        raise
    if durable:
        _sync_directory(os.path.dirname(path) or ".")


def _sync_directory(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Locked(KernelError):
    """Another process holds the lock."""


def lock(path: str, patience_ns: int) -> int:
    """Hold the lock at ``path`` until the process, and all it forks, have ended; the descriptor.

    A daemon that was killed may have a child that is about to notice: it has ``patience_ns`` to do so. Raises Locked,
    OSError.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    end = time.monotonic_ns() + patience_ns
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic_ns() >= end:
                holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
                os.close(handle)
                advice = f"another lvs-agent runs (process {holder or 'unknown'}); stop it, or give --runtime-dir"
                raise Locked(0, path, advice) from error
            time.sleep(_POLL_SECONDS)
        else:
            _write_pid(handle, path)
            return handle


def _write_pid(handle: int, path: str) -> None:
    """For who finds it locked. A full file system is no reason not to run."""
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        _log.error("%s: %s; lvs-agent runs, and cannot write its process number", path, error.strerror)
