# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``backup_first``; what it does is in ``_lvs_agent/conf``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable

from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf import needs


def backup_first(directors: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Directors -> the same, the one most likely to be master last."""
    return needs.backup_first({host: hostvars[host] for host in directors})


class FilterModule:
    """Filters of the role director."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name -> function."""
        return {"backup_first": backup_first}
