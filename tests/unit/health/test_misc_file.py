# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""MISC_CHECK and FILE_CHECK: what exit statuses and numbers mean (keepalived.conf(5))."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from one_check import begin

from _lvs_agent.health.attempt import Outcome
from _lvs_agent.health.file import judge as judge_file
from _lvs_agent.health.file import prepare
from _lvs_agent.health.misc import judge as judge_end
from _lvs_agent.health.plan import CheckId, CheckPlan, FileCheck, MiscCheck, Timing
from _lvs_agent.health.scheduler import Scheduler
from _lvs_agent.spawn import SECOND, Finished


def end(status: int, output: str = "") -> Finished:
    return Finished(status, False, False, output, 0, 0, 0)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("status", range(256))
def test_each_exit_status(status: int, dynamic: bool) -> None:
    outcome = judge_end(MiscCheck(None, 1, dynamic), end(status))
    if dynamic and status >= 2:
        assert (outcome.ok, outcome.weight) == (True, status - 2)
    else:
        assert (outcome.ok, outcome.weight) == (status == 0, None)
        assert (f"exit status {status}" in outcome.why) is (status != 0)


@pytest.mark.parametrize("dynamic", [False, True])
def test_what_is_no_answer_of_the_program(dynamic: bool) -> None:
    check = MiscCheck(None, 1, dynamic)
    assert judge_end(check, end(-15)) == Outcome(False, "it was ended by SIGTERM")
    why = "setpriv: failed to execute /x: Permission denied"
    assert judge_end(check, end(126, why + "\n")) == Outcome(False, f"it ended with exit status 126: {why}")


def test_a_program_that_is_refused() -> None:
    assert begin(MiscCheck(None, 1, refused="/x is not run: because")).outcome == Outcome(
        False, "/x is not run: because"
    )


@pytest.mark.parametrize(
    "weight, reverse, number, ok, adds",
    [
        (0, False, 0, True, 0),
        (0, False, 1, False, None),
        (0, False, -1, False, None),
        (1, False, 5, True, 5),
        (-3, False, 5, True, -15),
        (3, True, 5, True, -15),
        (2147483647, False, 2147483647, True, 2147483647),
        (1, False, -2147483647, True, -2147483647),
        (2, False, -1073741824, False, None),
        (2, True, 1073741824, False, None),
    ],
)
def test_numbers(weight: int, reverse: bool, number: int, ok: bool, adds: int | None) -> None:
    for dynamic in (False, True):
        outcome = judge_file(FileCheck("f", "/f", weight, reverse, dynamic), number)
        assert outcome.ok is ok
        assert outcome.weight == (adds if dynamic and weight else None)
        assert bool(outcome.why) is not ok


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "file"
    check = FileCheck("f", str(path), 0)
    assert begin(check).outcome == Outcome(True, f"{path} is not there")
    for content, ok in (("1\n", False), (" 0 ", True), ("drained", True), ("", True), ("-7", False)):
        path.write_text(content)
        outcome = begin(check).outcome
        assert outcome is not None
        assert outcome.ok is ok


def test_first_numbers_are_written_once(tmp_path: Path) -> None:
    one = FileCheck("one", str(tmp_path / "one"), init=5)
    two = FileCheck("two", str(tmp_path / "two"), init=6, overwrite=True)
    none = FileCheck("none", str(tmp_path / "none"))
    (tmp_path / "two").write_text("0")
    prepare([one, two, none], [])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["one", "two"]
    assert [(tmp_path / name).read_text() for name in ("one", "two")] == ["5\n", "6\n"]
    (tmp_path / "one").write_text("1")
    (tmp_path / "two").write_text("2")
    prepare([one, two, none], [two])
    assert [(tmp_path / name).read_text() for name in ("one", "two")] == ["1", "2"]


def test_a_reload_writes_no_first_number_again(tmp_path: Path) -> None:
    """Nor does a process that comes after another one."""
    path = tmp_path / "file"
    check = FileCheck("f", str(path), dynamic=True, init=5, overwrite=True)
    now = time.monotonic_ns()
    news: list[tuple[str, bool, int]] = []

    def changed(which: CheckId, up: bool, outcome: Outcome) -> None:
        news.append((which.server, up, outcome.weight or 0))

    def plans(*servers: str) -> list[CheckPlan]:
        every_second = Timing(SECOND, SECOND, SECOND, 0, SECOND, 1, 1)
        return [CheckPlan(CheckId("service", server, "FILE_CHECK"), every_second, check) for server in servers]

    def run(scheduler: Scheduler, second: int) -> None:
        scheduler.handle(now + second * SECOND)

    first = Scheduler(changed, clock=lambda: now)
    first.configure(plans("a"), now)
    run(first, 1)
    path.write_text("7")
    first.configure(plans("a", "b"), now)
    run(first, 3)
    known = first.results()
    first.close()
    second = Scheduler(changed, clock=lambda: now)
    second.know(known)
    second.configure(plans("a", "b", "c"), now)
    run(second, 5)
    second.close()
    assert sorted(news) == [("a", True, 5), ("a", True, 7), ("b", True, 7), ("c", True, 7)]
