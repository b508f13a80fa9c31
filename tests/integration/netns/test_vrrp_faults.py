# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes an instance unfit, on a real network stack: ours on host a, keepalived with the same lines on host b."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.netns.conftest import Host
from tests.integration.netns.daemon import Daemon, pack
from tests.integration.netns.test_vrrp_process import INTERVAL, words
from tests.integration.netns.wire import LIBRARY, Agent, Keepalived, Site, site, vips, wait_until

pytestmark = pytest.mark.root

Start = Callable[..., Agent]

#: What each instance has besides a VIP on eth0. Its number is the VIP's last byte, and its VRID.
LINES = {
    1: "",
    2: "virtual_ipaddress_excluded {\n 10.1.0.102/24 dev eth1\n }",
    3: "virtual_ipaddress_excluded {\n 10.1.0.103/24 dev eth1 no_track\n }",
    4: "virtual_ipaddress_excluded {\n 2001:db8:1::104/64 dev eth1\n }",
    5: "virtual_routes {\n 10.55.0.0/16 dev eth1\n }",
    6: "virtual_routes {\n 10.56.0.0/16 dev eth1 no_track\n }",
    7: "virtual_routes {\n 10.57.0.0/16 nexthop dev eth0 nexthop dev eth1\n }",
    8: "virtual_rules {\n from 10.58.0.0/16 iif eth1 table 9 preference 98\n }",
    9: "virtual_rules {\n from 10.59.0.0/16 oif eth1 table 9 preference 99 no_track\n }",
    10: "track_interface {\n eth1 weight -20\n }\n virtual_ipaddress_excluded {\n 10.1.0.110/24 dev eth1\n }",
    11: "dont_track_primary\n virtual_ipaddress_excluded {\n 10.1.0.111/24 dev eth1\n }",
    12: "use_vmac\n use_vmac_addr\n virtual_ipaddress_excluded {\n 10.1.0.112/24 dev eth1\n }",
    13: "virtual_ipaddress_excluded {\n 10.7.0.113/24 dev eth1.7\n }",
}
#: Those that do not need eth1.
FREE = {1, 3, 6, 7, 9}


def instances(host: int) -> str:
    """All of them, with VRIDs and VIPs of the host's own: each is alone on its wire."""
    return "".join(
        f"vrrp_instance V{number} {{\n interface eth0\n virtual_router_id {100 * host + number}\n priority 250\n"
        f" version 3\n advert_int {INTERVAL}\n virtual_ipaddress {{\n 10.0.{host}.{number}/32\n }}\n {more}\n}}\n"
        for number, more in LINES.items()
    )


def masters(host: Host, number: int) -> set[int]:
    """Which of the instances hold their VIP, wherever it is."""
    shown = host.run("ip", "-oneline", "-4", "address", "show")
    return {one for one in LINES if f" 10.0.{number}.{one}/32 " in shown}


@pytest.fixture
def wire() -> Iterator[Site]:
    with site() as where:
        for number, host in enumerate((where.a, where.b), 1):
            host.run("ip", "address", "add", f"10.1.0.{number}/24", "dev", "eth1")
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


def faults(agent: Agent) -> dict[str, list[str]]:
    """Of each instance, as lvsctl shows them."""
    return {one["name"]: one["faults"] for one in agent.status()["instances"]}


def fault(agent: Agent) -> str:
    """The only one of the only instance."""
    (found,) = faults(agent).values()
    return "; ".join(found)


def checked(host: Host, file: Path) -> str:
    """What lvs-agent check --local says of it, and its exit status."""
    check = (sys.executable, "-m", "_lvs_agent.cli", "check", "--local", str(file))
    command = host.command("env", f"PYTHONPATH={LIBRARY}", *check)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return f"{done.stdout} exit {done.returncode}"


def in_state(agent: Agent, state: str, name: str = "V") -> Callable[[], bool]:
    """Whether an instance is in it now."""

    def look() -> bool:
        told = agent.of_kind("Transitioned", name=name, group=False)
        return bool(told) and told[-1]["state"] == state

    return look


