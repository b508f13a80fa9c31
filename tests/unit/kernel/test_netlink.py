# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The netlink codec against bytes laid out by hand from linux/netlink.h, and the socket against a scripted kernel."""

from __future__ import annotations

import errno
import socket
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _lvs_agent.kernel import netlink
from _lvs_agent.kernel.netlink import Message, NetlinkError, NetlinkSocket

U32 = st.integers(0, 0xFFFFFFFF)
U16 = st.integers(0, 0xFFFF)
MESSAGES = st.builds(Message, U16, U16, U32, U32, st.binary(max_size=64))
ATTRS = st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=40)), max_size=8)


@given(st.lists(MESSAGES, max_size=5))
def test_messages_come_back(messages: list[Message]) -> None:
    assert list(netlink.parse_messages(b"".join(map(netlink.pack_message, messages)))) == messages


@given(ATTRS)
def test_attributes_come_back(attrs: list[tuple[int, bytes]]) -> None:
    data = b"".join(netlink.pack_attr(*attr) for attr in attrs)
    assert len(data) % 4 == 0
    assert list(netlink.iter_attrs(data)) == attrs
    ((kind, inner),) = netlink.iter_attrs(netlink.pack_nested(7, [data]))
    assert (kind, list(netlink.iter_attrs(inner))) == (7, attrs)


@given(st.binary(max_size=80))
def test_any_bytes_parse_or_are_malformed(data: bytes) -> None:
    for parse in (netlink.parse_messages, netlink.iter_attrs):
        try:
            list(parse(data))
        except netlink.MalformedMessage:
            continue


def test_message_layout() -> None:
    message = Message(type=0x1C, flags=0x305, seq=0x01020304, pid=9, payload=b"abcde")
    assert netlink.pack_message(message) == (
        struct.pack("=L", 21)  # nlmsg_len: without the padding
        + struct.pack("=H", 0x1C)
        + struct.pack("=H", 0x305)
        + struct.pack("=L", 0x01020304)
        + struct.pack("=L", 9)
        + b"abcde\0\0\0"
    )


def test_attribute_layout() -> None:
    assert netlink.pack_attr(6, b"rr\0") == struct.pack("=HH", 7, 6) + b"rr\0\0"
    assert netlink.pack_nested(1, [netlink.pack_attr(4, netlink.be16(80))]) == (
        struct.pack("=HH", 12, 0x8001) + struct.pack("=HH", 6, 4) + b"\x00\x50" + b"\0\0"
    )


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        netlink.pack_attr(1, bytes(0xFFFC))
    with pytest.raises(ValueError, match="NUL"):
        netlink.cstring("a\0b")


def error_message(code: int, tail: bytes = b"", flags: int = 0, seq: int = 1) -> bytes:
    echoed = struct.pack("=LHHLL", 24, 0x1C, 5, seq, 0)
    return netlink.pack_message(Message(2, flags, seq, 0, struct.pack("=i", -code) + echoed + tail))


@pytest.mark.parametrize("capped", [True, False])
def test_extended_error(capped: bool) -> None:
    text = netlink.pack_attr(1, b"Unknown scheduler\0")
    tail = text if capped else b"payload!" + text
    (message,) = netlink.parse_messages(error_message(errno.EINVAL, tail, flags=0x300 if capped else 0x200))
    assert netlink.parse_error(message) == (errno.EINVAL, "Unknown scheduler")


# the answers to four orders, and the bytes of two or three small ones
RECEIVE_BUFFER = 4 * 2048
SEND_BUFFER = 200


class ScriptedSocket:
    """Answers each request with the next of its scripts; a script is datagrams, or exceptions to raise."""

    def __init__(self, *scripts: list[Any]) -> None:
        self.scripts = list(scripts)
        self.pending: list[Any] = []
        self.sent: list[Message] = []
        self.datagrams: list[int] = []
        self.senders: list[tuple[int, int]] = []

    def sendto(self, data: bytes, _address: object) -> None:
        self.datagrams.append(len(data))
        self.sent += netlink.parse_messages(data)
        self.pending += self.scripts.pop(0)

    def recvmsg(self, _size: int, _ancillary: int = 0, flags: int = 0) -> tuple[bytes, list[Any], int, Any]:
        if flags & socket.MSG_DONTWAIT and not self.pending:
            raise BlockingIOError
        answer = self.pending.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer, [], 0, self.senders.pop(0) if self.senders else (0, 0)

    def setsockopt(self, *_arguments: object) -> None:
        ...

    def getsockopt(self, _level: int, option: int) -> int:
        return {socket.SO_RCVBUF: RECEIVE_BUFFER, socket.SO_SNDBUF: SEND_BUFFER}[option]

    def bind(self, _address: object) -> None:
        ...

    def close(self) -> None:
        ...


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch) -> Any:
    def open_with(*scripts: list[Any]) -> tuple[NetlinkSocket, ScriptedSocket]:
        kernel = ScriptedSocket(*scripts)
        monkeypatch.setattr("_lvs_agent.kernel.netlink.socket.socket", lambda *_arguments: kernel)
        return NetlinkSocket(netlink.NETLINK_GENERIC), kernel

    return open_with


