# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual servers against the variables of their real servers: black holes that green health checks do not show."""

from __future__ import annotations

from typing import Any

import pytest

from _lvs_agent.conf.check import site_problems

VIP, OTHER = "192.0.2.100", "192.0.2.101"


def service(*servers: str, kind: str = "DR", **words: Any) -> dict[str, Any]:
    head = {} if {"fwmark", "group"} & set(words) else {"ip": VIP, "port": 80}
    common = {"lb_algo": "rr", "lb_kind": kind, "protocol": "TCP", "delay_loop": 5}
    return {**head, **common, "real_server": [{"ip": one, "port": 80, "TCP_CHECK": {}} for one in servers], **words}


def found(*services: dict[str, Any], hosts: dict[str, dict[str, Any]], **variables: Any) -> list[str]:
    vips = [f"{VIP}/32", f"{OTHER}/32"]
    instance = {"name": "V", "interface": "eth0", "virtual_router_id": 51, "virtual_ipaddress": vips}
    common = {"director_vrrp_instances": [instance], "director_virtual_servers": list(services), **variables}
    directors = {
        f"lb{number}": {
            **common,
            "ansible_host": f"192.0.2.{10 + number}",
            "director_host_vrrp_instances": {"V": {"priority": 50 * number}},
        }
        for number in (1, 2)
    }
    return [str(one) for one in site_problems(directors, hosts)]


def dr(address: str, *vips: str, **more: Any) -> dict[str, Any]:
    return {"ansible_host": address, "real_server_mode": "DR", "real_server_vips": list(vips), **more}


def test_a_site_that_is_right() -> None:
    hosts = {"w1": dr("192.0.2.21", f"{VIP}/32"), "w2": dr("192.0.2.22", VIP)}
    assert found(service("192.0.2.21", "192.0.2.22"), hosts=hosts) == []


@pytest.mark.parametrize("held", [[], [OTHER]])
def test_a_real_server_without_the_vip(held: list[str]) -> None:
    assert found(service("192.0.2.21"), hosts={"w1": dr("192.0.2.21", *held)}) == [
        (
            f"real_server_vips (w1): {VIP} is not in it, and director_virtual_servers[{VIP}:80] sends its packets here:"
            f" clients would get no answer; add {VIP}/32"
        )
    ]


def test_a_range_of_real_servers_in_one_line() -> None:
    hosts = {"w1": dr("192.0.2.21", VIP), "w2": dr("192.0.2.22")}
    (problem,) = found(service("192.0.2.21-22"), hosts=hosts)
    assert problem.startswith("real_server_vips (w2)")


def test_a_group_and_a_firewall_mark() -> None:
    group = {"name": "G", "entries": [f"{VIP} 80", f"{OTHER} 80"]}
    groups = {"director_virtual_server_groups": [group]}
    (problem,) = found(service("192.0.2.21", group="G"), hosts={"w1": dr("192.0.2.21", VIP)}, **groups)
    assert OTHER in problem
    by_mark = {**service("192.0.2.21", fwmark=1), "real_server": [{"ip": "192.0.2.21", "port": 0}]}
    marks = {"director_firewall_marks": [{"mark": 1, "destination": OTHER}]}
    problems = found(by_mark, hosts={"w1": dr("192.0.2.21", VIP)}, **marks)
    assert [OTHER in one for one in problems if one.startswith("real_server_vips")] == [True]
    assert not any("real_server_vips" in one for one in found(by_mark, hosts={"w1": dr("192.0.2.21", VIP)}))


def test_a_mode_that_is_not_the_services() -> None:
    services = (service("192.0.2.21"), service("192.0.2.23", kind="NAT", port=25))
    hosts = {"w1": dr("192.0.2.21", VIP), "w3": dr("192.0.2.23", VIP)}
    assert found(*services, hosts=hosts) == [
        (
            f"real_server_mode (w3): it is DR, and director_virtual_servers[{VIP}:25] sends to it by NAT;"
            " write NAT, or change the service"
        )
    ]


def test_the_default_mode_is_dr() -> None:
    (problem,) = found(service("192.0.2.21", kind="NAT"), hosts={"w1": {"ansible_host": "192.0.2.21"}})
    assert problem.startswith("real_server_mode (w1): it is DR, and director_virtual_servers")


def nat(gateway: str) -> list[str]:
    host = {"ansible_host": "192.0.2.21", "real_server_mode": "NAT", "real_server_gateway": gateway}
    return found(service("192.0.2.21", kind="NAT"), hosts={"w1": host})


