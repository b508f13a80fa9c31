# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VRRP process's one loop: sockets and timers in, the machines' actions out.

The order of a turn is the one :mod:`.machine` asks for: the clock, every socket until it is empty, then the timers.
Packets are :mod:`.reception`'s, what the machines answer :mod:`.effects`' and :mod:`.possession`'s, the kernel's
events :mod:`.surroundings`', the supervisor :mod:`.orders`'.
What takes longer (a new configuration, gratuitous ARPs) is done in small portions between, so that no advert is late.
Nothing in here waits but ``_wait``, and nothing that a packet or the kernel says ends it.
"""

from __future__ import annotations

import gc
import heapq
import logging
import select
import selectors
import time
from collections import deque
from collections.abc import Callable, Collection
from typing import Any

from .. import heap
from ..kernel.ethernet import Wire
from . import messages
from .actions import State
from .alarms import NEVER
from .announcer import Announcer
from .effects import Effects
from .host import Host
from .instance import SECOND
from .last_adverts import LastAdverts
from .orders import Orders
from .plan import Identity
from .ports import Listening, Ports
from .possession import Possession
from .probes import Probes
from .reception import Reception
from .runner import Runner
from .settings import Former, Settings
from .statics import Statics
from .surroundings import Surroundings
from .sync import Groups
from .transport import Port

# The time of the last heartbeat is all a successor knows of when a killed process was master.
_HEARTBEAT_NS = SECOND // 4
_UPKEEP_NS = SECOND
# How old a signed advert may be that is taken for a new one after a crash; each time writes a file.
_SEQUENCES_NS = 10 * SECOND
_LONGEST_WAIT_NS = SECOND
# A timer this late is a stall that an operator hears of: the fast profile's backup has 0.1 s of patience.
_STALL_NS = 50_000_000
# parts of a new configuration in one turn
_STEPS = 4
# packets between two looks at the adverts that are due: 1 to 2 ms, whatever is in them
_PACKETS = 32


class Loop:
    """Everything that happens in the VRRP process. ``finished`` ends ``run``.

    ``clock`` is CLOCK_MONOTONIC in nanoseconds; ``open_port`` and ``open_wire`` are for tests.
    """

    def __init__(
        self,
        channel: messages.VrrpChannel,
        host: Host,
        *,
        clock: Callable[[], int] = time.monotonic_ns,
        open_port: Callable[[str, int, int, int], Port] = Port,
        open_wire: Callable[[str], Wire] = Wire,
        scheduled: Callable[[Any], list[str]] = lambda plan: [],
        adverts: LastAdverts | None = None,
    ) -> None:
        self.channel = channel
        self.host = host
        self.clock = clock
        self.apply_scheduling = scheduled
        self.adverts = adverts or LastAdverts()
        self.selector = selectors.EpollSelector()
        self.ports = Ports(self._port_opened, self._port_closed, open_port)
        self.announcer = Announcer(open_wire)
        self.probes = Probes(self._wire_opened, self._wire_closed)
        self.runners: list[Runner] = []
        self.groups = Groups()
        self.results: dict[Any, messages.TrackResult] = {}
        self.counters = {"unknown_vrid": 0, "malformed": 0, "stalls": 0}
        self.finished = False
        self.work: deque[Callable[[int], None]] = deque()
        self._heap: list[tuple[int, int, Runner]] = []
        self._entries = 0
        self.stopping = False
        self._writing = False
        self._heartbeat = 0
        self._upkeep = 0
        self._sequences = 0
        self._stall_told = -SECOND
        self.reception = Reception(self)
        self.possession = Possession(self)
        self.statics = Statics(self)
        self.effects = Effects(self)
        self.surroundings = Surroundings(self)
        self.orders = Orders(self)
        host.settings = Settings(self._borrowed)
        self.selector.register(channel, selectors.EVENT_READ, self.orders.read)
        self.selector.register(host, selectors.EVENT_READ, self.surroundings.read)
        self._epoll = self.selector.fileno()

    # ---- turns

    def run(self) -> None:
        """Until told to end, or the supervisor is gone."""
        while not self.finished:
            self._wait()
            self.turn()

    def turn(self) -> None:
        """Everything that is due now."""
        polled = self.clock()
        packets: list[tuple[Listening, Any]] = []
        others: list[Callable[[int], None]] = []
        for key, _events in self.selector.select(0):
            if isinstance(key.data, Listening):
                self.reception.read(key.data, packets, polled)
            else:
                others.append(key.data)
        # only now: what is told earlier than it arrived would make a timer run out early
        now = self.clock()
        for number, (listening, packet) in enumerate(packets, 1):
            self.reception.packet(listening, packet, now)
            if not number % _PACKETS:
                now = self.clock()
                self._adverts_are_due(now)
        self._timers(now, polled)
        for read in others:
            read(self.clock())
        self._portion(self.clock())

    def _portion(self, now: int) -> None:
        """What can wait for the next turn if it must."""
        if self.announcer.due <= now:
            self.announcer.turn(now)
        if self.probes.due <= now:
            self.probes.turn(now)
        if self.surroundings.debounce.due <= now:
            self.surroundings.turn(now)
        for _step in range(min(_STEPS, len(self.work))):
            self.work.popleft()(self.clock())
        if now >= self._heartbeat:
            self._heartbeat = now + _HEARTBEAT_NS
            self.tell(messages.Heartbeat(now, self.channel.dropped))
        if now >= self._upkeep:
            self._upkeep = now + _UPKEEP_NS
            self.possession.try_again(now)
            self.statics.keep(now)
            if now >= self._sequences:
                self._sequences = now + _SEQUENCES_NS
                self.tell_sequences()
            # what came into being within a second: next to nothing
            gc.collect()
        if self.stopping and not self.work and all(one.machine.state is State.INIT for one in self.runners):
            self.statics.stop(now)
            self.possession.restore(now)
            self.tell_sequences()
            self.finished = True

    def _wait(self) -> None:
        """Until something is due or has come. select(2) on the epoll: epoll's own time-out counts in milliseconds."""
        if self.work:
            return
        due = self._heap[0][0] if self._heap else NEVER
        due = min(due, self.announcer.due, self.probes.due, self.surroundings.debounce.due, self._heartbeat)
        left = min(due - self.clock(), _LONGEST_WAIT_NS)
        if left > 0:
            select.select([self._epoll], [], [], left / SECOND)

    def _timers(self, now: int, polled: int) -> None:
        """What is due; what has become due since the sockets were looked at waits until they were looked at again."""
        heap = self._heap
        while heap and heap[0][0] <= polled:
            due, _entry, runner = heapq.heappop(heap)
            if due != runner.scheduled:
                continue
            runner.scheduled = NEVER
            if runner.gone:
                continue
            if runner.repair_at <= polled:
                runner.repair_at = NEVER
                self.possession.repair(runner, now)
            machine = runner.machine
            if machine.wake_ns <= polled:
                self._look_for_stall(now - machine.wake_ns, now)
                self.effects.perform(runner, machine.timer(now, polled), now, settle=True)
            else:
                self.schedule(runner)

    def _adverts_are_due(self, now: int) -> None:
        """Between the packets of a flood: a master's timer says nothing about what waits in the sockets."""
        others: list[Runner] = []
        while self._heap and self._heap[0][0] <= now:
            due, _entry, runner = heapq.heappop(self._heap)
            if due != runner.scheduled or runner.gone:
                continue
            runner.scheduled = NEVER
            machine = runner.machine
            if machine.state is State.MASTER and machine.wake_ns <= now:
                self._look_for_stall(now - machine.wake_ns, now)
                self.effects.perform(runner, machine.timer(now, now), now, settle=True)
            else:
                others.append(runner)
        for runner in others:
            self.schedule(runner)

    def _look_for_stall(self, late: int, now: int) -> None:
        if late < _STALL_NS:
            return
        self.counters["stalls"] += 1
        if now - self._stall_told >= SECOND:
            self._stall_told = now
            self.tell(messages.LoopStall(late, now))

    def schedule(self, runner: Runner) -> None:
        """See that the runner is looked at when its machine wants it."""
        due = min(runner.machine.wake_ns, runner.repair_at)
        if due < runner.scheduled:
            runner.scheduled = due
            self._entries += 1
            heapq.heappush(self._heap, (due, self._entries, runner))

    # ---- the supervisor

    def remember(self, identities: Collection[Identity], now: int) -> None:
        """From now on note when these send adverts as masters."""
        problem = self.adverts.problem
        try:
            self.adverts.configure(identities)
        except OSError as error:
            problem = f"when new instances send adverts cannot be noted: {error.strerror}; a crash costs a fail-over"
        if problem:
            self.remark(logging.WARNING, "", problem, now)

    def configured(self) -> None:
        """A new plan is at work: what stays is no longer looked at by the garbage collector."""
        heap.trim()
        gc.freeze()

    def tell(self, message: messages.FromVrrp) -> None:
        """Say it to the supervisor; never waits."""
        self.channel.send(message)
        if not self._writing and not self.channel.flush():
            self._writing = True
            self.selector.modify(self.channel, selectors.EVENT_READ | selectors.EVENT_WRITE, self.orders.read)

    def tell_sequences(self) -> None:
        """Say which numbers of signed adverts were heard since the last time."""
        for runner in self.runners:
            if runner.sequence.news:
                self.tell(messages.SequencesHeard(runner.plan.identity, runner.sequence.heard()))

    def _borrowed(self, former: Former) -> None:
        self.tell(messages.Borrowed(tuple(former.items())))

    def flush(self) -> None:
        """Send what could not be sent at once."""
        if self._writing and self.channel.flush():
            self._writing = False
            self.selector.modify(self.channel, selectors.EVENT_READ, self.orders.read)

    def remark(self, level: int, name: str, what: str, now: int) -> None:
        """A line for the log."""
        self.tell(messages.Remark(level, name, what, now))

    def failing(self, runner: Runner, doing: str, what: str, now: int) -> None:
        """Tell of a failure once, until it is another one, or has gone."""
        if runner.failing.get(doing) != what:
            runner.failing[doing] = what
            self.remark(logging.WARNING, runner.name, what, now)

    # ---- selecting

    def _port_opened(self, listening: Listening) -> None:
        self.selector.register(listening.port, selectors.EVENT_READ, listening)

    def _port_closed(self, listening: Listening) -> None:
        self.selector.unregister(listening.port)

    def _wire_opened(self, wire: Wire) -> None:
        self.selector.register(wire, selectors.EVENT_READ, lambda now: self._read_wire(wire, now))

    def _wire_closed(self, wire: Wire) -> None:
        self.selector.unregister(wire)

    def _read_wire(self, wire: Wire, now: int) -> None:
        own = {link.mac for link in self.host.links.values()}
        for owner, holder in self.probes.heard(wire, own):
            if isinstance(owner, Runner):
                self.effects.perform(owner, owner.machine.vip_answered(now, holder), now)
