# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VRRP process on a real network stack: what ip and tcpdump see of it, whatever is done to it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.integration.netns.conftest import Host
from tests.integration.netns.wire import Agent, Site, site, vips, wait_until

pytestmark = [pytest.mark.root, pytest.mark.measured]

INTERVAL = 0.2
LATE_S = 0.5
VIP, EXCLUDED, OTHER = "10.0.0.100", "10.0.0.101", "10.0.0.102"
SKEW = (256 - 100) / 256 * INTERVAL


def words(*, priority: int = 150, vrid: int = 51, vips: str = f"{VIP}/24", more: str = "", top: str = "") -> str:
    """A file with one instance."""
    return (
        f"{top}\nvrrp_instance V {{\n interface eth0\n virtual_router_id {vrid}\n priority {priority}\n"
        f" version 3\n advert_int {INTERVAL}\n virtual_ipaddress {{\n {vips}\n }}\n {more}\n}}\n"
    )


@pytest.fixture
def wire() -> Iterator[Site]:
    with site() as where:
        yield where


Start = Callable[..., Agent]


@pytest.fixture
def start(wire: Site, tmp_path: Path) -> Iterator[Start]:
    """Starts a process on host "a" or "b" with the words of a file."""
    running: list[Agent] = []

    def run(host: str, text: str, resume_ms: int | None = None) -> Agent:
        file = tmp_path / f"{host}.conf"
        file.write_text(text)
        running.append(Agent(getattr(wire, host), file, resume_ms))
        return running[-1]

    yield run
    for agent in running:
        agent.close()


def announced(wire: Site, least: int) -> bool:
    return len(wire.witness.garps) >= least


def holds(host: Host, wanted: set[str]) -> bool:
    return vips(host) == wanted


def master(agent: Agent, count: int = 1) -> None:
    agent.wait_for("Transitioned", count, state="MASTER", group=False)


def test_a_planned_stop_leaves_no_gap(wire: Site, start: Start) -> None:
    a = start("a", words())
    b = start("b", words(priority=100))
    master(a)
    holders: list[int] = []
    a.tell("stop")
    end = time.monotonic() + 2
    while time.monotonic() < end and not (vips(wire.b) and not vips(wire.a)):
        holders.append(len(vips(wire.a)) + len(vips(wire.b)))
    assert a.ended() == 0
    master(b)
    assert min(holders) >= 1
    assert (vips(wire.a), vips(wire.b)) == (set(), {VIP})
    resigned = next(seen for seen in wire.witness.adverts if seen.source == "10.0.0.1" and not seen.priority)
    taken = next(seen for seen in wire.witness.adverts if seen.source == "10.0.0.2")
    assert SKEW <= taken.at - resigned.at <= SKEW + LATE_S
    assert b.of_kind("Transitioned", state="MASTER")[0]["cause"] == "10.0.0.1 resigned"


def test_a_removed_vip_is_back_at_once_and_announced(wire: Site, start: Start) -> None:
    a = start("a", words(top="global_defs {\n vrrp_garp_master_delay 0\n}"))
    master(a)
    wait_until(lambda: vips(wire.a) == {VIP}, "the VIP is there")
    for count in (1, 2):
        least = len(wire.witness.garps) + 5
        wire.a.run("ip", "address", "delete", f"{VIP}/24", "dev", "eth0")
        wait_until(lambda: vips(wire.a) == {VIP}, "the VIP is back", seconds=LATE_S)
        wait_until(partial(announced, wire, least), "it is announced")
        assert a.counters()["vips_restored"] == count
    assert all(address == VIP for _at, address in wire.witness.garps)


def test_who_removes_a_vip_for_ever_is_not_fought_for_ever(wire: Site, start: Start) -> None:
    a = start("a", words())
    master(a)
    before = time.monotonic()
    while a.counters()["vips_not_restored"] == 0:
        assert time.monotonic() < before + 20
        subprocess.run(
            wire.a.command("ip", "address", "delete", f"{VIP}/24", "dev", "eth0"), capture_output=True, check=False
        )
    assert a.counters()["vips_restored"] == 20
    assert any("again and again" in one["text"] for one in a.of_kind("Remark"))
    wait_until(lambda: vips(wire.a) == {VIP}, "it is back in the end")


