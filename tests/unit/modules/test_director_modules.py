# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deciding halves of director_info and director_control, on answers of the daemon."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.control.protocol import Refused
from ansible_collections.linuxha.lvs.plugins.modules import director_control


def server(name: str, state: str = "up", *, drained: bool = False, weight: int = 1) -> dict[str, Any]:
    drain = {"since": 1.0} if drained else None
    return {"server": name, "state": state, "configured_weight": weight, "drain": drain}


def service(name: str, *servers: dict[str, Any]) -> dict[str, Any]:
    return {"service": name, "servers": list(servers)}


WEB, MAIL = "TCP 192.0.2.1:80", "TCP 192.0.2.1:25"
ANSWER = {
    "virtual_servers": [
        service(WEB, server("10.0.0.1:80"), server("10.0.0.2:80", drained=True), server("[2001:db8::1]:80")),
        service(MAIL, server("10.0.0.1:25"), server("10.0.0.2:25", "down")),
    ]
}


@pytest.mark.parametrize(
    "said, found",
    [
        ("10.0.0.1:80", ["10.0.0.1:80"]),
        ("10.0.0.1", ["10.0.0.1:80", "10.0.0.1:25"]),
        ("2001:db8::1", ["[2001:db8::1]:80"]),
        ("[2001:db8::1]:80", ["[2001:db8::1]:80"]),
    ],
)
def test_servers_that_are_meant(said: str, found: list[str]) -> None:
    assert [one["server"] for one in director_control.servers_meant(ANSWER, said)] == found


def test_how_they_are() -> None:
    (one,) = director_control.servers_meant(ANSWER, "10.0.0.2:80")
    assert one == {"service": WEB, "server": "10.0.0.2:80", "drained": True}


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(Refused, match=r"no real_server 10.0.0.1:8; did you mean 10.0.0.1:80"):
        director_control.servers_meant(ANSWER, "10.0.0.1:8")


@pytest.mark.parametrize(
    "said, alone",
    [("10.0.0.1:80", []), ("10.0.0.1:25", [MAIL]), ("10.0.0.1", [MAIL]), ("10.0.0.2", []), ("2001:db8::1", [])],
)
def test_nobody_is_left(said: str, alone: list[str]) -> None:
    # 10.0.0.2:25 is down, so that 10.0.0.1:25 serves alone
    assert director_control.nobody_left(ANSWER, director_control.servers_meant(ANSWER, said)) == alone


def test_who_serves() -> None:
    others = [
        server("10.0.0.2:80", "down"),
        server("10.0.0.3:80", "up", weight=0),
        server("10.0.0.4:80", "drained", drained=True),
    ]
    for more, alone in ((others, [WEB]), ([*others, server("10.0.0.5:80", "down, kept")], [])):
        answer = {"virtual_servers": [service(WEB, server("10.0.0.1:80"), *more)]}
        meant = director_control.servers_meant(answer, "10.0.0.1:80")
        assert director_control.nobody_left(answer, meant) == alone


@pytest.mark.parametrize(
    "name, host",
    [
        ("192.0.2.1:80", "192.0.2.1"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_addresses(name: str, host: str) -> None:
    assert director_control.address(name) == host


VRRP = {
    "instances": [
        {"name": name, "state": state, "handed_over": False, "priority": 100}
        for name, state in (("VI_1", "MASTER"), ("VI_2", "BACKUP"), ("VI_3", "MASTER"))
    ],
    "groups": [{"name": "VG", "state": "MASTER", "members": ["VI_1", "VI_2"]}],
}


@pytest.mark.parametrize(
    "said, names", [(None, ["VI_1", "VI_2", "VI_3"]), ("VI_3", ["VI_3"]), ("VG", ["VI_1", "VI_2"])]
)
def test_instances_that_are_meant(said: str | None, names: list[str]) -> None:
    found = director_control.instances_meant(VRRP, said)
    assert [one["name"] for one in found] == names
    assert set(found[0]) == {"name", "state", "handed_over"}


def test_an_instance_that_is_not_there() -> None:
    with pytest.raises(Refused, match="neither a vrrp_instance nor a vrrp_sync_group VG_1; did you mean"):
        director_control.instances_meant(VRRP, "VG_1")


def test_a_difference() -> None:
    found = director_control.difference([("a of b", False, True), ("c of d", True, True)])
    assert found == {"before": "a of b: serving\nc of d: drained\n", "after": "a of b: drained\nc of d: drained\n"}
