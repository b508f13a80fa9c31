# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All checks: when they run, and what is known of each.

One epoll(7) for all descriptors and one heap for all times. The parts decide elsewhere: :mod:`.verdict` says when a
check runs next and whether it is up, an attempt (:mod:`.attempt`) how a run went.
"""

from __future__ import annotations

import contextlib
import heapq
import logging
import resource
import select
import time
from collections.abc import Callable, Container, Iterable, Mapping
from random import Random
from typing import NamedTuple

from ..spawn import NEVER, SECOND, Spawner
from . import kinds
from .attempt import Attempt, NotNow, Outcome, Tools
from .plan import Check, CheckId, CheckPlan, FileCheck
from .search import Searches
from .sockets import is_ours
from .sources import Sources
from .verdict import Verdict, begun

_log = logging.getLogger(__name__)
_MILLISECOND = SECOND // 1000
_TOGETHER = 20 * _MILLISECOND  # what is due within this time is done together, which saves turns of the loop
# most runs that begin, and most descriptors that are looked at, before others in the loop have their turn
_A_TURN = 256
_MOST_QUEUED = 8  # entries in the heap for each check
_POSTPONED = 100 * _MILLISECOND
_OUT_OF_FILES = "this process has no more files to open; raise LimitNOFILE of its unit"
_MOST_REASONS = 16  # told, each once
_MOST_FILES = 65536
_FILES_OF_OTHERS = 128  # descriptors that the rest of the process needs

Changed = Callable[[CheckId, bool, Outcome], None]


class Result(NamedTuple):
    """What is known of a check; can be pickled, and given to another process of the same host and boot.

    ``ended_ns`` is when its last run ended (CLOCK_MONOTONIC), 0 for never; ``started_ns`` when the present run began, 0
    without one. ``outcome`` is that of the last run. ``check`` is what is asked, so that only an answer to the same
    question counts.
    """

    up: bool
    has_run: bool
    streak: int
    outcome: Outcome
    ended_ns: int
    started_ns: int
    suspended: bool
    check: Check


class _State:
    """One check. ``due_ns`` is when it has to be looked at, ``queued_ns`` the time of its entry in the heap."""

    __slots__ = (
        "attempt",
        "due_ns",
        "ended_ns",
        "events",
        "fd",
        "make",
        "outcome",
        "plan",
        "queued_ns",
        "raised",
        "started_ns",
        "suspended",
        "verdict",
    )

    def __init__(self, plan: CheckPlan, verdict: Verdict) -> None:
        self.plan = plan
        self.verdict = verdict
        self.make: kinds.Maker | None = None
        self.attempt: Attempt | None = None
        self.fd = -1
        self.events = 0
        self.outcome = Outcome(verdict.up, "")
        self.started_ns = self.ended_ns = 0
        self.due_ns = self.queued_ns = NEVER
        self.raised = ""
        self.suspended = False


class Scheduler:
    """A source of a surrounding loop, as :class:`..spawn.Spawner` is."""

    def __init__(
        self,
        changed: Changed,
        spawner: Spawner | None = None,
        *,
        random: Random | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
        searches: Searches | None = None,
        sources: Sources | None = None,
    ) -> None:
        """``changed`` is told the first result of a check, and each that changes its state or its weight.

        ``sources`` is asked where checks come from, and is a source of the surrounding loop itself.
        """
        self.postponed = 0  # runs that had to wait for descriptors or programs
        self._changed = changed
        self._random = random or Random()
        self._clock = clock
        self._tools = Tools(
            spawner, self._random, self._look_again, self._leave, (sources or Sources()).of, searches
        )
        self._epoll = select.epoll()
        self._states: dict[CheckId, _State] = {}
        self._known: dict[CheckId, Result] = {}
        self._by_fd: dict[int, _State] = {}
        self._without_fd: dict[int, _State] = {}  # by id() of the attempt
        self._heap: list[tuple[int, int, _State]] = []
        self._number = 0
        self._suspended: frozenset[str] = frozenset()
        self._most = _descriptors()
        self._late_for: set[str] = set()

    # ---- what is to be checked

    def know(self, results: Mapping[CheckId, Result]) -> None:
        """What a process before this one knew, for the next ``configure``."""
        self._known = dict(results)

    def configure(self, plans: Iterable[CheckPlan], now_ns: int) -> None:
        """Check these from now on. One that asks the same of the same server as before keeps its state.

        As in keepalived, its timers and its place among the checks of its server may change.
        """
        kinds.read_files_again()
        old, known = self._states, self._known
        self._known = {}
        wanted = list(plans)
        kept = {plan.id for plan in wanted if plan.id in old and old[plan.id].plan is plan}
        others = [plan for plan in wanted if plan.id not in kept] if kept else wanted
        left = {key: state for key, state in old.items() if key not in kept}
        matches = _matched(others, {**{key: one.check for key, one in known.items()}, **_questions(left)})
        _prepare_files(wanted, {*matches, *kept})
        healthy = _healthy(old, {plan.id.service for plan in others})
        made: dict[CheckId, _State] = {}
        for plan in others:
            before = matches.get(plan.id)
            if before in left:
                state = self._keep(left.pop(before), plan, now_ns)
            elif before is not None:
                state = self._resume(plan, known[before], now_ns)
            else:
                state = _State(plan, begun(plan.timing, plan.id[:2] in healthy))
                self._begin(state, plan.timing.warmup_ns, now_ns)
            made[plan.id] = state
        self._states = {plan.id: made.get(plan.id) or old[plan.id] for plan in wanted}
        for state in left.values():
            self._abandon(state)

    def suspend(self, services: Iterable[str], now_ns: int) -> None:
        """Run no checks of these services, and those of all others; states stay as they are (``ha_suspend``)."""
        self._suspended = frozenset(services)
        for state in self._states.values():
            self._begin(state, state.plan.timing.warmup_ns, now_ns)

    def result(self, check: CheckId) -> Result | None:
        """What is known of one; None when there is no such check."""
        state = self._states.get(check)
        return _result(state) if state is not None else None

    def results(self) -> dict[CheckId, Result]:
        """What is known of each."""
        return {key: _result(state) for key, state in self._states.items()}

    def close(self) -> None:
        """End all runs."""
        for state in self._states.values():
            self._abandon(state)
        self._states = {}
        self._epoll.close()

    # ---- the loop's side

    def fileno(self) -> int:
        """To be watched for reading."""
        return self._epoll.fileno()

    def deadline_ns(self) -> int:
        """When ``handle`` is to be called at the latest."""
        heap = self._heap
        while heap and heap[0][0] != heap[0][2].queued_ns:
            heapq.heappop(heap)
        return heap[0][0] + _TOGETHER if heap else NEVER

    def handle(self, now_ns: int) -> None:
        """Look at what is ready and what is due, without waiting."""
        for fd, events in self._epoll.poll(0, _A_TURN):
            state = self._by_fd.get(fd)
            attempt = state.attempt if state is not None else None
            if state is None or attempt is None:
                continue
            try:
                attempt.ready(now_ns, events)
            except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
                self._raised(state, error, now_ns)
            else:
                self._look(state, attempt, now_ns)
        for _turn in range(_A_TURN):
            if not self._heap or self._heap[0][0] > now_ns:
                break
            when, _number, state = heapq.heappop(self._heap)
            if when == state.queued_ns:
                state.queued_ns = NEVER
                self._due(state, now_ns)
        if len(self._heap) > _MOST_QUEUED * (len(self._states) + _A_TURN):
            # entries that newer ones made needless, such as time-outs of runs that are long over
            queued = [state for state in self._states.values() if state.queued_ns != NEVER]
            self._heap = [(state.queued_ns, number, state) for number, state in enumerate(queued)]
            self._number = len(queued)
            heapq.heapify(self._heap)

    # ---- one check

    def _begin(self, state: _State, spread_ns: int, now_ns: int) -> None:
        """Let it run within ``spread_ns``, or not at all while its service is suspended."""
        suspended = state.plan.id.service in self._suspended
        if suspended:
            self._abandon(state)
        elif state.suspended or state.due_ns == NEVER:
            self._at(state, now_ns + int(self._random.random() * spread_ns))
        state.suspended = suspended

    def _keep(self, state: _State, plan: CheckPlan, now_ns: int) -> _State:
        """A check that is still asked for."""
        timing_changed = state.plan.timing != plan.timing
        state.plan = plan
        if timing_changed and state.attempt is None and state.due_ns > now_ns + plan.timing.interval_ns:
            self._begin_again(state, now_ns)
        return state

    def _begin_again(self, state: _State, now_ns: int) -> None:
        if not state.suspended:
            self._at(state, now_ns + int(self._random.random() * state.plan.timing.interval_ns))

    def _resume(self, plan: CheckPlan, known: Result, now_ns: int) -> _State:
        state = _State(plan, Verdict(known.up, known.has_run, known.streak))
        state.outcome, state.ended_ns = known.outcome, known.ended_ns
        self._begin(state, plan.timing.interval_ns if known.has_run else plan.timing.warmup_ns, now_ns)
        return state

    def _at(self, state: _State, when_ns: int) -> None:
        """Look at it then. An earlier entry in the heap is good enough: it is put off when it comes."""
        state.due_ns = when_ns
        if when_ns < state.queued_ns:
            state.queued_ns = when_ns
            self._number += 1
            heapq.heappush(self._heap, (when_ns, self._number, state))

    def _due(self, state: _State, now_ns: int) -> None:
        if state.due_ns > now_ns:
            if state.due_ns != NEVER:
                self._at(state, state.due_ns)
        elif state.attempt is None:
            self._start(state, now_ns)
        else:
            self._late(state, state.attempt, now_ns)

    def _start(self, state: _State, now_ns: int) -> None:
        if len(self._by_fd) >= self._most:
            self._postpone(state, now_ns, _OUT_OF_FILES, _POSTPONED)
            return
        plan = state.plan
        if state.make is None:
            state.make = kinds.maker(type(plan.check))
        state.started_ns = now_ns
        attempt = state.attempt = state.make(plan.check, plan.timing, self._tools)
        try:
            attempt.start(now_ns)
        except Exception as error:  # noqa: BLE001
            self._raised(state, error, now_ns)
        else:
            self._look(state, attempt, now_ns)

    def _late(self, state: _State, attempt: Attempt, now_ns: int) -> None:
        limit = state.plan.timing.deadline_ns
        if now_ns >= state.started_ns + limit:
            self._over(state, Outcome(False, f"not over within {limit / SECOND:g} s: {attempt.waiting_for()}"), now_ns)
            return
        try:
            attempt.expired(now_ns)
        except Exception as error:  # noqa: BLE001
            self._raised(state, error, now_ns)
        else:
            self._look(state, attempt, now_ns)

    def _look_again(self, attempt: Attempt) -> None:
        """Its outcome came by another way."""
        state = self._without_fd.get(id(attempt))
        if state is not None and state.attempt is attempt:
            self._look(state, attempt, self._clock())

    def _look(self, state: _State, attempt: Attempt, now_ns: int) -> None:
        """After each call of an attempt."""
        outcome = attempt.outcome
        if outcome is not None:
            self._over(state, outcome, now_ns)
            return
        if state.attempt is not attempt:
            return
        try:
            self._watch(state, attempt)
        except OSError as error:
            self._raised(state, error, now_ns)
            return
        due = min(attempt.deadline_ns, state.started_ns + state.plan.timing.deadline_ns)
        if due != state.due_ns:
            self._at(state, due)

    def _watch(self, state: _State, attempt: Attempt) -> None:
        """Watch its descriptor for what it waits for."""
        fd = attempt.fd
        if fd < 0:
            self._forget_fd(state)
            self._without_fd[id(attempt)] = state
            return
        if state.fd == fd:
            if state.events != attempt.events:
                self._epoll.modify(fd, attempt.events)
                state.events = attempt.events
            return
        self._forget_fd(state)
        self._epoll.register(fd, attempt.events)
        state.fd, state.events = fd, attempt.events
        self._by_fd[fd] = state

    def _forget_fd(self, state: _State) -> None:
        """Before it is closed: a program that begins just now has a copy until its exec, and epoll goes on with that.

        What it then says of the number would be taken for the word of the next connection that gets it.
        """
        if state.fd >= 0:
            del self._by_fd[state.fd]
            with contextlib.suppress(OSError):  # closed without a word
                self._epoll.unregister(state.fd)
            state.fd = -1

    def _leave(self, fd: int) -> None:
        """An attempt goes on with another descriptor."""
        state = self._by_fd.get(fd)
        if state is not None:
            self._forget_fd(state)

    def _over(self, state: _State, outcome: Outcome, now_ns: int) -> None:
        self._end(state)
        plan, verdict = state.plan, state.verdict
        before, state.outcome, state.ended_ns = state.outcome, outcome, now_ns
        was_up = verdict.up
        news = verdict.result(outcome.ok, plan.timing)
        self._at(state, now_ns + verdict.delay_ns(outcome.ok, plan.timing))
        if news or outcome.weight != before.weight:
            self._tell(plan, was_up, verdict.up, outcome)
        elif not outcome.ok and was_up and plan.timing.log_all_failures:
            _log.info("%s failed: %s", plan.id, outcome.why)

    def _tell(self, plan: CheckPlan, was_up: bool, up: bool, outcome: Outcome) -> None:
        if not up and not outcome.ok:
            _log.info("%s failed: %s", plan.id, outcome.why)
        elif up != was_up:
            _log.info("%s succeeded", plan.id)
        self._changed(plan.id, up, outcome)

    def _end(self, state: _State) -> None:
        """Give back what a run holds."""
        attempt, state.attempt = state.attempt, None
        self._forget_fd(state)
        state.started_ns = 0
        if attempt is not None:
            self._without_fd.pop(id(attempt), None)
            attempt.close()

    def _abandon(self, state: _State) -> None:
        """Run it no more; the end of a run that has begun is nobody's business."""
        self._end(state)
        state.due_ns = NEVER

    def _postpone(self, state: _State, now_ns: int, why: str, after_ns: int) -> None:
        self.postponed += 1
        self._at(state, now_ns + after_ns)
        if why not in self._late_for and len(self._late_for) < _MOST_REASONS:
            self._late_for.add(why)
            _log.warning("checks are late: %s", why)

    def _raised(self, state: _State, error: Exception, now_ns: int) -> None:
        """An attempt raised: it waits when this host has no more to give; else it failed, by a mistake of ours."""
        if isinstance(error, NotNow) or (isinstance(error, OSError) and is_ours(error)):
            self._end(state)
            if isinstance(error, NotNow):
                self._postpone(state, now_ns, str(error), error.after_ns)
            else:
                self._postpone(state, now_ns, _OUT_OF_FILES, _POSTPONED)
            return
        why = f"{type(error).__name__}: {error}"
        if state.raised != why:
            state.raised = why
            _log.error("%s failed in itself; this is a bug, please report it", state.plan.id, exc_info=error)
        self._over(state, Outcome(False, why), now_ns)


