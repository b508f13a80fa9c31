# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""DNS_CHECK: what is asked, and what an answer means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _lvs_agent.health.attempt import Outcome
from _lvs_agent.health.dns import BadName, judge, query, question

ASKED = question("www.Example.org", 1)


def reply(flags: int = 0x8180, ident: int = 7, count: int = 1, asked: bytes = ASKED, rest: bytes = b"") -> bytes:
    return b"".join(number.to_bytes(2, "big") for number in (ident, flags, count, 0, 0, 0)) + asked + rest


def test_the_query() -> None:
    # RFC 1035 section 4.1: identifier, RD, one question; labels with their lengths; type, class
    assert query(0x1234, question("ab.c", 28)) == bytes.fromhex(
        "1234 0100 0001 0000 0000 0000 02 6162 01 63 00 001c 0001"
    )
    assert question(".", 6) == bytes.fromhex("00 0006 0001")
    assert question("ab.c.", 28) == question("ab.c", 28)


@pytest.mark.parametrize(
    "name, why",
    [
        ("a..b", "has an empty label"),
        (".a", "has an empty label"),
        ("a" * 64 + ".org", "a label of 64 bytes; the longest is 63"),
        (".".join(["a" * 49] * 6), "is too long: 301 bytes in a message; the longest is 255"),
    ],
)
def test_names_that_are_none(name: str, why: str) -> None:
    with pytest.raises(BadName, match=why):
        question(name, 1)


@given(st.text(max_size=300))
def test_any_name_is_asked_or_refused(name: str) -> None:
    try:
        asked = question(name, 6)
    except BadName:
        return
    assert len(asked) <= 259
    assert asked.endswith(b"\0\0\x06\0\x01")


@pytest.mark.parametrize(
    "data, outcome",
    [
        (reply(), Outcome(True)),
        (reply(0x8000), Outcome(True)),
        (reply(0x8380), Outcome(True)),  # TC
        (reply(count=0, asked=b""), Outcome(True)),
        (reply(asked=question("WWW.eXAMPLE.ORG", 1)), Outcome(True)),
        (reply(rest=bytes(300)), Outcome(True)),
        (reply(0x8181), Outcome(False, "the answer is FORMERR")),
        (reply(0x8182), Outcome(False, "the answer is SERVFAIL")),
        (reply(0x8183), Outcome(False, "the answer is NXDOMAIN")),
        (reply(0x8184), Outcome(False, "the answer is NOTIMP")),
        (reply(0x8185, count=0, asked=b""), Outcome(False, "the answer is REFUSED")),
        (reply(0x818E), Outcome(False, "the answer is RCODE 14")),
        (reply(0x0100), None),  # our own query
        (reply(ident=8), None),
        (reply()[:11], None),
        (reply()[:20], None),
        (b"", None),
        (reply(asked=question("www.example.com", 1)), None),
        (reply(asked=question("www.example.org", 28)), None),
        (reply(asked=b"\xc0\x0c" + ASKED[2:]), None),  # a name that is itself
    ],
)
def test_answers(data: bytes, outcome: Outcome | None) -> None:
    assert judge(data, 7, ASKED) == outcome


@given(st.binary(max_size=600), st.sampled_from([b"", reply()[:12], reply()]))
def test_no_datagram_does_harm(data: bytes, start: bytes) -> None:
    for whole in (data, start + data):
        outcome = judge(whole, 7, ASKED)
        assert outcome is None or outcome.ok is (whole[3] & 0xF == 0)