def test_a_killed_process_keeps_the_vip_and_goes_on(wire: Site, start: Start) -> None:
    a = start("a", words())
    b = start("b", words(priority=100))
    master(a)
    wait_until(lambda: vips(wire.a) == {VIP}, "the VIP is there")
    a.crash()
    assert vips(wire.a) == {VIP}
    killed = time.time()
    again = start("a", words(), resume_ms=0)
    master(again)
    # an interpreter that starts up is not what is measured here: it may take longer than the backup waits
    first = next(seen for seen in wire.witness.adverts if seen.source == "10.0.0.1" and seen.at > killed)
    ready = again.of_kind("Transitioned", state="MASTER")[0]
    assert ready["cause"] == "resumed after a restart"
    assert abs(first.at - ready["real_ns"] / 1e9) < LATE_S
    assert again.of_kind("Configured")[0]["resumed"] == ["V"]
    wait_until(lambda: vips(wire.b) == set(), "the backup does not have it", lambda: str(b.messages))
    assert vips(wire.a) == {VIP}
    assert not again.of_kind("Transitioned", state="BACKUP")


def test_who_was_away_too_long_starts_anew_and_cleans_up(wire: Site, start: Start) -> None:
    a = start("a", words())
    master(a)
    wait_until(lambda: vips(wire.a) == {VIP}, "the VIP is there")
    a.crash()
    again = start("a", words(), resume_ms=700)
    again.wait_for("Transitioned", state="BACKUP")
    assert vips(wire.a) == set()
    told = [one["text"] for one in again.of_kind("Remark")]
    assert any("s ago: starting as a backup" in one for one in told)
    assert f"removed what was left over here: {VIP}/24" in told
    master(again)
    wait_until(lambda: vips(wire.a) == {VIP}, "master again")


def test_it_leaves_the_vip_when_told_to_leave_or_alone(wire: Site, start: Start) -> None:
    for end in ("leave", None):
        a = start("a", words(), 0)
        master(a)
        wait_until(lambda: vips(wire.a) == {VIP}, "the VIP is there")
        if end:
            a.tell(end)
        else:
            assert a._process.stdin is not None
            a._process.stdin.close()
        assert a.ended() == 0
        assert vips(wire.a) == {VIP}
    assert all(seen.priority for seen in wire.witness.adverts)


GARBAGE = """
import random, socket, sys
source = random.Random(5)
for protocol in (112, 51):
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
    s.setsockopt(socket.SOL_SOCKET, 25, b"eth0")
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
    for number in range(150):
        data = source.randbytes(source.randrange(64))
        if number % 2:
            data = bytes((0x31, 51)) + data
        s.sendto(data, ("224.0.0.18", 0))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
    s.sendto(bytes.fromhex("3133ff010014a0050a000064"), ("224.0.0.18", 0))
    s.close()
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 112)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
group = ("ff02::12", 0, 0, socket.if_nametoindex("eth0"))
for number in range(150):
    s.sendto(bytes((0x31, 51)) + source.randbytes(source.randrange(64)), group)
s.close()
"""


def test_garbage_only_counts(wire: Site, start: Start) -> None:
    six = words(vips="2001:db8::100/64").replace("vrrp_instance V ", "vrrp_instance V6 ")
    a = start("a", words() + six)
    a.wait_for("Transitioned", 2, state="MASTER")
    wire.b.run(sys.executable, "-c", GARBAGE)
    time.sleep(3 * INTERVAL)
    status = a.status()
    errors = [one["counters"] for one in status["instances"]]
    assert errors[0]["ip_ttl_err"] == 1
    for counters in errors:
        assert counters["packet_len_err"] > 0
        assert counters["chk_err"] > 0
        assert counters["become_master"] == 1
    assert status["counters"]["malformed"] > 0
    assert status["counters"]["unknown_vrid"] > 0
    assert [one["state"] for one in status["instances"]] == ["MASTER", "MASTER"]
    times = [seen.at for seen in wire.witness.of(51) if seen.source == "10.0.0.1" and seen.priority == 150]
    assert max(later - former for former, later in zip(times, times[1:])) < INTERVAL + LATE_S


def test_a_lost_link_is_a_fault_and_it_recovers(wire: Site, start: Start) -> None:
    a = start("a", words())
    b = start("b", words(priority=100))
    master(a)
    wire.a.run("ip", "link", "set", "eth0", "down")
    fault = a.wait_for("Transitioned", state="FAULT")
    assert fault["cause"] == "interface eth0 is down"
    master(b)
    wait_until(lambda: vips(wire.b) == {VIP}, "b has it")
    assert vips(wire.a) == set()
    wire.a.run("ip", "link", "set", "eth0", "up")
    master(a, 2)
    wait_until(lambda: (vips(wire.a), vips(wire.b)) == ({VIP}, set()), "a has it again")


