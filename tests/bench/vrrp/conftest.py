# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of VRRP, ours beside keepalived's: one table at the end, build/bench/vrrp.json and vrrp_*.svg."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from director_pair import ENGINES
from figures import Figures

RESULT = Path(__file__).parents[3] / "build/bench/vrrp.json"


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> Iterator[Figures]:
    found = Figures(RESULT)
    yield found
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n\n{found.table()}")


@pytest.fixture
def side_by_side() -> Callable[[Callable[[str], Any]], dict[str, Any]]:
    """What a function finds for each engine, both at the same time."""

    def both(measure: Callable[[str], Any]) -> dict[str, Any]:
        with ThreadPoolExecutor(len(ENGINES)) as pool:
            return dict(zip(ENGINES, pool.map(measure, ENGINES)))

    return both
