# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a configuration asks of the firewall, the kernel and the order of changes."""

from __future__ import annotations

from typing import Any

import pytest

from _lvs_agent.conf import address, firewall, needs
from _lvs_agent.conf.problem import BadValue


def director(number: int, **words: Any) -> dict[str, Any]:
    instance = {
        "name": "V",
        "interface": "ens33",
        "priority": number,
        "virtual_ipaddress": ["192.0.2.100"],
        **words,
    }
    return {"director_address": f"192.0.2.{number}", "director_vrrp_instances": [instance]}


def rule(**more: Any) -> dict[str, Any]:
    return {"ip_version": "ipv4", "protocol": "112", "source": "192.0.2.2", "comment": "VRRP from b", **more}


def test_vrrp_from_the_other_director_only() -> None:
    assert firewall.rules("a", {"a": director(1), "b": director(2)}) == [rule()]


def test_three_directors() -> None:
    found = firewall.rules("b", {"a": director(1), "b": director(2), "c": director(3)})
    assert [one["source"] for one in found] == ["192.0.2.1", "192.0.2.3"]


def test_the_authentication_header() -> None:
    signed = {"authentication": {"auth_type": "AH", "auth_pass": "x"}}
    found = firewall.rules("a", {"a": director(1, **signed), "b": director(2, **signed)})
    assert [one["protocol"] for one in found] == ["112", "51"]


def test_the_sync_daemon() -> None:
    found = firewall.rules("a", {"a": director(1), "b": director(2, lvs_sync_daemon_interface="ens33")})
    assert found[1] == rule(protocol="udp", destination_port=8848, comment="IPVS sync from b")


def test_the_sync_daemons_own_port() -> None:
    other = {**director(2), "director_global_defs": {"lvs_sync_daemon": "ens33 V id 1 port 9000"}}
    assert firewall.rules("a", {"a": director(1), "b": other})[1]["destination_port"] == 9000


def test_another_source_address() -> None:
    found = firewall.rules("a", {"a": director(1), "b": director(2, mcast_src_ip="198.51.100.2")})
    assert [one["source"] for one in found] == ["192.0.2.2", "198.51.100.2"]


def test_ipv6_comes_from_a_link_local_address() -> None:
    six = {"virtual_ipaddress": ["fe80::1"]}
    found = firewall.rules("a", {"a": director(1, **six), "b": director(2, **six)})
    assert found == [
        rule(ip_version="ipv6", source="fe80::/10", interface="ens33", comment="VRRP for V"),
    ]


def test_ipv6_unicast_comes_from_the_peer() -> None:
    def six(own: str, peer: str) -> dict[str, Any]:
        return {"virtual_ipaddress": ["2001:db8::1"], "unicast_src_ip": own, "unicast_peer": [peer]}

    one, two = six("2001:db8::a", "2001:db8::b"), six("2001:db8::b", "2001:db8::a")
    found = firewall.rules("a", {"a": director(1, **one), "b": director(2, **two)})
    assert found == [rule(ip_version="ipv6", source="2001:db8::b")]


def test_the_ansible_address_will_do() -> None:
    other = {**director(2), "director_address": None, "ansible_host": "192.0.2.2"}
    assert firewall.rules("a", {"a": director(1), "b": other}) == [rule()]


def test_a_name_alone_will_not_do() -> None:
    with pytest.raises(BadValue, match="b: the address of its interface ens33 is not known; run the play on all dir"):
        firewall.rules("a", {"a": director(1), "b": {**director(2), "director_address": None}})


def looked_at(**interfaces: list[str]) -> dict[str, Any]:
    """What the preflight has found on a host."""
    return {"director_host_info": {"interfaces": interfaces, "problems": []}}


def test_addresses_are_found_on_the_host() -> None:
    """Ansible reaches it by another address; of the interface, what VRRP may have added does not count."""
    other = {**director(2), "director_address": None, "ansible_host": "mgmt.example.org"}
    found = looked_at(ens33=["192.0.2.2/24", "192.0.2.100/24", "fe80::2/64", "2001:db8::2/64"], lab0=["198.18.0.2/24"])
    assert firewall.rules("a", {"a": director(1), "b": {**other, **found}}) == [rule()]
    assert firewall.rules("a", {"a": director(1), "b": {**other, "ansible_host": "198.18.0.2", **found}}) == [rule()]


def test_what_the_site_says_comes_before_what_is_found() -> None:
    said = {**director(2, mcast_src_ip="192.0.2.7"), **looked_at(ens33=["192.0.2.2/24", "192.0.2.7/24"])}
    assert rule(source="192.0.2.7") in firewall.rules("a", {"a": director(1), "b": said})


