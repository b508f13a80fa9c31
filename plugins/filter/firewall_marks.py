# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``firewall_marks``; what it does is in ``_lvs_agent/conf``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable

from ansible.errors import AnsibleFilterError
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf import firewall_marks as marks
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.problem import BadValue


def firewall_marks(entries: Sequence[Any]) -> list[dict[str, Any]]:
    """The entries of ``director_firewall_marks`` -> rules for iptables."""
    try:
        return marks.rules({marks.VARIABLE: entries})
    except BadValue as error:
        raise AnsibleFilterError(f"{marks.VARIABLE}: {error}") from error


class FilterModule:
    """Filters of the role director."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name -> function."""
        return {"firewall_marks": firewall_marks}
