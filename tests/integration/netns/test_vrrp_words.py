# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words beside VIPs and adverts, on a real network stack: what our process makes of them, and what keepalived does.

Where the two can be compared, ours runs on host a and keepalived on host b with the same file, and ip has to show the
same of both.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.netns.conftest import Host
from tests.integration.netns.daemon import Daemon, pack
from tests.integration.netns.test_vrrp_process import INTERVAL, LATE_S, VIP, master, words
from tests.integration.netns.wire import Agent, Keepalived, Site, site, vips, wait_until

pytestmark = pytest.mark.root

Start = Callable[..., Agent]


@pytest.fixture
def wire() -> Iterator[Site]:
    with site() as where:
        for host in (where.a, where.b):
            host.run("ip", "link", "set", "eth1", "up")
        yield where


@pytest.fixture
def start(wire: Site, tmp_path: Path) -> Iterator[Start]:
    """Starts our process on host a with the words of a file."""
    running: list[Agent] = []

    def run(text: str, resume_ms: int | None = None) -> Agent:
        file = tmp_path / "a.conf"
        file.write_text(text)
        running.append(Agent(wire.a, file, resume_ms))
        return running[-1]

    yield run
    for agent in running:
        agent.close()


# ---- static addresses, routes and rules

STATIC = """
track_group T {{
 group {{
 V{number}
 }}
}}
static_ipaddress {{
 10.2.0.1/24 dev eth1
 10.2.0.2/24 dev eth1 track_group T
 10.2.0.3/24 dev eth1 no_track
 {more}
}}
static_routes {{
 10.8.0.0/16 via 10.2.0.9 dev eth1 metric 7
 10.7.0.0/16 dev eth1 no_track
 unreachable 10.6.0.0/16
}}
static_rules {{
 from 10.8.0.0/16 table 9 preference 91
 from 10.7.0.0/16 table 9 preference 92 no_track
}}
vrrp_instance V{number} {{
 interface eth0
 virtual_router_id 5{number}
 priority 100
 version 3
 advert_int 0.2
 virtual_ipaddress {{
 10.0.0.10{number}/24
 }}
 virtual_routes {{
 10.5.0.0/16 dev eth0
 10.4.0.0/16 dev eth0 no_track
 }}
 virtual_rules {{
 from 10.5.0.0/16 table 9 preference 81
 from 10.4.0.0/16 table 9 preference 82 no_track
 }}
}}
"""


def shown(host: Host) -> dict[str, Any]:
    """What ip shows of static things, and of the instance's; not of what differs between hosts."""
    routes = host.ip("route", "show", "proto", "keepalived")
    rules = [one for one in host.ip("rule", "show") if 80 < one["priority"] < 99]
    return {
        "addresses": sorted(one for one in host.addresses("eth1") if one.startswith("10.")),
        "routes": sorted((one["dst"], one.get("gateway"), one.get("metric"), one.get("type")) for one in routes),
        "rules": sorted((one["priority"], one["src"], one["table"]) for one in rules),
    }


def both(wire: Site, what: str) -> dict[str, Any]:
    """What is the same on both hosts, when it is."""
    wait_until(
        lambda: shown(wire.a) == shown(wire.b), what, lambda: f"ours {shown(wire.a)}\nkeepalived's {shown(wire.b)}", 5
    )
    return shown(wire.a)


REMOVALS = (
    ("address", "delete", "10.2.0.1/24", "dev", "eth1"),
    ("address", "delete", "10.2.0.2/24", "dev", "eth1"),
    ("address", "delete", "10.2.0.3/24", "dev", "eth1"),
    ("route", "delete", "10.7.0.0/16"),
    ("route", "delete", "10.5.0.0/16"),
    ("route", "delete", "10.4.0.0/16"),
    ("rule", "delete", "preference", "91"),
    ("rule", "delete", "preference", "92"),
    ("rule", "delete", "preference", "82"),
)


