# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Netlink: messages, attributes, and a socket that asks and dumps.

Sources: netlink(7), RFC 3549, linux/netlink.h. All header fields are in host byte order; lengths count their
own header, and the next message or attribute starts at the next multiple of four bytes.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

from .errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType
    from typing import TypeVar

    T = TypeVar("T")

NETLINK_GENERIC = 16
_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11

NLMSG_ERROR = 2
NLMSG_DONE = 3

NLM_F_REQUEST = 0x01
NLM_F_MULTI = 0x02
NLM_F_ACK = 0x04
NLM_F_DUMP_INTR = 0x10
NLM_F_DUMP = 0x300
NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_APPEND = 0x800
_NLM_F_CAPPED = 0x100
_NLM_F_ACK_TLVS = 0x200

NLA_F_NESTED = 0x8000
_NLA_TYPE_MASK = 0x3FFF
_NLMSGERR_ATTR_MSG = 1

_NLMSGHDR = struct.Struct("=IHHII")
_NLATTR = struct.Struct("=HH")
_ERRNO = struct.Struct("=i")
_U8 = struct.Struct("=B")
_U16 = struct.Struct("=H")
_U32 = struct.Struct("=I")
_U64 = struct.Struct("=Q")
_BE16 = struct.Struct("!H")
_TIMEVAL = struct.Struct("@ll")

# The kernel fits a dump's datagrams to the reader's buffer, 32 KiB at most (netlink_dump in af_netlink.c).
_READ_SIZE = 65536
_RECEIVE_BUFFER_BYTES = 1 << 20
# not in Python's socket module (asm-generic/socket.h); it may pass net.core.rmem_max with CAP_NET_ADMIN
_SO_RCVBUFFORCE = 33
# What one error message holds of the receive buffer: skb->truesize, 768 to 1280 bytes on 64-bit kernels.
_ANSWER_COST_BYTES = 2048
_TIMEOUT_SECONDS = 5.0
_DUMP_ATTEMPTS = 5
# More than fit any receive buffer; only a bound for a loop.
_DRAIN_DATAGRAMS = 100_000


class NetlinkError(KernelError):
    """The kernel answered a request with an error; the advice holds its own explanation if it sent one."""


class DumpInterrupted(NetlinkError):
    """A listing changed, or overflowed the socket, in each of the attempts to read it."""


class MalformedMessage(ValueError):
    """Bytes that are not what they should be: a length runs past the end of what surrounds it, a part is missing."""


class Refusal(NamedTuple):
    """An order of a batch that the kernel refused: its position, errno, and the kernel's explanation or ""."""

    position: int
    errno: int
    explanation: str


class Message(NamedTuple):
    """One netlink message: header fields as in ``struct nlmsghdr``, and what follows the header."""

    type: int
    flags: int
    seq: int
    pid: int
    payload: bytes


def pack_message(message: Message) -> bytes:
    """The bytes of one message, padded so that another may follow."""
    length = _NLMSGHDR.size + len(message.payload)
    header = _NLMSGHDR.pack(length, message.type, message.flags, message.seq, message.pid)
    return header + message.payload + b"\0" * (-length % 4)


def parse_messages(data: bytes) -> Iterator[Message]:
    """The messages of one datagram, in order. Raises MalformedMessage."""
    offset = 0
    while offset < len(data):
        if len(data) - offset < _NLMSGHDR.size:
            raise MalformedMessage(f"{len(data) - offset} bytes where a message header should start")
        length, kind, flags, seq, pid = _NLMSGHDR.unpack_from(data, offset)
        if length < _NLMSGHDR.size or offset + length > len(data):
            raise MalformedMessage(f"message length {length}, {len(data) - offset} bytes left")
        yield Message(kind, flags, seq, pid, data[offset + _NLMSGHDR.size : offset + length])
        offset += length + (-length % 4)


def pack_attr(kind: int, payload: bytes) -> bytes:
    """One attribute, padded. For a nested one, or NLA_F_NESTED into ``kind`` and pass packed attributes.

    Raises ValueError when the payload does not fit the 16-bit length.
    """
    length = _NLATTR.size + len(payload)
    if length > 0xFFFF:
        raise ValueError(f"attribute {kind & _NLA_TYPE_MASK}: {len(payload)} bytes do not fit a netlink attribute")
    return _NLATTR.pack(length, kind) + payload + b"\0" * (-length % 4)


