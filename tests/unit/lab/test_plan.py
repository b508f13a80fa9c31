# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of a lab: what Linux can take as a name, who may have which address, and the same plan from JSON."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _lab.errors import LabError
from _lab.plan import Host, Nic, Plan, host_from_dict, make_plan, plan_from_dict


def planned(*hosts: Host, **more: Any) -> Plan:
    return make_plan(more.pop("name", "t"), hosts, "/base.img", **more)


def one_nic(name: str = "a", nic: str = "ens33", address: str = "192.0.2.1/24", **more: Any) -> Host:
    return Host(name, (Nic(nic, (address,), **more),))


def test_hosts_get_distinct_wires() -> None:
    plan = planned(*(Host(f"h{number}", (Nic("ens33"), Nic("ens37"))) for number in range(20)))
    ports = [port for guest in plan.guests for port in guest.ports]
    assert len({port.tap for port in ports}) == len({port.mac for port in ports}) == 60
    assert all(len(port.tap) <= 15 for port in ports)
    # locally administered, for one receiver
    assert {int(port.mac[:2], 16) & 3 for port in ports} == {2}
    assert [port.nic for port in plan.guests[0].ports] == ["lab0", "ens33", "ens37"]
    assert plan.bridges == ["br-lan", "br-mgmt"]


def test_management_addresses_are_distinct_and_not_the_routers() -> None:
    plan = planned(*(Host(f"h{number}", ()) for number in range(253)))
    addresses = [guest.management_address for guest in plan.guests] + [plan.management_router]
    assert (addresses[0], addresses[-2], addresses[-1]) == ("198.18.0.1/24", "198.18.0.253/24", "198.18.0.254/24")
    assert len(set(addresses)) == 254


def test_more_hosts_than_the_management_network_holds() -> None:
    hosts = [Host(f"h{number}", ()) for number in range(6)]
    assert len(planned(*hosts[:5], management_network="198.18.0.0/29").guests) == 5
    with pytest.raises(LabError, match="6 hosts do not fit into the management network 198"):
        planned(*hosts, management_network="198.18.0.0/29")


@pytest.mark.parametrize("network", ["198.18.0.1/24", "fd00::/64", "here"])
def test_a_management_network_that_is_none(network: str) -> None:
    with pytest.raises(LabError, match="no IPv4 network"):
        planned(one_nic(), management_network=network)


@pytest.mark.parametrize("name", ["a", "a-1", "0" * 31])
def test_a_labs_name(name: str) -> None:
    assert planned(one_nic(), name=name).namespace == f"lab-{name}"


@pytest.mark.parametrize("name", ["", "A", "-a", "a_b", "..", "a/b", "a" * 32, "a\n"])
def test_no_labs_name(name: str) -> None:
    with pytest.raises(LabError, match="lower-case letters, digits and dashes"):
        planned(one_nic(), name=name)


@pytest.mark.parametrize("name", ["web01", "Web_01", "web.example.org", "192.0.2.1", "a" * 60])
def test_a_hosts_name(name: str) -> None:
    assert planned(one_nic(name)).guest(name).name == name


def test_a_machines_name_has_room_for_lab_and_host() -> None:
    with pytest.raises(LabError, match="give the lab a shorter name"):
        planned(one_nic(name="a" * 60), name="b" * 2)


@pytest.mark.parametrize("name", ["vec0", "vec12"])
def test_a_kernels_own_nic_names_are_taken(name: str) -> None:
    with pytest.raises(LabError, match="cannot be the name of a NIC"):
        planned(host_from_dict({"name": "web01", "nics": [{"name": name}]}))


@pytest.mark.parametrize("name", ["", "-a", "a b", "a/b", "fd00::1", "*", "a" * 64])
def test_no_hosts_name(name: str) -> None:
    with pytest.raises(LabError, match="cannot be a Linux host name"):
        planned(one_nic(name))


@pytest.mark.parametrize("nic", ["ens33", "eth0.100", "bond0", "n" * 15])
def test_a_nics_name(nic: str) -> None:
    assert planned(one_nic(nic=nic)).guests[0].ports[1].nic == nic


@pytest.mark.parametrize("nic", ["", "n" * 16, "lo", "lab0", ".", "..", "a b", "a/b", "eth0:1"])
def test_no_nics_name(nic: str) -> None:
    with pytest.raises(LabError, match="cannot be the name of a NIC"):
        planned(one_nic(nic=nic))


@pytest.mark.parametrize("segment", ["", "mgmt", "LAN", "s" * 13])
def test_no_segments_name(segment: str) -> None:
    with pytest.raises(LabError, match="segment"):
        planned(one_nic(segment=segment))


def test_a_bridges_name_fits_the_longest_segment() -> None:
    (port,) = planned(one_nic(segment="s" * 12)).guests[0].ports[1:]
    assert len(port.bridge) == 15


def test_what_is_there_twice() -> None:
    with pytest.raises(LabError, match="host a is there twice"):
        planned(one_nic(), one_nic(address="192.0.2.2/24"))
    with pytest.raises(LabError, match="NIC ens33 is there twice"):
        planned(Host("a", (Nic("ens33"), Nic("ens33"))))
    with pytest.raises(LabError, match="no hosts"):
        planned()


@pytest.mark.parametrize(
    "first, second",
    [("192.0.2.1/24", "192.0.2.1/24"), ("192.0.2.1/24", "192.0.2.1/32"), ("fd00::1/64", "fd00:0:0::1/64")],
)
def test_an_address_is_given_once_on_a_wire(first: str, second: str) -> None:
    with pytest.raises(LabError, match=r"address clash: .* a \(ens33\) and to b \(eth0\)"):
        planned(one_nic(address=first), one_nic("b", "eth0", second))


