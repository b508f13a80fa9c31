# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a set of tests part by part: ``python scripts/gate.py fast|test|all [--fresh]`` in the checkout.

Each part is a target of the Makefile. `fast` and `test` run on two lanes: parts that keep a core busy run in the
background at the lowest priority, beside those that boot hosts; what needs both cores or measures this machine runs
before or after. `all` runs one part at a time and remembers what passed: started again on the same files, it continues
where it was interrupted.
The log of every part is build/gate/PART.log. The end of the output is a table of all parts, the slowest tests, and
pytest's closing lines. Exit status: 0 all parts passed, 1 one failed, 130 interrupted.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import gate_report
from gate_report import Result

CHECKOUT = Path(__file__).resolve().parents[1]
LOGS = CHECKOUT / "build/gate"
PASSED = LOGS / "passed.json"
FAILED_TAIL_LINES = 100
STOP_S = 90.0


FIRST, BACKGROUND, BESIDE, LAST = "first", "background", "beside", "last"


@dataclass(frozen=True)
class Part:
    """A target of the Makefile. `lane`: FIRST, BACKGROUND and BESIDE it, or LAST; `pytest`: writes a JUnit report."""

    name: str
    lane: str
    pytest: bool = False


LINT = tuple(
    Part(name, BACKGROUND)
    for name in ("ansible-lint", "mypy", "shellcheck", "ruff", "vermin", "yamllint")
)  # fmt: skip
ARTEFACT = tuple(Part(name, BACKGROUND) for name in ("sanity", "docs-lint", "docs", "importer"))
UNIT = Part("unit", BACKGROUND, pytest=True)
UNIT_HOST = Part("unit-host", BACKGROUND, pytest=True)
CORE_2_18 = Part("core-2.18", BACKGROUND, pytest=True)
TEST = (
    Part("machine", FIRST), *LINT, UNIT, UNIT_HOST, CORE_2_18, *ARTEFACT, Part("molecule-default", BESIDE),
    Part("integration", LAST, pytest=True), Part("measured", LAST, pytest=True),
)  # fmt: skip

SETS: dict[str, tuple[Part, ...]] = {
    "fast": (Part("unit-fast", BESIDE, pytest=True), *LINT),
    "test": TEST,
    "all": (
        *TEST, Part("sanity-core-2.18", LAST), Part("core-newest", LAST, pytest=True), Part("sanity-core-newest", LAST),
        Part("long", LAST, pytest=True),
        Part("molecule-operations", LAST), Part("molecule-engines", LAST), Part("molecule-single_nic", LAST),
        Part("molecule-proxies", LAST), Part("molecule-nginx", LAST), Part("molecule-databases", LAST),
    ),
}  # fmt: skip


class Interrupted(Exception):
    """SIGINT or SIGTERM arrived."""


