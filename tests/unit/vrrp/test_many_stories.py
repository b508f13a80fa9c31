# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""As many stories as the promise is made for; test_simulator.py and test_group_simulator.py tell some in the gate."""

from __future__ import annotations

import pytest

from tests.unit.vrrp import group_simulator, simulator
from tests.unit.vrrp.test_simulator import ROUNDS

SEEDS = 5000


@pytest.mark.long
def test_many_stories() -> None:
    for seed in range(SEEDS):
        simulator.story(seed, ROUNDS)


@pytest.mark.long
def test_many_stories_of_sync_groups() -> None:
    for seed in range(SEEDS):
        group_simulator.story(seed, ROUNDS + 1)
