# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""vrrp_vip on real interfaces; iproute2 and tcpdump say what happened."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root

VIP = "192.168.1.100"
VIP6 = "2001:db8::100"


def host_routes(host: Any, *family: str) -> list[str]:
    routes = host.ip(*family, "route", "show", "table", "main", "dev", "ens37")
    return [route["dst"] for route in routes if "/" not in route["dst"]]


def test_life_of_an_address(host: Any, tmp_path: Path) -> None:
    record = tmp_path / "made" / "vips.json"
    site = {"interface": "ens37", "addresses": [f"{VIP}/24"], "host_route": True, "record": str(record)}

    first = host.module("vrrp_vip", check=True, **site)
    assert first["changed"]
    assert host.addresses("ens37") == []
    assert not record.parent.exists()

    done = host.module("vrrp_vip", **site)
    assert done["diff"] == first["diff"]
    assert done["added"] == {"ens37": [f"{VIP}/24 scope global label ens37"]}
    assert host.addresses("ens37") == [f"{VIP}/24"]
    assert host_routes(host) == [VIP]
    assert json.loads(record.read_text())["addresses"] == [VIP]
    assert record.stat().st_mode & 0o777 == 0o644

    for check in (True, False):
        assert not host.module("vrrp_vip", check=check, **site)["changed"]

    changed = host.module("vrrp_vip", **{**site, "addresses": [f"{VIP}/32", "192.168.1.101"]})
    assert changed["removed"] == {"ens37": [f"{VIP}/24 scope global label ens37"]}
    assert sorted(host.addresses("ens37")) == [f"{VIP}/32", "192.168.1.101/32"]
    assert sorted(host_routes(host)) == [VIP, "192.168.1.101"]

    # The inventory has another VIP now: the two old ones go, with their routes.
    host.module("vrrp_vip", **{**site, "addresses": ["192.168.1.102/24"]})
    assert host.addresses("ens37") == ["192.168.1.102/24"]
    assert host_routes(host) == ["192.168.1.102"]

    # Now it lives on lo, without a host route.
    moved = {**site, "addresses": ["192.168.1.102"], "interface": "lo", "host_route": False}
    assert host.module("vrrp_vip", check=True, **moved)["removed"]["ens37"]
    host.module("vrrp_vip", **moved)
    assert host.addresses("ens37") == []
    assert host_routes(host) == []
    assert "192.168.1.102/32" in host.addresses("lo")

    gone = {**moved, "state": "absent", "addresses": []}
    assert host.module("vrrp_vip", check=True, **gone)["changed"]
    assert "192.168.1.102/32" in host.addresses("lo")
    assert host.module("vrrp_vip", **gone)["changed"]
    assert "192.168.1.102/32" not in host.addresses("lo")
    assert not record.exists()
    assert not host.module("vrrp_vip", **gone)["changed"]


def test_attributes_are_set_and_replaced(host: Any) -> None:
    vip = {"interface": "ens37", "addresses": [f"{VIP}/24"]}
    for wanted in (
        {"label": "ens37:9", "scope": "global", "noprefixroute": False},
        {"label": "ens37:8", "scope": "link", "noprefixroute": False},
        {"label": "ens37:8", "scope": "link", "noprefixroute": True},
    ):
        assert host.module("vrrp_vip", **vip, **wanted)["changed"]
        assert not host.module("vrrp_vip", **vip, **wanted)["changed"]
        (shown,) = host.ip("-4", "address", "show", "dev", "ens37")[0]["addr_info"]
        assert shown["label"] == wanted["label"]
        assert shown["scope"] == wanted["scope"]
        assert shown.get("noprefixroute", False) == wanted["noprefixroute"]


