# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``platform_problem``: whether the roles know a host's platform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

OLDEST_DEBIAN = 12


def platform_problem(host: str, facts: Mapping[str, Any]) -> str:
    """A host's name, and its facts of the subset distribution -> why the roles do not run there, or "".

    A Debian that is not released yet has a name as ``trixie/sid`` instead of a number.
    """
    name, release = facts["ansible_distribution"], str(facts["ansible_distribution_major_version"])
    number = int(release) if release.isascii() and release.isdigit() else None
    if name == "Debian" and (number >= OLDEST_DEBIAN if number is not None else release.endswith("/sid")):
        return ""
    return f"{host} runs {name} {release}; the roles need Debian {OLDEST_DEBIAN} or newer"


class FilterModule:
    """Filters of all roles that change hosts."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name -> function."""
        return {"platform_problem": platform_problem}
