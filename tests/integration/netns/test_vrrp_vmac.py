# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual MACs: who answers for which address, and with which MAC; asked by a client on the wire between two directors.

keepalived 2.2.7 plays the same, but for what it needs nftables for.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.integration.netns.conftest import Host
from tests.integration.netns.wire import Agent, Keepalived, Site, site, wait_until

pytestmark = pytest.mark.root

Engine = type[Agent | Keepalived]
PINGS = 10
# from a querier: IGMPv3 to all hosts, and MLDv2 with its router alert; each host answers within 0.1 s
ASK_WHO_LISTENS = """
import socket
igmp = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
igmp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"br0")
igmp.sendto(bytes.fromhex("1101ecfe0000000002000000"), ("224.0.0.1", 0))
mld = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
alert, once = (41, 54, bytes.fromhex("0000050200000100")), (41, 52, (1).to_bytes(4, "little"))
scope = socket.if_nametoindex("br0")
query = bytes([130, 0, 0, 0, 0, 100, 0, 0]) + bytes(16) + bytes([2, 0, 0, 0])
mld.sendmsg([query], [alert, once], 0, ("ff02::1", 0, 0, scope))
"""
by_engine = pytest.mark.parametrize("engine", [Agent, Keepalived], ids=["agent", "keepalived"])


class Router(NamedTuple):
    """A virtual router; ``vip`` with its prefix length."""

    name: str
    vrid: int
    vip: str

    @property
    def mac(self) -> str:
        return f"00:00:5e:00:0{2 if ':' in self.vip else 1}:{self.vrid:02x}"


P, Q = Router("P", 52, "10.0.0.152/24"), Router("Q", 53, "10.0.0.153/24")
#: in a network where the directors have no address of their own
FAR_P, FAR_Q = Router("P", 54, "10.7.0.152/24"), Router("Q", 55, "10.7.0.153/24")
SIX = Router("S", 51, "2001:db8::151/64")


def configuration(priority: int, *routers: Router, moved: str = "") -> str:
    """Of a director; the router ``moved`` has the least priority of all here."""
    blocks = [
        f"vrrp_instance {one.name} {{\n interface eth0\n virtual_router_id {one.vrid}\n version 3\n advert_int 0.2\n"
        f" priority {50 if one.name == moved else priority}\n use_vmac\n virtual_ipaddress {{\n {one.vip}\n }}\n}}\n"
        for one in routers
    ]
    return "".join(blocks)


