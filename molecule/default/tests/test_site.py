# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""The converged site, in calm: who holds the VIP, what the kernel has, how the client is served."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra

from _lab import lab, wire
from site_under_test import (
    ADDRESS,
    CLIENT,
    DIRECTORS,
    LAB,
    PORT,
    REAL_SERVERS,
    SETTLED_S,
    VIP,
    Site,
    failures,
    wait_until,
)

INVENTORY = Path(__file__).parents[3] / "playbooks/inventories/dr-two-nic"

Host = Callable[[str], testinfra.host.Host]


@pytest.fixture(scope="module", autouse=True)
def settled(site: Site) -> None:
    """The daemons may have been started a moment ago: a whole master down timer, and the first checks."""
    wait_until(lambda: site.holders() == ["lvs01"], SETTLED_S, "lvs01 holds the VIP, alone")


def test_exactly_one_director_holds_the_vip(site: Site) -> None:
    assert site.holders() == ["lvs01"]


def test_only_the_master_advertises(site: Site, capture: wire.Capture) -> None:
    first = capture.wait_for(ADDRESS["lvs01"], 0, 5)
    capture.wait_for(ADDRESS["lvs01"], first.time_s + 2.5, 5)
    adverts = capture.adverts
    assert {(advert.source, advert.version, advert.vrid, advert.priority) for advert in adverts} == {
        (ADDRESS["lvs01"], 2, 51, 100)
    }
    gaps = [later.time_s - earlier.time_s for earlier, later in zip(adverts, adverts[1:])]
    assert all(0.9 < gap < 1.1 for gap in gaps), gaps


def test_both_directors_have_the_table(site: Site, director: str) -> None:
    table = site.run(director, "ipvsadm", "-Sn").splitlines()
    assert sorted(table) == sorted(
        [f"-A -t {VIP}:{PORT} -s rr"]
        + [f"-a -t {VIP}:{PORT} -r {address}:{PORT} -g -w 1" for address in REAL_SERVERS.values()]
    )


def test_our_module_and_ipvsadm_agree(site: Site, director: str) -> None:
    info = ipvs_info(director)
    output = site.run(director, "ipvsadm", "-Ln", "--stats", "--exact")
    assert [(one["address"], one["port"], one["scheduler"]) for one in info["services"]] == [(VIP, PORT, "rr")]
    servers = info["services"][0]["servers"]
    assert {server["address"] for server in servers} == set(REAL_SERVERS.values())
    for server in servers:
        row = next(line.split() for line in output.splitlines() if f"-> {server['address']}:{PORT}" in line)
        # Nobody asks the VIP between the two: conns, packets and bytes are the same to the unit.
        counted = [server["stats"][name] for name in ("conns", "inpkts", "outpkts", "inbytes", "outbytes")]
        assert [int(word) for word in row[2:]] == counted


def test_director_keeps_to_itself(host: Host, director: str) -> None:
    machine = host(director)
    assert machine.sysctl("net.ipv4.ip_forward") == 0
    for name in ("all", "default", "ens33"):
        assert machine.sysctl(f"net.ipv4.conf.{name}.send_redirects") == 0
    service = machine.service("lvs-agent")
    assert service.is_running
    assert service.is_enabled
    assert not machine.service("keepalived").is_running
    checked = machine.run("lvs-agent check --strict --local /etc/keepalived/keepalived.conf")
    assert (checked.rc, checked.stderr) == (0, "")
    status = json.loads(machine.check_output("lvsctl status --json"))
    assert (status["healthy"], status["problems"]) == (True, [])
    assert machine.check_output("lvsctl diff --json")


def test_vrrp_is_let_in_from_the_other_director_only(host: Host, director: str) -> None:
    other = next(address for name, address in ADDRESS.items() if name != director)
    rules = host(director).check_output("iptables -S").splitlines()
    assert "-A INPUT -j LINUXHA_LVS" in rules
    opened = [rule for rule in rules if rule.startswith("-A LINUXHA_LVS")]
    assert len(opened) == 1
    assert f"-s {other}/32 -p vrrp" in opened[0] or f"-s {other}/32 -p 112" in opened[0]


def test_the_backup_receives_adverts_through_that_rule(host: Host) -> None:
    count = "iptables -nvxL LINUXHA_LVS | awk '/ACCEPT/ { print $1 }'"
    before = int(host("lvs02").check_output(count))
    host("lvs02").run("sleep 3")
    assert int(host("lvs02").check_output(count)) >= before + 2


@pytest.mark.parametrize("name", REAL_SERVERS)
def test_real_server_holds_the_vip_in_silence(host: Host, name: str) -> None:
    machine = host(name)
    addresses = json.loads(machine.check_output("ip -json address show dev ens37"))[0]["addr_info"]
    assert (VIP, 24) in [(info["local"], info["prefixlen"]) for info in addresses]
    assert f"{VIP} dev ens37" in machine.check_output("ip route show table main")
    assert machine.sysctl("net.ipv4.conf.all.arp_ignore") == 1
    assert machine.sysctl("net.ipv4.conf.all.arp_announce") == 2
    assert machine.sysctl("net.ipv4.conf.ens37.arp_announce") == 2
    assert machine.service("lvs-real-server").is_enabled


def test_no_real_server_answers_arp_for_the_vip(site: Site, capture: wire.Capture) -> None:
    site.run(CLIENT, "ip", "neigh", "flush", "to", VIP)
    attempts = site.ask(0.5)
    assert failures(attempts) == []
    assert site.claimants(capture) == {site.mac("lvs01")}
    assert site.neighbour() == site.mac("lvs01")


@pytest.fixture
def unused_ports(site: Site) -> Iterator[None]:
    """The client connects from ports that no other test uses.

    IPVS knows a closed connection for two minutes, and gives its server to the next one from the same port.
    """
    name = "net.ipv4.ip_local_port_range"
    before = site.run(CLIENT, "sysctl", "-n", name).split()
    site.run(CLIENT, "sysctl", "-qw", f"{name}=10000 30000")
    yield
    site.run(CLIENT, "sysctl", "-qw", f"{name}={' '.join(before)}")


def test_the_client_is_served_by_both_in_turn(site: Site, unused_ports: None) -> None:
    attempts = site.ask(1.0)
    assert failures(attempts) == []
    names = [attempt.answer for attempt in attempts]
    assert set(names) == set(REAL_SERVERS)
    assert all(one != other for one, other in zip(names, names[1:])), "round robin alternates"


def test_nothing_failed_at_boot(host: Host) -> None:
    for name in (*DIRECTORS, *REAL_SERVERS):
        assert host(name).check_output("systemctl --failed --no-legend") == ""


def ipvs_info(director: str) -> dict[str, Any]:
    """What the module linuxha.lvs.ipvs_info returns on the director."""
    inventories = ["-i", str(INVENTORY), "-i", str(lab.inventory_path(LAB))]
    argv = ["ansible", director, *inventories, "-m", "linuxha.lvs.ipvs_info"]
    environment = {**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_FORCE_COLOR": "0"}
    output = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True).stdout
    result: dict[str, Any] = json.loads(output[output.index("{") :])
    return result
