# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU for each health check, the kernel's part included, at 1,000 and 4,000 servers; build/bench/health.json.

Beside it the least that any program in Python can spend on a TCP check: socket, connect, one event, close. keepalived
needs IPVS in the kernel to check anything.
"""

from __future__ import annotations

import json
import resource
import select
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from _lvs_agent.health.attempt import Outcome
from _lvs_agent.health.plan import Check, CheckId, CheckPlan, Endpoint, HttpCheck, TcpCheck, Timing, UrlPlan
from _lvs_agent.health.scheduler import Scheduler

pytestmark = pytest.mark.root

RESULT = Path(__file__).parents[2] / "build/bench/health.json"
SECOND = 1_000_000_000
INTERVAL = 2 * SECOND
ROUNDS = 4
TO_REACH = 330.0  # us a TCP check
NGINX = """
daemon off; worker_processes 1; pid {place}/pid; error_log {place}/error.log; user root;
events {{ worker_connections 8192; }}
http {{ access_log off; server {{ listen {port} backlog=8192; location / {{ return 200 good; }} }} }}
"""


def told(name: str, found: dict[str, float], capsys: pytest.CaptureFixture[str]) -> None:
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    table = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    RESULT.write_text(json.dumps({**table, name: found}, indent=1))
    with capsys.disabled():
        print(f"\n{name:<32}" + "   ".join(f"{what} {value:.1f}" for what, value in found.items()))


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A web server on all of 127.0.0.0/8."""
    place = tmp_path_factory.mktemp("nginx")
    with socket.create_server(("127.0.0.1", 0)) as free:
        chosen = int(free.getsockname()[1])
    (place / "conf").write_text(NGINX.format(place=place, port=chosen))
    with subprocess.Popen(["nginx", "-p", str(place), "-c", str(place / "conf")], stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 20
            while not listens(chosen) and time.monotonic() < deadline:
                time.sleep(0.05)
            yield chosen
        finally:
            process.terminate()
            process.wait(10)


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def cpu() -> tuple[float, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime, used.ru_stime


def address(number: int) -> bytes:
    return (0x7F010000 + number).to_bytes(4, "big")


def checks(number: int, make: Callable[[Endpoint], Check], port: int) -> dict[str, float]:
    """Microseconds of CPU for each check."""
    down: list[CheckId] = []

    def changed(check: CheckId, up: bool, _outcome: Outcome) -> None:
        if not up:
            down.append(check)

    scheduler = Scheduler(changed)
    timing = Timing(INTERVAL, 5 * SECOND, SECOND, INTERVAL, 5 * SECOND)
    begun = time.monotonic_ns()
    scheduler.configure(
        [
            CheckPlan(CheckId("service", str(one), "CHECK"), timing, make(Endpoint(4, address(one), port)))
            for one in range(number)
        ],
        begun,
    )
    poll = select.poll()
    poll.register(scheduler.fileno(), select.POLLIN)

    def until(end: int) -> None:
        while (now := time.monotonic_ns()) < end:
            poll.poll(max(0.0, (min(scheduler.deadline_ns(), end) - now) / 1e6))
            scheduler.handle(time.monotonic_ns())

    until(begun + INTERVAL + SECOND // 2)
    before, since = cpu(), time.monotonic_ns()
    until(since + ROUNDS * INTERVAL)
    after = cpu()
    results = scheduler.results().values()
    scheduler.close()
    assert not down
    # all of them ran, and in time
    assert all(one.started_ns or time.monotonic_ns() - one.ended_ns < INTERVAL + SECOND for one in results)
    user, system = ((two - one) / number / ROUNDS * 1e6 for one, two in zip(before, after))
    return {"user, us": user, "system, us": system, "together, us": user + system}


def bare(number: int, port: int) -> float:
    """The least: microseconds of CPU for each connection, as many a second as of the checks, evenly spread."""
    targets = [(socket.inet_ntop(socket.AF_INET, address(one)), port) for one in range(number)]
    epoll = select.epoll()
    open_ones: dict[int, socket.socket] = {}
    before, begun = cpu(), time.monotonic_ns()
    for count in range(ROUNDS * number):
        due = begun + count * INTERVAL // number
        while (left := due - time.monotonic_ns()) > 0 or len(open_ones) > 100:
            for fd, _events in epoll.poll(max(0, left) / SECOND):
                open_ones.pop(fd).close()
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        made.connect_ex(targets[count % number])
        epoll.register(made.fileno(), select.EPOLLOUT)
        open_ones[made.fileno()] = made
    for one in open_ones.values():
        one.close()
    epoll.close()
    return sum(two - one for one, two in zip(before, cpu())) / number / ROUNDS * 1e6


@pytest.mark.parametrize("number", [1000, 4000])
def test_tcp_checks(number: int, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    found = checks(number, TcpCheck, port)
    found["the least in Python, us"] = bare(number, port)
    found["to reach, us"] = TO_REACH
    told(f"{number} TCP checks every 2 s", found, capsys)
    assert found["together, us"] < TO_REACH
    assert found["together, us"] < 4 * found["the least in Python, us"]


@pytest.mark.parametrize("number", [1000, 4000])
def test_http_checks(number: int, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    found = checks(number, lambda endpoint: HttpCheck(endpoint, (UrlPlan("/"),)), port)
    told(f"{number} HTTP checks every 2 s", found, capsys)
    assert found["together, us"] < 2 * TO_REACH
