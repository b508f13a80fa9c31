# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""host_info and ipvs_info in namespaces, and all modules through Ansible's own packing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.root

COLLECTIONS = Path(__file__).parents[3] / "build" / "collections"


def test_a_good_host_has_no_problems(hosts: tuple[Any, Any]) -> None:
    host, peer = hosts
    for end, address in ((host, "fd00::129/64"), (peer, "fd00::130/64")):
        end.run("ip", "address", "add", address, "dev", "ens33", "nodad")
    result = host.module(
        "host_info",
        interfaces=["lo", "ens33", "eth0.100"],
        addresses=[
            {"interface": "ens33", "address": "192.168.1.129"},
            {"interface": "ens33", "address": "192.168.1.129/24"},
            {"interface": "ens33", "address": "fd00:0::129"},
        ],
        peers=["192.168.1.129", "192.168.1.130", "fd00::130"],
    )
    assert result["problems"] == []
    assert not result["changed"]


def test_each_problem_is_a_sentence(hosts: tuple[Any, Any]) -> None:
    host, _peer = hosts
    started = time.monotonic()
    problems = host.module(
        "host_info",
        interfaces=["ens3", "ens3"],
        addresses=[
            {"interface": "ens33", "address": "192.168.1.128"},
            {"interface": "ens37", "address": "192.168.1.129"},
            {"interface": "ens33", "address": "192.168.1.129/25"},
            {"interface": "ens33", "address": "192.168.1"},
        ],
        # On the wire but silent, without a route, not an address.
        peers=["192.168.1.131", "192.168.1.132", "10.9.9.9", "peer"],
        kernel_modules=["no-such_module"],
    )["problems"]
    assert time.monotonic() - started < 4
    expected = [
        ["ens3 ", "lo", "ens33", "ens37"],
        ["ens33", "192.168.1.128", "192.168.1.129/24"],
        ["ens37", "192.168.1.129", "/24 on ens33"],
        ["192.168.1.129/25", "/24 on ens33"],
        ["'192.168.1' is not an address"],
        ["no-such_module"],
        ["'peer' is not an address"],
        ["192.168.1.131"],
        ["192.168.1.132"],
        ["10.9.9.9"],
    ]
    assert len(problems) == len(expected), problems
    for problem, words in zip(problems, expected):
        assert all(word in problem for word in words), problem


def test_a_nic_for_virtual_ips_has_no_address_of_its_own(hosts: tuple[Any, Any]) -> None:
    host, _peer = hosts
    silent = [{"interface": "ens37", "addresses": ["192.168.1.100/24"]}]
    # One virtual IP that is wanted, one as the role left it when it was on the list.
    host.run("ip", "address", "add", "192.168.1.100/24", "dev", "ens37")
    host.run("ip", "address", "add", "192.168.1.101/24", "dev", "ens37", "noprefixroute")
    assert host.module("host_info", vip_interfaces=silent)["problems"] == []
    host.run("ip", "address", "add", "192.168.2.130/24", "dev", "ens37")
    both = [*silent, {"interface": "ens38", "addresses": []}]
    missing, own = host.module("host_info", vip_interfaces=both)["problems"]
    assert "ens38" in missing
    assert "ens37 has the host's own address 192.168.2.130/24" in own
    assert sorted(host.addresses("ens37")) == ["192.168.1.100/24", "192.168.1.101/24", "192.168.2.130/24"]


def test_a_nic_answers_for_ipv6_virtual_ips_unless_it_has_no_arp(hosts: tuple[Any, Any]) -> None:
    """Whatever ``arp_ignore`` is; the peer on its wire asks. A dummy, which has no ARP, is none of this kernel's."""
    host, peer = hosts
    host.run("ip", "link", "set", "eth0.100", "arp", "off", "up")
    peer.run("ip", "link", "set", "eth0.100", "up")
    problems, answers = {}, {}
    for number, interface in enumerate(("ens37", "eth0.100")):
        vip = f"2001:db8:{number}::100"
        host.set_sysctl(interface, "arp_ignore", 8)
        holder = [{"interface": interface, "addresses": [f"{vip}/64"]}]
        problems[interface] = host.module("host_info", vip_interfaces=holder)["problems"]
        host.run("ip", "address", "add", f"{vip}/128", "dev", interface, "nodad")
        peer.run("ip", "address", "add", f"2001:db8:{number}::1/64", "dev", interface, "nodad")
        peer.run("sh", "-c", f"ping -c 1 -W 1 {vip} || true")
        answers[interface] = ["lladdr" in one for one in peer.ip("neighbour", "show", "to", vip)]
    assert answers == {"ens37": [True], "eth0.100": [False]}
    assert problems["eth0.100"] == []
    (problem,) = problems["ens37"]
    assert "ens37 would answer neighbour solicitations for the virtual IP 2001:db8:0::100/64" in problem


def test_a_virtual_ip_is_not_the_hosts_own_address(hosts: tuple[Any, Any]) -> None:
    host, _peer = hosts
    wanted = [{"interface": "ens33", "address": f"192.168.1.{last}"} for last in (100, 129)]
    (problem,) = host.module("host_info", virtual_ips=wanted)["problems"]
    assert problem.startswith("the virtual IP 192.168.1.129 is an address of the host's own, on ens33; choose")
    # a keepalived that runs may have added it
    speaker = "import socket, sys; s = socket.socket(2, socket.SOCK_RAW, 112); print(1, flush=True); sys.stdin.read()"
    command = host.command(sys.executable, "-c", speaker)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as keepalived:
        assert keepalived.stdout is not None
        keepalived.stdout.readline()
        assert host.module("host_info", virtual_ips=wanted)["problems"] == []


def test_a_peer_that_drops_echo_is_reachable_by_its_link_address(hosts: tuple[Any, Any]) -> None:
    host, peer = hosts
    peer.run("sysctl", "-q", "-w", "net.ipv4.icmp_echo_ignore_all=1")
    assert host.module("host_info", peers=["192.168.1.130"])["problems"] == []


def test_ipvs_info_without_ip_vs_says_what_to_do(host: Any) -> None:
    if Path("/proc/net/ip_vs").exists():
        pytest.skip("this kernel has ip_vs; the lab tests what is read")
    result = host.module("ipvs_info")
    assert result["failed"]
    assert result["available"] is False
    assert "modprobe ip_vs" in result["msg"]


@pytest.mark.parametrize(
    "module, arguments, word",
    [
        ("sysctl_arp", '{"settings": [{"interfaces": ["ens37"], "arp_ignore": 1}]}', "net.ipv4.conf.ens37"),
        ("vrrp_vip", '{"interface": "ens37", "addresses": ["192.168.1.100"]}', "192.168.1.100/32"),
        ("host_info", '{"interfaces": ["ens37"]}', "problems: []"),
        # Its name up to 0.2.0.
        ("host_check", '{"interfaces": ["ens37"]}', "problems: []"),
        ("ipvs_info", "", "modprobe ip_vs"),
    ],
)
def test_ansible_packs_all_a_module_needs(host: Any, module: str, arguments: str, word: str) -> None:
    if module == "ipvs_info" and Path("/proc/net/ip_vs").exists():
        pytest.skip("this kernel has ip_vs; the lab tests what is read")
    ansible = [sys.executable, "-m", "ansible", "adhoc", "localhost", "-i", "localhost,", "-c", "local", "--check"]
    done = subprocess.run(
        host.command(*ansible, "-m", f"linuxha.lvs.{module}", "-a", arguments)
        + ["-e", f"ansible_python_interpreter={host.python}"],
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert word in done.stdout, done.stdout + done.stderr
