# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an instance depends on: its interface, the address of its adverts, and what it tracks."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from ..kernel import route_messages as m
from ..kernel.ndisc import solicited_node
from ..kernel.netlink import NetlinkError
from . import actions as a
from . import followed, messages, own_addresses
from .debounce import Debounce
from .holdings import interface_of
from .ip import text
from .plan import InstancePlan, LinkDelay
from .priority import Effective, effective
from .runner import Runner

if TYPE_CHECKING:
    from ..kernel.route import Event
    from .loop import Loop


class Surroundings:
    """Follows the kernel's events, and tells the machines what they mean for them.

    ``vips``: the instance of each VIP of this host. None of them is the source of adverts, whichever instance it is of:
    it moves to another host.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.vips: dict[bytes, str] = {}
        self.debounce = Debounce()
        self._known_own: frozenset[own_addresses.Key] = frozenset()

    def read(self, now: int) -> None:
        """What the kernel tells: see whom it concerns."""
        try:
            events, lost = self._loop.host.events()
        except (NetlinkError, OSError) as error:
            what = f"following the kernel's interfaces and addresses failed: {error}"
            self._loop.remark(logging.WARNING, "", what, now)
            return
        if lost:
            self._loop.remark(logging.WARNING, "", "the kernel dropped events; everything was read again", now)
        links = lost or any(event.link is not None for event in events)
        if links:
            self.debounce.look(self._carrier, now)
        for event in events:
            if event.link is not None:
                self._loop.announcer.close_wire(event.link.name)
        # VIPs come and go all the time, and are nobody's source
        own = self._own_addresses(events, lost=lost)
        if links or own or any(event.address and event.address.address not in self.vips for event in events):
            for runner in list(self._loop.runners):
                self.refresh(runner, now)
        gone = {event.address.key for event in events if event.address is not None and event.kind == m.RTM_DELADDR}
        routes = any(event.kind in (m.RTM_DELROUTE, m.RTM_DELRULE) for event in events)
        if links or gone or routes:
            self._loop.possession.look_for_losses(gone, routes, links, now)
        if links or self._loop.statics.concerned(gone, routes):
            self._loop.statics.keep(now, links=links, routes=routes)

    def _own_addresses(self, events: Iterable[Event], *, lost: bool) -> bool:
        """Whether a VIP has become, or no longer is, an address of this host that we did not add."""
        host, known = self._loop.host, self._known_own
        if host.marks and (lost or any(self._strange(event) for event in events)):
            plans = [runner.plan for runner in self._loop.runners]
            host.own |= own_addresses.find(plans, host.index, host.addresses.values(), self._loop.possession.keys())
        self._known_own = frozenset(host.own)
        return self._known_own != known

    def _strange(self, event: Event) -> bool:
        """Whether somebody else has added a VIP."""
        address = event.address
        added = address is not None and event.kind == m.RTM_NEWADDR and address.protocol != m.RTPROT_KEEPALIVED
        return added and address is not None and address.address in self.vips

    def begin(self, plans: Iterable[InstancePlan], ours: Collection[own_addresses.Key]) -> None:
        """These are to be at work. ``ours`` are addresses that a process before us has added."""
        plans, host = [*plans, *(runner.plan for runner in self._loop.runners)], self._loop.host
        for plan in plans:
            for one in (*plan.vips, *plan.excluded):
                self.vips.setdefault(one.address, plan.name)
        ours = {*ours, *self._loop.possession.keys()}
        host.own = own_addresses.find(plans, host.index, host.addresses.values(), ours)
        self._known_own = frozenset(host.own)

    def configured(self, plans: Iterable[InstancePlan], now: int) -> None:
        """These are at work, and no others: what was a VIP until now may be a source."""
        former = self.vips
        self.vips = {one.address: plan.name for plan in plans for one in (*plan.vips, *plan.excluded)}
        if former != self.vips:
            for runner in list(self._loop.runners):
                self.refresh(runner, now)

    def configure(self, delays: Iterable[LinkDelay]) -> None:
        """``interface_up_down_delays``."""
        self.debounce.configure(delays, self._carrier)

    def turn(self, now: int) -> None:
        """A link has been down, or up, for long enough."""
        if self.debounce.turn(now):
            for runner in list(self._loop.runners):
                self.refresh(runner, now)

    def running(self, name: str) -> bool:
        """Whether an interface counts as up."""
        return self.debounce.counts(name, self._carrier(name))

    def _carrier(self, name: str) -> bool:
        link = self._loop.host.link(name)
        return link is not None and link.running

    def refresh(self, runner: Runner, now: int, *, begun: bool = False) -> None:
        """Look at what an instance depends on: its interface, its source, what it tracks.

        ``begun``: it is about to go on where the process before us was, or where its sync group is: what has no result
        yet is no fault.
        """
        machine = runner.machine
        if self._loop.stopping and machine.state is a.State.INIT:
            # what it needed is gone, and is not to be made again
            return
        self._resolve(runner, now)
        former, found = machine.priority, self.effective(runner, begun=begun)
        changed = found.priority != former or found.faults != machine.faults
        if found.priority != former:
            self._loop.effects.perform(runner, machine.set_priority(now, found.priority), now, settle=True)
        if found.faults != machine.faults:
            self._loop.effects.perform(runner, machine.set_faults(now, found.faults), now, settle=True)
        if changed and machine.state is not a.State.INIT:
            words = tuple(sorted(found.faults))
            self._loop.tell(messages.PriorityChanged(runner.name, machine.priority, former, machine.state, words, now))

    def effective(self, runner: Runner, *, begun: bool = False) -> Effective:
        """Its priority and faults as everything is now."""
        begun = begun or runner.machine.state not in (a.State.INIT, a.State.FAULT)
        tracked = runner.tracked(self._loop.results, self.running)
        found = effective(runner.plan.instance.priority, tracked, begun=begun)
        return Effective(found.priority, found.faults | self._own_faults(runner))

    def _resolve(self, runner: Runner, now: int) -> None:
        """Its port and the address its adverts come from, as they are now."""
        plan = runner.plan
        for vmac in plan.vmacs:
            self._loop.possession.kernel_refused(runner, self._loop.host.make_vmac(vmac), now)
        link = self._loop.host.link(plan.wire)
        if link is not None and (runner.port is None or runner.port.ifindex != link.ifindex):
            try:
                self._loop.ports.attach(runner, link.ifindex, self._base(plan))
            except OSError as error:
                self._loop.failing(runner, "socket", f"no socket for adverts on {plan.wire}: {error}", now)
        source = plan.instance.source
        if not source:
            place = (plan.interface, plan.family)
            source = self._loop.host.first_address(*place, self.vips, runner.source)
            if not source:
                # the host's own address by mistake in another instance's list, which is in FAULT for it
                source = self._loop.host.first_address(*place, self.vips.keys() - self._own(), runner.source)
        if source and link is not None and plan.vmac is not None and plan.family == 6 and plan.wire == plan.vmac.name:
            self._loop.possession.kernel_refused(runner, self._loop.host.give_link_local(plan.vmac, source), now)
            self._stay_in_groups(runner)
        mtu = link.mtu if link is not None else runner.mtu
        if source == runner.source and mtu == runner.mtu:
            return
        if not source:
            # it is a fault now, and its last adverts still come from the former one
            runner.source = b""
            return
        runner.renew(plan, source, mtu)
        self._tell_room(runner, now)
        instance = runner.instance
        if runner.machine.instance != instance:
            self._loop.effects.perform(runner, runner.machine.reload(now, instance, runner.machine.priority), now)

    def _tell_room(self, runner: Runner, now: int) -> None:
        """Name the VIPs that are not in the adverts for want of room."""
        rest = runner.plan.instance.addresses[len(runner.instance.addresses) :]
        if not rest:
            runner.failing.pop("room", None)
            return
        what = f"no room in an advert of MTU {runner.mtu} for {len(rest)} VIPs, they are as excluded ones: "
        self._loop.failing(runner, "room", what + ", ".join(map(text, rest)), now)

    def _stay_in_groups(self, runner: Runner) -> None:
        """Be in the VIPs' solicited-node groups, as master or not.

        The kernel would leave them with the VIPs, and its MLD report comes from the virtual MAC: switches would send
        here what is for the new master until that one's next advert.
        """
        for one in (*runner.plan.vips, *runner.plan.excluded):
            if runner.port is not None and one.on_vmac and len(one.address) == 16:
                with contextlib.suppress(OSError):
                    runner.port.join(solicited_node(text(one.address)), self._base(runner.plan))

    def _base(self, plan: InstancePlan) -> int:
        """The number of the interface that the virtual MAC its adverts have is on, or 0."""
        return self._loop.host.index.get(plan.interface, 0) if plan.wire != plan.interface else 0

    def _own_faults(self, runner: Runner) -> set[str]:
        plan, host = runner.plan, self._loop.host
        if host.link(plan.interface) is None:
            return {f"there is no interface {plan.interface}"}
        faults = {runner.fault, runner.broken, self._source_fault(runner)}
        faults.add(own_addresses.fault(plan, host.index, host.own))
        needs = followed.faults(runner.followed, self._condition)
        condition = self._condition(plan.interface)
        if plan.track_primary and condition:
            needs[(plan.interface,)] = f"interface {plan.interface} {condition}"
        faults.update(needs.values())
        faults.update(self._vmac_faults(plan))
        if runner.port is None:
            faults.add(f"there is no socket for adverts on {plan.wire}")
        if plan.no_peer_fault:
            faults.add("there is no unicast_peer")
        return faults - {""} | self._loop.statics.faults(runner.name)

    def _vmac_faults(self, plan: InstancePlan) -> Iterator[str]:
        """Which of its virtual MAC interfaces somebody has set down; a carrier is their base interfaces' matter."""
        for vmac in plan.vmacs:
            link = self._loop.host.link(vmac.name)
            if link is None or link.flags & m.IFF_UP:
                continue
            holdings_there = [one for one in (*plan.vips, *plan.excluded) if interface_of(plan, one) == vmac.name]
            if (vmac is plan.vmac and plan.track_primary) or any(one.tracked for one in holdings_there):
                yield f"virtual MAC interface {vmac.name} is down"

    def _own(self) -> set[bytes]:
        """VIPs that are addresses of this host's own, and stay here."""
        return {address for _ifindex, address, _length in self._loop.host.own}

    def _condition(self, name: str) -> str:
        """Why an interface is of no use, in words; "" when it counts as up."""
        if self.running(name):
            return ""
        link = self._loop.host.link(name)
        if link is None:
            return "does not exist"
        return "has no carrier" if link.flags & m.IFF_UP and not link.running else "is down"

    def _source_fault(self, runner: Runner) -> str:
        """Why its adverts have no address to come from, in words; "" when they have one."""
        plan, host = runner.plan, self._loop.host
        source = plan.instance.source
        if source in self.vips and source not in self._own():
            what = f"the source address {text(source)} is a VIP of {self.vips[source]}"
            return f"{what}: write an address that stays on this host"
        if source:
            return "" if host.has(source, plan.interface, plan.wire) else f"this host does not have {text(source)}"
        if runner.source:
            return ""
        kind = "IPv4" if plan.family == 4 else "IPv6 link-local"
        only = " but VIPs" if host.first_address(plan.interface, plan.family, ()) else ""
        return f"interface {plan.interface} has no {kind} address{only}"
