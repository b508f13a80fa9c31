# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with several virtual routers on two networks, in sync groups that reloads change, from a seed.

As :mod:`.simulator`, of which a node here is one virtual router on one host. The networks fail independently of each
other, for a moment or until the next round; links go down with them or not. A host's configuration changes while all
that happens: it loses members, gets others, dissolves its groups, makes, renames and merges them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from _lvs_agent.vrrp.actions import State
from _lvs_agent.vrrp.instance import SECOND, Instance
from _lvs_agent.vrrp.machine import Machine
from _lvs_agent.vrrp.packet import Advert
from _lvs_agent.vrrp.sync import Groups, Membership, Outcome, settle_group_of
from tests.unit.vrrp.simulator import MILLION, VIPS, Node, World

#: The virtual routers by number, and on which wire each is: the third one is on the first one's.
WIRE_OF = (0, 1, 0)
CABLE = frozenset({"interface is down"})
Grouping = dict[str, list[int]]
#: What files say about three virtual routers; a reload goes from any to any.
GROUPINGS: tuple[Grouping, ...] = (
    {},
    {"G": [0, 1]},
    {"H": [0, 1]},
    {"G": [0, 1], "H": [2]},
    {"G": [0], "H": [1, 2]},
    {"G": [0, 1, 2]},
    {"G": [2, 1, 0]},
)


@dataclass(eq=False)
class Router:
    """A host with its process: ``nodes`` are all virtual routers it may have, ``present`` those it is to have."""

    name: str
    nodes: list[Node]
    present: list[int]
    grouping: Grouping
    groups: Groups = field(default_factory=Groups)

    @property
    def runs(self) -> bool:
        return any(node.machine is not None for node in self.nodes)

    @property
    def awake(self) -> bool:
        return self.runs and not any(node.stopped or node.frozen for node in self.nodes)

    def group_of(self, number: int) -> str | None:
        return next((name for name, members in self.grouping.items() if number in members), None)

    def fellows(self, node: Node) -> list[Node]:
        """The other members of its group."""
        group = self.group_of(node.network)
        members = self.grouping[group] if group is not None else []
        return [self.nodes[one] for one in members if one in self.present and one != node.network]


