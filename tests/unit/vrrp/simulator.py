# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network of VRRP routers in one process, from a seed: the same seed is the same story, to the nanosecond.

Nodes have clocks of their own (offset and drift), a socket that queues what arrives while the process is stopped, and
VIPs. The network loses, delays and duplicates, is partitioned in both or in one direction. A story has rounds: some
disturbance, then everything is healed, and after the time the protocol's timers need, ``verdict`` must be empty.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from _lvs_agent.vrrp import actions as act
from _lvs_agent.vrrp.actions import State
from _lvs_agent.vrrp.ah import Sequence as AhSequence
from _lvs_agent.vrrp.ah import first_sequence
from _lvs_agent.vrrp.errors import PacketError
from _lvs_agent.vrrp.instance import OWNER, SECOND, Instance, auth_data
from _lvs_agent.vrrp.machine import HANDOVER_LINGER_NS, Machine
from _lvs_agent.vrrp.packet import AUTH_AH, AUTH_NONE, AUTH_PASS, Advert
from _lvs_agent.vrrp.receive import Receiver
from _lvs_agent.vrrp.transmit import Transmitter

MILLION = 1_000_000
_FAR = 1 << 62
VIPS = (bytes((192, 0, 2, 100)), bytes((192, 0, 2, 101)))
GROUP = bytes((224, 0, 0, 18))


class Broken(AssertionError):
    """An invariant does not hold; the message has the seed and what happened before."""