def test_ipv6_serves_at_once(host: Any) -> None:
    vip = {"interface": "ens37", "addresses": ["2001:DB8::0:100/64", "2001:db8::101"], "host_route": True}
    assert host.module("vrrp_vip", **vip)["changed"]
    assert not host.module("vrrp_vip", **vip)["changed"]
    shown = {info["local"]: info for info in host.ip("-6", "address", "show", "dev", "ens37")[0]["addr_info"]}
    assert set(shown) == {"2001:db8::100", "2001:db8::101"}
    assert not any("tentative" in info for info in shown.values())
    static = host.ip("-6", "route", "show", "table", "main", "proto", "static", "dev", "ens37")
    assert {route["dst"] for route in static} == {"2001:db8::100", "2001:db8::101"}

    host.module("vrrp_vip", **{**vip, "state": "absent"})
    assert host.addresses("ens37") == []


def test_a_neighbour_in_the_same_network_stays(host: Any) -> None:
    for address in (f"{VIP}/24", "192.168.1.50/24"):
        host.run("ip", "address", "add", address, "dev", "ens37")
    host.set_sysctl("all", "promote_secondaries", 0)
    host.set_sysctl("ens37", "promote_secondaries", 0)
    host.module("vrrp_vip", interface="ens37", addresses=[VIP], state="absent")
    assert host.addresses("ens37") == ["192.168.1.50/24"]
    assert host.sysctl("ens37", "promote_secondaries") == "0"


def test_the_link_is_brought_up(host: Any) -> None:
    vip = {"interface": "eth0.100", "addresses": [VIP]}
    assert host.module("vrrp_vip", **vip, link_up=False)["changed"]
    assert "UP" not in host.ip("link", "show", "dev", "eth0.100")[0]["flags"]
    assert host.module("vrrp_vip", **vip, check=True)["diff"][0]["after"]["eth0.100"]["up"]
    assert host.module("vrrp_vip", **vip)["changed"]
    assert "UP" in host.ip("link", "show", "dev", "eth0.100")[0]["flags"]