# ---- interfaces


def test_what_keepalived_cannot_do_without_neither_can_we(wire: Site, start: Start, tmp_path: Path) -> None:
    for host in (wire.a, wire.b):
        # the kernel of the tests has no VLANs: this is another NIC that is up as long as eth1 is
        host.run("ip", "link", "add", "link", "eth1", "name", "eth1.7", "type", "macvlan")
        host.run("ip", "link", "set", "eth1.7", "up")
    theirs = tmp_path / "b.conf"
    theirs.write_text(instances(2))
    keepalived = Keepalived(wire.b, theirs)
    bridge = wire.witness.host

    def both(wanted: set[int], what: str) -> None:
        wait_until(
            lambda: masters(wire.a, 1) == masters(wire.b, 2) == wanted,
            what,
            lambda: f"ours {masters(wire.a, 1)} keepalived's {masters(wire.b, 2)}",
        )

    try:
        a = start(instances(1))
        both(set(LINES), "all are masters")
        for port in ("p11", "p21"):
            bridge.run("ip", "link", "set", port, "down")
        both(FREE, "without a carrier")
        beforehand = checked(wire.a, tmp_path / "a.conf")
        told_of = "interface eth1 has no carrier: the instance is in FAULT until it is up"
        assert beforehand.count(told_of) == 7, beforehand
        said = faults(a)
        assert {name for name, found in said.items() if not found} == {f"V{number}" for number in FREE}
        assert said["V2"] == ["interface eth1 has no carrier, needed by VIP 10.1.0.102/24"]
        assert said["V5"] == ["interface eth1 has no carrier, needed by virtual route 10.55.0.0/16"]
        for port in ("p11", "p21"):
            bridge.run("ip", "link", "set", port, "up")
        both(set(LINES), "with a carrier again")
        for host in (wire.a, wire.b):
            host.run("ip", "link", "set", "eth1", "down")
        both(FREE, "set down")
        assert faults(a)["V8"] == ["interface eth1 is down, needed by a virtual rule"]
        for host in (wire.a, wire.b):
            host.run("ip", "link", "set", "eth1", "up")
        wait_until(lambda: masters(wire.a, 1) == set(LINES), "set up again", lambda: str(masters(wire.a, 1)))
        for host in (wire.a, wire.b):
            host.run("ip", "link", "delete", "eth1")
        both(FREE, "deleted")
        status = {one["name"]: one for one in a.status()["instances"]}
        assert status["V2"]["faults"] == ["interface eth1 does not exist, needed by VIP 10.1.0.102/24"]
        assert status["V3"]["missing"] == ["10.1.0.103/24"]
        assert a.stop() == 0
    finally:
        keepalived.close()


# ---- the address of the adverts

SOURCES = {
    "mcast": "mcast_src_ip 10.0.0.77",
    "unicast": "unicast_src_ip 10.0.0.77\n unicast_peer {\n 10.0.0.9\n }",
    "elsewhere": "dont_track_primary\n unicast_src_ip 10.1.0.77\n unicast_peer {\n 10.0.0.9\n }",
    "local": "unicast_src_ip fe80::77\n unicast_peer {\n fe80::9\n }",
    "global": "unicast_src_ip 2001:db8::77\n unicast_peer {\n 2001:db8::9\n }",
}
ADDRESSES = (("10.0.0.77/24", "eth0"), ("10.1.0.77/24", "eth1"), ("fe80::77/64", "eth0"), ("2001:db8::77/64", "eth0"))


def sourced(host: int) -> str:
    """An instance for each of them; VIPs and VRIDs are the host's."""
    found = ""
    for number, (name, more) in enumerate(SOURCES.items(), 1):
        vip = f"2001:db8::{host}:{number}/128" if "::" in more else f"10.0.{host}.{number}/32"
        text = words(vips=vip, vrid=100 * host + number, more=more)
        found += text.replace("instance V", f"instance {name}")
    return found


