# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The effective priority: the examples of keepalived.conf(5), track_script, track_file and the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _lvs_agent.vrrp.priority import Tracked, TrackedFile, effective


@pytest.mark.parametrize(
    "up, weight, reverse, expected",
    [
        # above 0: added while it is up
        (True, 20, False, 120),
        (False, 20, False, 100),
        # below 0: subtracted while it is down
        (True, -20, False, 100),
        (False, -20, False, 80),
        # reverse: the sign turned round
        (True, 20, True, 80),
        (False, 20, True, 100),
        (True, -20, True, 100),
        (False, -20, True, 120),
        # no result yet: neither
        (None, 20, False, 100),
        (None, -20, False, 100),
    ],
)
def test_weight(up: bool | None, weight: int, reverse: bool, expected: int) -> None:
    assert effective(100, [Tracked("script check", up, weight, reverse)]) == (expected, frozenset())


@pytest.mark.parametrize(
    "up, reverse, fault",
    [
        (True, False, ""),
        (False, False, "script check is down"),
        (True, True, "script check is up"),
        (False, True, ""),
        (None, False, "script check has no result yet"),
        (None, True, "script check has no result yet"),
    ],
)
def test_no_weight_is_a_fault(up: bool | None, reverse: bool, fault: str) -> None:
    faults = frozenset({fault} if fault else set())
    assert effective(100, [Tracked("script check", up, reverse=reverse)]) == (100, faults)


@pytest.mark.parametrize(
    "value, weight, reverse, priority, fault",
    [
        (5, 2, False, 110, False),
        (-5, 2, False, 90, False),
        (5, 2, True, 90, False),
        (0, 2, False, 100, False),
        # at -254 it is a fault
        (-127, 2, False, 100, True),
        (-126, 2, False, 1, False),
        (254, 254, False, 254, False),
        # without a weight: a number that is not 0
        (0, 0, False, 100, False),
        (1, 0, False, 100, True),
        (0, 0, True, 100, True),
        (1, 0, True, 100, False),
    ],
)
def test_file(value: int, weight: int, reverse: bool, priority: int, fault: bool) -> None:
    got = effective(100, [TrackedFile("file load", value, weight, reverse)])
    assert got == (priority, frozenset({f"file load holds {value}"} if fault else set()))


ITEMS = st.lists(
    st.one_of(
        st.builds(
            Tracked, st.just("script"), st.sampled_from([True, False, None]), st.integers(-253, 253), st.booleans()
        ),
        st.builds(
            TrackedFile, st.just("file"), st.integers(-254, 254), st.integers(-254, 254), st.booleans()
        ),
    ),
    max_size=6,
)


@given(st.integers(1, 254), ITEMS)
def test_it_stays_between_1_and_254(base: int, items: list[Tracked | TrackedFile]) -> None:
    assert 1 <= effective(base, items).priority <= 254


@given(ITEMS)
def test_the_owner_ignores_weights_but_not_faults(items: list[Tracked | TrackedFile]) -> None:
    got = effective(255, items)
    assert got.priority == 255
    assert got.faults == effective(100, items).faults


def test_they_add_up() -> None:
    items = [Tracked("a", True, 10), Tracked("b", False, -30), Tracked("interface eth1", False), Tracked("d", True)]
    assert effective(100, items) == (80, frozenset({"interface eth1 is down"}))


def test_what_is_not_known_moves_nobody_who_has_begun() -> None:
    items = [Tracked("script new", None), Tracked("script plus", None, 10), Tracked("script minus", None, -10)]
    assert effective(100, items).faults == {"script new has no result yet"}
    assert effective(100, items, begun=True) == (100, frozenset())
    assert effective(100, [Tracked("script new", False)], begun=True).faults == {"script new is down"}
