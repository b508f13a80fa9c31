# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One director as the checks see it: name, variables, configuration, and where a word came from."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from . import address, real_server_hosts
from .merge import Configuration, blocks, canonical, fields, items, merge
from .places import Places
from .problem import ERROR, Position, Problem
from .schema import CONFIGURATION_VARIABLES, HOST_INSTANCES
from .schema_lvs import REAL_SERVER, VIRTUAL_SERVER
from .schema_vrrp import VRRP_INSTANCE
from .validate import label

READ_VARIABLES = (
    *CONFIGURATION_VARIABLES,
    *("director_address", "director_engine", "director_firewall_marks", "ansible_host"),
)
_SERVERS = "director_virtual_servers"


class Pool(t.NamedTuple):
    """A virtual server and its real servers, each with its path."""

    where: str
    server: t.Mapping[str, t.Any]
    real_servers: t.Sequence[tuple[str, t.Mapping[str, t.Any]]]


@dataclasses.dataclass(frozen=True)
class Director:
    """``name`` in the inventory, ``variables`` it has, ``configuration`` they make.

    One that comes from a file has the file's name, no variables, and ``places``.
    """

    name: str
    variables: t.Mapping[str, t.Any]
    configuration: Configuration
    places: Places | None = None

    @classmethod
    def of(
        cls,
        name: str,
        variables: t.Mapping[str, t.Any],
        rank: int = 0,
        real_servers: real_server_hosts.HostVariables | None = None,
    ) -> Director:
        """A director from its variables; only the ones this library reads are looked at.

        ``rank`` is its number among the directors of its site, from 0. ``real_servers`` are the hosts that its virtual
        servers may name.
        """
        # Ansible templates a host's variables when they are read: look at no other
        picked = {key: variables.get(key) for key in READ_VARIABLES}
        known = {key: value for key, value in picked.items() if value is not None and value != ""}
        if _SERVERS in known:
            known[_SERVERS] = real_server_hosts.resolved(known[_SERVERS], real_servers or {})
        return cls(str(name), known, merge(known, rank))

    @property
    def own_address(self) -> str:
        """Where its VRRP packets come from: director_address, else ansible_host, else its name."""
        return str(self.variables.get("director_address") or self.variables.get("ansible_host") or self.name)

    def instances(self) -> dict[str, t.Mapping[str, t.Any]]:
        """Its VRRP instances by name."""
        return {str(one.get("name")): one for one in self.configuration["vrrp_instance"]}

    def path(self, instance: t.Mapping[str, t.Any], word: str) -> str:
        """The variable's path of a word of an instance: the host's own variable when it came from there."""
        name = str(instance.get("name", "?"))
        own = canonical(
            VRRP_INSTANCE,
            {str(key): words for key, words in fields(self.variables.get(HOST_INSTANCES)).items()}.get(name),
        )
        variable = HOST_INSTANCES if word in own else "director_vrrp_instances"
        return f"{variable}[{name}].{word}"

    def problem(self, where: str, what: str, instead: str = "", severity: str = ERROR) -> Problem:
        """A finding on this director."""
        return Problem(where, what, instead, severity, (self.name,))

    def position(self, where: str, what: str = "") -> Position | None:
        """Where a path stands (see :meth:`.places.Places.of`); None for one that comes from variables."""
        return None if self.places is None else self.places.of(where, what)

    def sources(self, version: int) -> list[address.Address]:
        """Addresses its adverts may come from: director_address and its instances' own source addresses."""
        said = [self.own_address]
        for instance in self.configuration["vrrp_instance"]:
            said += [str(instance[word]) for word in ("mcast_src_ip", "unicast_src_ip") if word in instance]
        found = [address.try_parse(one) for one in said]
        return sorted({at for at in found if at is not None and at.version == version}, key=int)

    def servers(self) -> t.Iterator[tuple[str, t.Mapping[str, t.Any]]]:
        """Every virtual server with its path."""
        for number, server in enumerate(items(self.configuration["virtual_server"])):
            yield f"director_virtual_servers[{label(VIRTUAL_SERVER, server, number)}]", server

    @functools.cached_property
    def pools(self) -> t.Sequence[Pool]:
        """The same with the real servers; of these there can be tens of thousands, and several checks ask."""
        found: list[Pool] = []
        for where, server in self.servers():
            reals = enumerate(blocks(server.get("real_server")))
            paths = [(f"{where}.real_server[{label(REAL_SERVER, real, number)}]", real) for number, real in reals]
            found.append(Pool(where, server, paths))
        return found
