# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""UDP_CHECK against servers that answer, are silent, are not there, and misbehave."""

from __future__ import annotations

from typing import Any

import pytest
from datagram_server import Sender, Server
from one_check import endpoint, run

from _lvs_agent.health.attempt import Outcome
from _lvs_agent.health.plan import UdpCheck
from tests.integration.health import conftest as at
from tests.integration.health.conftest import Net

pytestmark = pytest.mark.root

UP = Outcome(True)


def udp(port: int, to: str = at.SERVER4, **more: Any) -> UdpCheck:
    return UdpCheck(endpoint(to, port), **more)


@pytest.mark.parametrize("server", [at.SERVER4, at.SERVER6])
def test_nothing_listens(net: Net, server: str) -> None:
    assert run(udp(9, server), 30).why == f"port unreachable, says {server}"
    assert run(udp(9, server, require_reply=True), 30).why == f"port unreachable, says {server}"


def test_nobody_is_there(net: Net) -> None:
    assert run(udp(9, at.UNREACHABLE4), 30).why == f"host unreachable, says {at.ROUTER4}"
    assert run(udp(9, at.UNREACHABLE6), 30).why == f"no route, says {at.ROUTER6}"
    assert run(udp(9, "192.0.2.98"), 30).why == "host unreachable"


def test_silence(net: Net) -> None:
    with Server(net.server, at.SERVER4, lambda _query: []) as server:
        assert run(udp(server.port), 0.2) == UP
        assert run(udp(server.port, require_reply=True), 0.2).why == "no answer within 0.2 s: nothing came"
    assert run(udp(9, at.FILTERED4), 0.2) == UP


@pytest.mark.parametrize("server", [at.SERVER4, at.SERVER6])
def test_payload_and_reply(net: Net, server: str) -> None:
    check: dict[str, Any] = {
        "payload": b"\xab\x12",
        "require_reply": True,
        "reply": b"\xab\x10\x01",
        "mask": b"\xff\xf0\0",
    }
    with Server(net.server, server, lambda query: [query + b"rest"]) as echo:
        assert run(udp(echo.port, server, **check)) == UP
        assert run(udp(echo.port, server, **{**check, "payload": b"\xab\x20"})).why.startswith(
            "byte 1 of the answer is 20;"
        )
        assert echo.got == [b"\xab\x12", b"\xab\x20"]


def test_a_payload_of_its_own(net: Net) -> None:
    with Server(net.server, at.SERVER4, lambda query: [query]) as echo:
        assert run(udp(echo.port)) == UP
        assert run(udp(echo.port, require_reply=True)) == UP
        first, second = echo.got
    assert len(first) == 64
    assert first != second


@pytest.mark.parametrize(
    "replies, more, why",
    [
        (lambda _query: [b""], {}, ""),
        (lambda _query: [b""], {"min_reply": 1}, "the answer has 0 bytes; the fewest are 1"),
        (lambda _query: [bytes(255)], {}, ""),
        (lambda _query: [bytes(256)], {}, "the answer has more than 255 bytes"),
        (lambda _query: [bytes(60000)], {}, "the answer has more than 255 bytes"),
        (lambda _query: [bytes(65507)], {"max_reply": 65535}, ""),
        (lambda _query: [b"garbage"] * 500, {"reply": b"good", "mask": b"\xff" * 4}, "byte 1 of the answer is 61; "),
    ],
)
def test_odd_answers(net: Net, replies: Sender, more: dict[str, Any], why: str) -> None:
    with Server(net.server, at.SERVER4, replies) as server:
        outcome = run(udp(server.port, require_reply=True, **more))
        assert run(udp(server.port, **more)) == UP
    assert outcome.ok is not bool(why)
    assert outcome.why.startswith(why)


def test_answers_from_another_port_are_none(net: Net) -> None:
    with Server(net.server, at.SERVER4, lambda query: [query], elsewhere=True) as server:
        assert run(udp(server.port, require_reply=True), 0.2).why == "no answer within 0.2 s: nothing came"
