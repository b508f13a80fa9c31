# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What checks by datagrams have in common: one is sent, and those that come are looked at until one is the answer.

The socket is connected: what others send never gets here, and what ICMP says of ours does.
"""

from __future__ import annotations

import socket

from . import icmp, sockets
from .attempt import ERROR, READ, Outcome, Tools
from .plan import Endpoint
from .tcp import seconds

UP = Outcome(True)
_AT_ONCE = 16  # datagrams; the loop has other things to do
_MOST_LEFT = 1000  # datagrams that others sent to a port before it was connected


class Asking:
    """An attempt by datagrams. Who inherits says what is sent and what an answer is."""

    __slots__ = (
        "_endpoint",
        "_ignored",
        "_sock",
        "_source_of",
        "_timeout_ns",
        "deadline_ns",
        "events",
        "fd",
        "outcome",
    )
    kind = socket.SOCK_DGRAM
    room = 65535  # bytes that are read of a datagram
    most_ignored = 100  # datagrams that are no answer

    def __init__(self, endpoint: Endpoint, timeout_ns: int, tools: Tools) -> None:
        self._endpoint = endpoint
        self._source_of = tools.source_of
        self._timeout_ns = timeout_ns
        self._sock: socket.socket | None = None
        self._ignored = 0
        self.fd = -1
        self.events = READ
        self.deadline_ns = 0
        self.outcome: Outcome | None = None

    def start(self, now_ns: int) -> None:
        """Send it. Raises OSError when this host has nothing left to do it with."""
        try:
            at = self._source_of(self._endpoint)
            sock = self._sock = sockets.opened(self._endpoint, at, self.kind, self.protocol())
            icmp.listen(sock)
            self.prepare(sock)
            sock.connect(sockets.target(self._endpoint))
            if self._endpoint.source_port:
                _empty(sock)
            sock.send(self.request())
        except OSError as failed:
            if sockets.is_ours(failed):
                raise
            self.over(sockets.said(failed))
            return
        self.fd = sock.fileno()
        self.deadline_ns = now_ns + self._timeout_ns

    def ready(self, now_ns: int, events: int) -> None:
        """Something came: answers, or what ICMP says."""
        sock = self._sock
        if sock is None:
            return
        if events & ERROR:
            self._error(sock)
        for _datagram in range(_AT_ONCE):
            if self.outcome is not None:
                return
            try:
                data = sock.recv(self.room)
            except BlockingIOError:
                return
            except OSError as failed:
                self._error(sock, failed)
                continue
            self.outcome = self.judge(data)
            if self.outcome is None:
                self._ignored += 1
                if self._ignored >= self.most_ignored:
                    self.over(f"{self._ignored} datagrams came, none of them an answer")

    def expired(self, now_ns: int) -> None:
        """No answer came in time."""
        self.over(f"no answer within {seconds(self._timeout_ns)}: {self.waiting_for()}")

    def waiting_for(self) -> str:
        """What it is waiting for."""
        return f"{self._ignored} datagrams came, none of them an answer" if self._ignored else "nothing came"

    def close(self) -> None:
        """Close the socket."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None
            self.fd = -1

    def over(self, why: str) -> None:
        """It failed."""
        self.outcome = Outcome(False, why)

    def _error(self, sock: socket.socket, failed: OSError | None = None) -> None:
        """Look at the next error; ``failed`` when a call returned it."""
        told = icmp.told(sock)
        if told is not None and self.concerns(told.about):
            self.over(told.why)
        elif told is None and failed is not None:
            self.over(sockets.said(failed))

    # ---- what a kind of check says

    def protocol(self) -> int:
        """The third argument of socket(2)."""
        return 0

    def prepare(self, sock: socket.socket) -> None:
        """Set more of the socket's options."""

    def request(self) -> bytes:
        """What is sent."""
        raise NotImplementedError

    def judge(self, data: bytes) -> Outcome | None:
        """What a datagram means; None when it is not the answer."""
        raise NotImplementedError

    def concerns(self, _about: bytes) -> bool:
        """Whether an error about a datagram is about ours, of which it has the beginning."""
        return True


def _empty(sock: socket.socket) -> None:
    """Others may have sent to a known port of ours before it was connected."""
    try:
        for _datagram in range(_MOST_LEFT):
            sock.recv(1)
    except BlockingIOError:
        return
