# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one change of an instance or a group makes to run, to write and to mail; pure.

keepalived.conf(5), vrrp_sync_group, "notify scripts and alerts are optional"; what it leaves open was measured with
keepalived 2.2.7.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..vrrp.actions import State
from ..vrrp.messages import LowerPriorityAdvert, PriorityChanged, Transitioned
from ..vrrp.plan import NotifyWords

_GROUP_PRIORITY = 0  # what keepalived says for a group
_STOPPED = ("STOP", "DELETED")


@dataclass(frozen=True)
class Notice:
    """Who is in which state, in keepalived's words: the last four arguments of ``notify``, and a FIFO's line."""

    group: bool
    name: str
    state: str
    priority: int

    @property
    def key(self) -> tuple[str, str]:
        """Whose scripts run one after the other."""
        return "GROUP" if self.group else "INSTANCE", self.name

    @property
    def arguments(self) -> tuple[str, str, str, str]:
        """For the ``notify`` script."""
        return "GROUP" if self.group else "INSTANCE", self.name, self.state, str(self.priority)

    @property
    def line(self) -> str:
        """For a FIFO, with its end."""
        kind, name, state, priority = self.arguments
        return f'{kind} "{name}" {state} {priority}\n'


def of_transition(event: Transitioned, words: NotifyWords) -> Notice | None:
    """What is told of a transition; None for HANDOVER, in which an instance is still its addresses' master."""
    if event.state is State.HANDOVER:
        return None
    state = event.state.value
    if event.removed:
        state = "DELETED" if words.deleted_state or words.notify_deleted else State.FAULT.value
    elif event.state is State.INIT:
        state = "STOP"
    return Notice(event.group, event.name, state, _GROUP_PRIORITY if event.group else event.priority)


def of_priority(event: PriorityChanged) -> Notice | None:
    """The FIFO's line of ``notify_priority_changes``; None outside MASTER and BACKUP."""
    if event.state not in (State.MASTER, State.BACKUP):
        return None
    return Notice(False, event.name, f"{event.state.value}_PRIORITY", event.priority)


def of_lower_priority(event: LowerPriorityAdvert, priority: int) -> Notice:
    """The FIFO's line of an advert of lower priority."""
    return Notice(False, event.name, "MASTER_RX_LOWER_PRI", priority)


def scripts(notice: Notice, words: NotifyWords) -> list[tuple[str, str, tuple[str, ...]]]:
    """What to run, in order: (keyword, command line, arguments behind it)."""
    by_state = {
        "MASTER": "notify_master",
        "BACKUP": "notify_backup",
        "FAULT": "notify_fault",
        "STOP": "notify_stop",
        "DELETED": "notify_deleted",
        "MASTER_RX_LOWER_PRI": "notify_master_rx_lower_pri",
    }
    keyword = by_state.get(notice.state, "")
    found = [(keyword, str(getattr(words, keyword)), ())] if keyword and getattr(words, keyword) else []
    if words.notify and notice.state in ("MASTER", "BACKUP", "FAULT", *_STOPPED):
        return [*found, ("notify", words.notify, notice.arguments)]
    return list(found)
