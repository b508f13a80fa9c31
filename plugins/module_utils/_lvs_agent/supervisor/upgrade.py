# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exchanging the daemon's program while it runs: execve(2) of the new one, which keeps the process and its children.

The program is started by one file, which an upgrade exchanges: the role agent moves a link in its path to the directory
of another program. The new program gets the running children, each with its channel, and replaces them by its own when
these can go on.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
from typing import TYPE_CHECKING, NamedTuple

from .channel import Channel
from .process import Process

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping, Sequence

    from .child import Child

_VARIABLE = "LVS_AGENT_TAKE_OVER"


class Program(NamedTuple):
    """A program's file as it was when it was started: what it really is, and stat(2)'s numbers that tell others."""

    path: str
    real: str
    identity: tuple[int, int, int, int]


class Inherited(NamedTuple):
    """What the program before has left us."""

    lock: int
    children: dict[str, tuple[Process, Channel]]


def this_program() -> Program | None:
    """The file this process was started from; None when it is no single file, such as a checkout."""
    path = sys.argv[0]
    return program(os.path.abspath(path)) if os.path.isfile(path) and not path.endswith(".py") else None


def program(path: str) -> Program | None:
    """The program at a path now, None when there is none."""
    try:
        status = os.stat(path)
        return Program(
            path, os.path.realpath(path), (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        )
    except OSError:
        return None


def exchanged(started: Program | None) -> bool:
    """Whether another program is where the one that runs was started from."""
    return started is not None and program(started.path) not in (None, started)


def command_line() -> list[str]:
    """This process's own, with the interpreter and its options."""
    with open("/proc/self/cmdline", "rb") as file:
        words = file.read().split(b"\0")[:-1]
    return [sys.executable, *(os.fsdecode(word) for word in words[1:])]


def check_new(arguments: Sequence[str], descriptor: int) -> int:
    """Become the new program, told to check only; to be called in a process of its own. Raises OSError."""
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.execv(arguments[0], [*arguments, "--check-only"])


def become(
    arguments: Sequence[str], environment: Mapping[str, str], children: Mapping[str, Child], lock: int
) -> None:
    """Become the new program; ``children`` by their kinds. Returns only by raising OSError; then all is as it was."""
    words = [str(lock), *(f"{kind}:{one.pid}:{one.channel.fileno()}" for kind, one in children.items())]
    descriptors = [lock, *(one.channel.fileno() for one in children.values())]
    for descriptor in descriptors:
        os.set_inheritable(descriptor, True)
    try:
        os.execve(arguments[0], list(arguments), {**environment, _VARIABLE: " ".join(words)})
    finally:
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)


def inherited(environment: MutableMapping[str, str]) -> Inherited | None:
    """What ``become`` handed over, if this process is one that did; the variable is removed."""
    lock, *words = environment.pop(_VARIABLE, "").split() or [""]
    try:
        fcntl.fcntl(int(lock), fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        return Inherited(int(lock), dict(_child(word) for word in words))
    except (ValueError, OSError):
        return None


def _child(word: str) -> tuple[str, tuple[Process, Channel]]:
    kind, pid, descriptor = word.split(":")
    sock = socket.socket(fileno=int(descriptor))
    sock.set_inheritable(False)
    return kind, (Process(int(pid)), Channel(sock))
