# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of ip(8) to pull cables and cut hosts off; that it does so, the lab shows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from _lab import network
from _lab.errors import LabError
from _lab.plan import Plan

LINKS = ["lo", "br-lan", "br-mgmt", "h0n0", "h0n1", "h1n0", "h1n1", "h1n2", "h2n0", "h2n1"]


class Ip:
    """Stands for ip(8): remembers what it is told, shows the links it is given."""

    def __init__(self, links: list[str]) -> None:
        self.links: list[dict[str, Any]] = [{"ifname": name, "flags": ["UP"]} for name in links]
        self.told: list[str] = []

    def __call__(self, argv: list[str], stdin: str = "", check: bool = True) -> str:
        assert argv[:3] == ["ip", "-n", "lab-t"]
        self.told += stdin.splitlines()
        return json.dumps(self.links) if "show" in argv else ""


@pytest.fixture
def ip(monkeypatch: pytest.MonkeyPatch) -> Ip:
    """The links of the lab when all is well."""
    stand_in = Ip(LINKS)
    monkeypatch.setattr(network, "run", stand_in)
    return stand_in


def test_a_cable(plan: Plan, ip: Ip) -> None:
    network.set_cable(plan, plan.guest("web01"), "ens37", plugged=False)
    network.set_cable(plan, plan.guest("web01"), "ens37", plugged=True)
    assert ip.told == ["link set h1n2 nomaster", "link set h1n2 master br-lan"]


def test_a_cable_that_is_not_there(plan: Plan, ip: Ip) -> None:
    with pytest.raises(LabError, match="host web01 has no NIC 'ens3'; its NICs: lab0, ens33, ens37"):
        network.set_cable(plan, plan.guest("web01"), "ens3", plugged=False)
    assert ip.told == []


def test_hosts_that_are_cut_off_move_to_a_bridge_of_their_own(plan: Plan, ip: Ip) -> None:
    network.partition(plan, ["lvs01", "web01"])
    assert ip.told[0].startswith("link add pt-lan type bridge ")
    # their management goes on: no h0n0, no h1n0
    assert ip.told[1:] == [
        "link set pt-lan up",
        "link set h0n1 master pt-lan",
        "link set h1n1 master pt-lan",
        "link set h1n2 master pt-lan",
    ]


def test_a_second_partition_uses_the_bridge_there_is(plan: Plan, ip: Ip) -> None:
    ip.links.append({"ifname": "pt-lan", "flags": ["UP"]})
    network.partition(plan, ["lvs01"])
    assert ip.told == ["link set h0n1 master pt-lan"]


def test_nobody_is_moved_for_a_host_that_is_not_there(plan: Plan, ip: Ip) -> None:
    with pytest.raises(LabError, match="no host 'lvs1'"):
        network.partition(plan, ["web01", "lvs1"])
    assert ip.told == []


def test_healing_puts_every_tap_that_is_there_back(plan: Plan, ip: Ip) -> None:
    # lvs01 was removed, web01 is cut off
    ip.links = [link for link in ip.links if not link["ifname"].startswith("h0")]
    ip.links.append({"ifname": "pt-lan", "flags": ["UP"]})
    network.heal(plan)
    assert ip.told == [
        *("link set h1n0 master br-mgmt", "link set h1n0 up"),
        *("link set h1n1 master br-lan", "link set h1n1 up"),
        *("link set h1n2 master br-lan", "link set h1n2 up"),
        *("link set h2n0 master br-mgmt", "link set h2n0 up"),
        *("link set h2n1 master br-lan", "link set h2n1 up"),
        "link delete pt-lan",
    ]


def test_the_states_of_cables(plan: Plan, ip: Ip) -> None:
    ip.links = [
        {"ifname": "h0n1", "flags": ["BROADCAST", "UP"], "master": "br-lan"},
        {"ifname": "h1n1", "flags": ["BROADCAST"], "master": "br-lan"},
        {"ifname": "h2n1", "flags": ["BROADCAST", "UP"], "master": "pt-lan"},
    ]
    assert network.cable_states(plan) == {"h0n1": "up", "h1n1": "pulled", "h2n1": "partitioned"}


def test_a_namespace_that_is_not_there() -> None:
    with pytest.raises(LabError, match="cannot enter the network namespace lab-nobody"):
        network.socket_in("lab-nobody")
