# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the gate prints at its end: the parts, the slowest tests, pytest's closing lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

SLOWEST = 20
_SUMMARY = "short test summary info"


@dataclass(frozen=True)
class Result:
    """How one part ended."""

    name: str
    seconds: float
    passed: bool


@dataclass(frozen=True)
class TestTime:
    """Seconds of one test with its fixtures, and the report it stands in."""

    name: str
    seconds: float
    report: str


def whole(results: Sequence[Result], pytests: Iterable[str], logs: Path, wall_s: float) -> str:
    """The closing text: a table of the parts, the slowest tests of all reports, what failed, pytest's last lines."""
    reports = [*sorted(logs.glob("*.xml")), *sorted((logs.parent / "molecule").glob("*/*.xml"))]
    lines = ["", *parts_table(results, wall_s), "", *slowest_table(times(reports)), ""]
    closing = []
    for name in pytests:
        if any(result.name == name for result in results):
            *summary, last = closing_lines(logs / f"{name}.log") or [f"{name}: pytest did not come to its end"]
            lines += summary
            closing.append(last)
    return "\n".join([*lines, *closing])


def parts_table(results: Sequence[Result], wall_s: float) -> list[str]:
    """A line a part, in the order in which they ended."""
    rows = [f"{result.name:<18} {result.seconds:>7.0f}  {'ok' if result.passed else 'FAILED'}" for result in results]
    failed = sum(not result.passed for result in results)
    total = f"{'by the clock':<18} {wall_s:>7.0f}  {f'{failed} FAILED' if failed else 'ok'}"
    return [f"{'part':<18} {'seconds':>7}  verdict", *rows, total]


def slowest_table(found: Iterable[TestTime]) -> list[str]:
    """The slowest tests, the slowest first."""
    ordered = sorted(found, key=lambda test: -test.seconds)[:SLOWEST]
    return ["seconds  slowest tests", *(f"{test.seconds:>7.1f}  {test.report}: {test.name}" for test in ordered)]


def times(reports: Iterable[Path]) -> list[TestTime]:
    """The tests of JUnit reports; one that is cut off (its run was killed) counts as empty."""
    found = []
    for report in reports:
        name = report.stem if report.parent.name == "gate" else report.parent.name
        try:
            root = ET.parse(report).getroot()
        except ET.ParseError:
            continue
        for case in root.iter("testcase"):
            file = case.get("classname", "").rpartition(".")[2]
            found.append(TestTime(f"{file}::{case.get('name')}", float(case.get("time", "0")), name))
    return found


def closing_lines(log: Path) -> list[str]:
    """pytest's own summary and last line, such as "==== 5034 passed in 1070.12s ====", from its log."""
    lines = [line.rstrip("\n") for line in tail(log, 400)]
    last = max((n for n, line in enumerate(lines) if line.startswith("=") and " in " in line), default=None)
    if last is None:
        return []
    first = max((n for n, line in enumerate(lines[:last]) if _SUMMARY in line), default=last)
    return lines[first : last + 1]


def tail(file: Path, count: int) -> list[str]:
    """The last lines of a file, each with its line feed; empty when there is no such file."""
    try:
        return file.read_text(errors="replace").splitlines(keepends=True)[-count:]
    except FileNotFoundError:
        return []