class Pair:
    """Directors a and b with these virtual routers, a master of all."""

    def __init__(self, where: Site, engine: Engine, directory: Path, routers: tuple[Router, ...]) -> None:
        self.site, self.routers = where, routers
        self.client = where.witness.host
        for setting in ("accept_dad=0", "disable_ipv6=0"):
            self.client.run("sysctl", "-q", "-w", f"net.ipv6.conf.br0.{setting}")
        for address in ("10.0.0.9/24", "10.7.0.9/24", "2001:db8::9/64"):
            self.client.run("ip", "address", "add", address, "dev", "br0", *(("nodad",) if ":" in address else ()))
        self.files = [directory / f"{name}.conf" for name in "ab"]
        for file, priority in zip(self.files, (150, 100)):
            file.write_text(configuration(priority, *routers))
        self.engines = [engine(where.a, self.files[0])]
        wait_until(lambda: all(self.holds(where.a, one) for one in routers), "a has all", seconds=10)
        self.engines.append(engine(where.b, self.files[1]))

    def holds(self, host: Host, router: Router) -> bool:
        return any(
            f"{info['local']}/{info['prefixlen']}" == router.vip
            for link in host.ip("address", "show")
            for info in link["addr_info"]
        )

    def move(self, router: Router) -> None:
        """To b, by a reload of a."""
        self.files[0].write_text(configuration(150, *self.routers, moved=router.name))
        first = self.engines[0]
        if isinstance(first, Keepalived):
            first.reload()
        else:
            first.tell("configure", str(self.files[0]))

        def moved() -> bool:
            return self.holds(self.site.b, router) and not self.holds(self.site.a, router)

        wait_until(moved, f"{router.name} is at b", seconds=15)

    def ask(self, address: str) -> list[str]:
        """The MACs that answer the client's ARP requests or neighbour solicitations for an address."""
        mac = self.client.ip("link", "show", "dev", "br0")[0]["address"]
        only = f"ether dst {mac} and " + ("icmp6 and ip6[40] == 136" if ":" in address else "arp[6:2] == 2")
        words = ("tcpdump", "-n", "-e", "-l", "--immediate-mode", "-i", "br0", only)
        dump = subprocess.Popen(self.client.command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert dump.stderr is not None
        for line in dump.stderr:
            if line.startswith("listening on"):
                break
        self.client.run("ip", "neighbour", "flush", "dev", "br0")
        scope = "%br0" if address.startswith("fe80") else ""
        self.client.run("sh", "-c", f"ping -c 1 -W 1 {address}{scope} || true")
        time.sleep(0.2)
        dump.terminate()
        answers, _errors = dump.communicate(timeout=10)
        # tcpdump: "... 00:00:5e:00:01:34 > ..., ... Reply 10.0.0.152 is-at 00:00:5e:00:01:34" and "tgt is 2001:db8::1"
        about = re.compile(rf"(?:Reply |tgt is ){re.escape(address)}(?:,| )")
        return sorted({line.split()[1] for line in answers.splitlines() if about.search(line)})

    def lost(self, address: str) -> int:
        """How many of some pings are, with the neighbours that the client has."""
        said = self.client.run("sh", "-c", f"ping -c {PINGS} -i 0.05 -W 1 {address} || true")
        match = re.search(r"(\d+) received", said)
        assert match, said
        return PINGS - int(match[1])

    def close(self) -> None:
        for one in self.engines:
            one.close()


class Start:
    """Makes pairs, and ends them."""

    def __init__(self, stack: ExitStack, directory: Path) -> None:
        self._stack, self._directory = stack, directory

    def __call__(self, engine: Engine, *routers: Router) -> Pair:
        pair = Pair(self._stack.enter_context(site()), engine, self._directory, routers)
        self._stack.callback(pair.close)
        return pair


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:
        yield Start(stack, tmp_path)


def interfaces(host: Host) -> list[str]:
    return [str(link["ifname"]) for link in host.ip("link", "show")]


def address(router: Router) -> str:
    return router.vip.partition("/")[0]


@by_engine
def test_each_answers_for_its_own_vip_and_one_that_moves_takes_no_other_along(start: Start, engine: Engine) -> None:
    pair = start(engine, P, Q)
    assert [pair.site.a.sysctl(name, "arp_ignore") for name in ("eth0", "vrrp.52", "vrrp.53")] == ["1", "1", "1"]
    assert [pair.ask(address(one)) for one in (P, Q)] == [[P.mac], [Q.mac]]
    assert pair.ask("10.0.0.1") == [str(pair.site.a.ip("link", "show", "dev", "eth0")[0]["address"])]
    assert [pair.lost(address(one)) for one in (P, Q)] == [0, 0]
    pair.move(Q)
    assert [pair.lost(address(one)) for one in (P, Q)] == [0, 0]


def test_a_network_without_an_address_of_the_directors(start: Start) -> None:
    """All leaves by one of the interfaces then; its questions must not tell its MAC for the other's VIP."""
    pair = start(Agent, FAR_P, FAR_Q)
    for one in (FAR_P, FAR_Q):
        assert pair.ask(address(one)) == [one.mac]
        pair.site.a.run("ip", "neighbour", "flush", "all")
        pair.site.a.run("ping", "-c", "1", "-W", "5", "-I", address(one), "10.7.0.9")
    for one in (FAR_P, FAR_Q):
        (entry,) = pair.client.ip("neighbour", "show", address(one), "dev", "br0")
        assert entry["lladdr"] == one.mac
    pair.move(FAR_Q)
    assert [pair.lost(address(one)) for one in (FAR_P, FAR_Q)] == [0, 0]


def test_an_ipv6_one_answers_no_arp_and_not_for_the_link_local_address_of_its_base(start: Start) -> None:
    pair = start(Agent, P, SIX)
    assert pair.ask(address(P)) == [P.mac]
    assert pair.ask(address(SIX)) == [SIX.mac]
    nic = str(pair.site.a.ip("link", "show", "dev", "eth0")[0]["address"])
    assert pair.ask("fe80::1") == [nic]
    assert {seen.source for seen in pair.site.witness.of(SIX.vrid)} == {"fe80::1"}
    # neighbour discovery and MLD of the virtual MAC have an address to come from, which no other host has
    own = {one for host in (pair.site.a, pair.site.b) for one in host.addresses("vrrp6.51") if one.startswith("fe80")}
    assert len(own) == 2
    assert not own & {"fe80::1/64", "fe80::2/64"}
    pair.move(SIX)
    assert [pair.lost(address(one)) for one in (P, SIX)] == [0, 0]


def test_a_backup_sends_nothing_from_its_virtual_macs(start: Start, tmp_path: Path) -> None:
    """Else the switch sends it what is for the master. Its base interface tells the switch who listens to what."""
    pair = start(Agent, P, SIX)
    sent = tmp_path / "sent"
    words = ("tcpdump", "-n", "-e", "-v", "-l", "--immediate-mode", "-Q", "out", "-i", "eth0")
    with sent.open("w") as file:
        dump = subprocess.Popen(pair.site.b.command(*words), stdout=file, stderr=file)
    try:
        _look_at_what_is_sent(pair, sent)
    finally:
        dump.terminate()
        dump.wait(timeout=10)


def _look_at_what_is_sent(pair: Pair, sent: Path) -> None:
    def seen(what: str) -> list[str]:
        # a packet's further lines are indented
        return [packet for packet in re.split(r"\n(?!\s)", sent.read_text()) if what in packet]

    def gone(router: Router) -> bool:
        return not pair.holds(pair.site.b, router)

    def from_virtual_macs() -> list[str]:
        return seen(f" {P.mac} > ") + seen(f" {SIX.mac} > ")

    wait_until(lambda: seen("listening on"), "tcpdump is there", seconds=10)
    pair.engines.pop().close()
    pair.engines.append(Agent(pair.site.b, pair.files[1]))
    wait_until(lambda: {"vrrp.52", "vrrp6.51"} <= set(interfaces(pair.site.b)), "b is a backup", seconds=10)
    pair.client.run("python3", "-c", ASK_WHO_LISTENS)
    nic = str(pair.site.b.ip("link", "show", "dev", "eth0")[0]["address"])
    # of the group of adverts, and of the VIP's solicited-node group
    for group in ("224.0.0.18", "ff02::12", "ff02::1:ff00:151"):
        told = f"gaddr {group} is_ex"
        wait_until(partial(seen, told), f"b tells that it listens to {group}", seconds=5)
        assert all(f"{nic} > " in packet for packet in seen(told))
    assert from_virtual_macs() == []
    assert [pair.lost(address(one)) for one in (P, SIX)] == [0, 0]
    # it sends as a master, and no longer when it is none; with and without the last advert of one that gives way
    quiet = "use_vmac\n higher_prio_send_advert false"
    for one, word in ((P, "use_vmac"), (SIX, quiet)):
        pair.files[1].write_text(configuration(100, P, SIX).replace("use_vmac", word))
        second = pair.engines[1]
        assert isinstance(second, Agent)
        second.tell("configure", str(pair.files[1]))
        pair.move(one)
        assert seen(f" {one.mac} > ")
        pair.files[0].write_text(configuration(150, P, SIX))
        first = pair.engines[0]
        assert isinstance(first, Agent)
        first.tell("configure", str(pair.files[0]))
        wait_until(partial(gone, one), f"{one.name} is at a again", seconds=15)
    before = from_virtual_macs()
    pair.client.run("python3", "-c", ASK_WHO_LISTENS)
    time.sleep(0.5)
    assert from_virtual_macs() == before


@by_engine
def test_one_that_is_set_down_is_a_fault(start: Start, engine: Engine) -> None:
    pair = start(engine, P, Q)
    pair.site.a.run("ip", "link", "set", "vrrp.53", "down")
    wait_until(lambda: pair.holds(pair.site.b, Q), "b has taken over", seconds=5)
    assert pair.holds(pair.site.a, P)
    first = pair.engines[0]
    if isinstance(first, Agent):
        assert [one["cause"] for one in first.of_kind("Transitioned", state="FAULT")] == [
            "virtual MAC interface vrrp.53 is down"
        ]
    pair.site.a.run("ip", "link", "set", "vrrp.53", "up")
    wait_until(lambda: pair.holds(pair.site.a, Q) and not pair.holds(pair.site.b, Q), "a has it again", seconds=10)
    assert pair.lost(address(Q)) == 0
