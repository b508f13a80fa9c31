# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TCP_CHECK: a connection can be made; and how all checks over TCP connect.

The commonest check of all, so it asks the kernel for little: socket, connect, one event, close.
"""

from __future__ import annotations

import errno
import socket

from ..spawn import SECOND
from . import sockets
from .attempt import ERROR, WRITE, Outcome, Tools
from .plan import Endpoint, TcpCheck, Timing

UP = Outcome(True)
_IN_PROGRESS = errno.EINPROGRESS


class Connecting:
    """The first step of every attempt over TCP. Who inherits says in ``connected`` how it goes on."""

    __slots__ = ("_endpoint", "_sock", "_source_of", "_timeout_ns", "deadline_ns", "events", "fd", "outcome")

    def __init__(self, endpoint: Endpoint, timeout_ns: int, tools: Tools) -> None:
        self._endpoint = endpoint
        self._source_of = tools.source_of
        self._timeout_ns = timeout_ns
        self._sock: socket.socket | None = None
        self.fd = -1
        self.events = WRITE
        self.deadline_ns = 0
        self.outcome: Outcome | None = None

    def start(self, now_ns: int) -> None:
        """Begin to connect. Raises OSError when this host has nothing left to do it with."""
        endpoint = self._endpoint
        try:
            made = self._sock = sockets.opened(endpoint, self._source_of(endpoint))
            error = made.connect_ex(sockets.target(endpoint))
        except OSError as failed:
            if sockets.is_ours(failed):
                raise
            self._over(sockets.said(failed))
            return
        if error and error != _IN_PROGRESS:
            self._over(sockets.words(error))
            return
        self.fd = made.fileno()
        self.deadline_ns = now_ns + self._timeout_ns

    def ready(self, now_ns: int, events: int) -> None:
        """The connection was made, or refused."""
        if events & ERROR and self._sock is not None:
            self._over(sockets.words(self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)))
        else:
            self.connected(now_ns)

    def connected(self, now_ns: int) -> None:
        """There is a connection: that is all."""
        self.outcome = UP

    def expired(self, now_ns: int) -> None:
        """Nothing happened in time."""
        self._over(f"no answer within {seconds(self._timeout_ns)}: {self.waiting_for()}")

    def waiting_for(self) -> str:
        """What it is waiting for."""
        return "not connected"

    def close(self) -> None:
        """Close the connection."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None
            self.fd = -1

    def _over(self, why: str) -> None:
        self.outcome = Outcome(False, why)


class TcpAttempt(Connecting):
    """One TCP_CHECK."""

    __slots__ = ()

    def __init__(self, check: TcpCheck, timing: Timing, tools: Tools) -> None:
        Connecting.__init__(self, check.endpoint, timing.timeout_ns, tools)


def seconds(duration_ns: int) -> str:
    """A duration for people."""
    return f"{duration_ns / SECOND:g} s"
