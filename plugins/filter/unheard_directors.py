# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``unheard_directors``; what it does is in ``_lvs_agent/conf/check_heard``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable

from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf import check_heard


def unheard_directors(directors: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of all directors of a site, and ``hostvars`` -> a sentence for each that another one does not send to."""
    return [str(one) for one in check_heard.problems({name: hostvars[name] for name in directors})]


class FilterModule:
    """Filters of the role director."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name -> function."""
        return {"unheard_directors": unheard_directors}