def _result(state: _State) -> Result:
    verdict = state.verdict
    return Result(
        verdict.up,
        verdict.has_run,
        verdict.streak,
        state.outcome,
        state.ended_ns,
        state.started_ns,
        state.suspended,
        state.plan.check,
    )


def _questions(states: Mapping[CheckId, _State]) -> dict[CheckId, Check]:
    return {key: state.plan.check for key, state in states.items()}


def _matched(plans: list[CheckPlan], before: Mapping[CheckId, Check]) -> dict[CheckId, CheckId]:
    """Each check's id -> the one it had before: the same, or another of its kind and server that asked the same."""
    found = {plan.id: plan.id for plan in plans if before.get(plan.id) == plan.check}
    free: dict[tuple[str, str, str], list[CheckId]] = {}
    for key in before:
        if key not in found:
            free.setdefault(key[:3], []).append(key)
    for plan in plans if free else ():
        candidates = free.get(plan.id[:3], []) if plan.id not in found else []
        same = next((key for key in candidates if before[key] == plan.check), None)
        if same is not None:
            candidates.remove(same)
            found[plan.id] = same
    return found


def _prepare_files(plans: list[CheckPlan], known: Container[CheckId]) -> None:
    """What FILE_CHECK has to do once, for files that no check had that was known before."""
    checks = [(plan.id in known, plan.check) for plan in plans if isinstance(plan.check, FileCheck)]
    if checks:
        from . import file

        file.prepare([check for _known, check in checks], [check for was_known, check in checks if was_known])


def _healthy(states: Mapping[CheckId, _State], services: Container[str]) -> set[tuple[str, str]]:
    """Service and server of those whose checks have all run and are up, in these services."""
    found = {key: state.verdict for key, state in states.items() if key.service in services}
    return {key[:2] for key in found} - {key[:2] for key, one in found.items() if not (one.has_run and one.up)}


def _descriptors() -> int:
    """How many descriptors checks may have; the process's limit is raised as far as it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft == resource.RLIM_INFINITY:
        soft = _MOST_FILES
    return max(soft - _FILES_OF_OTHERS, soft // 2)
