# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``director_needs``; what it does is in ``_lvs_agent/conf``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable

from ansible.errors import AnsibleFilterError
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.host_needs import host_needs
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.problem import BadValue


def director_needs(
    host: str, directors: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[Any]]:
    """A director and all directors -> the options of the module host_info for it."""
    try:
        return host_needs(host, {name: hostvars[name] for name in [*directors, host]})
    except BadValue as error:
        raise AnsibleFilterError(f"director_needs: {error}") from error


class FilterModule:
    """Filters of the role director."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name -> function."""
        return {"director_needs": director_needs}
