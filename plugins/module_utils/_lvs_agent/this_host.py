# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks ask of the machine they run on: its interfaces, its users, and the files its scripts are.

The daemon asks here too, for as long as it runs: what only the checks need is not loaded for it.
"""

from __future__ import annotations

import grp
import os
import pwd
from typing import TYPE_CHECKING

from .conf.script import Account, Component

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .conf.machine import Interfaces
    from .kernel.route_messages import AddressInfo

_SYSTEM = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def interfaces() -> Interfaces | None:
    """Every interface as the kernel lists it; None when it does not."""
    from .conf.machine import Interface
    from .kernel.errors import KernelError
    from .kernel.route import RouteSocket
    from .kernel.route_messages import IFF_UP

    try:
        with RouteSocket() as kernel:
            links, addresses = kernel.links(), kernel.addresses()
    except (KernelError, OSError):
        return None
    foreign = _not_added_by_vrrp(addresses)
    found: dict[str, Interface] = {}
    for link in links:
        here = [one for one in addresses if one.ifindex == link.ifindex]
        trouble = "" if link.running else "has no carrier" if link.flags & IFF_UP else "is down"
        own = frozenset(_shown(one) for one in here if one in foreign)
        found[link.name] = Interface([_shown(one) for one in here], trouble, own)
    return found


def _not_added_by_vrrp(addresses: Sequence[AddressInfo]) -> list[AddressInfo]:
    """Those that no VRRP daemon can have added; none where that cannot be told.

    A keepalived that runs does not mark what it adds, nor can a kernel before Linux 5.18 keep the mark of lvs-agent.
    """
    from .kernel import raw_sockets
    from .kernel.route_messages import RTPROT_KEEPALIVED

    sockets = raw_sockets.inodes(raw_sockets.VRRP)
    if sockets:
        owners = raw_sockets.owners(sockets)
        known = owners and all(one.name.startswith("lvs-agent") for one in owners)
        if not known or not any(one.protocol for one in addresses):
            return []
    return [one for one in addresses if one.protocol != RTPROT_KEEPALIVED]


def _shown(one: AddressInfo) -> str:
    import ipaddress

    return f"{ipaddress.ip_address(one.address)}/{one.prefixlen}"


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
