# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sync groups: instances that change state together (keepalived.conf(5), vrrp_sync_group). Pure, as :mod:`.machine`.

A member knows of itself whether it is at fault, whether its Active_Down_Timer has run out (``wants_master``), whom it
hears (``follows``, ``yielding``), and whether its hand-over found no successor (``unclaimed``). A group keeps no copy
of that: it looks at its members after each event of one of them, by these rules:

1. One member's fault is everybody's, for as long as it is a member.
2. A master whose fellow hears a master, or has heard its successor, yields, too; one whose fellow hands over does so.
3. All members become master when every one wants to be. While one hears its master, the others wait.
4. A master is joined by members that want to be master: by those that a reload has added, when they have listened for
   as long as any other instance.
5. A hand-over ends when every member that takes part has looked for a successor for long enough: where a fellow hears
   one, the others let go, too; where none does, all are master again. Both are an end: nobody hands over once more.

Only :class:`Groups` gives a machine a group and takes it away.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from .actions import Action, State
from .machine import Machine


class GroupTransition(NamedTuple):
    """A group is in another state, to be notified like an instance's; ``priority`` is its members' lowest."""

    name: str
    state: State
    former: State
    cause: str
    priority: int


class Outcome(NamedTuple):
    """What members do, in order, and then the groups' own transitions."""

    actions: list[tuple[Machine, Action]]
    transitions: list[GroupTransition]


