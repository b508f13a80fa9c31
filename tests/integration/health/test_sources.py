# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Health checks never come from a VIP: what a server in another network namespace sees of them."""

from __future__ import annotations

import ipaddress
import socket
import uuid
from collections.abc import Iterator

import pytest
from one_check import begin, endpoint, finish

from _lvs_agent.health import sources
from _lvs_agent.health.plan import TcpCheck, UdpCheck
from _lvs_agent.health.sources import Sources
from _lvs_agent.kernel.netns import inside
from tests.integration.health.conftest import ip
from tests.integration.netns.conftest import namespace

pytestmark = pytest.mark.root

PORT = 8080
SERVER4, SERVER6 = "10.0.0.9", "2001:db8::9"
#: commands in the director -> what the kernel takes, and what a check comes from; "fe80" for whichever that is
CASES = {
    "the VIP was there before the NIC's own address": (
        ["add 10.0.0.100/24 dev eth0", "add 10.0.0.1/24 dev eth0"],
        ("10.0.0.100", "10.0.0.1"),
    ),
    "the NIC has no other address": (["add 10.0.0.100/24 dev eth0"], ("10.0.0.100", "192.0.2.1")),
    "a secondary VIP": (["add 10.0.0.1/24 dev eth0", "add 10.0.0.100/24 dev eth0"], ("10.0.0.1", "10.0.0.1")),
    "the VIP is in another network than the NIC's address": (
        ["add 10.9.0.1/24 dev eth0", "add 10.0.0.100/24 dev eth0"],
        ("10.0.0.100", "10.9.0.1"),
    ),
    "the VIP is on lo, the NIC has no address": (["add 10.0.0.100/32 dev lo"], ("10.0.0.100", "192.0.2.1")),
    "the VIP of a virtual server is on lo, the NIC has no address": (
        ["add 10.0.0.101/32 dev lo"],
        ("10.0.0.101", "192.0.2.1"),
    ),
    "the host's own address is that of a virtual server": (["add 10.0.0.101/24 dev eth0"], ("10.0.0.101",) * 2),
    "an IPv6 VIP that the site prefers": (
        ["add 2001:db8::1/64 dev eth0 nodad", "add 2001:db8::100/64 dev eth0 nodad"],
        ("2001:db8::100", "2001:db8::1"),
    ),
    "the NIC has a link-local address only": (
        ["add fe80::1/64 dev eth0 nodad", "add 2001:db8::100/64 dev eth0 nodad preferred_lft 0"],
        ("2001:db8::100", "fe80"),
    ),
}
VIPS = [ipaddress.ip_address(one).packed for one in ("10.0.0.100", "2001:db8::100")]
SERVICES = ["10.0.0.100", "10.0.0.101", ""]


@pytest.fixture
def director() -> Iterator[str]:
    """With a server on its eth0, and a NIC elsewhere."""
    tag = uuid.uuid4().hex[:8]
    with namespace(f"source-{tag}-d") as name, namespace(f"source-{tag}-s") as server:
        ip(
            name,
            f"link add eth0 type veth peer name eth0 netns {server}",
            f"link add eth1 type veth peer name eth1 netns {server}",
            *(f"link set {link} up" for link in ("lo", "eth0", "eth1")),
            "address add 192.0.2.1/24 dev eth1",
            "route add 10.0.0.0/24 dev eth0 metric 7",
        )
        ip(
            server,
            "link set eth0 up",
            "link set eth1 up",
            f"address add {SERVER4}/24 dev eth0",
            f"address add {SERVER6}/64 dev eth0 nodad",
            "route add default dev eth0",
        )
        with inside(server):
            opened = [socket.create_server(("", PORT), family=one) for one in (socket.AF_INET, socket.AF_INET6)]
        with inside(name):
            yield name
        for one in opened:
            one.close()


def seen(check: TcpCheck | UdpCheck, here: Sources) -> str:
    """Where a check comes from."""
    attempt = begin(check, sources=here)
    address: str = attempt._sock.getsockname()[0]  # type: ignore[attr-defined]
    assert finish([attempt])[0].ok
    return "fe80" if address.startswith("fe80") else address


@pytest.mark.parametrize("case", CASES)
def test_where_checks_come_from(director: str, case: str) -> None:
    addresses, (kernels, ours) = CASES[case]
    ip(director, *(f"address {one}" for one in addresses))
    here = Sources()
    there = SERVER6 if ":" in kernels else SERVER4
    check = TcpCheck(endpoint(there, PORT))
    assert seen(check, here) == kernels
    here.configure(VIPS, SERVICES)
    assert seen(check, here) == ours
    # what the site asks for counts
    if kernels.endswith("100"):
        assert seen(TcpCheck(endpoint(there, PORT, kernels)), here) == kernels


def test_datagrams_too(director: str) -> None:
    ip(director, "address add 10.0.0.100/24 dev eth0", "address add 10.0.0.1/24 dev eth0")
    here = Sources()
    here.configure(VIPS, SERVICES)
    attempt = begin(UdpCheck(endpoint(SERVER4, 9)), sources=here)
    assert attempt._sock.getsockname()[0] == "10.0.0.1"  # type: ignore[attr-defined]
    attempt.close()


def test_what_was_found_is_good_until_something_changes(director: str) -> None:
    ip(director, "address add 10.0.0.1/24 dev eth0")
    here = Sources(sources.events())
    here.configure(VIPS, SERVICES)
    check = TcpCheck(endpoint(SERVER4, PORT))
    assert seen(check, here) == "10.0.0.1"
    ip(director, "address del 10.0.0.1/24 dev eth0", "address add 10.0.0.100/24 dev eth0")
    here.handle(0)
    assert seen(check, here) == "192.0.2.1"
    ip(director, "address add 10.0.0.1/24 dev eth0")
    here.handle(0)
    assert seen(check, here) == "10.0.0.1"
    here.close()


def test_a_check_through_the_vip_is_bound_although_another_one_of_the_server_is_not(director: str) -> None:
    """This host may hold the VIP, and a connection to it would come from it."""
    ip(director, "address add 10.0.0.1/24 dev eth0")
    here = Sources(sources.events())
    here.configure(VIPS, SERVICES)
    assert here.of(endpoint(SERVER4, PORT)) == sources.KERNELS
    via = here.of(endpoint("10.0.0.100", PORT, via=ipaddress.ip_address(SERVER4).packed))
    assert via.address == ipaddress.ip_address("10.0.0.1").packed
    here.close()


def test_many_checks_from_one_address_do_not_use_up_its_ports(director: str) -> None:
    """The port is chosen when the server is known: bind(2) alone would have given each port of an address once."""
    ip(director, "address add 10.0.0.100/24 dev eth0", "address add 10.0.0.1/24 dev eth0")
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w", encoding="ascii") as file:
        file.write("40000 40003")
    ip(director, "route add local 10.9.9.0/24 dev lo")
    here = Sources()
    here.configure(VIPS, SERVICES)
    listener = socket.create_server(("", PORT), backlog=64)
    attempts = [begin(TcpCheck(endpoint(f"10.9.9.{last}", PORT, "10.0.0.1")), sources=here) for last in range(1, 20)]
    assert all(one.ok for one in finish(attempts))
    listener.close()
