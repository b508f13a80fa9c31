# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to the VRRP process on their way, and requests that wait for what instances do."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from ..vrrp.actions import State
from .loop import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..vrrp.messages import Status, Transitioned

_LIMIT_NS = 2_000_000_000
_MOST = 64


class StatusRequests:
    """Each gets one answer: the status, or None when it took too long. A source of the loop, for the latter."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[int, Callable[[Status | None], None]]] = {}

    def fileno(self) -> int:
        """Answers come with the VRRP process's messages."""
        return -1

    def deadline_ns(self) -> int:
        """When the first has waited for too long."""
        return min((due for due, _reply in self._waiting.values()), default=NEVER)

    def handle(self, now_ns: int) -> None:
        """Answer those that have waited for too long."""
        for number in [number for number, (due, _reply) in self._waiting.items() if due <= now_ns]:
            self._waiting.pop(number)[1](None)

    def add(self, now_ns: int, reply: Callable[[Status | None], None]) -> int | None:
        """A new one: its number; None, and answered, when there are too many."""
        if len(self._waiting) >= _MOST:
            reply(None)
            return None
        number = next(self._numbers)
        self._waiting[number] = (now_ns + _LIMIT_NS, reply)
        return number

    def answered(self, status: Status) -> None:
        """The VRRP process said this."""
        _due, reply = self._waiting.pop(status.number, (0, None))
        if reply is not None:
            reply(status)

    def give_up(self) -> None:
        """The VRRP process is gone: answer all that wait."""
        waiting, self._waiting = list(self._waiting.values()), {}
        for _due, reply in waiting:
            reply(None)


class HandOver:
    """A request that waits until instances are no longer master; ``where`` has each that is done: state and cause."""

    def __init__(self, names: Iterable[str], deadline_ns: int) -> None:
        self.waiting = set(names)
        self.where: dict[str, tuple[State, str]] = {}
        self.deadline_ns = deadline_ns

    def transitioned(self, message: Transitioned) -> None:
        """An instance changed; one that is master again after a hand-over found nobody to take over."""
        if message.group or message.name not in self.waiting or message.state is State.HANDOVER:
            return
        self.waiting.discard(message.name)
        self.where[message.name] = (message.state, message.cause)

    def outcome(self, states: dict[str, State]) -> tuple[bool, list[dict[str, str]]]:
        """Whether all are given away, and each instance for JSON; ``states`` of those still on their way."""
        found = [
            {"name": name, "state": state.value, "cause": cause} for name, (state, cause) in sorted(self.where.items())
        ]
        for name in sorted(self.waiting):
            state = states.get(name, State.INIT)
            found.append({"name": name, "state": state.value, "cause": "nobody has taken over yet"})
        done = not self.waiting and all(state is not State.MASTER for state, _cause in self.where.values())
        return done, found