def test_a_source_address_that_is_not_here_is_a_fault(wire: Site, start: Start, tmp_path: Path) -> None:
    """keepalived sends from an address that it does not have once that has gone; at the start it is in FAULT, too."""
    # the same link-local address on another NIC is another address
    wire.a.run("ip", "address", "add", "fe80::77/64", "dev", "eth1", "nodad")
    theirs = tmp_path / "b.conf"
    theirs.write_text(sourced(2))
    keepalived = Keepalived(wire.b, theirs)
    try:
        a = start(sourced(1))
        a.wait_for("Configured")
        time.sleep(1)
        assert not wire.witness.of(102)
        assert not wire.witness.of(202)
        beforehand = checked(wire.a, tmp_path / "a.conf")
        assert beforehand.count("the instance is in FAULT until it does") == len(SOURCES), beforehand
        assert faults(a) == {
            "mcast": ["this host does not have 10.0.0.77"],
            "unicast": ["this host does not have 10.0.0.77"],
            "elsewhere": ["this host does not have 10.1.0.77"],
            "local": ["this host does not have fe80::77"],
            "global": ["this host does not have 2001:db8::77"],
        }
    finally:
        keepalived.close()
    # at boot they come later than the daemon
    for address, interface in ADDRESSES:
        wire.a.run("ip", "address", "add", address, "dev", interface, *(["nodad"] if ":" in address else []))
    for name in SOURCES:
        wait_until(in_state(a, "MASTER", name), f"{name} is master", lambda: str(faults(a)))
    for address, interface in ADDRESSES:
        wire.a.run("ip", "address", "delete", address, "dev", interface)
    gone = time.time()
    for name in SOURCES:
        wait_until(in_state(a, "FAULT", name), f"{name} is in FAULT")
    time.sleep(2 * INTERVAL)
    assert not [seen for vrid in range(101, 106) for seen in wire.witness.of(vrid, gone + INTERVAL)]
    assert not [address for address in wire.a.addresses("eth0") if address.startswith(("10.0.1.", "2001:"))]


def test_one_file_for_all_hosts(wire: Site, start: Start, tmp_path: Path) -> None:
    """Each instance has one host's source address, and is of no use on the others."""
    text = "".join(
        words(
            vips=f"10.0.0.20{own}/32",
            vrid=60 + own,
            more=f"unicast_src_ip 10.0.0.{own}\n unicast_peer {{\n 10.0.0.{other}\n }}",
        ).replace("instance V", f"instance N{own}")
        for own, other in ((1, 2), (2, 1))
    )
    a = start(text)
    (tmp_path / "b.conf").write_text(text)
    b = Agent(wire.b, tmp_path / "b.conf")
    try:
        wait_until(lambda: (vips(wire.a), vips(wire.b)) == ({"10.0.0.201"}, {"10.0.0.202"}), "each has its own")
        assert faults(a) == {"N1": [], "N2": ["this host does not have 10.0.0.2"]}
        assert faults(b) == {"N1": ["this host does not have 10.0.0.1"], "N2": []}
    finally:
        b.close()


PAIR = (
    words(vips="10.0.0.100/24")
    + words(vips="10.0.0.101/24", vrid=52, more="promote_secondaries").replace("instance V", "instance W")
    + words(vips="fe80::100/64\n 2001:db8::100", vrid=61).replace("instance V", "instance V6")
    + words(vips="fe80::101/64\n 2001:db8::101", vrid=62).replace("instance V", "instance W6")
)


