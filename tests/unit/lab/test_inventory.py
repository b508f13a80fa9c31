# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab makes of a site's variables."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.linuxha.lvs.plugins.filter import lab_hosts as lab_filter

from _lab.errors import LabError
from _lab.inventory import lab_hosts

INSTANCES = [
    {"name": "VI_1", "interface": "ens33", "virtual_ipaddress": ["192.0.2.254/24 dev ens33"]},
    {"name": "VI_2", "interface": "ens37", "virtual_ipaddress_excluded": ["192.0.2.253"]},
]


def nics_of(variables: dict[str, Any]) -> Any:
    (host,) = lab_hosts(["a"], {"a": variables}, [], [])
    return host["nics"]


def client_of(variables: dict[str, Any]) -> Any:
    return lab_hosts(["a"], {"a": variables}, [])[-1]


def test_nics_as_the_inventory_says_them() -> None:
    nics = [{"name": "ens33", "addresses": ["192.0.2.1/24"], "segment": "dmz"}, {"name": "ens37"}]
    variables = {"lab_nics": nics, "ansible_host": "not looked at", "director_vrrp_instances": INSTANCES}
    assert nics_of(variables) == nics


@pytest.mark.parametrize("nics", [["ens33"], [{"addresses": []}], "ens33"])
def test_nics_that_are_none(nics: Any) -> None:
    with pytest.raises(LabError, match="host a: lab_nics is a list such as"):
        nics_of({"lab_nics": nics})


def test_a_directors_nics_are_its_instances() -> None:
    expected = [{"name": "ens33", "addresses": ["192.0.2.1/24"]}, {"name": "ens37", "addresses": []}]
    assert nics_of({"ansible_host": "192.0.2.1", "director_vrrp_instances": INSTANCES}) == expected


def test_a_directors_own_interface_wins() -> None:
    variables = {
        "ansible_host": "192.0.2.1",
        "director_vrrp_instances": INSTANCES[:1],
        "director_host_vrrp_instances": {"VI_1": {"interface": "bond0"}},
    }
    assert nics_of(variables) == [{"name": "bond0", "addresses": ["192.0.2.1/24"]}]


def test_a_real_servers_vip_interface_does_not_carry_its_own_address() -> None:
    variables = {"ansible_host": "192.0.2.11", "real_server_vip_interface": "ens37"}
    assert nics_of(variables) == [{"name": "eth0", "addresses": ["192.0.2.11/24"]}, {"name": "ens37", "addresses": []}]


@pytest.mark.parametrize("interface", ["lo", "tunl0", None])
def test_what_every_host_has_is_no_nic(interface: str | None) -> None:
    variables = {"ansible_host": "fd00::11", "real_server_vip_interface": interface, "lab_prefix": 64}
    assert nics_of(variables) == [{"name": "eth0", "addresses": ["fd00::11/64"]}]


@pytest.mark.parametrize("address", ["web01.example.org", None])
def test_a_name_for_an_address_tells_no_nic(address: str | None) -> None:
    with pytest.raises(LabError, match=r"host a: ansible_host is '.*', not an address.* lab_nics: \[\{name: ens33"):
        nics_of({"ansible_host": address})


def test_local_hosts_are_left_out() -> None:
    hostvars: dict[str, Any] = {
        "bastion": {"ansible_connection": "local"},
        "web01": {"ansible_host": "192.0.2.11"},
        "lvs01": {"ansible_host": "192.0.2.1", "lab_web_ports": [8080]},
    }
    hosts = lab_hosts(["bastion", "web01", "lvs01"], hostvars, ["web01"], [])
    assert [(host["name"], host["web_ports"], host["aliases"]) for host in hosts] == [
        ("web01", [80], ["192.0.2.11"]),
        ("lvs01", [8080], ["192.0.2.1"]),
    ]
    with pytest.raises(LabError, match="no hosts to boot"):
        lab_hosts(["bastion"], hostvars, [])


def test_a_host_that_is_called_by_its_own_name_has_no_alias() -> None:
    (host,) = lab_hosts(["a"], {"a": {"lab_nics": []}}, [], [])
    assert host["aliases"] == []


def test_the_client_gets_the_highest_free_address() -> None:
    nic = {"name": "ens33", "addresses": ["192.0.2.252/24"], "gateway": "192.0.2.251", "segment": "dmz"}
    expected = {
        "name": "client",
        "nics": [{"name": "eth0", "addresses": ["192.0.2.250/24"], "segment": "dmz"}],
        "lab_only": True,
    }
    # .254 and .253 are virtual IPs
    assert client_of({"lab_nics": [nic], "director_vrrp_instances": INSTANCES}) == expected


def test_the_client_goes_where_the_first_host_has_an_address() -> None:
    nics = [{"name": "ens37"}, {"name": "ens33", "addresses": ["fd00::1/64"]}]
    assert client_of({"lab_nics": nics})["nics"] == [
        {"name": "eth0", "addresses": ["fd00::fffe/64"]},
    ]


@pytest.mark.parametrize("addresses", [[], ["192.0.2.1/32"], ["192.0.2.1/30", "192.0.2.2/30"]])
def test_no_room_for_a_client(addresses: list[str]) -> None:
    with pytest.raises(LabError, match=r"no free address for the lab's client.*lab_only_hosts"):
        client_of({"lab_nics": [{"name": "ens33", "addresses": addresses}]})


def test_the_client_has_an_address_of_every_family_and_network_that_a_service_has() -> None:
    variables = {
        "lab_nics": [
            {"name": "eth0", "addresses": ["192.0.2.1/24", "2001:db8:1::1/64"], "segment": "front"},
            {"name": "eth1", "addresses": ["198.51.100.1/24"], "segment": "second"},
            {"name": "eth2", "addresses": ["10.0.0.1/24"], "segment": "inner"},
        ],
        "director_virtual_servers": [{"ip": "192.0.2.9"}, {"ip": "2001:db8:1::9"}, {"ip": "198.51.100.9"}],
        # the gateway of the real servers: no client asks there
        "director_vrrp_instances": [{"name": "VI_INNER", "interface": "eth2", "virtual_ipaddress": ["10.0.0.9"]}],
    }
    assert client_of(variables)["nics"] == [
        {"name": "eth0", "addresses": ["192.0.2.254/24", "2001:db8:1::fffe/64"], "segment": "front"},
        {"name": "eth1", "addresses": ["198.51.100.254/24"], "segment": "second"},
    ]


def test_other_hosts_in_place_of_the_client() -> None:
    own = {"name": "tester", "nics": []}
    assert lab_hosts(["a"], {"a": {"lab_nics": []}}, [], [own])[1:] == [{**own, "lab_only": True}]


def test_the_filter_speaks_ansible() -> None:
    (function,) = lab_filter.FilterModule().filters().values()
    assert function(["a"], {"a": {"lab_nics": []}}, [], []) == lab_hosts(["a"], {"a": {"lab_nics": []}}, [], [])
    with pytest.raises(AnsibleFilterError, match="not an address"):
        function(["a"], {"a": {}}, [])
