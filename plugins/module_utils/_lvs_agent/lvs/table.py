# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The IPVS table as one plain value, read or wanted: what is compared and what a diff shows; pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..kernel.ipvs_types import FWD_TUNNEL, SVC_F_PERSISTENT, TUN_IPIP, Destination, DestinationKey, Service, ServiceKey
from ..kernel.ipvsadm import full_netmask, server_line, service_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..kernel.ipvs_types import DestinationEntry, ServiceEntry


@dataclass(frozen=True)
class VirtualService:
    """A virtual service with its real servers. Make it with :func:`virtual_service`, so that equal ones compare so."""

    service: Service
    servers: Mapping[DestinationKey, Destination] = field(default_factory=dict)


Table = dict[ServiceKey, VirtualService]


def virtual_service(service: Service, servers: Iterable[Destination] = ()) -> VirtualService:
    """The normal form: what counts for nothing (see ipvs_types) is 0, an unsaid netmask is the default."""
    return VirtualService(_normal_service(service), {server.key: _normal_server(server) for server in servers})


def _normal_service(service: Service) -> Service:
    if not service.flags & SVC_F_PERSISTENT and service.timeout:
        service = replace(service, timeout=0)
    return service if service.netmask else replace(service, netmask=full_netmask(service.key.af))


def _normal_server(server: Destination) -> Destination:
    if server.fwd_method != FWD_TUNNEL and (server.tun_type, server.tun_port, server.tun_flags) != (TUN_IPIP, 0, 0):
        return replace(server, tun_type=TUN_IPIP, tun_port=0, tun_flags=0)
    return server


def from_entries(entries: Mapping[ServiceKey, tuple[ServiceEntry, Sequence[DestinationEntry]]]) -> Table:
    """What the kernel listed (``Ipvs.table``), without counters and connections."""
    return {
        key: virtual_service(entry.service, (server.destination for server in servers))
        for key, (entry, servers) in entries.items()
    }


def lines(table: Table) -> list[str]:
    """The table as ``ipvsadm -Sn`` prints it, with the thresholds that it leaves out, in the table's order."""
    return [
        line
        for key, virtual in table.items()
        for line in (service_line(virtual.service), *(server_line(key, server) for server in virtual.servers.values()))
    ]
