# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``agent_needs``; what it does is in ``_lvs_agent/agent_needs``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable

from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent import agent_needs as needs


def agent_needs(
    host: str, directors: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """A director and all directors -> what its configuration asks of lvs-agent."""
    rank = directors.index(host) if host in directors else 0
    return needs.agent_needs(host, hostvars[host], rank)._asdict()


class FilterModule:
    """Filters of the role director."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name -> function."""
        return {"agent_needs": agent_needs}
