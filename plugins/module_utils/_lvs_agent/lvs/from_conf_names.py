# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real servers of a settled configuration that have a DNS name (``@lvs_agent resolve``); pure."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from ..conf import model
from ..conf.merge import blocks
from ..health.from_conf import server_key, service_key
from .plan import NamePlan

Words = Mapping[str, Any]

_SECOND = 1_000_000_000
_REFRESH_SECONDS = 30


def names(configuration: Words) -> tuple[NamePlan, ...]:
    """In the file's order."""
    found: list[NamePlan] = []
    for virtual in configuration["virtual_server"]:
        servers = blocks(virtual.get("real_server"))
        if not any("resolve" in real for real in servers):
            continue
        service = service_key(virtual)
        fixed: dict[int, list[str]] = {}
        for real in servers:
            if "resolve" not in real:
                fixed.setdefault(_port(real), []).append(str(real["ip"]))
        others = {port: tuple(addresses) for port, addresses in fixed.items()}
        found += [_name(real, service, others) for real in servers if "resolve" in real]
    return tuple(found)


def _name(real: Words, service: str, others: Mapping[int, tuple[str, ...]]) -> NamePlan:
    name, *seconds = str(real["resolve"]).split()
    address = str(real["ip"])
    return NamePlan(
        service=service,
        server=server_key(real),
        name=name,
        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
        fallback=address,
        port=_port(real),
        refresh_ns=int(seconds[0] if seconds else _REFRESH_SECONDS) * _SECOND,
        others=others.get(_port(real), ()),
    )


def _port(real: Words) -> int:
    return model.whole(real.get("port")) or 0
