# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which configuration is the last one that worked."""

from __future__ import annotations

from typing import Any

from _lvs_agent.supervisor.probation import Probation

SECOND = 1_000_000_000
FIRST: Any = "the first"
SECOND_ONE: Any = "the second"
THIRD: Any = "the third"


def worked(first: Any = FIRST) -> Probation:
    found = Probation()
    found.begin(first)
    found.carried_out(0)
    found.alive(30 * SECOND)
    return found


def test_two_deaths_lead_back() -> None:
    probation = worked()
    probation.begin(SECOND_ONE)
    assert probation.died() is None
    assert probation.died() is FIRST
    # whatever kills the process now, it is not what was new
    assert probation.died() is None


def test_deaths_after_it_was_carried_out_count_too() -> None:
    probation = worked()
    probation.begin(SECOND_ONE)
    for at in (31, 33):
        probation.carried_out(at * SECOND)
        probation.alive((at + 1) * SECOND)
        last = probation.died()
    assert last is FIRST


def test_what_was_lived_with_long_enough_has_worked() -> None:
    probation = worked()
    probation.begin(SECOND_ONE)
    probation.died()
    probation.carried_out(40 * SECOND)
    probation.alive(70 * SECOND - 1)
    assert probation.worked is FIRST
    probation.alive(70 * SECOND)
    assert probation.worked is SECOND_ONE
    assert probation.died() is None
    assert probation.died() is None


def test_the_first_one_leads_nowhere() -> None:
    probation = Probation()
    probation.begin(FIRST)
    assert [probation.died() for _death in range(4)] == [None] * 4


def test_one_that_was_carried_out_is_good_enough_when_another_one_comes() -> None:
    probation = worked()
    probation.begin(SECOND_ONE)
    probation.carried_out(31 * SECOND)
    probation.begin(THIRD)
    probation.died()
    assert probation.died() is SECOND_ONE
    probation.begin(THIRD)
    probation.died()
    assert probation.died() is SECOND_ONE


def test_one_that_was_never_carried_out_is_not() -> None:
    probation = worked()
    probation.begin(SECOND_ONE)
    probation.begin(THIRD)
    probation.died()
    assert probation.died() is FIRST
