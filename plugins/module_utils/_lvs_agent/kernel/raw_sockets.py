# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw sockets of this network namespace, and the processes that have them (proc(5): net/raw, PID/fd)."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

#: VRRP's IP protocol, and that of its authentication headers (RFC 9568 section 5.1.1.4, RFC 4302).
VRRP = (112, 51)
_TABLES = ("raw", "raw6")
_SOCKET = re.compile(r"socket:\[(\d+)\]")
_LONGEST = 1 << 16


class Process(NamedTuple):
    """``name`` as ps(1) has it; ``words`` are its command line."""

    pid: int
    name: str
    words: tuple[str, ...]


def inodes(protocols: Collection[int], proc: str = "/proc") -> set[int]:
    """The raw sockets of these IP protocols, IPv4 and IPv6, by number. Tables that cannot be read are empty."""
    found: set[int] = set()
    for table in _TABLES:
        with contextlib.suppress(OSError), open(f"{proc}/self/net/{table}", encoding="ascii") as file:
            next(file, None)
            for line in file:
                fields = line.split()
                # the local port is the protocol
                if len(fields) > 9 and int(fields[1].rpartition(":")[2], 16) in protocols:
                    found.add(int(fields[9]))
    return found


def inodes_of(pid: int, proc: str = "/proc") -> Iterator[int]:
    """The sockets of a process; none of one that has ended, or is somebody else's."""
    with contextlib.suppress(OSError):
        for descriptor in os.listdir(f"{proc}/{pid}/fd"):
            with contextlib.suppress(OSError):
                match = _SOCKET.match(os.readlink(f"{proc}/{pid}/fd/{descriptor}"))
                if match is not None:
                    yield int(match[1])


def owners(wanted: Collection[int], proc: str = "/proc") -> list[Process]:
    """The processes that have one of these sockets, in the order of their numbers."""
    pids = sorted(int(name) for name in os.listdir(proc) if name.isdigit())
    return [_process(pid, proc) for pid in pids if any(inode in wanted for inode in inodes_of(pid, proc))]


def _process(pid: int, proc: str) -> Process:
    name, words = "?", ""
    with contextlib.suppress(OSError):
        with open(f"{proc}/{pid}/comm", encoding="utf-8", errors="replace") as file:
            name = file.read(_LONGEST).strip()
        with open(f"{proc}/{pid}/cmdline", encoding="utf-8", errors="surrogateescape") as file:
            words = file.read(_LONGEST)
    return Process(pid, name, tuple(words.rstrip("\0").split("\0")))
