# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping the VRRP process, with a process that is none: start, death, stop, and the one of the program before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from _lvs_agent.supervisor import child
from _lvs_agent.supervisor.child import Ended
from _lvs_agent.supervisor.loop import NEVER, Loop
from _lvs_agent.supervisor.state_file import StateFile
from _lvs_agent.supervisor.vip_removal import VipRemoval
from _lvs_agent.supervisor.vrrp_keeper import VrrpKeeper
from _lvs_agent.vrrp.actions import State
from _lvs_agent.vrrp.instance import Instance
from _lvs_agent.vrrp.messages import (
    Configure,
    Configured,
    Heartbeat,
    Leave,
    Ready,
    Resume,
    Stop,
    TrackResult,
    Transitioned,
)
from _lvs_agent.vrrp.plan import GroupPlan, Identity, InstancePlan, Plan, TrackKind

MS = 1_000_000
SECOND = 1000 * MS
VI = Identity(51, 4, "eth0", "")


class FakeChild:
    """Says what it is told to, and ends when it is told to."""

    def __init__(self, number: int, now: int, heard: Callable[[Any, int], None], ended: Callable[..., None]) -> None:
        self.pid = number
        self.started_ns = now
        self.sent: list[Any] = []
        self.killed = ""
        self.closed = False
        self.asked = False
        self.heard = heard
        self._ended = ended

    def fileno(self) -> int:
        return -1

    def deadline_ns(self) -> int:
        return NEVER

    def handle(self, now_ns: int) -> None:
        raise AssertionError(now_ns)

    def send(self, message: Any) -> None:
        self.sent.append(message)

    def end(self, message: Any) -> None:
        self.asked = True
        self.sent.append(message)

    def kill(self, why: str) -> None:
        self.killed = why

    def close(self) -> None:
        self.closed = True

    def dies(self, now: int) -> None:
        self._ended(Ended("killed by SIGKILL", now, self.asked), now)


IDENTITY_A = Identity(ord("A"), 4, "eth0", "")


def instance(name: str, advert_int: int) -> InstancePlan:
    parameters = Instance(name, ord(name), b"", (), version=3, advert_int=advert_int)
    return InstancePlan(parameters, 4, "eth0")


class Listener:
    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.deaths: list[tuple[str, int, int]] = []
        self.stops = 0
        self.gone_ones = 0
        self.known = True

    def heard(self, message: Any, now_ns: int) -> None:
        self.messages.append(message)

    def results(self) -> list[TrackResult]:
        return [TrackResult(TrackKind.SCRIPT, "chk", True if self.known else None)]

    def settled(self) -> bool:
        return self.known

    def died(self, ended: Ended, pid: int, again_ns: int) -> None:
        self.deaths.append((ended.how, pid, again_ns))

    def gone(self) -> None:
        self.gone_ones += 1

    def stopped(self) -> None:
        self.stops += 1


