# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracked files (``track_file``): the number in a file, read when somebody has written it.

The file's directory is watched by inotify(7); where that cannot be, or the path is a symbolic link, the file is looked
at every second. A file that is not there, or holds no number, counts as 0 (keepalived.conf(5), "Track files").
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import re
import stat
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..spawn import NEVER, SECOND
from ..vrrp.messages import TrackResult
from ..vrrp.plan import TrackKind

_log = logging.getLogger(__name__)
_LONGEST = 64  # bytes that are read of a file
_GREATEST = 2**31 - 1
_NUMBER = re.compile(rb"\s*([+-]?[0-9]{1,20})\s*\Z")
_EVENT = struct.Struct("iIII")  # struct inotify_event without its name
_READ = 65536
# linux/inotify.h
_IN_CLOSE_WRITE, _IN_MOVED_FROM, _IN_MOVED_TO, _IN_DELETE = 0x8, 0x40, 0x80, 0x200
_IN_DELETE_SELF, _IN_MOVE_SELF, _IN_Q_OVERFLOW, _IN_IGNORED = 0x400, 0x800, 0x4000, 0x8000
_IN_ONLYDIR = 0x01000000
_WATCHED = _IN_CLOSE_WRITE | _IN_MOVED_FROM | _IN_MOVED_TO | _IN_DELETE | _IN_DELETE_SELF | _IN_MOVE_SELF


@dataclass(frozen=True)
class FilePlan:
    """One ``track_file``. ``init`` is written at start, None for nothing; ``overwrite``: even if the file is there."""

    name: str
    path: str
    init: int | None = None
    overwrite: bool = False


def number(content: bytes) -> int | None:
    """The number that is all of a file, at most that of 32 bits; None for anything else."""
    match = _NUMBER.match(content)
    return max(-_GREATEST, min(int(match[1]), _GREATEST)) if match else None


