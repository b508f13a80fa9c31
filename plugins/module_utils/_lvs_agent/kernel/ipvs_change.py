# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done to the IPVS table, as plain data; ``str()`` is ipvsadm's command line without the program's name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from .ipvs_types import Destination, DestinationKey, Service, ServiceKey
from .ipvsadm import key_words, place, server_line, server_words, service_line, service_words


@dataclass(frozen=True)
class AddService:
    """A virtual service that is not there yet (EEXIST)."""

    service: Service

    def __str__(self) -> str:
        return service_line(self.service)


@dataclass(frozen=True)
class EditService:
    """New settings for a virtual service that is there (ESRCH); its real servers and connections stay."""

    service: Service

    def __str__(self) -> str:
        return f"-E {service_words(self.service)}"


@dataclass(frozen=True)
class DeleteService:
    """A virtual service goes with all its real servers."""

    key: ServiceKey

    def __str__(self) -> str:
        return f"-D {key_words(self.key)}"


@dataclass(frozen=True)
class ZeroService:
    """The counters of a virtual service and of its real servers start from zero."""

    key: ServiceKey

    def __str__(self) -> str:
        return f"-Z {key_words(self.key)}"


@dataclass(frozen=True)
class AddServer:
    """A real server that the virtual service does not have yet (EEXIST)."""

    key: ServiceKey
    server: Destination

    def __str__(self) -> str:
        return server_line(self.key, self.server)


@dataclass(frozen=True)
class EditServer:
    """New settings for a real server that is there (ENOENT); its connections stay."""

    key: ServiceKey
    server: Destination

    def __str__(self) -> str:
        return f"-e {server_words(self.key, self.server)}"


@dataclass(frozen=True)
class DeleteServer:
    """A real server goes; what happens to its connections is net.ipv4.vs.expire_nodest_conn."""

    key: ServiceKey
    server: DestinationKey

    def __str__(self) -> str:
        return f"-d {key_words(self.key)} -r {place(self.server.addr, self.server.port)}"


Change = Union[AddService, EditService, DeleteService, ZeroService, AddServer, EditServer, DeleteServer]
