# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPVS messages -> plain data; pure. Everything here raises MalformedMessage, and nothing else.

Sources: linux/ip_vs.h, and ip_vs_genl_fill_* in net/netfilter/ipvs/ip_vs_ctl.c. Each function takes the whole payload
of a generic netlink message.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import TYPE_CHECKING

from . import ipvs_numbers as n
from .genl import pack_genl, parse_genl
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
    MalformedMessage,
    attr_header,
    iter_attrs,
    parse_attrs,
    read_be16,
    read_cstring,
    read_u8,
    read_u16,
    read_u32,
    read_u64,
    u32,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


_ADDR_BYTES = {int(socket.AF_INET): 4, int(socket.AF_INET6): 16}

# The order in which kernels since 5.3 send a real server, its address before and its STATS64 behind this.
_USUAL_ORDER = (
    (n.DEST_PORT, "Hxx", 2),
    (n.DEST_FWD_METHOD, "I", 4),
    (n.DEST_WEIGHT, "I", 4),
    (n.DEST_TUN_TYPE, "Bxxx", 1),
    (n.DEST_TUN_PORT, "Hxx", 2),
    (n.DEST_TUN_FLAGS, "Hxx", 2),
    (n.DEST_U_THRESH, "I", 4),
    (n.DEST_L_THRESH, "I", 4),
    (n.DEST_ACTIVE_CONNS, "I", 4),
    (n.DEST_INACT_CONNS, "I", 4),
    (n.DEST_PERSIST_CONNS, "I", 4),
    (n.DEST_ADDR_FAMILY, "Hxx", 2),
)


def _usual_layout(padded: bool) -> tuple[struct.Struct, tuple[object, ...]]:
    """A whole real server as one struct of headers and values by turns, and its headers.

    What opens a nest is one header with the first attribute inside. Of the 32-bit STATS nothing is read. Machines that
    cannot read 64 bits at an odd place (not x86-64, arm64, s390x, ppc64le) have a padding attribute before such values.
    """
    before = u32(attr_header(n.STATS_PAD, 0)) if padded else b""
    step = len(before)
    stats_bytes = n.STATS_BYTES + 2 * step
    stats64_bytes = n.STATS_FIELDS * 12 + (n.STATS_FIELDS - 1) * step
    layout = struct.Struct(
        "=12s16s"
        + "".join(f"I{value}" for _kind, value, _size in _USUAL_ORDER)
        + f"IB{stats_bytes - 1}x8sQ"
        + f"{4 + step}sQ" * (n.STATS_FIELDS - 1)
    )
    first = pack_genl(n.CMD_NEW_DEST, n.GENL_VERSION) + u32(attr_header(n.CMD_ATTR_DEST, layout.size - 8))
    headers = (
        first + u32(attr_header(n.DEST_ADDR, 16)),
        *(attr_header(kind, size) for kind, _value, size in _USUAL_ORDER),
        attr_header(n.DEST_STATS, stats_bytes),
        u32(attr_header(n.DEST_STATS64, stats64_bytes)) + u32(attr_header(1, 8)),
        *(before + u32(attr_header(kind, 8)) for kind in range(2, n.STATS_FIELDS + 1)),
    )
    return layout, headers


_NO_LAYOUT: tuple[None, tuple[()]] = (None, ())
# size -> layout
_USUAL = {layout.size: (layout, headers) for layout, headers in map(_usual_layout, (False, True))}


# Where in that the counts of connections begin, and where the address family stands behind them: 8 bytes each
_KINDS = [kind for kind, _value, _size in _USUAL_ORDER]
_COUNTS = 28 + 8 * _KINDS.index(n.DEST_ACTIVE_CONNS)
_FAMILY = 28 + 8 * _KINDS.index(n.DEST_ADDR_FAMILY)


@contextlib.contextmanager
def _understanding() -> Iterator[None]:
    """What Python says of a part that is missing, too short or no address becomes MalformedMessage."""
    try:
        yield
    except KeyError as error:
        raise MalformedMessage(f"attribute {error} is missing") from error
    except (struct.error, OSError, ValueError) as error:
        raise MalformedMessage(str(error)) from error


def _read_addr(af: int, payload: bytes) -> str:
    return socket.inet_ntop(af, payload[: 4 if af == socket.AF_INET else 16])


def parse_service(payload: bytes) -> ServiceEntry:
    """An entry of the listing of services."""
    with _understanding():
        attrs = parse_attrs(parse_genl(payload)[n.CMD_ATTR_SERVICE])
        af = read_u16(attrs[n.SVC_AF])
        if n.SVC_FWMARK in attrs:
            key = ServiceKey(af, fwmark=read_u32(attrs[n.SVC_FWMARK]))
        else:
            key = ServiceKey(
                af, read_u16(attrs[n.SVC_PROTOCOL]), _read_addr(af, attrs[n.SVC_ADDR]), read_be16(attrs[n.SVC_PORT])
            )
        service = Service(
            key,
            sched_name=read_cstring(attrs[n.SVC_SCHED_NAME]),
            flags=read_u32(attrs[n.SVC_FLAGS]) & ~n.SVC_F_HASHED,
            timeout=read_u32(attrs[n.SVC_TIMEOUT]),
            netmask=_read_netmask(af, attrs[n.SVC_NETMASK]),
            pe_name=read_cstring(attrs.get(n.SVC_PE_NAME, b"")),
        )
        return ServiceEntry(service, _read_stats(attrs.get(n.SVC_STATS64) or attrs[n.SVC_STATS]))


def _read_netmask(af: int, payload: bytes) -> str:
    # One field, two meanings: a mask in network order for IPv4, a prefix length in host order for IPv6.
    return socket.inet_ntoa(payload) if af == socket.AF_INET else str(read_u32(payload))