class Group:
    """One ``vrrp_sync_group``. ``size``: how many members the configuration gives it, once they are all there."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.size = 0
        self.members: list[Machine] = []
        self.state = State.INIT
        # what nothing was to be done about; most events of a member are its adverts, which change nothing of it
        self._settled: dict[Machine, tuple[object, ...]] = {}

    def fault_of(self, machine: Machine) -> str:
        """Why the others keep this member from being master; "" when they do not, or when it has a fault itself."""
        failing = "" if machine.faults else ", ".join(one.instance.name for one in self.members if one.faults)
        return f"sync group {self.name}: {failing} is in FAULT" if failing else ""

    def settle(self, now: int) -> Outcome:
        """Look at all members: after a change of membership, or with ``settle_after`` after an event of one of them."""
        actions: list[tuple[Machine, Action]] = []
        if any(member.faults or member.state is State.FAULT for member in self.members):
            for member in self.members:
                _extend(actions, member, member.fitness_changed(now))
        masters = [member for member in self.members if member.state is State.MASTER]
        if masters:
            self._follow_who_left(now, masters, actions)
            if any(member.state is State.MASTER for member in masters):
                self._join(now, actions)
        elif any(member.resigning for member in self.members):
            self._end_hand_over(now, actions)
        elif self._complete and all(member.wants_master for member in self.members):
            self._take_over(now, actions)
        transition = self._transition()
        self._settled = {} if actions else {member: member.standing for member in self.members}
        return Outcome(actions, [] if transition is None else [transition])

    def settle_after(self, now: int, member: Machine) -> Outcome:
        """To be called after each event of a member, with the same ``now``."""
        if self._settled.get(member) == member.standing:
            return Outcome([], [])
        return self.settle(now)

    @property
    def _complete(self) -> bool:
        """Whether a reload has added and removed all members that it is to add and remove."""
        return 0 < len(self.members) == self.size

    def _follow_who_left(self, now: int, masters: list[Machine], actions: list[tuple[Machine, Action]]) -> None:
        """A member hands over, or yields to somebody: the masters among the others do the same."""
        for other in self.members:
            if not (other.resigning or other.yielding or other.follows):
                continue
            cause = f"sync group {self.name}: {other.instance.name} is in {other.state.value}"
            for member in masters:
                if member.state is not State.MASTER:
                    continue
                if other.resigning:
                    _extend(actions, member, member.hand_over(now))
                else:
                    _extend(actions, member, member.demote(now, cause))

    def _join(self, now: int, actions: list[tuple[Machine, Action]]) -> None:
        for member in self.members:
            if member.wants_master:
                cause = f"sync group {self.name} is in MASTER; {member.why_master(now)}"
                _extend(actions, member, member.promote(now, cause))

    def _end_hand_over(self, now: int, actions: list[tuple[Machine, Action]]) -> None:
        """Nobody is master, and some hand over: let them go on, or end it for all."""
        resigning = [member for member in self.members if member.resigning]
        if not all(member.unclaimed for member in resigning) or any(member.yielding for member in self.members):
            # where a fellow has just heard its successor, the others' are there in a moment, too
            return
        successors = [member.instance.name for member in self.members if member.follows]
        for member in resigning:
            if successors:
                cause = f"sync group {self.name}: somebody took over from {', '.join(successors)}"
                _extend(actions, member, member.demote(now, cause))
            else:
                _extend(actions, member, member.take_back(now))

    def _take_over(self, now: int, actions: list[tuple[Machine, Action]]) -> None:
        cause = "; ".join(f"{member.instance.name}: {member.why_master(now)}" for member in self.members)
        for member in self.members:
            _extend(actions, member, member.promote(now, cause))

    def _transition(self) -> GroupTransition | None:
        """Take the state the members have together now."""
        states = {member.state for member in self.members}
        if not self._complete or (State.INIT in states and len(states) > 1):
            # they are being started or stopped, one after the other
            return None
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
        cause = ", ".join(f"{member.instance.name} {member.state.value}" for member in self.members)
        return GroupTransition(self.name, self.state, former, cause, min(one.priority for one in self.members))


class Membership(NamedTuple):
    """What a configuration wants of one group: how many members, and the machines among them that exist already."""

    size: int
    machines: Sequence[Machine]


class Groups:
    """All sync groups by name. A group lives as long as the configuration has one of its name."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}

    def __iter__(self) -> Iterator[Group]:
        return iter(self._groups.values())

    def regroup(self, now: int, wanted: Mapping[str, Membership], staying: Collection[Machine]) -> Outcome:
        """Another configuration: ``staying`` are the machines that it keeps, with or without a group.

        All change group at once, before any of them looks at what has become of it. Machines that do not stay keep
        their fellows until ``leave``, those that are new ``join``.
        """
        former, stay = self._groups, set(staying)
        self._groups = {name: former.get(name) or Group(name) for name in wanted}
        for group in former.values():
            group.members = [member for member in group.members if member not in stay]
        for machine in staying:
            machine.group = None
        for name, membership in wanted.items():
            group = self._groups[name]
            group.size = membership.size
            group.members[:0] = membership.machines
            for machine in membership.machines:
                machine.group = group
        outcome = Outcome([], [])
        for machine in staying:
            _extend(outcome.actions, machine, machine.regrouped(now))
        for group in self._groups.values():
            settled = group.settle(now)
            outcome.actions.extend(settled.actions)
            outcome.transitions.extend(settled.transitions)
        return outcome

    def join(self, now: int, name: str, machine: Machine) -> Outcome:
        """A new machine, not started yet, becomes a member of this group."""
        group = self._groups[name]
        group.members.append(machine)
        machine.group = group
        return group.settle(now)

    def leave(self, now: int, machine: Machine) -> Outcome:
        """A machine that is about to be removed is nobody's fellow any more."""
        group, machine.group = machine.group, None
        if not isinstance(group, Group):
            return Outcome([], [])
        group.members.remove(machine)
        return group.settle(now)


def settle_group_of(now: int, machine: Machine) -> Outcome:
    """What the group of a machine makes of what has just happened to it."""
    return machine.group.settle_after(now, machine) if isinstance(machine.group, Group) else Outcome([], [])


def _extend(actions: list[tuple[Machine, Action]], member: Machine, more: Sequence[Action]) -> None:
    actions.extend((member, action) for action in more)