def test_adverts_come_from_no_vip_whoever_has_it(wire: Site, start: Start) -> None:
    a = start(PAIR)
    names = ("V", "W", "V6", "W6")

    def all_are(state: str) -> None:
        for name in names:
            wait_until(in_state(a, state, name), f"{name} is {state}", lambda: str(faults(a)))

    all_are("MASTER")
    own = (("10.0.0.1/24",), ("fe80::1/64", "nodad"))
    for again in range(2):
        for address, *_more in own:
            wire.a.run("ip", "address", "delete", address, "dev", "eth0")
        all_are("FAULT")
        said = {name: found for name, found in faults(a).items() if found}
        assert said.keys() == set(names), said
        if again:
            # what DHCP or an administrator has instead
            own = (("10.0.0.11/24",), ("fe80::11/64", "nodad"))
        for words_of_ip in own:
            wire.a.run("ip", "address", "add", words_of_ip[0], "dev", "eth0", *words_of_ip[1:])
        all_are("MASTER")
        wait_until(lambda: len(vips(wire.a) - {"10.0.0.11", "fe80::11"}) == 6, "all VIPs", lambda: str(vips(wire.a)))
    # one that is added while another one is in use changes nothing
    wire.a.run("ip", "address", "add", "10.0.0.12/24", "dev", "eth0")
    time.sleep(2 * INTERVAL)
    last = {vrid: wire.witness.of(vrid)[-1].source for vrid in (51, 52, 61, 62)}
    assert last == {51: "10.0.0.11", 52: "10.0.0.11", 61: "fe80::11", 62: "fe80::11"}
    # they resign from the address that has gone
    assert {seen.source for seen in wire.witness.of(61) if seen.priority == 0} == {"fe80::1"}
    sources = {seen.source for seen in wire.witness.adverts}
    assert sources == {"10.0.0.1", "10.0.0.11", "fe80::1", "fe80::11"}


def test_a_dhcp_change_costs_no_fail_over(wire: Site, start: Start) -> None:
    """The new address first, as most clients do it."""
    a = start(PAIR.replace("10.0.0.101/24", "10.0.0.101/32"))
    wait_until(in_state(a, "MASTER", "W"), "master")
    wire.a.run("ip", "address", "add", "10.0.0.11/24", "dev", "eth0")
    wire.a.run("ip", "address", "delete", "10.0.0.1/24", "dev", "eth0")
    wait_until(lambda: wire.witness.of(52)[-1].source == "10.0.0.11", "the other source")
    assert not a.of_kind("Transitioned", state="FAULT", name="W")


def test_a_source_that_is_a_vip_is_a_fault(wire: Site, start: Start) -> None:
    other = words(vips="10.0.0.101/24", vrid=52).replace("instance V", "instance W")
    a = start(words(more="mcast_src_ip 10.0.0.101") + other)
    a.wait_for("Configured")
    assert faults(a)["V"] == [
        "the source address 10.0.0.101 is a VIP of W: write an address that stays on this host"
    ]


def test_a_virtual_mac_has_the_source_that_is_written(wire: Site, start: Start, tmp_path: Path) -> None:
    """As keepalived has it: a link-local one need not be on the base interface."""
    text = words(vips="fe80::100/64", more="use_vmac\n mcast_src_ip fe80::77")
    theirs = tmp_path / "b.conf"
    theirs.write_text(text.replace("router_id 51", "router_id 52").replace("::100", "::101"))
    keepalived = Keepalived(wire.b, theirs)
    try:
        a = start(text)
        wait_until(in_state(a, "MASTER"), "master", lambda: fault(a))
        wait_until(lambda: wire.witness.of(51) and wire.witness.of(52), "adverts of both")
        assert {seen.source for seen in wire.witness.adverts} == {"fe80::77"}
        assert checked(wire.a, tmp_path / "a.conf").endswith("exit 0")
    finally:
        keepalived.close()


# ---- VIPs that are the host's own addresses