@dataclass(eq=False)
class Node:
    """A router: its machine while its process runs, and what its kernel keeps when the process does not."""

    name: str
    instance: Instance
    offset: int
    ppm: int  # the clock's rate, in millionths
    network: int = 0  # only those on the same one may hear each other
    machine: Machine | None = None
    sequence: AhSequence = field(default_factory=AhSequence)
    receiver: Receiver | None = None
    transmitter: Transmitter | None = None
    socket: list[Any] = field(default_factory=list)
    vips: bool = False
    was_master: bool = False  # when it was killed
    arp: str = ""  # who announced the VIPs last, as heard here
    stopped: bool = False  # the process stands still, the kernel goes on
    frozen: bool = False  # the whole host does
    scheduled: int = -1
    floor: int = 0  # not before this local time may it take over
    pauses: int = 0  # in this round
    changed: int = 0  # when it became master, or went on after it had stood still, or was told another priority
    preempted: int = -1  # when it heard the winner, while it yields to it
    listened: bool = False  # until now it was to become master when it hears nothing

    def local(self, t: int) -> int:
        return self.offset + t * self.ppm // MILLION

    def true(self, local: int) -> int:
        """The first moment at which the local clock shows it."""
        return -(-(local - self.offset) * MILLION // self.ppm)

    @property
    def up(self) -> bool:
        return self.machine is not None and self.machine.state not in (State.INIT, State.FAULT)


class World:
    """The network and its time, in nanoseconds from 0."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.now = 0
        self.nodes: list[Node] = []
        self.loss = 0.0
        self.duplication = 0.0
        self.delay_ns = MILLION
        self.wire = False
        self.unheard = False  # a loser's answer may have been lost, so that the winner need not have announced
        self.was_cut = self.one_way = False
        self.changed = 0  # when a partition or loss began or ended
        self.yielded = self.announced = -1
        self.cut: set[tuple[str, str]] = set()
        self.transitions: list[tuple[int, Node, State]] = []
        self._trace: list[tuple[Any, ...]] = []
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = itertools.count()

    # ---- what a story calls

    def at(self, t: int, what: Callable[..., None], *args: Any) -> None:
        heapq.heappush(self._heap, (max(t, self.now), next(self._count), what, args))

    def run(self, until: int) -> None:
        heap = self._heap
        while heap and heap[0][0] <= until:
            self.now, _count, what, args = heapq.heappop(heap)
            what(*args)
        self.now = until

    def boot(self, node: Node, resume: bool = False) -> None:
        """Start the process."""
        if node.machine is not None:
            return
        self.note(node, "boots", "resuming" if resume else "")
        self.start(node, self.create(node), resume)

    def create(self, node: Node) -> Machine:
        """What its process has before it starts."""
        node.sequence = AhSequence(first_sequence(2_000_000_000 + self.now // SECOND))
        if self.wire:
            node.receiver = Receiver(node.instance, node.sequence)
            node.transmitter = Transmitter(node.instance, node.sequence)
        node.machine = Machine(node.instance)
        node.socket.clear()
        node.floor, node.preempted, node.listened = 0, -1, False
        return node.machine

    def start(self, node: Node, machine: Machine, resume: bool = False) -> None:
        """INIT is over."""
        self._do(node, machine.start(node.local(self.now), resume=resume and node.was_master))

    def kill(self, node: Node) -> None:
        """SIGKILL: the VIPs stay, and it is known whether it was master (vrrp.last_adverts)."""
        self.note(node, "is killed")
        node.was_master = node.machine is not None and node.machine.state is State.MASTER
        node.machine = None

    def crash(self, node: Node) -> None:
        """The host is gone, and all it knew."""
        self.note(node, "crashes")
        node.machine, node.vips, node.was_master = None, False, False

    def call(self, node: Node, event: str, *args: Any, **options: Any) -> None:
        """An event of the machine, at its local time."""
        machine = node.machine
        if machine is None or node.stopped or node.frozen:
            return
        self.note(node, event, *args)
        node.changed = self.now
        before = machine.priority
        if event == "set_priority":
            interval = machine.master_interval
            node.floor += skew(node.instance, args[0], interval) - skew(node.instance, before, interval)
        if event == "set_faults":
            node.floor = 0
        if event == "reload":
            node.instance, node.floor = args[0], 0
            if self.wire:
                node.receiver = Receiver(node.instance, node.sequence)
                node.transmitter = Transmitter(node.instance, node.sequence)
        self._do(node, getattr(machine, event)(node.local(self.now), *args, **options))

    def stand_still(self, node: Node, whole_host: bool) -> None:
        self.note(node, "stands still,", "host" if whole_host else "process")
        node.changed = self.now
        node.pauses += 1
        node.stopped, node.frozen = True, whole_host

    def go_on(self, node: Node) -> None:
        if node.stopped:
            self.note(node, "goes on")
        if node.stopped:
            node.changed = self.now
        node.stopped = node.frozen = False
        self._wake(node)

    def lose(self, share: float) -> None:
        self._trace.append((self.now, "", "loss", share))
        self.loss, self.unheard, self.changed = share, True, self.now

    def heal(self) -> None:
        self.changed = self.now
        self._trace.append((self.now, "", "network healed"))
        self.loss = 0.0
        self.cut.clear()
        self.one_way = False

    def partition(self, ones: list[Node], both_ways: bool) -> None:
        self._trace.append((self.now, "", "cut off:", *(node.name for node in ones), both_ways))
        self.was_cut, self.changed = True, self.now
        self.one_way = self.one_way or not both_ways
        for node, other in itertools.product(ones, self.nodes):
            if other not in ones:
                self.cut.add((node.name, other.name))
                if both_ways:
                    self.cut.add((other.name, node.name))

    def note(self, node: Node, *what: Any) -> None:
        self._trace.append((self.now, node.name, *what))

    # ---- the machinery

    def _wake(self, node: Node) -> None:
        """One turn of a node's loop: the clock, the socket until it is empty, then the timer."""
        machine = node.machine
        if machine is None or node.stopped:
            return
        self._read(node, machine)
        now = node.local(self.now)
        if now >= machine.wake_ns:
            self._do(node, machine.timer(now, now))
        self._schedule(node)

    def _read(self, node: Node, machine: Machine) -> None:
        """Everything that waits in its socket."""
        now = node.local(self.now)
        while node.socket:
            arrived, node.socket = node.socket, []
            for packet in arrived:
                self._hear(node, machine, packet, now)

    def _check_take_over(self, node: Node, machine: Machine, now: int) -> None:
        """Never before the protocol's time; and not from a master that has been there and heard all the time."""
        if now < node.floor:
            self.broken(f"{node.name} took over {node.floor - now} ns early")
        if self.one_way or node.pauses > 1:
            # who resigns but cannot hear its successor resigns again, and the RFCs do not ask who it is that does;
            # one that sleeps again and again may miss each advert and yet be awake for each look at the clock
            return
        patient = node.instance.nopreempt or machine.held
        for other in self.nodes:
            there = other.machine is not None and other.machine.state is State.MASTER and not other.stopped
            hears = other.network == node.network and not self.loss and (other.name, node.name) not in self.cut
            if other is node or not there or not hears:
                continue
            assert other.machine is not None
            if other.instance.advert_int != node.instance.advert_int:
                # version 3: who has not heard the master since its start, or a pause, cannot know its interval
                continue
            quiet = self.now - max(self.changed, other.changed)
            enough = 2 * node.instance.advert_int + self.delay_ns
            if quiet > enough and (patient or other.machine.priority >= machine.priority):
                self.broken(f"{node.name} took over from {other.name}, which was there")

    def _hear(self, node: Node, machine: Machine, packet: Any, now: int) -> None:
        if isinstance(packet, str):
            node.arp = packet
            return
        advert = packet
        if self.wire:
            assert node.receiver is not None
            try:
                advert = node.receiver.ipv4(packet)
            except PacketError as error:
                self.note(node, "drops", error)
                self._do(node, machine.rejected(now, error))
                return
        listens, was_master = _listens(machine), machine.state is State.MASTER
        if listens and not advert.priority:
            node.floor = now + skew(node.instance, machine.priority, machine.master_interval)
        actions = machine.advert(now, advert)
        if advert.priority and _listens(machine):
            interval = advert.interval_cs * 10 * MILLION
            floor = now + 3 * interval + skew(node.instance, machine.priority, interval)
            # one below may be followed, with its interval, or not
            below = listens and advert.priority < machine.priority
            node.floor = min(node.floor, floor) if below else floor
        if was_master and machine.yielding:
            node.preempted = self.now
        self._do(node, actions)

    def _schedule(self, node: Node) -> None:
        machine = node.machine
        if machine is None or machine.wake_ns >= _FAR:
            return
        t = node.true(machine.wake_ns)
        if node.scheduled <= self.now or t < node.scheduled:
            node.scheduled = max(t, self.now)
            heapq.heappush(self._heap, (node.scheduled, next(self._count), self._alarm_clock, (node, node.scheduled)))

    def _alarm_clock(self, node: Node, t: int) -> None:
        if node.scheduled == t:
            node.scheduled = -1
        self._wake(node)

    def _do(self, node: Node, actions: Any) -> None:
        for action in actions:
            self._trace.append((self.now, node.name, action))
            self._carry_out(node, action)
        machine = node.machine
        if machine is not None:
            node.listened = _listens(machine)
            if node.vips != (machine.state in (State.MASTER, State.HANDOVER)):
                self.broken(f"{node.name} is {machine.state.value}, has VIPs: {node.vips}")
            self._check_timer(node, machine)
            if not machine.yielding:
                node.preempted = -1
            self._schedule(node)

    def _carry_out(self, node: Node, action: act.Action) -> None:
        if isinstance(action, (act.SendAdvert, act.Announce)) and node.machine is not None and node.machine.yielding:
            self.broken(f"{node.name} speaks while it yields")
        if isinstance(action, act.RemoveVips) and node.preempted >= 0:
            self._check_letting_go(node)
        if isinstance(action, act.SendAdvert):
            self._send(node, action.priority)
        elif isinstance(action, (act.AddVips, act.RemoveVips)):
            node.vips = isinstance(action, act.AddVips)
        elif isinstance(action, act.Announce):
            if not node.vips:
                self.broken(f"{node.name} announces VIPs it does not have")
            self.announced = self.now
            node.arp = node.name
            self._broadcast(node, node.name, reliable=True)
        elif isinstance(action, act.Transition):
            self.transitions.append((self.now, node, action.state))
            self._check_transition(node, action)
        elif isinstance(action, act.ReadFirst):
            self.broken(f"{node.name} was woken in the wrong order")

    def _check_transition(self, node: Node, action: act.Transition) -> None:
        if action.state is State.MASTER and node.listened and node.machine is not None:
            self._check_take_over(node, node.machine, node.local(self.now))
        node.changed = self.now
        if action.state is State.BACKUP and " above " in action.cause and not self.cut:
            self.yielded = self.now

    def _check_timer(self, node: Node, machine: Machine) -> None:
        """Whoever is backup, master or in a hand-over looks up within two intervals; in INIT and FAULT nobody does."""
        if machine.state in (State.INIT, State.FAULT):
            return
        soon = max(2 * max(machine.instance.advert_int, machine.master_interval), HANDOVER_LINGER_NS)
        if machine.wake_ns > node.local(self.now) + soon:
            self.broken(f"{node.name} is {machine.state.value} without a timer")

    def _check_letting_go(self, node: Node) -> None:
        """Not before the winner's announcement is heard, nor long after."""
        assert node.machine is not None
        took = node.local(self.now) - node.local(node.preempted)
        # a tick of the clock more
        if node.changed == node.preempted and took > HANDOVER_LINGER_NS + 1:
            self.broken(f"{node.name} let go {took} ns after it had heard the winner")
        quiet = not self.unheard and not self.was_cut and self.delay_ns * 2 < HANDOVER_LINGER_NS
        if quiet and node.arp == node.name and node.machine.state is State.BACKUP:
            self.broken(f"{node.name} let go before the winner had announced")

    def _send(self, node: Node, priority: int) -> None:
        instance = node.instance
        if self.wire:
            assert node.transmitter is not None
            ((_destination, packet),) = node.transmitter.packets(priority)
            self._broadcast(node, bytes(packet))
            return
        interval_cs = instance.advert_int // (10 * MILLION)
        advert = Advert(
            instance.version, instance.vrid, priority, interval_cs, instance.addresses, instance.source, GROUP
        )
        self._broadcast(node, advert)

    def _broadcast(self, sender: Node, packet: Any, reliable: bool = False) -> None:
        chance = self.random.random
        for node in self.nodes:
            if node is sender or node.network != sender.network or (sender.name, node.name) in self.cut:
                continue
            if not reliable and self.loss and chance() < self.loss:
                continue
            copies = 2 if self.duplication and chance() < self.duplication else 1
            for _copy in range(copies):
                t = self.now + int(chance() * self.delay_ns)
                heapq.heappush(self._heap, (t, next(self._count), self._arrive, (node, packet)))

    def _arrive(self, node: Node, packet: Any) -> None:
        if node.frozen or node.machine is None:
            if isinstance(packet, str):
                node.arp = packet
            self.unheard = True
            return
        node.socket.append(packet)
        if not node.stopped:
            self._wake(node)

    # ---- invariants

    def verdict(self, since: int) -> None:
        """Raise Broken unless the network is as the protocol promises after a calm that began long before ``since``."""
        late = [(t, node, state) for t, node, state in self.transitions if t >= since]
        if late:
            t, node, state = late[0]
            self.broken(f"{node.name} went to {state.value} at {t / SECOND:.6f} s without a cause")
        able = [node for node in self.nodes if node.up]
        masters = [node for node in able if node.machine is not None and node.machine.state is State.MASTER]
        if len(masters) != min(1, len(able)):
            self.broken(f"masters: {[node.name for node in masters]} of {[node.name for node in able]}")
        if not masters:
            return
        (master,) = masters
        assert master.machine is not None
        for node in able:
            assert node.machine is not None
            patient = node.instance.nopreempt or node.machine.held
            if node.machine.priority > master.machine.priority and not patient:
                self.broken(f"{node.name} has a higher priority than the master {master.name}")
            if node.arp != master.name and not self.unheard and not self.was_cut:
                self.broken(f"{node.name} heard {node.arp or 'nobody'} announce last, {master.name} is master")
        # in a split both announced, so that the winner must once more; where nobody had to yield it cannot know
        if self.yielded > self.announced and not self.unheard:
            self.broken(f"{master.name} did not announce after another master had yielded")

    def broken(self, what: str) -> None:
        raise Broken(f"seed {self.seed}: {what}\n{self.trace()}")

    def trace(self, last: int = 300) -> str:
        """What happened, one line each: the time in seconds, the node, the event or action."""
        lines = [f"  nodes: {self._portrait(node)}" for node in self.nodes]
        for t, name, *what in self._trace[-last:]:
            lines.append(f"  {t / SECOND:12.6f}  {name:4} {' '.join(map(str, what))}")
        return "\n".join(lines)

    @staticmethod
    def _portrait(node: Node) -> str:
        i = node.instance
        return (
            f"{node.name} v{i.version} priority {i.priority} advert_int {i.advert_int / SECOND:g}"
            f"{' nopreempt' if i.nopreempt else ''} preempt_delay {i.preempt_delay / SECOND:g} "
            f"source {'.'.join(map(str, i.source))} ppm {node.ppm - MILLION}"
        )


def _listens(machine: Machine) -> bool:
    """Whether it is to become master when it hears nothing."""
    return machine.state is State.BACKUP or machine.yielding


def skew(instance: Instance, priority: int, interval: int | None = None) -> int:
    """RFC 3768 and 9568 section 6.1, written again for the invariant; rounded down."""
    whole = SECOND if instance.version == 2 else (interval or instance.advert_int)
    return whole * (256 - priority) // 256


# ---- stories


def story(seed: int, rounds: int = 2) -> World:
    """Build a world from the seed and live through its rounds. Raises Broken."""
    world = World(seed)
    choose = world.random
    version = choose.choice((2, 3))
    interval = SECOND if version == 2 else choose.choice((10 * MILLION, 100 * MILLION, SECOND))
    auth = choose.choice((AUTH_NONE, AUTH_PASS, AUTH_AH)) if version == 2 else AUTH_NONE
    world.wire = choose.random() < 0.1
    world.delay_ns = choose.choice((interval // 1000, interval // 50, interval // 10))
    world.duplication = choose.choice((0.0, 0.0, 0.2))
    priorities = choose.sample(range(1, 255), 5)
    if choose.random() < 0.2:
        priorities[1] = priorities[0]
    if choose.random() < 0.05:
        priorities[0] = OWNER
    delays = (0, 0, 0, 2 * interval, 5 * interval)
    for number in range(choose.randint(2, 5)):
        instance = Instance(
            f"VI_{number}",
            51,
            bytes((192, 0, 2, number + 1)),
            VIPS,
            version=version,
            priority=priorities[number],
            advert_int=interval,
            auth_type=auth,
            auth_data=auth_data("secret"),
            nopreempt=priorities[number] != OWNER and choose.random() < 0.15,
            preempt_delay=choose.choice(delays) if priorities[number] != OWNER else 0,
            startup_delay=choose.choice((0, 0, 2 * interval)),
            garp_master_delay=5 * interval,
            garp_lower_prio_delay=5 * interval,
        )
        offset = choose.randrange(1000) * SECOND
        node = Node("ABCDE"[number], instance, offset, MILLION + choose.randint(-5000, 5000))
        world.nodes.append(node)
        world.at(choose.randrange(4 * interval), world.boot, node)
    for number in range(rounds):
        if number:
            disturb(world, interval)
        calm(world, interval)
    return world


def disturb(world: World, interval: int) -> None:
    """Up to three things go wrong within ten intervals, and end within them, or with the healing that follows."""
    choose, start = world.random, world.now
    end = start + 10 * interval
    for _number in range(choose.randint(1, 3)):
        node = choose.choice(world.nodes)
        first = start + choose.randrange(5 * interval)
        then = first + choose.randrange(5 * interval)
        choose.choice(DISTURBANCES)(world, node, first, then)
    world.run(end)
    world.heal()
    for node in world.nodes:
        world.go_on(node)
        node.pauses = 0
        world.call(node, "set_faults", frozenset())
        world.boot(node)


def _lossy(world: World, _node: Node, first: int, _then: int) -> None:
    world.at(first, world.lose, world.random.uniform(0.1, 0.9))


def _partition(world: World, node: Node, first: int, then: int) -> None:
    others = [other for other in world.nodes if other is not node and world.random.random() < 0.4]
    both_ways = world.random.random() < 0.7
    world.unheard = world.unheard or not both_ways
    world.at(first, world.partition, [node, *others], both_ways)
    if world.random.random() < 0.5:
        world.at(then, world.heal)


def _process_pause(world: World, node: Node, first: int, then: int) -> None:
    world.at(first, world.stand_still, node, False)
    world.at(then, world.go_on, node)


def _host_pause(world: World, node: Node, first: int, then: int) -> None:
    world.at(first, world.stand_still, node, True)
    world.at(then, world.go_on, node)


def _crash(world: World, node: Node, first: int, then: int) -> None:
    world.at(first, world.crash, node)
    world.at(then, world.boot, node)


def _kill(world: World, node: Node, first: int, then: int) -> None:
    world.at(first, world.kill, node)
    world.at(world.random.choice((first + MILLION, then)), world.boot, node, True)


def _stop(world: World, node: Node, first: int, then: int) -> None:
    world.at(first, world.call, node, "shutdown")
    world.at(then + 5 * node.instance.advert_int, world.call, node, "start")


def _priority(world: World, node: Node, first: int, _then: int) -> None:
    if not node.instance.owner:
        world.at(first, world.call, node, "set_priority", world.random.randint(1, 254))


def _fault(world: World, node: Node, first: int, then: int) -> None:
    world.at(first, world.call, node, "set_faults", frozenset({"interface eth0 is down"}))
    world.at(then, world.call, node, "set_faults", frozenset())


def _hand_over(world: World, node: Node, first: int, _then: int) -> None:
    world.at(first, world.call, node, "hand_over")


def _reload(world: World, node: Node, first: int, _then: int) -> None:
    """A changed address list; in version 3 sometimes twice the interval, which a backup adopts."""
    factor = world.random.choice((1, 2)) if node.instance.version == 3 else 1
    changed = replace(node.instance, addresses=VIPS[:1], advert_int=node.instance.advert_int * factor)
    priority = node.machine.priority if node.machine else node.instance.priority
    world.at(first, world.call, node, "reload", changed, priority)


DISTURBANCES: tuple[Callable[[World, Node, int, int], None], ...] = (
    _lossy,
    _partition,
    _partition,
    _process_pause,
    _host_pause,
    _crash,
    _kill,
    _stop,
    _priority,
    _fault,
    _hand_over,
    _reload,
)


def calm(world: World, _interval: int) -> None:
    """Nothing goes wrong for as long as the timers may take; then nothing may happen for another while."""
    interval = max(node.instance.advert_int for node in world.nodes)
    delay = max(node.instance.preempt_delay + node.instance.startup_delay for node in world.nodes)
    # the end of a hand-over, a stop's start, one that takes over and one that preempts it, and a stall's grace
    world.run(world.now + 5 * interval)
    for node in world.nodes:
        world.call(node, "start")
    world.run(world.now + (5 + 4 + 4 + 2) * interval + delay)
    since = world.now
    world.run(since + 9 * interval)
    world.verdict(since)
