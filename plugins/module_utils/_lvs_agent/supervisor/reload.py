# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the configuration, at the start and on request: one at a time, and once more when asked meanwhile."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from . import reader, upgrade
from .job import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..control.verb import Reply
    from .loop import Loop
    from .reader import Result
    from .upgrade import Program

_log = logging.getLogger(__name__)
_SHOWN = 50  # findings in the log; `lvs-agent check` shows all of them, with the lines they are about


class Reloads:
    """``done`` gets each result. ``upgrade_now`` is called when the program was exchanged and the new one is content,
    with a function that is to be told why the new one does not take over after all.

    ``errors`` are those of the last reading, ``warnings`` too.
    """

    def __init__(
        self,
        path: str,
        config_id: str,
        loop: Loop,
        *,
        done: Callable[[Result, int], None],
        upgrade_now: Callable[[Callable[[str], None]], None],
        clock: Callable[[], int],
    ) -> None:
        self._path = path
        self._config_id = config_id
        self._loop = loop
        self._done = done
        self._upgrade_now = upgrade_now
        self._clock = clock
        self._program: Program | None = upgrade.this_program()
        self._job: Job | None = None
        self._upgrading = False
        self._again = False
        self._replies: list[Reply] = []
        self._later: list[Reply] = []
        self.errors: tuple[str, ...] = ()
        self.warnings: tuple[str, ...] = ()

    @property
    def running(self) -> bool:
        """Whether something is read now."""
        return self._job is not None or self._upgrading

    @property
    def again(self) -> bool:
        """Whether another reading follows the one that runs."""
        return self._again

    def begin(self, reply: Reply | None = None) -> bool:
        """Read, or read again after what is being read; whether it begins now."""
        if self.running:
            self._again = True
            self._later += [reply] if reply is not None else []
            return False
        self._replies += [reply] if reply is not None else []
        if upgrade.exchanged(self._program):
            self._start(self._check_new_program)
        else:
            self._start(self._read)
        return True

    def look(self, done: Callable[[Result], None]) -> None:
        """Read for ``done`` only; nothing comes of it."""

        def read(result: Result) -> None:
            self._loop.remove(job)
            job.close()
            done(result)

        try:
            job = reader.read_apart(self._path, self._config_id, self._clock() + reader.LIMIT_NS, read)
        except OSError as error:
            done(reader.Result(None, (f"{self._path}: no process to read it: {error.strerror}",)))
            return
        self._loop.add(job)

    def finish(self, answer: dict[str, Any]) -> bool:
        """Answer who asked; whether another reading was asked for meanwhile, and begins now."""
        replies, self._replies, self._later = self._replies, self._later, []
        for reply in replies:
            reply(answer)
        if self._again:
            self._again = False
            self.begin()
            return True
        return False

    def close(self) -> None:
        """End what is being read."""
        if self._job is not None:
            self._loop.remove(self._job)
            self._job.close()
            self._job = None

    def _start(self, make: Callable[[int], Job]) -> None:
        try:
            self._job = make(self._clock() + reader.LIMIT_NS)
        except OSError as error:
            self._told(reader.Result(None, (f"{self._path}: no process to read it: {error.strerror}",)))
            return
        self._loop.add(self._job)

    def _read(self, deadline_ns: int) -> Job:
        return reader.read_apart(self._path, self._config_id, deadline_ns, self._was_read)

    def _check_new_program(self, deadline_ns: int) -> Job:
        words = upgrade.command_line()
        return Job(reader.NAME, lambda output: upgrade.check_new(words, output), deadline_ns, self._was_checked)

    def _was_checked(self, output: bytes, wrong: str) -> None:
        self.close()
        if wrong:
            self._not_taken(wrong, output)
            return
        self._upgrading = True
        self._upgrade_now(self._not_taken)

    def _not_taken(self, why: str, output: bytes = b"") -> None:
        self._upgrading = False
        said = output.decode("utf-8", "replace").splitlines()[:_SHOWN]
        self._told(reader.Result(None, (f"the new program is not taken: {why}", *said)))

    def _was_read(self, result: Result) -> None:
        self.close()
        self._told(result)

    def _told(self, result: Result) -> None:
        self.errors, self.warnings = result.errors, result.warnings
        for level, findings in ((logging.WARNING, result.warnings), (logging.ERROR, result.errors)):
            for finding in findings[:_SHOWN]:
                _log.log(level, "%s", finding)
            if len(findings) > _SHOWN:
                _log.log(level, "%d more; `lvs-agent check %s` shows them", len(findings) - _SHOWN, self._path)
        self._done(result, self._clock())
