# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A UDP server in a thread, which answers each datagram with those that a function makes of it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

from _lvs_agent.kernel.netns import inside

Sender = Callable[[bytes], list[bytes]]


class Server:
    """In a network namespace. ``elsewhere``: what it sends comes from another port. ``got``: what came."""

    def __init__(self, netns: str, address: str, replies: Sender, elsewhere: bool = False) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with inside(netns):
            self._sock = socket.socket(family, socket.SOCK_DGRAM)
            self._other = socket.socket(family, socket.SOCK_DGRAM)
        self._sock.bind((address, 0))
        self._other.bind((address, 0))
        self._sock.settimeout(0.02)
        self._replies = replies
        self._from = self._other if elsewhere else self._sock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self.port: int = self._sock.getsockname()[1]
        self.got: list[bytes] = []

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()
        self._sock.close()
        self._other.close()

    def _serve(self) -> None:
        while not self._stop.is_set():
            # the client has gone: connection refused
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                data, client = self._sock.recvfrom(65535)
                self.got.append(data)
                for reply in self._replies(data):
                    self._from.sendto(reply, client)
