# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop with a clock, a kernel and sockets of its own: what is done when, and that nothing ends it."""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from _lvs_agent.kernel.ethernet import NotEthernet
from _lvs_agent.kernel.netlink import NetlinkError
from _lvs_agent.kernel.route import Event, Overrun
from _lvs_agent.kernel.route_messages import (
    IFF_RUNNING,
    IFF_UP,
    RTM_DELADDR,
    RTM_NEWADDR,
    RTM_NEWLINK,
    AddressInfo,
    LinkInfo,
)
from _lvs_agent.vrrp import ah, messages
from _lvs_agent.vrrp.actions import State
from _lvs_agent.vrrp.errors import Reason
from _lvs_agent.vrrp.host import Host
from _lvs_agent.vrrp.instance import SECOND, Instance, Peer
from _lvs_agent.vrrp.loop import Loop
from _lvs_agent.vrrp.machine import HANDOVER_LINGER_NS
from _lvs_agent.vrrp.packet import AUTH_AH
from _lvs_agent.vrrp.plan import GroupPlan, Holding, InstancePlan, Plan, Track, TrackKind
from _lvs_agent.vrrp.transmit import Transmitter

OURS, THEIRS, VIP = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2)), bytes((10, 0, 0, 100))
UP = LinkInfo(2, "eth0", IFF_UP | IFF_RUNNING, bytes((2, 0, 0, 0, 0, 1)), 1500, True)
OWN = AddressInfo(2, OURS, 24)
# version 3, one advert in 1 s, priority 128: 3.5 s
DOWN_NS = 3 * SECOND + SECOND // 2


class Readable:
    """Something with a descriptor that a selector takes; readable after ``ring``."""

    def __init__(self) -> None:
        self._ends = socket.socketpair()

    def fileno(self) -> int:
        return self._ends[0].fileno()

    def ring(self) -> None:
        self._ends[1].send(b"x")

    def hushed(self) -> None:
        with suppress(BlockingIOError):
            while True:
                self._ends[0].recv(64, socket.MSG_DONTWAIT)

    def close(self) -> None:
        for end in self._ends:
            end.close()


class Kernel(Readable):
    """RouteSocket and RouteEvents in one: what it holds, and what it refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[Any, AddressInfo] = {OWN.key: OWN}
        self.link = UP
        self.queue: deque[list[Event] | Exception] = deque()
        self.refusal: NetlinkError | None = None

    def links(self) -> list[LinkInfo]:
        return [self.link]

    def addresses(self) -> list[AddressInfo]:
        return list(self.held.values())

    def add_address(self, address: AddressInfo) -> bool:
        if self.refusal is not None:
            raise self.refusal
        there = address.key in self.held
        self.held[address.key] = address
        return not there

    def delete_address(self, address: AddressInfo) -> bool:
        return self.held.pop(address.key, None) is not None

    def delete_addresses(self, addresses: list[AddressInfo]) -> list[tuple[AddressInfo, str]]:
        for address in addresses:
            del self.held[address.key]
        return []

    def tell(self, *events: Event | Exception) -> None:
        for event in events:
            self.queue.append([event] if isinstance(event, Event) else event)
        self.ring()

    def receive(self) -> list[Event] | None:
        if not self.queue:
            self.hushed()
            return None
        found = self.queue.popleft()
        if isinstance(found, Exception):
            raise found
        return found


class FakePort(Readable):
    most = 100

    def __init__(self, interface: str, ifindex: int, family: int, protocol: int) -> None:
        super().__init__()
        self.interface, self.ifindex, self.family, self.protocol = interface, ifindex, family, protocol
        self.inbox: deque[bytes] = deque()
        self.sent: list[bytes] = []
        self.error: OSError | None = None
        self.errors: dict[bytes, OSError] = {}
        self.sent_to: list[bytes] = []

    def join(self, group: bytes, base: int = 0) -> None:
        pass

    def deliver(self, packet: bytes) -> None:
        self.inbox.append(packet)
        self.ring()

    def receive_ipv4(self) -> bytes | None:
        if not self.inbox:
            self.hushed()
            return None
        return self.inbox.popleft()

    def send(self, packet: bytearray, source: bytes, destination: bytes, hop_limit: int) -> None:
        if self.error is not None:
            raise self.error
        if destination in self.errors:
            raise self.errors[destination]
        self.sent.append(bytes(packet))
        self.sent_to.append(destination)


class Supervisor(Readable):
    """The channel's other end."""

    dropped = 0

    def __init__(self) -> None:
        super().__init__()
        self.inbox: list[Any] = []
        self.heard: list[Any] = []
        self.gone = False

    def send(self, message: Any) -> None:
        self.heard.append(message)

    def flush(self) -> bool:
        return True

    def tell(self, message: Any) -> None:
        self.inbox.append(message)
        self.ring()

    def receive(self) -> list[Any]:
        self.hushed()
        if self.gone:
            raise messages.ChannelClosed
        found, self.inbox = self.inbox, []
        return found

    def transitions(self) -> list[State]:
        return [one.state for one in self.heard if isinstance(one, messages.Transitioned)]

    def states_of(self, name: str) -> list[State]:
        return [one.state for one in self.heard if isinstance(one, messages.Transitioned) and one.name == name]

    def remarks(self) -> list[str]:
        return [one.text for one in self.heard if isinstance(one, messages.Remark)]


