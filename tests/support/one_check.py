# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of a health check, as the scheduler's loop would have it, with real sockets."""

from __future__ import annotations

import ipaddress
import random
import select
import time
from collections.abc import Iterable
from typing import Any

from _lvs_agent.health.attempt import Attempt, Outcome, Tools
from _lvs_agent.health.kinds import maker
from _lvs_agent.health.plan import Check, Endpoint, Timing
from _lvs_agent.health.sources import Sources

SECOND = 1_000_000_000


def timing(timeout_s: float = 5) -> Timing:
    """As a plan has it, with ``connect_timeout``."""
    timeout = int(timeout_s * SECOND)
    return Timing(SECOND, timeout, SECOND, 0, 10 * timeout)


def endpoint(address: str, port: int = 0, source: str = "", **more: Any) -> Endpoint:
    """From text."""
    to = ipaddress.ip_address(address)
    return Endpoint(to.version, to.packed, port, source=ipaddress.ip_address(source).packed if source else b"", **more)


def begin(check: Check, timeout_s: float = 5, sources: Sources | None = None) -> Attempt:
    """An attempt that was started."""
    tools = Tools(None, random.SystemRandom(), lambda _attempt: None, lambda _fd: None, (sources or Sources()).of)
    attempt = maker(type(check))(check, timing(timeout_s), tools)
    attempt.start(time.monotonic_ns())
    return attempt


def finish(attempts: Iterable[Attempt], limit_s: float = 20) -> list[Outcome]:
    """The outcomes of attempts that were started; AssertionError when one has none in time."""
    given = list(attempts)
    end = time.monotonic() + limit_s
    epoll = select.epoll()
    by_fd = {attempt.fd: attempt for attempt in given if attempt.fd >= 0}
    for fd, attempt in by_fd.items():
        epoll.register(fd, attempt.events)
    while open_ones := [attempt for attempt in given if attempt.outcome is None]:
        assert time.monotonic() < end, [attempt.waiting_for() for attempt in open_ones]
        wait_ns = min(attempt.deadline_ns for attempt in open_ones) - time.monotonic_ns()
        for fd, events in epoll.poll(max(0.0, wait_ns / SECOND)):
            if by_fd[fd].outcome is None:
                by_fd[fd].ready(time.monotonic_ns(), events)
            if by_fd[fd].outcome is not None:
                epoll.unregister(fd)
        now = time.monotonic_ns()
        for attempt in open_ones:
            if attempt.outcome is None and attempt.deadline_ns <= now:
                attempt.expired(now)
    epoll.close()
    for attempt in given:
        attempt.close()
    return [attempt.outcome for attempt in given if attempt.outcome is not None]


def run(check: Check, timeout_s: float = 5) -> Outcome:
    """The outcome of one run."""
    return finish([begin(check, timeout_s)])[0]
