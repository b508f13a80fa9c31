# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain data -> IPVS attributes; pure.

Sources: linux/ip_vs.h, and ip_vs_genl_parse_* in net/netfilter/ipvs/ip_vs_ctl.c. For a value that does not fit its
field, pack_changes raises DoesNotFit; the others raise one of NO_ROOM.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from . import ipvs_numbers as n
from .genl import pack_genl
from .ipvs_change import (
    AddServer,
    AddService,
    DeleteServer,
    DeleteService,
    EditServer,
    EditService,
    ZeroService,
)
from .netlink import attr_header, be16, cstring, pack_attr, pack_nested, u8, u16, u32

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .ipvs_change import Change
    from .ipvs_types import Daemon, Destination, DestinationKey, Service, ServiceKey, Timeouts

_ALL_FLAGS = 0xFFFFFFFF

# A real server is packed as one struct: header, value, header, value, each padded to four bytes. All of it is always
# sent; kernels before 5.2 skip the tunnel attributes they do not know.
_SERVER = struct.Struct("=I IHxx I16s IHxx II II II II IBxxx IHxx IHxx")
_SERVER_NEST = attr_header(n.CMD_ATTR_DEST, _SERVER.size - 4, nested=True)
_AF, _ADDR, _PORT, _FWD, _WEIGHT, _U_THRESH, _L_THRESH, _TUN_TYPE, _TUN_PORT, _TUN_FLAGS = (
    attr_header(kind, size)
    for kind, size in (
        (n.DEST_ADDR_FAMILY, 2),
        (n.DEST_ADDR, 16),
        (n.DEST_PORT, 2),
        (n.DEST_FWD_METHOD, 4),
        (n.DEST_WEIGHT, 4),
        (n.DEST_U_THRESH, 4),
        (n.DEST_L_THRESH, 4),
        (n.DEST_TUN_TYPE, 1),
        (n.DEST_TUN_PORT, 2),
        (n.DEST_TUN_FLAGS, 2),
    )
)


# What Python raises for a value that does not fit: text, an address, a port, any other number.
NO_ROOM = (ValueError, OSError, OverflowError, struct.error)


class DoesNotFit(ValueError):
    """A change with a value the kernel's structures have no room for; ``change`` is the change."""

    def __init__(self, change: Change, why: str) -> None:
        super().__init__(f"{why} in {change}")
        self.change = change
        self.why = why


def pack_changes(changes: Iterable[Change]) -> list[bytes]:
    """The generic netlink payload of each change. Raises DoesNotFit."""
    packed: list[bytes] = []
    key: ServiceKey | None = None
    adding = editing = b""
    for change in changes:
        try:
            if isinstance(change, (AddServer, EditServer)):
                # The servers of one service come in a row.
                if change.key is not key:
                    service = pack_service_key(change.key)
                    adding = _genl(n.CMD_NEW_DEST, service)
                    editing = _genl(n.CMD_SET_DEST, service)
                    key = change.key
                packed.append((adding if isinstance(change, AddServer) else editing) + pack_server(change.server))
            else:
                packed.append(_pack_other(change))
        except NO_ROOM as error:
            raise DoesNotFit(change, f"a value does not fit its field: {error}") from error
    return packed


def _pack_other(change: AddService | EditService | DeleteService | ZeroService | DeleteServer) -> bytes:
    if isinstance(change, AddService):
        return _genl(n.CMD_NEW_SERVICE, pack_service(change.service))
    if isinstance(change, EditService):
        return _genl(n.CMD_SET_SERVICE, pack_service(change.service))
    if isinstance(change, DeleteService):
        return _genl(n.CMD_DEL_SERVICE, pack_service_key(change.key))
    if isinstance(change, ZeroService):
        return _genl(n.CMD_ZERO, pack_service_key(change.key))
    return _genl(n.CMD_DEL_DEST, pack_service_key(change.key), pack_server_key(change.server))


def _genl(command: int, *attrs: bytes) -> bytes:
    return pack_genl(command, n.GENL_VERSION, attrs)


def pack_service_key(key: ServiceKey) -> bytes:
    """IPVS_CMD_ATTR_SERVICE with what identifies the service."""
    return pack_nested(n.CMD_ATTR_SERVICE, _identity(key))


def pack_service(service: Service) -> bytes:
    """IPVS_CMD_ATTR_SERVICE with everything that can be set; all flags are decided, none left as it was."""
    attrs = [
        *_identity(service.key),
        pack_attr(n.SVC_SCHED_NAME, _name(service.sched_name)),
        pack_attr(n.SVC_FLAGS, u32(service.flags) + u32(_ALL_FLAGS)),
        pack_attr(n.SVC_TIMEOUT, u32(service.timeout)),
        pack_attr(n.SVC_NETMASK, pack_netmask(service.key.af, service.netmask)),
    ]
    if service.pe_name:
        attrs.append(pack_attr(n.SVC_PE_NAME, _name(service.pe_name)))
    return pack_nested(n.CMD_ATTR_SERVICE, attrs)


