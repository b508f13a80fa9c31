# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Successes and failures of a tracked script: keepalived.conf(5), and keepalived's counter written down beside it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _lvs_agent.track.rise_fall import RiseFall, Schedule


class Counter:
    """keepalived 2.2's own: one number from 0 to rise + fall - 1; below rise it is down."""

    def __init__(self, rise: int, fall: int, init_fail: bool) -> None:
        self.rise, self.fall = rise, fall
        self.first = not init_fail
        self.number = rise - 1 if self.first else 0
        self.up: bool | None = False if init_fail else None

    def result(self, ok: bool) -> None:
        if ok:
            if self.number < self.rise - 1:
                self.number += 1
            else:
                self.up = True
                self.number = self.rise + self.fall - 1
        elif self.number > self.rise:
            self.number -= 1
        else:
            if self.number == self.rise or self.first:
                self.up = False
            self.number = 0
        self.first = False


@given(st.integers(1, 5), st.integers(1, 5), st.booleans(), st.lists(st.booleans(), max_size=40))
def test_as_keepalived_counts(rise: int, fall: int, init_fail: bool, results: list[bool]) -> None:
    ours, theirs = RiseFall(rise, fall, False if init_fail else None), Counter(rise, fall, init_fail)
    for ok in results:
        before = ours.up
        assert ours.result(ok) is (ours.up is not before)
        theirs.result(ok)
        assert ours.up is theirs.up


@pytest.mark.parametrize(
    "up, results, expected",
    [
        # the first one decides, whatever rise and fall
        (None, "+", True),
        (None, "-", False),
        # init_fail: rise successes
        (False, "++", False),
        (False, "+++", True),
        (False, "++-++", False),
        (True, "-", True),
        (True, "--", False),
        (True, "-+-", True),
    ],
)
def test_rise_3_fall_2(up: bool | None, results: str, expected: bool) -> None:
    script = RiseFall(3, 2, up)
    for one in results:
        script.result(one == "+")
    assert script.up is expected


def test_other_numbers_keep_what_is_known() -> None:
    script = RiseFall(1, 3, True)
    script.result(False)
    changed = script.reconfigured(1, 2)
    assert changed.up
    assert changed.result(False)


def test_a_late_run_does_not_shift_the_next() -> None:
    schedule = Schedule(100, 10)
    assert [schedule.due(now) for now in (99, 100, 101, 110, 119, 120)] == [0, 1, 0, 1, 0, 1]
    # three are missed, one answers for all
    assert schedule.due(155) == 3
    assert schedule.next_ns == 160