def test_an_address_may_be_there_once_on_each_wire() -> None:
    plan = planned(one_nic(), one_nic("b", segment="inner"))
    assert plan.bridges == ["br-inner", "br-lan", "br-mgmt"]


def test_a_host_clashes_with_itself() -> None:
    with pytest.raises(LabError, match="address clash"):
        planned(Host("a", (Nic("ens33", ("192.0.2.1/24",)), Nic("ens37", ("192.0.2.1/24",)))))


@pytest.mark.parametrize("address", ["198.18.0.77/32", "198.18.0.1/15"])
def test_the_management_network_is_the_labs_own(address: str) -> None:
    with pytest.raises(LabError, match="lab_management_network"):
        planned(one_nic(address=address))
    assert planned(one_nic(address=address), management_network="203.0.113.0/24").routers == {}


def test_the_lab_plays_a_router_that_no_host_is() -> None:
    plan = planned(
        one_nic(gateway="192.0.2.254"),
        one_nic("b", address="192.0.2.2/24", gateway="192.0.2.254"),
        one_nic("c", address="fd00::3/64", gateway="fd00::1"),
        one_nic("d", address="198.51.100.1/25", segment="inner", gateway="198.51.100.126"),
    )
    assert plan.routers == {"br-inner": ("198.51.100.126/25",), "br-lan": ("192.0.2.254/24", "fd00::1/64")}


def test_a_gateway_that_is_a_host_is_left_to_it() -> None:
    assert planned(one_nic(gateway="192.0.2.2"), one_nic("b", address="192.0.2.2/24")).routers == {}


@pytest.mark.parametrize(
    "nic, words",
    [
        (Nic("ens33", ("192.0.2.1/24",), gateway="198.51.100.1"), "192.0.2.1/24"),
        (Nic("ens33", ("192.0.2.1/24",), gateway="fd00::1"), "192.0.2.1/24"),
        (Nic("ens33", gateway="192.0.2.254"), "it has no address"),
    ],
)
def test_a_gateway_out_of_reach(nic: Nic, words: str) -> None:
    with pytest.raises(LabError, match=r"host a, NIC ens33: gateway .* in none of its networks") as caught:
        planned(Host("a", (nic,)))
    assert words in str(caught.value)


def test_options_become_a_host() -> None:
    nic = {"name": "ens33", "addresses": ["192.0.2.1/24", "fd00:0::1/64"], "segment": "lan", "gateway": "fd00:0::2"}
    host = host_from_dict({"name": "a", "nics": [nic, {"name": "ens37", "gateway": ""}], "web_ports": [80]})
    assert host == Host(
        "a", (Nic("ens33", ("192.0.2.1/24", "fd00::1/64"), gateway="fd00::2"), Nic("ens37")), web_ports=(80,)
    )


@pytest.mark.parametrize(
    "nic, words",
    [
        ({"addresses": ["192.0.2.300/24"]}, "'192.0.2.300/24' is not an address with prefix length"),
        ({"addresses": ["192.0.2.1/33"]}, "'192.0.2.1/33' is not an address with prefix length"),
        ({"gateway": "192.0.2.1/24"}, "gateway '192.0.2.1/24' is not an address"),
        ({"gateway": "router"}, "gateway 'router' is not an address"),
    ],
)
def test_options_that_are_no_host(nic: dict[str, Any], words: str) -> None:
    with pytest.raises(LabError, match="host a, NIC ens33: ") as caught:
        host_from_dict({"name": "a", "nics": [{"name": "ens33", **nic}]})
    assert words in str(caught.value)


def test_an_unknown_host_is_answered_with_the_known_ones(plan: Plan) -> None:
    with pytest.raises(LabError, match="lab t has no host 'web1'; its hosts: lvs01, web01, client"):
        plan.guest("web1")


WIRES = st.from_regex(r"[a-z][a-z0-9]{0,9}", fullmatch=True).filter(lambda word: word not in ("lo", "lab0", "mgmt"))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Any plan: addresses are all different, so that they clash nowhere."""
    names = draw(st.lists(WIRES, min_size=1, max_size=4, unique=True))
    free = iter(ipaddress.IPv4Network("10.0.0.0/16"))
    hosts = []
    for name in names:
        nics = []
        for nic in draw(st.lists(WIRES, max_size=3, unique=True)):
            prefixes = draw(st.lists(st.integers(8, 32), max_size=2))
            addresses = tuple(f"{next(free)}/{prefix}" for prefix in prefixes)
            has_gateway = draw(st.booleans())
            gateway = addresses[0].partition("/")[0] if addresses and has_gateway else None
            nics.append(Nic(nic, addresses, draw(WIRES), gateway))
        ports = draw(st.lists(st.integers(1, 65535), max_size=2))
        aliases = draw(st.lists(WIRES, max_size=2))
        lab_only = draw(st.booleans())
        hosts.append(Host(name, tuple(nics), tuple(ports), tuple(aliases), lab_only))
    return make_plan("t", hosts, draw(st.text()), draw(st.integers(64, 4096)))


@given(plans())
def test_a_plan_survives_its_file(plan: Plan) -> None:
    assert plan_from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


def test_a_plan_with_routers_survives_its_file(plan: Plan) -> None:
    assert plan.routers
    assert plan_from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
