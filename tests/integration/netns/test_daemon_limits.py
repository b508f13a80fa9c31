# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon when its host has no more to give, its VRRP process does not come back, or its file is empty."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TypeVar

import pytest

from tests.integration.netns.conftest import Host
from tests.integration.netns.daemon import Daemon, pack
from tests.integration.netns.test_daemon import configuration
from tests.integration.netns.wire import site, vips, wait_until

pytestmark = pytest.mark.root

INTERVAL_S = 0.5
Kind = TypeVar("Kind", bound=Daemon)


class Small(Daemon):
    """With a runtime directory of 256 KiB."""

    def __init__(self, host: Host, directory: Path, program: Path, text: str) -> None:
        super().__init__(host, directory, program, text)
        self.run = self.runtime = directory / "run"
        self.run.mkdir()
        self.socket = self.run / "control.sock"
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(self.run)], check=True)

    def close(self) -> None:
        super().close()
        subprocess.run(["umount", str(self.run)], check=True)

    def fill(self) -> None:
        """Leave no room."""
        with suppress(OSError), (self.run / "full").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as one:
        yield one


def daemon(stack: ExitStack, directory: Path, kind: type[Kind]) -> Kind:
    pack(directory / "a.pyz", "1.0.0")
    where = stack.enter_context(site())
    found = kind(where.a, directory / "a", directory / "a.pyz", configuration(200, INTERVAL_S))
    stack.callback(found.close)
    return found


def test_a_full_run_directory(stack: ExitStack, tmp_path: Path) -> None:
    """It starts, takes 70 instances, loses its VRRP process and goes on: without what it would note there."""
    one = daemon(stack, tmp_path, Small)
    text = one.file.read_text()
    one.start()
    one.wait_for(VI="MASTER")
    one.fill()
    many = "".join(
        f"vrrp_instance M{vrid} {{\n interface eth0\n virtual_router_id {vrid}\n priority 100\n version 3\n"
        f" advert_int {INTERVAL_S}\n virtual_ipaddress {{\n 10.1.0.{vrid}/24\n }}\n}}\n"
        for vrid in range(101, 171)
    )
    one.file.write_text(text + many)
    assert one.ask("reload").status == 0
    wait_until(lambda: list(one.states().values()) == ["MASTER"] * 71, "71 masters", lambda: one.log)
    assert one.quick("status")["vrrp_process"]["deaths"] == 0
    assert "new instances send adverts cannot be noted: No space left on device" in one.log
    assert len(vips(one.host)) == 71
    one.signal(signal.SIGTERM)
    assert one.ended() == 0
    assert vips(one.host) == set()
    (one.run / "lock").unlink()
    one.fill()
    one.start()
    one.wait_for(**dict.fromkeys(["VI", *(f"M{vrid}" for vrid in range(101, 171))], "MASTER"))
    assert f"{one.run}/lock: No space left on device; lvs-agent runs" in one.log


def children(pid: int, name: str) -> list[int]:
    """Of a process, by their names."""
    found = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
            with suppress(FileNotFoundError, ProcessLookupError):
                if Path(f"/proc/{child}/comm").read_text().strip() == name:
                    found.append(child)
    return found


def test_no_vrrp_process_comes_back(stack: ExitStack, tmp_path: Path) -> None:
    """The VIPs go when the backups have them, at the end of the daemon at the latest; later it is a backup first."""
    one = daemon(stack, tmp_path, Daemon)
    one.start()
    one.wait_for(VI="MASTER")
    begun = time.monotonic()
    while vips(one.host):
        assert time.monotonic() < begun + 30, one.log
        for pid in children(one.pid, "lvs-agent-vrrp"):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)
    # three intervals and the skew, as the backups wait
    assert time.monotonic() - begun > 4 * INTERVAL_S
    wait_until(lambda: "removed the VIPs of masters: 10.0.0.100/24" in one.log, "a word about it", lambda: one.log)
    one.wait_for(VI="MASTER")
    # one that goes on for a moment before it is killed is master again
    states = one.became()
    changes = [state for before, state in zip(["", *states], states) if state != before]
    assert changes == ["BACKUP", "MASTER", "FAULT", "BACKUP", "MASTER"]
    assert vips(one.host) == {"10.0.0.100"}


def test_the_end_without_a_vrrp_process(stack: ExitStack, tmp_path: Path) -> None:
    one = daemon(stack, tmp_path, Daemon)
    one.start()
    one.wait_for(VI="MASTER")
    os.kill(one.vrrp_pid(), signal.SIGSTOP)
    one.signal(signal.SIGTERM)
    assert one.ended() == 0
    assert vips(one.host) == set()


def test_a_file_that_is_empty_by_mistake(stack: ExitStack, tmp_path: Path) -> None:
    one = daemon(stack, tmp_path, Daemon)
    one.start()
    one.wait_for(VI="MASTER")
    whole = one.file.read_text()
    for text in ("", "# nothing\n", "global_defs {\n}\n"):
        one.file.write_text(text)
        refused = one.ask("reload")
        assert refused.status == 5
        assert "it has neither a vrrp_instance nor a virtual_server" in refused.result["errors"][0]
        assert one.states() == {"VI": "MASTER"}
        assert any("nor a virtual_server" in problem for problem in one.quick("status")["problems"])
    # as an editor does: it is empty for a moment
    with one.file.open("w") as file:
        one.signal(signal.SIGHUP)
        time.sleep(0.05)
        file.write(whole)
    wait_until(lambda: one.quick("status")["configuration"]["errors"] == [], "the whole file", lambda: one.log)
    assert vips(one.host) == {"10.0.0.100"}
    one.file.write_text("")
    assert one.ask("reload", "--allow-empty").status == 0
    assert vips(one.host) == set()
    one.file.write_text(whole)
    assert one.ask("reload").status == 0
    one.wait_for(VI="MASTER")


def test_an_alarm_ends_with_its_process(stack: ExitStack, tmp_path: Path) -> None:
    """Another router, on the same VRID with another interval, that is gone before the process is."""
    pack(tmp_path / "a.pyz", "1.0.0")
    where = stack.enter_context(site())
    one = Daemon(where.a, tmp_path / "a", tmp_path / "a.pyz", configuration(200, INTERVAL_S))
    other = Daemon(where.b, tmp_path / "b", tmp_path / "a.pyz", configuration(100, 2 * INTERVAL_S))
    for each in (one, other):
        stack.callback(each.close)
        each.start()
    wait_until(lambda: bool(other.quick("status").get("alarms")), "an alarm", lambda: other.log)
    os.kill(one.pid, signal.SIGKILL)
    for pid in children(one.pid, "lvs-agent-vrrp"):
        os.kill(pid, signal.SIGKILL)
    os.kill(other.vrrp_pid(), signal.SIGKILL)
    wait_until(lambda: other.quick("status").get("alarms") == [], "no alarm", lambda: other.log)
