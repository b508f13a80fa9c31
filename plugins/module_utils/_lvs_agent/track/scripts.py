# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracked scripts (``vrrp_script``): run again and again, one run at a time, and what their ends say.

As keepalived, but for two things: a run past its time-out has failed at that moment, not when the process has ended at
last, and a program that cannot be run is a failure, where keepalived tracks it no longer.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..spawn import NEVER, Child, Command, Finished, Spawner, last_line
from ..vrrp.messages import TrackResult
from ..vrrp.plan import TrackKind
from .rise_fall import RiseFall, Schedule

_log = logging.getLogger(__name__)
_STARTS_A_TURN = 8  # the loop has other things to do

#: What is told of a result that changed, and why, in words.
Report = Callable[[TrackResult, str], None]


@dataclass(frozen=True)
class ScriptPlan:
    """One ``vrrp_script``. ``command`` is None when it must not be run, ``refused`` says why."""

    name: str
    command: Command | None
    interval_ns: int
    timeout_ns: int
    rise: int = 1
    fall: int = 1
    init_fail: bool = False
    refused: str = ""


class _Script:
    """A plan, and how it goes. ``last`` is the last end in words."""

    def __init__(self, plan: ScriptPlan, health: RiseFall, schedule: Schedule) -> None:
        self.plan = plan
        self.health = health
        self.schedule = schedule
        self.child: Child | None = None
        self.status: int | None = None
        self.last = plan.refused
        self.overruns = 0
        self.gone = False

    def message(self) -> TrackResult:
        return TrackResult(TrackKind.SCRIPT, self.plan.name, self.health.up)


@dataclass(frozen=True)
class ScriptStatus:
    """A script as an operator sees it; ``overruns`` are runs left out because the one before had not ended."""

    name: str
    up: bool | None
    last: str
    running: bool
    overruns: int


class TrackScripts:
    """All tracked scripts; a source of the supervisor's loop, beside its spawner."""

    def __init__(self, spawner: Spawner, report: Report) -> None:
        self._spawner = spawner
        self._report = report
        self._scripts: dict[str, _Script] = {}
        self._due: list[tuple[int, str, _Script]] = []
        # runs of scripts that are no longer configured so, by name: the next one waits for their end
        self._ending: dict[str, Child] = {}

    def fileno(self) -> int:
        """None: the spawner has them."""
        return -1

    def deadline_ns(self) -> int:
        """When the next run is due."""
        while self._due and self._due[0][2].gone:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else NEVER

    def configure(self, plans: Iterable[ScriptPlan], now_ns: int) -> None:
        """Track these from now on; what is known of one with the same name stays, as in keepalived."""
        wanted = {plan.name: plan for plan in plans}
        for name, script in list(self._scripts.items()):
            if wanted.get(name) != script.plan:
                script.gone = True
                if script.child is not None:
                    self._ending[name] = script.child
                    self._spawner.stop(script.child, now_ns)
        for name, plan in wanted.items():
            old = self._scripts.get(name)
            if old is None or old.plan != plan:
                wanted_script = self._scripts[name] = _begin(plan, old, now_ns)
                if plan.command is not None:
                    heapq.heappush(self._due, (now_ns, name, wanted_script))
                else:
                    _log.warning("vrrp_script %s is down: %s", name, plan.refused)
                if wanted_script.health.up is not None and (old is None or old.health.up != wanted_script.health.up):
                    self._report(wanted_script.message(), plan.refused or "init_fail")
        for name in self._scripts.keys() - wanted.keys():
            del self._scripts[name]

    def handle(self, now_ns: int) -> None:
        """Start what is due; a few at a time, the rest in the loop's next turn."""
        for _turn in range(_STARTS_A_TURN):
            if self.deadline_ns() > now_ns:
                break
            script = heapq.heappop(self._due)[2]
            script.schedule.due(now_ns)
            heapq.heappush(self._due, (script.schedule.next_ns, script.plan.name, script))
            self._run(script, now_ns)

    def results(self) -> list[TrackResult]:
        """Everything that is known, for a VRRP process that begins."""
        return [script.message() for script in self._scripts.values()]

    def status(self) -> list[ScriptStatus]:
        """Each script as it is."""
        return [
            ScriptStatus(name, script.health.up, script.last, script.child is not None, script.overruns)
            for name, script in self._scripts.items()
        ]

    def _run(self, script: _Script, now_ns: int) -> None:
        command = script.plan.command
        if script.child is not None:
            script.overruns += 1
            return
        if script.plan.name in self._ending:
            return
        if command is None:
            return
        try:
            script.child = self._spawner.start(
                command,
                now_ns,
                script.plan.timeout_ns,
                lambda finished: self._ended(script, finished),
                on_timeout=lambda: self._result(
                    script, False, f"it did not end within {script.plan.timeout_ns / 1e9:g} s"
                ),
            )
        except OSError as error:
            self._result(script, False, f"it could not be started: {error.strerror}")

    def _ended(self, script: _Script, finished: Finished) -> None:
        child, script.child = script.child, None
        if child is not None and self._ending.get(script.plan.name) is child:
            del self._ending[script.plan.name]
            successor = self._scripts.get(script.plan.name)
            if successor is not None:
                self._run(successor, finished.ended_ns)
        if script.gone or (finished.asked and not finished.timed_out):
            return
        if finished.status != script.status:
            _log.info("vrrp_script %s now %s%s", script.plan.name, finished, last_line(finished.output))
            script.status = finished.status
        if not finished.timed_out:
            self._result(script, finished.ok, f"it {finished}{last_line(finished.output)}")

    def _result(self, script: _Script, ok: bool, how: str) -> None:
        script.last = how
        if script.health.result(ok) and not script.gone:
            self._report(script.message(), how)


def _begin(plan: ScriptPlan, old: _Script | None, now_ns: int) -> _Script:
    if plan.command is None:
        health = RiseFall(plan.rise, plan.fall, up=False)
    elif old is not None and old.plan.command is not None:
        health = old.health.reconfigured(plan.rise, plan.fall)
    else:
        health = RiseFall(plan.rise, plan.fall, up=False if plan.init_fail else None)
    return _Script(plan, health, Schedule(now_ns, plan.interval_ns))
