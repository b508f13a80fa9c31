# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notify scripts: in the order of the changes and one at a time for each instance or group, with a record of each end.

keepalived starts all scripts of a change at once and forgets them; where two changes follow each other closely, the
scripts overtake each other. What we add has words of its own in global_defs: ``@lvs_agent notify_timeout`` and
``@lvs_agent notify_retry``.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Union

from ..script_commands import Commands, RefusedCommand
from ..spawn import NEVER, SECOND, Finished, Spawner, last_line
from ..vrrp.plan import NotifyWords
from .lvs_notice import LvsNotice
from .transition import Notice, scripts

_log = logging.getLogger(__name__)
_STARTS_A_TURN = 8  # the loop has other things to do
_MOST_RUNNING = 64
_MOST_WAITING = 1000  # of one instance; more is a script that hangs while the network flaps
_RETRY_AFTER = SECOND

AnyNotice = Union[Notice, LvsNotice]


@dataclass(frozen=True)
class NotifyResult:
    """How a notify script ended, or that it was not run. ``how`` is in words, ``attempts`` counts its runs."""

    notice: AnyNotice
    keyword: str
    command: str
    ok: bool
    how: str
    output: str
    attempts: int
    waited_ns: int


@dataclass
class _Job:
    notice: AnyNotice
    keyword: str
    command: str
    arguments: tuple[str, ...]
    since_ns: int
    attempts: int = 0


@dataclass
class _Line:
    """The scripts of one instance: the first runs, or is to be run at ``next_ns``."""

    jobs: deque[_Job] = field(default_factory=deque)
    running: bool = False
    next_ns: int = 0


class NotifyQueue:
    """All notify scripts; a source of the supervisor's loop, beside its spawner."""

    def __init__(self, spawner: Spawner, record: Callable[[NotifyResult], None]) -> None:
        self._spawner = spawner
        self._record = record
        self._commands = Commands()
        self._lines: dict[tuple[str, str], _Line] = {}

    def configure(self, commands: Commands) -> None:
        """How scripts are run from now on."""
        self._commands = commands

    def push(self, notice: Notice, words: NotifyWords, now_ns: int) -> None:
        """Run the scripts of a change after those of the changes before."""
        for keyword, command, arguments in scripts(notice, words):
            self.add(notice, keyword, command, now_ns, arguments)

    def add(self, notice: AnyNotice, keyword: str, command: str, now_ns: int, arguments: tuple[str, ...] = ()) -> None:
        """Run one script of a change after all that were there before."""
        line = self._lines.setdefault(notice.key, _Line())
        line.jobs.append(_Job(notice, keyword, command, arguments, now_ns))
        while len(line.jobs) > _MOST_WAITING:
            lost = line.jobs[1]
            del line.jobs[1]
            how = f"it was left out: {_MOST_WAITING} scripts of {notice.name} wait"
            self._tell(NotifyResult(lost.notice, lost.keyword, lost.command, False, how, "", 0, now_ns - lost.since_ns))

    def waiting(self) -> list[str]:
        """What has not ended yet, in words."""
        return [f"{job.keyword} of {job.notice.name}" for line in self._lines.values() for job in line.jobs]

    def idle(self) -> bool:
        """Nothing runs and nothing waits."""
        return not self._lines

    def fileno(self) -> int:
        """None: the spawner has them."""
        return -1

    def deadline_ns(self) -> int:
        """When the next script is to be started."""
        if self._running() >= _MOST_RUNNING:
            return NEVER
        return min((line.next_ns for line in self._lines.values() if not line.running), default=NEVER)

    def handle(self, now_ns: int) -> None:
        """Start what can be started; a few at a time, the rest in the loop's next turn."""
        free = min(_STARTS_A_TURN, _MOST_RUNNING - self._running())
        for line in [one for one in self._lines.values() if not one.running and one.next_ns <= now_ns][: max(0, free)]:
            self._start(line, now_ns)

    def _running(self) -> int:
        return sum(line.running for line in self._lines.values())

    def _start(self, line: _Line, now_ns: int) -> None:
        job = line.jobs[0]
        job.attempts += 1
        try:
            # the path is looked at again: a script can be exchanged while we run
            command = self._commands.command(job.command, "", *job.arguments)
            limit_ns = self._commands.notify_timeout * SECOND
            self._spawner.start(command, now_ns, limit_ns, lambda end: self._ended(line, job, end))
        except RefusedCommand as refused:
            self._done(line, False, f"it is not run: {refused}", "", now_ns)
        except OSError as error:
            self._done(line, False, f"it could not be started: {error.strerror}", "", now_ns)
        else:
            line.running = True

    def _ended(self, line: _Line, job: _Job, end: Finished) -> None:
        line.running = False
        newer = any(other.notice != job.notice for other in line.jobs)
        if not end.ok and job.attempts <= self._commands.notify_retry and not newer:
            line.next_ns = end.ended_ns + _RETRY_AFTER
            return
        self._done(line, end.ok, f"it {end}", end.output, end.started_ns)

    def _done(self, line: _Line, ok: bool, how: str, output: str, started_ns: int) -> None:
        job = line.jobs.popleft()
        line.next_ns = 0
        if not line.jobs:
            del self._lines[job.notice.key]
        waited_ns = started_ns - job.since_ns
        self._tell(NotifyResult(job.notice, job.keyword, job.command, ok, how, output, job.attempts, waited_ns))

    def _tell(self, result: NotifyResult) -> None:
        _log.log(
            logging.INFO if result.ok else logging.WARNING,
            "%s %s of %s: %s%s",
            result.keyword,
            result.command,
            result.notice.name,
            result.how,
            last_line(result.output),
        )
        self._record(result)
