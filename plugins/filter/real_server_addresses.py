# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``real_server_addresses``; what it does is in ``_lvs_agent/conf``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable

from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.real_server_hosts import resolved


def real_server_addresses(
    virtual_servers: Sequence[Mapping[str, Any]],
    hostvars: Mapping[str, Mapping[str, Any]],
    real_servers: Sequence[str] = (),
) -> Sequence[Mapping[str, Any]]:
    """Virtual servers -> the same, with addresses where their real servers name hosts."""
    hosts = {host: hostvars[host] for host in real_servers if host in hostvars}
    found: Sequence[Mapping[str, Any]] = resolved(virtual_servers, hosts)
    return found


class FilterModule:
    """Filters of the role director."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name -> function."""
        return {"real_server_addresses": real_server_addresses}
