# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A child's life: told, heard, its end noticed, its silence judged, and when the next one is started."""

from __future__ import annotations

import logging
import os
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from _lvs_agent.supervisor import child
from _lvs_agent.supervisor.backoff import Backoff
from _lvs_agent.supervisor.channel import Channel, pair
from _lvs_agent.supervisor.child import SILENCE_LIMIT_NS, Child, Ended
from _lvs_agent.supervisor.job import Job
from _lvs_agent.supervisor.kept import Kind
from _lvs_agent.supervisor.loop import NEVER, Loop
from _lvs_agent.vrrp.messages import ChannelClosed, Heartbeat, Leave, Ready, Stop

MS = 1_000_000
SECOND = 1000 * MS


class TestBackoff:
    def test_at_once_first_then_later_and_later(self) -> None:
        backoff = Backoff(100, 1000, 5000)
        waits = [backoff.died(now, now) - now for now in (0, 10, 20, 30, 40, 50, 60)]
        assert waits == [0, 100, 200, 400, 800, 1000, 1000]

    def test_a_child_that_lived_is_a_first_time_again(self) -> None:
        backoff = Backoff(100, 1000, 5000)
        assert backoff.died(0, 10) == 10
        assert backoff.died(10, 20) == 120
        assert backoff.died(100, 5100) == 5100


class Watched:
    """A loop with one child, whose words and end are written down."""

    def __init__(self, entry: Any) -> None:
        self.said: list[Any] = []
        self.ended: Ended | None = None
        self.loop = Loop()
        self.child = child.start(
            Kind("test", "test", entry),
            [],
            time.monotonic_ns(),
            heard=lambda one, now: self.said.append(one),
            ended=self._end,
        )
        self.loop.add(self.child)

    def _end(self, ended: Ended, now: int) -> None:
        self.ended = ended
        self.loop.remove(self.child)
        self.child.close()

    def until(self, condition: Any) -> None:
        end = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < end
            self.loop.turn()


def heard_stop(channel: Channel) -> int:
    """Say what comes, until told to end."""
    channel.send(Ready())
    while True:
        select.select([channel], [], [])
        for message in channel.receive():
            if isinstance(message, Leave):
                return 0
            if isinstance(message, Stop):
                return 3


def silent(channel: Channel) -> int:
    channel.send(Ready())
    while True:
        time.sleep(60)


def test_it_ends_as_it_was_told() -> None:
    watched = Watched(heard_stop)
    watched.until(lambda: watched.said)
    assert watched.said == [Ready()]
    watched.child.end(Leave())
    watched.until(lambda: watched.ended)
    assert watched.ended == ("exit status 0", watched.child.heard_ns, True, True)


def test_a_kill_is_noticed_at_once_and_it_lived_until_then() -> None:
    watched = Watched(silent)
    watched.until(lambda: watched.said)
    time.sleep(0.05)
    before = time.monotonic_ns()
    os.kill(watched.child.pid, signal.SIGKILL)
    watched.until(lambda: watched.ended)
    assert watched.ended is not None
    assert (watched.ended.how, watched.ended.asked) == ("killed by SIGKILL", False)
    assert before <= watched.ended.alive_ns <= time.monotonic_ns() < before + 200 * MS


def test_the_daemons_signals_are_not_the_childs() -> None:
    watched = Watched(heard_stop)
    watched.until(lambda: watched.said)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(watched.child.pid, number)
    watched.child.end(Stop())
    watched.until(lambda: watched.ended)
    assert watched.ended is not None
    assert watched.ended.how == "exit status 3"


def test_it_inherits_the_channel_only() -> None:
    reading, writing = os.pipe()

    def entry(channel: Channel) -> int:
        return len([one for one in os.listdir("/proc/self/fd") if int(one) > 2]) - 1  # and the listing's own

    watched = Watched(entry)
    watched.until(lambda: watched.ended)
    os.close(reading)
    os.close(writing)
    assert watched.ended is not None
    assert watched.ended.how == "exit status 1"


def test_it_ends_when_the_supervisor_is_gone() -> None:
    def entry(channel: Channel) -> int:
        try:
            return heard_stop(channel)
        except ChannelClosed:
            return 0

    watched = Watched(entry)
    watched.until(lambda: watched.said)
    watched.child.channel.close()
    assert os.waitpid(watched.child.pid, 0)[1] == 0


class FakeProcess:
    pid = 1

    def __init__(self) -> None:
        self.signals: list[int] = []

    def kill(self, number: int = signal.SIGKILL) -> None:
        self.signals.append(number)


class TestSilence:
    @pytest.fixture
    def made(self) -> Iterator[tuple[Child, FakeProcess, Channel]]:
        ours, theirs = pair()
        process: Any = FakeProcess()
        watched = Child("test", process, ours, 0, heard=lambda *_: None, ended=lambda *_: None)
        yield watched, process, theirs
        watched.close()
        theirs.close()

    def test_too_long_a_silence_ends_it_with_its_traceback(self, made: tuple[Child, FakeProcess, Channel]) -> None:
        watched, process, _theirs = made
        assert watched.deadline_ns() == SILENCE_LIMIT_NS
        watched.handle(SILENCE_LIMIT_NS)
        assert process.signals == [signal.SIGUSR1]
        watched.handle(watched.deadline_ns())
        assert process.signals == [signal.SIGUSR1, signal.SIGKILL]

    def test_a_heartbeat_in_the_channel_counts_first(self, made: tuple[Child, FakeProcess, Channel]) -> None:
        watched, process, theirs = made
        theirs.send(Heartbeat(0, 0))
        watched.handle(SILENCE_LIMIT_NS + 10)
        assert process.signals == []
        assert watched.deadline_ns() == 2 * SILENCE_LIMIT_NS + 10

    def test_after_a_pause_it_has_a_turn(self, made: tuple[Child, FakeProcess, Channel]) -> None:
        watched, process, _theirs = made
        later = SILENCE_LIMIT_NS + 60 * SECOND
        watched.handle(later)
        assert process.signals == []
        watched.handle(watched.deadline_ns())
        assert process.signals == [signal.SIGUSR1]
        assert watched.deadline_ns() > later + SECOND


