# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of ``lvsctl servers``."""

from __future__ import annotations

from typing import Any

from _lvs_agent.control.verb_servers import ServersVerb


def result(*servers: dict[str, Any]) -> dict[str, Any]:
    plain = {"state": "up", "weight": 1, "configured_weight": 1, "in_table": True, "active": 0, "inactive": 0}
    service = {"service": "TCP 192.0.2.1:80", "scheduler": "rr", "forwarding": "NAT", "quorum": 1, "quorum_up": True}
    about = {"pool_weight": 1, "sorry_server": None, "suspended": False}
    rows = [
        {"server": f"10.0.0.{number}:80", "templates": 0, "checks": [], **plain, **words}
        for number, words in enumerate(servers, 1)
    ]
    return {"virtual_servers": [{**service, **about, "servers": rows}]}


def test_a_drained_server_that_is_down_is_no_alarm() -> None:
    drained = {"state": "drained, down", "in_table": False, "weight": 0}
    assert ServersVerb().exit_status(result({}, drained)) == 0
    assert ServersVerb().exit_status(result({}, {"state": "down"})) == 1


def test_templates_are_shown_where_there_are_any() -> None:
    _about, head, *rows = ServersVerb().show(result({}, {"state": "draining", "weight": 0, "inactive": 2}))
    assert "TEMPLATES" not in head
    assert [row.split() for row in rows] == [
        ["10.0.0.1:80", "up", "1", "0", "0", "none"],
        ["10.0.0.2:80", "draining", "0", "(of", "1)", "0", "2", "none"],
    ]
    _about, head, row = ServersVerb().show(result({"active": 4, "templates": 3}))
    assert head.split()[-4:] == ["ACTIVE", "INACTIVE", "TEMPLATES", "CHECKS"]
    assert row.split()[-4:] == ["4", "0", "3", "none"]
