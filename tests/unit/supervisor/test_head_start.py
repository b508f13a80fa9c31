# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a daemon finds at its start, and when a VRRP process goes on before anything else."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from _lvs_agent.script_commands import Commands
from _lvs_agent.supervisor import head_start
from _lvs_agent.supervisor.channel import Channel
from _lvs_agent.supervisor.in_force import InForce
from _lvs_agent.supervisor.reader import Settings
from _lvs_agent.supervisor.state_file import StateFile, boot_id
from _lvs_agent.track.plans import TrackPlans
from _lvs_agent.vrrp.actions import State
from _lvs_agent.vrrp.last_adverts import LastAdverts
from _lvs_agent.vrrp.messages import Configure, Remark, Resume, ToVrrp, TrackResult
from _lvs_agent.vrrp.plan import Identity, Plan, TrackKind

VI = Identity(51, 4, "eth0", "")
SETTINGS = Settings(Plan(rt_priority=7), TrackPlans(), Commands("", False, False, 60, 0), None, (), 0o22)
RESULT = TrackResult(TrackKind.SCRIPT, "chk", True)
SECOND = 1_000_000_000
LEFT = ("eth0", bytes((10, 0, 0, 100)), 24)


def entry(channel: Channel, adverts: int, first: Sequence[ToVrrp] = ()) -> int:
    """Says what it was told, and that it can write the record."""
    record = LastAdverts(adverts)
    record.configure([VI])
    record.sent(VI, 99)
    for message in first:
        channel.send(Remark(0, "", repr(message), 0))
    return 0


class Directory:
    """The runtime directory, as a daemon has left it that was alive so many seconds ago."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.starts: list[head_start.Start] = []

    def left(self, seconds: int = 1, boot: str = "") -> None:
        boot = boot or boot_id()
        file = StateFile(str(self.path / "state.json"), boot)
        file.results([RESULT])
        file.owned([LEFT], [("net/x", "1")])
        file.states({VI: State.MASTER}, {}, time.monotonic_ns() - seconds * SECOND)
        InForce(str(self.path), boot).write(SETTINGS)

    def begin(self, environment: dict[str, str] | None = None) -> head_start.Start:
        self.starts.append(head_start.begin(str(self.path), environment or {}, entry))
        return self.starts[-1]

    def close(self) -> None:
        for start in self.starts:
            for descriptor in (start.lock, start.adverts):
                with suppress(OSError):
                    os.close(descriptor)
            if start.running is not None:
                start.running.channel.close()
                os.waitpid(start.running.process.pid, 0)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Directory]:
    program = tmp_path / "program"
    program.write_text("")
    monkeypatch.setattr(sys, "argv", [str(program)])
    (tmp_path / "run").mkdir(mode=0o755)
    found = Directory(tmp_path / "run")
    yield found
    found.close()


def heard(channel: Channel) -> list[str]:
    """All that it says until its end."""
    channel.sock.setblocking(True)
    found: list[str] = []
    with suppress(Exception):
        while True:
            found += [one.text for one in channel.receive()]
    return found


def test_a_first_start_finds_nothing(directory: Directory) -> None:
    start = directory.begin()
    assert (start.inherited, start.saved, start.running) == (None, None, None)
    assert {one.name for one in directory.path.iterdir()} == {"lock", "adverts"}
    start.forget()
    assert {one.name for one in directory.path.iterdir()} == {"lock"}


def test_one_that_was_killed_goes_on_at_once(directory: Directory) -> None:
    directory.left()
    start = directory.begin()
    assert start.running is not None
    assert start.saved is not None
    assert start.running.resumes == (Resume(VI, start.saved.alive_ns),)
    assert start.running.taken.settings() == SETTINGS
    configure = Configure(SETTINGS.plan, start.running.resumes, (LEFT,), (("net/x", "1"),), former=(LEFT,))
    assert heard(start.running.channel) == [repr(RESULT), repr(configure)]
    # the process had the record, and the next one goes by it
    directory.close()
    directory.starts.clear()
    directory.left()
    again = directory.begin()
    assert again.running is not None
    assert [one.advert_ns for one in again.running.resumes] == [99]


@pytest.mark.parametrize("why", ["long ago", "another boot", "in the future", "no plan"])
def test_one_that_may_not_go_on_starts_like_any_other(directory: Directory, why: str) -> None:
    directory.left({"long ago": 600, "in the future": -600}.get(why, 1), "b" if why == "another boot" else "")
    if why == "no plan":
        (directory.path / "in-force").unlink()
    start = directory.begin()
    assert start.running is None
    assert (start.saved is None) == (why == "another boot")


def test_a_program_that_takes_over_starts_none_itself(directory: Directory) -> None:
    directory.left()
    lock = os.open(directory.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    start = directory.begin({"LVS_AGENT_TAKE_OVER": str(lock)})
    assert start.inherited is not None
    assert start.lock == lock
    assert start.running is None


def test_a_process_that_cannot_be_forked_is_started_later(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> int:
        raise OSError(11, "Resource temporarily unavailable")

    directory.left()
    monkeypatch.setattr(os, "fork", refuse)
    assert directory.begin().running is None
