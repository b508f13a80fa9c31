# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks ask of the machine they run on: its interfaces, its users, and the files its scripts are.

The daemon asks here too, for as long as it runs: what only the checks need is not loaded for it.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
from typing import TYPE_CHECKING

from .conf.script import Account, Component

if TYPE_CHECKING:
    from .conf.check_local import Interfaces

_SYSTEM = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def interfaces() -> Interfaces | None:
    """Every interface with its addresses, as ``ip -json address`` has them; None when that cannot be asked."""
    import subprocess

    program = _which("ip")
    if program is None:
        return None
    try:
        said = subprocess.run([program, "-json", "address"], capture_output=True, timeout=10, check=True).stdout
        return {
            str(link["ifname"]): [f"{one['local']}/{one['prefixlen']}" for one in link["addr_info"] if "local" in one]
            for link in json.loads(said)
            if "ifname" in link
        }
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return None


def account(user: str, group: str) -> Account | None:
    """A user by name or number, with a group, its own by default; None when this machine lacks one of the two."""
    try:
        entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
        number = entry.pw_gid
        if group:
            number = (grp.getgrgid(int(group)) if group.isdigit() else grp.getgrnam(group)).gr_gid
    except (KeyError, OverflowError):
        return None
    return Account(entry.pw_uid, number)


def command(name: str) -> list[Component]:
    """A command's path, from the root to the file, symbolic links followed; looked for in PATH without a slash.

    It ends with the first part that is not there or cannot be looked at. Empty for a name that PATH does not have.
    """
    path = name if "/" in name else _which(name)
    if path is None:
        return []
    found: list[Component] = []
    real = os.path.realpath(path)
    parts = [real[:place] or "/" for place, sign in enumerate(real) if sign == "/"] + [real]
    for part in dict.fromkeys(parts):
        try:
            status = os.stat(part)
        except (OSError, ValueError):
            found.append(Component(part, None))
            break
        found.append(Component(part, status.st_mode, status.st_uid, status.st_gid))
    return found


def _which(name: str) -> str | None:
    """Where a command is; a user's PATH often lacks the directories of the administrator."""
    places = [*os.environ.get("PATH", os.defpath).split(os.pathsep), *_SYSTEM]
    paths = [os.path.join(place, name) for place in places]
    return next((path for path in paths if os.path.exists(path) and not os.path.isdir(path)), None)
