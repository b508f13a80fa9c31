# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where checks over TCP go and where they come from, in network namespaces: what the server and the kernel see."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from one_check import endpoint
from scheduled_check import checked

from _lvs_agent.health.plan import Endpoint, TcpCheck
from _lvs_agent.kernel.netns import inside
from tests.integration.health import conftest as at
from tests.integration.health.conftest import Net

pytestmark = pytest.mark.root

PORT = 8080


@contextlib.contextmanager
def listening(netns: str, family: int) -> Iterator[list[tuple[str, int]]]:
    """A server in a namespace; whom it has seen."""
    with inside(netns):
        opened = socket.create_server(("", PORT), family=family, backlog=16)
    seen: list[tuple[str, int]] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, peer = opened.accept()
                seen.append(peer[:2])
                connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield seen
    finally:
        opened.shutdown(socket.SHUT_RDWR)
        opened.close()
        thread.join(10)
        assert not thread.is_alive()


def until(met: Callable[[], bool]) -> None:
    """The server's thread may not have had its turn yet."""
    end = time.monotonic() + 10
    while not met() and time.monotonic() < end:
        time.sleep(0.01)


@pytest.mark.parametrize(
    "address, source, family",
    [(at.SERVER4, at.SECOND_SOURCE4, socket.AF_INET), (at.SERVER6, at.SECOND_SOURCE6, socket.AF_INET6)],
)
def test_source_address_and_port(net: Net, address: str, source: str, family: int) -> None:
    with listening(net.server, family) as seen:
        assert checked(TcpCheck(endpoint(address, PORT))).ok
        for _again in range(3):
            # the same port again, although the connection before is in TIME-WAIT
            ended = checked(TcpCheck(endpoint(address, PORT, source, source_port=7777)))
            assert (ended.ok, ended.why) == (True, "")
        until(lambda: len(seen) == 4)
    assert seen[0][0] != source
    assert seen[1:] == [(source, 7777)] * 3


def test_a_source_that_is_not_ours(net: Net) -> None:
    why = checked(TcpCheck(endpoint(at.SERVER4, PORT, "192.0.2.50"))).why
    assert why.startswith("the source address is not on this host")


@pytest.mark.parametrize("mark", [7, 0xFFFFFFFF])
def test_a_firewall_mark_chooses_the_route(net: Net, mark: int) -> None:
    for words in (f"rule add fwmark {mark} table 77", "route add unreachable default table 77"):
        subprocess.run(["ip", *words.split()], check=True)
    try:
        with listening(net.server, socket.AF_INET):
            assert checked(TcpCheck(endpoint(at.SERVER4, PORT))).ok
            assert checked(TcpCheck(endpoint(at.SERVER4, PORT, fwmark=mark))).why == "no route to host"
    finally:
        for words in (f"rule del fwmark {mark}", "route flush table 77"):
            subprocess.run(["ip", *words.split()], check=True)


def test_link_local_addresses(net: Net) -> None:
    with listening(net.router, socket.AF_INET6) as seen:
        there = ipaddress.ip_address(at.LINK_LOCAL).packed
        here = ipaddress.ip_address("fe80::1").packed
        ended = checked(TcpCheck(Endpoint(6, there, PORT, "eth0", here, source_interface="eth0")))
        assert (ended.ok, ended.why) == (True, "")
        until(lambda: len(seen) == 1)
        assert [host.partition("%")[0] for host, _port in seen] == ["fe80::1"]
        gone = checked(TcpCheck(Endpoint(6, there, PORT, "eth9")))
    assert (gone.ok, gone.why) == (False, "no interface with this name")


@pytest.mark.parametrize(
    "address, why", [(at.UNREACHABLE4, "no route to host"), (at.UNREACHABLE6, "network is unreachable")]
)
def test_a_router_says_so(net: Net, address: str, why: str) -> None:
    assert checked(TcpCheck(endpoint(address, PORT))).why == why


@pytest.mark.parametrize("address", [at.FILTERED4, at.FILTERED6])
def test_nobody_says_anything(net: Net, address: str) -> None:
    assert checked(TcpCheck(endpoint(address, PORT)), timeout_s=0.4).why == "no answer within 0.4 s: not connected"
