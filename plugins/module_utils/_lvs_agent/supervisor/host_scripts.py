# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``startup_script`` and ``shutdown_script``: each runs once, as keepalived runs them (measured with 2.2.7).

The one before VRRP begins, which waits for its end; the other one when everything has ended. One that fails, or takes
too long and is ended, is told and changes nothing else.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from ..script_commands import RefusedCommand
from ..spawn import GRACE, SECOND, last_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..script_commands import Commands
    from ..spawn import Finished, Spawner

_log = logging.getLogger(__name__)


class HostScript(NamedTuple):
    """One of them: its keyword, its command line, and how long it may take."""

    keyword: str
    line: str
    timeout_s: int

    @property
    def limit_ns(self) -> int:
        """When its end is there at the latest, unless it hangs in the kernel."""
        return self.timeout_s * SECOND + GRACE


class HostScripts:
    """Runs them; ``record`` is told how each ended."""

    def __init__(self, spawner: Spawner, record: Callable[[str, str, str, dict[str, Any]], None]) -> None:
        self._spawner = spawner
        self._record = record
        self._running = 0

    def busy(self) -> bool:
        """Whether one runs."""
        return self._running > 0

    def run(self, script: HostScript | None, commands: Commands, now_ns: int, done: Callable[[], None]) -> None:
        """Run one, if there is one; ``done`` is called at its end, whatever that is."""
        if script is None:
            done()
            return

        def ended(end: Finished) -> None:
            self._running -= 1
            self._tell(script, end.ok, f"it {end}", end.output)
            done()

        try:
            command = commands.command(script.line)
            self._spawner.start(command, now_ns, script.timeout_s * SECOND, ended)
        except RefusedCommand as refused:
            self._tell(script, False, f"it is not run: {refused}", "")
        except OSError as error:
            self._tell(script, False, f"it could not be started: {error.strerror}", "")
        else:
            _log.info("%s %s runs", script.keyword, script.line)
            self._running += 1
            return
        done()

    def _tell(self, script: HostScript, ok: bool, how: str, output: str) -> None:
        level = logging.INFO if ok else logging.ERROR
        _log.log(level, "%s %s: %s%s", script.keyword, script.line, how, last_line(output))
        details = {"keyword": script.keyword, "command": script.line, "output": output, "ok": ok}
        self._record("script", how, "", details)