def test_static_things_are_as_keepalived_has_them(wire: Site, start: Start, tmp_path: Path) -> None:
    theirs = tmp_path / "b.conf"
    for host in (wire.a, wire.b):
        # the kernel must not take the other addresses away with the first one, or it is another story
        host.run("sysctl", "-q", "-w", "net.ipv4.conf.all.promote_secondaries=1")
    theirs.write_text(STATIC.format(number=2, more=""))
    keepalived = Keepalived(wire.b, theirs)
    try:
        a = start(STATIC.format(number=1, more=""))
        master(a)
        wait_until(lambda: "10.0.0.102" in vips(wire.b), "keepalived is master")
        everything = both(wire, "all is there")
        assert len(everything["addresses"]) == 3
        assert len(everything["routes"]) == 5
        assert len(everything["rules"]) == 4
        for words_of_ip in REMOVALS:
            for host in (wire.a, wire.b):
                host.run("ip", *words_of_ip)
            time.sleep(0.3)
            both(wire, f"after ip {' '.join(words_of_ip)}")
        # keepalived tells a lost route by its interface only; ours does without
        wire.a.run("ip", "route", "delete", "unreachable", "10.6.0.0/16")
        both(wire, "a route without an interface is back")
        left = shown(wire.a)
        assert left["addresses"] == ["10.2.0.1/24", "10.2.0.2/24"]
        assert [rule[0] for rule in left["rules"]] == [81, 91]
        assert "V1" not in {one["name"] for one in a.of_kind("Transitioned")[2:]}
        # a reload: one address more, one less
        for number, file in ((1, tmp_path / "a.conf"), (2, theirs)):
            changed = STATIC.format(number=number, more="10.2.0.4/24 dev eth1")
            file.write_text(changed.replace("10.2.0.1/", "10.2.0.5/"))
        a.tell("configure", str(tmp_path / "a.conf"))
        keepalived.reload()
        a.wait_for("Configured", 2)
        wait_until(lambda: "10.2.0.4/24" in shown(wire.b)["addresses"], "keepalived has reloaded")
        reloaded = shown(wire.a)["addresses"]
        assert reloaded == ["10.2.0.2/24", "10.2.0.3/24", "10.2.0.4/24", "10.2.0.5/24"]
        assert a.stop() == 0
    finally:
        keepalived.stop()
    assert both(wire, "after a stop") == {"addresses": [], "routes": [], "rules": []}


IPV6 = """
static_ipaddress {{
 2001:db8:{number}::1 dev eth0
 2001:db8:{number}::2/64 dev eth0
}}
vrrp_instance V{number} {{
 interface eth0
 virtual_router_id 6{number}
 priority 100
 version 3
 advert_int 0.2
 virtual_ipaddress {{
 fe80::{number}:1/64
 2001:db8:{number}::3
 2001:db8:{number}::4/128 preferred_lft forever
 2001:db8:{number}::5/64
 2001:db8:{number}::6/64 preferred_lft 0
 }}
}}
"""


