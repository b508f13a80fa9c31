# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a director's host must have for its configuration to work."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.linuxha.lvs.plugins.filter import director_needs as needs_filter

INSTANCE = {"name": "V", "interface": "ens33", "virtual_router_id": 51, "virtual_ipaddress": ["192.0.2.100"]}


def needs(*instances: dict[str, Any], **variables: Any) -> dict[str, list[Any]]:
    """The needs of the director `a`, whose peer is `b`."""
    own = {"ansible_host": "192.0.2.1", "director_vrrp_instances": list(instances), **variables}
    (function,) = needs_filter.FilterModule().filters().values()
    found: dict[str, list[Any]] = function("a", ["a", "b"], {"a": own, "b": {"ansible_host": "192.0.2.2"}})
    return found


def test_one_instance() -> None:
    assert needs(INSTANCE) == {
        "interfaces": ["ens33"],
        "ipv4_interfaces": ["ens33"],
        "addresses": [],
        "virtual_ips": [{"interface": "ens33", "address": "192.0.2.100"}],
        "peers": ["192.0.2.2"],
        "kernel_modules": [],
    }


def test_a_director_without_vrrp() -> None:
    assert needs() == {
        "interfaces": [],
        "ipv4_interfaces": [],
        "addresses": [],
        "virtual_ips": [],
        "peers": ["192.0.2.2"],
        "kernel_modules": [],
    }


def test_every_interface_once() -> None:
    first = {**INSTANCE, "track_interface": ["ens41 weight -10", "ens33"]}
    second = {
        **INSTANCE,
        "name": "W",
        "virtual_ipaddress": ["192.0.2.101/24 dev ens37 label ens37:1"],
        "virtual_ipaddress_excluded": ["192.0.2.102 brd + dev ens38", "192.0.2.103 dev ens37"],
    }
    found = needs(first, second, director_global_defs={"lvs_sync_daemon": "ens42 V id 7"})
    assert found["interfaces"] == ["ens33", "ens41", "ens37", "ens38", "ens42"]
    assert found["ipv4_interfaces"] == ["ens33"]
    assert [pair["interface"] for pair in found["virtual_ips"]] == ["ens33", "ens37", "ens38", "ens37"]
    assert found["virtual_ips"][1]["address"] == "192.0.2.101"


@pytest.mark.parametrize(
    "words, name",
    [({"use_vmac": "vip0"}, "vip0"), ({"use_vmac": True}, "vrrp.51"), ({"use_ipvlan": "ipv0"}, "ipv0")],
)
def test_an_interface_that_the_engine_makes_need_not_be_there(words: dict[str, Any], name: str) -> None:
    instance = {**INSTANCE, **words, "virtual_ipaddress": [f"192.0.2.100 dev {name}"]}
    assert needs(instance)["interfaces"] == ["ens33"]


def test_the_hosts_own_interface() -> None:
    found = needs(INSTANCE, director_host_vrrp_instances={"V": {"interface": "bond0"}})
    assert found["interfaces"] == ["bond0"]
    assert found["ipv4_interfaces"] == ["bond0"]


@pytest.mark.parametrize(
    "words, address",
    [
        ({"mcast_src_ip": "192.0.2.7"}, "192.0.2.7"),
        ({"unicast_src_ip": "192.0.2.8"}, "192.0.2.8"),
    ],
)
def test_where_adverts_come_from(words: dict[str, Any], address: str) -> None:
    assert needs({**INSTANCE, **words})["addresses"] == [{"interface": "ens33", "address": address}]


def test_adverts_of_ipv6_come_from_an_address_that_nobody_chose() -> None:
    found = needs({**INSTANCE, "virtual_ipaddress": ["fd00::100"]})
    assert (found["addresses"], found["ipv4_interfaces"]) == ([], [])


def test_the_directors_address_is_told_apart_from_ansibles() -> None:
    found = needs(INSTANCE, director_address="198.51.100.1")
    assert found["addresses"] == [{"interface": "ens33", "address": "198.51.100.1"}]


def test_the_kernels_modules() -> None:
    servers = [{"lb_algo": "wlc"}, {"lb_algo": "rr"}]
    assert needs(director_virtual_servers=servers)["kernel_modules"] == ["ip_vs", "ip_vs_rr", "ip_vs_wlc"]


def test_an_instance_without_an_interface_is_left_to_the_sites_check() -> None:
    assert needs({"name": "V"})["interfaces"] == []


def test_a_director_that_is_reached_by_a_name() -> None:
    found = needs(INSTANCE, ansible_host="lvs01")
    assert (found["ipv4_interfaces"], found["peers"]) == (["ens33"], ["192.0.2.2"])
    hostvars = {"a": {"ansible_host": "192.0.2.1"}, "b": {"ansible_host": "lvs02"}}
    assert needs_filter.director_needs("a", ["a", "b"], hostvars)["peers"] == []


def test_a_host_that_is_not_yet_among_the_directors() -> None:
    hostvars = {"a": {"ansible_host": "192.0.2.1"}, "b": {"ansible_host": "192.0.2.2"}}
    assert needs_filter.director_needs("a", ["b"], hostvars)["peers"] == ["192.0.2.2"]
