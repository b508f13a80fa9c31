# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the lab and site.yml take on the reference site dr-two-nic: a table, and build/bench/site.json."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from _lab import lab
from _lab.playbook import play

CHECKOUT = Path(__file__).parents[2]
PLAYBOOKS = CHECKOUT / "playbooks"
SITE = PLAYBOOKS / "inventories/dr-two-nic"
LAB = "bench"

#: seconds, on 2 cores
TO_REACH_S = {"site.yml, first run": 240, "site.yml, second run": 90}


@pytest.fixture
def lab_name(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("LAB", LAB)
    lab.down(LAB)
    yield LAB
    lab.down(LAB)


def test_site_on_a_fresh_lab(lab_name: str, capsys: pytest.CaptureFixture[str]) -> None:
    directory = CHECKOUT / "build/bench"
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "site.log"
    log.write_text("")
    booted = play(PLAYBOOKS / "lab_up.yml", [SITE], log, lambda _text: None)
    inventories = [SITE, lab.inventory_path(lab_name)]
    first = play(PLAYBOOKS / "site.yml", inventories, log, lambda _text: None)
    second = play(PLAYBOOKS / "site.yml", inventories, log, lambda _text: None)
    seconds = {
        "lab up": booted.seconds,
        "site.yml, first run": first.seconds,
        "site.yml, second run": second.seconds,
    }
    (directory / "site.json").write_text(json.dumps({f"{name}, s": seconds[name] for name in seconds}, indent=1))
    with capsys.disabled():
        print()
        for name, took in seconds.items():
            goal = f"to reach: {TO_REACH_S[name]:3d} s" if name in TO_REACH_S else ""
            print(f"{name:<24} {took:6.1f} s   {goal}")
    assert not any(second.changed.values())
    assert {name: took for name, took in seconds.items() if took > TO_REACH_S.get(name, took)} == {}
