# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VRRP process's one loop: sockets and timers in, the machines' actions out.

The order of a turn is the one :mod:`.machine` asks for: the clock, every socket until it is empty, then the timers.
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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from ..kernel import announce, sysctl
from ..kernel import route_messages as m
from ..kernel.errors import KernelError
from ..kernel.ethernet import Wire
from ..kernel.netlink import NetlinkError
from . import actions as a
from . import holdings, messages
from .alarms import NEVER
from .announcer import Announcer, Frame
from .errors import PacketError
from .host import Host, shown
from .ip import PROTO_AH, text
from .machine import Machine
from .ports import Listening, Ports
from .priority import Effective, effective
from .probes import Probes
from .reconfigure import Reconfiguration
from .runner import Runner
from .sync import Group
from .transport import PASSING, Port

SECOND = 1_000_000_000
_HEARTBEAT_NS = SECOND
_LONGEST_WAIT_NS = SECOND
# A timer this late is a stall that an operator hears of: the fast profile's backup has 0.1 s of patience.
_STALL_NS = 50_000_000
_PROBE_SPACING_NS = SECOND // 2
# where the VRID is in an IPv4 packet, without and with an authentication header
_VRID_AT, _VRID_AT_SIGNED = 21, 45
_PROTOCOL_AT = 9
# of what the kernel refused at once
_MOST_TOLD = 3
# parts of a new configuration in one turn
_STEPS = 4


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
    ) -> None:
        self.channel = channel
        self.host = host
        self.clock = clock
        self.apply_scheduling = scheduled
        self.selector = selectors.EpollSelector()
        self.ports = Ports(self._port_opened, self._port_closed, open_port)
        self.announcer = Announcer(open_wire)
        self.probes = Probes(self._wire_opened, self._wire_closed)
        self.runners: list[Runner] = []
        self.groups: list[Group] = []
        self.results: dict[Any, messages.TrackResult] = {}
        self.counters = {"unknown_vrid": 0, "malformed": 0, "stalls": 0}
        self.finished = False
        self.log_unknown_vrids = False
        self.work: deque[Callable[[int], None]] = deque()
        self.vips: set[bytes] = set()  # of all instances: their coming and going changes nobody's source
        self._heap: list[tuple[int, int, Runner]] = []
        self._entries = 0
        self._stopping = False
        self._writing = False
        self._heartbeat = 0
        self._stall_told = -SECOND
        self._stranger_told = -SECOND
        self.selector.register(channel, selectors.EVENT_READ, self._read_channel)
        self.selector.register(host, selectors.EVENT_READ, self._read_host)
        self._epoll = self.selector.fileno()
        self._reconfiguration = Reconfiguration(self)
        self._handlers: dict[type, Callable[[Runner, Any, int], None]] = {
            a.SendAdvert: self._send_advert,
            a.AddVips: self._add_vips,
            a.RemoveVips: self._remove_vips,
            a.Announce: self._announce,
            a.ProbeVips: self._probe_vips,
            a.ReadFirst: lambda runner, action, now: None,  # never: see _timers
            a.LowerPriorityHeard: self._lower_priority_heard,
            a.Transition: self._transition,
            a.Alarm: self._alarm,
            a.AlarmCleared: self._alarm_cleared,
        }

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
                self._read_port(key.data, packets, polled)
            else:
                others.append(key.data)
        # only now: what is told earlier than it arrived would make a timer run out early
        now = self.clock()
        for listening, packet in packets:
            self._packet(listening, packet, now)
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
        for _step in range(min(_STEPS, len(self.work))):
            self.work.popleft()(self.clock())
        if now >= self._heartbeat:
            self._heartbeat = now + _HEARTBEAT_NS
            self.tell(messages.Heartbeat(now, self.channel.dropped))
            self._try_again(now)
            # what came into being within a second: next to nothing
            gc.collect()
        if self._stopping and not self.work and all(one.machine.state is a.State.INIT for one in self.runners):
            self.finished = True

    def _wait(self) -> None:
        """Until something is due or has come. select(2) on the epoll: epoll's own time-out counts in milliseconds."""
        if self.work:
            return
        due = self._heap[0][0] if self._heap else NEVER
        due = min(due, self.announcer.due, self.probes.due, self._heartbeat)
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
                self._repair(runner, now)
            machine = runner.machine
            if machine.wake_ns <= polled:
                self._look_for_stall(now - machine.wake_ns, now)
                self.perform(runner, machine.timer(now, polled), now, settle=True)
            else:
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

    # ---- packets

    def _read_port(self, listening: Listening, packets: list[tuple[Listening, Any]], now: int) -> None:
        """Until it is empty, or all that was there at the beginning has been read."""
        port = listening.port
        receive: Callable[[], Any] = port.receive_ipv4 if port.family == 4 else port.receive_ipv6
        try:
            for _packet in range(port.most):
                packet = receive()
                if packet is None:
                    return
                packets.append((listening, packet))
        except OSError as error:
            self.remark(logging.WARNING, "", f"{port.interface}: receiving adverts failed: {error}", now)

    def _packet(self, listening: Listening, packet: Any, now: int) -> None:
        """Find the instance it is for, and hand it over."""
        if listening.port.family == 4:
            place = _VRID_AT_SIGNED if listening.port.protocol == PROTO_AH else _VRID_AT
            vrid = packet[place] if len(packet) > place else -1
            runner = listening.find(vrid, packet[12:16], packet[16:20])
        else:
            vrid = packet.payload[1] if len(packet.payload) > 1 else -1
            runner = listening.find(vrid, packet.source, packet.destination)
        receiver = runner.receiver if runner is not None else None
        if runner is None or receiver is None:
            if runner is None:
                self._stranger(listening, packet, vrid, now)
            return
        try:
            advert = receiver.ipv4(packet) if listening.port.family == 4 else receiver.ipv6(packet)
        except PacketError as error:
            self.perform(runner, runner.machine.rejected(now, error), now)
            return
        self._advert(runner, advert, now)

    def _advert(self, runner: Runner, advert: Any, now: int) -> None:
        machine = runner.machine
        wanted = machine.wants_master
        found = machine.advert(now, advert)
        if found or machine.wants_master is not wanted:
            self.perform(runner, found, now, settle=True)
        elif machine.wake_ns < runner.scheduled:
            self.schedule(runner)

    def _stranger(self, listening: Listening, packet: Any, vrid: int, now: int) -> None:
        """A packet for no instance of ours."""
        if vrid < 0:
            self.counters["malformed"] += 1
            return
        self.counters["unknown_vrid"] += 1
        if self.log_unknown_vrids and now - self._stranger_told >= SECOND:
            self._stranger_told = now
            source = text(packet[12:16] if listening.port.family == 4 else packet.source)
            what = f"{listening.port.interface}: an advert from {source} of VRID {vrid}, not ours"
            self.remark(logging.INFO, "", what, now)

    # ---- actions

    def perform(self, runner: Runner, found: Sequence[a.Action], now: int, *, settle: bool = False) -> None:
        """Carry out a machine's actions in order, and what its sync group makes of them."""
        for action in found:
            self._handlers[type(action)](runner, action, now)
        self.schedule(runner)
        if runner.group is not None and (settle or found):
            self.settle(runner.group, now)

    def settle(self, group: Group, now: int) -> None:
        """Let a sync group look at its members."""
        former = group.state
        found, transition = group.settle(now)
        by_machine = {id(one.machine): one for one in self.runners}
        for machine, action in found:
            member = by_machine[id(machine)]
            self._handlers[type(action)](member, action, now)
        for machine in group.members:
            self.schedule(by_machine[id(machine)])
        if transition is not None:
            priority = min(machine.priority for machine in group.members)
            self.tell(
                messages.Transitioned(
                    group.name, transition.state, former, transition.cause, priority, now, time.time_ns(), group=True
                )
            )

    def _send_advert(self, runner: Runner, action: a.SendAdvert, now: int) -> None:
        if runner.transmitter is None or runner.port is None:
            return
        hop_limit = runner.plan.instance.unicast_ttl if runner.plan.unicast else 255
        for destination, packet in runner.transmitter.packets(action.priority):
            try:
                runner.port.send(packet, runner.source, destination, hop_limit)
            except OSError as error:
                runner.edge.send_errors += 1
                self._failing(runner, "send", f"sending an advert to {text(destination)} failed: {error}", now)
                if error.errno not in PASSING:
                    break
            else:
                runner.failing.pop("send", None)

    def _failing(self, runner: Runner, doing: str, what: str, now: int) -> None:
        """Tell of a failure once, until it is another one, or has gone."""
        if runner.failing.get(doing) != what:
            runner.failing[doing] = what
            self.remark(logging.WARNING, runner.name, what, now)

    def _add_vips(self, runner: Runner, _action: a.AddVips, now: int) -> None:
        wanted = holdings.of_plan(runner.plan, self.host.index)
        if runner.held is not None:
            self.let_go(runner, holdings.no_longer(runner.held, wanted), now)
        runner.held = wanted
        _added, problems = self.host.hold(wanted)
        self.kernel_refused(runner, problems, now)

    def _remove_vips(self, runner: Runner, _action: a.RemoveVips, now: int) -> None:
        self.announcer.forget(runner)
        held, runner.held = runner.held, None
        runner.repair_at = NEVER
        if held is not None:
            self.let_go(runner, held, now)
            return
        removed, problems = self.host.release(holdings.of_plan(runner.plan, self.host.index), certain=False)
        self.kernel_refused(runner, problems, now)
        if removed:
            what = ", ".join(map(shown, removed))
            self.remark(logging.INFO, runner.name, f"removed what was left over here: {what}", now)

    def let_go(self, runner: Runner, held: holdings.Held, now: int) -> None:
        """Remove what it held."""
        _removed, problems = self.host.release(held, certain=True)
        self.kernel_refused(runner, problems, now)

    def kernel_refused(self, runner: Runner, problems: Sequence[str], now: int) -> None:
        """Count and tell."""
        if not problems:
            runner.failing.pop("kernel", None)
            return
        runner.edge.kernel_errors += len(problems)
        more = f"; and {len(problems) - _MOST_TOLD} more" if len(problems) > _MOST_TOLD else ""
        self._failing(runner, "kernel", "; ".join(problems[:_MOST_TOLD]) + more, now)

    def _announce(self, runner: Runner, action: a.Announce, now: int) -> None:
        self.announcer.add(runner, self._frames(runner), action.repeat, now)
        self.announcer.turn(now)

    def _frames(self, runner: Runner) -> list[Frame]:
        """A frame for each address it holds on an interface that has ARP or neighbour discovery."""
        frames: list[Frame] = []
        routers: dict[int, bool] = {}
        for address in runner.held.addresses if runner.held is not None else ():
            link = self.host.links.get(address.ifindex)
            if link is None or not link.ethernet or len(link.mac) != 6:
                continue
            ipv6 = len(address.address) == 16
            if ipv6 and address.ifindex not in routers:
                routers[address.ifindex] = _forwards(link.name)
            data = announce.pack_announcement(
                link.mac, text(address.address), router=routers.get(address.ifindex, False)
            )
            frames.append(Frame(link.name, data, ipv6))
        return frames

    def _probe_vips(self, runner: Runner, _action: a.ProbeVips, now: int) -> None:
        wanted = holdings.of_plan(runner.plan, self.host.index)
        asked = [(self.host.links[one.ifindex].name, text(one.address)) for one in wanted.addresses]
        self.probes.start(runner, asked, min(_PROBE_SPACING_NS, runner.plan.instance.advert_int), now)

    def _lower_priority_heard(self, runner: Runner, action: a.LowerPriorityHeard, now: int) -> None:
        self.tell(messages.LowerPriorityAdvert(runner.name, text(action.source), now))

    def _transition(self, runner: Runner, action: a.Transition, now: int) -> None:
        former, runner.last_state = runner.last_state, action.state
        if former is not action.state:
            runner.since_ns = now
        runner.cause = action.cause
        if action.state is a.State.MASTER:
            self.probes.stop(runner)
        if action.state is a.State.INIT and runner.plan.vmac is not None:
            self.ports.detach(runner)
            self.kernel_refused(runner, self.host.delete_vmac(runner.plan.vmac), now)
        self.tell(
            messages.Transitioned(
                runner.name,
                action.state,
                former,
                action.cause,
                runner.machine.priority,
                now,
                time.time_ns(),
                identity=runner.plan.identity,
                removed=runner.gone,
            )
        )

    def _alarm(self, runner: Runner, action: a.Alarm, now: int) -> None:
        source = text(action.source) if action.source else ""
        self.tell(messages.AlarmRaised(runner.name, action.kind.value, source, action.detail, now))

    def _alarm_cleared(self, runner: Runner, action: a.AlarmCleared, now: int) -> None:
        source = text(action.source) if action.source else ""
        self.tell(messages.AlarmGone(runner.name, action.kind.value, source, now))

    # ---- the host

    def _read_host(self, now: int) -> None:
        try:
            events, lost = self.host.events()
        except (NetlinkError, OSError) as error:
            self.remark(logging.WARNING, "", f"following the kernel's interfaces and addresses failed: {error}", now)
            return
        if lost:
            self.remark(logging.WARNING, "", "the kernel dropped events; everything was read again", now)
        links = lost or any(event.link is not None for event in events)
        for event in events:
            if event.link is not None:
                self.announcer.close_wire(event.link.name)
        # VIPs come and go all the time, and are nobody's source
        if links or any(event.address is not None and event.address.address not in self.vips for event in events):
            for runner in list(self.runners):
                self.refresh(runner, now)
        gone = {event.address.key for event in events if event.address is not None and event.kind == m.RTM_DELADDR}
        routes = any(event.kind in (m.RTM_DELROUTE, m.RTM_DELRULE) for event in events)
        if links or gone or routes:
            self._look_for_losses(gone, routes, links, now)

    def _look_for_losses(self, gone: set[tuple[int, bytes, int]], routes: bool, everything: bool, now: int) -> None:
        """See who has lost something: these addresses, some route or rule, or nobody knows."""
        for runner in list(self.runners):
            held = runner.held
            if held is None or not runner.serving:
                continue
            mine = everything or any(address.key in gone for address in held.addresses)
            if mine or (routes and (held.routes or held.rules)):
                self._repair(runner, now)

    def _repair(self, runner: Runner, now: int) -> None:
        """Put back at once what somebody else removed; against somebody who goes on removing it, every 10 s."""
        wanted = holdings.of_plan(runner.plan, self.host.index)
        tracked = self._tracked_only(runner, wanted)
        absent = holdings.missing(tracked, self.host.addresses.keys())
        if not absent and not (wanted.routes or wanted.rules):
            runner.held = wanted
            return
        if absent and not runner.repairs.allowed(now):
            runner.edge.vips_not_restored += len(absent)
            runner.repair_at = runner.repairs.resumes_ns
            self.schedule(runner)
            what = "somebody removes its addresses again and again; trying again in 10 s"
            self._failing(runner, "repair", what, now)
            return
        runner.held = wanted
        added, problems = self.host.hold(tracked)
        self.kernel_refused(runner, problems, now)
        if added:
            runner.edge.vips_restored += len(added)
            what = ", ".join(map(shown, added))
            self.remark(logging.WARNING, runner.name, f"put back what somebody else removed: {what}", now)
            self._announce(runner, a.Announce(runner.plan.instance.garp_master_repeat), now)

    def _try_again(self, now: int) -> None:
        """What the kernel refused may be possible now, and no event tells."""
        for runner in list(self.runners):
            if runner.port is None:
                self.refresh(runner, now)
            if runner.serving and runner.held is not None and runner.repair_at == NEVER and self._missing(runner):
                self._repair(runner, now)

    def _tracked_only(self, runner: Runner, wanted: holdings.Held) -> holdings.Held:
        """Without what has ``no_track``."""
        plan = runner.plan
        free = {one.address for one in (*plan.vips, *plan.excluded) if not one.tracked}
        if not free:
            return wanted
        kept = tuple(one for one in wanted.addresses if one.address not in free)
        return holdings.Held(kept, wanted.routes, wanted.rules, wanted.absent)

    def refresh(self, runner: Runner, now: int) -> None:
        """Look at what an instance depends on: its interface, its source, what it tracks."""
        self._resolve(runner, now)
        machine = runner.machine
        former, found = machine.priority, self.effective(runner)
        changed = found.priority != former or found.faults != machine.faults
        if found.priority != former:
            self.perform(runner, machine.set_priority(now, found.priority), now, settle=True)
        if found.faults != machine.faults:
            self.perform(runner, machine.set_faults(now, found.faults), now, settle=True)
        if changed and machine.state is not a.State.INIT:
            words = tuple(sorted(found.faults))
            self.tell(messages.PriorityChanged(runner.name, machine.priority, former, machine.state, words, now))

    def effective(self, runner: Runner) -> Effective:
        """Its priority and faults as everything is now."""
        found = effective(runner.plan.instance.priority, runner.tracked(self.results, self.host))
        return Effective(found.priority, found.faults | self._own_faults(runner))

    def _resolve(self, runner: Runner, now: int) -> None:
        """Its port and the address its adverts come from, as they are now."""
        plan = runner.plan
        base = self.host.link(plan.interface)
        if plan.vmac is not None and base is not None and plan.vmac.name not in self.host.index:
            self.kernel_refused(runner, self.host.make_vmac(plan.vmac, base), now)
        link = self.host.link(plan.wire)
        if link is not None and (runner.port is None or runner.port.ifindex != link.ifindex):
            try:
                self.ports.attach(runner, link.ifindex)
            except OSError as error:
                self._failing(runner, "socket", f"no socket for adverts on {plan.wire}: {error}", now)
        source = plan.instance.source
        if not source:
            vips = {one.address for one in (*plan.vips, *plan.excluded)}
            source = self.host.first_address(plan.interface, plan.family, vips)
        if source == runner.source:
            return
        if not source:
            # it is a fault now, and its last adverts still come from the former one
            runner.source = b""
            return
        runner.renew(plan, source)
        if runner.machine.instance.source != source:
            instance = replace(plan.instance, source=source)
            self.perform(runner, runner.machine.reload(now, instance, runner.machine.priority), now)

    def _own_faults(self, runner: Runner) -> set[str]:
        plan = runner.plan
        faults: set[str] = set()
        link = self.host.link(plan.interface)
        if link is None:
            return {f"there is no interface {plan.interface}"}
        if plan.track_primary and not link.running:
            faults.add(f"interface {plan.interface} is down")
        if runner.port is None:
            faults.add(f"there is no socket for adverts on {plan.wire}")
        if not runner.source:
            kind = "IPv4" if plan.family == 4 else "IPv6 link-local"
            faults.add(f"interface {plan.interface} has no {kind} address")
        elif plan.track_source and plan.instance.source and not self.host.has(plan.instance.source):
            faults.add(f"this host does not have {text(plan.instance.source)}")
        if plan.no_peer_fault:
            faults.add("there is no unicast_peer")
        return faults

    # ---- the supervisor

    def _read_channel(self, now: int) -> None:
        if self._writing and self.channel.flush():
            self._writing = False
            self.selector.modify(self.channel, selectors.EVENT_READ, self._read_channel)
        try:
            received = self.channel.receive()
        except messages.ChannelClosed:
            # the supervisor is gone: another one starts another process, and our addresses serve meanwhile
            self.finished = True
            return
        for message in received:
            self._told(message, now)

    def _told(self, message: messages.ToVrrp, now: int) -> None:
        if isinstance(message, messages.Configure) and not self._stopping:
            self._reconfiguration.begin(message, now)
        elif isinstance(message, messages.TrackResult):
            self._track_result(message, now)
        elif isinstance(message, messages.HandOver):
            for runner in self._named(message.name):
                self.perform(runner, runner.machine.hand_over(now), now, settle=True)
        elif isinstance(message, messages.Release):
            for runner in self._named(message.name):
                runner.machine.release()
        elif isinstance(message, messages.Leave):
            self.finished = True
        elif isinstance(message, messages.Stop):
            self._stop(message.at_once, now)
        elif isinstance(message, messages.StatusRequest):
            self.tell(self.status(message.number))

    def _track_result(self, message: messages.TrackResult, now: int) -> None:
        key = (message.kind, message.name)
        if self.results.get(key) == message:
            return
        self.results[key] = message
        for runner in list(self.runners):
            if any((one.kind, one.name) == key for one in (*runner.plan.tracks, *runner.group_tracks)):
                self.refresh(runner, now)

    def _named(self, name: str | None) -> list[Runner]:
        """An instance, the members of a group, or all."""
        if name is None:
            return list(self.runners)
        members = [machine for group in self.groups if group.name == name for machine in group.members]
        return [one for one in self.runners if one.name == name or one.machine in members]

    def _stop(self, at_once: bool, now: int) -> None:
        self._stopping = True
        self.work.clear()
        for runner in list(self.runners):
            self.perform(runner, runner.machine.shutdown(now, at_once=at_once), now)

    def status(self, number: int) -> messages.Status:
        """Everything."""
        instances = tuple(one.status(self._missing(one)) for one in self.runners)
        names: Callable[[Iterable[Machine]], tuple[str, ...]] = lambda members: tuple(  # noqa: E731
            machine.instance.name for machine in members
        )
        groups = tuple((group.name, group.state, names(group.members)) for group in self.groups)
        counters = {
            **self.counters,
            "netlink_overruns": self.host.lost,
            "garp_sent": self.announcer.sent,
            "garp_failed": self.announcer.failed,
        }
        return messages.Status(number, instances, groups, counters)

    def _missing(self, runner: Runner) -> list[str]:
        if runner.held is None:
            return []
        return [shown(one) for one in holdings.missing(runner.held, self.host.addresses.keys())]

    def configured(self) -> None:
        """A new plan is at work: what stays is no longer looked at by the garbage collector."""
        self.vips = {one.address for runner in self.runners for one in (*runner.plan.vips, *runner.plan.excluded)}
        gc.collect()
        gc.freeze()

    def tell(self, message: messages.FromVrrp) -> None:
        """Say it to the supervisor; never waits."""
        self.channel.send(message)
        if not self._writing and not self.channel.flush():
            self._writing = True
            self.selector.modify(self.channel, selectors.EVENT_READ | selectors.EVENT_WRITE, self._read_channel)

    def remark(self, level: int, name: str, what: str, now: int) -> None:
        """A line for the log."""
        self.tell(messages.Remark(level, name, what, now))

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
                self.perform(owner, owner.machine.vip_answered(now, holder), now)


def _forwards(interface: str) -> bool:
    """Whether this host is an IPv6 router on an interface: neighbours drop a router that says it is none."""
    try:
        return sysctl.read(sysctl.conf_key(interface, "forwarding", "ipv6")) != "0"
    except KernelError:
        return False
