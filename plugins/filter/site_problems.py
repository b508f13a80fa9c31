# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``site_problems``; what it does is in ``_lvs_agent/conf``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable

from ansible.errors import AnsibleFilterError
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.check import site_problems as find

SEVERITIES = ("error", "warning", "all")


def site_problems(
    directors: Sequence[str],
    hostvars: Mapping[str, Mapping[str, Any]],
    real_servers: Sequence[str] = (),
    severity: str = "error",
) -> list[str]:
    """Host names and their variables -> what is wrong with the site, a sentence each."""
    if severity not in SEVERITIES:
        raise AnsibleFilterError(
            f"site_problems: severity {severity!r} is not one of {', '.join(SEVERITIES)}"
        )
    unknown = [host for host in [*directors, *real_servers] if host not in hostvars]
    if unknown:
        raise AnsibleFilterError(f"site_problems: not in the inventory: {', '.join(unknown)}")
    found = find(
        {host: hostvars[host] for host in directors}, {host: hostvars[host] for host in real_servers}
    )
    return [str(problem) for problem in found if severity in ("all", problem.severity)]


class FilterModule:
    """Filters of the role director."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name -> function."""
        return {"site_problems": site_problems}
