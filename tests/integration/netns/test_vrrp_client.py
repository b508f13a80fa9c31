# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client of a VIP sees when a higher master comes back: nothing. It opens 500 connections a second."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.netns.wire import Agent, Site, site, vips, wait_until

pytestmark = [pytest.mark.root, pytest.mark.measured]

VIP, PORT = "10.0.0.100", 8080
PRIORITY = {"a": 200, "b": 100}
RETURNS = 3

SERVER = f"""
import socket
listener = socket.create_server(("", {PORT}), backlog=512)
print("ready", flush=True)
while True:
    listener.accept()[0].close()
"""
#: (when, how long it took, what went wrong) of each attempt, until its standard input ends. One that was accepted when
#: the VIP moved is reset by the other host: nothing here makes the hosts know each other's connections.
CLIENT = f"""
import json, select, socket, sys, time
attempts = []
while not select.select([sys.stdin], [], [], 0.002)[0]:
    start = time.time()
    try:
        socket.create_connection(({VIP!r}, {PORT}), 0.5).close()
        error = ""
    except (BrokenPipeError, ConnectionResetError):
        error = ""
    except OSError as failure:
        error = str(failure)
    attempts.append((start, time.time() - start, error))
print(json.dumps(attempts))
"""


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as one:
        yield one


@pytest.fixture
def wire(stack: ExitStack) -> Site:
    """Both hosts serve, and a client is on the wire between them."""
    where = stack.enter_context(site())
    where.witness.host.run("ip", "address", "add", "10.0.0.9/24", "dev", "br0")
    for host in (where.a, where.b):
        words = host.command(sys.executable, "-c", SERVER)
        server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        stack.callback(server.wait)
        stack.callback(server.kill)
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        stack.callback(server.stdout.close)
    return where


def failed_while(wire: Site, something: Callable[[], None]) -> list[tuple[float, float, str]]:
    """Each of a client's attempts that failed while something was done: when it began, how long it took, and why."""
    words = wire.witness.host.command(sys.executable, "-c", CLIENT)
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        try:
            time.sleep(0.3)
            something()
            time.sleep(0.3)
        finally:
            attempts = json.loads(client.communicate()[0])
    assert len(attempts) > 100
    return [(start, took, error) for start, took, error in attempts if error]


def started(stack: ExitStack, wire: Site, directory: Path, name: str, interval: float) -> Agent:
    file = directory / f"{name}.conf"
    file.write_text(
        f"vrrp_instance V {{\n interface eth0\n virtual_router_id 51\n priority {PRIORITY[name]}\n version 3\n"
        f" advert_int {interval}\n virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n"
    )
    agent = Agent(getattr(wire, name), file)
    stack.callback(agent.close)
    return agent


def holders(wire: Site) -> list[bool]:
    return [VIP in vips(host) for host in (wire.a, wire.b)]


@pytest.mark.parametrize("interval", [0.2, 0.01])
def test_the_return_of_the_master_costs_no_connection(
    stack: ExitStack, wire: Site, tmp_path: Path, interval: float
) -> None:
    b = started(stack, wire, tmp_path, "b", interval)
    wait_until(lambda: holders(wire) == [False, True], "b is master")

    def returns_and_leaves() -> None:
        for _time in range(RETURNS):
            a = started(stack, wire, tmp_path, "a", interval)
            wait_until(lambda: holders(wire) == [True, False], "a took it back")
            assert a.stop() == 0
            wait_until(lambda: holders(wire) == [False, True], "b is master again")

    assert failed_while(wire, returns_and_leaves) == []
    served_on = [one["monotonic_ns"] for one in b.of_kind("Transitioned", state="HANDOVER")]
    let_go = [one["monotonic_ns"] for one in b.of_kind("Transitioned", state="BACKUP")[1:]]
    assert len(let_go) == RETURNS
    assert all(later - earlier >= 50_000_000 for earlier, later in zip(served_on, let_go))