def pack_nested(kind: int, attrs: Iterable[bytes]) -> bytes:
    """A nested attribute around attributes that are already packed."""
    return pack_attr(kind | NLA_F_NESTED, b"".join(attrs))


def attr_header(kind: int, payload_size: int, *, nested: bool = False) -> int:
    """An attribute's header as one 32-bit number in host order, for structs made of many attributes."""
    header = _NLATTR.pack(_NLATTR.size + payload_size, kind | NLA_F_NESTED if nested else kind)
    return int(_U32.unpack(header)[0])


def iter_attrs(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type without its flag bits, payload) of each attribute, in order. Raises MalformedMessage."""
    offset, end = 0, len(data)
    while offset < end:
        if end - offset < _NLATTR.size:
            raise MalformedMessage(f"{end - offset} bytes where an attribute header should start")
        length, kind = _NLATTR.unpack_from(data, offset)
        if length < _NLATTR.size or offset + length > end:
            raise MalformedMessage(f"attribute length {length}, {end - offset} bytes left")
        yield kind & _NLA_TYPE_MASK, data[offset + _NLATTR.size : offset + length]
        offset += length + (-length % 4)


def parse_attrs(data: bytes) -> dict[int, bytes]:
    """Type -> payload, for attributes of which each occurs once; of a repeated one the last stays."""
    return dict(iter_attrs(data))


def u8(value: int) -> bytes:
    """One byte."""
    return _U8.pack(value)


def u16(value: int) -> bytes:
    """Two bytes, host order."""
    return _U16.pack(value)


def u32(value: int) -> bytes:
    """Four bytes, host order."""
    return _U32.pack(value)


def be16(value: int) -> bytes:
    """Two bytes, network order (ports)."""
    return _BE16.pack(value)


def cstring(value: str) -> bytes:
    """A NUL-terminated string. Raises ValueError for one with a NUL inside."""
    if "\0" in value:
        raise ValueError("a NUL inside a string for the kernel")
    return value.encode() + b"\0"


def read_u8(payload: bytes) -> int:
    """One byte."""
    return int(_U8.unpack_from(payload)[0])


def read_u16(payload: bytes) -> int:
    """Two bytes, host order."""
    return int(_U16.unpack_from(payload)[0])


def read_u32(payload: bytes) -> int:
    """Four bytes, host order."""
    return int(_U32.unpack_from(payload)[0])


def read_u64(payload: bytes) -> int:
    """Eight bytes, host order."""
    return int(_U64.unpack_from(payload)[0])


def read_be16(payload: bytes) -> int:
    """Two bytes, network order."""
    return int(_BE16.unpack_from(payload)[0])


def read_cstring(payload: bytes) -> str:
    """A string up to its NUL."""
    return payload.split(b"\0", 1)[0].decode(errors="replace")


def parse_error(message: Message) -> tuple[int, str]:
    """(errno, the kernel's explanation or "") of an NLMSG_ERROR message; errno 0 is an acknowledgement.

    The explanation is the extended acknowledgement's NLMSGERR_ATTR_MSG. Behind the errno stands the request's
    header, then the request's payload unless NLM_F_CAPPED, then the attributes if NLM_F_ACK_TLVS.
    """
    payload = message.payload
    if len(payload) < _ERRNO.size + _NLMSGHDR.size:
        raise MalformedMessage(f"an error message of {len(payload)} bytes")
    code = -_ERRNO.unpack_from(payload)[0]
    if not message.flags & _NLM_F_ACK_TLVS:
        return code, ""
    echoed = _NLMSGHDR.size if message.flags & _NLM_F_CAPPED else read_u32(payload[_ERRNO.size :])
    attrs = parse_attrs(payload[_ERRNO.size + echoed + (-echoed % 4) :])
    return code, read_cstring(attrs.get(_NLMSGERR_ATTR_MSG, b""))


def _error_at_end_of_dump(message: Message) -> tuple[int, str]:
    """(errno, explanation) that an NLMSG_DONE message carries; errno 0 is a good end."""
    if len(message.payload) < _ERRNO.size:
        return 0, ""
    code = -_ERRNO.unpack_from(message.payload)[0]
    if not message.flags & _NLM_F_ACK_TLVS:
        return code, ""
    return code, read_cstring(parse_attrs(message.payload[_ERRNO.size :]).get(_NLMSGERR_ATTR_MSG, b""))


class NetlinkSocket:
    """A netlink socket for questions and orders (not for events), used as a context manager.

    One question at a time; answers to an abandoned one are recognised by their sequence number and skipped. No wait
    for one answer takes longer than ``timeout_s``.
    """

    def __init__(self, protocol: int, timeout_s: float = _TIMEOUT_SECONDS) -> None:
        self._sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._timeout_s = timeout_s
        self._sock.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        self._sock.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        with contextlib.suppress(PermissionError):
            self._sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER_BYTES)
        # The kernel keeps the time: with Python's own timeout each read would be two system calls.
        seconds, part = divmod(timeout_s, 1)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL.pack(int(seconds), int(part * 1e6)))
        self._sock.bind((0, 0))
        self._seq = 0
        # Every order of a datagram may be refused, and the kernel queues all refusals before send() returns.
        receive_buffer = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self._batch_messages = max(1, receive_buffer // _ANSWER_COST_BYTES)
        self._batch_bytes = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) // 2

    def __enter__(self) -> NetlinkSocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket; a second call does nothing."""
        self._sock.close()

    def request(
        self, kind: int, payload: bytes, subject: str, parse: Callable[[bytes], T], flags: int = 0
    ) -> list[T]:
        """Send one message and return what ``parse`` makes of each answer before the acknowledgement, often none.

        ``flags`` are those of the kind of request, as NLM_F_CREATE for what makes something.

        Raises NetlinkError, also when ``parse`` raises MalformedMessage. After ENOBUFS or ETIMEDOUT the acknowledgement
        is lost: whether the request was carried out is unknown until the state is read again.
        """
        seq = self._send(kind, NLM_F_ACK | flags, payload, subject)
        answers: list[T] = []
        while True:
            for message in self._receive(subject):
                if message.seq != seq:
                    continue
                if message.type == NLMSG_ERROR:
                    _raise_if_error(*parse_error(message), subject)
                    return answers
                answers.append(_understood(message.payload, subject, parse))

    def batch(self, kind: int, payloads: Sequence[bytes], subject: str) -> list[Refusal]:
        """Send many orders, as many to a datagram as the socket's buffers allow, and return those refused, in order.

        The kernel carries out a datagram's orders one after the other and goes on after one that it refuses. The first
        datagram with a refusal is the last one sent. Payloads are whole multiples of four bytes, as attributes are.
        Raises NetlinkError; after ENOBUFS or ETIMEDOUT the state must be read again.
        """
        start = 0
        while start < len(payloads):
            end = self._portion(payloads, start)
            refused = self._send_portion(kind, payloads[start:end], subject)
            if refused:
                return [refusal._replace(position=start + refusal.position) for refusal in refused]
            start = end
        return []

    def _portion(self, payloads: Sequence[bytes], start: int) -> int:
        """Where the datagram that starts with this payload ends."""
        end, left = start, self._batch_bytes
        last = min(len(payloads), start + self._batch_messages)
        while end < last:
            left -= _NLMSGHDR.size + len(payloads[end])
            if left < 0 and end > start:
                break
            end += 1
        return end

    def _send_portion(self, kind: int, payloads: Sequence[bytes], subject: str) -> list[Refusal]:
        """One datagram. Only the last message asks for an acknowledgement: refusals are told in any case."""
        pack, size = _NLMSGHDR.pack, _NLMSGHDR.size
        if self._seq + len(payloads) > 0xFFFFFFFF:
            self._seq = 0
        first = self._seq + 1
        last = self._seq = self._seq + len(payloads)
        parts: list[bytes] = []
        for seq, payload in enumerate(payloads, first):
            flags = NLM_F_REQUEST | NLM_F_ACK if seq == last else NLM_F_REQUEST
            parts.append(pack(size + len(payload), kind, flags, seq, 0))
            parts.append(payload)
        self._send_bytes(b"".join(parts), subject)
        refused: list[Refusal] = []
        while True:
            for message in self._receive(subject):
                if message.type != NLMSG_ERROR or not first <= message.seq <= last:
                    continue
                code, explanation = parse_error(message)
                if code:
                    refused.append(Refusal(message.seq - first, code, explanation))
                if message.seq == last:
                    return refused

    def dump(self, kind: int, payload: bytes, subject: str, parse: Callable[[bytes], T]) -> list[T]:
        """Send a dump request and return what ``parse`` makes of the payload of each message of the listing.

        A listing that changed while it was read (NLM_F_DUMP_INTR), that lost datagrams (ENOBUFS), or that could not
        start because an abandoned one is not at its end (EBUSY), is read again from the start; after five such
        attempts DumpInterrupted is raised. Raises NetlinkError, also when ``parse`` raises MalformedMessage.
        """
        for _attempt in range(_DUMP_ATTEMPTS):
            try:
                listing = self._dump_once(kind, payload, subject, parse)
            except NetlinkError as error:
                if error.errno not in (errno.ENOBUFS, errno.EBUSY):
                    raise
                self._drain()
                continue
            if listing is not None:
                return listing
        raise DumpInterrupted(
            errno.EAGAIN,
            subject,
            f"the listing changed in each of {_DUMP_ATTEMPTS} attempts to read it; try again",
        )

    def _dump_once(self, kind: int, payload: bytes, subject: str, parse: Callable[[bytes], T]) -> list[T] | None:
        """The listing, or None when the kernel says that it is inconsistent."""
        seq = self._send(kind, NLM_F_DUMP, payload, subject)
        listing: list[T] = []
        consistent = True
        while True:
            for message_kind, flags, message_seq, _pid, content in self._receive(subject):
                if message_seq != seq:
                    continue
                if flags & NLM_F_DUMP_INTR:
                    consistent = False
                if message_kind == NLMSG_ERROR:
                    _raise_if_error(*parse_error(Message(message_kind, flags, seq, 0, content)), subject)
                elif message_kind == NLMSG_DONE:
                    _raise_if_error(*_error_at_end_of_dump(Message(message_kind, flags, seq, 0, content)), subject)
                    return listing if consistent else None
                else:
                    listing.append(_understood(content, subject, parse))

    def _drain(self) -> None:
        """Read what is left of an abandoned listing: the kernel starts no other one before its end."""
        for _datagram in range(_DRAIN_DATAGRAMS):
            try:
                self._sock.recvmsg(_READ_SIZE, 0, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    return

    def _send(self, kind: int, flags: int, payload: bytes, subject: str) -> int:
        self._seq = self._seq + 1 if self._seq < 0xFFFFFFFF else 1
        self._send_bytes(pack_message(Message(kind, NLM_F_REQUEST | flags, self._seq, 0, payload)), subject)
        return self._seq

    def _send_bytes(self, data: bytes, subject: str) -> None:
        try:
            self._sock.sendto(data, (0, 0))
        except OSError as error:
            raise NetlinkError(
                error.errno or errno.EIO, subject, f"the kernel did not take the {len(data)} bytes of the request"
            ) from error

    def _receive(self, subject: str) -> list[Message]:
        """One datagram's messages; none when it is not the kernel's."""
        try:
            data, _ancillary, flags, sender = self._sock.recvmsg(_READ_SIZE)
        except BlockingIOError as error:
            raise NetlinkError(
                errno.ETIMEDOUT, subject, f"the kernel did not answer in {self._timeout_s:g} s; read the state again"
            ) from error
        except OSError as error:
            raise NetlinkError(
                error.errno or errno.EIO, subject, "an answer of the kernel is lost; read the state again"
            ) from error
        if sender[0] != 0:
            return []
        if flags & socket.MSG_TRUNC:
            raise NetlinkError(errno.EMSGSIZE, subject, f"the kernel's answer exceeds {_READ_SIZE} bytes")
        try:
            return list(parse_messages(data))
        except MalformedMessage as error:
            raise _not_understood(subject, error) from error


def _understood(payload: bytes, subject: str, parse: Callable[[bytes], T]) -> T:
    try:
        return parse(payload)
    except MalformedMessage as error:
        raise _not_understood(subject, error) from error


def _not_understood(subject: str, error: MalformedMessage) -> NetlinkError:
    return NetlinkError(errno.EBADMSG, subject, f"the kernel's answer is not understood: {error}")


def _raise_if_error(code: int, explanation: str, subject: str) -> None:
    if not code:
        return
    if code == errno.EPERM:
        raise NetlinkError(code, subject, explanation or "this needs root (CAP_NET_ADMIN)")
    raise NetlinkError(code, subject, explanation or "the kernel refused the request and gave no reason")
