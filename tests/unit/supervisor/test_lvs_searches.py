# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Searches for regular expressions in processes that are killed: what is slow, what is large, and what is many."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from _lvs_agent.health.search import Answer, Question, Search
from _lvs_agent.supervisor import process
from _lvs_agent.supervisor.loop import Loop
from _lvs_agent.supervisor.lvs_searches import LvsSearches

TOO_SLOW = Answer(None, "the regular expression took more than 0.1 s; write a simpler one")
STATUS = b"status" * 20_000
LETTERS = b"a" * 128_000
SLOW = [
    ("status.*ok", STATUS),
    ("(a+)+$", b"a" * 60 + b"b"),
    ("((a*)*)*c", LETTERS),
    ("[a-z]+ \\d+", LETTERS),
    ("(.*)*(.*)*(.*)*x", LETTERS),
]


class World:
    """A loop with nothing but searches, and their answers in the order in which they came."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.searches = LvsSearches(self.loop)
        self.answers: dict[Any, Answer] = {}
        self.took: dict[Any, float] = {}

    def ask(self, whose: Any, pattern: str, body: bytes, options: int = 0) -> Search:
        begun = time.monotonic()

        def done(answer: Answer, _now: int) -> None:
            self.answers[whose] = answer
            self.took[whose] = time.monotonic() - begun

        return self.searches.begin(whose, Question(pattern, options, body, 0, None), done)

    def until(self, number: int, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while len(self.answers) < number:
            assert time.monotonic() < end, self.answers
            self.loop.turn()

    def children(self) -> list[int]:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            pids = [int(pid) for pid in file.read().split()]
        return [pid for pid in pids if _name(pid) == "lvs-agent-regex"]


def _name(pid: int) -> str:
    with open(f"/proc/{pid}/comm", encoding="ascii") as file:
        return file.read().strip()


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.searches.close()
    made.loop.close()
    assert made.children() == []


def test_one_process_answers_one_search_after_the_other(world: World) -> None:
    for number in range(50):
        world.ask(number, "up (time|to)", b"up to" if number % 2 else b"down")
    world.until(50)
    assert [world.answers[number].matches for number in range(50)] == [False, True] * 25
    assert len(world.children()) == 1


@pytest.mark.parametrize("pattern, body", SLOW)
def test_what_takes_too_long_is_ended(world: World, pattern: str, body: bytes) -> None:
    world.ask("slow", pattern, body)
    world.until(1)
    assert world.answers["slow"] == TOO_SLOW
    world.ask("next", "a+b", b"aaab")
    world.until(2)
    assert world.answers["next"] == Answer(True)


def test_many_slow_ones_keep_nobody_waiting(world: World) -> None:
    """What was quick before comes first; of new ones each slow one has 10 ms of CPU time."""
    world.ask("good", "ok", b"ok")
    world.until(1)
    for number in range(30):
        world.ask(number, *SLOW[number % len(SLOW)])
    world.ask("new", "ok", b"ok")
    turns = []
    asked = 0
    while "new" not in world.answers:
        if "good" in world.answers:
            del world.answers["good"]
            world.ask("good", "ok", b"ok")
            asked += 1
        begun = time.process_time()
        world.loop.turn()
        turns.append(time.process_time() - begun)
        # the search that was under way, on a machine that does other things too
        assert world.took["good"] < 2
    assert asked > 5
    # this process only starts others
    assert max(turns) < 0.1


def test_memory_is_bounded(world: World) -> None:
    # each character leaves a place to come back to
    world.ask("large", "(?:(a)|b|(c)|(d)|(e)|(f))*" * 20 + "x", LETTERS)
    world.until(1)
    assert world.answers["large"].matches is not True
    begun = time.monotonic()
    while "more" not in world.answers and time.monotonic() < begun + 20:
        if len(world.answers) == 1:
            world.ask("more", "a", b"a")
        world.loop.turn()
    assert world.answers["more"] == Answer(True)


def test_one_that_is_no_longer_slow_is_among_the_others_again(world: World) -> None:
    world.ask("server", "status.*ok", STATUS)
    world.until(1)
    world.answers.clear()
    world.ask("server", "status.*ok", b"status: ok")
    world.until(1)
    assert world.answers["server"] == Answer(True)
    assert list(world.searches._was_slow.values()) == [False]


def test_a_process_that_somebody_kills_is_replaced(world: World) -> None:
    world.ask("first", "a", b"a")
    world.until(1)
    (before,) = world.children()
    os.kill(before, signal.SIGKILL)
    world.ask("second", "a", b"a")
    world.until(2)
    assert world.answers["second"] == Answer(True)
    assert before not in world.children()


def test_what_nobody_waits_for_is_told_nobody(world: World) -> None:
    forgotten = [world.ask(number, "status.*ok", STATUS) for number in range(3)]
    for one in forgotten:
        world.searches.forget(one)
    world.ask("other", "a", b"a")
    world.until(1)
    assert world.answers == {"other": Answer(True)}


def test_without_a_process_a_search_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = process.fork

    def full(*_arguments: Any) -> process.Process:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(process, "fork", full)
    one = world.ask("patient", "a", b"a")
    world.loop.turn()
    assert not one.begun
    assert world.answers == {}
    monkeypatch.setattr(process, "fork", real)
    world.until(1)
    assert world.answers["patient"] == Answer(True)
