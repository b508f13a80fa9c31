# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who was master survives the daemon: what is written, what is read back, and what of it is resumed."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _lvs_agent.supervisor.state_file import Saved, StateFile, boot_id, parse, resumable
from _lvs_agent.vrrp.actions import State
from _lvs_agent.vrrp.messages import Resume, TrackResult
from _lvs_agent.vrrp.plan import Identity, TrackKind

ONE, TWO = Identity(51, 4, "ens33", ""), Identity(52, 6, "eth0.100", "fe80::1")


def test_masters_of_this_boot_are_resumed() -> None:
    states = {ONE: State.MASTER, TWO: State.BACKUP}
    assert resumable(Saved("boot", 7, states), "boot") == (Resume(ONE, 7),)
    assert resumable(Saved("boot", 7, {ONE: State.HANDOVER, TWO: State.FAULT}), "boot") == ()
    assert resumable(Saved("boot", 7, states), "another") == ()
    assert resumable(None, "boot") == ()


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    file = StateFile(str(tmp_path / "state.json"), boot_id())
    assert file.read() is None
    file.states({ONE: State.MASTER, TWO: State.FAULT}, 5)
    file.alive(9)
    results = (TrackResult(TrackKind.SCRIPT, "chk", False), TrackResult(TrackKind.FILE, "load", True, -7))
    file.results([*results, TrackResult(TrackKind.SCRIPT, "new", None)])
    assert file.read() == Saved(boot_id(), 9, {ONE: State.MASTER, TWO: State.FAULT}, results)
    assert [one.name for one in tmp_path.iterdir()] == ["state.json"]
    assert (tmp_path / "state.json").stat().st_mode & 0o777 == 0o600
    file.remove()
    assert file.read() is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"version": 2, "boot_id": "b", "alive_ns": 1, "instances": [], "tracked": []}',
        '{"version": 1, "boot_id": "b", "alive_ns": "1", "instances": [], "tracked": []}',
        '{"version": 1, "boot_id": "b", "alive_ns": 1, "instances": [[51, 4, "ens33"]], "tracked": []}',
        '{"version": 1, "boot_id": "b", "alive_ns": 1, "instances": [[51, 4, "ens33", "", "KING"]], "tracked": []}',
        '{"version": 1, "boot_id": "b", "alive_ns": 1, "instances": [], "tracked": [["script", "chk", null, 0]]}',
        "[" * 100_000,
    ],
)
def test_a_file_of_no_use_is_told_and_resumes_nobody(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)
    assert StateFile(str(path), "b").read() is None
    assert "of no use" in caplog.text


@given(st.text() | st.recursive(st.integers() | st.text() | st.none(), st.lists).map(str))
def test_no_text_but_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        pytest.fail(f"taken for a state file: {parse(text)}")


def test_a_directory_that_is_gone_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = StateFile(str(tmp_path / "no" / "state.json"), "b")
    file.alive(1)
    file.alive(2)
    assert caplog.text.count("No such file") == 1