def test_an_interface_that_comes_later(wire: Site, start: Start) -> None:
    wire.a.run("ip", "address", "delete", "10.0.0.1/24", "dev", "eth0")
    a = start("a", words())
    assert a.wait_for("Transitioned", state="FAULT")["cause"] == "interface eth0 has no IPv4 address"
    wire.a.run("ip", "address", "add", "10.0.0.1/24", "dev", "eth0")
    master(a)
    wait_until(lambda: vips(wire.a) == {VIP}, "the VIP is there")
    assert {seen.source for seen in wire.witness.of(51)} == {"10.0.0.1"}


EVERYTHING = (
    f"virtual_ipaddress_excluded {{\n {EXCLUDED}/24 dev eth1 label eth1:x scope link\n 2001:db8::5/64\n }}\n"
    "virtual_routes {\n 192.0.2.0/24 via 10.0.0.7 dev eth0 metric 7 mtu 1400\n"
    " blackhole 198.51.100.0/24\n 203.0.113.0/24 nexthop via 10.0.0.7 weight 2 nexthop via 10.0.0.8\n }\n"
    "virtual_rules {\n from 10.0.0.100 table 100 priority 500\n }\n"
)


def kernel_state(wire: Site) -> tuple[list[Any], list[Any], list[Any]]:
    """Addresses of eth1, keepalived's routes, and rules of priority 500."""
    addresses = wire.a.ip("-4", "address", "show", "dev", "eth1")
    routes = wire.a.ip("route", "show", "proto", "keepalived")
    return [one["addr_info"] for one in addresses], routes, wire.a.ip("rule", "show", "priority", "500")


def test_everything_a_master_holds(wire: Site, start: Start) -> None:
    wire.a.run("ip", "link", "set", "eth1", "up")
    a = start("a", words(more=EVERYTHING))
    master(a)
    wait_until(lambda: kernel_state(wire)[2], "the rule is there", lambda: str(a.of_kind("Remark")))
    addresses, routes, rules = kernel_state(wire)
    (excluded,) = addresses[0]
    assert (excluded["local"], excluded["label"], excluded["scope"]) == (EXCLUDED, "eth1:x", "link")
    assert "2001:db8::5/64" in wire.a.addresses("eth0")
    by_destination = {route["dst"]: route for route in routes}
    assert set(by_destination) == {"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"}
    assert by_destination["192.0.2.0/24"]["gateway"] == "10.0.0.7"
    assert by_destination["192.0.2.0/24"]["metric"] == 7
    assert by_destination["198.51.100.0/24"]["type"] == "blackhole"
    assert [hop["weight"] for hop in by_destination["203.0.113.0/24"]["nexthops"]] == [2, 1]
    assert (rules[0]["src"], rules[0]["table"]) == ("10.0.0.100", "100")
    wire.a.run("ip", "route", "delete", "192.0.2.0/24", "via", "10.0.0.7", "metric", "7")
    wire.a.run("ip", "rule", "delete", "priority", "500")
    wait_until(lambda: len(kernel_state(wire)[1]) == 3 and kernel_state(wire)[2], "both are back", seconds=LATE_S)
    assert a.stop() == 0
    assert kernel_state(wire)[1:] == ([], [])
    assert vips(wire.a) == set()
    assert wire.a.addresses("eth1") == [one for one in wire.a.addresses("eth1") if one.startswith("fe80")]
    assert not [one for one in a.of_kind("Remark") if one["level"] >= 30]


def test_others_addresses_stay(wire: Site, start: Start) -> None:
    """The kernel deletes a network's other addresses with its first one."""
    vip = "172.16.0.100"
    a = start("a", words(vips=f"{vip}/24"))
    master(a)
    wait_until(lambda: vips(wire.a) == {vip}, "the VIP is there")
    wire.a.run("ip", "address", "add", "172.16.0.9/24", "dev", "eth0")
    wire.a.run("ip", "address", "add", "172.16.0.10/24", "dev", "eth0")
    assert a.stop() == 0
    assert vips(wire.a) == {"172.16.0.9", "172.16.0.10"}
    assert wire.a.sysctl("eth0", "promote_secondaries") == "0"