class TestJob:
    def run(self, work: Any, limit_ns: int = 10 * SECOND) -> tuple[bytes, str]:
        loop = Loop()
        told: list[tuple[bytes, str]] = []
        job = Job("job", work, time.monotonic_ns() + limit_ns, lambda output, wrong: told.append((output, wrong)))
        loop.add(job)
        while not told:
            loop.turn()
        loop.remove(job)
        job.close()
        assert len(told) == 1
        return told[0]

    def test_the_whole_output(self) -> None:
        def work(descriptor: int) -> int:
            with open(descriptor, "wb") as file:
                file.write(b"x" * 5_000_000)
            return 0

        assert self.run(work) == (b"x" * 5_000_000, "")

    def test_how_it_failed(self) -> None:
        assert self.run(lambda descriptor: 7) == (b"", "exit status 7")

        def work(_descriptor: int) -> int:
            os.kill(os.getpid(), signal.SIGKILL)
            return 0

        assert self.run(work) == (b"", "killed by SIGKILL")

    def test_one_that_takes_too_long(self) -> None:
        def work(_descriptor: int) -> int:
            time.sleep(60)
            return 0

        assert self.run(work, 50 * MS) == (b"", "it took too long")

    def test_who_started_it_is_killed_meanwhile(self, tmp_path: Path) -> None:
        """That is no bug of the one that cannot tell its result any more."""
        begun, log = tmp_path / "begun", tmp_path / "log"

        def work(output: int) -> int:
            begun.touch()
            while os.getppid() != 1 and not (tmp_path / "go").exists():
                time.sleep(0.01)
            with open(output, "wb") as file:
                file.write(bytes(1 << 20))
            return 0

        starter = os.fork()
        if not starter:
            logging.getLogger().addHandler(logging.FileHandler(log))
            Job("test", work, NEVER, lambda output, wrong: None)
            signal.pause()
        while not begun.exists():
            time.sleep(0.01)
        (pid,) = map(int, Path(f"/proc/{starter}/task/{starter}/children").read_text().split())
        os.kill(starter, signal.SIGKILL)
        os.waitpid(starter, 0)
        (tmp_path / "go").touch()
        end = time.monotonic() + 10
        while _lives(pid):
            assert time.monotonic() < end
            time.sleep(0.01)
        assert log.read_text() == ""


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Failing:
    """A source that raises as often as it is told to; ``reading``: its descriptor, which is always ready."""

    def __init__(self, failures: int, reading: int = -1) -> None:
        self.turns = 0
        self.failures = failures
        self.reading = reading

    def fileno(self) -> int:
        return self.reading

    def deadline_ns(self) -> int:
        return 0 if self.reading < 0 else NEVER

    def handle(self, now_ns: int) -> None:
        self.turns += 1
        if self.turns <= self.failures:
            raise RuntimeError("a mistake")


@pytest.fixture
def ready() -> Iterator[int]:
    """A descriptor that is always readable."""
    reading, writing = os.pipe()
    os.close(writing)
    yield reading
    os.close(reading)


@pytest.mark.parametrize("with_descriptor", [False, True])
def test_a_source_that_fails_is_tried_again_later_and_later(
    with_descriptor: bool, ready: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Ten failures within 0.2 ms, as of a full file system, are over a moment later."""
    now = SECOND
    loop = Loop(clock=lambda: now)
    failing = Failing(10, ready if with_descriptor else -1)
    loop.add(failing)
    loop.add(Failing(0))  # always due, so that the loop does not wait for the time of day
    times = []
    for _turn in range(3000):
        before = failing.turns
        loop.turn()
        times += [now - SECOND] if failing.turns > before else []
        now += MS
    assert times[:11] == [0, *(((1 << number) - 1) * MS for number in range(1, 11))]
    # and is one like any other again
    assert len(times) == 3000 - 1023 + 10
    assert "Failing failed; this is a bug" in caplog.text
    assert "Failing failed 10 times in a row; it is tried again in 0.512 s" in caplog.text


def test_a_source_that_always_fails_keeps_neither_the_others_nor_the_log_busy(
    ready: int, caplog: pytest.LogCaptureFixture
) -> None:
    now = SECOND
    loop = Loop(clock=lambda: now)
    failing, other = Failing(1 << 60, ready), Failing(0)
    loop.add(failing)
    loop.add(other)
    for _turn in range(3600):
        loop.turn()
        now += SECOND
    assert (other.turns, failing.turns) == (3600, 411)
    assert len(caplog.records) < 30
    loop.remove(failing)
    loop.turn()
    assert (other.turns, failing.turns) == (3601, 411)
