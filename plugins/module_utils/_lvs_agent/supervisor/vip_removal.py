# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes the VIPs of masters when no VRRP process comes back: by then their backups have them, and two hosts answer.

A process that is back within Master_Down_Timer goes on as master, so nothing is removed before that.
"""

from __future__ import annotations

import json
import logging
import os
import time
from typing import TYPE_CHECKING

from ..kernel.route import RouteEvents, RouteSocket
from ..vrrp import holdings, messages
from ..vrrp.actions import State
from ..vrrp.host import Host, shown
from .job import Job
from .loop import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from ..vrrp.plan import Identity, InstancePlan, Plan
    from .loop import Loop

PROCESS = "lvs-agent-clear"
_SECOND = 1_000_000_000
# A process that is started again at once needs some tenths of a second, on a slow host.
_LEAST_NS = _SECOND
_LIMIT_NS = 10 * _SECOND
_AGAIN_NS = _SECOND
_MOST_SHOWN = 20
_log = logging.getLogger(__name__)


def due_ns(instance: InstancePlan, since_ns: int) -> int:
    """When the backups of an instance have certainly taken over, whose adverts have stopped at ``since_ns``."""
    parameters = instance.instance
    # the skew is less than one interval (RFC 9568 section 6.1)
    return since_ns + max(_LEAST_NS, (parameters.down_timer_adverts + 1) * parameters.advert_int)


def remove(instances: Sequence[InstancePlan], descriptor: int) -> int:
    """Remove what these hold in the kernel, and write what that was, as JSON; the exit status. In a process of its own.

    Raises NetlinkError.
    """
    host = Host(RouteSocket(), RouteEvents())
    removed: list[str] = []
    problems: list[str] = []
    for one in instances:
        gone, wrong = host.release(holdings.of_plan(one, host.index), certain=False)
        removed += map(shown, gone)
        problems += wrong
        problems += [problem for vmac in one.vmacs for problem in host.delete_vmac(vmac)]
    os.write(descriptor, json.dumps([removed, problems]).encode())
    return os.EX_OK


class VipRemoval:
    """``tell`` gets what happened, as if the VRRP process said it."""

    def __init__(self, loop: Loop, tell: Callable[[messages.FromVrrp, int], None], clock: Callable[[], int]) -> None:
        self._loop = loop
        self._tell = tell
        self._clock = clock
        self._since_ns = NEVER
        self._due_ns = NEVER
        self._done: set[Identity] = set()
        self._job: Job | None = None

    def unserved(self, now_ns: int) -> None:
        """There is no VRRP process at work, from now on or longer."""
        self._since_ns = min(self._since_ns, now_ns)
        self._due_ns = now_ns
        # one that was at work for a moment may have added what was removed
        self._done.clear()

    def served(self) -> None:
        """There is one."""
        self._since_ns = self._due_ns = NEVER
        self._done.clear()

    def deadline_ns(self) -> int:
        """When to look."""
        return NEVER if self._job is not None else self._due_ns

    def handle(self, plan: Plan, masters: Collection[Identity], now_ns: int) -> None:
        """Remove what is due of ``masters``; to be called while no process is at work."""
        if self._since_ns == NEVER or self._job is not None:
            return
        waiting = [one for one in plan.instances if one.identity in masters and one.identity not in self._done]
        now_due = [one for one in waiting if due_ns(one, self._since_ns) <= now_ns]
        self._due_ns = min((due_ns(one, self._since_ns) for one in waiting if one not in now_due), default=NEVER)
        done: Callable[[bytes, str], None] = lambda output, wrong: self._removed(plan, now_due, output, wrong)  # noqa: E731
        if now_due and not self._begin(now_due, done, now_ns):
            self._due_ns = now_ns + _AGAIN_NS

    def finish(self, plan: Plan, masters: Collection[Identity], now_ns: int, done: Callable[[], None]) -> None:
        """The daemon ends: remove what is left of ``masters``, then call ``done``."""
        left = [one for one in plan.instances if one.identity in masters]

        def ended(output: bytes, wrong: str) -> None:
            self.close()
            problems = [wrong] if wrong else json.loads(output)[1]
            for problem in problems:
                _log.error("VIPs may be left here: %s", problem)
            done()

        self.close()
        if not left or not self._begin(left, ended, now_ns):
            done()

    def _begin(self, instances: Sequence[InstancePlan], done: Callable[[bytes, str], None], now_ns: int) -> bool:
        """Start the process; False when that is not possible."""
        try:
            self._job = Job(PROCESS, lambda output: remove(instances, output), now_ns + _LIMIT_NS, done)
        except OSError as error:
            _log.error("no process to remove VIPs: %s", error.strerror)
            return False
        self._loop.add(self._job)
        return True

    def close(self) -> None:
        """Forget it."""
        if self._job is not None:
            self._loop.remove(self._job)
            self._job.close()
            self._job = None

    def _removed(self, plan: Plan, instances: Sequence[InstancePlan], output: bytes, wrong: str) -> None:
        now_ns = self._clock()
        self.close()
        if wrong:
            _log.error("the process that removes VIPs did not finish: %s; once more in 1 s", wrong)
            self._due_ns = now_ns + _AGAIN_NS
            return
        if self._since_ns == NEVER:
            # one has begun meanwhile, as a backup, and says what it does
            return
        self._done |= {one.identity for one in instances}
        removed, problems = json.loads(output)
        seconds = (now_ns - self._since_ns) / _SECOND
        what = f"no VRRP process for {seconds:.1f} s"
        if removed:
            more = f" and {len(removed) - _MOST_SHOWN} more" if len(removed) > _MOST_SHOWN else ""
            text = f"{what}: removed the VIPs of masters: {', '.join(removed[:_MOST_SHOWN])}{more}"
            self._tell(messages.Remark(logging.ERROR, "", text, now_ns), now_ns)
        for problem in problems:
            self._tell(messages.Remark(logging.ERROR, "", problem, now_ns), now_ns)
        self._tell_states(plan, instances, what, now_ns)

    def _tell_states(self, plan: Plan, instances: Sequence[InstancePlan], what: str, now_ns: int) -> None:
        """They are in FAULT now, and so are their sync groups."""
        real_ns = time.time_ns()
        priorities = {one.name: one.instance.priority for one in instances}
        changed: list[tuple[str, int, Identity | None]] = [
            (one.name, one.instance.priority, one.identity) for one in instances
        ]
        for group in plan.groups:
            members = [priorities[name] for name in group.members if name in priorities]
            if members:
                changed.append((group.name, min(members), None))
        for name, priority, identity in changed:
            message = messages.Transitioned(
                *(name, State.FAULT, State.MASTER, what, priority, now_ns, real_ns),
                group=identity is None,
                identity=identity,
            )
            self._tell(message, now_ns)
