# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""DNS names as real servers: dnsmasq is the name server, changes its answer, says no, says nothing, and comes back."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.netns.conftest import Host, namespace
from tests.integration.netns.wire import LIBRARY, wait_until

pytestmark = pytest.mark.root

HERE = Path(__file__).parent
NAME = "web1.example.org"


class World:
    """A namespace in which 127.0.0.1 is the name server."""

    def __init__(self, host: Host, directory: Path) -> None:
        self.host = host
        self.hosts = directory / "hosts"
        self.heard: list[dict[str, Any]] = []
        self._pid = directory / "pid"
        resolv, nsswitch = directory / "resolv.conf", directory / "nsswitch.conf"
        resolv.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        nsswitch.write_text("hosts: dns\n")
        bind = f"mount --bind {resolv} /etc/resolv.conf && mount --bind {nsswitch} /etc/nsswitch.conf"
        program = f"{sys.executable} -W error {HERE / 'resolve_names.py'} {LIBRARY} {NAME}"
        self._program = f"{bind} && exec {program}"
        self._agent: subprocess.Popen[str] | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def answer(self, *addresses: str) -> None:
        """What the name server says from now on."""
        self.hosts.write_text("".join(f"{address} {NAME}\n" for address in addresses))
        if self._server is not None:
            self._server.send_signal(signal.SIGHUP)

    def serve(self) -> None:
        said = f"--keep-in-foreground --no-resolv --no-hosts --addn-hosts={self.hosts} --local=/example.org/"
        words = [*said.split(), "--listen-address=127.0.0.1", "--bind-interfaces", "--local-ttl=0", f"-x{self._pid}"]
        self._server = subprocess.Popen(self.host.command("dnsmasq", *words, "-uroot"), stderr=subprocess.DEVNULL)
        wait_until(lambda: "127.0.0.1:53" in self.host.run("ss", "-nul"), "dnsmasq")

    def signal_server(self, number: signal.Signals) -> None:
        assert self._server is not None
        self._server.send_signal(number)

    def end_server(self) -> None:
        if self._server is not None:
            self._server.send_signal(signal.SIGCONT)
            self._server.terminate()
            self._server.wait(10)
            self._server = None

    def begin(self) -> None:
        self._agent = subprocess.Popen(self.host.command("sh", "-c", self._program), stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._agent is not None
        assert self._agent.stdout is not None
        with self._agent.stdout as lines:
            for line in lines:
                self.heard.append(json.loads(line))

    def said(self, text: str) -> dict[str, Any]:
        """Wait until it has said so, newly."""
        before = len(self.heard)

        def found() -> list[dict[str, Any]]:
            return [one for one in self.heard[before:] if any(text in line for line in one["said"])]

        wait_until(found, text, lambda: str(self.heard), 40)
        return found()[0]

    def close(self) -> None:
        if self._agent is not None:
            self._agent.terminate()
            self._agent.wait(10)
        self.end_server()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with namespace(f"lvs-{uuid.uuid4().hex[:8]}-n") as name:
        host = Host(name, sys.executable, LIBRARY)
        host.run("ip", "link", "set", "lo", "up")
        found = World(host, tmp_path)
        try:
            yield found
        finally:
            found.close()


def test_a_name_server_changes_its_answer_and_goes_away(world: World) -> None:
    world.answer("192.0.2.7")
    world.begin()
    # nobody serves yet: the address written counts
    assert world.said("is not resolved")["address"] == "192.0.2.1"
    world.serve()
    assert world.said("is 192.0.2.7 now, no longer 192.0.2.1")["address"] == "192.0.2.7"

    world.answer("192.0.2.9", "192.0.2.8")
    assert world.said("is 192.0.2.8 now, no longer 192.0.2.7")["address"] == "192.0.2.8"

    # it knows the name no more, it says nothing, it is gone: the last good answer is kept
    world.answer()
    assert world.said("is not resolved")["address"] == "192.0.2.8"
    world.answer("192.0.2.8")
    assert world.said("is resolved again")["said"] == [f"{NAME} is resolved again"]
    world.signal_server(signal.SIGSTOP)
    assert world.said("is not resolved")["address"] == "192.0.2.8"
    world.end_server()
    world.answer("192.0.2.10")
    world.serve()
    assert world.said("is 192.0.2.10 now")["address"] == "192.0.2.10"
