# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks through the VIP (``check_via_vip``): for each such real server a virtual service of its own; pure.

The check's packets to the VIP have a firewall mark, by which IPVS sends them to that one real server as it sends those
of clients. Each UDP packet is scheduled anew: a port may soon be another check's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from ..health.plan import CheckPlan
from ..kernel.ipvs_types import SVC_F_ONEPACKET, Service, ServiceKey
from ..kernel.ipvsadm import full_netmask
from .plan import VirtualServerPlan
from .table import Table, virtual_service


def table(virtual_servers: Iterable[VirtualServerPlan], checks: Iterable[CheckPlan]) -> Table:
    """The services that these checks need."""
    marks = marks_of(checks)
    found: Table = {}
    for virtual in virtual_servers if marks else ():
        for server in virtual.servers:
            mark = marks.get((virtual.name, server.name))
            if mark is None:
                continue
            like = virtual.services[0]
            key = ServiceKey(like.key.af, fwmark=mark)
            service = Service(key, like.sched_name, SVC_F_ONEPACKET, 0, full_netmask(key.af))
            # a mark has no port: the packet's stays
            only = dataclasses.replace(server.destination, port=0, weight=1, u_thresh=0, l_thresh=0)
            found[key] = virtual_service(service, [only])
    return found


def marks_of(checks: Iterable[CheckPlan]) -> dict[tuple[str, str], int]:
    """The marks of the real servers that are checked so, by virtual and real server."""
    found: dict[tuple[str, str], int] = {}
    for one in checks:
        endpoint = getattr(one.check, "endpoint", None)
        if one.via_vip and endpoint is not None:
            found[one.id.service, one.id.server] = endpoint.fwmark
    return found
