# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the masters hold in the kernel: taken, given up, put back when somebody removes it, and announced."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from ..kernel import announce, sysctl
from ..kernel.errors import KernelError
from . import holdings, messages
from .actions import State
from .alarms import NEVER
from .announcer import Frame
from .host import shown
from .ip import text
from .plan import InstancePlan
from .runner import Runner
from .settings import IGMP_REPORTS, Need

if TYPE_CHECKING:
    from .loop import Loop

# of what the kernel refused at once
_MOST_TOLD = 3
# of what was left over
_MOST_SHOWN = 20
# who needs what is for the whole process; no instance can have this name
_PROCESS = ""


class Possession:
    """The loop's hands on this host's addresses, routes and rules. What the kernel refuses is told, never raised."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def take(self, runner: Runner, now: int) -> None:
        """Add what an instance that is master has to hold."""
        self.set_mute(runner, False, now)
        wanted = holdings.of_plan(runner.plan, self._loop.host.index)
        if runner.held is not None:
            self.let_go(runner, holdings.no_longer(runner.held, wanted), now)
        runner.held = wanted
        _added, problems = self._loop.host.hold(wanted)
        self.kernel_refused(runner, problems, now)

    def set_mute(self, runner: Runner, mute: bool, now: int) -> None:
        """Let its virtual MACs send, or not, where they do not already."""
        host = self._loop.host
        for vmac in runner.plan.vmacs:
            if vmac.name in host.index:
                for problem in host.set_mute(host.index[vmac.name], mute):
                    self._loop.failing(runner, f"mute {vmac.name}", problem, now)

    def give_up(self, runner: Runner, now: int) -> None:
        """Remove it, and what is left over of a run before."""
        self._loop.announcer.forget(runner)
        self.set_mute(runner, True, now)
        held, runner.held = runner.held, None
        runner.repair_at = NEVER
        if held is not None:
            self.let_go(runner, held, now)
            return
        removed, problems = self._loop.host.release(holdings.of_plan(runner.plan, self._loop.host.index), certain=False)
        self.kernel_refused(runner, problems, now)
        if removed:
            what = ", ".join(map(shown, removed))
            self._loop.remark(logging.INFO, runner.name, f"removed what was left over here: {what}", now)

    def let_go(self, runner: Runner, held: holdings.Held, now: int) -> None:
        """Remove what it held."""
        _removed, problems = self._loop.host.release(held, certain=True)
        self.kernel_refused(runner, problems, now)

    def kernel_refused(self, runner: Runner, problems: Sequence[str], now: int) -> None:
        """Count and tell."""
        if not problems:
            runner.failing.pop("kernel", None)
            return
        runner.edge.kernel_errors += len(problems)
        more = f"; and {len(problems) - _MOST_TOLD} more" if len(problems) > _MOST_TOLD else ""
        self._loop.failing(runner, "kernel", "; ".join(problems[:_MOST_TOLD]) + more, now)

    def announce(self, runner: Runner, repeat: int, now: int) -> None:
        """Tell the network which MAC its addresses have, each this many times; another one's turn after a hand-over."""
        if runner.machine.state is not State.MASTER:
            return
        self._loop.announcer.add(runner, self._frames(runner), repeat, now)
        self._loop.announcer.turn(now)

    def announce_more(self, now: int) -> None:
        """``garp_extra_if``: what is elsewhere than the adverts, so that switches go on knowing where."""
        for runner in self._loop.runners:
            plan = runner.plan
            if not plan.garp_extra_if or runner.machine.state is not State.MASTER:
                runner.extra_at = NEVER
            elif runner.extra_at == NEVER:
                runner.extra_at = now + plan.garp_extra_if
            elif runner.extra_at <= now:
                runner.extra_at = now + plan.garp_extra_if
                vmacs = [vmac.name for vmac in plan.vmacs if vmac.name != plan.wire]
                names = [name for name in self._loop.host.index if name != plan.wire]
                self._loop.announcer.add_more(
                    runner, self._frames(runner, names if plan.garp_extra_all else vmacs), now
                )

    def _frames(self, runner: Runner, interfaces: Collection[str] | None = None) -> list[Frame]:
        """A frame for each address it holds on an interface that has ARP or neighbour discovery."""
        frames: list[Frame] = []
        routers: dict[int, bool] = {}
        for address in runner.held.addresses if runner.held is not None else ():
            link = self._loop.host.links.get(address.ifindex)
            if link is None or not link.ethernet or len(link.mac) != 6:
                continue
            if interfaces is not None and link.name not in interfaces:
                continue
            ipv6 = len(address.address) == 16
            if ipv6 and address.ifindex not in routers:
                routers[address.ifindex] = _forwards(link.name)
            data = announce.pack_announcement(
                link.mac, text(address.address), router=routers.get(address.ifindex, False)
            )
            frames.append(Frame(link.name, data, ipv6))
        return frames

    def look_for_losses(self, gone: set[tuple[int, bytes, int]], routes: bool, everything: bool, now: int) -> None:
        """See who has lost something: these addresses, some route or rule, or nobody knows."""
        for runner in list(self._loop.runners):
            held = runner.held
            if held is None or not runner.serving:
                continue
            mine = everything or any(address.key in gone for address in held.addresses)
            if mine or (routes and (held.routes or held.rules)):
                self.repair(runner, now)

    def repair(self, runner: Runner, now: int) -> None:
        """Put back at once what somebody else removed; against somebody who goes on removing it, every 10 s."""
        wanted = holdings.of_plan(runner.plan, self._loop.host.index)
        tracked = holdings.of_plan(runner.plan, self._loop.host.index, tracked=True)
        absent = holdings.missing(tracked, self._loop.host.addresses.keys())
        if not absent and not (tracked.routes or tracked.rules):
            runner.held = wanted
            return
        if absent and not runner.repairs.allowed(now):
            runner.edge.vips_not_restored += len(absent)
            runner.repair_at = runner.repairs.resumes_ns
            self._loop.schedule(runner)
            what = "somebody removes its addresses again and again; trying again in 10 s"
            self._loop.failing(runner, "repair", what, now)
            return
        runner.held = wanted
        added, problems = self._loop.host.hold(tracked)
        self.kernel_refused(runner, problems, now)
        if added:
            runner.edge.vips_restored += len(added)
            what = ", ".join(map(shown, added))
            self._loop.remark(logging.WARNING, runner.name, f"put back what somebody else removed: {what}", now)
            self.announce(runner, runner.plan.instance.garp_master_repeat, now)

    def prepare(self, runner: Runner, now: int) -> None:
        """``promote_secondaries``: other addresses of a network stay when its first one goes, whoever removes it."""
        plan = runner.plan
        names = {plan.interface, *(holdings.interface_of(plan, one) for one in (*plan.vips, *plan.excluded))}
        needs = [Need(sysctl.conf_key(name, "promote_secondaries"), "1") for name in sorted(names)]
        self._loop.host.settings.done(runner.name)
        if plan.promote_secondaries:
            self.kernel_refused(runner, self._loop.host.need(runner.name, needs), now)

    def clear(self, addresses: Collection[messages.Address], plans: Iterable[InstancePlan], now: int) -> None:
        """Remove what a run before has left, all at once: these addresses, and those of instances that begin anew."""
        index = self._loop.host.index
        keys = {(index[name], address, length) for name, address, length in addresses if name in index}
        for plan in plans:
            keys.update(address.key for address in holdings.of_plan(plan, index).addresses)
        removed, problems = self._loop.host.clear(keys)
        for name in (name for name, address, _length in addresses if not address):
            problems += self._loop.host.delete_interface(name)
        if removed:
            shown_ones = ", ".join(map(shown, removed[:_MOST_SHOWN]))
            more = f" and {len(removed) - _MOST_SHOWN} more" if len(removed) > _MOST_SHOWN else ""
            self._loop.remark(logging.INFO, "", f"removed what was left over here: {shown_ones}{more}", now)
        for problem in problems[:_MOST_TOLD]:
            self._loop.remark(logging.WARNING, "", problem, now)

    def restore(self, now: int) -> None:
        """A planned stop: settings are what they were before."""
        for owner in (_PROCESS, *(runner.name for runner in self._loop.runners)):
            for problem in self._loop.host.settings.done(owner):
                self._loop.remark(logging.WARNING, "", problem, now)

    def settle(self, disable_local_igmp: bool, now: int) -> None:
        """A configuration is at work: settings that nothing needs any more are what they were before."""
        problems: list[str] = []
        if disable_local_igmp:
            problems += self._loop.host.need(_PROCESS, [Need(IGMP_REPORTS, "0")])
        else:
            problems += self._loop.host.settings.done(_PROCESS)
        for problem in [*problems, *self._loop.host.settings.settle()]:
            self._loop.remark(logging.WARNING, "", problem, now)

    def try_again(self, now: int) -> None:
        """What the kernel refused may be possible now, and no event tells."""
        self.announce_more(now)
        for runner in list(self._loop.runners):
            if runner.port is None:
                self._loop.surroundings.refresh(runner, now)
            if runner.serving and runner.held is not None and runner.repair_at == NEVER and self.missing(runner):
                self.repair(runner, now)

    def missing(self, runner: Runner) -> list[str]:
        """Which of its addresses are not there, for people."""
        if runner.held is None:
            return []
        host, plan = self._loop.host, runner.plan
        nowhere = [one for one in (*plan.vips, *plan.excluded) if holdings.interface_of(plan, one) not in host.index]
        absent = [shown(holdings.address_of(one, 0)) for one in nowhere]
        return [*map(shown, holdings.missing(runner.held, host.addresses.keys())), *absent]

    def keys(self) -> set[tuple[int, bytes, int]]:
        """The addresses that are there because of us."""
        found = [runner.held for runner in self._loop.runners if runner.held is not None]
        return {address.key for held in (*found, self._loop.statics.held) for address in held.addresses}


def _forwards(interface: str) -> bool:
    """Whether this host is an IPv6 router on an interface: neighbours drop a router that says it is none."""
    try:
        return sysctl.read(sysctl.conf_key(interface, "forwarding", "ipv6")) != "0"
    except KernelError:
        return False