class GroupWorld(World):
    """A world in which every host has one process for all its virtual routers."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.routers: list[Router] = []
        self._router_of: dict[Node, Router] = {}
        self._last: dict[str, Advert] = {}

    def add(self, router: Router) -> None:
        self.routers.append(router)
        self.nodes += router.nodes
        for node in router.nodes:
            self._router_of[node] = router

    # ---- what happens to a host

    def boot_host(self, router: Router, resume: bool = False) -> None:
        if router.runs:
            return
        router.groups = Groups()
        wanted = {name: Membership(len(members), ()) for name, members in self._wanted(router).items()}
        router.groups.regroup(0, wanted, ())
        for number in router.present:
            self._add(router, router.nodes[number], resume)

    def _add(self, router: Router, node: Node, resume: bool = False) -> None:
        self.note(node, "is started", "resuming" if resume else "")
        machine = self.create(node)
        group = router.group_of(node.network)
        if group is not None:
            self._outcome(router, router.groups.join(node.local(self.now), group, machine))
        self.start(node, machine, resume)

    def _wanted(self, router: Router) -> Grouping:
        present = {name: [one for one in members if one in router.present] for name, members in router.grouping.items()}
        return {name: members for name, members in present.items() if members}

    def reload_host(self, router: Router, grouping: Grouping, present: list[int]) -> None:
        """As vrrp/reconfigure.py: all that stay change group at once, the others leave or join one after the other."""
        if router.runs and not router.awake:
            return
        self.note(router.nodes[0], "reload:", grouping, "of", present)
        former, router.grouping, router.present = router.present, grouping, present
        if not router.runs:
            return
        for node in router.nodes:
            node.changed = self.now
        wanted = self._wanted(router)
        machines = {number: router.nodes[number].machine for number in present if number in former}
        staying = {number: machine for number, machine in machines.items() if machine is not None}
        memberships = {
            name: Membership(len(members), [staying[one] for one in members if one in staying])
            for name, members in wanted.items()
        }
        now = router.nodes[0].local(self.now)
        self._outcome(router, router.groups.regroup(now, memberships, list(staying.values())))
        for number in former:
            node = router.nodes[number]
            if number not in present and node.machine is not None:
                self._outcome(router, router.groups.leave(now, node.machine))
                self._do(node, node.machine.shutdown(now, at_once=True))
                node.machine = None
        for number in present:
            if router.nodes[number].machine is None:
                self._add(router, router.nodes[number])

    def host_goes_on(self, router: Router) -> None:
        """All of a host is awake again at the same time."""
        for node in router.nodes:
            if node.stopped:
                self.note(node, "goes on")
                node.changed = self.now
            node.stopped = node.frozen = False
        self._wake(router.nodes[0])

    def each(self, router: Router, event: Callable[..., None], *args: Any) -> None:
        """The same for each virtual router that the host has."""
        for number in list(router.present):
            event(router.nodes[number], *args)

    def cut_wire(self, wire: int, ones: Sequence[Router]) -> None:
        """These hosts and the others no longer hear each other on it."""
        self._trace.append((self.now, "", "cut off on wire", wire, *(one.name for one in ones)))
        self.was_cut, self.changed = True, self.now
        for router in ones:
            for other in self.routers:
                if other in ones:
                    continue
                for number, there in enumerate(WIRE_OF):
                    if there == wire:
                        a, b = router.nodes[number].name, other.nodes[number].name
                        self.cut |= {(a, b), (b, a)}

    def link(self, router: Router, wire: int, up: bool) -> None:
        for number in list(router.present):
            if WIRE_OF[number] == wire:
                self.call(router.nodes[number], "set_faults", frozenset() if up else CABLE)

    def mend_wire(self, wire: int) -> None:
        self._trace.append((self.now, "", "healed wire", wire))
        self.changed = self.now
        numbers = [str(number) for number, there in enumerate(WIRE_OF) if there == wire]
        self.cut = {pair for pair in self.cut if pair[0][-1] not in numbers}

    # ---- the machinery

    def _wake(self, node: Node) -> None:
        """One turn of the host's loop: every socket until it is empty, then the timers, as vrrp/loop.py."""
        router = self._router_of[node]
        if not router.awake:
            return
        running = [(one, one.machine) for one in router.nodes if one.machine is not None]
        for one, machine in running:
            self._read(one, machine)
        for one, machine in running:
            now = one.local(self.now)
            if machine is one.machine and now >= machine.wake_ns:
                self._do(one, machine.timer(now, now))
            self._schedule(one)

    def _do(self, node: Node, actions: Any) -> None:
        super()._do(node, actions)
        if node.machine is not None:
            now = node.local(self.now)
            self._outcome(self._router_of[node], settle_group_of(now, node.machine))

    def _outcome(self, router: Router, outcome: Outcome) -> None:
        by_machine: dict[Machine, Node] = {one.machine: one for one in router.nodes if one.machine is not None}
        for machine, action in outcome.actions:
            node = by_machine[machine]
            self._trace.append((self.now, node.name, action))
            self._carry_out(node, action)
        for machine in {machine for machine, _action in outcome.actions}:
            super()._do(by_machine[machine], ())
        for one in outcome.transitions:
            self._trace.append((self.now, router.name, "group", one.name, one.former.value, "->", one.state.value))

    def _broadcast(self, sender: Node, packet: Any, reliable: bool = False) -> None:
        """The same advert is the same object, as a Receiver has it (the machine's fast path)."""
        if isinstance(packet, Advert):
            former = self._last.get(sender.name)
            packet = former if former == packet else packet
            self._last[sender.name] = packet
        super()._broadcast(sender, packet, reliable)

    # ---- invariants

    def verdict(self, since: int) -> None:
        """What must be after a calm that began long before ``since``, in each part of each network."""
        late = [(t, node, state) for t, node, state in self.transitions if t >= since]
        if late:
            t, node, state = late[0]
            self.broken(f"{node.name} went to {state.value} at {t / SECOND:.6f} s without a cause")
        for router in self.routers:
            self._group_verdict(router)
        for number in range(len(WIRE_OF)):
            able = [router.nodes[number] for router in self.routers if router.nodes[number].up]
            while able:
                part = [one for one in able if one is able[0] or (able[0].name, one.name) not in self.cut]
                able = [one for one in able if one not in part]
                self._part_verdict(part)

    def _group_verdict(self, router: Router) -> None:
        for name, members in self._wanted(router).items():
            there = [router.nodes[one] for one in members]
            states = {one.machine.state for one in there if one.machine is not None}
            if len(states) > 1:
                self.broken(f"{router.name}: group {name} is {', '.join(sorted(one.value for one in states))}")
        for number in router.present:
            machine = router.nodes[number].machine
            fellows = router.fellows(router.nodes[number])
            healthy = not any(one.machine.faults for one in (router.nodes[number], *fellows) if one.machine is not None)
            if machine is not None and healthy and machine.state in (State.FAULT, State.INIT):
                self.broken(f"{router.nodes[number].name} is {machine.state.value} without a fault")

    def _part_verdict(self, part: list[Node]) -> None:
        """Those that hear each other: one master, and the highest that may be it."""
        masters = [one for one in part if one.machine is not None and one.machine.state is State.MASTER]
        if len(masters) > 1:
            self.broken(f"masters: {[one.name for one in masters]} of {[one.name for one in part]}")
        for node in part:
            fellows = self._router_of[node].fellows(node)
            assert node.machine is not None
            if any(one.machine is not None and one.machine.follows for one in fellows):
                continue
            if not masters:
                self.broken(f"nobody is master, and {node.name} could be")
            (master,) = masters
            assert master.machine is not None
            patient = node.instance.nopreempt or node.machine.held
            if node.machine.priority > master.machine.priority and not patient:
                self.broken(f"{node.name} has a higher priority than the master {master.name}")


