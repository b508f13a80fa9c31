# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracked scripts, processes and files: real ones, on this machine."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_loop import Source, run_until

from _lvs_agent.spawn import Command, Spawner
from _lvs_agent.track.files import FilePlan, TrackFiles
from _lvs_agent.track.processes import TrackProcesses
from _lvs_agent.track.quorum import ProcessPlan
from _lvs_agent.track.scripts import ScriptPlan, TrackScripts
from _lvs_agent.vrrp.messages import TrackResult

pytestmark = pytest.mark.root

MS = 1_000_000


class Reports:
    """What was told, with the time."""

    def __init__(self) -> None:
        self.told: list[tuple[float, TrackResult, str]] = []

    def __call__(self, result: TrackResult, why: str) -> None:
        self.told.append((time.monotonic(), result, why))

    @property
    def ups(self) -> list[bool | None]:
        return [result.up for _when, result, _why in self.told]

    @property
    def values(self) -> list[int]:
        return [result.value for _when, result, _why in self.told]


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    one = Spawner()
    yield one
    one.close()


def shell(text: str) -> Command:
    return Command(("sh", "-c", text), "/bin/sh", 0, 0, "root", "/root")


def plan(text: str, interval_ms: int = 100, timeout_ms: int = 1000, rise: int = 1, fall: int = 1) -> ScriptPlan:
    return ScriptPlan("chk", shell(text), interval_ms * MS, timeout_ms * MS, rise, fall)


def test_a_script_goes_down_and_up(spawner: Spawner, tmp_path: Path) -> None:
    reports = Reports()
    scripts = TrackScripts(spawner, reports)
    scripts.configure([plan(f"test ! -e {tmp_path}/bad || {{ echo no backend; exit 7; }}", rise=2, fall=3)], 0)
    sources: list[Source] = [spawner, scripts]
    run_until(sources, lambda: reports.ups == [True])
    (tmp_path / "bad").touch()
    begun = time.monotonic()
    run_until(sources, lambda: reports.ups == [True, False])
    assert time.monotonic() - begun >= 0.15  # the third failure, every 100 ms
    assert reports.told[-1][2] == "it ended with exit status 7: no backend"
    (tmp_path / "bad").unlink()
    run_until(sources, lambda: reports.ups == [True, False, True])
    assert [result.up for result in scripts.results()] == [True]


def test_one_that_hangs_is_down_at_its_timeout(spawner: Spawner) -> None:
    reports = Reports()
    scripts = TrackScripts(spawner, reports)
    begun = time.monotonic()
    scripts.configure([plan("trap '' TERM; while :; do sleep 1; done", timeout_ms=300)], time.monotonic_ns())
    run_until([spawner, scripts], lambda: reports.ups)
    assert time.monotonic() - begun >= 0.3
    assert reports.ups == [False]
    assert reports.told[0][2] == "it did not end within 0.3 s"
    assert spawner.running() == 1  # it hangs on: what was told does not wait for SIGKILL


def test_a_changed_one_waits_for_its_run_before_the_change(spawner: Spawner, tmp_path: Path) -> None:
    """Also one that was taken out, and that a later change brings back."""
    log = tmp_path / "log"
    reports = Reports()
    scripts = TrackScripts(spawner, reports)
    slow = f"trap 'sleep 0.5; echo old ends >> {log}; exit' TERM; echo old >> {log}; while :; do sleep 0.01; done"
    scripts.configure([plan(slow, interval_ms=60_000, timeout_ms=60_000)], time.monotonic_ns())
    run_until([spawner, scripts], lambda: log.exists() and log.read_text() == "old\n")
    new = plan(f"echo new >> {log}", interval_ms=60_000)
    scripts.configure([plan(f"echo between >> {log}")], time.monotonic_ns())
    scripts.configure([], time.monotonic_ns())
    scripts.configure([new], time.monotonic_ns())
    run_until([spawner, scripts], lambda: reports.ups)
    assert log.read_text().splitlines() == ["old", "old ends", "new"]
    assert reports.ups == [True]


def test_a_slow_one_runs_once_at_a_time_on_its_grid(spawner: Spawner, tmp_path: Path) -> None:
    reports = Reports()
    scripts = TrackScripts(spawner, reports)
    log = tmp_path / "log"
    begun = time.monotonic()
    scripts.configure([plan(f"echo begin >>{log}; sleep 0.25; echo end >>{log}")], time.monotonic_ns())
    run_until([spawner, scripts], lambda: log.exists() and len(log.read_text().splitlines()) == 10)
    assert log.read_text().split() == ["begin", "end"] * 5
    # two of three are left out, and the third is on time
    assert time.monotonic() - begun >= 4 * 0.3 + 0.25
    assert scripts.status()[0].overruns >= 8