class TrackFiles:
    """All tracked files; a source of the supervisor's loop."""

    def __init__(self, report: Callable[[TrackResult, str], None]) -> None:
        self._report = report
        self._files: dict[str, FilePlan] = {}
        self._values: dict[str, int] = {}
        self._odd: set[str] = set()
        self._inotify = _inotify_init()
        self._watches: dict[int, str] = {}  # watch descriptor -> directory
        self._polled: set[str] = set()  # names of files
        self._next_ns = NEVER

    def configure(self, plans: Iterable[FilePlan], now_ns: int) -> None:
        """Track these from now on; a new one is made first if its plan says so."""
        wanted = {plan.name: plan for plan in plans}
        for name in self._files.keys() - wanted.keys():
            self._values.pop(name, None)
        for name, plan in wanted.items():
            if self._files.get(name) != plan:
                write_first(plan)
        self._files = wanted
        self._watch(now_ns)
        for name in wanted:
            self._look(name)

    def fileno(self) -> int:
        """Readable when a directory has news."""
        return self._inotify

    def deadline_ns(self) -> int:
        """When to look at what cannot be watched."""
        return self._next_ns

    def handle(self, now_ns: int) -> None:
        """Read what has changed."""
        changed = self._changed()
        if self._next_ns <= now_ns:
            # what can be watched from now on may have changed before
            changed |= self._polled
            self._watch(now_ns)
            changed |= self._polled
        for name in sorted(changed & self._files.keys()):
            self._look(name)

    def results(self) -> list[TrackResult]:
        """Everything that is known, for a VRRP process that begins."""
        return [self._message(name) for name in self._files]

    def close(self) -> None:
        """Watch no longer."""
        os.close(self._inotify)

    def _message(self, name: str) -> TrackResult:
        return TrackResult(TrackKind.FILE, name, True, self._values.get(name, 0))

    def _look(self, name: str) -> None:
        """Read a file, and tell if the number is another."""
        plan = self._files[name]
        value, why = read(plan.path)
        if value is None:
            if name not in self._odd:
                _log.warning("track_file %s counts as 0: %s %s", name, plan.path, why)
            self._odd.add(name)
            value = 0
        else:
            self._odd.discard(name)
        if self._values.get(name) != value:
            self._values[name] = value
            self._report(self._message(name), f"{plan.path} holds {value}" if not why else f"{plan.path} {why}")

    def _watch(self, now_ns: int) -> None:
        """Watch the directories of all files, and those only; note which files have to be polled."""
        wanted = {os.path.dirname(os.path.abspath(plan.path)) for plan in self._files.values()}
        for watch, directory in list(self._watches.items()):
            if directory not in wanted:
                _LIBC.inotify_rm_watch(self._inotify, watch)
                del self._watches[watch]
        for directory in wanted - set(self._watches.values()):
            watch = _LIBC.inotify_add_watch(self._inotify, os.fsencode(directory), _WATCHED | _IN_ONLYDIR)
            if watch >= 0:
                self._watches[watch] = directory
        watched = set(self._watches.values())
        self._polled = {
            name
            for name, plan in self._files.items()
            if os.path.islink(plan.path) or os.path.dirname(os.path.abspath(plan.path)) not in watched
        }
        self._next_ns = now_ns + SECOND if self._polled else NEVER

    def _changed(self) -> set[str]:
        """The names of files whose directories say that they have changed."""
        try:
            data = os.read(self._inotify, _READ)
        except BlockingIOError:
            return set()
        paths: set[str] = set()
        place = 0
        while place < len(data):
            watch, mask, _cookie, length = _EVENT.unpack_from(data, place)
            name = os.fsdecode(data[place + _EVENT.size : place + _EVENT.size + length].rstrip(b"\0"))
            place += _EVENT.size + length
            if mask & (_IN_Q_OVERFLOW | _IN_IGNORED | _IN_DELETE_SELF | _IN_MOVE_SELF):
                self._forget(watch, mask)
                return set(self._files)
            if watch in self._watches:
                paths.add(os.path.join(self._watches[watch], name))
        return {name for name, plan in self._files.items() if os.path.abspath(plan.path) in paths}

    def _forget(self, watch: int, mask: int) -> None:
        """A directory that is gone: look for it again soon."""
        if watch in self._watches and mask & (_IN_DELETE_SELF | _IN_MOVE_SELF | _IN_IGNORED):
            if mask & _IN_MOVE_SELF:
                _LIBC.inotify_rm_watch(self._inotify, watch)
            del self._watches[watch]
        self._next_ns = 0


def read(path: str) -> tuple[int | None, str]:
    """The number in a file, None when there is none, and why it counts as 0 in words, "" when it does not."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        return 0, "is not there"
    except OSError as error:
        return None, f"cannot be read: {error.strerror}"
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None, "is not a file"
        content = os.read(handle, _LONGEST)
    except OSError as error:
        return None, f"cannot be read: {error.strerror}"
    finally:
        os.close(handle)
    found = number(content)
    return found, "" if found is not None else "holds no number"


def write_first(plan: FilePlan) -> None:
    """Make the file with its first number, if it has one; with ``overwrite`` write it into the one that is there."""
    if plan.init is None:
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_TRUNC if plan.overwrite else os.O_EXCL)
    with contextlib.suppress(FileExistsError):
        try:
            handle = os.open(plan.path, flags | os.O_NONBLOCK, 0o644)
        except FileExistsError:
            raise
        except OSError as error:
            _log.warning("track_file %s: %s cannot be made: %s", plan.name, plan.path, error.strerror)
            return
        with open(handle, "w", encoding="ascii") as file:
            file.write(f"{plan.init}\n")


def _inotify_init() -> int:
    number = int(_LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    if number < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "inotify")
    return number


_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.inotify_add_watch.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32]
_LIBC.inotify_rm_watch.argtypes = [ctypes.c_int, ctypes.c_int]