def test_ipv6_addresses_are_as_keepalived_has_them(wire: Site, start: Start, tmp_path: Path) -> None:
    """But for VIPs with a prefix length, which only ours deprecates: the kernel would send health checks from them."""

    def shown_of(host: Host, number: int) -> set[tuple[str, int, str, bool, bool]]:
        (link,) = host.ip("address", "show", "dev", "eth0")
        return {
            (
                one["local"].replace(f":{number}:", ":N:"),
                one["prefixlen"],
                one["scope"],
                one.get("deprecated", False),
                one.get("nodad", False),
            )
            for one in link["addr_info"]
            if one["family"] == "inet6" and f":{number}:" in one["local"]
        }

    theirs = tmp_path / "b.conf"
    theirs.write_text(IPV6.format(number=2))
    keepalived = Keepalived(wire.b, theirs)
    try:
        a = start(IPV6.format(number=1))
        master(a)

        def alike() -> bool:
            differ = {one[0] for one in shown_of(wire.a, 1) ^ shown_of(wire.b, 2)}
            return differ == {"2001:db8:N::5", "fe80::N:1"} and len(shown_of(wire.a, 1)) == 7

        wait_until(
            alike,
            "the same addresses",
            lambda: f"ours {sorted(shown_of(wire.a, 1))}\nkeepalived's {sorted(shown_of(wire.b, 2))}",
            10,
        )
        deprecated = {one[0] for one in shown_of(wire.a, 1) if one[3]}
        assert deprecated == {"fe80::N:1", *(f"2001:db8:N::{last}" for last in (1, 3, 5, 6))}
        # a VIP that the site prefers may be the source of the host's own packets, and no other one
        towards = ("-6", "route", "get", "2001:db8:1::7")
        assert wire.a.ip(*towards)[0]["prefsrc"] == "2001:db8:1::4"
        wire.a.run("ip", "address", "change", "2001:db8:1::4/128", "dev", "eth0", "preferred_lft", "0")
        assert wire.a.ip(*towards)[0]["prefsrc"] == "2001:db8:1::2"
        # a reload that prefers another one, and no longer this one
        changed = IPV6.format(number=1).replace("::4/128 preferred_lft forever", "::4/128")
        (tmp_path / "a.conf").write_text(changed.replace("::6/64 preferred_lft 0", "::6/64 preferred_lft forever"))
        a.tell("configure", str(tmp_path / "a.conf"))
        a.wait_for("Configured", 2)
        deprecated ^= {"2001:db8:N::4", "2001:db8:N::6"}
        wait_until(lambda: {one[0] for one in shown_of(wire.a, 1) if one[3]} == deprecated, "changed", seconds=5)
        assert a.stop() == 0
    finally:
        keepalived.stop()


def test_static_things_stay_over_a_crash(wire: Site, start: Start) -> None:
    a = start(STATIC.format(number=1, more=""))
    master(a)
    before = shown(wire.a)
    a.crash()
    assert shown(wire.a) == before
    monitor = subprocess.Popen(wire.a.command("ip", "monitor", "address"), stdout=subprocess.PIPE, text=True)
    try:
        again = start(STATIC.format(number=1, more=""), 0)
        again.wait_for("Configured")
        assert shown(wire.a) == before
        wire.a.run("ip", "address", "add", "10.3.0.1/24", "dev", "eth1")
        assert monitor.stdout is not None
        assert "10.3.0.1" in monitor.stdout.readline()  # and nothing before it
    finally:
        monitor.terminate()
        monitor.communicate(timeout=10)
    assert not [one for one in again.of_kind("Remark") if one["level"] >= 30]


def test_what_cannot_be_put_back_is_a_fault_of_its_track_group(wire: Site, start: Start) -> None:
    a = start(STATIC.format(number=1, more=""))
    master(a)
    wire.a.run("ip", "link", "delete", "eth1")
    assert "static address is missing" in a.wait_for("Transitioned", state="FAULT")["cause"]


# ---- links


def test_a_link_that_comes_back_within_its_delay_has_not_gone(wire: Site, start: Start) -> None:
    a = start(words(top="interface_up_down_delays {\n eth0 0.8 0.6\n}"))
    master(a)
    for _bounce in range(2):
        wire.a.run("ip", "link", "set", "eth0", "down")
        time.sleep(0.2)
        wire.a.run("ip", "link", "set", "eth0", "up")
        time.sleep(1)
    assert not a.of_kind("Transitioned", state="FAULT")
    before = time.time()
    wire.a.run("ip", "link", "set", "eth0", "down")
    down = a.wait_for("Transitioned", state="FAULT")["real_ns"] / 1e9 - before
    before = time.time()
    wire.a.run("ip", "link", "set", "eth0", "up")
    up = a.wait_for("Transitioned", 2, state="BACKUP")["real_ns"] / 1e9 - before
    assert 0.8 <= down < 0.8 + LATE_S
    assert 0.6 <= up < 0.6 + LATE_S + 1  # the kernel's own word for a carrier comes up to a second later


# ---- announcements


def test_addresses_elsewhere_are_announced_again_and_again(wire: Site, start: Start) -> None:
    wire.a.run("ip", "address", "add", "10.1.0.1/24", "dev", "eth1")
    text = words(vips=f"{VIP}/24 dev eth0\n 10.1.0.100/24", more="garp_extra_if all 1")
    a = start(text.replace("interface eth0", "interface eth1"))
    master(a)
    first = len(wire.witness.garps)
    time.sleep(4.5)
    times = [at for at, address in wire.witness.garps[first:] if address == VIP]
    spaces = [later - sooner for sooner, later in zip(times, times[1:])]
    assert len([space for space in spaces if 0.5 < space < 2.2]) >= 2, spaces


