# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracking and notification as a part of the supervisor: both run programs, by one spawner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from ..notify.notifier import Notifier
from ..notify.queue import NotifyResult
from ..spawn import Spawner
from ..track.files import TrackFiles
from ..track.processes import TrackProcesses
from ..track.scripts import TrackScripts
from ..vrrp.messages import Configured, LowerPriorityAdvert, PriorityChanged, TrackResult, Transitioned
from .host_scripts import HostScripts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..lvs.transitions import Transition
    from ..notify.notifier import Recorded
    from .channel import Channel
    from .child import Child
    from .loop import Source
    from .process import Process
    from .reader import Settings

#: Writes an event: its kind, why, whose it is, and what else belongs to it.
Record = Callable[[str, str, str, "dict[str, Any]"], None]


class Scripting:
    """``track`` gets each result that changed and why; ``record`` how each notification ended."""

    def __init__(self, track: Callable[[TrackResult, str], None], record: Record) -> None:
        self._record = record
        self._spawner = Spawner()
        self._scripts = TrackScripts(self._spawner, track)
        self._processes = TrackProcesses(track)
        self._files = TrackFiles(track)
        self._notifier = Notifier(self._spawner, self._recorded)
        self._host_scripts = HostScripts(self._spawner, record)
        self._settings: Settings | None = None
        self._write_states = False

    def sources(self) -> Iterable[Source]:
        """Ends of programs first: they make room for others."""
        return (self._spawner, self._processes, self._files, self._scripts, self._notifier)

    def before(self, settings: Settings, now_ns: int, done: Callable[[], None]) -> int:
        """The ``startup_script``."""
        self._spawner.umask = settings.umask
        self._host_scripts.run(settings.startup, settings.commands, now_ns, done)
        return settings.startup.limit_ns if settings.startup is not None else 0

    def configure(self, settings: Settings, now_ns: int) -> None:
        """Track and notify like this from now on."""
        self._write_states = settings.states_on_reload and self._settings is not None
        self._settings = settings
        self._spawner.umask = settings.umask
        self._notifier.configure(settings.plan, settings.commands, settings.mail, settings.fifos, now_ns)
        self._scripts.configure(settings.tracks.scripts, now_ns)
        self._processes.configure(settings.tracks.processes, now_ns)
        self._files.configure(settings.tracks.files, now_ns)

    def heard(self, message: Any, now_ns: int) -> None:
        """Notify of what the VRRP process said."""
        if isinstance(message, Transitioned):
            self._notifier.transition(message, now_ns)
        elif isinstance(message, PriorityChanged):
            self._notifier.priority_changed(message, now_ns)
        elif isinstance(message, LowerPriorityAdvert):
            self._notifier.lower_priority_advert(message, now_ns)
        elif isinstance(message, Configured) and self._write_states:
            self._write_states = False
            self._notifier.write_states(now_ns)

    def results(self) -> list[TrackResult]:
        """What is tracked, as far as it is known."""
        return [*self._scripts.results(), *self._processes.results(), *self._files.results()]

    def waiting(self) -> list[str]:
        """Notifications on their way."""
        return self._notifier.waiting()

    def children(self) -> Mapping[str, Child]:
        """None that could be told anything: what was started runs on by itself."""
        return {}

    def adopt(self, name: str, process: Process, channel: Channel, now_ns: int) -> None:
        """The spawner finds its own."""

    def overview(self) -> dict[str, Any]:
        """Nothing that the events do not have."""
        return {}

    def problems(self) -> list[str]:
        """None that are not events."""
        return []

    def balanced(self, transition: Transition, cause: str, now_ns: int) -> None:
        """Notify of a real server or a quorum."""
        self._notifier.balanced(transition, cause, now_ns)

    def hand_over(self) -> None:
        """Leave the FIFOs to the next program."""
        self._notifier.hand_over()

    def stop(self, now_ns: int) -> None:
        """Track nothing any more; what is to be told is told."""
        for part in (self._scripts, self._processes, self._files):
            part.configure((), now_ns)

    def busy(self) -> bool:
        """Whether a notification is on its way, or one of the host's own scripts runs."""
        return not self._notifier.idle() or self._host_scripts.busy()

    def after(self, now_ns: int) -> int:
        """The ``shutdown_script``."""
        script = self._settings.shutdown if self._settings is not None else None
        if self._settings is not None:
            self._host_scripts.run(script, self._settings.commands, now_ns, lambda: None)
        return script.limit_ns if script is not None else 0

    def close(self, now_ns: int) -> None:
        """End what runs."""
        self._notifier.close(now_ns)
        self._spawner.stop_all(now_ns)
        self._processes.close()
        self._files.close()

    def _recorded(self, one: Recorded) -> None:
        if isinstance(one, NotifyResult):
            details = {"keyword": one.keyword, "command": one.command, "output": one.output}
            self._record("notify", one.how, one.notice.name, {**details, "ok": one.ok, "attempts": one.attempts})
        else:
            details = {"subjects": ", ".join(one.subjects)}
            self._record("mail", one.how, "", {**details, "ok": one.ok, "attempts": one.attempts})
