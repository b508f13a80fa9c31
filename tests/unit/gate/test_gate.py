# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate's own decisions: what runs beside what, what is resumed, what its end says."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import gate
import gate_report
from gate import Part
from gate_report import Result

SPEED, LINT, LAB, BOTH_CORES = (
    Part("machine", gate.FIRST), Part("lint", gate.BACKGROUND), Part("lab", gate.BESIDE), Part("both", gate.LAST)
)  # fmt: skip


class Recorded(gate.Runner):
    """Starts nothing: notes each part's start and end; those in `failing` do not pass."""

    def __init__(self, failing: tuple[str, ...] = (), meet: threading.Barrier | None = None) -> None:
        super().__init__()
        self.log: list[str] = []
        self.failing = failing
        self.meet = meet

    def run(self, part: Part, *, shown: bool) -> Result:
        self.log.append(f"+{part.name}")
        if self.meet is not None and part in (LINT, LAB):
            self.meet.wait(10)
        result = Result(part.name, 1.0, part.name not in self.failing)
        self.results.append(result)
        self.log.append(f"-{part.name}")
        return result


def test_the_background_runs_beside_the_lab_and_ends_before_what_needs_both_cores() -> None:
    runner = Recorded(meet=threading.Barrier(2))
    gate.two_lanes(runner, (LINT, BOTH_CORES, LAB, SPEED))
    assert runner.log[:2] == ["+machine", "-machine"]
    assert runner.log[-2:] == ["+both", "-both"]
    assert set(runner.log[2:-2]) == {"+lint", "-lint", "+lab", "-lab"}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git checkout with one file and a place for the gate's notes."""
    for words in (("init", "-q"), ("add", "file"), ("commit", "-qm", "x")):
        (tmp_path / "file").write_text("1")
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True)
    monkeypatch.setattr(gate, "CHECKOUT", tmp_path)
    monkeypatch.setattr(gate, "PASSED", tmp_path / ".git/passed.json")
    return tmp_path


def started(runner: Recorded) -> list[str]:
    return [line[1:] for line in runner.log if line.startswith("+")]


PARTS = tuple(Part(name, gate.LAST) for name in ("one", "two", "three"))


def test_what_passed_on_the_same_files_is_not_run_again(checkout: Path) -> None:
    first = Recorded(failing=("two",))
    gate.one_at_a_time(first, PARTS, fresh=False)
    assert started(first) == ["one", "two", "three"]
    second = Recorded()
    gate.one_at_a_time(second, PARTS, fresh=False)
    assert started(second) == ["two"]
    assert {result.name for result in second.results} == {"one", "two", "three"}


@pytest.mark.parametrize(
    "change",
    [
        lambda checkout: (checkout / "file").write_text("2"),
        lambda checkout: (checkout / "new").write_text(""),
        lambda checkout: (checkout / ".git/passed.json").write_text("not JSON"),
    ],
    ids=["changed file", "new file", "damaged note"],
)
def test_everything_is_run_again(checkout: Path, change: Callable[[Path], object]) -> None:
    gate.one_at_a_time(Recorded(), PARTS, fresh=False)
    change(checkout)
    runner = Recorded()
    gate.one_at_a_time(runner, PARTS, fresh=False)
    assert started(runner) == ["one", "two", "three"]


def test_an_edit_of_a_new_file_is_a_change(checkout: Path) -> None:
    (checkout / "new").write_text("1")
    before = gate.tree()
    (checkout / "new").write_text("2")
    assert gate.tree() != before


def test_fresh_starts_from_the_front(checkout: Path) -> None:
    gate.one_at_a_time(Recorded(), PARTS, fresh=False)
    runner = Recorded()
    gate.one_at_a_time(runner, PARTS, fresh=True)
    assert started(runner) == ["one", "two", "three"]


def test_its_own_options_do_not_reach_the_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``make test-all ARGS=--fresh``: make hands its variables on to every make that it starts."""
    (tmp_path / "Makefile").write_text("one:\n\t@echo [$(ARGS)]\n")
    monkeypatch.setattr(gate, "CHECKOUT", tmp_path)
    monkeypatch.setattr(gate, "LOGS", tmp_path)
    monkeypatch.setenv("MAKEFLAGS", "-- ARGS=--fresh")
    assert gate.Runner().run(Part("one", gate.LAST), shown=False).passed
    assert (tmp_path / "one.log").read_text() == "[]\n"


def test_every_part_is_a_target_of_the_makefile() -> None:
    makefile = (Path(gate.__file__).parents[1] / "Makefile").read_text()
    known = {name for line in makefile.splitlines() if ":" in line for name in line.partition(":")[0].split()}
    known |= {word for line in makefile.splitlines() if line.startswith("LINTERS") for word in line.split()}
    scenarios = {path.parent.name for path in (Path(gate.__file__).parents[1] / "molecule").glob("*/molecule.yml")}
    known |= {f"molecule-{name}" for name in scenarios}
    names = {part.name for parts in gate.SETS.values() for part in parts}
    assert names - known == set()
    # nothing that a test-all should hold is left out
    assert {f"molecule-{name}" for name in scenarios} <= {part.name for part in gate.SETS["all"]}
    assert {part.name for part in gate.SETS["test"]} <= {part.name for part in gate.SETS["all"]}


JUNIT = """<testsuites><testsuite>
<testcase classname="tests.unit.test_a" name="test_slow[x]" time="12.5"/>
<testcase classname="tests.unit.test_a" name="test_quick" time="0.01"/>
</testsuite></testsuites>"""


def test_the_report_ends_on_pytests_closing_lines(tmp_path: Path) -> None:
    logs = tmp_path / "gate"
    logs.mkdir()
    (logs / "unit.xml").write_text(JUNIT)
    (logs / "cut.xml").write_text(JUNIT[:40])
    (logs / "unit.log").write_text(
        "== short test summary info ==\nFAILED a::b - x\n=== 1 failed, 2 passed in 0.10s ===\nmake: Error 1\n"
    )
    text = gate_report.whole([Result("unit", 3.2, False)], ["unit", "long"], logs, 4.0)
    lines = text.splitlines()
    assert lines[-1] == "=== 1 failed, 2 passed in 0.10s ==="
    assert "FAILED a::b - x" in lines
    assert "unit                     3  FAILED" in lines
    assert "   12.5  unit: test_a::test_slow[x]" in lines


def test_a_run_of_pytest_that_did_not_end_is_said(tmp_path: Path) -> None:
    text = gate_report.whole([Result("unit", 3.2, False)], ["unit"], tmp_path, 4.0)
    assert text.splitlines()[-1] == "unit: pytest did not come to its end"