def test_a_garp_group_spaces_what_it_announces(wire: Site, start: Start) -> None:
    group = "garp_group {\n garp_interval 0.2\n interfaces {\n eth0\n eth1\n }\n}"
    once = "global_defs {\n vrrp_garp_master_delay 0\n}"
    a = start(words(vips=f"{VIP}/24\n 10.0.0.101/24", top=f"{group}\n{once}"))
    master(a)
    wait_until(lambda: len(wire.witness.garps) >= 10, "two addresses, five times", seconds=5)
    times = [at for at, _address in wire.witness.garps]
    assert min(later - sooner for sooner, later in zip(times, times[1:])) >= 0.19


# ---- settings


def settings(host: Host) -> list[str]:
    names = [f"net.ipv4.conf.eth0.{name}" for name in ("arp_ignore", "arp_announce", "promote_secondaries")]
    return host.run("sysctl", "-n", *names, "net.ipv4.igmp_link_local_mcast_reports").split()


def test_settings_are_put_back(wire: Site, start: Start, tmp_path: Path) -> None:
    before = settings(wire.a)
    text = words(more="use_vmac\n promote_secondaries", top="global_defs {\n disable_local_igmp\n}")
    a = start(text)
    master(a)
    assert settings(wire.a) == ["1", "2", "1", "0"]
    assert dict(a.of_kind("Borrowed")[-1]["settings"])["net/ipv4/conf/eth0/arp_ignore"] == "0"
    # a reload without the word gives back what it had
    (tmp_path / "a.conf").write_text(words(more="use_vmac"))
    a.tell("configure", str(tmp_path / "a.conf"))
    a.wait_for("Configured", 2)
    assert settings(wire.a) == ["1", "2", "0", "1"]
    assert a.stop() == 0
    assert settings(wire.a) == before


# ---- what a crash has left

MANY = "\n ".join(f"10.0.1.{number}/24" for number in range(1, 51))


def test_what_nobody_configures_any_more_goes_at_the_next_start(wire: Site, tmp_path: Path) -> None:
    pack(tmp_path / "a.pyz", "1.0.0")
    before = settings(wire.a)
    excluded = f"virtual_ipaddress_excluded {{\n {MANY}\n 10.0.0.77/24 dev eth0\n }}"
    static = "static_ipaddress {\n 10.2.0.1/24 dev eth1\n}"
    former = words(more=f"use_vmac\n {excluded}", top=static)
    daemon = Daemon(wire.a, tmp_path / "a", tmp_path / "a.pyz", former)
    try:
        daemon.start()
        daemon.wait_for(V="MASTER")
        wait_until(lambda: len(wire.a.addresses("vrrp.51")) == 51, "all VIPs are there")
        child = daemon.vrrp_pid()
        daemon.signal(signal.SIGKILL)
        os.kill(child, signal.SIGKILL)
        daemon.ended()
        assert len(wire.a.addresses("vrrp.51")) == 51
        assert vips(wire.a) == {"10.0.0.77"}
        # else it would go on with that for a moment, and change over as a reload does
        (daemon.directory / "in-force").unlink()
        daemon.file.write_text(words(vips="10.0.0.78/24"))
        daemon.start()
        daemon.wait_for(V="MASTER")
        wait_until(lambda: vips(wire.a) == {"10.0.0.78"}, "only its VIP is there", lambda: daemon.log)
        assert "vrrp.51" not in wire.a.run("ip", "link", "show")
        assert "10.2.0.1/24" not in wire.a.addresses("eth1")
        assert settings(wire.a) == before
        assert "removed what was left over here: " in daemon.log
    finally:
        daemon.close()


# ---- virtual MACs


