# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable

from ansible.errors import AnsibleFilterError
from ansible_collections.linuxha.lvs.plugins.module_utils._lab import inventory
from ansible_collections.linuxha.lvs.plugins.module_utils._lab.errors import LabError


def lab_hosts(
    names: Sequence[str],
    hostvars: Mapping[str, Mapping[str, Any]],
    real_servers: Sequence[str],
    lab_only: Sequence[Mapping[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    try:
        return inventory.lab_hosts(names, hostvars, real_servers, lab_only)
    except LabError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Filters of the role lab."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"lab_hosts": lab_hosts}
