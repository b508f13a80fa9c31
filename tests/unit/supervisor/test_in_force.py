# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration in force survives a crash, and nobody else's file is ever unpickled."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

import pytest

from _lvs_agent.script_commands import Commands
from _lvs_agent.supervisor import in_force
from _lvs_agent.supervisor.in_force import InForce
from _lvs_agent.supervisor.reader import Settings
from _lvs_agent.track.plans import TrackPlans
from _lvs_agent.vrrp.plan import Plan

SETTINGS = Settings(Plan(rt_priority=7), TrackPlans(), Commands("", False, False, 60, 0), None, (), 0o22, lvs=b"lvs")


@pytest.fixture(autouse=True)
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process was started from one file."""
    path = tmp_path / "program"
    path.write_text("1")
    monkeypatch.setattr(sys, "argv", [str(path)])
    return path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    directory = tmp_path / "run"
    directory.mkdir(mode=0o755)
    InForce(str(directory), "boot").write(SETTINGS)
    return directory


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.mkdir, (f"{os.environ['PWD']}/exploded",))


def test_what_is_written_is_taken_once(place: Path) -> None:
    assert (place / "in-force").stat().st_mode & 0o777 == 0o600
    taken = InForce(str(place), "boot").take()
    assert taken is not None
    assert (taken.plan, taken.settings()) == (SETTINGS.plan, SETTINGS)
    # what we die of is not tried again
    assert list(place.iterdir()) == []
    assert InForce(str(place), "boot").take() is None


def test_that_of_another_boot_or_program_is_not(place: Path, program: Path) -> None:
    content = (place / "in-force").read_bytes()
    assert InForce(str(place), "another").take() is None
    assert list(place.iterdir()) == []
    InForce(str(place), "boot").write(SETTINGS)
    assert (place / "in-force").read_bytes() == content
    program.write_text("another one")
    assert InForce(str(place), "boot").take() is None


def test_a_checkout_writes_none(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "in-force").unlink()
    monkeypatch.setattr(sys, "argv", [in_force.__file__])
    InForce(str(place), "boot").write(SETTINGS)
    assert list(place.iterdir()) == []
    assert InForce(str(place), "boot").take() is None


@pytest.mark.parametrize("wrong", ["mode", "link", "directory", "fifo", "owner"])
def test_what_others_may_have_written_is_never_unpickled(
    place: Path, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PWD", str(tmp_path))
    path = place / "in-force"
    header = path.read_bytes().partition(b"\n")[0] + b"\n"
    path.write_bytes(header + pickle.dumps(Bomb()))
    if wrong == "mode":
        path.chmod(0o640)
    elif wrong == "link":
        path.rename(tmp_path / "real")
        path.symlink_to(tmp_path / "real")
    elif wrong == "directory":
        place.chmod(0o775)
    elif wrong == "fifo":
        path.unlink()
        os.mkfifo(path, 0o600)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert InForce(str(place), "boot").take() is None
    assert not (tmp_path / "exploded").exists()
    # the test can fail: with nothing wrong it does explode
    if wrong == "mode":
        path.chmod(0o600)
        InForce(str(place), "boot").take()
        assert (tmp_path / "exploded").exists()


@pytest.mark.parametrize("length", [1, 40, 200])
def test_half_a_file_is_none(place: Path, length: int, caplog: pytest.LogCaptureFixture) -> None:
    content = (place / "in-force").read_bytes()
    header = len(content.partition(b"\n")[0]) + 1
    (place / "in-force").write_bytes(content[: header + length])
    taken = InForce(str(place), "boot").take()
    assert taken is None or taken.settings() is None


def test_one_that_is_too_long_is_not_kept(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_force, "_LONGEST", 100)
    assert InForce(str(place), "boot").take() is None
    InForce(str(place), "boot").write(SETTINGS)
    assert list(place.iterdir()) == []


def test_one_that_cannot_be_written_is_a_warning(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    InForce(str(place / "nowhere"), "boot").write(SETTINGS)
    assert "may cost its VIPs a fail-over" in caplog.text
