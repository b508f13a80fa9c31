# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""MISC_CHECK with real programs, friendly and hostile, through the scheduler and its spawner."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from agent_loop import run_until

from _lvs_agent.health import misc
from _lvs_agent.health.attempt import Outcome
from _lvs_agent.health.plan import CheckId, CheckPlan, MiscCheck, Timing
from _lvs_agent.health.scheduler import Scheduler
from _lvs_agent.script_commands import Commands, RefusedCommand
from _lvs_agent.spawn import Spawner

pytestmark = pytest.mark.root

SECOND = 1_000_000_000
Script = Callable[[str], str]


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that other users can enter."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.fixture
def script(place: Path) -> Script:
    def write(text: str) -> str:
        path = place / f"script{len(list(place.iterdir()))}"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    return write


class World:
    """A scheduler that runs MISC_CHECKs, and what it told."""

    def __init__(self) -> None:
        self.told: dict[int, tuple[bool, Outcome]] = {}
        self.spawner = Spawner()
        self.scheduler = Scheduler(self._changed, self.spawner)

    def _changed(self, check: CheckId, up: bool, outcome: Outcome) -> None:
        self.told[check.ordinal] = (up, outcome)

    def configure(self, *checks: MiscCheck, interval_s: float = 60) -> None:
        plans = [
            CheckPlan(
                CheckId("TCP 192.0.2.1:80", "192.0.2.10:80", "MISC_CHECK", number),
                Timing(int(interval_s * SECOND), check.timeout_ns, SECOND, 0, 60 * SECOND, 1, 1),
                check,
            )
            for number, check in enumerate(checks)
        ]
        self.scheduler.configure(plans, time.monotonic_ns())

    def until(self, seen: Callable[[], object], limit_s: float = 20) -> None:
        run_until([self.spawner, self.scheduler], seen, limit_s)

    def outcomes(self, *checks: MiscCheck) -> list[Outcome]:
        """The first outcome of each."""
        self.configure(*checks)
        self.until(lambda: len(self.told) == len(checks))
        return [self.told[number][1] for number in range(len(checks))]


@pytest.fixture
def world() -> Iterator[World]:
    one = World()
    yield one
    one.scheduler.close()
    one.spawner.close()


def check(line: str, user: str = "nobody", timeout_s: float = 10, dynamic: bool = False) -> MiscCheck:
    """As from_conf makes it of a command line."""
    return MiscCheck(Commands().command(line, user), int(timeout_s * SECOND), dynamic)


def test_exit_statuses(world: World, script: Script) -> None:
    exits = script('echo "$2"; exit $1')
    outcomes = world.outcomes(
        check(f"{exits} 0 fine"),
        check(f"{exits} 1 'the disk is full'"),
        check(f"{exits} 7 much"),
        check(f"{exits} 0 fine", dynamic=True),
        check(f"{exits} 1 bad", dynamic=True),
        check(f"{exits} 2 less", dynamic=True),
        check(f"{exits} 255 more", dynamic=True),
        check(script("kill -SEGV $$")),
    )
    assert outcomes == [
        Outcome(True),
        Outcome(False, "it ended with exit status 1: the disk is full"),
        Outcome(False, "it ended with exit status 7: much"),
        Outcome(True),
        Outcome(False, "it ended with exit status 1: bad"),
        Outcome(True, "exit status 2: less", 0),
        Outcome(True, "exit status 255: more", 253),
        Outcome(False, "it was ended by SIGSEGV"),
    ]


def test_whom_it_runs_as(world: World, script: Script, place: Path) -> None:
    who = place / "who"
    who.touch()
    who.chmod(0o666)
    assert world.outcomes(check(script(f"id -un > {who}; id -gn >> {who}"), "daemon"))[0].ok
    assert who.read_text() == "daemon\ndaemon\n"


def test_one_that_hangs_has_failed_in_time_and_is_ended_with_its_children(
    world: World, script: Script, place: Path
) -> None:
    pids = place / "pids"
    pids.touch()
    pids.chmod(0o666)
    path = script(f"trap '' TERM; sleep 100 & echo $! >> {pids}; echo $$ >> {pids}; while :; do sleep 1; done")
    assert world.outcomes(check(path, timeout_s=0.5)) == [Outcome(False, "it did not end within 0.5 s")]
    numbers = [int(word) for word in pids.read_text().split()]
    assert len(numbers) == 2
    world.until(lambda: not world.spawner.running())
    world.until(lambda: not any(_runs(number) for number in numbers))


def _runs(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_children_left_behind_do_not_hold_it_up(world: World, script: Script) -> None:
    assert world.outcomes(check(script("sleep 5 & exit 0"))) == [Outcome(True)]


def test_much_output(world: World, script: Script) -> None:
    path = script("head -c 10000000 /dev/zero | tr '\\0' x; echo; echo the end; exit 1")
    assert world.outcomes(check(path)) == [Outcome(False, "it ended with exit status 1: the end")]


def test_what_cannot_be_executed_is_no_weight(world: World, place: Path, script: Script) -> None:
    path = script("exit 0")
    plan = check(path, dynamic=True)
    Path(path).unlink()
    outcome = world.outcomes(plan)[0]
    assert not outcome.ok
    assert "setpriv: failed to execute" in outcome.why


def test_a_program_that_everybody_may_write_is_refused_by_name(world: World, script: Script) -> None:
    path = script("exit 0")
    os.chmod(path, 0o777)
    with pytest.raises(RefusedCommand, match=path) as refused:
        check(path)
    why = f"{path} is not run: {refused.value}"
    assert world.outcomes(MiscCheck(None, SECOND, refused=why)) == [Outcome(False, why)]


def test_a_bound_on_how_many_run(
    world: World, script: Script, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Those that have to wait are not failures."""
    monkeypatch.setattr(misc, "MOST_AT_ONCE", 4)
    most = 0

    def done() -> bool:
        nonlocal most
        most = max(most, world.spawner.running())
        return len(world.told) == 12

    world.configure(*[check(script("sleep 0.2"))] * 12)
    world.until(done)
    assert most == 4
    assert all(outcome == Outcome(True) for _up, outcome in world.told.values())
    assert world.scheduler.postponed >= 8
    assert "checks are late: 4 programs run at once" in caplog.text


def test_a_reload_ends_what_nobody_asks_for_any_more(world: World, script: Script) -> None:
    world.configure(check(script("sleep 100")))
    world.until(lambda: world.spawner.running() == 1)
    world.configure()
    world.until(lambda: not world.spawner.running())
    assert world.told == {}


def test_again_and_again(world: World, script: Script, place: Path) -> None:
    state = place / "state"
    state.write_text("0")
    world.configure(check(script(f"exit $(cat {state})"), dynamic=True), interval_s=0.05)
    world.until(lambda: world.told.get(0) == (True, Outcome(True)))
    for number, seen in ((12, (True, 10)), (1, (False, None)), (22, (True, 20)), (0, (True, None))):
        state.write_text(str(number))
        world.until(lambda seen=seen: (world.told[0][0], world.told[0][1].weight) == seen)  # type: ignore[misc]
