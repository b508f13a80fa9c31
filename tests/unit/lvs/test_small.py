# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arithmetic that decisions are made of: quorum, floor, slow start, drains."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _lvs_agent.lvs import depool, overrides, quorum, slow_start, state
from _lvs_agent.lvs.overrides import Drain, NotDrained, Overrides, Progress
from _lvs_agent.lvs.plan import Floor
from _lvs_agent.lvs.state import ServerState, ServiceState

SECOND = 1_000_000_000


# (quorum, hysteresis, weights one after the other, whether it is up after each)
@pytest.mark.parametrize(
    "needed, hysteresis, weights, states",
    [
        (1, 0, (0, 1, 2, 1, 0, 1), "-+++-+"),
        (3, 0, (2, 3, 2, 3), "-+-+"),
        (4, 2, (4, 5, 6, 4, 2, 1, 5, 6), "--+++--+"),
        (2, 1, (2, 3, 2, 1, 0, 1, 2, 3), "-+++---+"),
        (5, 4, (8, 9, 1, 0), "-++-"),
    ],
)
def test_quorum(needed: int, hysteresis: int, weights: tuple[int, ...], states: str) -> None:
    up, found = False, ""
    for weight in weights:
        up = quorum.is_up(up, weight, needed, hysteresis)
        found += "+" if up else "-"
    assert found == states


@pytest.mark.parametrize(
    "floor, servers, number",
    [
        (Floor(), 9, 0),
        (Floor(3), 9, 3),
        (Floor(3), 2, 2),
        (Floor(30, True), 10, 3),
        (Floor(30, True), 4, 2),
        (Floor(1, True), 4, 1),
        (Floor(100, True), 7, 7),
        (Floor(50, True), 0, 0),
    ],
)
def test_the_number_of_a_floor(floor: Floor, servers: int, number: int) -> None:
    assert depool.number(floor, servers) == number


@pytest.mark.parametrize(
    "floor, up, down, pooled, held, stay",
    [
        (2, 3, "ab", "ab", "", ""),
        (2, 2, "ab", "ab", "", ""),
        (2, 1, "ab", "", "", "a"),
        (2, 1, "ab", "b", "", "b"),
        (2, 0, "abc", "c", "", "ca"),
        (2, 2, "ab", "b", "b", "b"),  # at the floor nobody is let go
        (2, 3, "ab", "b", "b", ""),  # above it
        (2, 1, "abc", "ab", "b", "b"),
        (3, 0, "ab", "", "", "ab"),
    ],
)
def test_who_the_floor_keeps(*, floor: int, up: int, down: str, pooled: str, held: str, stay: str) -> None:
    assert "".join(depool.held(floor, up, list(down), set(pooled), set(held))) == stay


def test_slow_start() -> None:
    steps, now = [], 100 * SECOND
    while now:
        weight, later = slow_start.weight(4, 100 * SECOND, 10 * SECOND, now)
        steps.append((now / SECOND, weight))
        assert not later or later > now
        now = later
    assert steps == [(100, 1), (102.5, 1), (105, 2), (107.5, 3), (110, 4)]
    assert slow_start.weight(1, 100, 10, 100) == (1, 0)
    assert slow_start.weight(0, 100, 10, 100) == (0, 0)


@given(st.integers(2, 2147483647), st.integers(1, 86400 * SECOND))
def test_a_slow_start_grows_to_its_end_in_few_steps(full: int, length: int) -> None:
    now, weights = 7, []
    while True:
        weight, later = slow_start.weight(full, 7, length, now)
        weights.append(weight)
        if not later:
            break
        assert now < later <= 7 + length
        now = later
    assert weights == sorted(weights)
    assert (weights[0] < full or length < 2, weights[-1]) == (True, full)
    assert len(weights) <= slow_start.STEPS + 1


def test_drains() -> None:
    none = Overrides()
    some = none.with_drain(Drain("TCP 192.0.2.1:80", "10.0.0.1:80", 5, 9)).with_drain(Drain("", "10.0.0.2", 6))
    assert overrides.drain_of(some.of("TCP 192.0.2.1:80"), "10.0.0.1:80", "10.0.0.1") is not None
    assert overrides.drain_of(some.of("TCP 192.0.2.2:80"), "10.0.0.1:80", "10.0.0.1") is None
    assert overrides.drain_of(some.of("FWM 3"), "10.0.0.2:8080", "10.0.0.2") == Drain("", "10.0.0.2", 6)
    again = some.with_drain(Drain("", "10.0.0.2", 60, 70))
    assert again.drains[("", "10.0.0.2")] == Drain("", "10.0.0.2", 6, 70)
    assert again.without_drain("", "10.0.0.2").without_drain("TCP 192.0.2.1:80", "10.0.0.1:80") == none
    with pytest.raises(NotDrained, match=r"10.0.0.2 is not drained in FWM 3; it is drained in every virtual server"):
        again.without_drain("FWM 3", "10.0.0.2")
    assert overrides.parse(json.loads(json.dumps(again.to_json()))) == again


@pytest.mark.parametrize("content", [{}, 1, [1], [["a", "b"]], [["a", "b", "c", 1]], [[1, "b", 1, 1]], [None]])
def test_what_is_no_drain(content: object) -> None:
    with pytest.raises(ValueError, match=r"no (drain|list)"):
        overrides.parse(content)


@pytest.mark.parametrize(
    "until, left, wall, progress",
    [
        (0, 3, 10**19, Progress.DRAINING),
        (0, 0, 5, Progress.DRAINED),
        (9, 3, 8, Progress.DRAINING),
        (9, 3, 9, Progress.TIMED_OUT),
        (9, 0, 10, Progress.DRAINED),
    ],
)
def test_how_far_a_drain_is(until: int, left: int, wall: int, progress: Progress) -> None:
    assert overrides.progress(Drain("", "10.0.0.1", 1, until), left, wall) is progress


def test_states_survive_as_json() -> None:
    servers = {
        "a": ServerState(),
        "b": ServerState(False, False, False, False, False, False),
        "c": ServerState(drained=True, pooled=False, serving=False),
        "d": ServerState(told=None, dynamic=-5, ramp_ns=77),
    }
    states = {"S": ServiceState(servers, True, 3), "T": ServiceState({"x": ServerState()}, False, 0, True)}
    text = json.dumps(state.to_json(states))
    assert text.count("[") == 3  # what is simply up is not written
    assert state.parse(json.loads(text), {"S": "dcba", "T": "x", "U": "y"}) == states
    # another real server is new, and so are those of which the file says nothing
    (other,) = state.parse(json.loads(text), {"S": "abcde"}).values()
    assert set(other.servers) == {"b", "c", "d"}


@pytest.mark.parametrize(
    "content",
    [[], {"S": 1}, {"S": {}}, {"S": {"quorum": 1, "weight": 1, "sorry": True, "names": 1, "servers": {}}}]
    + [
        {"S": {"quorum": True, "weight": 1, "sorry": True, "names": 1, "servers": {"a": one}}}
        for one in (1, [], [True] * 7, [1] * 8)
    ],
)
def test_what_is_no_state(content: object) -> None:
    with pytest.raises(ValueError, match="state"):
        state.parse(content, {"S": ["a"]})
