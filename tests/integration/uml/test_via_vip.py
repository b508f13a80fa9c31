# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""check_via_vip with the whole daemon, a real kernel's IPVS and DR real servers: who lost its VIP is found out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import uml_guest

pytestmark = pytest.mark.root

STEPS = Path(__file__).parent / "via_vip_in_guest.py"
UP = {"10.0.0.2:80": [True, True], "10.0.0.3:80": [True, True]}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each step in the guest answered."""
    parts = uml_guest.run(
        f"part steps {uml_guest.DEBIAN_PYTHON} -W error {STEPS}\n",
        tmp_path_factory.mktemp("guest"),
        modules=("veth", "bridge", *uml_guest.IPVS_MODULES),
        seconds=240,
    )
    last = parts["steps"].splitlines()[-1]
    assert last.startswith("{"), parts["steps"]
    answers: dict[str, Any] = json.loads(last)
    return answers


def test_a_backup_finds_who_lost_the_vip(said: dict[str, Any]) -> None:
    assert said["backup"] == {"ups": UP, "accept_local": "1"}, said["log"]
    assert said["backup, lost"]["ups"] == {**UP, "10.0.0.2:80": [True, False]}


@pytest.mark.parametrize("strict", [0, 1])
def test_so_does_the_director_that_holds_it(said: dict[str, Any], strict: int) -> None:
    assert said[f"master {strict}"]["ups"] == UP, said["log"]
    assert said[f"master {strict}, lost"]["ups"] == {**UP, "10.0.0.3:80": [True, False]}
    assert said[f"master {strict}, again"]["ups"] == UP


def test_each_server_has_a_service_of_its_own_in_the_table(said: dict[str, Any]) -> None:
    marks = [line.split() for line in said["table"] if " -f " in line]
    services = {words[2]: words[3:] for words in marks if words[0] == "-A"}
    servers = {words[2]: words[4:] for words in marks if words[0] == "-a"}
    assert list(services.values()) == [["-s", "wlc", "-o"]] * 2
    assert sorted(servers.values()) == [[f"10.0.0.{number}:0", "-g", "-w", "1"] for number in (2, 3)]
    assert services.keys() == servers.keys()
    assert all(1 << 30 <= int(mark) < 1 << 31 for mark in services)


def test_what_was_set_is_put_back(said: dict[str, Any]) -> None:
    for step in ("without", "killed"):
        assert said[step]["accept_local"] == "0", said["log"]
        assert [line for line in said[step]["table"] if " -f " in line] == []
    assert said["with"] == {"ups": UP, "accept_local": "1"}
    assert said["stopped"] == "0"
