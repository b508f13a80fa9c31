# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What never moves a healthy VIP: a reload that tracks more, SIGKILL to all of the daemon, a broken file after that.

Two witnesses that know nothing of ours: tcpdump for who advertises, `ip monitor` for addresses that go or come.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.netns.daemon import Daemon, pack
from tests.integration.netns.wire import site, vips, wait_until

pytestmark = [pytest.mark.root, pytest.mark.measured]

VRID = 51
TRACKING = """
global_defs {{
  script_user root
  enable_script_security
}}
vrrp_script chk {{
  script "{chk}"
  interval 1
  timeout 20
}}
vrrp_script plus {{
  script "{chk}"
  interval 1
  timeout 20
  weight 10
}}
"""
TRACKED = """  track_script {
    chk
    plus
  }
"""


def configuration(priority: int, tracked: str = "") -> str:
    return (
        f"vrrp_instance VI {{\n  interface eth0\n  virtual_router_id {VRID}\n  priority {priority}\n  version 3\n"
        f"  advert_int 2\n{tracked}  virtual_ipaddress {{\n    10.0.0.100/24\n  }}\n}}\n"
    )


class Pair:
    """a is master, b its backup; ``moves`` is what happened to a's addresses since ``watch``."""

    def __init__(self, stack: ExitStack, directory: Path) -> None:
        self.site = stack.enter_context(site())
        program = directory / "lvs-agent"
        pack(program, "1.0.0")
        self.chk = directory / "chk"
        self.script("exec sleep 3")
        self.a = Daemon(self.site.a, directory / "a", program, configuration(150))
        self.b = Daemon(self.site.b, directory / "b", program, configuration(100))
        self._said = directory / "monitor"
        self._stack = stack
        for one in (self.a, self.b):
            stack.callback(one.close)

    def script(self, text: str) -> None:
        draft = self.chk.with_suffix(".new")
        draft.write_text(f"#!/bin/sh\n{text}\n")
        draft.chmod(0o755)
        draft.rename(self.chk)

    def start(self) -> None:
        self.a.start()
        self.a.wait_for(VI="MASTER")
        self.b.start()
        self.b.wait_for(VI="BACKUP")
        with self._said.open("w") as said:
            monitor = subprocess.Popen(self.site.a.command("ip", "-oneline", "monitor", "address"), stdout=said)
        self._stack.callback(monitor.wait)
        self._stack.callback(monitor.terminate)
        # it hears
        wait_until(self._heard, "ip monitor")
        self._said.write_text("")

    def _heard(self) -> bool:
        self.site.a.run("ip", "address", "add", "192.0.2.1/32", "dev", "eth0")
        self.site.a.run("ip", "address", "del", "192.0.2.1/32", "dev", "eth0")
        return "192.0.2.1" in self._said.read_text()

    def tracking(self) -> None:
        text = TRACKING.format(chk=self.chk) + configuration(150, TRACKED)
        self.a.file.write_text(text)

    def kill_all(self) -> float:
        """SIGKILL to every process of a; when."""
        child, at = self.a.vrrp_pid(), time.time()
        self.a.signal(signal.SIGKILL)
        os.kill(child, signal.SIGKILL)
        assert self.a.ended() == -signal.SIGKILL
        return at

    def priorities(self) -> set[int]:
        return {one.priority for one in self.site.witness.of(VRID)}

    def configured_since(self, before: list[str]) -> bool:
        return self.a.causes("configured") != before

    def unmoved(self) -> None:
        """b never sent an advert nor became master, and no address of a went or came."""
        assert {one.source for one in self.site.witness.of(VRID)} == {"10.0.0.1"}
        assert "MASTER" not in self.b.became()
        assert self.b.states() == {"VI": "BACKUP"}
        assert vips(self.site.a) == {"10.0.0.100"}
        assert "10.0.0.100" not in self._said.read_text()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    tmp_path.chmod(0o755)
    with ExitStack() as stack:
        yield Pair(stack, tmp_path)


