# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""sysctl_arp on real interfaces; sysctl, systemd-sysctl and a neighbour's ARP say what happened."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root

REAL_SERVER = [{"interfaces": ["all", "ens37"], "arp_ignore": 1, "arp_announce": 2}]
VIP = "192.168.1.100"


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "90-linuxha-lvs.conf"


def running(host: Any) -> str:
    return str(host.run("sysctl", "-a", "--pattern", r"^net\.ipv4\.(conf|ip_forward)"))


def test_life_of_the_settings(host: Any, kept: Path) -> None:
    before = running(host)
    task = {"settings": REAL_SERVER, "sysctl_file": str(kept)}

    first = host.module("sysctl_arp", check=True, **task)
    assert first["changed"]
    assert running(host) == before
    assert not kept.exists()

    done = host.module("sysctl_arp", **task)
    assert done["diff"] == first["diff"]
    assert done["effective"] == first["effective"]
    assert "net.ipv4.conf.ens37.arp_ignore = 0\n" in done["diff"][0]["before"]
    assert "net.ipv4.conf.ens37.arp_ignore = 1\n" in done["diff"][0]["after"]
    for interface in ("all", "ens37"):
        assert host.sysctl(interface, "arp_ignore") == "1"
        assert host.sysctl(interface, "arp_announce") == "2"
    # `all` makes it so on the other interface too, whose own value is still 0.
    assert host.sysctl("ens33", "arp_ignore") == "0"
    assert done["effective"]["ens33"] == {"arp_ignore": 1, "arp_announce": 2}
    assert kept.stat().st_mode & 0o777 == 0o644

    for check in (True, False):
        assert not host.module("sysctl_arp", check=check, **task)["changed"]

    # Another task shares the file.
    host.module("sysctl_arp", sysctl_file=str(kept), settings=[{"interfaces": ["eth0.100"], "rp_filter": 2}])
    assert not host.module("sysctl_arp", check=True, **task)["changed"]

    changed = host.module("sysctl_arp", **{**task, "settings": [{"interfaces": ["ens37"], "arp_ignore": 2}]})
    assert changed["effective"] == {"ens37": {"arp_ignore": 2}}
    assert host.sysctl("ens37", "arp_ignore") == "2"

    gone = {**task, "settings": [{"interfaces": ["all", "ens37"]}], "state": "absent"}
    assert host.module("sysctl_arp", check=True, **gone)["changed"]
    assert host.sysctl("all", "arp_ignore") == "1"
    assert host.module("sysctl_arp", **gone)["changed"]
    assert not host.module("sysctl_arp", **gone)["changed"]
    assert host.sysctl("all", "arp_ignore") == "0"
    assert host.sysctl("ens37", "arp_announce") == "0"
    assert host.sysctl("eth0.100", "rp_filter") == "2"

    host.module("sysctl_arp", sysctl_file=str(kept), settings=[{"interfaces": ["eth0.100"]}], state="absent")
    assert not kept.exists()


def test_the_file_brings_everything_back(host: Any, kept: Path) -> None:
    director = [
        {"interfaces": ["all", "default", "ens33", "eth0.100"], "send_redirects": False},
        {"interfaces": ["eth0.100"], "rp_filter": 2, "arp_ignore": 1},
    ]
    host.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
    host.module("sysctl_arp", settings=director, ip_forward=False, sysctl_file=str(kept))
    assert host.run("sysctl", "-n", "net.ipv4.ip_forward").strip() == "0"
    assert host.sysctl("eth0.100", "send_redirects") == "0"
    wanted = running(host)

    host.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
    for interface in ("all", "default", "ens33", "eth0.100"):
        host.set_sysctl(interface, "send_redirects", 1)
    host.set_sysctl("eth0.100", "rp_filter", 0)
    host.set_sysctl("eth0.100", "arp_ignore", 0)
    assert running(host) != wanted
    host.run("/lib/systemd/systemd-sysctl", str(kept))
    assert running(host) == wanted


def test_default_changes_the_others_in_the_same_call(host: Any, kept: Path) -> None:
    # ens37 was never set itself nor given an address, so it follows `default`; it must still end with its own value.
    host.set_sysctl("default", "rp_filter", 1)
    assert host.sysctl("ens37", "rp_filter") == "1"
    settings = [{"interfaces": ["ens37"], "rp_filter": 1}, {"interfaces": ["default"], "rp_filter": 0}]
    task = {"settings": settings, "sysctl_file": str(kept)}
    host.module("sysctl_arp", **task)
    assert host.sysctl("default", "rp_filter") == "0"
    assert host.sysctl("ens37", "rp_filter") == "1"
    assert not host.module("sysctl_arp", **task)["changed"]


@pytest.mark.parametrize(
    "name, all_value, own_value",
    [("arp_ignore", 0, 0), ("arp_ignore", 1, 0), ("arp_ignore", 0, 1), ("arp_ignore", 8, 1)],
)
def test_effective_is_what_the_network_sees(
    hosts: tuple[Any, Any], kept: Path, name: str, all_value: int, own_value: int
) -> None:
    """The peer asks on ens33, by ARP before its ping, for an address that is on ens37 only."""
    host, peer = hosts
    host.run("ip", "address", "add", f"{VIP}/32", "dev", "ens37")
    result = host.module(
        "sysctl_arp",
        sysctl_file=str(kept),
        settings=[{"interfaces": ["all"], name: all_value}, {"interfaces": ["ens33"], name: own_value}],
    )
    asked = subprocess.run(peer.command("ping", "-c", "1", "-W", "1", VIP), capture_output=True, check=False)
    (neighbour,) = peer.ip("neighbour", "show", "to", VIP)
    assert ("lladdr" in neighbour) == (asked.returncode == 0)
    assert (asked.returncode == 0) == (result["effective"]["ens33"][name] == 0)


@pytest.mark.parametrize(
    "settings, words",
    [
        ([{"interfaces": ["ens73"], "arp_ignore": 1}], ["ens73", "ens33", "did you mean ens37"]),
        ([{"interfaces": ["ens37"]}], ["ens37", "arp_ignore"]),
        (
            [{"interfaces": ["all"], "arp_ignore": 1}, {"interfaces": ["all"], "arp_ignore": 2}],
            ["arp_ignore", "all", "twice"],
        ),
        ([{"interfaces": ["../../kernel"], "arp_ignore": 1}], ["../../kernel"]),
    ],
)
def test_one_clear_message_and_nothing_changed(
    host: Any, kept: Path, settings: list[dict[str, Any]], words: list[str]
) -> None:
    before = running(host)
    result = host.module("sysctl_arp", settings=settings, sysctl_file=str(kept))
    assert result["failed"]
    assert all(word in result["msg"] for word in words), result["msg"]
    assert running(host) == before
    assert not kept.exists()
