# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``engine_verdict``; what it does is in ``_lvs_agent/engine_verdict``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable

from ansible.errors import AnsibleFilterError
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent import engine_verdict as verdict


def engine_verdict(
    host: str,
    directors: Sequence[str],
    hostvars: Mapping[str, Mapping[str, Any]],
    engine: str = "agent",
    real_servers: Sequence[str] = (),
) -> dict[str, Any]:
    """A director and all directors -> what the engine is going to say of its keepalived.conf."""
    if engine not in verdict.ENGINES:
        raise AnsibleFilterError(f"engine_verdict: engine {engine!r} is not one of {', '.join(verdict.ENGINES)}")
    rank = directors.index(host) if host in directors else 0
    named = {name: hostvars[name] for name in real_servers if name in hostvars}
    return verdict.engine_verdict(host, hostvars[host], rank, engine, named)._asdict()


class FilterModule:
    """Filters of the role director."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name -> function."""
        return {"engine_verdict": engine_verdict}
