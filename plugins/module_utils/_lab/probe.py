# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that asks a VIP again and again, and what it saw: the outage as users have it.

This file runs as a script on a host that has nothing but Python (remote.py sends it there), and is imported
on the controller for the arithmetic. Attempts overlap: one that hangs does not delay the next.
"""

from __future__ import annotations

import errno
import json
import selectors
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple


class Attempt(NamedTuple):
    """One HTTP request on a connection of its own. `start_s`: Unix time; `took_s`: until the answer was whole or
    the attempt was given up; `answer`: the body's text, None when it failed; `error`: why."""

    start_s: float
    took_s: float
    answer: str | None
    error: str


class Outage(NamedTuple):
    """A run of failed attempts: from the start of the first to the start of the next that was answered."""

    start_s: float
    end_s: float
    failed: int

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s


def outages(attempts: Iterable[Attempt]) -> list[Outage]:
    """Every run of failed attempts. One that no success ends is counted until the last attempt's start."""
    found: list[Outage] = []
    start: float | None = None
    failed = 0
    last = 0.0
    for attempt in sorted(attempts, key=lambda one: one.start_s):
        last = attempt.start_s
        if attempt.answer is None:
            start = attempt.start_s if start is None else start
            failed += 1
        elif start is not None:
            found.append(Outage(start, attempt.start_s, failed))
            start, failed = None, 0
    if start is not None:
        found.append(Outage(start, last, failed))
    return found


def answers(attempts: Iterable[Attempt]) -> dict[str, int]:
    """How often each server answered, by name."""
    return dict(sorted(Counter(attempt.answer for attempt in attempts if attempt.answer is not None).items()))


def parse(text: str) -> list[Attempt]:
    """The attempts from what the script wrote: a JSON list a line."""
    return [Attempt(*json.loads(line)) for line in text.splitlines()]


class _Exchange:
    """One attempt under way."""

    def __init__(self, target: tuple[Any, ...], family: int, request: bytes) -> None:
        self.start_s = time.time()
        self.request = request
        self.received = b""
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        code = self.socket.connect_ex(target)
        if code not in (0, errno.EINPROGRESS):
            self.socket.close()
            raise OSError(code, errno.errorcode.get(code, "error"))

    def ready(self, events: int) -> Attempt | int:
        """Go on: the finished attempt, or the events to wait for next."""
        try:
            if events & selectors.EVENT_WRITE:
                code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code:
                    return self.ended(None, errno.errorcode.get(code, str(code)))
                self.socket.send(self.request)
                return selectors.EVENT_READ
            data = self.socket.recv(65536)
        except OSError as error:
            return self.ended(None, errno.errorcode.get(error.errno or 0, str(error)))
        if data:
            self.received += data
            return selectors.EVENT_READ
        head, _separator, body = self.received.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/") or b" 200 " not in head.split(b"\r\n")[0] + b" ":
            return self.ended(None, "no answer" if not head else head.split(b"\r\n")[0].decode("latin-1"))
        return self.ended(body.decode("utf-8", "replace").strip(), "")

    def ended(self, answer: str | None, error: str) -> Attempt:
        return Attempt(self.start_s, time.time() - self.start_s, answer, error)


def probe(
    address: str, port: int, interval_s: float, duration_s: float, timeout_s: float, *, until: int | None = None
) -> list[Attempt]:
    """Start an attempt every `interval_s` for `duration_s`; each is given up after `timeout_s`.

    None is started any more when the file descriptor `until` can be read, which it can at its end.
    """
    family, _kind, _protocol, _name, target = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    request = f"GET / HTTP/1.0\r\nHost: {address}\r\n\r\n".encode()
    selector = selectors.DefaultSelector()
    if until is not None:
        selector.register(until, selectors.EVENT_READ)
    attempts: list[Attempt] = []
    pending: list[_Exchange] = []  # oldest first, so the first to time out stands in front
    begin = time.monotonic()
    started = 0
    while True:
        now = time.monotonic() - begin
        while started * interval_s <= now and started * interval_s < duration_s:
            started += 1
            try:
                exchange = _Exchange(target, family, request)
            except OSError as error:
                attempts.append(Attempt(time.time(), 0.0, None, str(error.strerror)))
                continue
            selector.register(exchange.socket, selectors.EVENT_WRITE, exchange)
            pending.append(exchange)
        while pending and time.time() - pending[0].start_s > timeout_s:
            attempts.append(_close(selector, pending[0], pending, pending[0].ended(None, "timeout")))
        if not pending and started * interval_s >= duration_s:
            return sorted(attempts, key=lambda one: one.start_s)
        for key, events in selector.select(max(0.0, begin + started * interval_s - time.monotonic()) or 0.001):
            if key.data is None:
                selector.unregister(key.fileobj)
                duration_s = 0.0
            elif (attempt := _go_on(selector, key, events)) is not None:
                attempts.append(_close(selector, key.data, pending, attempt))


def _go_on(selector: selectors.BaseSelector, key: selectors.SelectorKey, events: int) -> Attempt | None:
    outcome: Attempt | int = key.data.ready(events)
    if not isinstance(outcome, int):
        return outcome
    if outcome != key.events:
        selector.modify(key.fileobj, outcome, key.data)
    return None


def _close(
    selector: selectors.BaseSelector, exchange: _Exchange, pending: list[_Exchange], attempt: Attempt
) -> Attempt:
    selector.unregister(exchange.socket)
    exchange.socket.close()
    pending.remove(exchange)
    return attempt


def main(argv: Sequence[str]) -> int:
    """`probe.py ADDRESS PORT INTERVAL_S DURATION_S TIMEOUT_S`; says `ready` on standard error before it starts.

    The end of standard input ends it sooner.
    """
    address, port, interval, duration, timeout = argv
    sys.stderr.write("ready\n")
    sys.stderr.flush()
    attempts = probe(address, int(port), float(interval), float(duration), float(timeout), until=sys.stdin.fileno())
    for attempt in attempts:
        sys.stdout.write(json.dumps(attempt) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
