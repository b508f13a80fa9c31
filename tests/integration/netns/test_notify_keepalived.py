# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same file, the same changes: keepalived's notify scripts and FIFO, and ours."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from agent_loop import run_until

from _lvs_agent.conf import read as conf_read
from _lvs_agent.conf.settle import settle
from _lvs_agent.notify import from_conf as notify_conf
from _lvs_agent.notify.notifier import Notifier
from _lvs_agent.spawn import Spawner
from _lvs_agent.track import from_conf as track_conf
from _lvs_agent.vrrp import from_conf as vrrp_conf
from _lvs_agent.vrrp.actions import State
from _lvs_agent.vrrp.messages import Transitioned

pytestmark = pytest.mark.root

STATES = {"STOP": State.INIT, **{state.value: state for state in State}}
LINE = re.compile(r'(INSTANCE|GROUP) "(.*)" ([A-Z]+) (\d+)\Z')

CONFIGURATION = r"""
global_defs {{
    script_user root
    enable_script_security
    vrrp_notify_fifo {place}/fifo
}}
vrrp_script chk {{
    script "/usr/bin/test ! -e {place}/bad"
    interval 1
}}
vrrp_sync_group G {{
    group {{
        V1
        V2
    }}
    notify "{place}/note group"
    notify_master "{place}/note group-master"
}}
vrrp_instance V1 {{
    interface ens33
    virtual_router_id 1
    priority 200
    virtual_ipaddress {{
        192.168.1.201/24
    }}
    track_script {{
        chk
    }}
    notify_master "{place}/note 'two words' \\042 c\\ d"
    notify_backup "{place}/note backup"
    notify_fault "{place}/note fault"
    notify_stop "{place}/note stop"
    notify "{place}/note notify"
}}
vrrp_instance V2 {{
    interface ens33
    virtual_router_id 2
    priority 200
    virtual_ipaddress {{
        192.168.1.202/24
    }}
    notify {place}/note root root
}}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    note = tmp_path / "note"
    note.write_text(f'#!/bin/sh\nfor word; do line="$line[$word]"; done\necho "$line" >>{tmp_path}/log\n')
    note.chmod(0o755)
    (tmp_path / "keepalived.conf").write_text(CONFIGURATION.format(place=tmp_path))
    return tmp_path


class Seen:
    """What scripts and the FIFO's reader were told."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.fifo = -1
        self.text = ""

    def lines(self) -> list[str]:
        """The FIFO's so far."""
        if self.fifo < 0 and (self.place / "fifo").exists():
            self.fifo = os.open(self.place / "fifo", os.O_RDONLY | os.O_NONBLOCK)
        try:
            self.text += os.read(self.fifo, 65536).decode() if self.fifo >= 0 else ""
        except BlockingIOError:
            pass
        return self.text.splitlines()

    def scripts(self) -> list[str]:
        """Their arguments, sorted: keepalived lets them overtake each other."""
        log = self.place / "log"
        return sorted(log.read_text().splitlines()) if log.exists() else []

    def wait(self, found: Callable[[], object]) -> None:
        end = time.monotonic() + 20
        while not found():
            assert time.monotonic() < end, (self.lines(), self.scripts())
            time.sleep(0.05)

    def end(self) -> None:
        os.close(self.fifo)
        (self.place / "log").unlink()


def of_keepalived(host: Any, place: Path) -> tuple[list[str], list[str]]:
    """Start, mastership, a fault, its end, and a stop."""
    seen = Seen(place)
    arguments = ["keepalived", "-n", "-l", "-P", "-f", str(place / "keepalived.conf")]
    arguments += ["-p", str(place / "pid"), "-r", str(place / "vrrp.pid")]
    with open(place / "messages", "w", encoding="utf-8") as messages:
        daemon = subprocess.Popen(host.command(*arguments), stdout=messages, stderr=messages)
    try:
        seen.wait(lambda: 'GROUP "G" MASTER 0' in seen.lines())
        (place / "bad").touch()
        seen.wait(lambda: 'GROUP "G" FAULT 0' in seen.lines())
        (place / "bad").unlink()
        seen.wait(lambda: seen.lines().count('GROUP "G" BACKUP 0') == 2)
        time.sleep(0.3)
    finally:
        daemon.terminate()
        daemon.wait()
    seen.wait(lambda: "[stop]" in seen.scripts())
    time.sleep(0.3)
    found = seen.lines(), seen.scripts()
    seen.end()
    return found


def of_ours(place: Path, lines: list[str]) -> tuple[list[str], list[str]]:
    """The same changes, told to our notifier."""
    seen = Seen(place)
    settled = settle(conf_read.read_file(str(place / "keepalived.conf"), ids=["x"]).configuration)
    commands = track_conf.commands_of(settled)
    fifos, problems = notify_conf.fifos(settled, commands)
    assert not problems
    spawner = Spawner()
    notifier = Notifier(spawner, lambda _result: None)
    notifier.configure(vrrp_conf.plan(settled), commands, None, fifos, time.monotonic_ns())
    for line in lines:
        match = LINE.match(line)
        assert match, line
        kind, name, state, priority = match.groups()
        event = Transitioned(name, STATES[state], State.INIT, "", int(priority), 0, 0, group=kind == "GROUP")
        notifier.transition(event, time.monotonic_ns())
    run_until([spawner, notifier], notifier.idle, 20)
    found = seen.lines(), seen.scripts()
    notifier.close(time.monotonic_ns())
    spawner.close()
    seen.end()
    return found


@pytest.mark.parametrize("python", ["debian"], indirect=True)
def test_the_same_arguments_and_lines(host: Any, place: Path) -> None:
    lines, scripts = of_keepalived(host, place)
    assert {'INSTANCE "V1" MASTER 200', 'INSTANCE "V1" STOP 200', 'GROUP "G" STOP 0'} <= set(lines)
    assert '[two words]["][c d]' in scripts  # read twice, each time with escapes
    our_lines, our_scripts = of_ours(place, lines)
    assert our_lines == lines
    assert our_scripts == scripts
