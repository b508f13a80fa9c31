# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""PING_CHECK: who answers, who does not, and what routers say; tcpdump is the witness of what was sent."""

from __future__ import annotations

import socket
import subprocess
import threading
import time

import pytest
from one_check import begin, endpoint, finish, run

from _lvs_agent.health.plan import PingCheck
from _lvs_agent.kernel.netns import inside
from tests.integration.health import conftest as at
from tests.integration.health.conftest import Net, first_packet, write

pytestmark = pytest.mark.root


def ping(address: str, **more: object) -> PingCheck:
    return PingCheck(endpoint(address, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize("address", [at.SERVER4, at.SERVER6, at.ROUTER4])
def test_a_server_answers(net: Net, address: str) -> None:
    assert run(ping(address)) == (True, "", None)


def test_a_link_local_address(net: Net) -> None:
    assert run(ping(at.LINK_LOCAL, interface="eth0")) == (True, "", None)
    assert run(ping(at.LINK_LOCAL, interface="nowhere")).why == "no interface with this name"


@pytest.mark.parametrize(
    "address, why",
    [
        (at.UNREACHABLE4, f"host unreachable, says {at.ROUTER4}"),
        (at.UNREACHABLE6, f"no route, says {at.ROUTER6}"),
        (at.PROHIBITED4, f"prohibited by an administrator, says {at.ROUTER4}"),
        (at.PROHIBITED6, f"prohibited by an administrator, says {at.ROUTER6}"),
    ],
)
def test_what_a_router_says_ends_it_at_once(net: Net, address: str, why: str) -> None:
    began = time.monotonic()
    assert run(ping(address), 30) == (False, why, None)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("address", [at.FILTERED4, at.FILTERED6])
def test_silence(net: Net, address: str) -> None:
    assert run(ping(address), 0.2) == (False, "no answer within 0.2 s: nothing came", None)


def test_a_neighbour_that_is_not_there(net: Net) -> None:
    outcome = run(ping("192.0.2.99"), 10)
    assert outcome == (False, "host unreachable", None)


def test_time_to_live(net: Net) -> None:
    write(net.director, ipv4__ip_default_ttl="1", ipv6__conf__all__hop_limit="1", ipv6__conf__eth0__hop_limit="1")
    try:
        assert run(ping(at.SERVER4)).why == f"time to live exceeded, says {at.ROUTER4}"
        assert run(ping(at.SERVER6)).why == f"hop limit exceeded, says {at.ROUTER6}"
    finally:
        write(
            net.director, ipv4__ip_default_ttl="64", ipv6__conf__all__hop_limit="64", ipv6__conf__eth0__hop_limit="64"
        )


@pytest.mark.parametrize("address, source", [(at.SERVER4, at.SECOND_SOURCE4), (at.SERVER6, at.SECOND_SOURCE6)])
def test_the_source_address(net: Net, address: str, source: str) -> None:
    with first_packet(f"src {source} and ({'icmp6[0] = 128' if ':' in source else 'icmp'})", "-vv") as seen:
        assert run(ping(address, source=source)).ok
    assert f"{source} > {address}" in seen[0]
    assert "echo request" in seen[0]
    assert "wrong" not in seen[0]


def test_a_source_that_is_not_ours(net: Net) -> None:
    assert run(ping(at.SERVER4, source="192.0.2.50")).why.startswith("the source address is not on this host")


def test_a_firewall_mark_chooses_the_route(net: Net) -> None:
    for words in ("rule add fwmark 7 table 77", "route add blackhole default table 77"):
        subprocess.run(["ip", *words.split()], check=True)
    try:
        assert run(ping(at.SERVER4)).ok
        assert not run(ping(at.SERVER4, fwmark=7), 0.3).ok
    finally:
        subprocess.run(["ip", "rule", "del", "fwmark", "7"], check=True)


def test_thousands_at_once_take_each_their_own_answer(net: Net) -> None:
    # the kernel limits how many errors a router tells in a second
    addresses = [at.SERVER4, at.ROUTER6, at.SERVER6] * 333 + [at.UNREACHABLE4] * 5
    outcomes = finish([begin(ping(address), 1 if address == at.UNREACHABLE4 else 20) for address in addresses])
    assert [outcome.ok for outcome in outcomes] == [address != at.UNREACHABLE4 for address in addresses]


@pytest.mark.parametrize("family, address", [(socket.AF_INET, at.SERVER4), (socket.AF_INET6, at.SERVER6)])
def test_replies_to_others_and_forged_ones_are_ignored(net: Net, family: int, address: str) -> None:
    """The server itself is silent; what it sends are replies to somebody else, short ones and long ones."""
    name = "ipv4__icmp_echo_ignore_all" if family == socket.AF_INET else "ipv6__icmp__echo_ignore_all"
    kind = 0 if family == socket.AF_INET else 129
    protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
    write(net.server, **{name: "1"})
    with inside(net.server):
        forger = socket.socket(family, socket.SOCK_RAW, protocol)
    with forger:
        stop = threading.Event()

        def forge() -> None:
            to = "192.0.2.1" if family == socket.AF_INET else "2001:db8:1::1"
            while not stop.wait(0.01):
                for rest in (b"\0\0", b"\0\0\0\0", b"\0\0\0\0\x12\x34\0\1" + bytes(8), b"\0\0\0\0" + bytes(60000)):
                    forger.sendto(bytes((kind, 0)) + rest, (to, 0))

        thread = threading.Thread(target=forge)
        thread.start()
        try:
            outcome = run(ping(address), 0.5)
        finally:
            stop.set()
            thread.join()
            write(net.server, **{name: "0"})
    assert not outcome.ok
    assert outcome.why.endswith("datagrams came, none of them an answer")


@pytest.mark.parametrize("family, address", [(socket.AF_INET, at.SERVER4), (socket.AF_INET6, at.SERVER6)])
def test_an_error_about_a_request_of_others_is_ignored(net: Net, family: int, address: str) -> None:
    """As traceroute -I has them: the router says that somebody's request to the same server took too many hops."""
    protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
    name = "ipv4__icmp_echo_ignore_all" if family == socket.AF_INET else "ipv6__icmp__echo_ignore_all"
    write(net.server, **{name: "1"})
    try:
        attempt = begin(ping(address), 0.5)
        with socket.socket(family, socket.SOCK_RAW, protocol) as traceroute:
            level, option = (
                (socket.IPPROTO_IP, socket.IP_TTL)
                if family == socket.AF_INET
                else (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)
            )
            traceroute.setsockopt(level, option, 1)
            kind = 8 if family == socket.AF_INET else 128
            for _request in range(20):
                traceroute.sendto(bytes((kind, 0, 0, 0, 1, 2, 3, 4)), (address, 0))
        assert finish([attempt]) == [(False, "no answer within 0.5 s: nothing came", None)]
    finally:
        write(net.server, **{name: "0"})


def test_without_the_capability(net: Net) -> None:
    script = (
        "import sys; sys.path[:0] = sys.argv[1:3]\n"
        "from one_check import run, endpoint; from _lvs_agent.health.plan import PingCheck\n"
        "print(run(PingCheck(endpoint('192.0.2.254'))).why)"
    )
    words = ["setpriv", "--bounding-set=-net_raw", "/usr/bin/python3", "-c", script]
    done = subprocess.run(
        [*words, "tests/support", "plugins/module_utils"], capture_output=True, text=True, check=True, timeout=30
    )
    assert "CAP_NET_RAW" in done.stdout