def test_a_reload_touches_only_what_changed(wire: Site, start: Start, tmp_path: Path) -> None:
    two = words(vips=f"{VIP}/24\n {OTHER}/24")
    second = words(vrid=52, vips=f"{EXCLUDED}/24").replace("vrrp_instance V ", "vrrp_instance W ")
    a = start("a", words())
    master(a)
    for count, text, held in (
        (2, two + second, {VIP, OTHER, EXCLUDED}),
        (3, words(vips=f"{OTHER}/24"), {OTHER}),
    ):
        (tmp_path / "a.conf").write_text(text)
        a.tell("configure", str(tmp_path / "a.conf"))
        a.wait_for("Configured", count)
        a.wait_for("Transitioned", name="W", state="MASTER")
        wait_until(partial(holds, wire.a, held), str(held), lambda: str(vips(wire.a)))
    done = [{word: one[word] for word in ("added", "changed", "removed")} for one in a.of_kind("Configured")]
    assert done == [
        {"added": ["V"], "changed": [], "removed": []},
        {"added": ["W"], "changed": ["V"], "removed": []},
        {"added": [], "changed": ["V"], "removed": ["W"]},
    ]
    assert len(a.of_kind("Transitioned", name="V", state="MASTER")) == 1
    assert len(a.of_kind("Transitioned", name="V")) == 2
    times = [seen.at for seen in wire.witness.of(51)]
    assert max(later - former for former, later in zip(times, times[1:])) < INTERVAL + LATE_S
    assert all(seen.priority for seen in wire.witness.of(51))


@pytest.mark.parametrize(
    "after",
    [f"{VIP}/24\n }}\n virtual_ipaddress_excluded {{\n {EXCLUDED}/24", f"{VIP}/25"],
    ids=["a new excluded VIP", "another prefix length"],
)
def test_what_a_reload_adds_is_announced(after: str, wire: Site, start: Start, tmp_path: Path) -> None:
    once = "global_defs {\n vrrp_garp_master_delay 0\n}"
    a = start("a", words(top=once))
    master(a)
    wait_until(lambda: announced(wire, 5), "its announcements when it became master")
    before = len(wire.witness.garps)
    (tmp_path / "a.conf").write_text(words(top=once, vips=after))
    a.tell("configure", str(tmp_path / "a.conf"))
    a.wait_for("Configured", 2)
    new = EXCLUDED if EXCLUDED in after else VIP

    def announced_now() -> int:
        return sum(address == new for _at, address in wire.witness.garps[before:])

    wait_until(lambda: announced_now() == 5, "five for what is new")


def test_tracking_lowers_the_priority(wire: Site, start: Start) -> None:
    wire.a.run("ip", "link", "set", "eth1", "up")
    script = 'global_defs {\n enable_script_security\n script_user root\n}\nvrrp_script up {\n script "/bin/true"\n}'
    more = "track_interface {\n eth1 weight -60\n }\n track_script {\n up\n }"
    a = start("a", words(more=more, top=script))
    assert a.wait_for("Transitioned", state="FAULT")["cause"] == "script up has no result yet"
    a.tell("track", "script", "up", "up")
    master(a)
    b = start("b", words(priority=100))
    wire.a.run("ip", "link", "set", "eth1", "down")
    master(b)
    assert a.wait_for("PriorityChanged", priority=90)["former"] == 150
    wire.a.run("ip", "link", "set", "eth1", "up")
    master(a, 2)
    a.tell("track", "script", "up", "down")
    assert a.wait_for("Transitioned", 2, state="FAULT")["cause"] == "script up is down"


def test_a_sync_group_moves_as_one(wire: Site, start: Start) -> None:
    group = "vrrp_sync_group G {\n group {\n V\n W\n }\n}\n"
    both = words() + words(vrid=52, vips=f"{OTHER}/24").replace("vrrp_instance V ", "vrrp_instance W ")
    extra = words(vrid=52, vips=f"{OTHER}/24", more="track_interface {\n eth1\n }")
    extra = extra.replace("vrrp_instance V ", "vrrp_instance W ")
    wire.a.run("ip", "link", "set", "eth1", "up")
    a = start("a", group + words() + extra)
    b = start("b", group + both.replace("priority 150", "priority 100"))
    a.wait_for("Transitioned", state="MASTER", group=True)
    wait_until(lambda: vips(wire.a) == {VIP, OTHER}, "a has both")
    wire.a.run("ip", "link", "set", "eth1", "down")
    b.wait_for("Transitioned", state="MASTER", group=True)
    wait_until(lambda: (vips(wire.a), vips(wire.b)) == (set(), {VIP, OTHER}), "b has both")
    assert a.of_kind("Transitioned", name="V", state="FAULT")[0]["cause"] == "sync group G: W is in FAULT"


