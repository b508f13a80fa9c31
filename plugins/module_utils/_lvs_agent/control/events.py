# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has happened, and why: a bounded history that survives restarts.

One JSON object a line in ``events.jsonl``; when the file is full it becomes ``events.jsonl.1``, in the place of the
one before. Times are UTC. The last events are in memory too, where questions are answered from. Nothing is flushed
to the disk by force: what happened in the last seconds before a power cut may be missing, and the daemon never waits.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_log = logging.getLogger(__name__)
FILE = "events.jsonl"
_OLDER = ".1"
_MOST_BYTES = 1 << 20
_MOST_IN_MEMORY = 2000
_LONGEST_TEXT = 4000
_AGAIN_SECONDS = 60  # until a file that could not be written is tried again

Event = dict[str, Any]


def event(real_ns: int, kind: str, cause: str, **details: Any) -> Event:
    """An event: when (nanoseconds since 1970), what kind, why (for people), and what else belongs to it."""
    when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(real_ns // 1_000_000_000))
    text = f"{when}.{real_ns // 1_000_000 % 1000:03d}Z"
    return {"time": text, "kind": kind, **details, "cause": cause[:_LONGEST_TEXT]}


def parse(lines: Iterable[str]) -> list[Event]:
    """The events in lines; what is none is left out, such as a line that a power cut broke off."""
    found: list[Event] = []
    for line in lines:
        try:
            one = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(one, dict) and all(isinstance(one.get(key), str) for key in ("time", "kind", "cause")):
            found.append(one)
    return found


class Events:
    """The history in ``directory``; without a directory, or when it cannot be written, in memory only."""

    def __init__(self, directory: str | None, most_bytes: int = _MOST_BYTES) -> None:
        self._path = os.path.join(directory, FILE) if directory is not None else None
        self._most_bytes = most_bytes
        self._last: deque[Event] = deque(maxlen=_MOST_IN_MEMORY)
        self._descriptor = -1
        self._size = 0
        self._again = 0.0
        self._failed: str | None = None  # the error that was logged last
        if self._path is not None:
            for path in (self._path + _OLDER, self._path):
                self._last.extend(parse(self._lines(path)))
            self._open()

    @property
    def path(self) -> str | None:
        """The file, None when nothing is kept."""
        return self._path if self._descriptor >= 0 else None

    def add(self, one: Event) -> None:
        """Remember an event."""
        self._last.append(one)
        if self._descriptor < 0 and self._path is not None and time.monotonic() >= self._again:
            self._open()
        if self._descriptor < 0:
            return
        line = (json.dumps(one, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
        if self._size + len(line) > self._most_bytes:
            self._rotate()
        try:
            self._size += os.write(self._descriptor, line)
            self._failed = None
        except OSError as error:
            self._give_up(error)

    def last(self, number: int, name: str | None = None, kind: str | None = None) -> list[Event]:
        """The newest events, at most ``number``, the oldest of them first; those of an instance, of a kind."""
        found = [
            one
            for one in self._last
            if (name is None or one.get("name") == name) and (kind is None or one["kind"] == kind)
        ]
        return found[-number:] if number else []

    def close(self) -> None:
        """Write no more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _lines(self, path: str) -> list[str]:
        try:
            with open(path, "rb") as file:
                # twice what we would write: somebody else may have made it larger
                file.seek(max(0, os.fstat(file.fileno()).st_size - 2 * self._most_bytes))
                return file.read(2 * self._most_bytes).decode("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            _log.warning("%s: %s", path, error.strerror)
            return []

    def _open(self) -> None:
        if self._path is None:
            return
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            self._descriptor = os.open(self._path, flags, 0o640)
            self._size = os.fstat(self._descriptor).st_size
            if self._size and os.pread(self._descriptor, 1, self._size - 1) != b"\n":
                # the last line was broken off; it must not spoil the next
                self._size += os.write(self._descriptor, b"\n")
        except OSError as error:
            self._give_up(error)

    def _rotate(self) -> None:
        if self._path is None:
            return
        self.close()
        try:
            os.replace(self._path, self._path + _OLDER)
        except OSError as error:
            self._give_up(error)
            return
        self._open()

    def _give_up(self, error: OSError) -> None:
        self._again = time.monotonic() + _AGAIN_SECONDS
        if self._failed != error.strerror:
            self._failed = error.strerror
            text = "%s: %s; events are kept in memory only, and the file is tried again every %d s"
            _log.error(text, self._path, error.strerror, _AGAIN_SECONDS)
        self.close()
