# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""UDP_CHECK and PING_CHECK: what an answer is; without sockets."""

from __future__ import annotations

import random
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_check import endpoint, timing

from _lvs_agent.health.attempt import Attempt, Outcome, Tools
from _lvs_agent.health.ping import PingAttempt
from _lvs_agent.health.plan import PingCheck, UdpCheck
from _lvs_agent.health.sources import KERNELS
from _lvs_agent.health.udp import judge
from _lvs_agent.kernel import echo

HERE = endpoint("192.0.2.1", 9)


def look(_attempt: Attempt) -> None:
    raise AssertionError("nobody is to look")


@given(st.binary(max_size=40), st.binary(max_size=8), st.integers(0, 20), st.integers(0, 40))
def test_an_answer_is_good_by_length_and_digits(data: bytes, wanted: bytes, least: int, most: int) -> None:
    mask = bytes(0xF0 if place % 2 else 0xFF for place in range(len(wanted)))
    check = UdpCheck(HERE, require_reply=True, reply=wanted, mask=mask, min_reply=least, max_reply=most)
    good = least <= len(data) <= most
    # as keepalived.conf(5) says it: up to the shorter of the two, digits of the mask only
    for place in range(min(len(data), len(wanted))):
        digits = slice(0, 1) if place % 2 else slice(0, 2)
        good = good and f"{data[place]:02x}"[digits] == f"{wanted[place]:02x}"[digits]
    outcome = judge(check, data)
    assert outcome.ok is good
    assert bool(outcome.why) is not good


def test_without_require_reply_any_answer_will_do() -> None:
    assert judge(UdpCheck(HERE, reply=b"a", mask=b"\xff", min_reply=9), b"b") == Outcome(True)


FAMILIES = [(socket.AF_INET, "192.0.2.1", 0), (socket.AF_INET6, "2001:db8::1", 129)]


def received(family: int, message: bytes) -> bytes:
    """As a raw socket has it: IPv4 with a header, here one with options."""
    return (b"\x47" + bytes(27) if family == socket.AF_INET else b"") + message


@pytest.mark.parametrize("family, address, kind", FAMILIES)
def test_the_reply_to_a_request(family: int, address: str, kind: int) -> None:
    tools = Tools(None, random.Random(1), look, lambda _fd: None, lambda _endpoint: KERNELS)
    first = PingAttempt(PingCheck(endpoint(address)), timing(), tools)
    second = PingAttempt(PingCheck(endpoint(address)), timing(), tools)
    request = first.request()
    assert request != second.request()
    reply = bytes((kind, 0, 0xAB, 0xCD)) + request[4:]
    assert first.judge(received(family, reply)) == Outcome(True)
    assert second.judge(received(family, reply)) is None
    for wrong in (
        request,
        reply[:-1],
        reply + b"x",
        reply[:8],
        b"\x03" + reply[1:],
        reply[:1] + b"\1" + reply[2:],
        b"",
    ):
        assert first.judge(received(family, wrong)) is None
    # an error has the beginning of what it is about; the kernel fills in the checksum of IPv6 later
    assert first.concerns(request[:2] + b"\x12\x34" + request[4:8])
    assert not first.concerns(second.request()[:8])
    assert not first.concerns(b"")


def test_the_checksum_is_right() -> None:
    tools = Tools(None, random.Random(2), look, lambda _fd: None, lambda _endpoint: KERNELS)
    request = PingAttempt(PingCheck(endpoint("192.0.2.1")), timing(), tools).request()
    # RFC 1071: over a message with its checksum the sum is 0
    assert echo.checksum(request) == 0


@given(st.binary(max_size=80), st.sampled_from([socket.AF_INET, socket.AF_INET6]))
def test_no_packet_does_harm(packet: bytes, family: int) -> None:
    assert not echo.answers(family, packet, echo.pack_echo(family, 1, 2, b"12345678"))
    echo.is_reply(family, packet, 1)
