# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPVS attributes <-> plain data; pure.

Sources: linux/ip_vs.h, and ip_vs_genl_* in net/netfilter/ipvs/ip_vs_ctl.c.
"""

from __future__ import annotations

import socket

from .ipvs_types import (
    Daemon,
    Destination,
    DestinationEntry,
    Info,
    Service,
    ServiceEntry,
    ServiceKey,
    Stats,
    Timeouts,
)
from .netlink import (
    be16,
    iter_attrs,
    pack_attr,
    pack_nested,
    parse_attrs,
    read_be16,
    read_cstring,
    read_u16,
    read_u32,
    read_u64,
    u16,
    u32,
)

CMD_GET_SERVICE = 4
CMD_GET_DEST = 8
CMD_GET_DAEMON = 11
CMD_GET_CONFIG = 13
CMD_GET_INFO = 15

CMD_ATTR_SERVICE = 1
CMD_ATTR_DEST = 2
CMD_ATTR_DAEMON = 3
_CMD_ATTR_TIMEOUT_TCP = 4
_CMD_ATTR_TIMEOUT_TCP_FIN = 5
_CMD_ATTR_TIMEOUT_UDP = 6

_SVC_AF = 1
_SVC_PROTOCOL = 2
_SVC_ADDR = 3
_SVC_PORT = 4
_SVC_FWMARK = 5
_SVC_SCHED_NAME = 6
_SVC_FLAGS = 7
_SVC_TIMEOUT = 8
_SVC_NETMASK = 9
_SVC_STATS = 10
_SVC_PE_NAME = 11
_SVC_STATS64 = 12

_DEST_ADDR = 1
_DEST_PORT = 2
_DEST_FWD_METHOD = 3
_DEST_WEIGHT = 4
_DEST_U_THRESH = 5
_DEST_L_THRESH = 6
_DEST_ACTIVE_CONNS = 7
_DEST_INACT_CONNS = 8
_DEST_PERSIST_CONNS = 9
_DEST_STATS = 10
_DEST_ADDR_FAMILY = 11
_DEST_STATS64 = 12
_DEST_TUN_TYPE = 13
_DEST_TUN_PORT = 14
_DEST_TUN_FLAGS = 15

_DAEMON_STATE = 1
_DAEMON_MCAST_IFN = 2
_DAEMON_SYNC_ID = 3
_DAEMON_SYNC_MAXLEN = 4
_DAEMON_MCAST_GROUP = 5
_DAEMON_MCAST_GROUP6 = 6
_DAEMON_MCAST_PORT = 7
_DAEMON_MCAST_TTL = 8

_INFO_VERSION = 1
_INFO_CONN_TAB_SIZE = 2

# IPVS_STATS_ATTR_CONNS = 1 .. OUTBPS = 10, in the order of Stats' fields; 11 is padding.
_STATS_FIELDS = 10

# The kernel sets this one itself, so it is no setting: without it, what is read equals what was asked for.
_SVC_F_HASHED = 0x02
# linux/ip_vs.h: the forwarding method within the connection flags
_FWD_MASK = 0x07


def pack_addr(af: int, addr: str) -> bytes:
    """``union nf_inet_addr``: 16 bytes, IPv4 in the first four."""
    return socket.inet_pton(af, addr).ljust(16, b"\0")


def _read_addr(af: int, payload: bytes) -> str:
    return socket.inet_ntop(af, payload[: 4 if af == socket.AF_INET else 16])


def pack_service_key(key: ServiceKey) -> bytes:
    """IPVS_CMD_ATTR_SERVICE with what identifies the service. Raises OSError for an address not of ``af``."""
    if key.fwmark:
        identity = [pack_attr(_SVC_FWMARK, u32(key.fwmark))]
    else:
        identity = [
            pack_attr(_SVC_PROTOCOL, u16(key.protocol)),
            pack_attr(_SVC_ADDR, pack_addr(key.af, key.addr)),
            pack_attr(_SVC_PORT, be16(key.port)),
        ]
    return pack_nested(CMD_ATTR_SERVICE, [pack_attr(_SVC_AF, u16(key.af)), *identity])


def parse_service(payload: bytes) -> ServiceEntry:
    """The content of IPVS_CMD_ATTR_SERVICE in a listing."""
    attrs = parse_attrs(payload)
    af = read_u16(attrs[_SVC_AF])
    if _SVC_FWMARK in attrs:
        key = ServiceKey(af, fwmark=read_u32(attrs[_SVC_FWMARK]))
    else:
        key = ServiceKey(
            af, read_u16(attrs[_SVC_PROTOCOL]), _read_addr(af, attrs[_SVC_ADDR]), read_be16(attrs[_SVC_PORT])
        )
    service = Service(
        key,
        sched_name=read_cstring(attrs[_SVC_SCHED_NAME]),
        flags=read_u32(attrs[_SVC_FLAGS]) & ~_SVC_F_HASHED,
        timeout=read_u32(attrs[_SVC_TIMEOUT]),
        netmask=_read_netmask(af, attrs[_SVC_NETMASK]),
        pe_name=read_cstring(attrs.get(_SVC_PE_NAME, b"")),
    )
    return ServiceEntry(service, parse_stats(attrs.get(_SVC_STATS64) or attrs[_SVC_STATS]))


def _read_netmask(af: int, payload: bytes) -> str:
    # One field, two meanings: a mask in network order for IPv4, a prefix length in host order for IPv6.
    return socket.inet_ntoa(payload) if af == socket.AF_INET else str(read_u32(payload))


def parse_destination(payload: bytes, service_af: int) -> DestinationEntry:
    """The content of IPVS_CMD_ATTR_DEST; kernels before 3.18 do not tell the family: it is the service's."""
    attrs = parse_attrs(payload)
    af = read_u16(attrs[_DEST_ADDR_FAMILY]) if _DEST_ADDR_FAMILY in attrs else service_af
    destination = Destination(
        af,
        _read_addr(af, attrs[_DEST_ADDR]),
        read_be16(attrs[_DEST_PORT]),
        fwd_method=read_u32(attrs[_DEST_FWD_METHOD]) & _FWD_MASK,
        weight=read_u32(attrs[_DEST_WEIGHT]),
        u_thresh=read_u32(attrs[_DEST_U_THRESH]),
        l_thresh=read_u32(attrs[_DEST_L_THRESH]),
        tun_type=attrs[_DEST_TUN_TYPE][0] if _DEST_TUN_TYPE in attrs else 0,
        tun_port=read_be16(attrs[_DEST_TUN_PORT]) if _DEST_TUN_PORT in attrs else 0,
        tun_flags=read_u16(attrs[_DEST_TUN_FLAGS]) if _DEST_TUN_FLAGS in attrs else 0,
    )
    return DestinationEntry(
        destination,
        read_u32(attrs[_DEST_ACTIVE_CONNS]),
        read_u32(attrs[_DEST_INACT_CONNS]),
        read_u32(attrs[_DEST_PERSIST_CONNS]),
        parse_stats(attrs.get(_DEST_STATS64) or attrs[_DEST_STATS]),
    )


