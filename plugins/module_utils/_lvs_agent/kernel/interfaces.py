# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interface names: which exist, and what to say of one that does not."""

from __future__ import annotations

import errno
import socket

from ..spelling import closest
from .errors import InterfaceNotFound


def interface_names() -> list[str]:
    """The names of this network namespace's interfaces, in index order."""
    return [name for _index, name in socket.if_nameindex()]


def missing_interface(name: str, existing: list[str]) -> str:
    """One sentence: there is no such interface, those that exist, and the nearest spelling if one is near."""
    near = closest(name, existing)
    hint = f"; did you mean {near}?" if near else ""
    return f"there is no interface {name} here, only {', '.join(existing)}{hint}"


def require_interface(name: str) -> int:
    """The index of an interface. Raises InterfaceNotFound."""
    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        raise InterfaceNotFound(
            error.errno or errno.ENODEV, f"interface {name}", missing_interface(name, interface_names())
        ) from error
