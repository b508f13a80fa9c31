# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directors that do not hear each other, and hosts that are one machine."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from _lvs_agent.conf import check_heard, check_machines

Hosts = dict[str, dict[str, Any]]


def site(peers: tuple[str, ...], vip: str = "192.0.2.100", **words: Any) -> Hosts:
    """Three directors with these peers each; what was found on them is .1 to .3 and fe80::1 to fe80::3."""
    instance = {"name": "V", "interface": "eth0", "virtual_router_id": 5, "virtual_ipaddress": [vip], **words}
    return {
        f"lvs0{number}": {
            "ansible_host": f"lvs0{number}.example.org",
            "director_vrrp_instances": [{**copy.deepcopy(instance), "unicast_peer": list(peers)}],
            "director_host_info": {
                "interfaces": {"eth0": [f"192.0.2.{number}/24", f"fe80::{number}/64", f"2001:db8::{number}/64"]}
            },
        }
        for number in (1, 2, 3)
    }


def told(hosts: Hosts) -> list[str]:
    return [str(one) for one in check_heard.problems(hosts)]


@pytest.mark.parametrize(
    "hosts",
    [
        site(()),
        site(("192.0.2.1", "192.0.2.2", "192.0.2.3")),
        site(("fe80::1", "fe80::2", "fe80::3"), "2001:db8::100"),
        site(("2001:db8::1", "2001:db8::2", "fe80:0::3"), "2001:db8::100"),
    ],
)
def test_they_hear_each_other(hosts: Hosts) -> None:
    assert told(hosts) == []


def test_one_is_missing_on_all() -> None:
    where = "director_vrrp_instances[V].unicast_peer"
    advice = "so it does not hear this director: both would be master; list every other director"
    assert told(site(("192.0.2.1", "192.0.2.2", "192.0.2.9"))) == [
        f"{where} (lvs01): lvs03 (192.0.2.3) is not in it, {advice}",
        f"{where} (lvs02): lvs03 (192.0.2.3) is not in it, {advice}",
    ]


def test_what_the_site_says_counts_not_what_was_found() -> None:
    hosts = site(("192.0.2.1", "192.0.2.2", "192.0.2.3"))
    hosts["lvs02"]["director_host_vrrp_instances"] = {"V": {"unicast_src_ip": "198.51.100.2"}}
    found = told(hosts)
    assert len(found) == 2
    assert all("lvs02 (198.51.100.2) is not in it" in one for one in found)


def test_nothing_is_said_of_those_that_nobody_has_looked_at() -> None:
    hosts = site(("192.0.2.9",))
    for one in hosts.values():
        del one["director_host_info"]
    assert told(hosts) == []


def test_a_vip_that_a_master_holds_is_no_address_of_its_own() -> None:
    hosts = site(("192.0.2.100",))
    hosts["lvs01"]["director_host_info"]["interfaces"]["eth0"].append("192.0.2.100/32")
    assert len(told(hosts)) == 6


@pytest.mark.parametrize(
    "hosts, expected",
    [
        ({"a": {"ansible_host": "192.0.2.1"}, "b": {"ansible_host": "192.0.2.2"}}, []),
        (
            {"a": {"ansible_host": "192.0.2.1"}, "b": {"ansible_host": "192.0.2.1", "ansible_port": "22"}},
            ["ansible_host (a, b): 192.0.2.1 is the address of a and b, so they are one machine; write each host's"],
        ),
        ({"a": {"ansible_host": "127.0.0.1"}, "b": {"ansible_host": "127.0.0.1", "ansible_port": 2222}}, []),
        ({"a": {"ansible_connection": "local"}, "b": {"ansible_connection": "local", "ansible_host": "a"}}, []),
        ({"a": {}, "b": {"ansible_host": "A"}}, ["ansible_host (a, b): a is the address of a and b"]),
        ({"a": {}, "b": {}}, []),
    ],
)
def test_two_that_are_one(hosts: Hosts, expected: list[str]) -> None:
    found = [str(one) for one in check_machines.problems(hosts)]
    assert len(found) == len(expected)
    for one, part in zip(found, expected):
        assert part in one
