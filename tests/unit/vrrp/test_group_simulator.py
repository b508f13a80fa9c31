# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stories of sync groups from seeds, and that the simulator would see it if a group did something wrong.

``test_many_stories.py`` runs thousands of seeds; ``group_simulator.story(SEED, ROUNDS)`` is one again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from _lvs_agent.vrrp.actions import Action
from _lvs_agent.vrrp.alarms import NEVER
from _lvs_agent.vrrp.down_timer import DownTimer
from _lvs_agent.vrrp.machine import Machine
from _lvs_agent.vrrp.sync import Group
from tests.unit.vrrp import group_simulator, simulator

Only = Callable[..., None]

SEEDS = 150
ROUNDS = 3


def test_stories() -> None:
    for seed in range(SEEDS):
        group_simulator.story(seed, ROUNDS)


def test_the_same_seed_is_the_same_story() -> None:
    assert group_simulator.story(7, ROUNDS).trace() == group_simulator.story(7, ROUNDS).trace()


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Stories of nothing but some disturbances, so that few are needed."""
    return lambda *chosen: monkeypatch.setattr(group_simulator, "DISTURBANCES", chosen)


def found(*headlines: str, seeds: int = 400) -> bool:
    """Whether one of the stories is broken in one of these ways."""
    for seed in range(seeds):
        try:
            group_simulator.story(seed, 4)
        except simulator.Broken as error:
            if any(one in str(error).partition("\n")[0] for one in headlines):
                return True
    return False


class TestEyes:
    """What was wrong once is found, and by the invariant that is there for it."""

    def test_a_fault_of_a_fellow_that_is_none_any_more(self, monkeypatch: pytest.MonkeyPatch, only: Only) -> None:
        only(group_simulator._link_down, group_simulator._reload)
        monkeypatch.setattr(Machine, "regrouped", lambda _self, _now: ())
        assert found("is FAULT without a fault")

    def test_a_member_that_waits_without_a_timer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        right = DownTimer.expires

        def parked(self: DownTimer, now: int) -> bool:
            if right(self, now):
                self.look = NEVER
            return self.expired

        monkeypatch.setattr(DownTimer, "expires", parked)
        assert found("is BACKUP without a timer")

    def test_members_that_end_a_hand_over_alone(self, monkeypatch: pytest.MonkeyPatch, only: Only) -> None:
        """Each one that is master again is told to hand over by the others that still do."""
        only(group_simulator._failover, group_simulator._outage)

        def alone(self: Group, now: int, actions: list[tuple[Machine, Action]]) -> None:
            one = next((member for member in self.members if member.unclaimed), None)
            if one is not None:
                actions += [(one, action) for action in one.take_back(now)]

        monkeypatch.setattr(Group, "_end_hand_over", alone)
        assert found("without a cause", "is HANDOVER")

    def test_a_repeated_advert_that_does_not_end_the_wish(self, monkeypatch: pytest.MonkeyPatch, only: Only) -> None:
        only(group_simulator._outage)
        right = DownTimer.restart

        def forgetful(self: DownTimer, now: int, not_before: int) -> None:
            expired = self.expired
            right(self, now, not_before)
            self.expired = expired

        monkeypatch.setattr(DownTimer, "restart", forgetful)
        assert found("which was there")

    def test_a_group_that_does_not_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        right = Group._take_over

        def settle(self: Group, now: int) -> Any:
            outcome = whole(self, now)
            if any(member.wants_master for member in self.members):
                right(self, now, outcome.actions)
            return outcome

        whole = Group.settle
        monkeypatch.setattr(Group, "settle", settle)
        assert found("early", "which was there")
