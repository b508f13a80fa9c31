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
    NetlinkError,
    NetlinkSocket,
    cstring,
    pack_attr,
    parse_attrs,
    read_cstring,
    read_u16,
    read_u32,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

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
    """The attributes behind the generic header; the command in an answer says nothing the request did not."""
    return parse_attrs(payload[_GENLMSGHDR.size :])


def resolve_family(sock: NetlinkSocket, name: str) -> Family:
    """Ask the controller for a family. Raises FamilyNotFound, or NetlinkError."""
    request = pack_genl(_CTRL_CMD_GETFAMILY, 1, [pack_attr(_CTRL_ATTR_FAMILY_NAME, cstring(name))])
    subject = f"generic netlink family {name}"
    try:
        answers = sock.request(_GENL_ID_CTRL, request, subject)
    except NetlinkError as error:
        if error.errno != errno.ENOENT:
            raise
        raise FamilyNotFound(errno.ENOENT, subject, "load the kernel module that provides it") from error
    attrs = parse_genl(answers[0].payload)
    return Family(
        read_cstring(attrs[_CTRL_ATTR_FAMILY_NAME]),
        read_u16(attrs[_CTRL_ATTR_FAMILY_ID]),
        read_u32(attrs[_CTRL_ATTR_VERSION]),
    )


class GenlConnection:
    """A socket tied to one family; a context manager. Raises FamilyNotFound when it is opened."""

    def __init__(self, family: str) -> None:
        self._sock = NetlinkSocket(NETLINK_GENERIC)
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

    def request(self, command: int, attrs: Iterable[bytes], subject: str) -> list[dict[int, bytes]]:
        """One order or question; the attributes of each answer. ``subject`` names the object in errors."""
        payload = pack_genl(command, self.family.version, attrs)
        return [parse_genl(m.payload) for m in self._sock.request(self.family.id, payload, subject)]

    def dump(self, command: int, attrs: Iterable[bytes], subject: str) -> list[dict[int, bytes]]:
        """A whole listing; the attributes of each entry."""
        payload = pack_genl(command, self.family.version, attrs)
        return [parse_genl(m.payload) for m in self._sock.dump(self.family.id, payload, subject)]