@contextmanager
def captured(peer: Any, expression: str) -> Iterator[list[str]]:
    """Fills the list with what tcpdump saw at the peer's end of ens33; a ping of the peer's own ends the capture."""
    words = ["tcpdump", "--immediate-mode", "-l", "-n", "-e", "-t", "-i", "ens33", f"({expression}) or (icmp)"]
    seen: list[str] = []
    with subprocess.Popen(peer.command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as tcpdump:
        try:
            assert tcpdump.stderr is not None
            assert tcpdump.stdout is not None
            while "listening on" not in tcpdump.stderr.readline():
                assert tcpdump.poll() is None
            yield seen
            # All that was sent before it has been seen by then.
            peer.run("ping", "-c", "1", "-I", "ens33", "192.168.1.129")
            while "ICMP echo request" not in (line := tcpdump.stdout.readline()):
                assert line or tcpdump.poll() is None
                seen.append(line.strip())
        finally:
            tcpdump.terminate()


def mac_of(host: Any, interface: str) -> str:
    return str(host.ip("link", "show", "dev", interface)[0]["address"])


def neighbour(host: Any, address: str) -> dict[str, Any]:
    (entry,) = host.ip("neighbour", "show", "to", address, "dev", "ens33")
    return dict(entry)


def test_announcements_as_the_network_sees_them(hosts: tuple[Any, Any]) -> None:
    host, peer = hosts
    mac = mac_of(host, "ens33")
    vip = {"interface": "ens33", "addresses": [f"{VIP}/24", f"{VIP6}/64"], "announce": 3}
    with captured(peer, "arp or (icmp6 and ip6[40] == 136)") as seen:
        host.module("vrrp_vip", **vip, check=True)
        host.module("vrrp_vip", **vip)
        # Nothing was added, so nothing is announced.
        host.module("vrrp_vip", **vip)
    garp = f"{mac} > ff:ff:ff:ff:ff:ff, ethertype ARP (0x0806), length 42: Request who-has {VIP}"
    advertisement = f"{mac} > 33:33:00:00:00:01, ethertype IPv6 (0x86dd), length 86: {VIP6} > ff02::1: ICMP6, neighbor"
    assert [line for line in seen if VIP in line] == [f"{garp} (ff:ff:ff:ff:ff:ff) tell {VIP}, length 28"] * 3
    assert [line for line in seen if VIP6 in line] == [f"{advertisement} advertisement, tgt is {VIP6}, length 32"] * 3


@pytest.mark.parametrize("forwarding", [False, True])
def test_the_neighbours_entry_moves(hosts: tuple[Any, Any], forwarding: bool) -> None:
    host, peer = hosts
    host.run("sysctl", "-q", "-w", f"net.ipv6.conf.ens33.forwarding={int(forwarding)}")
    for address in (VIP, VIP6):
        peer.run("ip", "neighbour", "add", address, "lladdr", "02:00:00:00:00:99", "nud", "reachable", "dev", "ens33")
        assert neighbour(peer, address)["lladdr"] == "02:00:00:00:00:99"
    host.module("vrrp_vip", interface="ens33", addresses=[f"{VIP}/24", f"{VIP6}/64"], announce=1)
    for address in (VIP, VIP6):
        # The frame has been handed over; the peer takes it in when its kernel comes to it.
        deadline = time.monotonic() + 5
        while neighbour(peer, address)["lladdr"] != mac_of(host, "ens33"):
            assert time.monotonic() < deadline
    # The kernel forgets a router that says it is none.
    assert ("router" in neighbour(peer, VIP6)) == forwarding


def test_announced_on_an_interface_with_a_dot(hosts: tuple[Any, Any]) -> None:
    host, peer = hosts
    for end in (host, peer):
        end.run("ip", "link", "set", "eth0.100", "up")
    peer.run("ip", "address", "add", "10.0.0.1/24", "dev", "eth0.100")
    peer.run("ip", "neigh", "add", "10.0.0.9", "lladdr", "02:00:00:00:00:99", "nud", "reachable", "dev", "eth0.100")
    result = host.module("vrrp_vip", interface="eth0.100", addresses=["10.0.0.9/24"], announce=1, conflict_check=True)
    assert result["changed"]
    deadline = time.monotonic() + 5
    while peer.ip("neighbour", "show", "to", "10.0.0.9")[0]["lladdr"] != mac_of(host, "eth0.100"):
        assert time.monotonic() < deadline


# Short where silence is waited for; an answer ends the waiting, however long it may take.
CONFLICT_CHECK = {"conflict_check": True, "conflict_probes": 2, "conflict_spacing": 0.2}


@pytest.mark.parametrize("address, prefixlen", [(VIP, 24), (VIP6, 64)])
def test_a_conflict_is_refused_and_named(hosts: tuple[Any, Any], address: str, prefixlen: int) -> None:
    host, peer = hosts
    peer.run("ip", "address", "add", f"{address}/{prefixlen}", "dev", "ens33", *(["nodad"] if ":" in address else []))
    task = {"interface": "ens33", "addresses": [f"{address}/{prefixlen}"], **CONFLICT_CHECK}
    before = host.ip("address", "show")
    for check in (True, False):
        result = host.module("vrrp_vip", check=check, **{**task, "conflict_spacing": 10})
        assert result["failed"]
        assert result["conflicts"] == {address: mac_of(peer, "ens33")}
        assert all(word in result["msg"] for word in ("nothing was changed", address, mac_of(peer, "ens33")))
        assert host.ip("address", "show") == before

    # The peer lets go of it.
    peer.run("ip", "address", "delete", f"{address}/{prefixlen}", "dev", "ens33")
    assert host.module("vrrp_vip", check=True, **task)["changed"]
    assert host.ip("address", "show") == before
    assert host.module("vrrp_vip", **task)["changed"]
    assert f"{address}/{prefixlen}" in host.addresses("ens33")
    # Only what would be added is asked for: the peer's answer makes no difference any more.
    peer.run("ip", "address", "add", f"{address}/{prefixlen}", "dev", "ens33", *(["nodad"] if ":" in address else []))
    assert host.module("vrrp_vip", **task) == {**host.module("vrrp_vip", check=True, **task)}
    peer.run("ip", "address", "delete", f"{address}/{prefixlen}", "dev", "ens33")


def test_probes_as_the_network_sees_them(hosts: tuple[Any, Any]) -> None:
    host, peer = hosts
    mac = mac_of(host, "ens33")
    task = {"interface": "ens33", "addresses": [VIP, VIP6], **CONFLICT_CHECK}
    with captured(peer, "arp or (icmp6 and ip6[40] == 135)") as seen:
        started = time.monotonic()
        result = host.module("vrrp_vip", check=True, **task)
        took = time.monotonic() - started
    assert result["changed"]
    arp = f"{mac} > ff:ff:ff:ff:ff:ff, ethertype ARP (0x0806), length 42: Request who-has {VIP} tell 0.0.0.0, length 28"
    assert [line for line in seen if VIP in line] == [arp] * 2
    ndisc = f"{mac} > 33:33:ff:00:01:00, ethertype IPv6 (0x86dd), length 78: :: > ff02::1:ff00:100: ICMP6, neighbor"
    assert [line for line in seen if VIP6 in line] == [f"{ndisc} solicitation, who has {VIP6}, length 24"] * 2
    # Two spacings are waited for, at least; above that it is the start of Python.
    assert took > 0.4
    # The peer learnt nothing from it.
    assert peer.ip("neighbour", "show", "to", VIP) + peer.ip("neighbour", "show", "to", VIP6) == []


def test_an_own_nic_on_the_same_wire_is_no_conflict(hosts: tuple[Any, Any], tmp_path: Path) -> None:
    host, peer = hosts
    peer.run("ip", "link", "add", "br0", "type", "bridge")
    for wire in ("ens33", "ens37"):
        peer.run("ip", "link", "set", wire, "master", "br0")
    peer.run("ip", "link", "set", "br0", "up")
    task = {"addresses": [f"{VIP}/24", f"{VIP6}/64"], "record": str(tmp_path / "vips.json"), **CONFLICT_CHECK}
    host.module("vrrp_vip", interface="ens37", **task)
    assert sorted(host.addresses("ens37")) == [f"{VIP}/24", f"{VIP6}/64"]
    moved = host.module("vrrp_vip", interface="ens33", **task)
    assert "conflicts" not in moved, moved
    assert host.addresses("ens37") == []
    assert f"{VIP}/24" in host.addresses("ens33")


def test_what_cannot_be_asked_is_no_silence(hosts: tuple[Any, Any], tmp_path: Path) -> None:
    host, peer = hosts
    peer.run("ip", "link", "set", "ens37", "down")
    host.run("ip", "link", "set", "ens33", "arp", "off")

    def said(interface: str) -> str:
        return str(
            host.module("vrrp_vip", check=True, interface=interface, addresses=[VIP], conflict_check=True)["msg"]
        )

    assert "ens37" in said("ens37")
    assert "no carrier" in said("ens37")
    assert "eth0.100 is down: bring it up first" in said("eth0.100")
    assert "NOARP" in said("ens33")
    assert "lo is of type loopback" in said("lo")

    host.python = without_capabilities(host.python, tmp_path)
    host.run("ip", "link", "set", "ens33", "arp", "on")
    assert "CAP_NET_RAW" in said("ens33")
    refused = host.module("vrrp_vip", interface="ens33", addresses=[VIP])
    assert all(word in refused["msg"] for word in (VIP, "ens33", "EPERM", "CAP_NET_ADMIN"))
    assert VIP not in str(host.ip("address", "show"))


def without_capabilities(python: str, directory: Path) -> str:
    """A program that runs this Python as a root that may not touch the network."""
    program = directory / "python"
    program.write_text(f'#!/bin/sh\nexec setpriv --bounding-set=-net_admin,-net_raw {python} "$@"\n')
    program.chmod(0o755)
    return str(program)


class TestDuplicateAddressDetection:
    """The kernel's own takes up to 2 s: a random delay below 1 s, then 1 s of listening (RFC 4862 5.4.2)."""

    def test_an_address_nobody_has(self, host: Any) -> None:
        task = {"interface": "ens33", "addresses": [f"{VIP6}/64", VIP], "nodad": False, "dad_timeout": 10}
        first = host.module("vrrp_vip", check=True, **task)
        assert VIP6 not in str(host.addresses("ens33"))
        done = host.module("vrrp_vip", **task)
        assert done["diff"] == first["diff"]
        assert done["addresses"] == [
            {"address": VIP6, "prefixlen": 64, "label": "", "scope": "global", "state": "preferred"},
            {"address": VIP, "prefixlen": 32, "label": "ens33", "scope": "global", "state": "preferred"},
        ]
        (shown,) = host.ip("-6", "address", "show", "dev", "ens33", "to", VIP6)[0]["addr_info"]
        # It went through the detection, and it is over.
        assert "nodad" not in shown
        assert "tentative" not in shown
        for check in (True, False):
            again = host.module("vrrp_vip", check=check, **task)
            assert not again["changed"]
            assert again["addresses"] == done["addresses"]

        gone = host.module("vrrp_vip", **task, state="absent")
        assert [entry["state"] for entry in gone["addresses"]] == ["absent", "absent"]

    def test_an_address_another_host_has(self, hosts: tuple[Any, Any], tmp_path: Path) -> None:
        host, peer = hosts
        record = tmp_path / "vips.json"
        peer.run("ip", "address", "add", f"{VIP6}/64", "dev", "ens33", "nodad")
        task = {
            "interface": "ens33",
            "addresses": [f"{VIP6}/64", "2001:db8::101/64"],
            "nodad": False,
            "host_route": True,
            "record": str(record),
            "announce": 1,
            "dad_timeout": 10,
        }
        with captured(peer, "icmp6 and ip6[40] == 136") as seen:
            result = host.module("vrrp_vip", **task)
        assert result["failed"]
        assert all(word in result["msg"] for word in (VIP6, "ens33", "dadfailed", "removed again"))
        assert [entry["state"] for entry in result["addresses"]] == ["absent", "preferred"]
        # What failed is gone with its route, what did not is there, recorded and announced.
        assert "2001:db8::101/64" in host.addresses("ens33")
        assert f"{VIP6}/64" not in host.addresses("ens33")
        static = host.ip("-6", "route", "show", "table", "main", "proto", "static")
        assert [route["dst"] for route in static] == ["2001:db8::101"]
        assert "2001:db8::101" in json.loads(record.read_text())["addresses"]
        own = [line for line in seen if line.startswith(mac_of(host, "ens33"))]
        assert len(own) == 1
        assert "tgt is 2001:db8::101" in own[0]

    def test_a_link_without_a_carrier_decides_nothing(self, hosts: tuple[Any, Any]) -> None:
        host, peer = hosts
        peer.run("ip", "link", "set", "ens37", "down")
        result = host.module("vrrp_vip", interface="ens37", addresses=[VIP6], nodad=False, dad_timeout=0.3)
        assert all(word in result["msg"] for word in (VIP6, "tentative after 0.3 s", "ens37 has a carrier"))
        assert host.addresses("ens37") == []

    def test_one_that_does_not_serve_is_added_anew(self, hosts: tuple[Any, Any]) -> None:
        host, peer = hosts
        peer.run("ip", "address", "add", f"{VIP6}/64", "dev", "ens33", "nodad")
        host.run("ip", "address", "add", f"{VIP6}/64", "dev", "ens33")
        deadline = time.monotonic() + 10
        while not host.ip("-6", "address", "show", "dev", "ens33", "dadfailed"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        task = {"interface": "ens33", "addresses": [f"{VIP6}/64"]}
        # What is wrong with it is told even when nothing is to be done about it.
        result = host.module("vrrp_vip", **task, check=True)
        assert result["changed"]
        assert result["removed"] == {"ens33": [f"{VIP6}/64 scope global dadfailed"]}
        done = host.module("vrrp_vip", **task)
        assert done["diff"] == result["diff"]
        assert done["addresses"][0]["state"] == "preferred"
        assert not host.ip("-6", "address", "show", "dev", "ens33", "dadfailed")
        assert not host.module("vrrp_vip", **task)["changed"]


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"interface": "ens3", "addresses": [VIP]}, ["ens3", "ens33", "ens37", "did you mean"]),
        ({"interface": "ens37", "addresses": ["192.168.1.101", "192.168.1.300"]}, ["192.168.1.300"]),
        ({"interface": "ens37", "addresses": [VIP, f"{VIP}/24"]}, ["twice"]),
        ({"interface": "ens37", "addresses": [VIP], "label": "ens33:9"}, ["ens33:9", "ens37:"]),
        ({"interface": "ens37", "addresses": ["fd00::1"], "label": "ens37:9"}, ["IPv4"]),
        (
            {"interface": "ens37", "addresses": [VIP], "label": "ens37:0123456789"},
            ["ens37:0123456789", "longer than 15"],
        ),
        ({"interface": "lo", "addresses": [VIP], "announce": 1}, ["Ethernet"]),
        ({"interface": "ens37", "addresses": [VIP], "announce": -1}, ["announce", "0 or more"]),
        ({"interface": "ens37", "addresses": [VIP], "announce": 1000000000}, ["announce", "up to 100"]),
        ({"interface": "ens37", "addresses": [VIP], "dad_timeout": "nan"}, ["dad_timeout", "up to 60, not nan"]),
        ({"interface": "ens37", "addresses": ["192.168.1.0/24"]}, ["by its prefix it is the network's address"]),
        ({"interface": "ens37", "addresses": ["10.0.0.255/24"]}, ["by its prefix it is the broadcast address"]),
        ({"interface": "ens37", "addresses": ["192.168.1.255"]}, ["by 192.168.1.129/24 on ens33 it is the broadcast"]),
        ({"interface": "lo", "addresses": ["127.0.0.1"]}, ["127.0.0.1 cannot be a virtual IP: it is a loopback"]),
        ({"interface": "lo", "addresses": ["127.0.0.1"], "state": "absent"}, ["127.0.0.1 cannot be a virtual IP"]),
        ({"interface": "lo", "addresses": ["::1"]}, ["::1 cannot be a virtual IP: it is a loopback address"]),
        ({"interface": "ens37", "addresses": ["224.0.0.18"]}, ["224.0.0.18"]),
        ({"interface": "ens37", "addresses": ["ff02::12"]}, ["ff02::12"]),
        ({"interface": "ens37", "addresses": ["::ffff:192.168.1.100"]}, ["mapped into IPv6; write 192.168.1.100"]),
        ({"interface": "lo", "addresses": [f"{VIP}/24"]}, ["whole network local to this host", f"write {VIP}/32"]),
        ({"interface": "lo", "addresses": [f"{VIP6}/64"]}, ["whole network unreachable", f"write {VIP6}/128"]),
        ({"interface": "ens33", "addresses": ["192.168.1.129"]}, ["192.168.1.129/24 on ens33 is the host's own"]),
        ({"interface": "ens33", "addresses": ["192.168.1.129/24"], "label": "ens33:9"}, ["is the host's own address"]),
        ({"interface": "ens37", "addresses": ["192.168.1.129/24"]}, ["192.168.1.129/24 on ens33 is the host's own"]),
        ({"interface": "lo", "addresses": ["192.168.1.129"]}, ["192.168.1.129/24 on ens33 is the host's own"]),
        ({"interface": "ens37", "addresses": [VIP], "record": "/etc"}, ["record: /etc is a directory"]),
        ({"interface": "ens37", "addresses": [VIP], "record": "/etc/passwd/x"}, ["the directory /etc/passwd is no"]),
        ({"interface": "ens37", "addresses": [VIP], "conflict_probes": 0}, ["conflict_probes", "1 or more"]),
        ({"interface": "ens37", "addresses": [VIP], "conflict_spacing": 0}, ["conflict_spacing", "up to 60"]),
        ({"interface": "ens37", "addresses": [VIP], "dad_timeout": 61}, ["dad_timeout", "up to 60"]),
        ({"interface": "eth0.100", "addresses": [VIP], "host_route": True, "link_up": False}, ["link_up"]),
    ],
)
def test_one_clear_message_and_nothing_changed(host: Any, arguments: dict[str, Any], words: list[str]) -> None:
    before = host.ip("address", "show")
    result = host.module("vrrp_vip", **arguments)
    assert result["failed"]
    assert all(word in result["msg"] for word in words), result["msg"]
    assert host.ip("address", "show") == before


