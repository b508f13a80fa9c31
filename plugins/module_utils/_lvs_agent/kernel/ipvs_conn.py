# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connections that IPVS tracks, from /proc/net/ip_vs_conn (ip_vs_conn_seq_show in the kernel)."""

from __future__ import annotations

import errno
import ipaddress
import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from .errors import KernelError
from .netns import inside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    T = TypeVar("T")

# The thread's own namespace: /proc/net is the one of the process's first thread.
_PATH = "/proc/thread-self/net/ip_vs_conn"
_TITLE = "Pro "
_UDP = "UDP "
_LOOK_AT_CLOCK = 256  # lines


class ConnectionsUnreadable(KernelError):
    """The kernel's list of connections could not be read."""


class Connection(NamedTuple):
    """One entry; a template of persistence has client port 0 and the state NONE, or ASSURED since Linux 4.19.

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


class TooLong(Exception):
    """The list could not be read in the time given."""


def connections(netns: str | None = None, client: str | None = None) -> list[Connection]:
    """Those of a network namespace (this one if None), or only one client's, in the kernel's order.

    Raises ConnectionsUnreadable, NamespaceError, or ValueError for a client that is no IP address.
    """
    word = "" if client is None else _word(client)
    return _read(netns, lambda lines: parse(line for line in lines if line.split(None, 2)[1:2] == [word] or not word))


def udp_flows(
    netns: str | None = None, within_s: float | None = None, clock: Callable[[], float] = time.monotonic
) -> Counter[tuple[str, int]]:
    """How many UDP flows each real server has, by its address and port; templates are no flows.

    The kernel goes through the list from its start for each page of it (``ip_vs_conn_array``): with 100,000 entries
    that takes seconds. Raises TooLong after ``within_s`` seconds; else as :func:`connections`.
    """
    deadline = None if within_s is None else clock() + within_s

    def found(lines: Iterable[str]) -> Counter[tuple[str, int]]:
        flows: Counter[tuple[str, int]] = Counter()
        for number, line in enumerate(lines):
            if deadline is not None and not number % _LOOK_AT_CLOCK and clock() > deadline:
                raise TooLong
            entry = _parse_line(line) if line.startswith(_UDP) else None
            if entry is not None and entry.client_port:
                flows[entry.server, entry.server_port] += 1
        return flows

    return _read(netns, found)


def _read(netns: str | None, use: Callable[[Iterable[str]], T]) -> T:
    """What ``use`` makes of the lines. A busy director has millions: they are not kept."""
    try:
        with inside(netns), open(_PATH, encoding="utf-8", errors="replace") as file:
            return use(file)
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