class World:
    """A loop, and everything around it."""

    def __init__(self) -> None:
        self.now = 1000 * SECOND
        self.kernel, self.supervisor = Kernel(), Supervisor()
        self.ports: list[FakePort] = []
        self.step = 0  # by which the clock goes on at each look
        host = Host(self.kernel, self.kernel)  # type: ignore[arg-type]
        self.loop = Loop(
            self.supervisor,
            host,
            clock=self.clock,
            open_port=self.open_port,  # type: ignore[arg-type]
            open_wire=self.open_wire,
        )

    def clock(self) -> int:
        self.now += self.step
        return self.now

    def open_port(self, *where: Any) -> FakePort:
        self.ports.append(FakePort(*where))
        return self.ports[-1]

    def open_wire(self, interface: str) -> Any:
        raise NotEthernet(errno.EAFNOSUPPORT, interface, "there is no wire here")

    def configure(self, *plans: InstancePlan, resume: tuple[messages.Resume, ...] = ()) -> None:
        self.supervisor.tell(messages.Configure(Plan(plans), resume))
        self.turns()

    def turns(self, count: int = 4) -> None:
        for _turn in range(count):
            self.loop.turn()

    def at(self, end: int) -> None:
        """Let the time go on; whoever looks at the clock too seldom has a stall."""
        while self.now < end:
            self.now = min(end, self.now + SECOND // 20)
            self.turns()

    def vips(self) -> set[bytes]:
        return {address.address for address in self.kernel.held.values()} - {OURS}

    def close(self) -> None:
        self.loop.selector.close()
        for one in (self.kernel, self.supervisor, *self.ports):
            one.close()


@pytest.fixture
def world() -> Iterator[World]:
    found = World()
    yield found
    found.close()


def plan(name: str = "V", vrid: int = 51, vip: bytes = VIP, **words: Any) -> InstancePlan:
    instance = Instance(name, vrid, b"", (vip,), **{"version": 3, "priority": 128, **words})
    return InstancePlan(instance, 4, "eth0", (Holding("eth0", vip, 24),))


def packet(priority: int, vrid: int = 51, **words: Any) -> bytes:
    instance = replace(plan(vrid=vrid, **words).instance, source=THEIRS)
    return bytes(Transmitter(instance, ah.Sequence()).packets(priority)[0][1])


def test_it_becomes_master_when_nobody_is_heard_and_never_early(world: World) -> None:
    start = world.now
    world.configure(plan())
    world.at(start + DOWN_NS - 1)
    assert world.supervisor.transitions() == [State.BACKUP]
    assert not world.ports[0].sent
    world.at(start + DOWN_NS)
    assert world.supervisor.transitions() == [State.BACKUP, State.MASTER]
    assert len(world.ports[0].sent) == 1
    assert world.vips() == {VIP}


def test_what_waits_in_the_socket_is_read_before_the_timers(world: World) -> None:
    start = world.now
    world.configure(plan())
    world.at(start + DOWN_NS - 1)
    world.ports[0].deliver(packet(200))
    world.at(start + DOWN_NS)
    assert world.supervisor.transitions() == [State.BACKUP]
    # heard when it was read, not when the turn began
    world.at(start + 2 * DOWN_NS - 1)
    assert world.supervisor.transitions() == [State.BACKUP]


def test_an_advert_is_heard_when_it_was_read(world: World) -> None:
    """The clock goes on in a turn: what was read is no earlier than the look at the clock after it."""
    world.configure(plan())
    world.step = SECOND // 100
    world.ports[0].deliver(packet(200))
    before = world.now
    world.loop.turn()
    machine = world.loop.runners[0].machine
    assert machine.wake_ns >= before + 2 * world.step + SECOND * 3 // 2


def test_strangers_and_garbage_are_counted_and_end_nothing(world: World) -> None:
    world.configure(plan())
    good = packet(200)
    for bad in (b"", b"\0", good[:30], os.urandom(60), good[:-1], good[:30] + b"\0\0" + good[32:], packet(9, vrid=99)):
        world.ports[0].deliver(bad)
    world.turns()
    assert world.loop.counters["malformed"] == 2
    assert world.loop.counters["unknown_vrid"] >= 1
    assert sum(world.loop.runners[0].machine.counters.errors.values()) >= 3
    world.supervisor.tell(messages.StatusRequest(7))
    world.turns()
    (status,) = [one for one in world.supervisor.heard if isinstance(one, messages.Status)]
    assert status.number == 7
    assert status.instances[0].counters["ip_header_err"] >= 1


def test_vrid_0_is_no_vrid_of_ours(world: World) -> None:
    world.configure(plan())
    world.ports[0].deliver(packet(200, vrid=0))
    world.turns()
    assert (world.loop.counters["unknown_vrid"], world.loop.counters["malformed"]) == (1, 0)


def mastered(world: World, *plans: InstancePlan) -> None:
    world.configure(*(plans or (plan(),)))
    world.at(world.now + DOWN_NS)
    assert world.supervisor.transitions()[-1] is State.MASTER


def test_a_refusing_kernel_is_told_and_adverts_go_on(world: World) -> None:
    world.kernel.refusal = NetlinkError(errno.EPERM, "adding", "it does not want to")
    mastered(world)
    assert world.vips() == set()
    assert any("it does not want to" in text for text in world.supervisor.remarks())
    world.at(world.now + SECOND)
    assert len(world.ports[0].sent) == 2


def test_what_the_kernel_refused_is_tried_again(world: World) -> None:
    world.kernel.refusal = NetlinkError(errno.ENOBUFS, "adding", "no room")
    mastered(world)
    world.at(world.now + 3 * SECOND)
    assert len(world.supervisor.remarks()) == 1
    world.kernel.refusal = None
    world.at(world.now + SECOND)
    assert world.vips() == {VIP}


def test_a_failing_send_is_told_once(world: World) -> None:
    mastered(world)
    world.ports[0].error = OSError(errno.ENETDOWN, "down")
    for _second in range(3):
        world.at(world.now + SECOND)
    assert world.loop.runners[0].edge.send_errors == 3
    assert len(world.supervisor.remarks()) == 1


@pytest.mark.parametrize("number", [errno.EPERM, errno.EACCES, errno.EINVAL, errno.EHOSTUNREACH, errno.EMSGSIZE])
def test_a_peer_that_cannot_be_sent_to_does_not_silence_those_behind_it(world: World, number: int) -> None:
    first, last = bytes((10, 0, 0, 7)), bytes((10, 0, 0, 9))
    mastered(world, plan(unicast_peers=tuple(map(Peer, (first, THEIRS, last)))))
    world.ports[0].errors = {first: OSError(number, "no"), THEIRS: OSError(number, "no")}
    world.ports[0].sent_to.clear()
    for _second in range(3):
        world.at(world.now + SECOND)
    assert world.ports[0].sent_to == [last] * 3
    # each once, although another peer's adverts leave between
    told = [text.partition(" failed")[0] for text in world.supervisor.remarks()]
    assert told == [f"sending an advert to {peer}" for peer in ("10.0.0.7", "10.0.0.2")]


def test_adverts_that_are_due_leave_between_the_packets_of_a_flood(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    mastered(world, plan(), plan("W", 52, bytes((10, 0, 0, 101))))
    handle, wake = world.loop.reception.packet, world.loop.runners[1].machine.wake_ns
    for number in range(3000):
        world.ports[0].inbox.append(packet(50 + number % 50))
    world.ports[0].most = 3000
    world.ports[0].ring()

    def slow(*arguments: Any) -> None:
        world.now += SECOND // 10_000
        handle(*arguments)

    monkeypatch.setattr(world.loop.reception, "packet", slow)
    send = world.ports[0].send
    sent_at: list[tuple[int, int]] = []

    def seen(data: bytearray, *where: Any) -> None:
        sent_at.append((data[21], world.now))
        send(data, *where)

    monkeypatch.setattr(world.ports[0], "send", seen)
    world.now = wake - SECOND // 10
    world.loop.turn()
    assert world.now >= wake + SECOND // 5 - SECOND // 100
    assert min(at for vrid, at in sent_at if vrid == 52) <= wake + SECOND // 200


def test_lost_events_are_made_up_for_by_reading_again(world: World) -> None:
    mastered(world)
    del world.kernel.held[2, VIP, 24]
    world.kernel.tell(Overrun())
    world.turns()
    assert world.vips() == {VIP}
    assert world.loop.host.lost == 1
    assert world.loop.runners[0].edge.vips_restored == 1


def test_our_own_removal_is_no_loss(world: World) -> None:
    mastered(world)
    world.ports[0].deliver(packet(200))
    world.turns()
    assert world.vips() == {VIP}
    world.at(world.now + HANDOVER_LINGER_NS)
    assert world.vips() == set()
    world.kernel.tell(Event(RTM_DELADDR, address=AddressInfo(2, VIP, 24)))
    world.turns()
    assert world.vips() == set()


def test_a_link_that_goes_and_comes(world: World) -> None:
    mastered(world)
    world.kernel.tell(Event(RTM_NEWLINK, link=UP._replace(flags=IFF_UP)))
    world.turns()
    assert world.supervisor.transitions()[-1] is State.FAULT
    assert world.vips() == set()
    assert [sent[22] for sent in world.ports[0].sent] == [128, 0, 0]
    world.kernel.tell(Event(RTM_NEWLINK, link=UP))
    world.turns()
    assert world.supervisor.transitions()[-1] is State.BACKUP


def test_an_interface_made_anew_gets_a_socket_of_its_own(world: World) -> None:
    mastered(world)
    other = UP._replace(ifindex=9)
    world.kernel.tell(Event(RTM_NEWLINK, link=other))
    world.turns()
    assert [port.ifindex for port in world.ports] == [2, 9]


def test_the_address_of_the_adverts_comes_later(world: World) -> None:
    del world.kernel.held[OWN.key]
    world.loop.host.resync()
    world.configure(plan())
    assert world.supervisor.transitions() == [State.FAULT]
    world.kernel.tell(Event(RTM_NEWADDR, address=OWN))
    world.turns()
    assert world.supervisor.transitions() == [State.FAULT, State.BACKUP]
    world.at(world.now + DOWN_NS)
    assert world.ports[0].sent[0][12:16] == OURS


@pytest.mark.parametrize("away_ns, resumed", [(SECOND, True), (3 * SECOND - 1, True), (3 * SECOND, False)])
def test_resume(world: World, away_ns: int, resumed: bool) -> None:
    world.kernel.held[2, VIP, 24] = AddressInfo(2, VIP, 24)
    world.loop.host.resync()
    one = plan()
    world.configure(one, resume=(messages.Resume(one.identity, world.now - away_ns),))
    assert world.supervisor.transitions() == [State.MASTER if resumed else State.BACKUP]
    assert world.vips() == ({VIP} if resumed else set())
    assert len(world.ports[0].sent) == (1 if resumed else 0)


def sources(world: World, after: int = 0) -> set[bytes]:
    return {sent[12:16] for port in world.ports for sent in port.sent[after:]}


def test_the_source_stays_while_it_is_there(world: World) -> None:
    """Another address that the kernel lists first, as after a resync, changes nothing."""
    mastered(world)
    other = AddressInfo(2, bytes((10, 0, 0, 9)), 24)
    world.kernel.held = {other.key: other, **world.kernel.held}
    world.kernel.tell(Overrun())
    world.at(world.now + SECOND)
    assert sources(world) == {OURS}
    world.kernel.held.pop(OWN.key)
    sent = len(world.ports[0].sent)
    world.kernel.tell(Event(RTM_DELADDR, address=OWN))
    world.at(world.now + 2 * SECOND)
    assert sources(world, sent) == {other.address}


def test_the_hosts_own_address_in_the_list_of_one_instance_is_that_ones_fault_alone(world: World) -> None:
    mastered(world, plan())
    sent = len(world.ports[0].sent)
    world.configure(plan(), plan("W", 52, vip=OURS))
    world.at(world.now + DOWN_NS)
    assert world.supervisor.states_of("V") == [State.BACKUP, State.MASTER]
    assert world.supervisor.states_of("W") == [State.FAULT]
    assert OWN.key in world.kernel.held
    assert len(world.ports[0].sent) > sent + 2
    assert sources(world) == {OURS}
    # nor does it go with the instance
    world.configure(plan())
    assert OWN.key in world.kernel.held
    (told,) = [one.own for one in world.supervisor.heard if isinstance(one, messages.Configured)][1:2]
    assert told == (("eth0", OURS, 24),)


def tracking(*tracks: Track) -> InstancePlan:
    return replace(plan(), tracks=tracks)


def result(name: str, up: bool | None) -> messages.TrackResult:
    return messages.TrackResult(TrackKind.SCRIPT, name, up)


def test_a_reload_that_adds_a_script_moves_nothing_until_its_first_result(world: World) -> None:
    mastered(world)
    world.supervisor.tell(result("chk", None))
    world.configure(tracking(Track(TrackKind.SCRIPT, "chk"), Track(TrackKind.SCRIPT, "plus", 10)))
    assert world.supervisor.transitions()[-1] is State.MASTER
    assert world.ports[0].sent[-1][22] == 128
    world.supervisor.tell(result("plus", True))
    world.supervisor.tell(result("chk", False))
    world.turns()
    assert world.supervisor.transitions()[-1] is State.FAULT
    assert world.loop.runners[0].machine.priority == 138


def test_a_backup_stays_one_and_one_that_waits_waits_on(world: World) -> None:
    waiting = tracking(Track(TrackKind.SCRIPT, "chk"))
    world.configure(waiting)
    assert world.supervisor.transitions() == [State.FAULT]
    world.configure(replace(waiting, tracks=(*waiting.tracks, Track(TrackKind.SCRIPT, "more"))))
    assert world.loop.runners[0].machine.faults == {"script chk has no result yet", "script more has no result yet"}
    world.supervisor.tell(result("chk", True))
    world.supervisor.tell(result("more", True))
    world.turns()
    world.configure(tracking(Track(TrackKind.SCRIPT, "third")))
    assert world.supervisor.transitions() == [State.FAULT, State.BACKUP]


def test_a_script_that_comes_back_begins_anew(world: World) -> None:
    world.supervisor.tell(result("chk", False))
    world.configure(tracking(Track(TrackKind.SCRIPT, "chk")))
    assert world.loop.runners[0].machine.faults == {"script chk is down"}
    mastered(world)
    world.configure(tracking(Track(TrackKind.SCRIPT, "chk")))
    assert world.supervisor.transitions()[-1] is State.MASTER


def test_a_master_is_resumed_without_a_result(world: World) -> None:
    files = (Track(TrackKind.FILE, "load"), Track(TrackKind.FILE, "flag", reverse=True))
    one = tracking(Track(TrackKind.SCRIPT, "chk"), Track(TrackKind.PROCESS, "proxy"), *files)
    world.configure(one, resume=(messages.Resume(one.identity, world.now - SECOND),))
    assert world.supervisor.transitions() == [State.MASTER]
    world.supervisor.tell(result("chk", False))
    world.turns()
    assert world.supervisor.transitions() == [State.MASTER, State.FAULT]


OTHER_VIP = bytes((10, 0, 0, 101))


def test_a_reload_that_adds_a_member_to_a_group_of_masters_moves_nothing(world: World) -> None:
    """Nor is it a fault that its script has no result yet."""
    mastered(world)
    track = (Track(TrackKind.SCRIPT, "chk"),)
    members = (plan(), replace(plan("W", 52, OTHER_VIP), tracks=track))
    world.supervisor.tell(messages.Configure(Plan(members, (GroupPlan("G", ("V", "W")),))))
    world.turns()
    assert world.supervisor.states_of("V")[-1] is State.MASTER
    assert (world.supervisor.states_of("W"), world.supervisor.states_of("G")) == ([State.BACKUP], [State.MASTER])
    assert world.vips() == {VIP}
    world.at(world.now + DOWN_NS)
    assert (world.supervisor.states_of("W"), world.supervisor.states_of("G")) == (
        [State.BACKUP, State.MASTER],
        [State.MASTER],
    )
    assert world.vips() == {VIP, OTHER_VIP}
    assert all(packet[22] for packet in world.ports[0].sent)
    world.supervisor.tell(result("chk", False))
    world.turns()
    assert world.supervisor.states_of("G")[-1] is State.FAULT


def grouped(world: World, *instances: InstancePlan, groups: tuple[GroupPlan, ...] = ()) -> None:
    world.supervisor.tell(messages.Configure(Plan(instances, groups)))
    world.turns()


def test_a_reload_that_takes_the_faulty_member_and_the_group_away(world: World) -> None:
    faulty = replace(plan("W", 52, OTHER_VIP), tracks=(Track(TrackKind.SCRIPT, "chk"),))
    world.supervisor.tell(result("chk", False))
    grouped(world, plan(), faulty, groups=(GroupPlan("G", ("V", "W")),))
    assert world.supervisor.states_of("V")[-1] is State.FAULT
    assert world.supervisor.states_of("G") == [State.FAULT]
    grouped(world, plan())
    world.at(world.now + DOWN_NS)
    assert world.supervisor.states_of("V")[-2:] == [State.BACKUP, State.MASTER]
    assert list(world.loop.groups) == []


def test_a_reload_that_removes_the_faulty_member_of_three(world: World) -> None:
    faulty = replace(plan("W", 52, OTHER_VIP), tracks=(Track(TrackKind.SCRIPT, "chk"),))
    third = plan("X", 53, bytes((10, 0, 0, 102)))
    world.supervisor.tell(result("chk", False))
    grouped(world, plan(), faulty, third, groups=(GroupPlan("G", ("V", "W", "X")),))
    grouped(world, plan(), third, groups=(GroupPlan("G", ("V", "X")),))
    world.at(world.now + DOWN_NS)
    assert world.supervisor.states_of("G") == [State.FAULT, State.BACKUP, State.MASTER]


def test_a_group_that_stays_is_not_notified_again_by_a_reload(world: World) -> None:
    group = (GroupPlan("G", ("V", "W")),)
    grouped(world, plan(), plan("W", 52, OTHER_VIP), groups=group)
    world.at(world.now + DOWN_NS)
    grouped(world, plan(), plan("W", 52, OTHER_VIP, priority=90), groups=group)
    assert world.supervisor.states_of("G") == [State.BACKUP, State.MASTER]
    grouped(world, plan(), plan("W", 52, OTHER_VIP), groups=(GroupPlan("H", ("W", "V")),))
    assert world.supervisor.states_of("H") == [State.MASTER]
    assert world.supervisor.states_of("V") == [State.BACKUP, State.MASTER]


def test_owners_of_a_group_begin_when_all_are_there(world: World) -> None:
    """They are added one after the other, and the last one is at fault."""
    faulty = replace(plan("W", 52, OTHER_VIP, priority=255), tracks=(Track(TrackKind.SCRIPT, "chk"),))
    grouped(world, plan(priority=255), faulty, groups=(GroupPlan("G", ("V", "W")),))
    assert State.MASTER not in world.supervisor.transitions()
    assert world.vips() == set()
    world.supervisor.tell(result("chk", True))
    world.turns()
    assert world.supervisor.states_of("G")[-1] is State.MASTER


def test_a_member_that_joins_and_hears_a_higher_master_takes_the_others_along_at_once(world: World) -> None:
    mastered(world)
    grouped(world, plan(), plan("W", 52, OTHER_VIP), groups=(GroupPlan("G", ("V", "W")),))
    world.ports[0].deliver(packet(200, vrid=52, vip=OTHER_VIP))
    world.turns()
    assert world.supervisor.states_of("V")[-1] is State.HANDOVER
    world.at(world.now + HANDOVER_LINGER_NS)
    assert world.supervisor.states_of("G")[-1] is State.BACKUP


def test_a_failover_without_a_successor_is_over_after_one_try(world: World) -> None:
    grouped(world, plan(), plan("W", 52, OTHER_VIP), groups=(GroupPlan("G", ("V", "W")),))
    world.at(world.now + DOWN_NS)
    world.supervisor.tell(messages.HandOver("G"))
    world.at(world.now + 30 * SECOND)
    for name in ("V", "W", "G"):
        assert world.supervisor.states_of(name) == [State.BACKUP, State.MASTER, State.HANDOVER, State.MASTER]
    assert world.vips() == {VIP, OTHER_VIP}


@pytest.mark.parametrize("name", ["G", "V", None])
def test_a_release_is_for_all_that_were_given_away_together(world: World, name: str | None) -> None:
    grouped(world, plan(), plan("W", 52, OTHER_VIP), groups=(GroupPlan("G", ("V", "W")),))
    world.at(world.now + DOWN_NS)
    world.supervisor.tell(messages.HandOver(name))
    world.turns()
    for vrid in (51, 52):
        world.ports[0].deliver(packet(100, vrid=vrid))
    world.at(world.now + SECOND)
    assert world.supervisor.states_of("G")[-1] is State.BACKUP
    assert all(runner.machine.held for runner in world.loop.runners)
    world.supervisor.tell(messages.Release(name))
    world.turns()
    assert not any(runner.machine.held for runner in world.loop.runners)


def test_an_instance_that_two_groups_name_is_the_first_ones(world: World) -> None:
    """``check`` refuses it; no group waits for ever for a member that it does not get."""
    groups = (GroupPlan("G", ("V",)), GroupPlan("H", ("V", "W")))
    grouped(world, plan(), plan("W", 52, OTHER_VIP), groups=groups)
    world.at(world.now + DOWN_NS)
    assert (world.supervisor.states_of("G")[-1], world.supervisor.states_of("H")[-1]) == (State.MASTER, State.MASTER)


@pytest.mark.parametrize("end", ["leave", "closed"])
def test_its_end_touches_nothing(world: World, end: str) -> None:
    mastered(world)
    sent = len(world.ports[0].sent)
    if end == "leave":
        world.supervisor.tell(messages.Leave())
    else:
        world.supervisor.gone = True
        world.supervisor.ring()
    world.loop.run()
    assert world.vips() == {VIP}
    assert len(world.ports[0].sent) == sent


def test_stop_ends_when_a_successor_is_heard(world: World) -> None:
    mastered(world)
    world.supervisor.tell(messages.Stop())
    world.turns()
    assert world.supervisor.transitions()[-1] is State.HANDOVER
    assert world.vips() == {VIP}
    assert world.ports[0].sent[-1][22] == 0
    world.ports[0].deliver(packet(100))
    world.turns()
    assert not world.loop.finished
    world.at(world.now + SECOND // 10)
    assert world.loop.finished
    assert world.vips() == set()


@pytest.mark.parametrize("plans", [(), (plan("other name", auth_type=1, auth_data=b"password"),)])
def test_alarms_end_with_their_instance_and_its_name(world: World, plans: tuple[InstancePlan, ...]) -> None:
    world.configure(plan())
    world.ports[0].deliver(packet(200, advert_int=2 * SECOND))
    world.turns()
    alarms = (messages.AlarmRaised, messages.AlarmGone)
    assert [type(one) for one in world.supervisor.heard if isinstance(one, alarms)] == [messages.AlarmRaised]
    world.configure(*plans)
    gone = [one for one in world.supervisor.heard if isinstance(one, messages.AlarmGone)]
    assert [(one.name, one.kind) for one in gone] == [("V", "advert_int_differs")]


def test_numbers_of_signed_adverts_are_told_and_known_to_the_next_process(world: World) -> None:
    signed: dict[str, Any] = {"version": 2, "auth_type": AUTH_AH, "auth_data": b"password"}
    instance = replace(plan(**signed).instance, source=THEIRS)
    sender = Transmitter(instance, ah.Sequence(1000))
    world.configure(plan(**signed))
    world.ports[0].deliver(bytes(sender.packets(200)[0][1]))
    world.at(world.now + 11 * SECOND)
    told = [one for one in world.supervisor.heard if isinstance(one, messages.SequencesHeard)]
    assert told == [messages.SequencesHeard(plan(**signed).identity, ((THEIRS, 1001),))]
    world.configure()
    world.supervisor.tell(messages.Configure(Plan((plan(**signed),)), heard=(*told,)))
    world.turns()
    replayed = bytes(Transmitter(instance, ah.Sequence(1000)).packets(200)[0][1])
    world.ports[-1].deliver(replayed)
    world.turns()
    assert world.loop.runners[0].machine.counters.errors[Reason.AUTH_REPLAY] == 1
    world.ports[-1].deliver(bytes(sender.packets(200)[0][1]))
    world.turns()
    assert world.loop.runners[0].machine.master_source == THEIRS


def test_a_new_configuration_is_carried_out_in_portions(world: World) -> None:
    many = [plan(f"V{vrid}", vrid, bytes((10, 0, 1, vrid))) for vrid in range(1, 41)]
    world.supervisor.tell(messages.Configure(Plan(tuple(many))))
    counts: list[int] = []
    while not any(isinstance(one, messages.Configured) for one in world.supervisor.heard):
        world.loop.turn()
        counts.append(len(world.loop.runners))
    assert max(later - former for former, later in zip(counts, counts[1:])) <= 4
    assert counts[-1] == 40
    assert len(world.ports) == 1


def test_a_late_timer_is_told(world: World) -> None:
    mastered(world)
    world.now += SECOND + SECOND // 10
    world.turns()
    (stall,) = [one for one in world.supervisor.heard if isinstance(one, messages.LoopStall)]
    assert stall.late_ns == SECOND // 10
    assert world.loop.counters["stalls"] == 1


def test_it_tells_that_it_lives(world: World) -> None:
    world.turns()
    world.at(world.now + 2 * SECOND)
    assert sum(isinstance(one, messages.Heartbeat) for one in world.supervisor.heard) == 9