@pytest.mark.parametrize(
    "family, address, other", [("-4", f"{VIP}/24", "192.168.1.7"), ("-6", f"{VIP6}/64", "2001:db8::7")]
)
def test_why_a_network_on_lo_is_refused(host: Any, family: str, address: str, other: str) -> None:
    """What the kernel does with the prefix's route there, and that it does not with what the module takes."""

    def reached() -> bool:
        answer = subprocess.run(host.command("ip", family, "route", "get", other), capture_output=True, check=False)
        return answer.returncode == 0 and not answer.stdout.startswith(b"local")

    if family == "-6":
        host.run("ip", "address", "add", "2001:db8::129/64", "dev", "ens33", "nodad")
    assert reached()
    assert host.module("vrrp_vip", interface="lo", addresses=[address])["failed"]
    assert reached()
    assert host.module("vrrp_vip", interface="lo", addresses=[address], noprefixroute=True)["changed"]
    assert reached()
    host.run("ip", "address", "delete", address, "dev", "lo")
    host.run("ip", "address", "add", address, "dev", "lo")
    if family == "-4":
        assert not reached()


def test_a_vip_that_was_set_by_hand_is_taken_over(host: Any, tmp_path: Path) -> None:
    """Beside the host's own address of the network it is one more; the host's own, listed as it is, stays as it is."""
    host.run("ip", "address", "add", f"{VIP}/24", "dev", "ens37")
    task = {"interface": "ens37", "addresses": [f"{VIP}/24"], "record": str(tmp_path / "vips.json")}
    assert host.module("vrrp_vip", noprefixroute=True, **task)["changed"]
    assert host.addresses("ens37") == [f"{VIP}/24"]
    own = {"interface": "ens33", "addresses": ["192.168.1.129/24"]}
    assert not host.module("vrrp_vip", **own)["changed"]
    refused = host.module("vrrp_vip", record=str(tmp_path / "own.json"), **own)
    assert "keep it in its record" in refused["msg"]
    host.run("ip", "address", "flush", "dev", "ens37")
    # With a gateway by ens37, an address of that network is the host's own there.
    host.run("ip", "address", "add", "192.168.1.131/24", "dev", "ens37")
    host.run("ip", "route", "add", "default", "via", "192.168.1.1", "dev", "ens37")
    assert "192.168.1.131/24 on ens37" in host.module("vrrp_vip", interface="ens37", addresses=["192.168.1.131"])["msg"]


def test_a_broken_record_is_named(host: Any, tmp_path: Path) -> None:
    record = tmp_path / "vips.json"
    record.write_text("[1]")
    result = host.module("vrrp_vip", interface="ens37", addresses=[VIP], record=str(record))
    assert str(record) in result["msg"]
    assert host.addresses("ens37") == []


def test_without_pyroute2_check_mode_tells_the_truth_and_a_change_names_the_package(host: Any, tmp_path: Path) -> None:
    hide = tmp_path / "pyroute2.py"
    hide.write_text("raise ImportError('hidden by the test')\n")
    (tmp_path / "ansible").symlink_to(host.library / "ansible")
    host.library = tmp_path
    vip = {"interface": "ens37", "addresses": [VIP]}
    assert host.module("vrrp_vip", check=True, **vip)["changed"]
    assert "python3-pyroute2" in host.module("vrrp_vip", **vip)["msg"]
    host.run("ip", "address", "add", VIP, "dev", "ens37")
    assert not host.module("vrrp_vip", **vip)["changed"]
