# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everybody who is to hear of a change, told: FIFOs first, then mail, then scripts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Union

from ..lvs.transitions import Transition
from ..script_commands import Commands
from ..spawn import Spawner
from ..vrrp.actions import State
from ..vrrp.messages import LowerPriorityAdvert, PriorityChanged, Transitioned
from ..vrrp.plan import NotifyWords, Plan
from . import lvs_notice
from .fifo import FifoPlan, NotifyFifo
from .mail import MailPlan, MailQueue, MailResult
from .queue import NotifyQueue, NotifyResult
from .transition import Notice, of_lower_priority, of_priority, of_transition

_log = logging.getLogger(__name__)

#: What is recorded: the end of a script, or of the sending of mail.
Recorded = Union[NotifyResult, MailResult]


class Notifier:
    """All notification; a source of the supervisor's loop, beside its spawner."""

    def __init__(self, spawner: Spawner, record: Callable[[Recorded], None]) -> None:
        self._spawner = spawner
        self._scripts = NotifyQueue(spawner, record)
        self._mail = MailQueue(spawner, record)
        self._fifos: dict[str, NotifyFifo] = {}
        self._planned: dict[tuple[bool, str], NotifyWords] = {}
        self._last: dict[tuple[bool, str], Notice] = {}
        self._words: dict[tuple[bool, str], NotifyWords] = {}
        self._priorities: dict[str, int] = {}

    def configure(
        self, plan: Plan, commands: Commands, mail: MailPlan | None, fifos: Iterable[FifoPlan], now_ns: int
    ) -> None:
        """Notify like this from now on. The words of what is removed stay, for its removal is to be told."""
        self._scripts.configure(commands)
        self._mail.configure(mail)
        self._planned = {(False, one.name): one.notify for one in plan.instances}
        self._planned.update({(True, one.name): one.notify for one in plan.groups})
        self._words.update(self._planned)
        wanted = {one.path: one for one in fifos}
        for path, fifo in list(self._fifos.items()):
            if wanted.get(path) != fifo.plan:
                fifo.close(now_ns)
                del self._fifos[path]
        for path in wanted.keys() - self._fifos.keys():
            try:
                self._fifos[path] = NotifyFifo(wanted[path], self._spawner, now_ns)
            except OSError as error:
                _log.error("the FIFO %s cannot be used: %s", path, error.strerror or error)

    def transition(self, event: Transitioned, now_ns: int) -> None:
        """An instance or a group is in another state, or is gone."""
        words = self._words.get((event.group, event.name), NotifyWords())
        if not event.group:
            self._priorities[event.name] = event.priority
        notice = of_transition(event, words)
        self._remember(event, notice)
        if notice is not None and not event.again:
            self._write(notice, now_ns)
            if words.smtp_alert:
                self._mail.push(notice, now_ns)
            self._scripts.push(notice, words, now_ns)
        if event.removed and (event.group, event.name) not in self._planned:
            # else another of that name takes its place, such as one on another interface
            self._words.pop((event.group, event.name), None)
            self._priorities.pop(event.name, None)

    def priority_changed(self, event: PriorityChanged, now_ns: int) -> None:
        """Tracking changed an instance's priority."""
        self._priorities[event.name] = event.priority
        notice = of_priority(event) if event.priority != event.former else None
        if notice is not None and self._words.get((False, event.name), NotifyWords()).notify_priority_changes:
            self._write(notice, now_ns)

    def lower_priority_advert(self, event: LowerPriorityAdvert, now_ns: int) -> None:
        """A master heard an advert of lower priority."""
        notice = of_lower_priority(event, self._priorities.get(event.name, 0))
        self._write(notice, now_ns)
        self._scripts.push(notice, self._words.get((False, event.name), NotifyWords()), now_ns)

    def write_states(self, now_ns: int) -> None:
        """All states to the FIFOs once more, groups first, as keepalived does (fifo_write_vrrp_states_on_reload)."""
        for _key, notice in sorted(self._last.items(), key=lambda one: not one[0][0]):
            self._write(notice, now_ns)

    def waiting(self) -> list[str]:
        """What is on its way to somebody, in words."""
        return [one for part in self._parts() for one in part.waiting()]

    def balanced(self, transition: Transition, cause: str, now_ns: int) -> None:
        """A real server or a quorum is up or down."""
        notice = lvs_notice.of_transition(transition)
        if notice is None:
            return
        for fifo in self._fifos.values():
            if fifo.plan.lvs:
                fifo.write(notice.line, now_ns)
        if transition.smtp_alert and self._mail.plan is not None:
            self._mail.add(lvs_notice.mail(notice, cause, self._mail.plan.router_id))
        if transition.command:
            self._scripts.add(notice, notice.keyword, transition.command, now_ns)

    def idle(self) -> bool:
        """Every script has ended and every mail is sent, or given up: a stop may go on."""
        return self._scripts.idle() and self._mail.idle()

    def fileno(self) -> int:
        """None: the spawner has them."""
        return -1

    def deadline_ns(self) -> int:
        """When something is to be started or written."""
        return min(part.deadline_ns() for part in self._parts())

    def handle(self, now_ns: int) -> None:
        """Start and write what is due."""
        for part in self._parts():
            if part.deadline_ns() <= now_ns:
                part.handle(now_ns)

    def hand_over(self) -> None:
        """Leave the FIFOs to the next program."""
        for fifo in self._fifos.values():
            fifo.hand_over()
        self._fifos.clear()

    def close(self, now_ns: int) -> None:
        """End the readers of the FIFOs, and remove those we made."""
        for fifo in self._fifos.values():
            fifo.close(now_ns)
        self._fifos.clear()

    def _remember(self, event: Transitioned, notice: Notice | None) -> None:
        if event.removed or event.state is State.INIT:
            self._last.pop((event.group, event.name), None)
        elif notice is not None:
            self._last[event.group, event.name] = notice

    def _parts(self) -> list[NotifyQueue | MailQueue | NotifyFifo]:
        return [self._scripts, self._mail, *self._fifos.values()]

    def _write(self, notice: Notice, now_ns: int) -> None:
        for fifo in self._fifos.values():
            if fifo.plan.vrrp:
                fifo.write(notice.line, now_ns)