class Runner:
    """Starts parts, shows what they print, and ends what is left of them."""

    def __init__(self) -> None:
        self.results: list[Result] = []
        self._running: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()
        self._stopping = False

    def run(self, part: Part, *, shown: bool) -> Result:
        """Run one part to its end. `shown`: copy its output to ours, else only the end of a failed part's."""
        environment = dict(os.environ)
        if part.pytest:
            environment["PYTEST_ADDOPTS"] = f"--junitxml={LOGS / part.name}.xml"
        log = LOGS / f"{part.name}.log"
        start = time.monotonic()
        with log.open("wb") as file, self._child(part, environment) as child:
            assert child.stdout is not None
            for line in child.stdout:
                file.write(line)
                if shown:
                    sys.stdout.buffer.write(line)
                    sys.stdout.buffer.flush()
        result = Result(part.name, time.monotonic() - start, child.returncode == 0)
        with self._lock:
            self.results.append(result)
            if not result.passed and not shown:
                sys.stdout.writelines(gate_report.tail(log, FAILED_TAIL_LINES))
            if not shown or not result.passed:
                say(f"==> {part.name}: {'ok' if result.passed else 'FAILED'} ({result.seconds:.0f} s)")
        return result

    def stop(self) -> None:
        """End every part that runs: interrupt, then kill the process group after STOP_S seconds."""
        self._stopping = True
        with self._lock:
            running = list(self._running)
        for child in running:
            _signal(child, signal.SIGINT)
        deadline = time.monotonic() + STOP_S
        for child in running:
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(child, signal.SIGKILL)

    @contextmanager
    def _child(self, part: Part, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
        # ARGS are the gate's own, and make hands them on to what it calls
        argv = ["make", "--no-print-directory", "ARGS=", part.name]
        if part.lane == BACKGROUND:
            argv = ["scripts/background", *argv]
        with self._lock:
            if self._stopping:
                raise Interrupted
            child = subprocess.Popen(
                argv, cwd=CHECKOUT, env=environment, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            self._running.append(child)
        # What an exception leaves running, stop() ends.
        yield child
        if child.stdout is not None:
            child.stdout.close()
        child.wait()
        with self._lock:
            self._running.remove(child)


def _signal(child: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        pass


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def two_lanes(runner: Runner, parts: Sequence[Part]) -> None:
    """Run the parts: the first ones, the background's beside those of their own lane, the last ones."""

    def background() -> None:
        try:
            for part in parts:
                if part.lane == BACKGROUND:
                    runner.run(part, shown=False)
        except Interrupted:
            pass

    def shown(lane: str) -> None:
        for part in parts:
            if part.lane == lane:
                runner.run(part, shown=True)

    beside = threading.Thread(target=background)
    try:
        shown(FIRST)
        beside.start()
        shown(BESIDE)
        beside.join()
        shown(LAST)
    except BaseException:
        runner.stop()
        raise


def one_at_a_time(runner: Runner, parts: Sequence[Part], fresh: bool) -> None:
    """Run the parts in turn, without those that passed on the same files before."""
    key = tree()
    passed = [] if fresh else _passed(key)
    runner.results += passed
    for part in parts:
        if part.name in {result.name for result in passed}:
            say(f"==> {part.name}: passed before on these files")
            continue
        say(f"==> {part.name}")
        try:
            result = runner.run(replace(part, lane=LAST), shown=True)
        except BaseException:
            runner.stop()
            raise
        if result.passed and key:
            passed.append(result)
            PASSED.write_text(json.dumps({"tree": key, "passed": [asdict(one) for one in passed]}))


def tree() -> str:
    """Hash of all files of the checkout, as git knows them; empty without git, when nothing can be resumed."""
    digest = hashlib.sha256()
    for words in (("rev-parse", "HEAD"), ("diff", "HEAD")):
        done = subprocess.run(["git", *words], cwd=CHECKOUT, capture_output=True)
        if done.returncode:
            return ""
        digest.update(done.stdout)
    new = subprocess.run(
        ["git", "ls-files", "-z", "--others", "--exclude-standard"], cwd=CHECKOUT, capture_output=True, check=True
    )
    for name in filter(None, new.stdout.split(b"\0")):
        digest.update(name + b"\0" + (CHECKOUT / os.fsdecode(name)).read_bytes())
    return digest.hexdigest()


def _passed(key: str) -> list[Result]:
    try:
        kept = json.loads(PASSED.read_text())
    except (OSError, ValueError):
        return []
    if not key or kept["tree"] != key:
        return []
    return [Result(**one) for one in kept["passed"]]


def main() -> int:
    """Run the set, then report."""
    parser = argparse.ArgumentParser(prog="gate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--fresh", action="store_true", help="run parts again that passed before (all)")
    arguments = parser.parse_args()
    parts = SETS[arguments.set]
    LOGS.mkdir(parents=True, exist_ok=True)
    for part in parts:
        (LOGS / f"{part.name}.xml").unlink(missing_ok=True)

    def interrupted(_number: int, _frame: object) -> None:
        raise Interrupted

    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGINT, interrupted)
    runner = Runner()
    setup_s = float(os.environ.get("SETUP_S", "0"))
    runner.results.append(Result("packages", setup_s, True))
    start = time.monotonic() - setup_s
    try:
        if arguments.set == "all":
            one_at_a_time(runner, parts, arguments.fresh)
        else:
            two_lanes(runner, parts)
    except Interrupted:
        say("interrupted")
        return 130
    pytests = [part.name for part in parts if part.pytest]
    say(gate_report.whole(runner.results, pytests, LOGS, time.monotonic() - start))
    return 0 if all(result.passed for result in runner.results) else 1


if __name__ == "__main__":
    sys.exit(main())
