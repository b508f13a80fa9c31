# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A health check as the daemon runs it, against servers that misbehave as a test says."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from _lvs_agent.health.attempt import Outcome
from _lvs_agent.health.plan import Check, CheckId, CheckPlan, Endpoint, Timing
from _lvs_agent.health.scheduler import Scheduler
from _lvs_agent.supervisor.loop import Loop
from _lvs_agent.supervisor.lvs_searches import LvsSearches

SECOND = 1_000_000_000
LOOPBACK = bytes((127, 0, 0, 1))


class Ended(NamedTuple):
    """How the first run of a check went, and how long it took."""

    ok: bool
    why: str
    seconds: float


def here(port: int) -> Endpoint:
    """A port of this host."""
    return Endpoint(4, LOOPBACK, port)


def checked(check: Check, timeout_s: float = 5, deadline_s: float = 10) -> Ended:
    """The first run of a check, in the daemon's loop."""
    found: list[Outcome] = []
    loop = Loop()
    searches = LvsSearches(loop)
    scheduler = Scheduler(lambda _check, _up, outcome: found.append(outcome), searches=searches)
    loop.add(scheduler)
    second = 60 * SECOND
    timing = Timing(second, int(timeout_s * SECOND), second, 0, int(deadline_s * SECOND))
    begun = time.monotonic()
    scheduler.configure([CheckPlan(CheckId("service", "server", "CHECK"), timing, check)], time.monotonic_ns())
    while not found:
        assert time.monotonic() < begun + deadline_s + 5, scheduler.results()
        loop.turn()
    ended = Ended(found[0].ok, found[0].why, time.monotonic() - begun)
    scheduler.close()
    searches.close()
    loop.close()
    return ended


@contextlib.contextmanager
def server(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server on a port of this host, that does ``talk`` with each connection, and then closes it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stop = threading.Event()
        open_ones: list[socket.socket] = []

        def serve() -> None:
            while not stop.is_set():
                try:
                    connection, _peer = listening.accept()
                except OSError:
                    return
                if stop.is_set():
                    connection.close()
                    return
                open_ones.append(connection)
                # it went away, which is what many tests are about
                with contextlib.suppress(OSError), connection:
                    talk(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            stop.set()
            for connection in open_ones:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError), socket.create_connection(listening.getsockname(), 1):
                pass
            thread.join(10)
            assert not thread.is_alive()
