# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""The site with one pair of engines after the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from _lab import wire
from pair_under_test import PAIRS, Pair, switched
from site_under_test import DIRECTORS, REAL_SERVERS, SETTLED_S, Site, failures, wait_until


@pytest.fixture(scope="session", params=PAIRS, ids="/".join)
def pair(request: pytest.FixtureRequest, site: Site, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The site, switched to this pair of engines."""
    engines = dict(zip(DIRECTORS, request.param))
    return switched(site, engines, tmp_path_factory.mktemp("-".join(request.param)))


@pytest.fixture(autouse=True)
def whole(site: Site, pair: Pair) -> Iterator[None]:
    """Each fault starts from, and has to end in, the calm state: lvs01 is master, and all agree about it."""
    assert site.holders() == ["lvs01"]
    yield
    wait_until(lambda: site.holders() == ["lvs01"], SETTLED_S, "the VIP is back on lvs01, alone")
    both = [set(REAL_SERVERS.values())] * len(DIRECTORS)
    wait_until(lambda: [site.pool(name) for name in DIRECTORS] == both, 30, "both directors have both servers")
    assert failures(site.ask(0.3)) == []
    for director in pair.agents:
        pair.agrees(director)


@pytest.fixture(autouse=True)
def silent_real_servers(site: Site, capture: wire.Capture) -> Iterator[None]:
    """Whatever happens, no real server ever says that the VIP is at its MAC."""
    yield
    assert site.claimants(capture) <= {site.mac(director) for director in DIRECTORS}