def part(payload: bytes, seq: int, flags: int = netlink.NLM_F_MULTI) -> bytes:
    return netlink.pack_message(Message(0x1C, flags, seq, 0, payload))


def done(seq: int, code: int = 0, flags: int = netlink.NLM_F_MULTI) -> bytes:
    return netlink.pack_message(Message(3, flags, seq, 0, struct.pack("=i", -code)))


def test_request_collects_answers_up_to_the_acknowledgement(talk: Any) -> None:
    sock, kernel = talk([part(b"left", 77), part(b"over", 1, 0) + error_message(0)])
    assert sock.request(0x1C, b"ask", "x", bytes) == [b"over"]
    assert kernel.sent == [Message(0x1C, 0x5, 1, 0, b"ask")]


def test_a_refusal_names_the_object_the_errno_and_the_reason(talk: Any) -> None:
    text = netlink.pack_attr(1, b"Unknown scheduler\0")
    sock, _kernel = talk([error_message(errno.EINVAL, text, flags=0x300)])
    with pytest.raises(NetlinkError, match=r"virtual service.*EINVAL.*Unknown scheduler") as caught:
        sock.request(0x1C, b"", "virtual service", bytes)
    assert (caught.value.errno, caught.value.subject) == (errno.EINVAL, "virtual service")


def test_without_rights_the_advice_says_so(talk: Any) -> None:
    sock, _kernel = talk([error_message(errno.EPERM)])
    with pytest.raises(NetlinkError, match="CAP_NET_ADMIN"):
        sock.dump(0x1C, b"", "x", bytes)


def test_a_dump_of_several_datagrams(talk: Any) -> None:
    sock, kernel = talk([part(b"1111", 1) + part(b"2222", 1), part(b"3333", 1), done(1)])
    assert sock.dump(0x1C, b"", "x", bytes) == [b"1111", b"2222", b"3333"]
    assert kernel.sent[0].flags == 0x301


@pytest.mark.parametrize("where", ["in the middle", "at the end"])
def test_an_interrupted_dump_is_read_again(talk: Any, where: str) -> None:
    multi, interrupted = netlink.NLM_F_MULTI, netlink.NLM_F_MULTI | netlink.NLM_F_DUMP_INTR
    middle, end = (interrupted, multi) if where == "in the middle" else (multi, interrupted)
    sock, _kernel = talk([part(b"old!", 1, middle), done(1, flags=end)], [part(b"new!", 2), done(2)])
    assert sock.dump(0x1C, b"", "x", bytes) == [b"new!"]


def test_a_dump_that_overflowed_is_read_again_and_the_rest_of_the_first_skipped(talk: Any) -> None:
    lost = OSError(errno.ENOBUFS, "")
    sock, _kernel = talk([part(b"old1", 1), lost], [part(b"old2", 1) + done(1), part(b"new!", 2), done(2)])
    assert sock.dump(0x1C, b"", "x", bytes) == [b"new!"]


def test_a_dump_that_never_settles_gives_up(talk: Any) -> None:
    flags = netlink.NLM_F_MULTI | netlink.NLM_F_DUMP_INTR
    sock, kernel = talk(*([done(seq, flags=flags)] for seq in range(1, 20)))
    with pytest.raises(netlink.DumpInterrupted):
        sock.dump(0x1C, b"", "x", bytes)
    assert len(kernel.sent) == 5


def test_an_error_at_the_end_of_a_dump(talk: Any) -> None:
    sock, _kernel = talk([done(1, errno.EOPNOTSUPP)])
    with pytest.raises(NetlinkError, match="not supported"):
        sock.dump(0x1C, b"", "x", bytes)


def test_a_lost_acknowledgement_is_an_error(talk: Any) -> None:
    late = BlockingIOError(errno.EAGAIN, "")
    for lost, number in ((OSError(errno.ENOBUFS, ""), errno.ENOBUFS), (late, errno.ETIMEDOUT)):
        sock, _kernel = talk([lost])
        with pytest.raises(NetlinkError, match="read the state again") as caught:
            sock.request(0x1C, b"", "x", bytes)
        assert caught.value.errno == number


ORDERS = [bytes([number]) * 4 for number in range(10)]


