# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links that bounce: what counts is what was so for long enough."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from _lvs_agent.vrrp.alarms import NEVER
from _lvs_agent.vrrp.debounce import Debounce
from _lvs_agent.vrrp.plan import LinkDelay

DOWN, UP = 80, 30


@given(st.lists(st.tuples(st.integers(1, 120), st.booleans()), max_size=20))
def test_a_change_counts_after_its_delay_and_never_before(story: list[tuple[int, bool]]) -> None:
    link = {"eth0": True, "eth1": True}
    found = Debounce()
    found.configure([LinkDelay("eth0", DOWN, UP)], link.__getitem__)
    now, since = 0, 0
    for span, state in story:
        end = now + span
        while found.due < end:
            now = found.due
            assert found.turn(now)
            # for just its delay it has been the other way
            assert now - since == (UP if link["eth0"] else DOWN)
            assert found.counts("eth0", link["eth0"]) is link["eth0"]
        now = end
        if link["eth0"] is not state:
            link["eth0"], since = state, now
        found.look(link.__getitem__, now)
    while found.due != NEVER:
        now = found.due
        found.turn(now)
    assert found.counts("eth0", link["eth0"]) is link["eth0"]


def test_without_a_delay_it_counts_at_once() -> None:
    found = Debounce()
    assert found.counts("eth1", True)
    assert not found.counts("eth1", False)
    assert found.due == NEVER


def test_a_new_configuration_keeps_what_counts() -> None:
    found = Debounce()
    found.configure([LinkDelay("eth0", DOWN, UP)], lambda name: True)
    found.look(lambda name: False, 5)
    found.configure([LinkDelay("eth0", 2 * DOWN, UP)], lambda name: False)
    assert found.due == 5 + 2 * DOWN
    assert found.counts("eth0", False)
    found.configure([], lambda name: False)
    assert (found.due, found.counts("eth0", False)) == (NEVER, False)
