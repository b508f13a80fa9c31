# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forged adverts, 15,000 a second from another processor: what the master sends meanwhile. The bench has a minute."""

from __future__ import annotations

from pathlib import Path

import pytest
from forged_adverts import INTERVAL_S, VIPS, configuration, flood

from tests.integration.netns.wire import Agent

pytestmark = [pytest.mark.root, pytest.mark.measured]

RATE, SECONDS = 15_000, 3.0
LATE_MS = 20
REPEAT = 5


def test_a_flood_of_forged_adverts_makes_no_advert_late_and_no_flood_of_ours(tmp_path: Path) -> None:
    file = tmp_path / "a.conf"
    file.write_text(configuration())
    found = flood(Agent, file, RATE, SECONDS)
    assert found.forged >= RATE * SECONDS * 0.9
    assert found.latest_ms <= LATE_MS
    intervals = (SECONDS + 1) / INTERVAL_S
    assert found.adverts_of_forged <= 2 * intervals + 3
    assert REPEAT * VIPS <= found.garps <= intervals * REPEAT * VIPS
