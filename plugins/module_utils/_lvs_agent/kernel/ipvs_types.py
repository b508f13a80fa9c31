# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What IPVS holds, as plain data; field names are those of linux/ip_vs.h.

Everything is in host terms: addresses are text in their canonical form, ports and numbers are ints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

# Service.flags (ip_vs.h, IP_VS_SVC_F_*). SCHED1..3 mean what the scheduler makes of them:
# sh: 1 fallback, 2 port; mh: 1 fallback, 2 port.
SVC_F_PERSISTENT = 0x01
SVC_F_ONEPACKET = 0x04
SVC_F_SCHED1 = 0x08
SVC_F_SCHED2 = 0x10
SVC_F_SCHED3 = 0x20

# Destination.fwd_method (IP_VS_CONN_F_*)
FWD_MASQ = 0
FWD_LOCALNODE = 1
FWD_TUNNEL = 2
FWD_DROUTE = 3
FWD_BYPASS = 4

# Destination.tun_type (IP_VS_CONN_F_TUNNEL_TYPE_*)
TUN_IPIP = 0
TUN_GUE = 1
TUN_GRE = 2

# Destination.tun_flags (IP_VS_TUNNEL_ENCAP_FLAG_*); 0 is no checksum
TUN_F_CSUM = 1
TUN_F_REMCSUM = 2

# What a server can have at most: the kernel counts in an int. Linux 6.1 takes a larger threshold, 7.2 does not
# (net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_add_dest).
WEIGHT_MOST = THRESHOLD_MOST = 0x7FFFFFFF

# Daemon.state (IP_VS_STATE_*)
STATE_MASTER = 1
STATE_BACKUP = 2


@dataclass(frozen=True)
class ServiceKey:
    """What identifies a virtual service: (af, protocol, addr, port), or (af, fwmark) if ``fwmark`` is not 0.

    A firewall-mark service has protocol 0, addr "" and port 0.
    """

    af: int
    protocol: int = 0
    addr: str = ""
    port: int = 0
    fwmark: int = 0

    def __str__(self) -> str:
        if self.fwmark:
            return f"virtual service of firewall mark {self.fwmark}"
        protocol = {6: "tcp", 17: "udp", 132: "sctp"}.get(self.protocol, str(self.protocol))
        addr = f"[{self.addr}]" if ":" in self.addr else self.addr
        return f"virtual service {protocol} {addr}:{self.port}"


@dataclass(frozen=True)
class Service:
    """What can be set on a virtual service.

    ``timeout`` is the persistence time in seconds and counts only with SVC_F_PERSISTENT. ``netmask`` is the
    persistence granularity in ipvsadm's spelling: "255.255.255.255" for IPv4, a prefix length "128" for IPv6;
    "" means these two when it is set, and is never read.
    """

    key: ServiceKey
    sched_name: str
    flags: int = 0
    timeout: int = 0
    netmask: str = ""
    pe_name: str = ""


@dataclass(frozen=True)
class DestinationKey:
    """What identifies a real server within its virtual service."""

    af: int
    addr: str
    port: int

    def __str__(self) -> str:
        addr = f"[{self.addr}]" if ":" in self.addr else self.addr
        return f"real server {addr}:{self.port}"


@dataclass(frozen=True)
class Destination:
    """What can be set on a real server of a virtual service; ``af`` may differ from the service's (tunnels).

    ``u_thresh`` and ``l_thresh`` are connections, 0 for no limit. The ``tun_*`` fields count with FWD_TUNNEL.
    """

    af: int
    addr: str
    port: int
    fwd_method: int
    weight: int
    u_thresh: int = 0
    l_thresh: int = 0
    tun_type: int = TUN_IPIP
    tun_port: int = 0
    tun_flags: int = 0

    @property
    def key(self) -> DestinationKey:
        """What identifies it."""
        return DestinationKey(self.af, self.addr, self.port)


# Listings are long, so their entries are tuples: a third of the memory, and of the time to make one.


class Stats(NamedTuple):
    """Counters since the last zeroing, and the kernel's estimates of the current rates for each second."""

    conns: int
    inpkts: int
    outpkts: int
    inbytes: int
    outbytes: int
    cps: int
    inpps: int
    outpps: int
    inbps: int
    outbps: int


class ServiceEntry(NamedTuple):
    """A virtual service as the kernel lists it."""

    service: Service
    stats: Stats


class DestinationEntry(NamedTuple):
    """A real server as the kernel lists it, with its connections now."""

    destination: Destination
    active_conns: int
    inact_conns: int
    persist_conns: int
    stats: Stats


@dataclass(frozen=True)
class Daemon:
    """A connection synchronisation daemon; ``sync_maxlen`` is its UDP payload in bytes.

    When it is set, 0 or "" in the last four leave the choice to the kernel (by the interface's MTU, 224.0.0.81, 8848,
    1). They are read as 0 or "" from kernels before 4.3, which do not tell them.
    """

    state: int
    mcast_ifn: str
    sync_id: int
    sync_maxlen: int = 0
    mcast_group: str = ""
    mcast_port: int = 0
    mcast_ttl: int = 0


@dataclass(frozen=True)
class Timeouts:
    """Seconds after which an idle connection entry goes; 0 leaves one as it is when they are set."""

    tcp: int
    tcp_fin: int
    udp: int


@dataclass(frozen=True)
class Info:
    """The version of the IPVS core, and the buckets of its connection table."""

    version: tuple[int, int, int]
    conn_tab_size: int
