# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history: bounded, survives restarts, and whatever is in its file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _lvs_agent.control.events import Events, event, parse
from _lvs_agent.control.verb_events import line

LINES = ['{"time": 1}', "[]", "[" * 5000, '{"time": "t", "kind": "k", "cause": "c"}']


def test_an_event_in_words() -> None:
    one = event(1_700_000_000_123_456_789, "transition", "resumed", name="VI", former="INIT", state="MASTER")
    assert one["time"] == "2023-11-14T22:13:20.123Z"
    assert line(one) == "2023-11-14T22:13:20.123Z transition VI INIT -> MASTER: resumed"


def test_the_newest_by_name_and_kind(tmp_path: Path) -> None:
    events = Events(str(tmp_path))
    for number in range(10):
        events.add(event(number, "transition" if number % 2 else "alarm", str(number), name=f"VI_{number % 3}"))
    assert [one["cause"] for one in events.last(3)] == ["7", "8", "9"]
    assert [one["cause"] for one in events.last(3, name="VI_0")] == ["3", "6", "9"]
    assert [one["cause"] for one in events.last(2, name="VI_0", kind="alarm")] == ["0", "6"]
    events.close()


def test_it_survives_a_restart_and_a_broken_line(tmp_path: Path) -> None:
    first = Events(str(tmp_path))
    first.add(event(0, "start", "one"))
    first.close()
    path = tmp_path / "events.jsonl"
    path.write_bytes(path.read_bytes() + b'\xff\n{"time": "2026-01-01T0')
    again = Events(str(tmp_path))
    again.add(event(1, "start", "two"))
    again.close()
    assert [one["cause"] for one in Events(str(tmp_path)).last(9)] == ["one", "two"]
    assert json.loads(path.read_text("utf-8", "replace").splitlines()[-1])["cause"] == "two"


def test_the_disk_holds_two_files_at_most(tmp_path: Path) -> None:
    events = Events(str(tmp_path), most_bytes=2000)
    for number in range(200):
        events.add(event(number, "alarm", f"cause {number}"))
    events.close()
    files = {one.name: one.stat().st_size for one in tmp_path.iterdir()}
    assert files.keys() == {"events.jsonl", "events.jsonl.1"}
    assert max(files.values()) <= 2000
    kept = [one["cause"] for one in Events(str(tmp_path), most_bytes=2000).last(200)]
    assert kept == [f"cause {number}" for number in range(200 - len(kept), 200)]
    assert len(kept) > 20


def test_a_directory_that_is_not_there_is_told_and_nothing_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    events = Events(str(tmp_path / "no"))
    events.add(event(0, "start", "one"))
    assert events.path is None
    assert [one["cause"] for one in events.last(9)] == ["one"]
    assert "in memory only" in caplog.text


def test_a_file_that_cannot_be_written_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("_lvs_agent.control.events.time.monotonic", lambda: now)
    events = Events(str(tmp_path / "later"))
    events.add(event(0, "start", "one"))
    now += 61
    events.add(event(0, "start", "two"))
    (tmp_path / "later").mkdir()
    events.add(event(0, "start", "three"))
    now += 61
    events.add(event(0, "start", "four"))
    events.close()
    assert [one["cause"] for one in Events(str(tmp_path / "later")).last(9)] == ["four"]
    assert len(caplog.records) == 1


@given(st.lists(st.text() | st.sampled_from(LINES)))
def test_nothing_in_a_file_is_an_error(lines: list[str]) -> None:
    assert all(line(one) for one in parse(lines))
