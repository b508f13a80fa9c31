# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Netlink: messages, attributes, and a socket that asks and dumps.

Sources: netlink(7), RFC 3549, linux/netlink.h. All header fields are in host byte order; lengths count their
own header, and the next message or attribute starts at the next multiple of four bytes.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

from .errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

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
_NLM_F_CAPPED = 0x100
_NLM_F_ACK_TLVS = 0x200

NLA_F_NESTED = 0x8000
_NLA_TYPE_MASK = 0x3FFF
_NLMSGERR_ATTR_MSG = 1

_NLMSGHDR = struct.Struct("=IHHII")
_NLATTR = struct.Struct("=HH")
_ERRNO = struct.Struct("=i")
_U16 = struct.Struct("=H")
_U32 = struct.Struct("=I")
_U64 = struct.Struct("=Q")
_BE16 = struct.Struct("!H")

# The kernel fits a dump's datagrams to the reader's buffer, 32 KiB at most (netlink_dump in af_netlink.c).
_READ_SIZE = 65536
_RECEIVE_BUFFER_BYTES = 1 << 20
_TIMEOUT_SECONDS = 5.0
_DUMP_ATTEMPTS = 5


class NetlinkError(KernelError):
    """The kernel answered a request with an error; the advice holds its own explanation if it sent one."""


class DumpInterrupted(NetlinkError):
    """A listing changed, or overflowed the socket, in each of the attempts to read it."""


class MalformedMessage(ValueError):
    """Bytes that are no netlink: a length runs past the end of what surrounds it."""


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

    One question at a time; answers to an abandoned one are recognised by their sequence number and skipped.
    """

    def __init__(self, protocol: int) -> None:
        self._sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._sock.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        self._sock.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        self._sock.settimeout(_TIMEOUT_SECONDS)
        self._sock.bind((0, 0))
        self._seq = 0

    def __enter__(self) -> NetlinkSocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket; a second call does nothing."""
        self._sock.close()

    def request(self, kind: int, payload: bytes, subject: str) -> list[Message]:
        """Send one message and return what the kernel answers before its acknowledgement (often nothing).

        Raises NetlinkError. After ENOBUFS or ETIMEDOUT the acknowledgement is lost: whether the request was
        carried out is unknown until the state is read again.
        """
        seq = self._send(kind, NLM_F_ACK, payload)
        answers: list[Message] = []
        while True:
            for message in self._receive(seq, subject):
                if message.type == NLMSG_ERROR:
                    _raise_if_error(*parse_error(message), subject)
                    return answers
                answers.append(message)

    def dump(self, kind: int, payload: bytes, subject: str) -> list[Message]:
        """Send a dump request and return the whole listing.

        A listing that changed while it was read (NLM_F_DUMP_INTR), or that lost datagrams (ENOBUFS), is read
        again from the start; after five such attempts DumpInterrupted is raised. Raises NetlinkError.
        """
        for _attempt in range(_DUMP_ATTEMPTS):
            try:
                listing = self._dump_once(kind, payload, subject)
            except NetlinkError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                continue
            if listing is not None:
                return listing
        raise DumpInterrupted(
            errno.EAGAIN,
            subject,
            f"the listing changed in each of {_DUMP_ATTEMPTS} attempts to read it; try again",
        )

    def _dump_once(self, kind: int, payload: bytes, subject: str) -> list[Message] | None:
        """The listing, or None when the kernel says that it is inconsistent."""
        seq = self._send(kind, NLM_F_DUMP, payload)
        listing: list[Message] = []
        consistent = True
        while True:
            for message in self._receive(seq, subject):
                if message.flags & NLM_F_DUMP_INTR:
                    consistent = False
                if message.type == NLMSG_ERROR:
                    _raise_if_error(*parse_error(message), subject)
                elif message.type == NLMSG_DONE:
                    _raise_if_error(*_error_at_end_of_dump(message), subject)
                    return listing if consistent else None
                else:
                    listing.append(message)

    def _send(self, kind: int, flags: int, payload: bytes) -> int:
        self._seq = (self._seq + 1) & 0xFFFFFFFF
        self._sock.sendto(pack_message(Message(kind, NLM_F_REQUEST | flags, self._seq, 0, payload)), (0, 0))
        return self._seq

    def _receive(self, seq: int, subject: str) -> list[Message]:
        """One datagram's messages that answer request ``seq``."""
        try:
            data, _ancillary, flags, _sender = self._sock.recvmsg(_READ_SIZE)
        except socket.timeout as error:
            raise NetlinkError(
                errno.ETIMEDOUT,
                subject,
                f"the kernel did not answer in {_TIMEOUT_SECONDS:.0f} s; read the state again",
            ) from error
        except OSError as error:
            raise NetlinkError(
                error.errno or errno.EIO, subject, "an answer of the kernel is lost; read the state again"
            ) from error
        if flags & socket.MSG_TRUNC:
            raise NetlinkError(errno.EMSGSIZE, subject, f"the kernel's answer exceeds {_READ_SIZE} bytes")
        return [message for message in parse_messages(data) if message.seq == seq]


def _raise_if_error(code: int, explanation: str, subject: str) -> None:
    if not code:
        return
    if code == errno.EPERM:
        raise NetlinkError(code, subject, explanation or "this needs root (CAP_NET_ADMIN)")
    raise NetlinkError(code, subject, explanation or "the kernel refused the request and gave no reason")
