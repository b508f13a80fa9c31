# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""As many stories as the promise is made for; test_simulator.py tells some of them in the gate."""

from __future__ import annotations

import pytest

from tests.unit.vrrp import simulator
from tests.unit.vrrp.test_simulator import ROUNDS

SEEDS = 5000


@pytest.mark.long
def test_many_stories() -> None:
    for seed in range(SEEDS):
        simulator.story(seed, ROUNDS)