def _identity(key: ServiceKey) -> list[bytes]:
    af = pack_attr(n.SVC_AF, u16(key.af))
    if key.fwmark:
        return [af, pack_attr(n.SVC_FWMARK, u32(key.fwmark))]
    return [
        af,
        pack_attr(n.SVC_PROTOCOL, u16(key.protocol)),
        pack_attr(n.SVC_ADDR, pack_addr(key.af, key.addr)),
        pack_attr(n.SVC_PORT, be16(key.port)),
    ]


def pack_addr(af: int, addr: str) -> bytes:
    """``union nf_inet_addr``: 16 bytes, IPv4 in the first four. Raises OSError for an address not of ``af``."""
    return socket.inet_pton(af, addr).ljust(16, b"\0")


def pack_netmask(af: int, netmask: str) -> bytes:
    """One field, two meanings: a mask in network order for IPv4, a prefix length in host order for IPv6."""
    if af == socket.AF_INET6:
        return u32(int(netmask or 128))
    return socket.inet_pton(socket.AF_INET, netmask or "255.255.255.255")


def pack_server(server: Destination) -> bytes:
    """IPVS_CMD_ATTR_DEST with everything that can be set."""
    return _SERVER.pack(
        _SERVER_NEST,
        _AF,
        server.af,
        _ADDR,
        socket.inet_pton(server.af, server.addr),
        _PORT,
        socket.htons(server.port),
        _FWD,
        server.fwd_method,
        _WEIGHT,
        server.weight,
        _U_THRESH,
        server.u_thresh,
        _L_THRESH,
        server.l_thresh,
        _TUN_TYPE,
        server.tun_type,
        _TUN_PORT,
        socket.htons(server.tun_port),
        _TUN_FLAGS,
        server.tun_flags,
    )


def pack_server_key(key: DestinationKey) -> bytes:
    """IPVS_CMD_ATTR_DEST with what identifies the real server."""
    return pack_nested(
        n.CMD_ATTR_DEST,
        [
            pack_attr(n.DEST_ADDR_FAMILY, u16(key.af)),
            pack_attr(n.DEST_ADDR, pack_addr(key.af, key.addr)),
            pack_attr(n.DEST_PORT, be16(key.port)),
        ],
    )


def pack_daemon(daemon: Daemon) -> bytes:
    """IPVS_CMD_ATTR_DAEMON to start one; what is 0 or "" is left out, and the kernel chooses."""
    attrs = [
        pack_attr(n.DAEMON_STATE, u32(daemon.state)),
        pack_attr(n.DAEMON_MCAST_IFN, _name(daemon.mcast_ifn)),
        pack_attr(n.DAEMON_SYNC_ID, u32(daemon.sync_id)),
    ]
    if daemon.sync_maxlen:
        attrs.append(pack_attr(n.DAEMON_SYNC_MAXLEN, u16(daemon.sync_maxlen)))
    if ":" in daemon.mcast_group:
        attrs.append(pack_attr(n.DAEMON_MCAST_GROUP6, socket.inet_pton(socket.AF_INET6, daemon.mcast_group)))
    elif daemon.mcast_group:
        attrs.append(pack_attr(n.DAEMON_MCAST_GROUP, socket.inet_pton(socket.AF_INET, daemon.mcast_group)))
    if daemon.mcast_port:
        attrs.append(pack_attr(n.DAEMON_MCAST_PORT, u16(daemon.mcast_port)))
    if daemon.mcast_ttl:
        attrs.append(pack_attr(n.DAEMON_MCAST_TTL, u8(daemon.mcast_ttl)))
    return pack_nested(n.CMD_ATTR_DAEMON, attrs)


def pack_stop_daemon(state: int) -> bytes:
    """The generic netlink payload that stops the daemon of that state."""
    return _genl(n.CMD_DEL_DAEMON, pack_nested(n.CMD_ATTR_DAEMON, [pack_attr(n.DAEMON_STATE, u32(state))]))


def pack_get_info() -> bytes:
    """The generic netlink payload that asks for the version, and has no attributes."""
    return _genl(n.CMD_GET_INFO)


def pack_timeouts(timeouts: Timeouts) -> list[bytes]:
    """The attributes of SET_CONFIG."""
    return [
        pack_attr(n.CMD_ATTR_TIMEOUT_TCP, u32(timeouts.tcp)),
        pack_attr(n.CMD_ATTR_TIMEOUT_TCP_FIN, u32(timeouts.tcp_fin)),
        pack_attr(n.CMD_ATTR_TIMEOUT_UDP, u32(timeouts.udp)),
    ]


def _name(name: str) -> bytes:
    data = cstring(name)
    if len(data) > n.NAME_BYTES:
        raise ValueError(f"the name {name!r} is longer than {n.NAME_BYTES - 1} bytes")
    return data
