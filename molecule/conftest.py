# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""The lab that the scenario booted, its hosts through testinfra, and how to ask the VIP."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import testinfra
from proofs import Proofs

from _lab import lab, ssh, wire
from _lab.paths import lab_dir
from _lab.plan import Plan
from site_under_test import DIRECTORS, LAB, Site


@pytest.fixture(scope="session")
def plan() -> Plan:
    return lab.existing_plan(LAB)


@pytest.fixture(scope="session")
def host(plan: Plan) -> Callable[[str], testinfra.host.Host]:
    config = str(ssh.config_path(lab_dir(plan.name)))
    return lambda name: testinfra.get_host(f"ssh://{name}", ssh_config=config)


@pytest.fixture(scope="session")
def site(plan: Plan) -> Site:
    return Site(plan)


@pytest.fixture
def capture(plan: Plan) -> Iterator[wire.Capture]:
    with wire.Capture(plan) as running:
        yield running


@pytest.fixture(params=DIRECTORS)
def director(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def proofs() -> Iterator[Proofs]:
    """The file's table, printed when its tests are over."""
    made = Proofs()
    yield made
    print(f"\n{made.table()}")