def parse_stats(payload: bytes) -> Stats:
    """The content of STATS64, or of the 32-bit STATS of kernels before 4.1 (whose byte counts are 64-bit)."""
    values = [0] * (_STATS_FIELDS + 1)
    for kind, value in iter_attrs(payload):
        if kind <= _STATS_FIELDS:
            values[kind] = read_u64(value) if len(value) == 8 else read_u32(value)
    return Stats(*values[1:])


def parse_daemon(payload: bytes) -> Daemon:
    """The content of IPVS_CMD_ATTR_DAEMON."""
    attrs = parse_attrs(payload)
    group = ""
    if _DAEMON_MCAST_GROUP in attrs:
        group = _read_addr(socket.AF_INET, attrs[_DAEMON_MCAST_GROUP])
    elif _DAEMON_MCAST_GROUP6 in attrs:
        group = _read_addr(socket.AF_INET6, attrs[_DAEMON_MCAST_GROUP6])
    return Daemon(
        read_u32(attrs[_DAEMON_STATE]),
        read_cstring(attrs[_DAEMON_MCAST_IFN]),
        read_u32(attrs[_DAEMON_SYNC_ID]),
        sync_maxlen=read_u16(attrs[_DAEMON_SYNC_MAXLEN]) if _DAEMON_SYNC_MAXLEN in attrs else 0,
        mcast_group=group,
        mcast_port=read_u16(attrs[_DAEMON_MCAST_PORT]) if _DAEMON_MCAST_PORT in attrs else 0,
        mcast_ttl=attrs[_DAEMON_MCAST_TTL][0] if _DAEMON_MCAST_TTL in attrs else 0,
    )


def parse_timeouts(attrs: dict[int, bytes]) -> Timeouts:
    """The attributes of the answer to GET_CONFIG; a protocol the kernel was built without is 0."""
    tcp, tcp_fin, udp = (
        read_u32(attrs.get(kind, b"\0" * 4))
        for kind in (_CMD_ATTR_TIMEOUT_TCP, _CMD_ATTR_TIMEOUT_TCP_FIN, _CMD_ATTR_TIMEOUT_UDP)
    )
    return Timeouts(tcp, tcp_fin, udp)


def parse_info(attrs: dict[int, bytes]) -> Info:
    """The attributes of the answer to GET_INFO; the version is one byte a part."""
    version = read_u32(attrs[_INFO_VERSION])
    return Info((version >> 16 & 0xFF, version >> 8 & 0xFF, version & 0xFF), read_u32(attrs[_INFO_CONN_TAB_SIZE]))
