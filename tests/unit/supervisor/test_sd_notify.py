# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd is told, heard at a socket as its own."""

from __future__ import annotations

import io
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from _lvs_agent.supervisor import log
from _lvs_agent.supervisor.loop import NEVER
from _lvs_agent.supervisor.sd_notify import SdNotify, from_environment


@pytest.fixture(params=["file", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    path = str(tmp_path / "notify") if request.param == "file" else f"@lvs-agent-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(path.replace("@", "\0", 1))
        listening.settimeout(5)
        yield path, listening


def test_what_is_told(systemd: tuple[str, socket.socket]) -> None:
    path, listening = systemd
    notify = SdNotify(path)
    notify.ready("2 MASTER;\n configuration read")
    notify.reloading(1_234_567_891)
    notify.stopping("handing over")
    notify.extend_timeout(3_000_000_000)
    assert [listening.recv(1000).decode().split("\n") for _message in range(4)] == [
        ["READY=1", f"MAINPID={os.getpid()}", "STATUS=2 MASTER; configuration read"],
        ["RELOADING=1", "MONOTONIC_USEC=1234567"],
        ["STOPPING=1", "STATUS=handing over"],
        ["EXTEND_TIMEOUT_USEC=3000000"],
    ]
    notify.close()


def test_the_watchdog_is_fed_twice_as_often_as_it_wants(systemd: tuple[str, socket.socket]) -> None:
    path, listening = systemd
    notify = from_environment({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "7"}, 7)
    notify.handle(50)
    assert listening.recv(1000) == b"WATCHDOG=1"
    assert notify.deadline_ns() == 50 + 1_000_000_000
    notify.close()


def test_nobody_listens() -> None:
    for environment in ({}, {"NOTIFY_SOCKET": "/no/such"}, {"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "8"}):
        notify = from_environment(environment, 7)
        notify.ready("well")
        assert notify.deadline_ns() == NEVER
        notify.close()


def test_each_line_of_the_log_has_its_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setattr(logging, "raiseExceptions", logging.raiseExceptions)
    stream = io.StringIO()
    log.set_up(logging.INFO, stream)
    for level in (logging.CRITICAL, logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG):
        logging.getLogger("lvs").log(level, "one\ntwo")
    assert stream.getvalue().split() == ["<2>one", "<2>two", "<3>one", "<3>two", "<4>one", "<4>two", "<6>one", "<6>two"]