def test_a_batch_goes_out_in_few_datagrams_and_asks_for_few_acknowledgements(talk: Any) -> None:
    # 20 bytes an order: the receive buffer holds four answers, half the send buffer 100 bytes.
    sock, kernel = talk([error_message(0, seq=4)], [error_message(0, seq=8)], [error_message(0, seq=10)])
    assert sock.batch(0x1C, ORDERS, "x") == []
    assert [(message.seq, message.payload) for message in kernel.sent] == list(enumerate(ORDERS, 1))
    assert [message.seq for message in kernel.sent if message.flags == 0x5] == [4, 8, 10]
    assert [message.flags for message in kernel.sent].count(0x1) == 7


def test_a_batch_is_bounded_by_the_send_buffer(talk: Any) -> None:
    big = [bytes(60)] * 3
    sock, kernel = talk(*([error_message(0, seq=seq)] for seq in (1, 2, 3)))
    assert sock.batch(0x1C, big, "x") == []
    assert kernel.datagrams == [76, 76, 76]
    sock, kernel = talk([error_message(0)])
    assert sock.batch(0x1C, [bytes(400)], "x") == []


def test_refusals_of_a_batch(talk: Any) -> None:
    text = netlink.pack_attr(1, b"Why\0")
    refused = error_message(errno.EEXIST, text, flags=0x300, seq=6) + error_message(errno.ESRCH, seq=8)
    sock, kernel = talk([error_message(0, seq=4)], [part(b"left", 77), refused])
    assert sock.batch(0x1C, ORDERS, "x") == [
        netlink.Refusal(5, errno.EEXIST, "Why"),
        netlink.Refusal(7, errno.ESRCH, ""),
    ]
    # The third datagram is not sent.
    assert len(kernel.sent) == 8


def test_a_lost_answer_to_a_batch_is_an_error(talk: Any) -> None:
    sock, _kernel = talk([OSError(errno.ENOBUFS, "")])
    with pytest.raises(NetlinkError, match="read the state again") as caught:
        sock.batch(0x1C, ORDERS[:2], "x")
    assert caught.value.errno == errno.ENOBUFS


def test_sequence_numbers_start_again_before_they_overflow(talk: Any) -> None:
    sock, kernel = talk([error_message(0, seq=1)], [error_message(0, seq=1)])
    sock._seq = 0xFFFFFFFF
    sock.request(0x1C, b"", "x", bytes)
    sock._seq = 0xFFFFFFFF
    sock.batch(0x1C, ORDERS[:1], "x")
    assert [message.seq for message in kernel.sent] == [1, 1]


def test_an_abandoned_dump_is_read_to_its_end_before_the_next(talk: Any) -> None:
    rest = [part(b"old2", 1), OSError(errno.ENOBUFS, ""), done(1)]
    sock, _kernel = talk([error_message(errno.EBUSY, seq=1), *rest], [part(b"new!", 2), done(2)])
    assert sock.dump(0x1C, b"", "x", bytes) == [b"new!"]


def test_an_answer_that_is_not_understood(talk: Any) -> None:
    def parse(payload: bytes) -> None:
        raise netlink.MalformedMessage("odd")

    for script in ([b"\x01"], [part(b"1111", 1) + done(1)]):
        sock, _kernel = talk(script)
        with pytest.raises(NetlinkError, match="not understood") as caught:
            sock.dump(0x1C, b"", "x", parse)
        assert caught.value.errno == errno.EBADMSG


def test_what_another_process_sends_is_no_answer(talk: Any) -> None:
    sock, kernel = talk([part(b"lies", 1, 0), part(b"true", 1, 0) + error_message(0)])
    kernel.senders = [(4711, 0), (0, 0)]
    assert sock.request(0x1C, b"", "x", bytes) == [b"true"]


def test_a_request_that_is_not_taken(talk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sock, kernel = talk()

    def full(_data: bytes, _address: object) -> None:
        raise OSError(errno.ENOBUFS, "")

    monkeypatch.setattr(kernel, "sendto", full)
    with pytest.raises(NetlinkError, match="did not take the 16 bytes"):
        sock.request(0x1C, b"", "x", bytes)


def test_the_kernel_understands_us() -> None:
    """The controller family is in every kernel and needs no rights."""
    from _lvs_agent.kernel.genl import FamilyNotFound, GenlConnection, parse_genl

    with GenlConnection("nlctrl") as connection:
        assert connection.family.id == 0x10
        names = {entry[2].rstrip(b"\0") for entry in connection.dump(3, [], "families", parse_genl)}
    assert b"nlctrl" in names
    with pytest.raises(FamilyNotFound, match="no-such-family"):
        GenlConnection("no-such-family")