# ---- stories


def story(seed: int, rounds: int = 3) -> GroupWorld:
    """Build a world from the seed and live through its rounds. Raises Broken."""
    world = GroupWorld(seed)
    choose = world.random
    interval = choose.choice((100 * MILLION, SECOND))
    world.delay_ns = choose.choice((interval // 1000, interval // 50))
    priorities = choose.sample(range(1, 255), 4)
    if choose.random() < 0.1:
        priorities[1] = priorities[0]
    agreed = choose.choice(GROUPINGS)
    for place in range(choose.randint(1, 4)):
        name, offset = "ABCD"[place], choose.randrange(1000) * SECOND
        nopreempt, ppm = choose.random() < 0.15, MILLION + choose.randint(-5000, 5000)
        nodes = [
            Node(
                f"{name}{number}",
                Instance(
                    f"VI_{number}",
                    51 + number,
                    bytes((192, 0, number, place + 1)),
                    VIPS,
                    version=3,
                    priority=priorities[place],
                    advert_int=interval,
                    nopreempt=nopreempt,
                ),
                offset,
                ppm,
                network=number,
            )
            for number in range(len(WIRE_OF))
        ]
        grouping = agreed if choose.random() < 0.7 else choose.choice(GROUPINGS)
        router = Router(name, nodes, sorted(choose.sample(range(3), choose.choice((2, 3, 3)))), grouping)
        world.add(router)
        world.at(choose.randrange(4 * interval), world.boot_host, router)
    for number in range(rounds):
        if number:
            disturb(world, interval)
        calm(world, interval)
    return world


def disturb(world: GroupWorld, interval: int) -> None:
    """What the last round left broken is mended, then up to three things go wrong; an outage of a wire may stay."""
    choose, start = world.random, world.now
    for wire in set(WIRE_OF):
        world.at(start + choose.randrange(3 * interval), world.mend_wire, wire)
    for router in world.routers:
        for wire in set(WIRE_OF):
            world.at(start + choose.randrange(3 * interval), world.link, router, wire, True)
    for _number in range(choose.randint(1, 3)):
        first = start + choose.randrange(8 * interval)
        then = first + choose.randrange(6 * interval)
        choose.choice(DISTURBANCES)(world, choose.choice(world.routers), first, then)
    world.run(start + 15 * interval)
    for router in world.routers:
        world.host_goes_on(router)
        for node in router.nodes:
            node.pauses = 0
        world.boot_host(router)


def _outage(world: GroupWorld, router: Router, first: int, then: int) -> None:
    wire = world.random.choice(WIRE_OF)
    others = [one for one in world.routers if one is not router and world.random.random() < 0.3]
    world.at(first, world.cut_wire, wire, [router, *others])
    if world.random.random() < 0.5:
        world.at(then, world.mend_wire, wire)


def _link_down(world: GroupWorld, router: Router, first: int, then: int) -> None:
    wire = world.random.choice(WIRE_OF)
    world.at(first, world.cut_wire, wire, [router])
    world.at(first, world.link, router, wire, False)
    if world.random.random() < 0.6:
        world.at(then, world.link, router, wire, True)
        world.at(then, world.mend_wire, wire)


def _reload(world: GroupWorld, router: Router, first: int, then: int) -> None:
    choose = world.random
    present = sorted(choose.sample(range(3), choose.choice((1, 2, 3, 3)))) if choose.random() < 0.6 else router.present
    world.at(first, world.reload_host, router, choose.choice(GROUPINGS), present)
    if choose.random() < 0.4:
        world.at(then, world.reload_host, router, choose.choice(GROUPINGS), sorted(choose.sample(range(3), 3)))


def _failover(world: GroupWorld, router: Router, first: int, _then: int) -> None:
    """``lvsctl failover`` of one, whose group goes with it, or of all."""
    numbers = list(range(3)) if world.random.random() < 0.5 else [world.random.randrange(3)]
    for number in numbers:
        world.at(first, world.call, router.nodes[number], "hand_over")


def _release(world: GroupWorld, router: Router, first: int, _then: int) -> None:
    for node in router.nodes:
        world.at(first, _released, node)


def _released(node: Node) -> None:
    if node.machine is not None:
        node.machine.release()


def _priority(world: GroupWorld, router: Router, first: int, _then: int) -> None:
    """A script of the group: all its members have the same priority."""
    world.at(first, world.each, router, world.call, "set_priority", world.random.randint(1, 254))


def _pause(world: GroupWorld, router: Router, first: int, then: int) -> None:
    whole_host = world.random.random() < 0.5
    for node in router.nodes:
        world.at(first, world.stand_still, node, whole_host)
    world.at(then, world.host_goes_on, router)


def _crash(world: GroupWorld, router: Router, first: int, then: int) -> None:
    for node in router.nodes:
        world.at(first, world.crash, node)
    world.at(then, world.boot_host, router)


def _kill(world: GroupWorld, router: Router, first: int, then: int) -> None:
    for node in router.nodes:
        world.at(first, world.kill, node)
    world.at(world.random.choice((first + MILLION, then)), world.boot_host, router, True)


DISTURBANCES: tuple[Callable[[GroupWorld, Router, int, int], None], ...] = (
    _outage,
    _outage,
    _link_down,
    _reload,
    _reload,
    _reload,
    _failover,
    _failover,
    _release,
    _priority,
    _pause,
    _crash,
    _kill,
)


def calm(world: GroupWorld, interval: int) -> None:
    """Nothing goes wrong for as long as the timers may take; then nothing may happen for another while."""
    # a hand-over that nobody follows, the timers of its members, and a stall's grace
    timers = 5 + 4 + 2
    if len(world.routers) > 1:
        # what others take over and lose again
        timers += 4 + 4 + 1
    world.run(world.now + timers * interval)
    since = world.now
    world.run(since + 9 * interval)
    world.verdict(since)
