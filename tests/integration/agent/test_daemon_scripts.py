# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the whole daemon runs: notifications over a crash, a restart and an upgrade; the host's own scripts."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.netns.daemon import Daemon, pack
from tests.integration.netns.wire import site, vips, wait_until

pytestmark = pytest.mark.root

BLOCKS = """
vrrp_sync_group G {{
  group {{
    VI
    VJ
  }}
  notify "{notify} of-group"
}}
vrrp_instance VI {{
  interface eth0
  virtual_router_id 51
  priority 100
  version 3
  advert_int {interval}
  notify_master "{notify} master"
  notify {notify}
  virtual_ipaddress {{
    10.0.0.100/24
  }}
}}
vrrp_instance VJ {{
  interface eth0
  virtual_router_id 52
  priority 100
  version 3
  advert_int {interval}
  virtual_ipaddress {{
    10.0.0.101/24
  }}
}}
"""
STARTED = [
    "INSTANCE VI BACKUP 100",
    "INSTANCE VI MASTER 100",
    "master",
    "of-group GROUP G BACKUP 0",
    "of-group GROUP G MASTER 0",
]
STATES = {'GROUP "G" MASTER 0', 'INSTANCE "VI" MASTER 100', 'INSTANCE "VJ" MASTER 100'}


class Director:
    """One director with the daemon, whose scripts write down how they were run."""

    def __init__(self, stack: ExitStack, directory: Path) -> None:
        self.where = stack.enter_context(site())
        self.told = directory / "told"
        self.fifo = directory / "fifo"
        self.program = directory / "lvs-agent"
        pack(self.program, "1.0.0")
        self.script("notify", f'echo "$*" >>{self.told}')
        self.directory = directory
        self.daemon = Daemon(self.where.a, directory / "a", self.program, "")
        stack.callback(self.daemon.close)

    def script(self, name: str, text: str) -> None:
        path = self.told.parent / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def configure(self, more: str = "", interval: float = 0.2) -> None:
        words = f"script_user root\n enable_script_security\n notify_fifo {self.fifo}\n{more}"
        notify = BLOCKS.format(notify=self.directory / "notify", interval=interval)
        self.daemon.file.write_text(f"global_defs {{\n {words}}}\n{notify}")

    def start(self) -> None:
        self.daemon.start()
        self.master()

    def master(self) -> None:
        self.daemon.wait_for(VI="MASTER", VJ="MASTER")

    def upgrade(self) -> None:
        pack(self.program, "2.0.0")
        assert self.daemon.ask("reload").result["said"] == "the new program takes over"
        wait_until(lambda: self.daemon.ask("status").result.get("version") == "2.0.0", "the new program")

    def lines(self, count: int) -> list[str]:
        """What scripts were told, when there is that much and a moment later."""
        wait_until(lambda: len(self.now()) >= count, f"{count} lines", lambda: f"{self.now()} {self.daemon.log}")
        time.sleep(0.5)
        return self.now()

    def now(self) -> list[str]:
        return self.told.read_text().splitlines() if self.told.exists() else []

    def read_fifo(self) -> list[str]:
        """What is in it, and nobody has read."""
        reading = os.open(self.fifo, os.O_RDWR | os.O_NONBLOCK)
        try:
            return os.read(reading, 1 << 16).decode().splitlines()
        except BlockingIOError:
            return []
        finally:
            os.close(reading)


@pytest.fixture
def director(tmp_path: Path) -> Iterator[Director]:
    tmp_path.chmod(0o755)
    with ExitStack() as stack:
        yield Director(stack, tmp_path)


