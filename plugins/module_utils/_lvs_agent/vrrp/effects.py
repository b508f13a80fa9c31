# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying out what the machines decide: adverts, addresses, announcements, and telling the supervisor."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from . import actions as a
from . import holdings, messages
from .instance import SECOND
from .ip import text
from .runner import Runner
from .sync import Outcome, settle_group_of

if TYPE_CHECKING:
    from .loop import Loop

_PROBE_SPACING_NS = SECOND // 2


class Effects:
    """``perform`` and ``groups_settled`` are the only ways in which a machine's actions take place."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        possession = loop.possession
        self._handlers: dict[type, Callable[[Runner, Any, int], None]] = {
            a.SendAdvert: self._send_advert,
            a.AddVips: self._add_vips,
            a.RemoveVips: lambda runner, action, now: possession.give_up(runner, now),
            a.Announce: lambda runner, action, now: possession.announce(runner, action.repeat, now),
            a.ProbeVips: self._probe_vips,
            a.ReadFirst: lambda runner, action, now: None,  # never: see Loop._timers
            a.LowerPriorityHeard: self._lower_priority_heard,
            a.Transition: self._transition,
            a.Alarm: self._alarm,
            a.AlarmCleared: self._alarm_cleared,
        }

    def perform(self, runner: Runner, found: Sequence[a.Action], now: int, *, settle: bool = False) -> None:
        """Carry out a machine's actions in order, and what its sync group makes of them."""
        for action in found:
            self._handlers[type(action)](runner, action, now)
        self._loop.schedule(runner)
        if settle or found:
            self.groups_settled(settle_group_of(now, runner.machine), now)

    def groups_settled(self, outcome: Outcome, now: int) -> None:
        """Carry out what sync groups have decided for their members."""
        if outcome.actions:
            by_machine = {one.machine: one for one in self._loop.runners}
            for machine, action in outcome.actions:
                self._handlers[type(action)](by_machine[machine], action, now)
            for machine in {machine for machine, _action in outcome.actions}:
                self._loop.schedule(by_machine[machine])
        for one in outcome.transitions:
            self._loop.tell(
                messages.Transitioned(
                    one.name, one.state, one.former, one.cause, one.priority, now, time.time_ns(), group=True
                )
            )

    def _send_advert(self, runner: Runner, action: a.SendAdvert, now: int) -> None:
        if runner.transmitter is None or runner.port is None:
            return
        hop_limit = runner.plan.instance.unicast_ttl if runner.plan.unicast else 255
        # the machine's: one whose address has gone says so from there, and not from a VIP that the kernel would choose
        source = runner.machine.instance.source
        self._loop.possession.set_mute(runner, False, now)
        for destination, packet in runner.transmitter.packets(action.priority):
            peer = text(destination)
            try:
                runner.port.send(packet, source, destination, hop_limit)
            except OSError as error:
                # whatever it is, a packet filter's EPERM or a missing route: the peers behind it may be reached
                runner.edge.send_errors += 1
                self._loop.failing(runner, f"send {peer}", f"sending an advert to {peer} failed: {error}", now)
            else:
                runner.failing.pop(f"send {peer}", None)
                if runner.machine.state is a.State.MASTER:
                    self._loop.adverts.sent(runner.plan.identity, now)
        if runner.held is None and runner.machine.state is not a.State.MASTER:
            # the last advert of one that has let go
            self._loop.possession.set_mute(runner, True, now)

    def _add_vips(self, runner: Runner, _action: a.AddVips, now: int) -> None:
        if runner.held is None:
            self._loop.tell(messages.TakesVips(runner.name, runner.plan.identity))
        self._loop.possession.take(runner, now)

    def _probe_vips(self, runner: Runner, _action: a.ProbeVips, now: int) -> None:
        wanted = holdings.of_plan(runner.plan, self._loop.host.index)
        # a question with the virtual MAC would have switches send here what is for the master
        bases = {vmac.name: vmac.base for vmac in runner.plan.vmacs}
        names = [(self._loop.host.links[one.ifindex].name, text(one.address)) for one in wanted.addresses]
        asked = [(bases.get(name, name), address) for name, address in names]
        self._loop.probes.start(runner, asked, min(_PROBE_SPACING_NS, runner.plan.instance.advert_int), now)

    def _lower_priority_heard(self, runner: Runner, action: a.LowerPriorityHeard, now: int) -> None:
        self._loop.tell(messages.LowerPriorityAdvert(runner.name, text(action.source), now))

    def _transition(self, runner: Runner, action: a.Transition, now: int) -> None:
        former, runner.last_state = runner.last_state, action.state
        if former is not action.state:
            runner.since_ns = now
        runner.cause = action.cause
        if action.state is not a.State.MASTER:
            self._loop.adverts.no_master(runner.plan.identity)
            self._loop.announcer.forget(runner)
        if action.state is a.State.MASTER:
            self._loop.probes.stop(runner)
        if action.state is a.State.INIT and runner.plan.vmacs:
            self._loop.ports.detach(runner)
            for vmac in runner.plan.vmacs:
                self._loop.possession.kernel_refused(runner, self._loop.host.delete_vmac(vmac), now)
        self._loop.tell(
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
        self._loop.tell(messages.AlarmRaised(runner.name, action.kind.value, source, action.detail, now))

    def _alarm_cleared(self, runner: Runner, action: a.AlarmCleared, now: int) -> None:
        source = text(action.source) if action.source else ""
        self._loop.tell(messages.AlarmGone(runner.name, action.kind.value, source, now))