def parse_destination(payload: bytes, service_af: int) -> DestinationEntry:
    """An entry of the listing of a service's real servers, whose address family is ``service_af``.

    The layouts that kernels since 5.3 send are read at once; any other one attribute by attribute.
    """
    layout, headers = _USUAL.get(len(payload), _NO_LAYOUT)
    if layout is not None:
        parts = layout.unpack(payload)
        values = parts[1::2]
        af = values[12]
        if parts[::2] == headers and af in _ADDR_BYTES:
            destination = Destination(
                af,
                socket.inet_ntop(af, values[0][: _ADDR_BYTES[af]]),
                socket.ntohs(values[1]),
                values[2] & n.FWD_MASK,
                values[3],
                values[7],
                values[8],
                values[4],
                socket.ntohs(values[5]),
                values[6],
            )
            return DestinationEntry(destination, values[9], values[10], values[11], Stats(*values[14:]))
    return _general_destination(payload, service_af)


def digest_destination(payload: bytes) -> int:
    """A number that is the same for the same settings of a real server, whatever its connections; in this process."""
    if len(payload) in _USUAL:
        return hash(payload[:_COUNTS] + payload[_FAMILY : _FAMILY + 8])
    return hash(_general_destination(payload, 0).destination)


def _general_destination(payload: bytes, service_af: int) -> DestinationEntry:
    """The attributes in any order; kernels before 3.18 do not tell the family: it is the service's."""
    with _understanding():
        attrs = parse_attrs(parse_genl(payload)[n.CMD_ATTR_DEST])
        af = read_u16(attrs[n.DEST_ADDR_FAMILY]) if n.DEST_ADDR_FAMILY in attrs else service_af
        destination = Destination(
            af,
            _read_addr(af, attrs[n.DEST_ADDR]),
            read_be16(attrs[n.DEST_PORT]),
            fwd_method=read_u32(attrs[n.DEST_FWD_METHOD]) & n.FWD_MASK,
            weight=read_u32(attrs[n.DEST_WEIGHT]),
            u_thresh=read_u32(attrs[n.DEST_U_THRESH]),
            l_thresh=read_u32(attrs[n.DEST_L_THRESH]),
            tun_type=read_u8(attrs[n.DEST_TUN_TYPE]) if n.DEST_TUN_TYPE in attrs else 0,
            tun_port=read_be16(attrs[n.DEST_TUN_PORT]) if n.DEST_TUN_PORT in attrs else 0,
            tun_flags=read_u16(attrs[n.DEST_TUN_FLAGS]) if n.DEST_TUN_FLAGS in attrs else 0,
        )
        return DestinationEntry(
            destination,
            read_u32(attrs[n.DEST_ACTIVE_CONNS]),
            read_u32(attrs[n.DEST_INACT_CONNS]),
            read_u32(attrs[n.DEST_PERSIST_CONNS]),
            _read_stats(attrs.get(n.DEST_STATS64) or attrs[n.DEST_STATS]),
        )


def _read_stats(payload: bytes) -> Stats:
    """The content of STATS64, or of the 32-bit STATS of kernels before 4.1 (whose byte counts are 64-bit)."""
    values = [0] * (n.STATS_FIELDS + 1)
    for kind, value in iter_attrs(payload):
        if kind <= n.STATS_FIELDS:
            values[kind] = read_u64(value) if len(value) == 8 else read_u32(value)
    return Stats(*values[1:])


def parse_daemon(payload: bytes) -> Daemon:
    """An entry of the listing of synchronisation daemons."""
    with _understanding():
        attrs = parse_attrs(parse_genl(payload)[n.CMD_ATTR_DAEMON])
        group = ""
        if n.DAEMON_MCAST_GROUP in attrs:
            group = _read_addr(socket.AF_INET, attrs[n.DAEMON_MCAST_GROUP])
        elif n.DAEMON_MCAST_GROUP6 in attrs:
            group = _read_addr(socket.AF_INET6, attrs[n.DAEMON_MCAST_GROUP6])
        return Daemon(
            read_u32(attrs[n.DAEMON_STATE]),
            read_cstring(attrs[n.DAEMON_MCAST_IFN]),
            read_u32(attrs[n.DAEMON_SYNC_ID]),
            sync_maxlen=read_u16(attrs[n.DAEMON_SYNC_MAXLEN]) if n.DAEMON_SYNC_MAXLEN in attrs else 0,
            mcast_group=group,
            mcast_port=read_u16(attrs[n.DAEMON_MCAST_PORT]) if n.DAEMON_MCAST_PORT in attrs else 0,
            mcast_ttl=read_u8(attrs[n.DAEMON_MCAST_TTL]) if n.DAEMON_MCAST_TTL in attrs else 0,
        )


def parse_timeouts(payload: bytes) -> Timeouts:
    """The answer to GET_CONFIG; a protocol the kernel was built without is 0."""
    with _understanding():
        attrs = parse_genl(payload)
        tcp, tcp_fin, udp = (
            read_u32(attrs.get(kind, b"\0" * 4))
            for kind in (n.CMD_ATTR_TIMEOUT_TCP, n.CMD_ATTR_TIMEOUT_TCP_FIN, n.CMD_ATTR_TIMEOUT_UDP)
        )
        return Timeouts(tcp, tcp_fin, udp)


def parse_info(payload: bytes) -> Info:
    """The answer to GET_INFO; the version is one byte a part."""
    with _understanding():
        attrs = parse_genl(payload)
        version = read_u32(attrs[n.INFO_VERSION])
        size = read_u32(attrs[n.INFO_CONN_TAB_SIZE])
        return Info((version >> 16 & 0xFF, version >> 8 & 0xFF, version & 0xFF), size)