def test_a_vip_that_is_the_hosts_own_address_stays(wire: Site, start: Start, tmp_path: Path) -> None:
    wire.a.run("ip", "address", "add", "10.0.0.5/24", "dev", "eth0")
    text = words(vips="10.0.0.5/24\n 10.0.0.100/24")
    a = start(text)
    a.wait_for("Configured")
    said = "VIP 10.0.0.5 is an address of this host already, which lvs-agent did not add to eth0"
    assert fault(a).startswith(said)
    a.crash()
    refused = checked(wire.a, tmp_path / "a.conf")
    assert "virtual_ipaddress[0]: the VIP 10.0.0.5 is an address of this machine's own, on eth0" in refused
    assert refused.endswith("exit 5")
    a = start(text)
    a.wait_for("Configured")
    assert fault(a).startswith(said)
    # a file without it, and with it again while the instance is master
    (tmp_path / "a.conf").write_text(words(vips="10.0.0.100/24"))
    a.tell("configure", str(tmp_path / "a.conf"))
    wait_until(in_state(a, "MASTER"), "master without it")
    (tmp_path / "a.conf").write_text(text)
    a.tell("configure", str(tmp_path / "a.conf"))
    wait_until(in_state(a, "FAULT"), "in FAULT with it")
    assert "10.0.0.5/24" in wire.a.addresses("eth0")
    assert "10.0.0.100/24" not in wire.a.addresses("eth0")
    # the host gives it up
    wire.a.run("ip", "address", "delete", "10.0.0.5/24", "dev", "eth0")
    wait_until(in_state(a, "MASTER"), "master of both")
    assert checked(wire.a, tmp_path / "a.conf").endswith("exit 0")
    assert a.stop() == 0
    assert vips(wire.a) == set()


def test_a_vip_that_the_host_gets_beside_us_is_a_fault_of_the_backup(
    wire: Site, start: Start, tmp_path: Path
) -> None:
    a = start(words(vips="10.0.0.5"))
    wait_until(in_state(a, "MASTER"), "master")
    (tmp_path / "b.conf").write_text(words(vips="10.0.0.5", priority=100))
    b = Agent(wire.b, tmp_path / "b.conf")
    try:
        wait_until(in_state(b, "BACKUP"), "backup")
        wire.b.run("ip", "address", "add", "10.0.0.5/24", "dev", "eth0")
        wait_until(in_state(b, "FAULT"), "in FAULT")
        assert "10.0.0.5/24" in wire.b.addresses("eth0")
        wire.b.run("ip", "address", "delete", "10.0.0.5/24", "dev", "eth0")
        wait_until(in_state(b, "BACKUP"), "backup again")
        assert in_state(a, "MASTER")()
    finally:
        b.close()


# ---- another daemon on the same host


def test_another_daemon_on_the_host_is_named(wire: Site, tmp_path: Path) -> None:
    pack(tmp_path / "a.pyz", "1.0.0")
    daemon = Daemon(wire.a, tmp_path / "a", tmp_path / "a.pyz", words())
    second = Daemon(wire.a, tmp_path / "b", tmp_path / "a.pyz", words(priority=100))
    theirs = tmp_path / "k.conf"

    def named(one: Daemon) -> list[str]:
        alarms = one.quick("status").get("alarms", [])
        return [str(alarm["detail"]) for alarm in alarms if alarm["kind"] == "another_vrrp_daemon"]

    try:
        daemon.start()
        daemon.wait_for(V="MASTER")
        theirs.write_text(words())
        keepalived = Keepalived(wire.a, theirs)
        try:
            wait_until(lambda: named(daemon), "an alarm", lambda: daemon.log)
            pid = int(theirs.with_suffix(".vrrp.pid").read_text())
            said = f"keepalived (process {pid}) speaks VRRP on this host with virtual_router_id 51, as lvs-agent does"
            assert [one for one in named(daemon) if one.startswith(said)], named(daemon)
            assert said in " ".join(daemon.quick("status")["problems"])
        finally:
            keepalived.stop()
        wait_until(lambda: not named(daemon), "no alarm any more", lambda: str(named(daemon)))
        second.start()
        wait_until(lambda: named(daemon) and named(second), "both say so", lambda: f"{daemon.log} {second.log}")
        assert str(second.vrrp_pid()) in named(daemon)[0]
        assert str(daemon.vrrp_pid()) in named(second)[0]
    finally:
        for one in (second, daemon):
            one.close()
