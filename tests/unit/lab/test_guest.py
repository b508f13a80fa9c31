# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest as a process, with a stand-in for its kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from _lab import guest as guests
from _lab.errors import LabError
from _lab.plan import Guest, Plan


@pytest.fixture
def guest(plan: Plan, tmp_path: Path) -> Guest:
    """A guest with a directory, which never booted."""
    found = plan.guest("web01")
    guests.guest_dir(tmp_path, found).mkdir(parents=True)
    return found


@pytest.fixture
def process(guest: Guest, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The process that passes for the guest's kernel."""
    argv = [sys.executable, "-c", "import signal; signal.pause()", f"umid={tmp_path.name}.{guest.name}"]
    with subprocess.Popen(argv, start_new_session=True) as process:
        (guests.guest_dir(tmp_path, guest) / "pid").write_text(f"{process.pid}\n")
        # The kernel lets the parent go on before it has stored the command line of the new program.
        while argv[-1].encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes():
            pass
        yield process
        process.kill()


def test_a_guest_that_never_booted(guest: Guest, tmp_path: Path) -> None:
    assert guests.pid_of(tmp_path, guest) is None
    assert guests.state_of(tmp_path, guest) == "down"
    assert not guests.kill(tmp_path, guest)
    with pytest.raises(LabError, match="host web01 is down; boot it first"):
        guests.set_frozen(tmp_path, guest, True)


def test_a_strangers_process_is_not_the_guest(guest: Guest, tmp_path: Path) -> None:
    (guests.guest_dir(tmp_path, guest) / "pid").write_text(f"{os.getpid()}\n")
    assert guests.state_of(tmp_path, guest) == "down"
    assert not guests.kill(tmp_path, guest)


def test_freeze_thaw_and_crash(guest: Guest, tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    assert guests.pid_of(tmp_path, guest) == process.pid
    assert guests.state_of(tmp_path, guest) == "running"
    guests.set_frozen(tmp_path, guest, True)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    assert guests.state_of(tmp_path, guest) == "frozen"
    guests.set_frozen(tmp_path, guest, False)
    os.waitid(os.P_PID, process.pid, os.WCONTINUED)
    assert guests.state_of(tmp_path, guest) == "running"
    assert guests.kill(tmp_path, guest)
    assert guests.state_of(tmp_path, guest) == "down"
    assert not guests.kill(tmp_path, guest)


def test_a_frozen_guest_can_crash(guest: Guest, tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    guests.set_frozen(tmp_path, guest, True)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    assert guests.kill(tmp_path, guest)


def test_the_consoles_last_lines(guest: Guest, tmp_path: Path) -> None:
    assert guests.console_tail(tmp_path, guest).endswith("(empty)")
    log = guests.guest_dir(tmp_path, guest) / "console.log"
    log.write_bytes(b"first\r\n\r\nsecond\r\nKernel panic \xff\r\n")
    assert guests.console_tail(tmp_path, guest, 2) == (
        f"; the last lines of its console ({log}):\n  second\n  Kernel panic \N{REPLACEMENT CHARACTER}"
    )


def test_a_guest_that_ends_while_booting(
    plan: Plan, guest: Guest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guests, "_greets", lambda plan, guest: False)
    (guests.guest_dir(tmp_path, guest) / "console.log").write_text("Kernel panic\n")
    with pytest.raises(LabError, match=r"host web01 ended while booting; .*\n  Kernel panic"):
        guests.wait_until_up(tmp_path, plan, [guest], 60, lambda text: None)


@pytest.mark.usefixtures("process")
def test_a_guest_that_does_not_answer(
    plan: Plan, guest: Guest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guests, "_greets", lambda plan, guest: False)
    with pytest.raises(LabError, match="no answer from web01 within 0 s; the last lines"):
        guests.wait_until_up(tmp_path, plan, [guest], 0, lambda text: None)


def test_guests_that_answer(plan: Plan, guest: Guest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guests, "_greets", lambda plan, guest: True)
    said: list[str] = []
    guests.wait_until_up(tmp_path, plan, [guest, plan.guest("client")], 0, said.append)
    assert said == ["web01 is up after 0 s", "client is up after 0 s"]
