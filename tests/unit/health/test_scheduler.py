# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop with a clock of its own and attempts that do what the test says."""

from __future__ import annotations

import errno
import os
import pickle
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from _lvs_agent.health import kinds
from _lvs_agent.health.attempt import READ, Outcome, Tools
from _lvs_agent.health.plan import CheckId, CheckPlan, Endpoint, TcpCheck, Timing
from _lvs_agent.health.scheduler import Scheduler
from _lvs_agent.spawn import NEVER

SECOND = 1_000_000_000
TIMING = Timing(6 * SECOND, 5 * SECOND, 1 * SECOND, 0, 8 * SECOND)
GOOD, BAD = Outcome(True), Outcome(False, "connection refused")


class Scripted:
    """An attempt that ends as soon as it is started, unless it is told to wait."""

    def __init__(self, world: World, check: TcpCheck) -> None:
        self.world, self.check = world, check
        self.fd, self.events, self.deadline_ns = -1, READ, NEVER
        self.outcome: Outcome | None = None
        self.closed = False

    def start(self, now_ns: int) -> None:
        self.world.started.append((now_ns // SECOND, self.check.endpoint.port))
        then = self.world.results.get(self.check.endpoint.port, GOOD)
        if isinstance(then, Exception):
            raise then
        if isinstance(then, Outcome):
            self.outcome = then
        else:
            # opened anew, as a connection is: a duplicate would stay in epoll(7) when it is closed
            self.fd = os.open(f"/proc/self/fd/{then}", os.O_RDONLY | os.O_NONBLOCK) if then >= 0 else -1
            self.deadline_ns = now_ns + self.world.patience_ns

    def ready(self, _now_ns: int, events: int) -> None:
        assert events & READ
        self.outcome = Outcome(True, os.read(self.fd, 100).decode())

    def expired(self, _now_ns: int) -> None:
        self.world.expired += 1
        self.deadline_ns = NEVER

    def waiting_for(self) -> str:
        return "connected, nothing came"

    def close(self) -> None:
        self.closed = True
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class World:
    """A scheduler, the time, and what happened. ``results``: by port, an outcome, an error, or a descriptor."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100 * SECOND
        self.results: dict[int, Any] = {}
        self.started: list[tuple[int, int]] = []
        self.attempts: list[Scripted] = []
        self.news: list[tuple[int, int, bool, str]] = []
        self.expired = 0
        self.patience_ns = 5 * SECOND
        monkeypatch.setattr(kinds, "maker", lambda _kind: self._make)
        self.scheduler = self.another()

    def another(self) -> Scheduler:
        return Scheduler(self._changed, random=Random(1), clock=lambda: self.now)

    def _make(self, check: TcpCheck, _timing: Timing, tools: Tools) -> Scripted:
        self.tools = tools
        self.attempts.append(Scripted(self, check))
        return self.attempts[-1]

    def _changed(self, check: CheckId, up: bool, outcome: Outcome) -> None:
        self.news.append((self.now // SECOND - 100, int(check.server), up, outcome.why))

    def run(self, seconds: float) -> None:
        """Let time pass, from one deadline to the next."""
        end = self.now + int(seconds * SECOND)
        for _turn in range(10000):
            self.scheduler.handle(self.now)
            due = self.scheduler.deadline_ns()
            assert due > self.now, "the loop would not sleep"
            if due > end:
                break
            self.now = due
        else:
            pytest.fail("the loop does not come to rest")
        self.now = end


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(monkeypatch)
    yield made
    made.scheduler.close()
    assert all(one.closed for one in made.attempts)


def plan(
    port: int, timing: Timing = TIMING, ordinal: int = 0, server: int = 0, service: str = "TCP 10.0.0.1:80"
) -> CheckPlan:
    check = CheckId(service, str(server or port), "TCP_CHECK", ordinal)
    return CheckPlan(check, timing, TcpCheck(Endpoint(4, bytes(4), port)))


def times(world: World, port: int) -> list[int]:
    return [second - 100 for second, one in world.started if one == port]


def test_runs_and_news(world: World) -> None:
    world.scheduler.configure([plan(1), plan(2)], world.now)
    world.run(7)
    assert times(world, 1) == times(world, 2) == [0, 6]
    world.results[2] = BAD
    world.run(20)
    # seconds 12, then the retry, then every interval
    assert times(world, 2) == [0, 6, 12, 13, 19, 25]
    assert world.news == [(0, 1, True, ""), (0, 2, True, ""), (13, 2, False, "connection refused")]
    del world.results[2]
    world.run(6)
    assert world.news[-1] == (31, 2, True, "")
    result = world.scheduler.results()[plan(2).id]
    assert (result.up, result.has_run, result.ended_ns // SECOND - 100) == (True, True, 31)


def test_warmup_spreads_the_first_runs(world: World) -> None:
    timing = replace(TIMING, warmup_ns=6 * SECOND)
    world.scheduler.configure([plan(port, timing) for port in range(1, 601)], world.now)
    world.run(5.99)
    seconds = [second - 100 for second, _port in world.started]
    assert len(seconds) == 600
    assert all(70 < seconds.count(second) < 130 for second in range(6))


def test_a_descriptor_becomes_ready(world: World) -> None:
    reading, writing = os.pipe()
    world.results[1] = reading
    world.scheduler.configure([plan(1)], world.now)
    world.run(1)
    assert world.news == []
    os.write(writing, b"hello")
    world.scheduler.handle(world.now)
    assert world.news == [(1, 1, True, "hello")]
    os.close(reading)
    os.close(writing)


def test_a_copy_of_a_descriptor_that_is_closed_says_nothing(world: World) -> None:
    # as a program has of all, from its clone to its exec: the next connection gets the number, not the news
    reading, writing = os.pipe()
    silent = os.pipe()
    world.results[1] = reading
    world.scheduler.configure([plan(1)], world.now)
    world.run(1)
    (first,) = world.attempts
    number, copy = first.fd, os.dup(first.fd)
    os.write(writing, b"hello")
    world.run(1)
    world.results[1] = silent[0]
    os.write(writing, b"more")
    world.run(6)
    world.scheduler.handle(world.now)
    second = world.attempts[1]
    assert (second.fd, second.outcome) == (number, None)
    assert world.news == [(1, 1, True, "hello")]
    for one in (reading, writing, *silent, copy):
        os.close(one)


def test_nothing_comes(world: World) -> None:
    reading, writing = os.pipe()
    world.results[1] = reading
    world.scheduler.configure([plan(1)], world.now)
    world.run(9)
    # its own deadline after 5 s, which it lets pass, and that of the whole run after 8 s
    assert world.expired == 1
    assert world.news == [(8, 1, False, "not over within 8 s: connected, nothing came")]
    os.close(reading)
    os.close(writing)


def test_an_outcome_that_comes_by_another_way(world: World) -> None:
    world.results[1] = -1
    world.scheduler.configure([plan(1)], world.now)
    world.run(1)
    attempt = world.attempts[0]
    attempt.outcome = Outcome(True, "exit status 5", 3)
    world.tools.look(attempt)
    assert world.news == [(1, 1, True, "exit status 5")]
    # once is enough
    world.tools.look(attempt)
    assert len(world.news) == 1


def test_time_outs_of_runs_that_are_over_are_forgotten(world: World) -> None:
    pipes = [os.pipe() for _number in range(10)]
    for _reading, writing in pipes:
        os.write(writing, bytes(60000))  # for 600 runs
    world.results = {port: reading for port, (reading, _writing) in enumerate(pipes, 1)}
    world.patience_ns = 3600 * SECOND
    quick = replace(TIMING, interval_ns=SECOND // 10, deadline_ns=3600 * SECOND)
    # one that is always due before the time-outs of the others are
    world.scheduler.configure([plan(11), *(plan(port, quick) for port in world.results)], world.now)
    for _turn in range(350):
        world.run(0.15)
    assert len(world.started) > 3000
    assert len(world.news) == 11
    assert len(world.scheduler._heap) < 2500
    for pipe in pipes:
        for end in pipe:
            os.close(end)


def test_another_weight_is_news(world: World) -> None:
    world.scheduler.configure([plan(1)], world.now)
    for weight in (5, 5, 7, None):
        world.results[1] = Outcome(True, str(weight), weight)
        world.run(6)
    assert [why for *_rest, why in world.news] == ["5", "7", "None"]


def test_a_mistake_of_ours_is_a_failed_check_told_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.results[1] = ValueError("what?")
    world.scheduler.configure([plan(1), plan(2)], world.now)
    world.run(30)
    assert (0, 1, False, "ValueError: what?") in world.news
    assert len(times(world, 2)) == 5
    assert len([one for one in caplog.records if one.levelname == "ERROR"]) == 1


def test_no_descriptors_left_is_no_failure(world: World) -> None:
    world.results[1] = OSError(errno.EMFILE, "Too many open files")
    world.scheduler.configure([plan(1)], world.now)
    world.run(3)
    assert world.news == []
    assert world.scheduler.postponed > 10
    del world.results[1]
    world.run(1)
    assert world.news == [(3, 1, True, "")]


# ---- reload


def test_what_asks_the_same_keeps_its_state(world: World) -> None:
    world.results[2] = BAD
    world.scheduler.configure([plan(1), plan(2, ordinal=1, server=1)], world.now)
    world.run(1)
    assert len(world.news) == 2
    # its timers, its place among its server's checks, and another check besides, which changes nothing for it
    slow = replace(TIMING, interval_ns=60 * SECOND, fall=9)
    world.scheduler.configure([plan(2, slow, server=1), plan(3, server=1, ordinal=1)], world.now)
    results = {key.ordinal: value.up for key, value in world.scheduler.results().items()}
    assert results == {0: False, 1: True}
    world.run(6)
    assert times(world, 1) == [0]
    assert times(world, 2) == [0, 6]
    assert times(world, 3) == [1]


def test_checks_that_are_the_very_same_go_on(world: World) -> None:
    world.results[2] = BAD
    first, second, third = plan(1), plan(2), plan(3)
    world.scheduler.configure([first, second], world.now)
    world.run(3)
    before = world.scheduler.results()
    world.scheduler.configure([third, second, first], world.now)
    assert list(world.scheduler.results()) == [third.id, second.id, first.id]
    assert {key: world.scheduler.results()[key] for key in before} == before
    world.scheduler.configure([first], world.now)
    assert world.scheduler.results() == {first.id: before[first.id]}
    world.run(10)
    assert len(times(world, 3)) == 0
    assert len(times(world, 1)) > 1


def test_what_asks_something_else_begins_anew(world: World) -> None:
    world.results[1] = BAD
    world.scheduler.configure([plan(1)], world.now)
    world.run(1)
    world.scheduler.configure([replace(plan(2), id=plan(1).id)], world.now)
    assert world.scheduler.results()[plan(1).id].up
    world.run(1)
    assert world.news[-1] == (1, 1, True, "")


@pytest.mark.parametrize("healthy", [True, False])
def test_a_check_that_is_added_to_a_server(world: World, healthy: bool) -> None:
    world.results = {2: BAD} if healthy else {1: BAD, 2: BAD}
    world.scheduler.configure([plan(1)], world.now)
    world.run(1)
    alpha = replace(TIMING, alpha=True)
    added = plan(2, alpha, ordinal=1, server=1)
    world.scheduler.configure([plan(1), added], world.now)
    assert world.scheduler.results()[added.id].up is healthy
    world.run(0.5)
    # beside a healthy one, one failure is not enough
    assert world.scheduler.results()[added.id].up is healthy
    world.run(1)
    assert not world.scheduler.results()[added.id].up


def test_a_run_that_has_begun_goes_on(world: World) -> None:
    reading, writing = os.pipe()
    world.results[1] = reading
    world.scheduler.configure([plan(1), plan(2)], world.now)
    world.run(1)
    world.scheduler.configure([plan(1, replace(TIMING, fall=5))], world.now)
    os.write(writing, b"still here")
    world.run(1)
    assert world.news[-1] == (1, 1, True, "still here")
    os.close(reading)
    os.close(writing)


def test_a_shorter_interval_counts_at_once(world: World) -> None:
    world.scheduler.configure([plan(1, replace(TIMING, interval_ns=3600 * SECOND))], world.now)
    world.run(1)
    world.scheduler.configure([plan(1)], world.now)
    world.run(6)
    assert len(times(world, 1)) == 2


def test_another_process_goes_on_with_what_was_known(world: World) -> None:
    world.results[1] = BAD
    world.scheduler.configure([plan(1), plan(2)], world.now)
    world.run(3)
    known = pickle.loads(pickle.dumps(world.scheduler.results()))  # noqa: S301 - our own
    world.scheduler.close()
    world.news.clear()
    world.scheduler = world.another()
    world.scheduler.know(known)
    world.scheduler.configure([plan(1), plan(2), plan(3)], world.now)
    results = world.scheduler.results()
    assert [results[plan(port).id].up for port in (1, 2, 3)] == [False, True, True]
    assert results[plan(1).id].outcome == BAD
    assert results[plan(1).id].ended_ns == 100 * SECOND
    world.run(7)
    # what is known is no news, and the checks run on
    assert world.news == [(3, 3, True, "")]
    assert len(times(world, 1)) > 1


# ---- suspending


def test_suspended_services_are_not_checked(world: World) -> None:
    other = plan(2, service="TCP 10.0.0.2:80")
    reading, writing = os.pipe()
    world.results[1] = reading
    world.scheduler.configure([plan(1), other], world.now)
    world.run(1)
    world.scheduler.suspend({"TCP 10.0.0.1:80"}, world.now)
    assert world.attempts[0].closed
    world.run(20)
    assert (times(world, 1), times(world, 2)) == ([0], [0, 6, 12, 18])
    assert world.scheduler.results()[plan(1).id].suspended
    # a reload changes nothing about it
    world.scheduler.configure([plan(1), plan(3), other], world.now)
    world.run(10)
    assert (times(world, 1), times(world, 3)) == ([0], [])
    world.scheduler.suspend((), world.now)
    world.run(1)
    assert (len(times(world, 1)), len(times(world, 3))) == (2, 1)
    os.close(reading)
    os.close(writing)


def test_the_limit_of_descriptors(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr("resource.getrlimit", lambda _what: (1024, 524288))
    monkeypatch.setattr("resource.setrlimit", lambda _what, both: limits.append(both))
    few = world.another()
    assert limits == [(65536, 524288)]
    few.close()
    pipes = [os.pipe() for _number in range(3)]
    world.results = {number + 1: reading for number, (reading, _writing) in enumerate(pipes)}
    monkeypatch.setattr(world.scheduler, "_most", 2)
    world.scheduler.configure([plan(1), plan(2), plan(3)], world.now)
    world.run(1)
    assert len(world.started) == 2
    assert world.scheduler.postponed
    for _reading, writing in pipes:
        os.write(writing, b"x")
    world.run(1)
    assert len(world.started) == 3
    for pipe in pipes:
        for end in pipe:
            os.close(end)
