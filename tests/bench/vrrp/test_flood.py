# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A minute of forged adverts, 15,000 a second from another processor, for a master of 21 virtual routers.

FLOOD_SECONDS=10 takes so long instead.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from director_pair import KEEPALIVED, OURS
from figures import Figures
from forged_adverts import INTERVAL_S, Found, configuration, flood

from tests.integration.netns.wire import Agent, Keepalived

pytestmark = pytest.mark.root

RATE, SECONDS, LATE_MS = 15_000, float(os.environ.get("FLOOD_SECONDS", "60")), 20


def measure(engine: type[Agent | Keepalived], file: Path) -> Found:
    file.write_text(configuration())
    return flood(engine, file, RATE, SECONDS)


def test_a_minute_of_forged_adverts(figures: Figures, tmp_path: Path) -> None:
    found = {
        OURS: measure(Agent, tmp_path / "ours.conf"),
        KEEPALIVED: measure(Keepalived, tmp_path / "theirs.conf"),
    }
    what = f"{RATE:,} forged adverts a second for {SECONDS:g} s"
    latest = {engine: f"{one.latest_ms:.1f} ms" for engine, one in found.items()}
    numbers = {engine: one._asdict() for engine, one in found.items()}
    figures.add(f"{what}: the latest advert", f"≤ {LATE_MS} ms", latest, everything=numbers)
    garps = {engine: f"{one.garps / SECONDS:.0f}" for engine, one in found.items()}
    figures.add(f"{what}: gratuitous ARPs a second", "–", garps)
    answers = {engine: f"{one.adverts_of_forged / SECONDS * INTERVAL_S:.1f}" for engine, one in found.items()}
    figures.add(f"{what}: adverts an interval", "–", answers)
    assert found[OURS].latest_ms <= LATE_MS
