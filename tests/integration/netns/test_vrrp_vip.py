# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""vrrp_vip on real interfaces; iproute2 and tcpdump say what happened."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root

VIP = "192.168.1.100"


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


def test_announcements_as_the_network_sees_them(hosts: tuple[Any, Any]) -> None:
    host, peer = hosts
    mac = host.ip("link", "show", "dev", "ens33")[0]["address"]
    vip = {"interface": "ens33", "addresses": [f"{VIP}/24"], "announce": 3}
    capture = peer.command(
        "tcpdump", "--immediate-mode", "-l", "-n", "-e", "-t", "-i", "ens33", "arp", "and", "host", VIP
    )
    with subprocess.Popen(capture, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as tcpdump:
        try:
            assert tcpdump.stderr is not None
            assert tcpdump.stdout is not None
            while "listening on" not in tcpdump.stderr.readline():
                assert tcpdump.poll() is None
            host.module("vrrp_vip", **vip)
            # Nothing was added, so nothing is announced.
            host.module("vrrp_vip", **vip)
            # The peer's own question ends the capture: all that was sent before it has been seen.
            peer.run("ping", "-c", "1", VIP)
            seen = []
            while "tell 192.168.1.130" not in (line := tcpdump.stdout.readline()):
                assert line or tcpdump.poll() is None
                seen.append(line.strip())
        finally:
            tcpdump.terminate()
    frame = f"{mac} > ff:ff:ff:ff:ff:ff, ethertype ARP (0x0806), length 42: Request who-has {VIP}"
    assert seen == [f"{frame} (ff:ff:ff:ff:ff:ff) tell {VIP}, length 28"] * 3


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"interface": "ens3", "addresses": [VIP]}, ["ens3", "ens33", "ens37", "did you mean"]),
        ({"interface": "ens37", "addresses": ["192.168.1.101", "192.168.1.300"]}, ["192.168.1.300"]),
        ({"interface": "ens37", "addresses": [VIP, f"{VIP}/24"]}, ["twice"]),
        ({"interface": "ens37", "addresses": [VIP], "label": "ens33:9"}, ["ens33:9", "ens37:"]),
        ({"interface": "ens37", "addresses": ["fd00::1"], "label": "ens37:9"}, ["IPv4"]),
        ({"interface": "lo", "addresses": [VIP], "announce": 1}, ["Ethernet"]),
        ({"interface": "eth0.100", "addresses": [VIP], "host_route": True, "link_up": False}, ["link_up"]),
    ],
)
def test_one_clear_message_and_nothing_changed(host: Any, arguments: dict[str, Any], words: list[str]) -> None:
    before = host.ip("address", "show")
    result = host.module("vrrp_vip", **arguments)
    assert result["failed"]
    assert all(word in result["msg"] for word in words), result["msg"]
    assert host.ip("address", "show") == before


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
