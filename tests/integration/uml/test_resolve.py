# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A DNS name as a real server, with the whole daemon and a kernel's IPVS: the table follows the name's address."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import uml_guest

pytestmark = pytest.mark.root

STEPS = Path(__file__).with_name("resolve_in_guest.py")
OTHER = "10.0.0.13:80 1"


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    parts = uml_guest.run(
        f"part steps {uml_guest.DEBIAN_PYTHON} -W error {STEPS}\n",
        tmp_path_factory.mktemp("guest"),
        modules=("ip_vs", "ip_vs_rr"),
        pythonpath=(uml_guest.CHECKOUT / "plugins/module_utils", uml_guest.CHECKOUT / "tests/support"),
    )
    last = parts["steps"].splitlines()[-1]
    assert last.startswith("{"), parts["steps"]
    answers: dict[str, Any] = json.loads(last)
    return answers


def test_the_table_follows_the_name(said: dict[str, Any]) -> None:
    assert said["first"] == ["10.0.0.11:80 1", OTHER], said["log"]
    assert said["moved"] == ["10.0.0.12:80 1", OTHER], said["log"]
    assert said["fewest"] == 2


@pytest.mark.parametrize("step", ["unknown", "killed"])
def test_the_last_good_answer_is_kept(said: dict[str, Any], step: str) -> None:
    assert said[step] == ["10.0.0.12:80 1", OTHER], said["log"]


def test_a_drain_goes_with_it_to_the_new_address(said: dict[str, Any]) -> None:
    assert (said["drain"], said["status"]) == (0, 0)
    assert said["drained"] == ["10.0.0.12:80 0", OTHER], said["log"]
    assert said["drained, moved"] == ["10.0.0.11:80 0", OTHER], said["log"]
