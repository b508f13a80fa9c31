# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sync groups: instances that change state together (keepalived.conf(5), vrrp_sync_group).

As in keepalived one member's FAULT is everybody's, one that leaves mastership takes the others along, and the group
becomes master when all members would: while one still hears its master, the others wait. A member that a reload adds to
a group that is master follows it when it has listened for as long as any other instance: it takes nobody along, unless
it hears a master of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from .actions import Action, State, Transition
from .machine import Machine


class Group:
    """The machines of one ``vrrp_sync_group``, each with ``in_group`` set, and the state they have together."""

    def __init__(self, name: str, members: Sequence[Machine]) -> None:
        self.name = name
        self.members = tuple(members)
        self.state = State.INIT

    def settle(self, now: int) -> tuple[list[tuple[Machine, Action]], Transition | None]:
        """To be called after each event of a member, with the same ``now``: what the others do, in order.

        The second value is the group's own transition, to be notified like an instance's, or None.
        """
        actions: list[tuple[Machine, Action]] = []
        self._share_faults(now, actions)
        masters = [member for member in self.members if member.state is State.MASTER]
        if masters:
            self._follow_who_left(now, masters, actions)
            if any(member.state is State.MASTER for member in masters):
                self._join(now, actions)
        elif all(member.wants_master for member in self.members):
            cause = "; ".join(f"{member.instance.name}: {member.why_master(now)}" for member in self.members)
            for member in self.members:
                _extend(actions, member, member.promote(now, cause))
        return actions, self._transition()

    def _share_faults(self, now: int, actions: list[tuple[Machine, Action]]) -> None:
        failing = ", ".join(member.instance.name for member in self.members if member.faults)
        for member in self.members:
            cause = f"sync group {self.name}: {failing} is in FAULT" if failing and not member.faults else ""
            if cause != member.group_fault:
                _extend(actions, member, member.set_group_fault(now, cause))

    def _follow_who_left(self, now: int, masters: list[Machine], actions: list[tuple[Machine, Action]]) -> None:
        """A member hands over, or yields to somebody: the masters among the others do the same."""
        for other in self.members:
            cause = f"sync group {self.name}: {other.instance.name} is in {other.state.value}"
            for member in masters:
                if other.state is State.HANDOVER and not other.yielding:
                    _extend(actions, member, member.hand_over(now))
                elif other.yielding or other.follows:
                    _extend(actions, member, member.demote(now, cause))

    def _join(self, now: int, actions: list[tuple[Machine, Action]]) -> None:
        for member in self.members:
            if member.state is State.BACKUP and member.wants_master:
                cause = f"sync group {self.name} is in MASTER; {member.why_master(now)}"
                _extend(actions, member, member.promote(now, cause))

    def _transition(self) -> Transition | None:
        """Take the state the members have together now."""
        states = {member.state for member in self.members}
        if State.MASTER in states:
            # those that are to join
            states.discard(State.BACKUP)
        former = self.state
        if len(states) == 1:
            (self.state,) = states
        else:
            self.state = State.HANDOVER if State.HANDOVER in states else State.BACKUP
        if self.state is former:
            return None
        return Transition(self.state, ", ".join(f"{m.instance.name} {m.state.value}" for m in self.members))


def _extend(actions: list[tuple[Machine, Action]], member: Machine, more: Sequence[Action]) -> None:
    actions.extend((member, action) for action in more)
