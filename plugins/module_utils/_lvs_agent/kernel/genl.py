# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generic netlink: a connection to one named family of the kernel.

Source: linux/genetlink.h. A generic netlink message starts with ``struct genlmsghdr``: command, version, two
bytes reserved; its netlink type is the family's number, which the controller family knows.
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING, NamedTuple

from .netlink import (
    NETLINK_GENERIC,
    MalformedMessage,
    NetlinkError,
    NetlinkSocket,
    Refusal,
    cstring,
    pack_attr,
    parse_attrs,
    read_cstring,
    read_u16,
    read_u32,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType
    from typing import TypeVar

    T = TypeVar("T")

_GENL_ID_CTRL = 0x10
_CTRL_CMD_GETFAMILY = 3
_CTRL_ATTR_FAMILY_ID = 1
_CTRL_ATTR_FAMILY_NAME = 2
_CTRL_ATTR_VERSION = 3

_GENLMSGHDR = struct.Struct("=BBH")


class FamilyNotFound(NetlinkError):
    """The kernel has no generic netlink family of that name, most often because a module is not loaded."""


class Family(NamedTuple):
    """What the controller says of a family: its name, its message type, its version."""

    name: str
    id: int
    version: int


def pack_genl(command: int, version: int, attrs: Iterable[bytes] = ()) -> bytes:
    """The payload of a netlink message: generic header and attributes that are already packed."""
    return _GENLMSGHDR.pack(command, version, 0) + b"".join(attrs)


def parse_genl(payload: bytes) -> dict[int, bytes]:
    """The attributes behind the generic header; the command in an answer says nothing the request did not.

    Raises MalformedMessage.
    """
    if len(payload) < _GENLMSGHDR.size:
        raise MalformedMessage(f"{len(payload)} bytes where a generic netlink header should start")
    return parse_attrs(payload[_GENLMSGHDR.size :])


def resolve_family(sock: NetlinkSocket, name: str) -> Family:
    """Ask the controller for a family. Raises FamilyNotFound, or NetlinkError."""
    request = pack_genl(_CTRL_CMD_GETFAMILY, 1, [pack_attr(_CTRL_ATTR_FAMILY_NAME, cstring(name))])
    subject = f"generic netlink family {name}"
    try:
        answers = sock.request(_GENL_ID_CTRL, request, subject, _parse_family)
    except NetlinkError as error:
        if error.errno != errno.ENOENT:
            raise
        raise FamilyNotFound(errno.ENOENT, subject, "load the kernel module that provides it") from error
    return answers[0]


def _parse_family(payload: bytes) -> Family:
    attrs = parse_genl(payload)
    try:
        return Family(
            read_cstring(attrs[_CTRL_ATTR_FAMILY_NAME]),
            read_u16(attrs[_CTRL_ATTR_FAMILY_ID]),
            read_u32(attrs[_CTRL_ATTR_VERSION]),
        )
    except (KeyError, struct.error) as error:
        raise MalformedMessage(f"a generic netlink family without {error}") from error


class GenlConnection:
    """A socket tied to one family; a context manager. Raises FamilyNotFound when it is opened."""

    def __init__(self, family: str, timeout_s: float = 5.0) -> None:
        self._sock = NetlinkSocket(NETLINK_GENERIC, timeout_s)
        try:
            self.family = resolve_family(self._sock, family)
        except BaseException:
            self._sock.close()
            raise

    def __enter__(self) -> GenlConnection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket; a second call does nothing."""
        self._sock.close()

    def is_current(self) -> bool:
        """Whether the family still is what it was: a module that is unloaded, and perhaps loaded again, changes it."""
        try:
            return resolve_family(self._sock, self.family.name) == self.family
        except FamilyNotFound:
            return False

    def request(self, command: int, attrs: Iterable[bytes], subject: str, parse: Callable[[bytes], T]) -> list[T]:
        """One order or question; ``parse`` gets the payload of each answer. ``subject`` names the object in errors."""
        return self._sock.request(self.family.id, pack_genl(command, self.family.version, attrs), subject, parse)

    def dump(self, command: int, attrs: Iterable[bytes], subject: str, parse: Callable[[bytes], T]) -> list[T]:
        """A whole listing; ``parse`` gets the payload of each entry."""
        return self._sock.dump(self.family.id, pack_genl(command, self.family.version, attrs), subject, parse)

    def batch(self, payloads: Sequence[bytes], subject: str) -> list[Refusal]:
        """Many orders, each a whole payload of pack_genl; see NetlinkSocket.batch."""
        return self._sock.batch(self.family.id, payloads, subject)
