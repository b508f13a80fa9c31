# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happened, written down for people: to the log and to the events, and the alarms that last."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from ..control.events import event
from ..vrrp import messages

if TYPE_CHECKING:
    from ..control.events import Events

_log = logging.getLogger(__name__)


class Journal:
    """``alarms``: what each is about, by (instance, kind, source)."""

    def __init__(self, events: Events) -> None:
        self.events = events
        self.alarms: dict[tuple[str, str, str], str] = {}

    def event(self, kind: str, cause: str, real_ns: int | None = None, **details: Any) -> None:
        """Write an event down, of now or of ``real_ns``."""
        self.events.add(event(time.time_ns() if real_ns is None else real_ns, kind, cause, **details))

    def tracked(self, result: messages.TrackResult, cause: str) -> None:
        """Something that is tracked changed."""
        up = {True: "up", False: "down", None: "unknown"}[result.up]
        self.event("tracking", cause, name=result.name, tracked=result.kind.value, state=up)

    def heard(self, message: Any) -> None:
        """The VRRP process said this."""
        if isinstance(message, messages.Transitioned):
            self._transitioned(message)
        elif isinstance(message, messages.AlarmRaised):
            _log.warning("%salarm %s: %s", _prefix(message), message.kind, message.detail)
            self.alarms[message.name, message.kind, message.source] = message.detail
            self.event("alarm", message.detail, name=message.name, alarm=message.kind, source=message.source)
        elif isinstance(message, messages.AlarmGone):
            _log.info("%salarm %s is over", _prefix(message), message.kind)
            self.alarms.pop((message.name, message.kind, message.source), None)
            self.event("alarm_over", message.kind, name=message.name, alarm=message.kind, source=message.source)
        elif isinstance(message, messages.Remark):
            _log.log(message.level, "%s%s", _prefix(message), message.text)
            if message.level >= logging.WARNING:
                self.event("remark", message.text, name=message.name)
        elif isinstance(message, messages.LoopStall):
            late = f"the VRRP process came {message.late_ns / 1e6:.0f} ms late to a timer"
            _log.warning("%s: the host was too busy, or stood still", late)
            self.event("stall", late)
        elif isinstance(message, messages.PriorityChanged):
            self._priority_changed(message)

    def _priority_changed(self, message: messages.PriorityChanged) -> None:
        """The priority, the faults, or both are others than before."""
        faults = "; ".join(message.faults)
        if message.priority == message.former:
            cause = faults or "no fault is left"
            _log.info("%s: %s", message.name, f"unfit: {cause}" if faults else cause)
            self.event("fault", cause, name=message.name)
            return
        cause = f"{message.former} -> {message.priority}{f', {faults}' if faults else ''}"
        _log.info("%s: priority %s", message.name, cause)
        self.event("priority", cause, name=message.name, priority=message.priority)

    def vrrp_ended(self) -> None:
        """The VRRP process has ended, and its alarms with it: the next one raises its own."""
        for name, kind, source in list(self.alarms):
            self.event("alarm_over", f"{kind}: its VRRP process has ended", name=name, alarm=kind, source=source)
        self.alarms.clear()

    def _transitioned(self, message: messages.Transitioned) -> None:
        kind = "group" if message.group else "instance"
        text = "%s %s: %s -> %s: %s"
        _log.info(text, kind, message.name, message.former.value, message.state.value, message.cause)
        self.event(
            "transition",
            message.cause,
            real_ns=message.real_ns,
            name=message.name,
            of=kind,
            former=message.former.value,
            state=message.state.value,
            priority=message.priority,
        )


def _prefix(message: messages.AlarmRaised | messages.AlarmGone | messages.Remark) -> str:
    """The instance that a line of the log is about, if it is about one."""
    return f"{message.name}: " if message.name else ""
