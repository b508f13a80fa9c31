# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``needs_template_expiry``; what it does is in ``_lvs_agent/conf``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable

from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf import needs


def needs_template_expiry(virtual_servers: Sequence[Mapping[str, Any]]) -> bool:
    """Virtual servers -> whether one of them is persistent."""
    return needs.needs_template_expiry({"director_virtual_servers": virtual_servers})


class FilterModule:
    """Filters of the role director."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name -> function."""
        return {"needs_template_expiry": needs_template_expiry}
