# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that no check may hang on: each run ends in time, with a sentence that names what happened."""

from __future__ import annotations

import random
import re
import select
import socket
import struct
import time
from collections.abc import Callable

import pytest
from scheduled_check import checked, here, server

from _lvs_agent.health.attempt import WRITE, NotNow, Tools
from _lvs_agent.health.http import HttpAttempt
from _lvs_agent.health.plan import Check, Endpoint, HttpCheck, SmtpCheck, TcpCheck, Timing, TlsPlan, UrlPlan
from _lvs_agent.health.search import Answer, Question, Search
from _lvs_agent.health.sources import KERNELS

TIMEOUT, DEADLINE = 0.5, 1.5
SECOND = 1_000_000_000
Talk = Callable[[socket.socket], None]


def http(endpoint: Endpoint, tls: TlsPlan | None = None, **url: bytes | str) -> HttpCheck:
    return HttpCheck(endpoint, (UrlPlan("/", **url),), tls=tls)  # type: ignore[arg-type]


def https(endpoint: Endpoint) -> HttpCheck:
    return http(endpoint, TlsPlan())


def smtp(endpoint: Endpoint) -> SmtpCheck:
    return SmtpCheck(endpoint, "me.example")


def silent(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def closes(_connection: socket.socket) -> None:
    pass


def resets(connection: socket.socket) -> None:
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def resets_at_once(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def says(*pieces: bytes, every: float = 0, times: int = 1) -> Talk:
    def talk(connection: socket.socket) -> None:
        for _time in range(times):
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(every)
        silent(connection)

    return talk


OK = b"HTTP/1.0 200 OK\r\n\r\n"
DRIP = says(*[OK[at : at + 1] for at in range(len(OK))], b"x", every=0.1, times=10)
FLOOD = says(bytes(1 << 20), times=100)
HEADERS = says(b"HTTP/1.1 200 OK\r\n", *[b"X-Header: value\r\n" * 64] * 100)
BODY = says(OK, *[bytes(1 << 20)] * 100)
TLS_ALERT = b"\x15\x03\x03\x00\x02\x02\x28"  # handshake_failure, RFC 8446 section 6


@pytest.mark.parametrize(
    "check, talk, why",
    [
        (http, silent, "no answer within 0.5 s: connected, nothing came"),
        (http, closes, r"the connection was closed before anything came|connection reset: connected, nothing came"),
        (http, resets, "connection reset: connected, nothing came"),
        (http, resets_at_once, "connection reset"),
        (http, DRIP, "not over within 1.5 s: connected, [0-9]+ bytes came"),
        (http, HEADERS, "more than 65536 bytes of headers came"),
        (http, FLOOD, r"it does not speak HTTP: '(\\x00)+'\.\.\. came"),
        (http, says(b"220 mail.example ESMTP\r\n"), "it does not speak HTTP: '220 mail.example ESMTP"),
        (http, says(TLS_ALERT), r"it does not speak HTTP: '\\x15\\x03\\x03"),
        (http, says(OK), "no answer within 0.5 s: status 200, 0 bytes of the page came"),
        (http, says(OK, b"x" * 10, every=0.1), "no answer within 0.5 s: status 200, 10 bytes of the page came"),
        (https, silent, "no answer within 0.5 s: connected, nothing came of a TLS handshake"),
        (https, closes, "the connection was closed in the TLS handshake|connection reset"),
        (https, resets, "connection reset: connected, nothing came of a TLS handshake"),
        (https, says(OK), "the server does not speak TLS on this port"),
        (https, says(b"220 mail.example ESMTP\r\n"), "the server does not speak TLS on this port"),
        (https, FLOOD, "the server does not speak TLS on this port|the TLS handshake failed"),
        (https, says(TLS_ALERT), "the TLS handshake failed: .*handshake failure"),
        (https, says(b"\x16\x03\x03\x40\x00", *[b"\x02"] * 50, every=0.05), "not over within 1.5 s: connected, TLS"),
        (smtp, silent, "no answer within 0.5 s: connected, the greeting did not come"),
        (smtp, closes, "the connection was closed before the greeting came"),
        (smtp, resets_at_once, "connection reset"),
        (smtp, says(b"220 x\r\n"), "no answer within 0.5 s: connected, the answer to HELO did not come"),
        (smtp, says(b"220 x\r\n250 y\r\n221 z\r\n"), "it answered before it was asked: '250 y"),
        (smtp, says(*[b"2"] * 100, every=0.1), "not over within 1.5 s: connected, the greeting did not come"),
        (smtp, says(b"220-x\r\n" * 10000), "more than 16384 bytes came as the greeting"),
        (smtp, FLOOD, "more than 16384 bytes came as the greeting"),
        (smtp, says(OK), "it does not speak SMTP: 'HTTP/1.0 200 OK"),
    ],
)
def test_it_ends_with_a_sentence(check: Callable[[Endpoint], Check], talk: Talk, why: str) -> None:
    with server(talk) as port:
        ended = checked(check(here(port)), TIMEOUT, DEADLINE)
    assert not ended.ok
    assert re.match(f"(?:{why})", ended.why), ended.why
    assert ended.seconds < DEADLINE + 0.5


def test_a_page_without_an_end_is_as_good_as_its_first_bytes() -> None:
    with server(BODY) as port:
        ended = checked(http(here(port)), 5, 5)
        assert ended.ok, ended.why
        assert checked(http(here(port), regex="\\0{9}"), 5, 5).ok
        why = "the page does not match up in its first 131072 bytes, which are all that is searched"
        assert checked(http(here(port), regex="up"), 5, 5).why == why
        assert checked(http(here(port), digest=bytes(16)), 5, 5).why == "the page is longer than 16777216 bytes"


@pytest.mark.parametrize("pattern", ["status.*ok", "(a|s|status)+$", "[a-z]+ [0-9]+"])
def test_a_search_that_would_take_for_ever(pattern: str) -> None:
    """Case 17: 1 MB on which Python's engine is at work for more than 12 s and cannot be interrupted."""
    with server(says(OK, b"status" * 170_000)) as port:
        ended = checked(http(here(port), regex=pattern), 5, 8)
    assert ended.why == "the regular expression took more than 0.1 s; write a simpler one"


def test_a_search_that_has_not_begun_says_nothing_about_the_server() -> None:
    """It waits for those of other checks: the run is put off, and the server stays what it is."""

    class Busy:
        def begin(self, whose: object, question: Question, done: Callable[[Answer, int], None]) -> Search:
            return Search(whose, question, done)

        def forget(self, search: Search) -> None:
            search.done = None

    with server(says(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nup")) as port:
        tools = Tools(
            None, random.Random(1), lambda _attempt: None, lambda _fd: None, lambda _endpoint: KERNELS, Busy()
        )
        attempt = HttpAttempt(http(here(port), regex="up"), Timing(SECOND, SECOND, SECOND, 0, 2 * SECOND), tools)
        attempt.start(time.monotonic_ns())
        while attempt.fd >= 0:
            attempt.ready(time.monotonic_ns(), select.EPOLLOUT if attempt.events & WRITE else select.EPOLLIN)
            time.sleep(0.01)
        assert attempt.waiting_for() == "the search for the regular expression is not over"
        with pytest.raises(NotNow, match="regular expressions of other checks take too long"):
            attempt.expired(time.monotonic_ns())
        search = attempt._search
        attempt.close()
        assert search is not None
        assert search.done is None


def test_pages_one_after_the_other_with_regular_expressions() -> None:
    def talk(connection: socket.socket) -> None:
        path = connection.recv(65536).split()[1]
        connection.sendall(OK + b"this is " + path)

    with server(talk) as port:
        good = (UrlPlan("/a", regex="is /a$"), UrlPlan("/b", regex="is /c", regex_no_match=True), UrlPlan("/d"))
        assert checked(HttpCheck(here(port), good)).ok
        bad = (*good[:2], UrlPlan("/d", regex="/e"))
        assert checked(HttpCheck(here(port), bad)).why == "/d: the page does not match /e"


def test_connections() -> None:
    with server(closes) as port:
        assert checked(TcpCheck(here(port))).ok
    ended = checked(TcpCheck(here(port)))
    assert (ended.ok, ended.why) == (False, "connection refused")
    assert checked(http(here(port))).why == "connection refused"


def test_a_server_that_does_not_accept() -> None:
    """The queue of a listening socket is full: the kernel drops what else comes."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        clients = [socket.socket() for _number in range(2)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        time.sleep(0.1)
        assert checked(TcpCheck(here(port)), TIMEOUT).why == "no answer within 0.5 s: not connected"
        for client in clients:
            client.close()