def test_a_script_that_is_deleted_is_down(spawner: Spawner, tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_text("#!/bin/sh\nexit 0\n")
    path.chmod(0o755)
    reports = Reports()
    scripts = TrackScripts(spawner, reports)
    command = Command((str(path),), str(path), 0, 0)
    scripts.configure([ScriptPlan("chk", command, 100 * MS, 1000 * MS)], time.monotonic_ns())
    run_until([spawner, scripts], lambda: reports.ups == [True])
    path.unlink()
    run_until([spawner, scripts], lambda: reports.ups == [True, False])
    assert "No such file" in reports.told[-1][2]


def test_refused_and_reconfigured(spawner: Spawner) -> None:
    reports = Reports()
    scripts = TrackScripts(spawner, reports)
    refused = ScriptPlan("chk", None, 100 * MS, 100 * MS, refused="/tmp/x is writable by everybody (mode 0777)")
    scripts.configure([refused], time.monotonic_ns())
    assert reports.ups == [False]
    assert "(mode 0777)" in reports.told[0][2]
    scripts.configure([plan("exit 0")], time.monotonic_ns())
    run_until([spawner, scripts], lambda: reports.ups == [False, True])
    # other numbers: still up, nothing is told again
    scripts.configure([plan("exit 0", rise=3)], time.monotonic_ns())
    assert [result.up for result in scripts.results()] == [True]
    scripts.configure([], time.monotonic_ns())
    run_until([spawner, scripts], lambda: spawner.running() == 0)
    assert scripts.results() == []
    assert len(reports.told) == 2


def test_a_process_is_followed(tmp_path: Path) -> None:
    name = "trackedsleep"
    program = tmp_path / name
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    reports = Reports()
    processes = TrackProcesses(reports)
    by_name = ProcessPlan("p", (name,), terminate_delay_ns=0)
    processes.configure([by_name], time.monotonic_ns())
    assert reports.ups == [False]
    child = subprocess.Popen([program, "1000"])
    try:
        run_until([processes], lambda: reports.ups == [False, True], 4)
        begun = time.monotonic()
        child.kill()
        # a zombie is none, though nobody has waited for it yet
        run_until([processes], lambda: reports.ups == [False, True, False], 4)
        assert reports.told[-1][0] - begun < 0.5  # /proc is looked at every second
    finally:
        child.kill()
        child.wait()
        processes.close()


def test_processes_by_their_command_lines(tmp_path: Path) -> None:
    reports = Reports()
    processes = TrackProcesses(reports)
    delayed = ProcessPlan("p", ("sleep", "12345"), quorum=2, terminate_delay_ns=500 * MS)
    children = [subprocess.Popen(["sleep", "12345"]) for _each in range(2)]
    other = subprocess.Popen(["sleep", "12346"])
    try:
        run_until([], lambda: all(Path(f"/proc/{one.pid}/comm").read_text() == "sleep\n" for one in children))
        processes.configure([delayed], time.monotonic_ns())
        assert reports.ups == [True]
        begun = time.monotonic()
        children[0].kill()
        run_until([processes], lambda: reports.ups == [True, False])
        assert reports.told[-1][0] - begun >= 0.5
        assert reports.told[-1][2] == "1 processes, 2 are wanted"
    finally:
        for child in (*children, other):
            child.kill()
            child.wait()
        processes.close()


def test_files(tmp_path: Path) -> None:
    reports = Reports()
    files = TrackFiles(reports)
    there, made = tmp_path / "there", tmp_path / "made"
    there.write_text("5\n")
    plans = [FilePlan("there", str(there), 9), FilePlan("made", str(made), 7), FilePlan("far", f"{tmp_path}/d/far")]
    files.configure(plans, time.monotonic_ns())
    assert {result.name: result.value for result in files.results()} == {"there": 5, "made": 7, "far": 0}
    reports.told.clear()
    begun = time.monotonic()
    there.write_text("-20")
    run_until([files], lambda: reports.values == [-20])
    assert time.monotonic() - begun < 0.9  # not by looking every second
    # replaced at one stroke, as one should
    (tmp_path / "draft").write_text("30")
    os.replace(tmp_path / "draft", there)
    run_until([files], lambda: reports.values == [-20, 30])
    there.write_text("no number")
    run_until([files], lambda: reports.values == [-20, 30, 0])
    there.write_text("99999999999999")
    run_until([files], lambda: reports.values[3:] == [2**31 - 1])
    there.unlink()
    run_until([files], lambda: reports.values[4:] == [0])
    # a directory that was not there, and goes again
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "far").write_text("1")
    run_until([files], lambda: reports.values[5:] == [1])
    (tmp_path / "d" / "far").unlink()
    (tmp_path / "d").rmdir()
    run_until([files], lambda: reports.values[6:] == [0])
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "far").write_text("2")
    run_until([files], lambda: reports.values[7:] == [2])
    files.close()


def test_a_fifo_or_a_directory_for_a_file_stops_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    files = TrackFiles(Reports())
    files.configure([FilePlan("f", f"{tmp_path}/fifo"), FilePlan("d", str(tmp_path))], time.monotonic_ns())
    assert [result.value for result in files.results()] == [0, 0]
    files.close()


def test_the_first_value_overwrites_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("5 and more")
    files = TrackFiles(Reports())
    files.configure([FilePlan("f", str(path), 3, True)], time.monotonic_ns())
    assert path.read_text() == "3\n"
    # a symbolic link is not written through
    target = tmp_path / "target"
    target.write_text("8")
    path.unlink()
    path.symlink_to(target)
    files.configure([FilePlan("f", str(path), 4, True)], time.monotonic_ns())
    assert target.read_text() == "8"
    assert files.results()[0].value == 8
    files.close()
