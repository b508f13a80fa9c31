# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an instance depends on: its interface, the address of its adverts, and what it tracks."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ..kernel import route_messages as m
from ..kernel.ndisc import solicited_node
from ..kernel.netlink import NetlinkError
from . import actions as a
from . import messages
from .debounce import Debounce
from .holdings import interface_of
from .ip import text
from .plan import InstancePlan, LinkDelay
from .priority import Effective, effective
from .runner import Runner

if TYPE_CHECKING:
    from .loop import Loop


class Surroundings:
    """Follows the kernel's events, and tells the machines what they mean for them.

    ``vips`` are those of all instances: their coming and going changes nobody's source.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.vips: set[bytes] = set()
        self.debounce = Debounce()

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
        if links or any(event.address is not None and event.address.address not in self.vips for event in events):
            for runner in list(self._loop.runners):
                self.refresh(runner, now)
        gone = {event.address.key for event in events if event.address is not None and event.kind == m.RTM_DELADDR}
        routes = any(event.kind in (m.RTM_DELROUTE, m.RTM_DELRULE) for event in events)
        if links or gone or routes:
            self._loop.possession.look_for_losses(gone, routes, links, now)
        if links or self._loop.statics.concerned(gone, routes):
            self._loop.statics.keep(now, links=links, routes=routes)

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
                self._loop.ports.attach(runner, link.ifindex)
            except OSError as error:
                self._loop.failing(runner, "socket", f"no socket for adverts on {plan.wire}: {error}", now)
        source = plan.instance.source
        if not source:
            vips = {one.address for one in (*plan.vips, *plan.excluded)}
            source = self._loop.host.first_address(plan.interface, plan.family, vips)
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
                    runner.port.join(solicited_node(text(one.address)))

    def _own_faults(self, runner: Runner) -> set[str]:
        plan = runner.plan
        faults: set[str] = {runner.fault} if runner.fault else set()
        link = self._loop.host.link(plan.interface)
        if link is None:
            return {f"there is no interface {plan.interface}"}
        if plan.track_primary and not self.running(plan.interface):
            faults.add(f"interface {plan.interface} is down")
        faults.update(self._vmac_faults(plan))
        if runner.port is None:
            faults.add(f"there is no socket for adverts on {plan.wire}")
        if not runner.source:
            kind = "IPv4" if plan.family == 4 else "IPv6 link-local"
            faults.add(f"interface {plan.interface} has no {kind} address")
        elif plan.track_source and plan.instance.source and not self._loop.host.has(plan.instance.source):
            faults.add(f"this host does not have {text(plan.instance.source)}")
        if plan.no_peer_fault:
            faults.add("there is no unicast_peer")
        return faults | self._loop.statics.faults(runner.name)

    def _vmac_faults(self, plan: InstancePlan) -> Iterator[str]:
        """Which of its virtual MAC interfaces somebody has set down; a carrier is their base interfaces' matter."""
        for vmac in plan.vmacs:
            link = self._loop.host.link(vmac.name)
            if link is None or link.flags & m.IFF_UP:
                continue
            holdings_there = [one for one in (*plan.vips, *plan.excluded) if interface_of(plan, one) == vmac.name]
            if (vmac is plan.vmac and plan.track_primary) or any(one.tracked for one in holdings_there):
                yield f"virtual MAC interface {vmac.name} is down"
