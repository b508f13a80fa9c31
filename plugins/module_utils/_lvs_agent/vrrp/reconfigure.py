# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying out a new plan: only what differs is touched, an instance at a time, between the turns of the loop."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from . import ah, holdings
from .actions import SendAdvert, State
from .holdings import places_of
from .messages import Configure, Configured, Resume, SequencesHeard
from .plan import GroupPlan, Identity, InstancePlan, Plan, Track
from .runner import Runner
from .sync import Membership

if TYPE_CHECKING:
    from .loop import Loop


class Reconfiguration:
    """The one that is at work, if any; a newer plan replaces what is left of it."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._told: dict[str, list[str]] = {}
        self._after_boot = 0
        self._heard: dict[Identity, tuple[tuple[bytes, int], ...]] = {}
        self._group_of: dict[str, str] = {}

    def begin(self, message: Configure, now: int) -> None:
        """Queue the steps."""
        loop, plan = self._loop, message.plan
        self._after_boot = plan.after_boot
        self._heard = {one.identity: one.numbers for one in message.heard}
        loop.work.clear()
        self._told = {"added": [], "removed": [], "changed": [], "resumed": [], "problems": []}
        loop.announcer.configure(plan.garp_interval, plan.gna_interval, plan.garp_groups)
        loop.surroundings.configure(plan.link_delays)
        loop.host.settings.adopt(dict(message.borrowed))
        loop.reception.log_unknown_vrids = plan.log_unknown_vrids
        static = plan.static
        if static.routes or static.rules or any(one.routes or one.rules for one in plan.instances):
            loop.host.watch_routes()
        owners: tuple[InstancePlan | GroupPlan, ...] = (*plan.instances, *plan.groups)
        tracked = {(one.kind, one.name) for owner in owners for one in owner.tracks}
        # one of the same name that comes back later begins anew
        loop.results = {key: result for key, result in loop.results.items() if key in tracked}
        for problem in loop.apply_scheduling(plan):
            loop.remark(logging.WARNING, "", problem, now)
        wanted = {one.identity: one for one in plan.instances}
        alive = {one.identity: one for one in message.resume}
        tracks = {name: group.tracks for group in plan.groups for name in group.members}
        running = {one.plan.identity: one for one in loop.runners}
        loop.remember(wanted.keys() | running.keys(), now)
        begin = [one for one in plan.instances if one.identity not in running and one.identity not in alive]
        resumed = [one for one in plan.instances if one.identity in alive]
        before = {*message.former, *places_of(Plan(tuple(resumed)))}
        index = loop.host.index
        ours = {(index[name], address, length) for name, address, length in before if name in index}
        loop.surroundings.begin(plan.instances, ours)
        loop.possession.clear(message.leftovers, begin, now)
        loop.statics.change(plan.static, now)
        self._group_of = self._regroup(plan, running, now)
        masters = alive.keys() | {one.plan.identity for one in loop.runners if one.machine.state is State.MASTER}
        names = {one.name for identity, one in wanted.items() if identity in masters}
        joining = {name for group in plan.groups if names.intersection(group.members) for name in group.members}
        steps: list[Callable[[int], None]] = []
        for identity, runner in running.items():
            if identity not in wanted:
                steps.append(lambda now, runner=runner: self._remove(runner, now))  # type: ignore[misc]
        for identity, one in wanted.items():
            group_tracks = tracks.get(one.name, ())
            if identity in running:
                steps.append(
                    lambda now, runner=running[identity], one=one, group_tracks=group_tracks: self._contained(  # type: ignore[misc]
                        one, now, lambda: self._change(runner, one, group_tracks, now)
                    )
                )
            else:
                steps.append(
                    lambda now, one=one, group_tracks=group_tracks: self._contained(  # type: ignore[misc]
                        one, now, lambda: self._add(one, group_tracks, alive, one.name in joining, now)
                    )
                )
        steps.append(lambda now: self._finish(plan, now))
        loop.work.extend(steps)

    def _contained(self, plan: InstancePlan, now: int, step: Callable[[], None]) -> None:
        """Carry out the step of one instance: what goes wrong in it is a fault of that instance, and of no other."""
        try:
            step()
        except Exception as error:  # noqa: BLE001 - the other instances' adverts depend on this process
            trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
            what = f"it cannot be run as configured; this is a bug, please report it: {trace}"
            self._loop.remark(logging.ERROR, plan.name, what, now)
            self._told["problems"].append(f"{plan.name}: it cannot be run as configured: {error!r}")
            for runner in [one for one in self._loop.runners if one.plan.identity == plan.identity]:
                runner.broken = f"it cannot be run as configured: {error!r}"
                actions = runner.machine.set_faults(now, frozenset((*runner.machine.faults, runner.broken)))
                self._loop.effects.perform(runner, actions, now, settle=True)
                if runner.machine.state is State.INIT:
                    self._loop.effects.perform(runner, runner.machine.start(now), now)

    def _regroup(self, plan: Plan, running: Mapping[Identity, Runner], now: int) -> dict[str, str]:
        """Give each instance that stays the group it has now; the group's name by the instance's, for new ones, too."""
        by_name = {one.name: one.identity for one in plan.instances}
        # of two groups that name an instance, the first one has it
        group_of = {
            name: group.name for group in reversed(plan.groups) for name in reversed(group.members) if name in by_name
        }
        wanted: dict[str, Membership] = {}
        for group in plan.groups:
            names = [name for name in dict.fromkeys(group.members) if group_of.get(name) == group.name]
            there = [running[by_name[name]].machine for name in names if by_name[name] in running]
            wanted[group.name] = Membership(len(names), there)
        staying = [running[identity].machine for identity in by_name.values() if identity in running]
        self._loop.effects.groups_settled(self._loop.groups.regroup(now, wanted, staying), now)
        return group_of

    def _remove(self, runner: Runner, now: int) -> None:
        runner.gone = True
        self._loop.effects.groups_settled(self._loop.groups.leave(now, runner.machine), now)
        if runner.sequence.news:
            self._loop.tell(SequencesHeard(runner.plan.identity, runner.sequence.heard()))
        found = [*runner.machine.shutdown(now, at_once=True), *runner.machine.alarms.end()]
        self._loop.effects.perform(runner, found, now)
        self._loop.probes.stop(runner)
        self._loop.ports.detach(runner)
        self._loop.runners.remove(runner)
        self._told["removed"].append(runner.name)

    def _change(self, runner: Runner, plan: InstancePlan, group_tracks: tuple[Track, ...], now: int) -> None:
        loop = self._loop
        broken, runner.broken = runner.broken, ""
        if plan == runner.plan and group_tracks == runner.group_tracks and not broken:
            return
        runner.group_tracks = group_tracks
        if plan != runner.plan or broken:
            self._renew(runner, plan, now)
        loop.surroundings.refresh(runner, now)
        self._told["changed"].append(runner.name)
        if runner.fault:
            self._told["problems"].append(f"{runner.name}: {runner.fault}")

    def _renew(self, runner: Runner, plan: InstancePlan, now: int) -> None:
        """Another plan for an instance that goes on."""
        loop, machine = self._loop, runner.machine
        if machine.state is State.MASTER:
            # as keepalived does: the backups hear the old one for the last time, just before the change
            loop.effects.perform(runner, [SendAdvert(machine.priority)], now)
        if plan.name != runner.name:
            loop.effects.perform(runner, machine.alarms.end(), now)
        signed, wire, vmacs = runner.signed, runner.plan.wire, runner.plan.vmacs
        former, had = runner.plan, runner.held or holdings.Held()
        # an address of its own that is in the file now, or the interface's again
        source = plan.instance.source or (runner.source if not runner.plan.instance.source else b"")
        runner.renew(plan, source, runner.mtu)
        if (signed, wire) != (runner.signed, plan.wire):
            loop.ports.detach(runner)
        if runner.serving:
            # here, as the machine sees no change of excluded addresses, routes, or what an address is like
            loop.possession.take(runner, now)
        for vmac in vmacs:
            if vmac not in plan.vmacs:
                loop.possession.kernel_refused(runner, loop.host.delete_vmac(vmac), now)
        loop.possession.prepare(runner, now)
        priority = loop.surroundings.effective(runner).priority
        loop.effects.perform(runner, machine.reload(now, runner.instance, priority), now)
        added = holdings.no_longer(runner.held, had).addresses if runner.held is not None else ()
        if added and plan.instance.addresses == former.instance.addresses:
            # a new excluded VIP, or a VIP on another interface: the machine knows the addresses of adverts only
            loop.possession.announce(runner, plan.instance.garp_master_repeat, now)

    def _add(
        self, plan: InstancePlan, group_tracks: tuple[Track, ...], alive: dict[Identity, Resume], joins: bool, now: int
    ) -> None:
        """``joins``: its sync group has a master, whom a track without a result must not take along."""
        loop = self._loop
        sequence = ah.Sequence(ah.first_sequence(int(time.time())), self._heard.get(plan.identity, ()))
        runner = Runner(plan, sequence, now)
        runner.group_tracks = group_tracks
        loop.runners.append(runner)
        if runner.name in self._group_of:
            loop.effects.groups_settled(loop.groups.join(now, self._group_of[runner.name], runner.machine), now)
        resume, doubtful = self._goes_on(runner, alive.get(plan.identity), now)
        loop.surroundings.refresh(runner, now, begun=resume or joins)
        loop.possession.prepare(runner, now)
        if resume:
            # what the process before us added is there; it is ours
            runner.held = holdings.of_plan(plan, loop.host.index)
            self._told["resumed"].append(runner.name)
        # the boot is no reason to wait for who was master a moment ago
        booted = now + max(0, self._after_boot - time.clock_gettime_ns(time.CLOCK_BOOTTIME))
        actions = runner.machine.start(now, resume=resume, announce=doubtful, not_before=booted)
        loop.effects.perform(runner, actions, now)
        self._told["added"].append(runner.name)
        self._told["problems"] += [f"{runner.name}: {fault}" for fault in sorted(runner.machine.faults)]

    def _goes_on(self, runner: Runner, before: Resume | None, now: int) -> tuple[bool, bool]:
        """Whether it goes on as master, and whether somebody else may have become one meanwhile.

        When a process recorded its last advert (:mod:`.last_adverts`), nobody can have taken over as long as the others
        wait for the next one. Of another process it is only known when it was alive, and its last advert may have been
        sent one interval before. So within one interval less than the others wait for, nobody can have taken over;
        within the next one hardly anybody has, and one of two masters gives way at its first advert. That costs
        nothing; to leave the addresses would cost a fail-over.
        """
        if before is None:
            return False, False
        away = now - (before.alive_ns if before.advert_ns is None else before.advert_ns)
        instance = runner.plan.instance
        waited_for = instance.down_timer_adverts * instance.advert_int
        if 0 <= away < waited_for:
            return True, before.advert_ns is None and away >= waited_for - instance.advert_int
        what = f"was master, but {away / 1e9:.3f} s ago: starting as a backup"
        self._loop.remark(logging.INFO, runner.name, what, now)
        return False, False

    def _finish(self, plan: Plan, now: int) -> None:
        loop = self._loop
        loop.possession.settle(plan.disable_local_igmp, now)
        loop.surroundings.configured(plan.instances, now)
        own = places_of(plan) & {
            (loop.host.links[number].name, address, length)
            for number, address, length in loop.host.own
            if number in loop.host.links
        }
        told = {key: tuple(names) for key, names in self._told.items()}
        loop.tell(Configured(**told, own=tuple(sorted(own))))
        loop.configured()
