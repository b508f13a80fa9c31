# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the supervisor asks for: a configuration, results of what is tracked, hand-overs, the end, the status."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from . import messages
from .machine import Machine
from .reconfigure import Reconfiguration
from .runner import Runner

if TYPE_CHECKING:
    from .loop import Loop


class Orders:
    """Reads the channel, and has done what it says."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._reconfiguration = Reconfiguration(loop)

    def read(self, now: int) -> None:
        """What the supervisor says."""
        self._loop.flush()
        try:
            received = self._loop.channel.receive()
        except messages.ChannelClosed:
            # the supervisor is gone: another one starts another process, and our addresses serve meanwhile
            self._loop.finished = True
            return
        for message in received:
            self.told(message, now)

    def told(self, message: messages.ToVrrp, now: int) -> None:
        """The supervisor says this."""
        if isinstance(message, messages.Configure) and not self._loop.stopping:
            self._reconfiguration.begin(message, now)
        elif isinstance(message, messages.TrackResult):
            self._track_result(message, now)
        elif isinstance(message, messages.HandOver):
            for runner in self._named(message.name):
                self._loop.effects.perform(runner, runner.machine.hand_over(now), now, settle=True)
        elif isinstance(message, messages.Release):
            for runner in self._named(message.name):
                runner.machine.release()
        elif isinstance(message, messages.Leave):
            self._loop.tell_sequences()
            self._loop.finished = True
        elif isinstance(message, messages.Stop):
            self._stop(message.at_once, now)
        elif isinstance(message, messages.StatusRequest):
            self._loop.tell(self.status(message.number))

    def _track_result(self, message: messages.TrackResult, now: int) -> None:
        key = (message.kind, message.name)
        if self._loop.results.get(key) == message:
            return
        self._loop.results[key] = message
        for runner in list(self._loop.runners):
            if any((one.kind, one.name) == key for one in (*runner.plan.tracks, *runner.group_tracks)):
                self._loop.surroundings.refresh(runner, now)

    def _named(self, name: str | None) -> list[Runner]:
        """An instance and the members of its group, the members of a group, or all."""
        if name is None:
            return list(self._loop.runners)
        together = {
            machine
            for group in self._loop.groups
            if group.name == name or any(machine.instance.name == name for machine in group.members)
            for machine in group.members
        }
        return [one for one in self._loop.runners if one.name == name or one.machine in together]

    def _stop(self, at_once: bool, now: int) -> None:
        self._loop.stopping = True
        self._loop.work.clear()
        for runner in list(self._loop.runners):
            self._loop.effects.perform(runner, runner.machine.shutdown(now, at_once=at_once), now)

    def status(self, number: int) -> messages.Status:
        """Everything."""
        instances = tuple(one.status(self._loop.possession.missing(one)) for one in self._loop.runners)
        names: Callable[[Iterable[Machine]], tuple[str, ...]] = lambda members: tuple(  # noqa: E731
            machine.instance.name for machine in members
        )
        groups = tuple((group.name, group.state, names(group.members)) for group in self._loop.groups)
        counters = {
            **self._loop.counters,
            "netlink_overruns": self._loop.host.lost,
            "garp_sent": self._loop.announcer.sent,
            "garp_failed": self._loop.announcer.failed,
        }
        return messages.Status(number, instances, groups, counters)
