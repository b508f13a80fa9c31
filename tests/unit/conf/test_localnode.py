# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directors that are real servers too: who is one, and what the preflight and ``lvs-agent check`` say of it."""

from __future__ import annotations

from typing import Any

import pytest

from _lvs_agent.conf import check_localnode
from _lvs_agent.conf.check import site_problems
from _lvs_agent.conf.director import Director
from _lvs_agent.conf.read import file_problems, read_text


def hosts(kind: str = "DR", own: str = "192.0.2.11", **variables: Any) -> dict[str, dict[str, Any]]:
    """Two directors; the pool has the first one's address."""
    instance = {"name": "V4", "interface": "eth0", "virtual_router_id": 51, "virtual_ipaddress": ["192.0.2.100/32"]}
    reals = [{"ip": at, "port": 80, "TCP_CHECK": {}} for at in (own, "192.0.2.21")]
    pool = {"ip": "192.0.2.100", "port": 80, "lb_kind": kind, "protocol": "TCP", "delay_loop": 5, "real_server": reals}
    return {
        name: {
            "ansible_host": f"192.0.2.1{number}",
            "director_vrrp_instances": [instance],
            "director_host_vrrp_instances": {"V4": {"priority": 100 + number}},
            "director_virtual_servers": [pool],
            **variables,
        }
        for number, name in ((1, "lb1"), (2, "lb2"))
    }


def found(directors: dict[str, dict[str, Any]], real_servers: dict[str, dict[str, Any]]) -> list[str]:
    problems = site_problems(directors, real_servers)
    assert [str(one) for one in problems if one.severity == "error"] == []
    return [str(one) for one in problems if "DR or TUN" in str(one)]


@pytest.mark.parametrize(
    "kind, own, mode, expected",
    [
        ("DR", "192.0.2.11", None, ["lb1"]),
        ("TUN", "192.0.2.11", None, ["lb1"]),
        ("NAT", "192.0.2.11", None, []),
        ("DR", "192.0.2.22", None, []),
        ("DR", "192.0.2.22", {"lb2": {}}, ["lb2"]),  # the role's default is DR
        ("DR", "192.0.2.22", {"lb2": {"real_server_mode": "NAT"}}, []),
        ("DR", "192.0.2.11", {"lb1": {}, "lb2": {"real_server_mode": "TUN"}}, ["lb1", "lb2"]),
    ],
)
def test_who_is_a_real_server_too(kind: str, own: str, mode: Any, expected: list[str]) -> None:
    pair = [Director.of(name, variables) for name, variables in hosts(kind, own).items()]
    assert check_localnode.serving(pair, mode or {}) == expected


def test_the_preflight_says_that_the_table_is_on_the_master_only() -> None:
    (line,) = found(hosts(), {"lb1": {}})
    assert "so the role sets lvs_master_only: the IPVS table is on the master only" in line
    assert found(hosts(director_global_defs={"lvs_master_only": True}), {"lb1": {}}) == []


def test_who_says_false_hears_what_it_costs() -> None:
    (line,) = found(hosts(director_global_defs={"lvs_master_only": False}), {"lb1": {}})
    assert "connections are lost; write true" in line


def test_keepalived_has_no_such_thing() -> None:
    (line,) = found(hosts(director_engine="keepalived"), {"lb1": {}})
    assert "director_engine (lb1, lb2)" in line
    assert "keepalived has its IPVS table as a backup too" in line


def test_a_director_that_does_not_hold_the_vip_as_a_backup_is_told() -> None:
    lines = found(hosts(director_global_defs={"lvs_master_only": True}), {})
    assert [line for line in lines if "(lb1)" in line and "put it among the real servers" in line] == lines != []


def test_a_site_without_such_directors_hears_nothing() -> None:
    assert found(hosts("NAT"), {}) == []


FILE = """
global_defs {{
 {said}
}}
vrrp_instance A {{
 interface eth0
 virtual_router_id 51
 priority 100
 virtual_ipaddress {{
  192.0.2.100/32
 }}
}}
virtual_server_group G {{
 fwmark 5
}}
virtual_server {where} {{
 lb_algo rr
 lb_kind DR
 delay_loop 5
 {words}
 real_server 192.0.2.11 80 {{
  TCP_CHECK {{
  }}
 }}
}}
"""


def read(where: str = "192.0.2.100 80", words: str = "protocol TCP", said: str = "") -> Any:
    return read_text(FILE.format(where=where, words=words, said=said), ids=["lvs_agent"])


@pytest.mark.parametrize(
    "where, words, said, told",
    [
        ("192.0.2.100 80", "protocol TCP\n @lvs_agent lvs_master_only true", "", False),
        ("192.0.2.101 80", "protocol TCP\n @lvs_agent lvs_master_only true", "", True),
        ("192.0.2.101 80", "protocol TCP", "@lvs_agent lvs_master_only true", True),
        ("192.0.2.101 80", "protocol TCP\n @lvs_agent lvs_master_only false", "@lvs_agent lvs_master_only true", False),
        ("fwmark 5", "@lvs_agent lvs_master_only true", "", False),
    ],
)
def test_an_address_that_no_instance_holds_is_told(where: str, words: str, said: str, told: bool) -> None:
    lines = [str(one) for one in file_problems(read(where, words, said))]
    assert any("it is in the table all the time" in line for line in lines) is told, lines


@pytest.mark.parametrize(
    "own, words, told",
    [
        ("192.0.2.11", "protocol TCP", True),
        ("192.0.2.12", "protocol TCP", False),
        ("192.0.2.11", "protocol TCP\n @lvs_agent lvs_master_only true", False),
    ],
)
def test_a_host_that_is_in_its_own_pool_is_told(own: str, words: str, told: bool) -> None:
    director = Director("file", {}, read(words=words).configuration)
    assert bool(check_localnode.local(director, [own])) is told
