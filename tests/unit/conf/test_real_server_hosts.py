# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual servers that name hosts of the inventory: an address is written once."""

from __future__ import annotations

from typing import Any

import pytest

from _lvs_agent.conf.check import site_problems
from _lvs_agent.conf.director import Director
from _lvs_agent.conf.real_server_hosts import resolved
from _lvs_agent.conf.render import render
from _lvs_agent.engine_verdict import engine_verdict

VIP, VIP6 = "192.0.2.100", "2001:db8::100"
HOSTS: dict[str, dict[str, Any]] = {
    "web01": {"ansible_host": "192.0.2.21"},
    "web02": {"ansible_host": "web02.example.org", "real_server_address": "192.0.2.22"},
    "web03": {"ansible_host": "10.0.0.23", "real_server_address": "192.0.2.23", "real_server_address6": "2001:db8::23"},
    "192.0.2.24": {},
    "web05": {"ansible_host": "web05.example.org"},
}


def server(*names: str, ip: str = VIP, **words: Any) -> dict[str, Any]:
    head = {} if "fwmark" in words else {"ip": ip, "port": 80, "protocol": "TCP"}
    real = [{"ip": name, "port": 80, "TCP_CHECK": {}} for name in names]
    return {**head, "delay_loop": 5, "lb_algo": "rr", "lb_kind": "DR", **words, "real_server": real}


def variables(*servers: dict[str, Any]) -> dict[str, Any]:
    instance = {"name": "V", "interface": "eth0", "virtual_router_id": 51, "virtual_ipaddress": [f"{VIP}/32"]}
    other = {"name": "W", "interface": "eth0", "virtual_router_id": 52, "virtual_ipaddress": [f"{VIP6}/128"]}
    return {
        "director_vrrp_instances": [{**instance, "priority": 100}, {**other, "priority": 100}],
        "director_virtual_servers": list(servers),
        "ansible_host": "192.0.2.11",
    }


def found(*servers: dict[str, Any]) -> list[str]:
    vips = {"real_server_vips": [f"{VIP}/32", f"{VIP6}/128"]}
    hosts = {name: {**one, **vips} for name, one in HOSTS.items()}
    return [str(one) for one in site_problems({"lb1": variables(*servers)}, hosts) if one.severity == "error"]


def addresses(one: dict[str, Any]) -> list[str]:
    return [real["ip"] for real in resolved([one], HOSTS)[0]["real_server"]]


def test_names_become_addresses_of_the_service_s_family() -> None:
    assert addresses(server("web01", "web02", "web03", "192.0.2.24")) == [f"192.0.2.2{n}" for n in range(1, 5)]
    assert addresses(server("web03", ip=VIP6)) == ["2001:db8::23"]
    assert addresses(server("web03", fwmark=7)) == ["192.0.2.23"]
    assert addresses(server("web03", fwmark=7, ip_family="inet6")) == ["2001:db8::23"]
    assert addresses(server("192.0.2.30", "web01")) == ["192.0.2.30", "192.0.2.21"]
    plain = [server("192.0.2.21")]
    assert resolved(plain, HOSTS) == plain
    assert resolved("nonsense", HOSTS) == "nonsense"
    assert resolved(["nonsense", {"real_server": "web01"}], HOSTS) == ["nonsense", {"real_server": "web01"}]


def test_the_file_has_the_addresses_and_the_inventory_stays() -> None:
    given = variables(server("web01", "web02"))
    text = render(Director.of("lb1", given, 0, HOSTS).configuration)
    assert [line.split()[1] for line in text.splitlines() if "real_server " in line] == ["192.0.2.21", "192.0.2.22"]
    assert given == variables(server("web01", "web02"))
    assert engine_verdict("lb1", given, real_servers=HOSTS).errors == []


def test_a_site_by_names_is_right() -> None:
    assert found(server("web01", "web02", "web03"), server("web03", ip=VIP6)) == []


@pytest.mark.parametrize(
    "servers, message",
    [
        (
            [server("web05")],
            "(lb1): web05 has no IPv4 address: its ansible_host is none; write real_server_address for web05",
        ),
        (
            [server("web01", ip=VIP6)],
            "(lb1): web01 has no IPv6 address: its ansible_host is none; write real_server_address6 for web01",
        ),
        (
            [server("web1")],
            "web1 is neither an IP address nor a host of the group of real servers; did you mean web01",
        ),
    ],
)
def test_a_name_without_an_address_is_one_error(servers: list[dict[str, Any]], message: str) -> None:
    (problem,) = found(*servers)
    assert message in problem


@pytest.mark.parametrize(
    "name, said",
    [("real_server_address", "2001:db8::1"), ("real_server_address6", "192.0.2.1"), ("real_server_address", "w")],
)
def test_an_address_of_the_wrong_kind_is_an_error(name: str, said: str) -> None:
    hosts = {"web01": {"ansible_host": "192.0.2.21", name: said, "real_server_vips": [VIP]}}
    errors = [str(one) for one in site_problems({"lb1": variables(server("192.0.2.21"))}, hosts)]
    assert any(one.startswith(f"{name} (web01): ") and "is not an IPv" in one for one in errors), errors


def test_a_pool_is_checked_where_the_hosts_are_reached_by_another_network() -> None:
    """Was skipped: ansible_host is a name, or an address for administrators."""
    hosts = {name: {**one, "real_server_vips": []} for name, one in HOSTS.items()}
    errors = [str(one) for one in site_problems({"lb1": variables(server("web02", "192.0.2.23"))}, hosts)]
    assert [one.partition(":")[0] for one in errors if "is not in it" in one] == [
        "real_server_vips (web02, web03)",
    ]


def test_another_mode_is_said_once() -> None:
    hosts = {"web01": {"ansible_host": "192.0.2.21", "real_server_mode": "NAT", "real_server_gateway": VIP}}
    errors = [str(one) for one in site_problems({"lb1": variables(server("web01"))}, hosts)]
    service = f"director_virtual_servers[{VIP}:80]"
    assert [one for one in errors if one.startswith("real_server_mode")] == [
        f"real_server_mode (web01): it is NAT, and {service} sends to it by DR; write DR, or change the service"
    ]
