# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""static_table.yml beside the running site: the modules alone serve a client by IPv4, IPv6 and firewall mark."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import as_a_user
from _lab import probe, remote
from site_under_test import CLIENT, REAL_SERVERS, Site, failures, wait_until

PLAYBOOK = Path(__file__).parents[1] / "static_table.yml"

VIP4, VIP6, MARKED = "192.168.1.110", "fd00:1::110", "192.168.1.111"
FOUR = [f"{address}:80" for address in REAL_SERVERS.values()]
SIX = ["[fd00:1::129]:80", "[fd00:1::130]:80"]
MARK = ("iptables", "-w", "-t", "mangle")
MARKING = f"PREROUTING -d {MARKED} -p tcp --dport 80 -j MARK --set-mark 7".split()
ADDED = [
    f"-A -t {VIP4}:80 -s rr",
    *(f"-a -t {VIP4}:80 -r {server} -g -w 1" for server in FOUR),
    f"-A -t [{VIP6}]:80 -s rr",
    *(f"-a -t [{VIP6}]:80 -r {server} -g -w 1" for server in SIX),
    "-A -f 7 -s rr",
    *(f"-a -f 7 -r {server.replace(':80', ':0')} -g -w 1" for server in FOUR),
]


def module(host: str, name: str, arguments: dict[str, Any]) -> str:
    """What a module that must succeed returned, as ``ansible`` prints it."""
    done = as_a_user.run("ansible", as_a_user.INVENTORY, host, "-m", f"linuxha.lvs.{name}", "-a", json.dumps(arguments))
    assert done.returncode == 0, done.stdout
    return done.stdout


def play(*words: str) -> dict[str, int]:
    return as_a_user.play(as_a_user.INVENTORY, PLAYBOOK, *words)


def table(site: Site) -> list[str]:
    return sorted(site.run("lvs01", "ipvsadm", "-Sn").splitlines())


def ask(site: Site, vip: str) -> list[probe.Attempt]:
    with remote.Probe(site.plan, CLIENT, vip, 80, 0.5) as running:
        return running.result()


@pytest.fixture(scope="module")
def before(site: Site) -> Iterator[list[str]]:
    """The site's own table; the one of this file is gone afterwards."""
    ours = table(site)
    site.run("lvs01", *MARK, "-A", *MARKING)
    yield ours
    site.run("lvs01", *MARK, "-D", *MARKING)
    play("-e", "table=absent")
    assert table(site) == ours
    assert not any(vip in site.run("lvs01", "ip", "-o", "address") for vip in (VIP4, VIP6, MARKED))


def test_check_mode_changes_nothing(site: Site, before: list[str]) -> None:
    assert play("--check") == {"lvs01": 3, "web01": 2, "web02": 2, "client": 2}
    assert table(site) == before


def test_set_once_and_for_all(site: Site, before: list[str]) -> None:
    play()
    assert table(site) == sorted([*before, *ADDED])
    assert set(play().values()) == {0}


@pytest.mark.parametrize("vip", [VIP4, VIP6, MARKED])
def test_the_client_is_served_by_both_in_turn(site: Site, vip: str) -> None:
    wait_until(lambda: failures(ask(site, vip)) == [], 5, "duplicate address detection is over")
    names = probe.answers(ask(site, vip))
    assert set(names) == set(REAL_SERVERS)
    assert abs(names["web01"] - names["web02"]) <= 1


def test_a_drained_server_ends_what_it_has_and_gets_no_more(site: Site) -> None:
    service = {"service": {"address": VIP4, "port": 80}}
    with remote.Probe(site.plan, CLIENT, VIP4, 80, 12) as running:
        arguments = {**service, "address": REAL_SERVERS["web01"], "state": "drained", "wait": True, "wait_timeout": 60}
        told = module("lvs01", "ipvs_real_server", arguments)
        attempts = running.result()
    assert failures(attempts) == []
    assert f"-a -t {VIP4}:80 -r {FOUR[0]} -g -w 0" in table(site)
    assert "active_conn: 0" in told
    assert set(probe.answers(ask(site, VIP4))) == {"web02"}
    module("lvs01", "ipvs_real_server", {**service, "address": REAL_SERVERS["web01"], "weight": 1})
    assert set(probe.answers(ask(site, VIP4))) == set(REAL_SERVERS)


def test_who_would_take_a_held_vip_is_told_who_has_it(site: Site) -> None:
    arguments = {"interface": "ens33", "addresses": [VIP4, VIP6], "conflict_check": True}
    with pytest.raises(AssertionError) as refusal:
        module("lvs02", "vrrp_vip", arguments)
    assert site.mac("lvs01") in str(refusal.value)
    assert VIP4 not in site.run("lvs02", "ip", "-o", "address")