def test_ipv6_adverts_from_a_virtual_mac(wire: Site, start: Start, tmp_path: Path) -> None:
    """keepalived on the other host takes them, and stays backup."""
    text = words(vips="fe80::100/64\n 2001:db8::100/64", more="use_vmac")
    theirs = tmp_path / "b.conf"
    theirs.write_text(text.replace("priority 150", "priority 100"))
    a = start(text)
    master(a)
    keepalived = Keepalived(wire.b, theirs)
    try:
        time.sleep(2)
        adverts = wire.witness.of(51)
        assert {seen.source for seen in adverts} == {"fe80::1"}
        (link,) = wire.a.ip("link", "show", "dev", "vrrp6.51")
        assert link["address"] == "00:00:5e:00:02:33"
        assert "2001:db8::100/64" in wire.a.addresses("vrrp6.51")
        wire.b.run("ip", "address", "add", "2001:db8::2/64", "dev", "eth0", "nodad")
        wire.b.run("ping", "-c", "1", "-W", "5", "2001:db8::100")
        (neighbour,) = wire.b.ip("-6", "neighbour", "show", "2001:db8::100", "dev", "eth0")
        assert neighbour["lladdr"] == "00:00:5e:00:02:33"
        assert a.stop() == 0
        wait_until(lambda: "fe80::2" in {seen.source for seen in wire.witness.of(51)}, "keepalived takes over")
    finally:
        keepalived.stop()


def test_virtual_macs_of_addresses_elsewhere(wire: Site, start: Start) -> None:
    elsewhere = "virtual_ipaddress_excluded {\n 10.1.0.100/24 dev eth1\n 2001:db8::5/64\n }"
    a = start(words(more=f"use_vmac\n use_vmac_addr\n {elsewhere}"))
    master(a)

    def placed() -> dict[str, set[str]]:
        found = {one["ifname"]: one for one in wire.a.ip("address", "show") if one["ifname"].startswith("vrrp")}
        return {
            f"{name} {one['address']} {one['link']}": {
                info["local"] for info in one["addr_info"] if info["scope"] == "global"
            }
            for name, one in found.items()
        }

    wanted = {
        "vrrp.51 00:00:5e:00:01:33 eth0": {VIP},
        "vrrp1.51 00:00:5e:00:01:33 eth1": {"10.1.0.100"},
        "vrrp6.51 00:00:5e:00:02:33 eth0": {"2001:db8::5"},
    }
    wait_until(lambda: placed() == wanted, "all are in their places", lambda: f"{placed()} {a.messages}", 5)
    assert a.stop() == 0
    assert placed() == {}


# ---- checksums


OLD = "old_unicast_checksum"


@pytest.mark.parametrize("ours, theirs", [("", ""), (OLD, ""), (OLD, OLD), ("", OLD)])
def test_the_old_checksum_is_understood_both_ways(
    wire: Site, start: Start, tmp_path: Path, ours: str, theirs: str
) -> None:
    def unicast(own: int, priority: int, more: str) -> str:
        peer = f"unicast_src_ip 10.0.0.{own}\n unicast_peer {{\n 10.0.0.{3 - own}\n }}\n {more}"
        return words(priority=priority, more=peer)

    file = tmp_path / "b.conf"
    file.write_text(unicast(2, 100, theirs))
    a = start(unicast(1, 150, ours))
    master(a)
    keepalived = Keepalived(wire.b, file)
    try:
        time.sleep(2)
        # who is told to use the old one takes no other; who is not takes both
        assert ({seen.source for seen in wire.witness.of(51)} == {"10.0.0.1"}) is (ours == OLD or theirs != OLD)
        # now keepalived is the higher one: ours must understand it
        keepalived.stop()
        file.write_text(unicast(2, 200, theirs))
        keepalived = Keepalived(wire.b, file)
        wait_until(lambda: vips(wire.b) == {VIP}, "keepalived is master")
        wait_until(lambda: a.status()["instances"][0]["state"] == "BACKUP", "ours gives way")
        time.sleep(5 * INTERVAL)
        assert a.status()["instances"][0]["state"] == "BACKUP"
        assert "chk_err" not in a.counters()
    finally:
        keepalived.stop()
