# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP answers in pieces of any size: what Python's own client reads, and what no server should send."""

from __future__ import annotations

import hashlib
import http.client
import io
import socket
from collections.abc import Sequence
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _lvs_agent.health import http_answer
from _lvs_agent.health.http_answer import MOST_BODY, MOST_HEADERS, MOST_KEPT, Answer, BadAnswer

PIECES = st.lists(st.integers(1, 30), max_size=60)
HTTP = {
    "closed": b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\nhello world",
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
    "same length twice": b"HTTP/1.1 200 OK\r\nContent-Length: 11, 11\r\n\r\nhello world",
    "same length on two lines": b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nContent-Length: 11\r\n\r\nhello world",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5;x\r\nworld\r\n0\r\nA: b\r\n\r\n",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length:11\r\n\r\nhello world",
    "bare newlines": b"HTTP/1.1 200 OK\nContent-Length: 11\n\nhello world",
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 11\r\n\r\nhello world",
}


def read(data: bytes, pieces: Sequence[int] = (), end: bool = True) -> Answer:
    answer = Answer(digest=True, keep=True)
    rest = data
    for size in pieces:
        answer.feed(rest[:size])
        rest = rest[size:]
    answer.feed(rest)
    if end:
        answer.end()
    return answer


@pytest.mark.parametrize("data", HTTP.values(), ids=HTTP)
@given(pieces=PIECES)
def test_a_page_comes_whole_in_whatever_pieces(data: bytes, pieces: list[int]) -> None:
    answer = read(data, pieces)
    assert (answer.done, answer.status, bytes(answer.body), answer.length) == (True, 200, b"hello world", 11)
    assert answer.has_digest(hashlib.md5(b"hello world", usedforsecurity=False).digest())
    assert not answer.has_digest(bytes(16))


@pytest.mark.parametrize("data", HTTP.values(), ids=HTTP)
def test_python_reads_the_same(data: bytes) -> None:
    class Wire:
        def makefile(self, _mode: str) -> io.BytesIO:
            return io.BytesIO(data)

    theirs = http.client.HTTPResponse(cast(socket.socket, Wire()))
    theirs.begin()
    assert (theirs.status, theirs.read()) == (200, bytes(read(data).body))


def test_only_a_body_that_ends_with_the_connection_needs_its_end() -> None:
    assert [name for name, data in HTTP.items() if not read(data, end=False).done] == ["closed"]


def test_the_digest_of_chunks_with_their_sizes_is_good_too() -> None:
    raw = HTTP["chunked"].partition(b"\r\n\r\n")[2]
    assert read(HTTP["chunked"], [40, 40]).has_digest(hashlib.md5(raw, usedforsecurity=False).digest())


@pytest.mark.parametrize("status", [101, 204, 304])
def test_answers_without_a_body(status: int) -> None:
    answer = read(b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n" % status, end=False)
    assert (answer.done, answer.status) == (True, status)


@pytest.mark.parametrize(
    "data, why",
    [
        (b"", "the connection was closed before anything came"),
        (b"HTTP/1.1 200 OK\r\n", "the connection was closed after 'HTTP/1.1 200 OK\\r\\n'"),
        (b"220 mail.example ESMTP\r\n", "it does not speak HTTP: '220 mail.example ESMTP\\r\\n' came"),
        (
            b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\nmore",
            "it does not speak HTTP: 'SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\\r\\n'",
        ),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "it does not speak HTTP: 'HTTP/1.1 2000 OK' came"),
        (b"HTTP/2 200\r\n\r\n", "it does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello world", "closed 1 bytes before the end of the page"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "its Content-Length is '-1'"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n", "its Content-Length is '1, 2'"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\ncontent-length: 11\r\n\r\n", "its Content-Length is '5, 11'"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length:\r\n\r\n", "its Content-Length is '5, '"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello",
            "closed before the last chunk of the page",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "a chunk of the page begins with 'xyz'"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "a chunk of the page begins with 'b'"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 2000, "a chunk of the page begins with"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20000, f"more than {MOST_HEADERS} bytes of headers came"),
        (b"HTTP/1.1 100 X\r\n\r\n" * 10000, f"more than {MOST_HEADERS} bytes of headers came"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 20000,
            f"more than {MOST_HEADERS} bytes of trailers came",
        ),
    ],
)
def test_bad_answers(data: bytes, why: str) -> None:
    with pytest.raises(BadAnswer) as bad:
        read(data)
    assert why in str(bad.value)


def test_what_is_no_http_is_seen_at_its_first_byte() -> None:
    with pytest.raises(BadAnswer):
        Answer().feed(b"\x15")


def test_pages_without_an_end() -> None:
    piece = bytes(1 << 20)
    answer = Answer(keep=True)
    answer.feed(b"HTTP/1.0 200 OK\r\n\r\n")
    answer.feed(piece + b"x")
    assert (answer.done, len(answer.body)) == (True, MOST_KEPT)
    answer = Answer(digest=True)
    answer.feed(b"HTTP/1.0 200 OK\r\n\r\n")
    for _piece in range(MOST_BODY // len(piece)):
        answer.feed(piece)
    with pytest.raises(BadAnswer, match=f"the page is longer than {MOST_BODY} bytes"):
        answer.feed(b"x")


@given(st.binary(max_size=300), PIECES, st.booleans())
def test_noise_ends_in_an_answer_or_a_sentence(noise: bytes, pieces: list[int], http: bool) -> None:
    if http:
        noise = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + noise
    try:
        whole = read(noise)
    except BadAnswer:
        # however it is cut, it stays bad; what is said may depend on how much had come
        with pytest.raises(BadAnswer):
            read(noise, pieces)
    else:
        assert whole.done
        assert bytes(read(noise, pieces).body) == bytes(whole.body)


def test_the_constants_keep_a_run_small() -> None:
    assert http_answer.MOST_HEADERS + http_answer.MOST_KEPT < 2 << 20
