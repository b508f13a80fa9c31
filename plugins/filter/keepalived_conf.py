# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``keepalived_conf``; what it does is in ``_lvs_agent/conf``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

from ansible.errors import AnsibleFilterError
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.problem import ConfigurationError
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.render import render_variables


def keepalived_conf(variables: Mapping[str, Any], host: str = "this host") -> str:
    """A director's variables -> the text of its keepalived.conf."""
    if not isinstance(variables, Mapping):
        raise AnsibleFilterError("keepalived_conf takes a mapping of the director_* variables")
    try:
        return render_variables(variables, host)
    except ConfigurationError as error:
        raise AnsibleFilterError(f"keepalived.conf of {host} cannot be written:\n{error}") from error


class FilterModule:
    """Filters of the role director."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name -> function."""
        return {"keepalived_conf": keepalived_conf}