def test_a_second_network() -> None:
    second = {"name": "W", "interface": "ens37", "virtual_router_id": 52, "virtual_ipaddress": ["198.51.100.100"]}
    other = director(2)
    other["director_vrrp_instances"] = [*other["director_vrrp_instances"], second]
    with pytest.raises(BadValue, match="b: the address of its interface ens37 is not known"):
        firewall.rules("a", {"a": director(1), "b": other})
    found = looked_at(ens33=["192.0.2.2/24"], ens37=["198.51.100.2/24"])
    both = firewall.rules("a", {"a": director(1), "b": {**other, **found}})
    assert both == [rule(), rule(source="198.51.100.2")]


def test_synced_connections_come_from_their_interface() -> None:
    found = looked_at(ens33=["192.0.2.2/24"], ens37=["198.51.100.2/24", "2001:db8::2/64"])
    other = {**director(2), "director_global_defs": {"lvs_sync_daemon": "ens37 V"}, **found}
    sync = {"protocol": "udp", "destination_port": 8848, "comment": "IPVS sync from b"}
    rules = firewall.rules("a", {"a": director(1), "b": other})
    assert [one for one in rules if one["protocol"] == "udp"] == [
        {"ip_version": "ipv4", "source": source, **sync} for source in ("192.0.2.2", "198.51.100.2")
    ]


@pytest.mark.parametrize(
    "servers, modules, forwards",
    [
        ([], [], False),
        (
            [{"lb_algo": "rr", "lb_kind": "DR", "real_server": [{"ip": "192.0.2.1"}]}],
            ["ip_vs", "ip_vs_rr"],
            False,
        ),
        ([{"real_server": [{"ip": "192.0.2.1"}]}], ["ip_vs", "ip_vs_wlc"], True),
        (
            [{"lvs_sched": "sh", "lb_kind": "TUN type gre", "real_server": [{"ip": "192.0.2.1"}]}],
            ["ip_vs", "ip_vs_sh"],
            False,
        ),
        (
            [
                {
                    "lb_algo": "wrr",
                    "lb_kind": "DR",
                    "real_server": [{"ip": "192.0.2.1", "lvs_method": "NAT"}],
                },
                {"lb_algo": "rr", "lb_kind": "DR", "persistence_engine": "sip"},
            ],
            ["ip_vs", "ip_vs_pe_sip", "ip_vs_rr", "ip_vs_wrr"],
            True,
        ),
        (
            [{"lb_kind": "DR", "sorry_server": "192.0.2.9", "sorry_server_lvs_method": "NAT"}],
            ["ip_vs", "ip_vs_wlc"],
            True,
        ),
    ],
)
def test_the_kernels_part(servers: list[dict[str, Any]], modules: list[str], forwards: bool) -> None:
    variables = {"director_virtual_servers": servers}
    assert needs.ipvs_modules(variables) == modules
    assert needs.needs_forwarding(variables) is forwards


@pytest.mark.parametrize(
    "words, expires",
    [
        ({}, False),
        ({"persistence_timeout": 0}, False),
        ({"persistence_timeout": "0"}, False),
        ({"persistence_timeout": False}, False),
        ({"persistence_timeout": 300}, True),
        ({"persistence_timeout": "300"}, True),
        ({"persistence_timeout": True}, True),
        ({"persistence_granularity": "255.255.255.0"}, True),
    ],
)
def test_templates_expire_where_a_virtual_server_is_persistent(words: dict[str, Any], expires: bool) -> None:
    assert needs.needs_template_expiry({"director_virtual_servers": [{"lb_algo": "rr"}, words]}) is expires


@pytest.mark.parametrize(
    "priorities, order",
    [
        ({"a": 150, "b": 100}, ["b", "a"]),
        ({"a": 100, "b": 150, "c": 120}, ["a", "c", "b"]),
        ({"b": 100, "a": 100}, ["b", "a"]),
        ({"a": "150", "b": None}, ["b", "a"]),
    ],
)
def test_the_master_comes_last(priorities: dict[str, Any], order: list[str]) -> None:
    group = [{"name": "V"}]
    directors = {
        host: {"director_vrrp_instances": group, "director_host_vrrp_instances": {"V": {"priority": value}}}
        for host, value in priorities.items()
    }
    assert needs.backup_first(directors) == order


@pytest.mark.parametrize(
    "text, addresses",
    [
        ("192.0.2.1", ["192.0.2.1"]),
        ("192.0.2.1-3", ["192.0.2.1", "192.0.2.2", "192.0.2.3"]),
        ("192.0.2.255-192.0.3.1", ["192.0.2.255", "192.0.3.0", "192.0.3.1"]),
        ("2001:db8::9-b", ["2001:db8::9", "2001:db8::a", "2001:db8::b"]),
        ("192.0.2.8/31", ["192.0.2.8", "192.0.2.9"]),
    ],
)
def test_a_range(text: str, addresses: list[str]) -> None:
    assert [str(at) for at in address.expand(text)] == addresses


@pytest.mark.parametrize(
    "text", ["192.0.2.5-3", "192.0.2.1-256", "10.0.0.0-11.0.0.0", "10.0.0.0/8", "192.0.2.1-2001:db8::1", "x"]
)
def test_no_range(text: str) -> None:
    with pytest.raises(BadValue):
        address.expand(text)
