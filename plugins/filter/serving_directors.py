# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``serving_directors``; what it does is in ``_lvs_agent/conf``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable

from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf import check_localnode
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.director import Director


def serving_directors(
    directors: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]], real_servers: Sequence[str] = ()
) -> list[str]:
    """Directors -> those of them that are real servers by DR or TUN too."""
    hosts = {host: hostvars[host] for host in real_servers if host in hostvars}
    pair = [Director.of(host, hostvars[host], rank, hosts) for rank, host in enumerate(directors)]
    return check_localnode.serving(pair, hosts)


class FilterModule:
    """Filters of the role director."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name -> function."""
        return {"serving_directors": serving_directors}