def test_a_crash_that_nobody_noticed_is_not_notified(director: Director) -> None:
    director.configure(interval=2)  # time enough for another start on a loaded machine
    director.start()
    assert sorted(director.lines(5)) == STARTED
    assert set(director.read_fifo()) > STATES

    # the VRRP process
    killed = director.daemon.vrrp_pid()
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: director.daemon.ask("status").result["vrrp_process"]["pid"] not in (None, killed), "the next")
    director.master()
    time.sleep(0.5)
    assert (director.now()[5:], director.read_fifo()) == ([], [])

    # the whole daemon, as systemd starts it again
    child, before = director.daemon.vrrp_pid(), len(director.daemon.causes("configured"))
    director.daemon.signal(signal.SIGKILL)
    os.kill(child, signal.SIGKILL)
    director.daemon.ended()
    director.start()
    # its state is known before it is configured again: from the file of the one before
    wait_until(lambda: len(director.daemon.causes("configured")) > before, "the configuration")
    assert "resumed VI, VJ" in director.daemon.causes("configured")[before]
    time.sleep(0.5)
    assert (director.now()[5:], director.read_fifo()) == ([], [])

    # another program
    director.upgrade()
    director.master()
    time.sleep(0.5)
    assert (director.now()[5:], director.read_fifo()) == ([], [])

    # the end is told, once, and so is the next start
    director.daemon.signal(signal.SIGTERM)
    assert director.daemon.ended() == 0
    assert sorted(director.now()[5:]) == ["INSTANCE VI STOP 100", "of-group GROUP G STOP 0"]
    director.daemon.start()
    assert sorted(director.lines(9)[7:]) == [STARTED[0], STARTED[3]]


def test_an_upgrade_waits_for_notify_scripts(director: Director) -> None:
    # they run until the upgrade waits for them, on a machine of any speed
    waits = f"grep -q 'waits up to 10 s' {director.daemon.directory}/log"
    director.script("notify", f'until {waits}; do sleep 0.1; done; echo "$*" >>{director.told}; echo ended')
    director.configure()
    director.start()
    director.upgrade()
    # those that waited were run by the program before
    assert sorted(director.lines(5)) == STARTED
    assert "the new program waits up to 10 s for " in director.daemon.log
    assert "is lost" not in director.daemon.log
    ends = [one for one in director.daemon.ask("events", "--kind", "notify", "-n", "99").result["events"] if one["ok"]]
    assert [one["output"] for one in ends] == ["ended\n"] * 5


def test_the_states_are_written_to_the_fifo_after_a_reload(director: Director) -> None:
    director.configure("fifo_write_vrrp_states_on_reload\n")
    director.start()
    director.lines(5)
    director.read_fifo()
    assert director.daemon.ask("reload").status == 0
    lines = director.read_fifo()
    assert (lines[0], set(lines), len(lines)) == ('GROUP "G" MASTER 0', STATES, 3)
    director.configure()
    assert director.daemon.ask("reload").status == 0
    assert director.read_fifo() == []


def test_the_hosts_own_scripts(director: Director) -> None:
    director.script("start", f'echo start $1 $(ip -brief address show eth0) >>{director.told}; sleep 0.5; exit 3')
    director.script("stop", f'echo stop $(ip -brief address show eth0) >>{director.told}; sleep 60')
    scripts = f'startup_script "{director.directory}/start x"\n shutdown_script {director.directory}/stop\n'
    director.configure(f"{scripts} shutdown_script_timeout 1\n", interval=1)
    director.start()
    started = director.lines(6)
    assert started[0].startswith("start x eth0")
    assert "10.0.0.100" not in started[0]
    events = {one["kind"]: one["time"] for one in director.daemon.ask("events", "-n", "99").result["events"]}
    assert events["script"] < events["configured"]
    assert "startup_script" in director.daemon.log
    assert "it ended with exit status 3" in director.daemon.log

    # a crash, and an upgrade, are no start
    child = director.daemon.vrrp_pid()
    director.daemon.signal(signal.SIGKILL)
    os.kill(child, signal.SIGKILL)
    director.daemon.ended()
    director.start()
    director.upgrade()
    director.master()
    assert [one for one in director.now() if one.startswith("st")] == started[:1]

    director.daemon.signal(signal.SIGTERM)
    assert director.daemon.ended() == 0
    assert vips(director.where.a) == set()
    last = director.now()[-1]
    assert last.startswith("stop eth0")
    assert "10.0.0.100" not in last
    assert "it did not end within 1." in director.daemon.log
