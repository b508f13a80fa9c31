# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""keepalived's own sample files: our verdict on each is keepalived's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from _lvs_agent.conf.problem import ERROR
from _lvs_agent.conf.read import file_problems, read_file

SAMPLES = sorted(Path("/usr/share/doc/keepalived/samples").glob("keepalived.conf.*"))

# what keepalived -t finds on this machine, not in the file: interfaces that it does not have; and how it is said today
ASIDE = (
    "doesn't exist",
    "Non-existent interface",
    "cannot track route",
    "Rule has no preference",
    "is deprecated. Please use",
)


def test_there_are_samples() -> None:
    assert len(SAMPLES) > 20


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: str(path.name))
def test_the_verdict_is_keepaliveds(path: Path, keepalived_says: Callable[[str], str]) -> None:
    said = [line for line in keepalived_says(path.read_text()).splitlines() if "exit status" not in line]
    theirs = [line for line in said if not any(reason in line for reason in ASIDE)]
    ours = file_problems(read_file(str(path)))
    errors = [str(one) for one in ours if one.severity == ERROR]
    assert ours if theirs else not errors, (theirs, errors)
