# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""check_via_vip with the whole daemon, a real kernel's IPVS and DR real servers: who lost its VIP is found out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import uml_guest

pytestmark = pytest.mark.root

STEPS = Path(__file__).parent / "via_vip_in_guest.py"
NET = {4: "10.0.0.", 6: "2001:db8::"}


class Said(NamedTuple):
    """What each step in the guest answered, with addresses of this family."""

    family: int
    steps: dict[str, Any]

    def name(self, number: int, port: int = 80) -> str:
        address = f"{NET[self.family]}{number}"
        return f"{address}:{port}" if self.family == 4 else f"[{address}]:{port}"

    def ups(self, **lost: bool) -> dict[str, list[bool]]:
        """What the two checks of each server say, of its own address and through the VIP."""
        return {self.name(number): [True, not lost.get(f"r{number}", False)] for number in (2, 3)}

    @property
    def accepts(self) -> str:
        """accept_local while there are such checks; IPv6 has no such setting and takes the answers as they come."""
        return "1" if self.family == 4 else "0"


@pytest.fixture(scope="module", params=[4, 6], ids=["IPv4", "IPv6"])
def said(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Said:
    parts = uml_guest.run(
        f"part steps {uml_guest.DEBIAN_PYTHON} -W error {STEPS} {request.param}\n",
        tmp_path_factory.mktemp("guest"),
        modules=("veth", "bridge", *uml_guest.IPVS_MODULES),
    )
    last = parts["steps"].splitlines()[-1]
    assert last.startswith("{"), parts["steps"]
    return Said(request.param, json.loads(last))


def test_a_backup_finds_who_lost_the_vip(said: Said) -> None:
    assert said.steps["backup"] == {"ups": said.ups(), "accept_local": said.accepts}, said.steps["log"]
    assert said.steps["backup, lost"]["ups"] == said.ups(r2=True)


@pytest.mark.parametrize("strict", [0, 1])
def test_so_does_the_director_that_holds_it(said: Said, strict: int) -> None:
    assert said.steps[f"master {strict}"]["ups"] == said.ups(), said.steps["log"]
    assert said.steps[f"master {strict}, lost"]["ups"] == said.ups(r3=True)
    assert said.steps[f"master {strict}, again"]["ups"] == said.ups()


def test_each_server_has_a_service_of_its_own_in_the_table(said: Said) -> None:
    marks = [[word for word in line.split() if word != "-6"] for line in said.steps["table"] if " -f " in line]
    services = {words[2]: words[3:] for words in marks if words[0] == "-A"}
    servers = {words[2]: words[4:] for words in marks if words[0] == "-a"}
    assert list(services.values()) == [["-s", "wlc", "-o"]] * 2
    assert sorted(servers.values()) == [[said.name(number, 0), "-g", "-w", "1"] for number in (2, 3)]
    assert services.keys() == servers.keys()
    assert all(1 << 30 <= int(mark) < 1 << 31 for mark in services)


def test_what_was_set_is_put_back(said: Said) -> None:
    for step in ("without", "killed"):
        assert said.steps[step]["accept_local"] == "0", said.steps["log"]
        assert [line for line in said.steps[step]["table"] if " -f " in line] == []
    assert said.steps["with"] == {"ups": said.ups(), "accept_local": said.accepts}
    assert said.steps["stopped"] == "0"
