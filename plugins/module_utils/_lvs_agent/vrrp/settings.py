# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings under /proc/sys that are changed while something needs them, and put back when nothing does any more.

What they were before is told to the supervisor before they are changed: a process that starts after a crash is given
it, and puts back what the one before it could not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..kernel import sysctl
from ..kernel.errors import KernelError

Key = tuple[str, ...]
#: Path below /proc/sys -> the value before.
Former = Mapping[str, str]

IGMP_REPORTS: Key = ("net", "ipv4", "igmp_link_local_mcast_reports")


class Need(NamedTuple):
    """A setting's path, and its value; ``least``: a higher one is as good."""

    key: Key
    value: str
    least: bool = False


class Settings:
    """What ``owner`` needs is there until it is ``done``. ``told`` hears of each new value before."""

    def __init__(self, told: Callable[[Former], None]) -> None:
        self._told = told
        self._former: dict[str, str] = {}
        self._owners: dict[str, set[str]] = {}

    def adopt(self, former: Former) -> None:
        """A process before this one has changed these, and did not put them back."""
        for path, value in former.items():
            self._former.setdefault(path, value)
            self._owners.setdefault(path, set())

    def need(self, owner: str, *needs: Need) -> None:
        """Raises KernelError at the first one that is refused."""
        for one in needs:
            path = "/".join(one.key)
            now = sysctl.read(one.key)
            self._owners.setdefault(path, set()).add(owner)
            if now == one.value or (one.least and int(now) >= int(one.value)):
                continue
            if path not in self._former:
                self._former[path] = now
                self._told(self._former)
            sysctl.write(one.key, one.value)

    def has(self, owner: str) -> bool:
        """Whether it needs something already."""
        return any(owner in owners for owners in self._owners.values())

    def done(self, owner: str) -> list[str]:
        """It needs none of its settings any more; what could not be put back, in words."""
        for owners in self._owners.values():
            owners.discard(owner)
        return self.settle()

    def settle(self) -> list[str]:
        """Put back what nobody needs; what could not be, in words. An interface may have gone with its settings."""
        problems: list[str] = []
        idle = [path for path, owners in self._owners.items() if not owners]
        for path in idle:
            del self._owners[path]
            value = self._former.pop(path, None)
            key = tuple(path.split("/"))
            if value is None or not sysctl.exists(key):
                continue
            try:
                sysctl.write(key, value)
            except KernelError as error:
                problems.append(str(error))
        if idle:
            self._told(self._former)
        return problems