def test_who_has_a_vip_without_sending_adverts_is_told(wire: Site, start: Start) -> None:
    wire.b.run("ip", "address", "add", f"{VIP}/24", "dev", "eth0")
    a = start("a", words())
    alarm = a.wait_for("AlarmRaised")
    mac = wire.b.ip("link", "show", "dev", "eth0")[0]["address"]
    assert mac in alarm["detail"]


def test_it_runs_in_real_time_with_locked_memory(wire: Site, start: Start) -> None:
    a = start("a", words(top="global_defs {\n vrrp_rt_priority 7\n}"))
    master(a)
    assert "SCHED_RR" in subprocess.run(["chrt", "-p", str(a.pid)], capture_output=True, text=True, check=True).stdout
    code, not_locked = 0, []
    for area, pages in memory(a.pid):
        locked = "lo" in pages["VmFlags"].split()
        # the kernel's own pages have nothing to lock
        if not locked and not area.endswith(("[vvar]", "[vvar_vclock]", "[vdso]", "[vsyscall]")):
            not_locked.append(area)
        if " r-xp " in area and "/" in area:
            code += 1
            assert pages["Rss"] == pages["Size"], area
        assert pages.get("Swap", "0 kB") == "0 kB", area
    assert not_locked == []
    assert code > 3


def limit(pid: int) -> str:
    """What prlimit(1) shows of a process's real-time limit."""
    argv = ["prlimit", "--rttime", "-p", str(pid), "-o", "SOFT"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_what_a_reload_no_longer_limits_has_no_limit(wire: Site, start: Start, tmp_path: Path) -> None:
    a = start("a", words(top="global_defs {\n vrrp_rlimit_rttime 6000000\n vrrp_cpu_affinity 0\n}"))
    master(a)
    cpus = os.sched_getaffinity(0)
    assert ("6000000" in limit(a.pid), os.sched_getaffinity(a.pid)) == (True, {0})
    (tmp_path / "a.conf").write_text(words())
    a.tell("configure", str(tmp_path / "a.conf"))
    a.wait_for("Configured", 2)
    assert ("unlimited" in limit(a.pid), os.sched_getaffinity(a.pid)) == (True, cpus)


def memory(pid: int) -> Iterator[tuple[str, dict[str, str]]]:
    """Each mapping of a process, and what proc(5) tells of it in smaps."""
    area, pages = "", {}
    for line in [*Path(f"/proc/{pid}/smaps").read_text().splitlines(), "0-0 end"]:
        name, colon, value = line.partition(":")
        if colon and " " not in name:
            pages[name] = value.strip()
            continue
        if area:
            yield area, pages
        area, pages = line, {}


def test_instances_share_a_socket(wire: Site, start: Start) -> None:
    a = start("a", "\n".join(words(vrid=vrid).replace("vrrp_instance V ", f"vrrp_instance V{vrid} ").replace(
        VIP, f"10.0.1.{vrid}") for vrid in range(1, 101)))
    a.wait_for("Transitioned", 100, state="MASTER")
    wait_until(lambda: len(vips(wire.a)) == 100, "all VIPs are there")
    raw = wire.a.run("ss", "--raw", "--no-header", "--numeric", "--all").splitlines()
    assert len(raw) == 1, raw


def test_a_virtual_mac(wire: Site, start: Start) -> None:
    a = start("a", words(more="use_vmac"))
    b = start("b", words(more="use_vmac", priority=100))
    master(a)
    wait_until(lambda: f"{VIP}/24" in wire.a.addresses("vrrp.51"), "the VIP is there", lambda: str(a.messages))
    (link,) = wire.a.ip("-d", "link", "show", "dev", "vrrp.51")
    assert link["address"] == "00:00:5e:00:01:33"
    assert (link["linkinfo"]["info_kind"], link["linkinfo"]["info_data"]["mode"]) == ("macvlan", "private")
    wire.b.run("ping", "-c", "1", "-W", "5", VIP)
    (neighbour,) = wire.b.ip("neighbour", "show", VIP, "dev", "eth0")
    assert neighbour["lladdr"] == "00:00:5e:00:01:33"
    assert a.stop() == 0
    assert "vrrp.51" not in wire.a.run("ip", "link", "show")
    master(b)
    assert {seen.source for seen in wire.witness.of(51)} == {"10.0.0.1", "10.0.0.2"}
    assert vips(wire.a) == set()