def test_all_processes_are_killed(pair: Pair) -> None:
    # what is tracked takes three seconds to say something: nobody waits for it
    pair.script("exec sleep 1")
    pair.tracking()
    pair.start()
    wait_until(lambda: 160 in pair.priorities(), "the weight of a script that succeeded", lambda: pair.a.log)
    pair.script("exec sleep 4")
    began = len(pair.a.became())
    for _death in range(3):
        before = pair.a.causes("configured")
        pair.kill_all()
        time.sleep(0.1)  # RestartSec
        pair.a.start()
        pair.a.wait_for(VI="MASTER")
        # its state is known before it is configured again: from the file of the one before
        wait_until(functools.partial(pair.configured_since, before), "the configuration", lambda: pair.a.log)
        assert "resumed VI" in pair.a.causes("configured")[len(before)]
        assert pair.a.ask("status").result["configuration"]["errors"] == []
    time.sleep(2)
    assert pair.site.witness.of(VRID)[-1].priority == 160
    pair.unmoved()
    assert set(pair.a.became()[began:]) == {"MASTER"}


def test_a_broken_file_after_all_were_killed_is_not_taken(pair: Pair) -> None:
    pair.start()
    good = pair.a.file.read_text()
    pair.a.file.write_text(good.replace("priority", "priorty"))
    pair.kill_all()
    time.sleep(0.1)
    pair.a.start()
    pair.a.wait_for(VI="MASTER")
    wait_until(lambda: pair.a.causes("configuration"), "its refusal", lambda: pair.a.log)
    overview = pair.a.ask("status")
    assert overview.status == 1
    assert "did you mean priority?" in overview.result["configuration"]["errors"][0]
    assert "the configuration before stays in force" in overview.result["configuration"]["said"]
    pair.unmoved()
    # what is mended is taken, and what is taken is kept
    pair.a.file.write_text(good.replace("priority 150", "priority 151"))
    assert pair.a.ask("reload").result["changed"] == ["VI"]
    pair.kill_all()
    time.sleep(0.1)
    pair.a.start()
    pair.a.wait_for(VI="MASTER")
    wait_until(lambda: pair.site.witness.of(VRID)[-1].priority == 151, "the priority of the last configuration")
    pair.unmoved()


def test_a_change_of_the_file_after_all_were_killed_is_a_reload(pair: Pair) -> None:
    pair.start()
    pair.tracking()
    pair.kill_all()
    time.sleep(0.1)
    pair.a.start()
    wait_until(lambda: 160 in pair.priorities(), "the weight of a script that is new", lambda: pair.a.log)
    assert ["resumed VI" in one for one in pair.a.causes("configured")] == [False, True, False]
    pair.unmoved()


def test_one_that_comes_too_late_begins_as_a_backup(pair: Pair) -> None:
    pair.start()
    pair.kill_all()
    pair.b.wait_for(VI="MASTER")
    pair.a.file.write_text(pair.a.file.read_text().replace("priority 150", "priority 50"))
    pair.a.start()
    pair.a.wait_for(VI="BACKUP")
    assert vips(pair.site.a) == set()
    assert vips(pair.site.b) == {"10.0.0.100"}
    seen = pair.site.witness.of(VRID)
    taken_over = min(one.at for one in seen if one.source == "10.0.0.2")
    assert [one for one in seen if one.source == "10.0.0.1" and one.at > taken_over] == []


def test_a_reload_that_adds_scripts_waits_for_their_word(pair: Pair) -> None:
    pair.start()
    pair.tracking()
    assert pair.a.ask("reload").result["changed"] == ["VI"]
    assert pair.a.states() == {"VI": "MASTER"}
    assert pair.priorities() == {150}
    wait_until(lambda: 160 in pair.priorities(), "the weight of a script that succeeded", lambda: pair.a.log)
    pair.unmoved()
    # and from now on its word counts
    pair.script("exit 1")
    pair.a.wait_for(VI="FAULT")
    pair.b.wait_for(VI="MASTER")
