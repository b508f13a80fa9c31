# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""The arithmetic of priorities and weights, live: for each row the expected master, and the one that is.

A positive weight is added while its script succeeds, a negative one while it fails; the sum stays within 1 and 254
(keepalived.conf(5), track_script). The master's priority is that of its adverts on the wire.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from dr_single_nic import ADDRESS, DIRECTORS, ENGINES, serves, site_of
from proofs import Proofs
from vrrp_site import SETTLED_S, SLOW_S, VrrpSite, master_down_s

from _lab import wire
from _lab.plan import Plan
from site_under_test import wait_until

# name, its script, its weight: all but the last succeed as long as nobody makes the file
SCRIPTS = (
    ("plus30", "/usr/bin/test ! -e /run/plus30", 30),
    ("minus30", "/usr/bin/test ! -e /run/minus30", -30),
    ("minus200", "/usr/bin/test ! -e /run/minus200", -200),
    ("plus200", "/usr/bin/test -e /run/plus200", 200),
)


class Row(NamedTuple):
    """The files that each director has, the priorities that follow, and who is master."""

    lvs01: str
    lvs02: str
    lvs03: str
    priorities: tuple[int, int, int]
    master: str


# 100, 80 and 60, and plus30 succeeds on all of them
ROWS = (
    Row("", "", "", (130, 110, 90), "lvs01"),
    Row("minus30", "", "", (100, 110, 90), "lvs02"),
    Row("", "", "", (130, 110, 90), "lvs01"),
    Row("plus30", "", "", (100, 110, 90), "lvs02"),
    Row("plus30", "plus30", "", (100, 80, 90), "lvs01"),
    Row("plus30 minus30", "plus30", "", (70, 80, 90), "lvs03"),
    Row("minus200", "", "", (1, 110, 90), "lvs02"),
    Row("minus200", "minus200", "", (1, 1, 90), "lvs03"),
    Row("", "minus30 plus30", "", (130, 50, 90), "lvs01"),
    Row("", "", "plus200", (130, 110, 254), "lvs03"),
    Row("", "", "plus200 minus200", (130, 110, 90), "lvs01"),
    Row("", "", "", (130, 110, 90), "lvs01"),
)


@pytest.fixture(scope="module")
def site(plan: Plan) -> VrrpSite:
    return site_of(plan)


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, site: VrrpSite, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The site with these scripts."""
    name = str(request.param)
    files(site, Row("", "", "", (0, 0, 0), ""))
    tracked = {"track_script": [script for script, _line, _weight in SCRIPTS]}
    inventory = site.variant(tmp_path_factory.mktemp(name), tracked)
    add_scripts(inventory)
    site.build(name, inventory)
    wait_until(lambda: serves(site, "lvs01"), SETTLED_S, "lvs01 serves")
    return name


def add_scripts(inventory: Path) -> None:
    path = inventory / "group_vars/directors.yml"
    words = yaml.safe_load(path.read_text(encoding="utf-8"))
    words["director_vrrp_scripts"] = [
        {"name": name, "script": line, "interval": 1, "weight": weight, "rise": 1, "fall": 1}
        for name, line, weight in SCRIPTS
    ]
    path.write_text(yaml.safe_dump(words), encoding="utf-8")


def files(site: VrrpSite, row: Row) -> None:
    """Each director has exactly the files of its row."""
    names = [name for name, _line, _weight in SCRIPTS]
    for director, wanted in zip(DIRECTORS, (row.lvs01, row.lvs02, row.lvs03)):
        made = [f"touch /run/{name}" if name in wanted.split() else f"rm -f /run/{name}" for name in names]
        site.run(director, "sh", "-c", "; ".join(made))


def reached(site: VrrpSite, capture: wire.Capture, row: Row) -> bool:
    """The expected one has the VIP, alone, and says its priority."""
    priority = dict(zip(DIRECTORS, row.priorities))[row.master]
    said = [(advert.source, advert.priority) for advert in capture.adverts[-1:]]
    return said == [(ADDRESS[row.master], priority)] and site.holders() == [row.master]


def test_the_table(site: VrrpSite, engine: str, capture: wire.Capture, proofs: Proofs) -> None:
    wrong: list[str] = []
    for row in ROWS:
        files(site, row)
        # a script's interval, the advert that has the lower priority, and the time until nobody higher is heard
        limit_s = 1 + 1 + master_down_s(min(row.priorities)) + SLOW_S
        try:
            took_s = wait_until(partial(reached, site, capture, row), limit_s, row.master)
            measured = f"{row.master}, after {took_s:.1f} s"
        except AssertionError:
            measured = f"{' and '.join(site.holders())}, {capture.adverts[-1].priority} on the wire"
            wrong.append(f"{row}: {measured}")
        listed = ", ".join(f"{name} {number}" for name, number in zip(DIRECTORS, row.priorities))
        proofs.add(f"{engine}: {listed}", f"{row.master} is master", measured)
    assert wrong == []