def test_the_gateway_of_nat() -> None:
    assert nat(OTHER) == []
    assert nat("192.0.2.1") == [
        (
            "real_server_gateway (w1): no director has the VIP 192.0.2.1, so no answer comes back to clients;"
            f" VIPs of the directors: {VIP}, {OTHER}"
        )
    ]
    assert nat("192.0.2.11") == [
        (
            "warning: real_server_gateway (w1): 192.0.2.11 is lb1's own address, so answers are lost when another"
            " director is master; write a VIP of this network"
        )
    ]


def test_a_gateway_for_each_family() -> None:
    host = {"ansible_host": "2001:db8::21", "real_server_mode": "NAT", "real_server_gateway": OTHER}
    six = {**service("2001:db8::21", kind="NAT"), "ip": "2001:db8::100"}
    problem = found(six, hosts={"w1": host})[0]
    what = "it is missing, and IPv6 clients are sent here by NAT"
    assert problem == f"real_server_gateway6 (w1): {what}; write the directors' inner VIP of this family"
    mixed = {**host, "ansible_host": "192.0.2.21", "real_server_gateway6": "192.0.2.9"}
    (problem,) = found(service("192.0.2.21", kind="NAT"), hosts={"w1": mixed})
    assert problem == "real_server_gateway6 (w1): 192.0.2.9 is not an IPv6 address; write it as real_server_gateway"


@pytest.mark.parametrize("kind, name", [("TUN type gue port 6080", "gue"), ("TUN type gre csum", "gre")])
def test_a_tunnel_that_the_role_does_not_make(kind: str, name: str) -> None:
    host = {"ansible_host": "192.0.2.21", "real_server_mode": "TUN", "real_server_vips": [VIP]}
    assert found(service("192.0.2.21", kind=kind), hosts={"w1": host}) == [
        (
            f"real_server_mode (w1): director_virtual_servers[{VIP}:80] sends to it by TUN of type {name}, and the role"
            " makes tunl0 only; write TUN type ipip over IPv4, or set up the real server without the role"
        )
    ]
    for good in ("TUN", "TUN type ipip", "TUN nocsum"):
        assert found(service("192.0.2.21", kind=good), hosts={"w1": host}) == []


def test_a_tunnel_over_ipv6() -> None:
    host = {"ansible_host": "2001:db8::21", "real_server_mode": "TUN", "real_server_vips": ["2001:db8::100"]}
    six = {**service("2001:db8::21", kind="TUN"), "ip": "2001:db8::100"}
    assert "sends to it by TUN over IPv6, and the role makes tunl0 only" in found(six, hosts={"w1": host})[0]


def test_a_real_server_that_nothing_uses() -> None:
    hosts = {"w1": dr("192.0.2.21", VIP), "w2": dr("192.0.2.22", VIP), "w3": dr("web03.example.org", VIP)}
    assert found(service("192.0.2.21"), hosts=hosts) == [
        (
            "warning: ansible_host (w2): no virtual server sends to its address; list it as a real_server, or take"
            " the host out of the group"
        )
    ]


def test_a_vip_that_is_a_hosts_own_address() -> None:
    hosts = {"w1": dr(OTHER, VIP)}
    assert found(service(OTHER), hosts=hosts)[0] == (
        f"director_vrrp_instances[V].virtual_ipaddress (lb1, lb2): {OTHER} is the own address of w1, so it cannot be a"
        " VIP; choose an address that no host has"
    )


def test_a_real_server_that_is_the_vip() -> None:
    (problem,) = found(service(VIP), hosts={})
    assert problem == (
        f"director_virtual_servers[{VIP}:80].real_server[{VIP}:80].ip (lb1, lb2): the real server {VIP} is a VIP of the"
        " directors; write the real server's own address"
    )


def test_a_mistyped_variable() -> None:
    hosts = {"w1": dr("192.0.2.21", VIP, real_server_vip_interfac="ens37", real_server_rack=7)}
    assert found(service("192.0.2.21"), hosts=hosts) == [
        "real_server_vip_interfac (w1): the role has no such variable; did you mean real_server_vip_interface?"
    ]


def test_a_service_on_another_host_s_own_address() -> None:
    elsewhere = service("192.0.2.21", ip="192.0.2.22")
    hosts = {"w1": dr("192.0.2.21", VIP), "w2": dr("192.0.2.22", VIP)}
    said = [one for one in found(service("192.0.2.22"), elsewhere, hosts=hosts) if "own address" in one]
    assert said == [
        (
            "director_virtual_servers[192.0.2.22:80].ip (lb1, lb2): 192.0.2.22 is the own address of w2, whose packets"
            " never come here; write a VIP of the directors"
        )
    ]
