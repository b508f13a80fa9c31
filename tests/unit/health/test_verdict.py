# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a check is up and when it runs again: tables of keepalived's behaviour, and what rise and fall add."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _lvs_agent.health.plan import Timing
from _lvs_agent.health.verdict import Verdict, begun

SECOND = 1_000_000_000
TIMING = Timing(6 * SECOND, 5 * SECOND, 1 * SECOND, 0, 6 * SECOND)


def story(timing: Timing, results: str, verdict: Verdict | None = None) -> str:
    """Results as + and - -> for each U, D (news), u, d (no news), and seconds to the next run."""
    verdict = verdict or begun(timing)
    told = []
    for result in results:
        news = verdict.result(result == "+", timing)
        letter = "U" if verdict.up else "D"
        told.append(f"{letter if news else letter.lower()}{verdict.delay_ns(result == '+', timing) // SECOND}")
    return " ".join(told)


@pytest.mark.parametrize(
    "words, results, told",
    [
        # up at start; the first run of all decides alone, whatever retry says
        ({}, "+", "U6"),
        ({}, "-", "D6"),
        ({"fall": 4}, "-", "D6"),
        # retry 1 and its delay, then down, then one success
        ({}, "+-+-", "U6 u1 u6 u1"),
        ({}, "+--", "U6 u1 D6"),
        ({}, "+----", "U6 u1 D6 d6 d6"),
        ({}, "+--+--", "U6 u1 D6 U6 u1 D6"),
        # retry 3, retry 0
        ({"fall": 4}, "+----+", "U6 u1 u1 u1 D6 U6"),
        ({"fall": 4}, "+---+---", "U6 u1 u1 u1 u6 u1 u1 u1"),
        ({"fall": 1}, "+-+-", "U6 D6 U6 D6"),
        # alpha: down until the first success, which is enough, as in keepalived
        ({"alpha": True}, "-", "D6"),
        ({"alpha": True}, "--+", "D6 d6 U6"),
        ({"alpha": True}, "+--", "U6 u1 D6"),
        # ours: several successes, in a row
        ({"rise": 3}, "+--+++", "U6 u1 D6 d6 d6 U6"),
        ({"rise": 3}, "+--++-+++", "U6 u1 D6 d6 d6 d6 d6 d6 U6"),
        ({"rise": 2, "fall": 3, "alpha": True}, "+-+--+---++", "U6 u1 u6 u1 u1 u6 u1 u1 D6 d6 U6"),
    ],
)
def test_stories(words: dict[str, Any], results: str, told: str) -> None:
    assert story(replace(TIMING, **words), results) == told


def test_a_check_that_a_reload_adds_to_a_healthy_server() -> None:
    timing = replace(TIMING, alpha=True)
    assert story(timing, "--", begun(timing, beside_healthy=True)) == "u1 D6"
    assert begun(timing, beside_healthy=True).up
    assert not begun(timing).up


@given(st.text("+-", max_size=60), st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_it_changes_only_after_enough_results_in_a_row(results: str, rise: int, fall: int, alpha: bool) -> None:
    timing = replace(TIMING, rise=rise, fall=fall, alpha=alpha)
    verdict = begun(timing)
    for count, result in enumerate(results, 1):
        before = verdict.up
        verdict.result(result == "+", timing)
        if verdict.up != before and count > 1:
            needed = rise if verdict.up else fall
            assert results[:count].endswith(("+" if verdict.up else "-") * needed)
        assert verdict.streak < (fall if verdict.up else rise)
