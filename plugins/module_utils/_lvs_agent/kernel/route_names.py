# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""iproute2's own names of routing tables, protocols, realms and so on, and this machine's.

Sources: ip-route(8), the files of iproute2 (rt_tables, rt_protos, rt_realms, rt_dsfield, group, each with a directory
of more of them), and the numbers of linux/rtnetlink.h.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

TABLES, PROTOCOLS, REALMS, DSFIELDS, GROUPS = "rt_tables", "rt_protos", "rt_realms", "rt_dsfield", "group"
# Debian 12 has them in /etc; later versions of iproute2 have their own ones in /usr.
DIRECTORIES = ("/usr/share/iproute2", "/etc/iproute2")
_LONGEST = 1 << 20
_BY_ITSELF: Mapping[str, Mapping[str, int]] = {
    TABLES: {"local": 255, "main": 254, "default": 253},
    PROTOCOLS: {"kernel": 2, "boot": 3, "static": 4, "ra": 9, "dhcp": 16, "keepalived": 18},
}


class Names:
    """Looks names up; a file is read when a name of its kind is asked for, those in later directories count more."""

    def __init__(self, directories: tuple[str, ...] = DIRECTORIES) -> None:
        self._directories = directories
        self._read: dict[str, dict[str, int]] = {}

    def of(self, kind: str) -> Mapping[str, int]:
        """Every name of a kind -> its number."""
        if kind not in self._read:
            found = dict(_BY_ITSELF.get(kind, {}))
            for directory in self._directories:
                for path in (f"{directory}/{kind}", *_more(f"{directory}/{kind}.d")):
                    found.update(_names(path))
            self._read[kind] = found
        return self._read[kind]


def _more(directory: str) -> list[str]:
    try:
        return sorted(f"{directory}/{name}" for name in os.listdir(directory) if name.endswith(".conf"))
    except OSError:
        return []


def _names(path: str) -> dict[str, int]:
    """``NUMBER NAME`` lines; what is none is ip's to complain of."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read(_LONGEST)
    except OSError:
        return {}
    found: dict[str, int] = {}
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if len(words) == 2:
            try:
                found[words[1]] = int(words[0], 0)
            except ValueError:
                continue
    return found
