# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""DNS_CHECK: dnsmasq as the server, tcpdump to read what is asked, and servers that answer as none should."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from datagram_server import Sender, Server
from one_check import begin, endpoint, finish, run

from _lvs_agent.health.plan import DnsCheck
from _lvs_agent.kernel.netns import inside
from tests.integration.health import conftest as at
from tests.integration.health.conftest import Net, first_packet

pytestmark = pytest.mark.root

QTYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "MX": 15, "TXT": 16, "AAAA": 28}


def dns(name: str = ".", kind: str = "SOA", to: str = at.SERVER4, port: int = 53) -> DnsCheck:
    return DnsCheck(endpoint(to, port), name, QTYPES[kind])


@pytest.fixture(scope="module")
def dnsmasq(net: Net, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """It knows example.org, and nothing of whom else to ask."""
    log: Path = tmp_path_factory.mktemp("dns") / "log"
    said = (
        "--keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --no-daemon --log-queries --user=root "
        "--auth-server=ns.example.org,eth0 --auth-zone=example.org --local=/local.test/ "
        "--host-record=www.example.org,192.0.2.80,2001:db8::80 --cname=alias.example.org,www.example.org "
        "--mx-host=example.org,mail.example.org,10 --txt-record=example.org,hello --bind-interfaces --pid-file= "
        "--listen-address=198.51.100.10 --listen-address=2001:db8:2::10 "
        "--address=/www.local.test/192.0.2.81"
    )
    with log.open("w") as file, inside(net.server):
        process = subprocess.Popen(["dnsmasq", *said.split()], stdout=file, stderr=file)
    try:
        end = time.monotonic() + 10
        with inside(net.director):
            while run(dns("www.example.org", "A", at.SERVER6), 1).ok is False:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize(
    "name, kind",
    [
        ("example.org", "SOA"),
        ("example.org.", "NS"),
        ("example.org", "MX"),
        ("EXAMPLE.org", "TXT"),
        ("www.example.org", "A"),
        ("www.example.org", "AAAA"),
        ("alias.example.org", "CNAME"),
        ("www.example.org", "MX"),  # no such record: an answer all the same
    ],
)
@pytest.mark.parametrize("server", [at.SERVER4, at.SERVER6])
def test_a_name_server_answers(net: Net, dnsmasq: None, name: str, kind: str, server: str) -> None:
    assert run(dns(name, kind, server)) == (True, "", None)


@pytest.mark.parametrize(
    "name, why",
    [
        ("nobody.example.org", "the answer is NXDOMAIN"),
        (".", "the answer is REFUSED"),
        ("example.com", "the answer is REFUSED"),
    ],
)
def test_a_name_server_refuses(net: Net, dnsmasq: None, name: str, why: str) -> None:
    assert run(dns(name)) == (False, why, None)


@pytest.mark.parametrize(
    "name, kind, shown", [(".", "SOA", "SOA? . (17)"), ("a.example.org", "MX", "MX? a.example.org. (31)")]
)
def test_what_tcpdump_reads(net: Net, dnsmasq: None, name: str, kind: str, shown: str) -> None:
    with first_packet("udp and dst port 53") as seen:
        run(dns(name, kind))
    # "12345+ SOA? . (17)": the identifier, recursion desired
    assert f"+ {shown}" in seen[0]


def test_a_closed_port(net: Net) -> None:
    began = time.monotonic()
    assert run(dns(port=5353), 30).why == f"port unreachable, says {at.SERVER4}"
    assert run(dns(port=5353, to=at.SERVER6), 30).why == f"port unreachable, says {at.SERVER6}"
    assert time.monotonic() - began < 10


def answer(query: bytes, flags: int = 0x8000) -> bytes:
    return query[:2] + flags.to_bytes(2, "big") + query[4:]


@pytest.mark.parametrize(
    "replies, why",
    [
        (lambda q: [answer(q)], ""),
        (lambda q: [answer(q, 0x8200)], ""),  # truncated: keepalived takes it
        (lambda q: [answer(q)[:4] + bytes(8)], ""),  # without the question
        (lambda q: [answer(q, 0x8005)], "the answer is REFUSED"),
        (lambda q: [answer(q, 0x800F)], "the answer is RCODE 15"),
        (lambda q: [b"", b"x", q, bytes([q[0] ^ 1]) + answer(q)[1:], answer(q)], ""),
        (lambda q: [answer(q) + b"\xc0\x0c" * 500], ""),  # what comes behind is not read
        (lambda q: [q], "no answer within 0.3 s: 1 datagrams came, none of them an answer"),
        (
            lambda q: [answer(q)[:12] + b"\xc0\x0c" + q[14:]],
            "no answer within 0.3 s: 1 datagrams came, none of them an answer",
        ),
        (lambda q: [b"x"] * 200, "100 datagrams came, none of them an answer"),
    ],
)
def test_odd_servers(net: Net, replies: Sender, why: str) -> None:
    with Server(net.server, at.SERVER4, replies) as server:
        outcome = run(dns("www.example.org", "A", port=server.port), 0.3 if why.startswith("no answer") else 10)
    assert outcome == (not why, why, None)


def test_answers_from_elsewhere_are_ignored(net: Net) -> None:
    with Server(net.server, at.SERVER4, lambda q: [answer(q)], elsewhere=True) as server:
        assert run(dns(port=server.port), 0.3).why == "no answer within 0.3 s: nothing came"


def test_a_name_that_is_none() -> None:
    assert run(dns("a" * 64)).why == f"{'a' * 64} has a label of 64 bytes; the longest is 63"


def test_one_source_port_for_many(net: Net) -> None:
    """Each takes the answer of its own server."""
    with (
        Server(net.server, at.SERVER4, lambda q: [answer(q)]) as good,
        Server(net.server, at.SERVER4, lambda q: [answer(q, 0x8002)]) as bad,
    ):
        checks = [DnsCheck(endpoint(at.SERVER4, port, source_port=5300)) for port in (good.port, bad.port)]
        outcomes = finish([begin(check) for check in checks])
    assert [outcome.why for outcome in outcomes] == ["", "the answer is SERVFAIL"]
