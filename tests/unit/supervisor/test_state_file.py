# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who was master survives the daemon: what is written, what is read back, and what of it is resumed."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _lvs_agent.supervisor.state_file import Saved, StateFile, boot_id, parse, resumes
from _lvs_agent.vrrp.actions import State
from _lvs_agent.vrrp.last_adverts import LastAdverts
from _lvs_agent.vrrp.messages import Resume, TrackResult
from _lvs_agent.vrrp.plan import Identity, TrackKind

ONE, TWO = Identity(51, 4, "ens33", ""), Identity(52, 6, "eth0.100", "fe80::1")


def test_masters_are_resumed(tmp_path: Path) -> None:
    with (tmp_path / "adverts").open("w+b") as file:
        number = file.fileno()
        assert resumes({ONE: State.MASTER, TWO: State.BACKUP}, 7, number) == (Resume(ONE, 7),)
        assert resumes({ONE: State.HANDOVER, TWO: State.FAULT}, 7, number) == ()
        record = LastAdverts(number)
        record.configure([ONE, TWO])
        record.sent(ONE, 5)
        # the record was written by the process itself, the states by who heard of them
        assert resumes({ONE: State.BACKUP, TWO: State.MASTER}, 7, number) == (Resume(ONE, 7, 5),)
        record.no_master(ONE)
        assert resumes({ONE: State.MASTER}, 7, number) == ()
    assert resumes({ONE: State.MASTER}, 7, -1) == (Resume(ONE, 7),)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    file = StateFile(str(tmp_path / "state.json"), boot_id())
    assert file.read() is None
    told = {(False, "V"): State.MASTER, (True, "G"): State.FAULT}
    file.states({ONE: State.MASTER, TWO: State.FAULT}, told, 5)
    file.alive(9)
    results = (TrackResult(TrackKind.SCRIPT, "chk", False), TrackResult(TrackKind.FILE, "load", True, -7))
    file.results([*results, TrackResult(TrackKind.SCRIPT, "new", None)])
    assert file.read() == Saved(boot_id(), 9, {ONE: State.MASTER, TWO: State.FAULT}, results, told)
    assert [one.name for one in tmp_path.iterdir()] == ["state.json"]
    assert (tmp_path / "state.json").stat().st_mode & 0o777 == 0o600
    file.remove()
    assert file.read() is None


def test_only_the_last_states_are_there(tmp_path: Path) -> None:
    """However they change: rows that have not are not made again."""
    file, reader = (StateFile(str(tmp_path / "state.json"), "boot") for _side in range(2))
    states: dict[Identity, State] = {}
    told: dict[tuple[bool, str], State] = {}
    for who, state in (
        (ONE, State.BACKUP),
        (TWO, State.MASTER),
        (ONE, State.MASTER),
        (ONE, None),
        (ONE, State.FAULT),
        (TWO, State.BACKUP),
        (TWO, None),
        (ONE, None),
    ):
        name = (False, who.interface)
        if state is None:
            del states[who], told[name]
        else:
            states[who] = told[name] = state
        file.states(states, told, 5)
        saved = reader.read()
        assert saved is not None
        assert (saved.states, saved.told) == (states, told)


def written(version: int = 1, alive_ns: object = 1, **lists: object) -> str:
    """A file's text, with something in it that was never written there."""
    content = {"version": version, "boot_id": "b", "alive_ns": alive_ns, "instances": [], "tracked": [], "told": []}
    return json.dumps({**content, **lists})


def test_an_empty_file() -> None:
    assert parse(written()) == Saved("b", 1, {})
    assert parse('{"version": 1, "boot_id": "b", "alive_ns": 1, "instances": [], "tracked": []}') == Saved("b", 1, {})


def test_a_draft_that_somebody_put_there_is_not_written_to(tmp_path: Path) -> None:
    theirs, path = tmp_path / "theirs", tmp_path / "state.json"
    theirs.write_text("")
    (tmp_path / f"state.json.{os.getpid()}").symlink_to(theirs)
    StateFile(str(path), "b").alive(1)
    assert theirs.read_text() == ""
    assert parse(path.read_text()).alive_ns == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        written(version=2),
        written(alive_ns="1"),
        written(instances=[[51, 4, "ens33"]]),
        written(instances=[[51, 4, "ens33", "", "KING"]]),
        written(tracked=[["script", "chk", None, 0]]),
        written(told=[[1, "V", "MASTER"]]),
        written(addresses=[["eth0", "zz", 24]]),
        written(settings=[["net/ipv4", 1]]),
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


def test_what_may_be_left_in_the_kernel_is_read_back_in_the_same_boot_only(tmp_path: Path) -> None:
    path = str(tmp_path / "state.json")
    addresses = (("eth0", bytes((10, 0, 0, 100)), 24),)
    borrowed = (("net/ipv4/conf/eth0/arp_ignore", "0"),)
    StateFile(path, "boot").owned(addresses, borrowed)
    same, other = StateFile(path, "boot"), StateFile(path, "another")
    for file in (same, other):
        saved = file.read()
        assert saved is not None
        assert (saved.addresses, saved.borrowed) == (addresses, borrowed)
    assert (same.left, other.left) == ((addresses, borrowed), ((), ()))
    # it goes on to be there until something else is known
    same.alive(7)
    again = StateFile(path, "boot")
    again.read()
    assert again.left == same.left
