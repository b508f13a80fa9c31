# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connections that IPVS tracks, from /proc/net/ip_vs_conn (ip_vs_conn_seq_show in the kernel)."""

from __future__ import annotations

import errno
import ipaddress
from typing import TYPE_CHECKING, NamedTuple

from .errors import KernelError
from .netns import inside

if TYPE_CHECKING:
    from collections.abc import Iterable

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

    Raises ConnectionsUnreadable, NamespaceError, or ValueError for a client that is no IP address.
    """
    word = "" if client is None else _word(client)
    try:
        with inside(netns), open(_PATH, encoding="utf-8", errors="replace") as file:
            # A busy director has millions: only what is wanted is kept.
            return parse(line for line in file if line.split(None, 2)[1:2] == [word] or not word)
    except FileNotFoundError as error:
        raise ConnectionsUnreadable(
            errno.ENOENT, _PATH, "the kernel module ip_vs is not loaded: run `modprobe ip_vs`"
        ) from error
    except PermissionError as error:
        raise ConnectionsUnreadable(errno.EACCES, _PATH, "reading it needs root") from error


def parse(lines: Iterable[str]) -> list[Connection]:
    """The entries of the file's lines; its title and lines that are no entries are left out."""
    return [entry for entry in map(_parse_line, lines) if entry is not None]


def _parse_line(line: str) -> Connection | None:
    """Pro FromIP FPrt ToIP TPrt DestIP DPrt State Expires [PEName PEData]; addresses and ports are hexadecimal."""
    words = line.rstrip("\n").split(None, 10)
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


def _word(address: str) -> str:
    """An address as the kernel writes it here."""
    parsed = ipaddress.ip_address(address)
    return parsed.exploded if parsed.version == 6 else f"{int(parsed):08X}"
