# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual servers to decide about, and a kernel to write to."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence

from _lvs_agent.health.plan import CheckId
from _lvs_agent.kernel import ipvs_change as change
from _lvs_agent.kernel.ipvs_errors import ChangeRefused
from _lvs_agent.kernel.ipvs_types import (
    FWD_DROUTE,
    Destination,
    DestinationEntry,
    DestinationKey,
    Service,
    ServiceEntry,
    ServiceKey,
    Stats,
)
from _lvs_agent.lvs.plan import RealServerPlan, SorryPlan, VirtualServerPlan
from _lvs_agent.lvs.table import Table, VirtualService

SERVICE = "TCP 192.0.2.1:80"
KEY = ServiceKey(socket.AF_INET, socket.IPPROTO_TCP, "192.0.2.1", 80)
STATS = Stats(*[0] * 10)
SORRY = SorryPlan("10.0.0.99:80", Destination(socket.AF_INET, "10.0.0.99", 80, FWD_DROUTE, 1))


def name(number: int) -> str:
    return f"10.0.0.{number}:80"


def check(number: int, ordinal: int = 0, kind: str = "TCP_CHECK") -> CheckId:
    return CheckId(SERVICE, name(number), kind, ordinal)


def real(number: int, weight: int = 1, **words: object) -> RealServerPlan:
    """A real server with one TCP_CHECK, unless it says which."""
    found = RealServerPlan(
        name(number),
        Destination(socket.AF_INET, f"10.0.0.{number}", 80, FWD_DROUTE, weight),
        (check(number),),
        notify_up=f"up {number}",
        notify_down=f"down {number}",
    )
    return found._replace(**words)  # type: ignore[arg-type]


def virtual(servers: Iterable[RealServerPlan], **words: object) -> VirtualServerPlan:
    service = Service(KEY, "wlc", netmask="255.255.255.255")
    given = {"quorum_up": "gained", "quorum_down": "lost", **words}
    return VirtualServerPlan(SERVICE, (service,), tuple(servers), **given)  # type: ignore[arg-type]


class ModelKernel:
    """A table that refuses what ip_vs_ctl.c refuses, in a batch like the real one: the rest of it goes on."""

    def __init__(self, table: Table | None = None) -> None:
        self.table: Table = dict(table or {})
        self.changes: list[change.Change] = []
        self.refuse: set[ServiceKey] = set()
        self.listings = 0
        self.closed = False

    def services(self) -> list[ServiceEntry]:
        self.listings += 1
        return [ServiceEntry(one.service, STATS) for one in self.table.values()]

    def digest(self, key: ServiceKey) -> tuple[int, int]:
        servers = self.table[key].servers.values() if key in self.table else ()
        return len(servers), sum(map(hash, servers))

    def destinations_and_digest(self, key: ServiceKey) -> tuple[list[DestinationEntry], tuple[int, int]]:
        servers = self.table[key].servers.values() if key in self.table else ()
        return [DestinationEntry(one, 0, 0, 0, STATS) for one in servers], self.digest(key)

    def apply(self, changes: Sequence[change.Change]) -> None:
        refused: list[tuple[int, change.Change]] = []
        for one in changes:
            code = self._do(one)
            if code:
                refused.append((code, one))
            else:
                self.changes.append(one)
        if refused:
            raise ChangeRefused(*refused[0], "no", len(refused) - 1)

    def flush(self) -> None:
        self.table.clear()

    def close(self) -> None:
        self.closed = True

    def _do(self, what: change.Change) -> int:
        if isinstance(what, (change.AddService, change.EditService)):
            return self._service(what)
        if what.key not in self.table:
            return 3  # ESRCH
        if isinstance(what, change.DeleteService):
            del self.table[what.key]
            return 0
        assert not isinstance(what, change.ZeroService)
        return self._server(what)

    def _service(self, what: change.AddService | change.EditService) -> int:
        key, there = what.service.key, what.service.key in self.table
        if key in self.refuse:
            return 2
        if there is isinstance(what, change.AddService):
            return 17 if there else 3
        self.table[key] = VirtualService(what.service, dict(self.table[key].servers) if there else {})
        return 0

    def _server(self, what: change.AddServer | change.EditServer | change.DeleteServer) -> int:
        servers: dict[DestinationKey, Destination] = dict(self.table[what.key].servers)
        name = what.server if isinstance(what, change.DeleteServer) else what.server.key
        if (name in servers) is isinstance(what, change.AddServer):
            return 17 if name in servers else 2
        if isinstance(what, change.DeleteServer):
            del servers[name]
        else:
            servers[name] = what.server
        self.table[what.key] = VirtualService(self.table[what.key].service, servers)
        return 0
