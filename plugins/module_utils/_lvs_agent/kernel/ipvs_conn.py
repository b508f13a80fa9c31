# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connections that IPVS tracks, from /proc/net/ip_vs_conn (ip_vs_conn_seq_show in the kernel)."""

from __future__ import annotations

import errno
import ipaddress
from typing import NamedTuple

from .errors import KernelError
from .netns import inside

# The thread's own namespace: /proc/net is the one of the process's first thread.
_PATH = "/proc/thread-self/net/ip_vs_conn"
_TITLE = "Pro "


class ConnectionsUnreadable(KernelError):
    """The kernel's list of connections could not be read."""


class Connection(NamedTuple):
    """One entry; a template of persistence has client port 0 and the state NONE.

    ``protocol`` is tcp, udp or sctp, and ip for the template of a firewall mark, whose ``virtual`` is the mark as an
    address. ``expires_s`` are the seconds after which it goes if it stays idle. ``pe_name`` and ``pe_data`` are ""
    without a persistence engine.
    """

    protocol: str
    client: str
    client_port: int
    virtual: str
    virtual_port: int
    server: str
    server_port: int
    state: str
    expires_s: int
    pe_name: str
    pe_data: str


def connections(netns: str | None = None, client: str | None = None) -> list[Connection]:
    """Those of a network namespace (this one if None), or only one client's, in the kernel's order.

    Raises ConnectionsUnreadable, or NamespaceError.
    """
    try:
        with inside(netns), open(_PATH, encoding="utf-8", errors="replace") as file:
            text = file.read()
    except FileNotFoundError as error:
        raise ConnectionsUnreadable(
            errno.ENOENT, _PATH, "the kernel module ip_vs is not loaded: run `modprobe ip_vs`"
        ) from error
    except PermissionError as error:
        raise ConnectionsUnreadable(errno.EACCES, _PATH, "reading it needs root") from error
    found = parse(text)
    return found if client is None else [entry for entry in found if entry.client == client]


def parse(text: str) -> list[Connection]:
    """The entries of the file; its title and lines that are no entries are left out."""
    return [entry for entry in map(_parse_line, text.splitlines()) if entry is not None]


def _parse_line(line: str) -> Connection | None:
    """Pro FromIP FPrt ToIP TPrt DestIP DPrt State Expires [PEName PEData]; addresses and ports are hexadecimal."""
    words = line.split(None, 10)
    if len(words) < 9 or line.startswith(_TITLE):
        return None
    name, data = (words + ["", ""])[9:11]
    try:
        return Connection(
            words[0].lower(),
            _address(words[1]),
            int(words[2], 16),
            _address(words[3]),
            int(words[4], 16),
            _address(words[5]),
            int(words[6], 16),
            words[7],
            int(words[8]),
            name,
            data,
        )
    except ValueError:
        return None


def _address(word: str) -> str:
    """C0A80164, or fd00:0000:…:0001 in full length."""
    if ":" in word:
        return str(ipaddress.IPv6Address(word))
    return str(ipaddress.IPv4Address(int(word, 16)))
