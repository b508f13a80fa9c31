# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which entries of the kernel's table are ours; pure.

Ours is every virtual service that the configuration has, and every one that it had when we last wrote it: what a reload
takes out is deleted, and what somebody else made is not touched. The record outlives the process in a file of the
runtime directory, which means something in the same boot only: the kernel's table ends with it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..kernel.ipvs_types import DestinationKey, ServiceKey
from .table import Table, VirtualService

_VERSION = 1


@dataclass(frozen=True)
class Owned:
    """``services`` are ours. ``servers``: where others' real servers stay (``keep_other_servers``), which are ours."""

    services: frozenset[ServiceKey] = frozenset()
    servers: Mapping[ServiceKey, frozenset[DestinationKey]] = field(default_factory=dict)

    def with_table(self, table: Table, keep_others: Collection[ServiceKey]) -> Owned:
        """With all that the table has."""
        services = self.services.union(table)
        servers = {key: names for key, names in self.servers.items() if key in keep_others}
        for key in keep_others:
            if key in table:
                servers[key] = servers.get(key, frozenset()).union(table[key].servers)
        return self if (services, servers) == (self.services, self.servers) else Owned(services, servers)

    def with_services(self, keys: Collection[ServiceKey]) -> Owned:
        """With services that are ours to delete."""
        return self if self.services.issuperset(keys) else replace(self, services=self.services.union(keys))

    def without(self, keys: Collection[ServiceKey]) -> Owned:
        """Without services that are gone."""
        if self.services.isdisjoint(keys):
            return self
        servers = {key: names for key, names in self.servers.items() if key not in keys}
        return Owned(self.services.difference(keys), servers)


def ours(kernel: VirtualService, desired: VirtualService | None, mine: frozenset[DestinationKey]) -> VirtualService:
    """A service of the kernel without the real servers that are somebody else's: neither desired nor ``mine``."""
    wanted = desired.servers if desired is not None else {}
    servers = {key: server for key, server in kernel.servers.items() if key in wanted or key in mine}
    return kernel if len(servers) == len(kernel.servers) else replace(kernel, servers=servers)


def to_json(owned: Owned, boot_id: str) -> str:
    """The record of this boot (random(4) says which it is)."""
    services = [
        [key.af, key.protocol, key.addr, key.port, key.fwmark, _servers(owned.servers.get(key))]
        for key in sorted(owned.services, key=str)
    ]
    return json.dumps({"version": _VERSION, "boot_id": boot_id, "services": services}, separators=(",", ":")) + "\n"


def _servers(names: frozenset[DestinationKey] | None) -> list[Any] | None:
    return None if names is None else [[name.af, name.addr, name.port] for name in sorted(names, key=str)]


def parse(text: str, boot_id: str) -> Owned:
    """A record's content; nothing is ours when it is of another boot. Raises ValueError for what is no record."""
    try:
        content: Any = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if (
        not isinstance(content, dict)
        or content.get("version") != _VERSION
        or not isinstance(content.get("services"), list)
    ):
        raise ValueError(f"not version {_VERSION} of the record of our virtual services")
    if content.get("boot_id") != boot_id:
        return Owned()
    try:
        found = {ServiceKey(*_checked(one[:5], (int, int, str, int, int))): one[5] for one in content["services"]}
        servers = {
            key: frozenset(DestinationKey(*_checked(name, (int, str, int))) for name in names)
            for key, names in found.items()
            if names is not None
        }
    except (TypeError, IndexError) as error:
        raise ValueError(f"no record of our virtual services: {error}") from error
    return Owned(frozenset(found), servers)


def _checked(values: Any, kinds: tuple[type, ...]) -> Any:
    if not isinstance(values, list) or [type(value) for value in values] != list(kinds):
        raise ValueError(f"{values!r:.100} is no entry of the record")
    return values
