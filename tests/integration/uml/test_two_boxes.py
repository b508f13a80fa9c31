# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two directors that are their own real servers with DR, on a real kernel's IPVS: ``lvs_master_only``.

The client's sockets, the wire, ipvsadm and ``ip monitor`` say what happens.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import uml_guest

pytestmark = pytest.mark.root

STEPS = Path(__file__).parent / "two_boxes_in_guest.py"


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    checkout = STEPS.parents[3]
    parts = uml_guest.run(
        f"chmod 755 /run\npart steps {uml_guest.DEBIAN_PYTHON} -W error {STEPS}\n",
        tmp_path_factory.mktemp("guest"),
        modules=("veth", "bridge", *uml_guest.IPVS_MODULES),
        pythonpath=(checkout / "plugins/module_utils", checkout / "tests/support"),
    )
    last = parts["steps"].splitlines()[-1]
    assert last.startswith("{"), parts["steps"]
    found: dict[str, Any] = json.loads(last)
    return found


def test_with_two_tables_packets_go_to_and_fro(steps: dict[str, Any]) -> None:
    """What the keyword is for; without this the next test would show nothing."""
    assert steps["both tables"]["tables"] == {"lb1": 3, "lb2": 3}, steps["log"]
    assert steps["both tables"]["sent back"] > 0


def test_with_the_masters_alone_nothing_is_sent_back_and_no_connection_is_lost(steps: dict[str, Any]) -> None:
    found = steps["master only"]
    assert found == {"answers": {"200": 1000}, "sent back": 0, "tables": {"lb1": 3, "lb2": 0}}, steps["log"]


def test_a_backup_checks_its_real_servers_and_keeps_its_table_empty(steps: dict[str, Any]) -> None:
    assert steps["checks"] == ["up", "up"]
    assert steps["diff"] == [0, {"changes": [], "number": 0}]
    assert steps["drift"] == 0


def test_the_death_of_a_process_changes_no_table(steps: dict[str, Any]) -> None:
    assert steps["killed"]["states"] == {"lb1": "MASTER", "lb2": "BACKUP"}, steps["log"]
    changes = steps["killed"]["changes"]
    assert [here for _when, here in changes["lb1"]["table"]] == [True], (changes, steps["log"])
    assert [here for _when, here in changes["lb2"]["table"]] == [False]


@pytest.mark.parametrize("step, taker, giver", [("take-over", "lb2", "lb1"), ("given back", "lb1", "lb2")])
def test_table_and_vip_come_together_and_the_vip_leaves_first(
    steps: dict[str, Any], step: str, taker: str, giver: str
) -> None:
    came, went = steps[step][taker], steps[step][giver]
    assert [here for _when, here in came["table"]] == [False, True]
    assert [here for _when, here in came["vip"]] == [True]
    # in a guest of User Mode Linux a change of process costs milliseconds
    assert came["table"][1][0] - came["vip"][0][0] < 0.5
    assert [here for _when, here in went["table"]] == [True, False]
    assert [here for _when, here in went["vip"]] == [False]
    # both are seen by observers that wait for the guest's one processor
    assert went["vip"][0][0] - went["table"][1][0] < 0.05


def test_who_takes_over_serves(steps: dict[str, Any]) -> None:
    assert steps["after take-over"] == {"answers": {"200": 50}, "tables": {"lb1": 0, "lb2": 3}}
    found = steps["after giving back"]
    assert found == {"answers": {"200": 50}, "sent back": 0, "tables": {"lb1": 3, "lb2": 0}}


def test_a_director_that_was_stopped_has_no_table(steps: dict[str, Any]) -> None:
    assert steps["stopped"] == {"lb1": 0, "lb2": 0}