class Kept:
    """A keeper, and all children it has had."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.children: list[FakeChild] = []
        self.refused = False
        monkeypatch.setattr(child, "start", self._start)
        monkeypatch.setattr(child, "Child", self._adopted)
        self.listener = Listener()
        self.file = StateFile(str(directory / "state.json"), "boot")
        self.loop = Loop()
        self.keeper = VrrpKeeper(self.loop, lambda channel, adverts, first=(): 0, self.file, self.listener, adverts=-1)

    def _start(self, kind: Any, keep: Any, now: int, *, heard: Any, ended: Any) -> FakeChild:
        if self.refused:
            raise OSError(11, "Resource temporarily unavailable")
        return self._made(now, heard, ended)

    def _adopted(self, title: str, process: Any, channel: Any, now: int, *, heard: Any, ended: Any) -> FakeChild:
        return self._made(now, heard, ended)

    def _made(self, now: int, heard: Any, ended: Any) -> FakeChild:
        self.children.append(FakeChild(100 + len(self.children), now, heard, ended))
        return self.children[-1]

    @property
    def last(self) -> FakeChild:
        return self.children[-1]

    def serving(self, now: int = 0) -> FakeChild:
        """A process that was configured, and is master."""
        self.keeper.start(now)
        self.keeper.configure(Plan(), now)
        self.last.heard(Ready(), now)
        self.last.heard(Configured(), now)
        self.last.heard(transition(State.MASTER, now), now)
        return self.last


def transition(state: State, now: int, former: State = State.INIT, **more: Any) -> Transitioned:
    fields: dict[str, Any] = {"identity": VI, **more}
    return Transitioned("VI", state, former, "why", 100, now, 0, **fields)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    return Kept(tmp_path, monkeypatch)


def test_it_is_configured_when_it_is_ready_and_there_is_a_plan(kept: Kept) -> None:
    kept.keeper.start(0, (Resume(VI, 7),))
    kept.last.heard(Ready(), 1)
    assert kept.last.sent == []
    assert not kept.keeper.send(Stop())
    kept.keeper.configure(Plan(), 2)
    assert kept.last.sent == [TrackResult(TrackKind.SCRIPT, "chk", True), Configure(Plan(), (Resume(VI, 7),))]
    assert kept.keeper.send(Stop())


def test_a_plan_before_it_is_ready_and_another_one_later(kept: Kept) -> None:
    kept.keeper.start(0)
    kept.keeper.configure(Plan(), 1)
    assert kept.last.sent == []
    kept.last.heard(Ready(), 2)
    assert kept.last.sent[-1] == Configure(Plan())
    other = Plan(log_unknown_vrids=True)
    kept.keeper.configure(other, 3)
    assert kept.last.sent[-1] == Configure(other)


def test_the_first_results_are_waited_for_but_not_long_and_not_by_a_master(kept: Kept) -> None:
    kept.listener.known = False
    kept.keeper.start(0)
    kept.keeper.configure(Plan(), 0)
    kept.last.heard(Ready(), 0)
    assert kept.last.sent == []
    kept.keeper.handle(kept.keeper.deadline_ns())
    assert kept.last.sent == []
    kept.keeper.handle(SECOND)
    assert Configure(Plan()) in kept.last.sent


def test_it_dies_and_the_next_one_goes_on_as_master_at_once(kept: Kept) -> None:
    kept.serving()
    kept.listener.known = False
    kept.last.heard(Heartbeat(3 * SECOND, 0), 3 * SECOND)
    kept.last.dies(4 * SECOND)
    assert kept.listener.deaths == [("killed by SIGKILL", 100, 0)]
    assert (kept.keeper.child, kept.keeper.deaths) == (None, 1)
    assert kept.children[0].closed
    assert kept.listener.gone_ones == 1
    kept.keeper.handle(4 * SECOND)
    kept.last.heard(Ready(), 4 * SECOND)
    assert Configure(Plan(), (Resume(VI, 4 * SECOND),)) in kept.last.sent
    # and again, a little later; one that was not configured knows no more than the one before
    kept.last.dies(5 * SECOND)
    assert kept.listener.deaths[-1] == ("killed by SIGKILL", 101, 100 * MS)
    kept.keeper.handle(5 * SECOND)
    assert kept.keeper.child is None
    kept.keeper.handle(5 * SECOND + 100 * MS)
    kept.last.dies(6 * SECOND)
    assert kept.listener.deaths[-1][2] == 200 * MS


def test_what_was_told_is_not_told_again(kept: Kept) -> None:
    kept.serving()
    group = transition(State.MASTER, 1, group=True, identity=None)
    kept.last.heard(group, 1)
    assert kept.keeper.told == {(False, "VI"): State.MASTER, (True, "VI"): State.MASTER}
    saved = kept.file.read()
    assert saved is not None
    assert saved.told == kept.keeper.told
    kept.last.dies(SECOND)
    kept.keeper.handle(SECOND)
    kept.last.heard(Ready(), SECOND)
    told = [transition(State.MASTER, SECOND), group, transition(State.BACKUP, SECOND, State.MASTER)]
    for one in told:
        kept.last.heard(one, SECOND)
    again = [one.again for one in kept.listener.messages if isinstance(one, Transitioned)]
    assert again == [False, False, True, True, False]


def test_another_state_than_before_is_told(kept: Kept) -> None:
    kept.serving()
    kept.last.dies(SECOND)
    kept.keeper.handle(SECOND)
    kept.last.heard(Ready(), SECOND)
    kept.last.heard(transition(State.BACKUP, SECOND), SECOND)
    kept.last.heard(transition(State.MASTER, SECOND, State.BACKUP), SECOND)
    assert [one.again for one in kept.listener.messages[-2:]] == [False, False]


def test_who_is_in_the_plan_no_more_was_told_nothing(kept: Kept) -> None:
    kept.keeper.told.update({(False, "VI"): State.MASTER, (True, "G"): State.MASTER})
    kept.keeper.configure(Plan(groups=(GroupPlan("G", ()),)), 0)
    assert kept.keeper.told == {(True, "G"): State.MASTER}
    kept.serving()
    kept.last.heard(transition(State.INIT, 1, State.MASTER, removed=True), 1)
    assert (False, "VI") not in kept.keeper.told
    assert kept.keeper.states == {}


def test_a_process_that_cannot_be_started(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    kept.refused = True
    kept.keeper.start(0)
    assert kept.keeper.deadline_ns() == 100 * MS
    assert "Resource temporarily unavailable; once more in 0.1 s" in caplog.text
    kept.refused = False
    kept.keeper.handle(100 * MS)
    assert len(kept.children) == 1


@pytest.mark.parametrize("at_once", [False, True])
def test_stop(kept: Kept, at_once: bool) -> None:
    kept.serving()
    kept.keeper.stop(SECOND, 5 * SECOND, at_once=at_once)
    assert kept.last.sent[-1] == Stop(at_once)
    assert kept.listener.stops == 0
    kept.last.dies(2 * SECOND)
    assert (kept.listener.stops, kept.listener.deaths) == (1, [])
    assert kept.keeper.deadline_ns() == NEVER


def test_one_that_hangs_at_its_end_is_killed(kept: Kept) -> None:
    kept.serving()
    kept.keeper.stop(SECOND, 5 * SECOND)
    assert kept.keeper.deadline_ns() == 6 * SECOND
    kept.keeper.handle(6 * SECOND)
    assert kept.last.killed == "it did not end when it was told to"
    assert kept.listener.stops == 0
    kept.last.dies(6 * SECOND)
    assert kept.listener.stops == 1


def test_a_stop_while_the_next_one_waits_to_be_started(kept: Kept) -> None:
    kept.serving()
    for now in (1, 2):
        kept.last.dies(now)
        kept.keeper.handle(now)
    assert kept.keeper.child is None
    kept.keeper.stop(3, 5 * SECOND)
    assert kept.listener.stops == 1
    assert kept.keeper.deadline_ns() == NEVER
    assert len(kept.children) == 2


class TestNoProcessComesBack:
    """The VIPs of masters go when their backups have certainly taken over."""

    @pytest.fixture
    def removed(self, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
        """What is removed, by the names of the instances; the kernel is not asked."""
        found: list[list[str]] = []

        def begin(removal: VipRemoval, instances: Any, done: Callable[[bytes, str], None], now: int) -> bool:
            found.append([one.name for one in instances])
            done(b'[["10.0.0.1/24"], []]', "")
            return True

        monkeypatch.setattr(VipRemoval, "_begin", begin)
        self.serves(kept)
        return found

    def serves(self, kept: Kept) -> None:
        groups = (GroupPlan("G", ("A", "B")),)
        plan = Plan((instance("A", SECOND), instance("B", 10 * SECOND), instance("C", SECOND // 100)), groups)
        kept.keeper.start(0)
        kept.keeper.configure(plan, 0)
        kept.last.heard(Ready(), 0)
        kept.last.heard(Configured(), 0)
        for one in plan.instances:
            state = State.BACKUP if one.name == "C" else State.MASTER
            kept.last.heard(replace(transition(state, 0, identity=one.identity), name=one.name), 0)

    def dies_again_and_again(self, kept: Kept, until: int) -> None:
        """As soon as it has its plan."""
        now = SECOND
        kept.last.dies(now)
        while now < until:
            now = max(now, min(kept.keeper.deadline_ns(), until))
            former = len(kept.children)
            kept.keeper.handle(now)
            if len(kept.children) > former:
                kept.last.heard(Ready(), now)
                kept.last.dies(now)

    def test_each_in_its_time(self, kept: Kept, removed: list[list[str]]) -> None:
        self.dies_again_and_again(kept, 5 * SECOND - MS)
        assert removed == []
        self.dies_again_and_again(kept, 5 * SECOND)
        assert removed == [["A"]]
        told = [(one.name, one.state) for one in kept.listener.messages if isinstance(one, Transitioned)]
        assert told[-2:] == [("A", State.FAULT), ("G", State.FAULT)]
        self.dies_again_and_again(kept, 42 * SECOND)
        assert removed[-1] == ["B"]
        told = [(one.name, one.state) for one in kept.listener.messages if isinstance(one, Transitioned)]
        assert told.count(("G", State.FAULT)) == 1

    def test_one_that_is_back_keeps_them(self, kept: Kept, removed: list[list[str]]) -> None:
        self.dies_again_and_again(kept, 4 * SECOND)
        kept.keeper.handle(kept.keeper.deadline_ns())
        kept.last.heard(Ready(), 4 * SECOND)
        kept.keeper.handle(100 * SECOND)
        assert removed == []
        kept.last.heard(Configured(), 4 * SECOND)
        kept.last.dies(5 * SECOND)
        kept.keeper.handle(8 * SECOND)
        assert removed == []

    def test_the_end_of_the_daemon(self, kept: Kept, removed: list[list[str]]) -> None:
        """Of one that did not say that it has ended."""
        kept.last.heard(replace(transition(State.INIT, 0, identity=IDENTITY_A), name="A"), 0)
        kept.keeper.stop(SECOND, 5 * SECOND)
        kept.last.dies(2 * SECOND)
        assert removed == [["B"]]
        assert kept.listener.stops == 1


class TestUpgrade:
    """A process of the program before serves until ours can go on."""

    @pytest.fixture
    def former(self, kept: Kept) -> FakeChild:
        process: Any = None
        kept.keeper.states[VI] = State.MASTER
        kept.keeper.adopt(process, process, 0)
        kept.keeper.start(0)
        kept.keeper.configure(Plan(), 0)
        return kept.children[0]

    def test_it_leaves_and_ours_goes_on(self, kept: Kept, former: FakeChild) -> None:
        kept.last.heard(Ready(), SECOND)
        assert former.sent == [Leave()]
        assert kept.last.sent == []
        former.dies(SECOND + MS)
        assert kept.last.sent[-1] == Configure(Plan(), (Resume(VI, SECOND + MS),))
        assert kept.listener.deaths == []
        kept.keeper.told[False, "VI"] = State.MASTER
        kept.last.heard(transition(State.MASTER, 2 * SECOND), 2 * SECOND)
        assert kept.listener.messages[-1].again

    def test_it_is_killed_when_it_does_not_leave(self, kept: Kept, former: FakeChild) -> None:
        kept.last.heard(Ready(), SECOND)
        kept.keeper.handle(SECOND + 100 * MS)
        assert former.killed
        assert not kept.last.killed

    def test_it_serves_on_while_ours_waits_for_what_is_tracked(self, kept: Kept, former: FakeChild) -> None:
        kept.listener.known = False
        kept.last.heard(Ready(), SECOND)
        kept.keeper.handle(10 * SECOND)
        assert former.sent == []
        former.heard(transition(State.BACKUP, 10 * SECOND, State.MASTER), 10 * SECOND)
        assert kept.keeper.states[VI] is State.BACKUP
        kept.keeper.handle(11 * SECOND)
        assert former.sent == [Leave()]
        former.dies(11 * SECOND)
        # who gave way meanwhile is no master to be resumed, and our own scripts are waited for a moment
        kept.keeper.handle(12 * SECOND)
        assert kept.last.sent[-1] == Configure(Plan())

    def test_it_dies_by_itself(self, kept: Kept, former: FakeChild, caplog: pytest.LogCaptureFixture) -> None:
        former.dies(MS)
        assert "ended by itself: killed by SIGKILL" in caplog.text
        assert (kept.keeper.child is None, kept.last.closed) == (False, False)
        kept.last.heard(Ready(), SECOND)
        assert kept.last.sent[-1] == Configure(Plan(), (Resume(VI, MS),))

    def test_both_are_stopped(self, kept: Kept, former: FakeChild) -> None:
        kept.keeper.stop(SECOND, SECOND)
        assert former.sent == kept.last.sent == [Stop()]
        former.dies(SECOND)
        assert kept.listener.stops == 0
        kept.last.dies(SECOND)
        assert kept.listener.stops == 1

    def test_the_supervisor_is_gone(self, kept: Kept, former: FakeChild) -> None:
        kept.keeper.close()
        assert (former.closed, kept.last.closed) == (True, True)
        assert former.sent == kept.last.sent == []
