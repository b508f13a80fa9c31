# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a guest: PYTHON beside_in_guest.py CONF; the tables of keepalived and lvs-agent, step by step, as JSON.

Each has a network namespace with the same real servers, which fail and recover in both at the same time.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from guest_daemon import Daemon, Keepalived, Servers, ip, ipvsadm, saved, wait_until

HERE = Path("/run/beside")
SPACES = ("theirs", "ours")
# delay_loop 1, one retry after 1 s: a failure is told 2 s after the first failed run, which comes within 1 s
CALM_SECONDS = 2.5
MOST_SECONDS = 15.0


class Pair:
    """Both, in the same world."""

    def __init__(self, text: str) -> None:
        self.servers = Servers()
        self.told = {name: HERE / name / "told" for name in SPACES}
        for name in SPACES:
            ip(f"netns add {name}")
            ip(f"-n {name} link set lo up")
            for last in range(1, 7):
                ip(f"-n {name} address add 10.0.0.{last}/32 dev lo")
            (HERE / name).mkdir(parents=True)
            self.told[name].write_text("")
        script = HERE / "tell"
        script.write_text('#!/bin/sh\nspace=$1; shift\necho "$*" >>/run/beside/$space/told\n')
        script.chmod(0o755)
        misc = HERE / "misc"
        misc.write_text('#!/bin/sh\ntest ! -e "/run/beside/$1"\n')
        misc.chmod(0o755)
        texts = [text.replace("@SPACE@", name) for name in SPACES]
        self.keepalived = Keepalived("theirs", HERE / "theirs", texts[0])
        self.daemon = Daemon("ours", HERE / "ours", texts[1])

    def open(self, last: int, port: int) -> None:
        for name in SPACES:
            self.servers.open(name, f"10.0.0.{last}", port)

    def close(self, last: int, port: int) -> None:
        for name in SPACES:
            self.servers.close(name, f"10.0.0.{last}", port)

    def start(self) -> None:
        self.keepalived.start()
        self.daemon.start()
        wait_until(lambda: "Startup complete" in self.keepalived.log.read_text(), 30, "keepalived")
        wait_until(lambda: len(saved("ours")) > 0, 30, "lvs-agent")

    def stop(self) -> None:
        """Both forget everything."""
        self.keepalived.stop()
        self.daemon.stop()
        for name in SPACES:
            ipvsadm(name, "-C")
        shutil.rmtree(self.daemon.runtime)

    def settled(self) -> dict[str, Any]:
        """Both tables, when nothing has changed for a while; what was told since the last time."""
        start = time.monotonic()
        before: list[list[str]] = []
        calm = start
        while time.monotonic() < min(calm + CALM_SECONDS, start + MOST_SECONDS):
            found = [saved(name) for name in SPACES]
            if found != before:
                before, calm = found, time.monotonic()
            time.sleep(0.1)
        told = {}
        for name in SPACES:
            told[name] = sorted(self.told[name].read_text().splitlines())
            self.told[name].write_text("")
        return {"theirs": before[0], "ours": before[1], "told": told}


class Steps:
    """What happens to the real servers, in this order."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._bad = HERE / "bad"
        self.all: list[tuple[str, Callable[[], None]]] = [
            ("one of weight 1 and the page fail", self._first_fails),
            ("one of weight 2 and the program fail", self._second_fails),
            ("one of weight 1 and the page are back", self._first_is_back),
            ("one of weight 2 is back", lambda: pair.open(2, 80)),
            ("all fails", self._all_fails),
            ("all is back", self._all_is_back),
        ]

    def _first_fails(self) -> None:
        self._pair.close(1, 80)
        self._pair.servers.answer(81, 500)

    def _second_fails(self) -> None:
        self._pair.close(2, 80)
        self._bad.touch()

    def _first_is_back(self) -> None:
        self._pair.open(1, 80)
        self._pair.servers.answer(81, 200)

    def _all_fails(self) -> None:
        self._pair.servers.answer(81, 503)
        for last in (1, 2, 3):
            self._pair.close(last, 80)

    def _all_is_back(self) -> None:
        self._bad.unlink()
        self._pair.servers.answer(81, 200)
        for last in (1, 2, 3):
            self._pair.open(last, 80)


def main() -> None:
    HERE.mkdir(mode=0o755)
    pair = Pair(Path(sys.argv[1]).read_text())
    for last in (1, 2, 3):
        pair.open(last, 80)
    pair.open(4, 81)
    found: dict[str, Any] = {}
    pair.start()
    found["start"] = pair.settled()
    for name, step in Steps(pair).all:
        step()
        found[name] = pair.settled()
    pair.stop()
    for last in (2, 3):
        pair.close(last, 80)
    pair.servers.answer(81, 500)
    for one in SPACES:
        pair.told[one].write_text("")
    pair.start()
    found["start while servers fail"] = pair.settled()
    pair.servers.answer(81, 200)
    pair.open(2, 80)
    found["they come"] = pair.settled()
    pair.stop()
    found["logs"] = {"theirs": pair.keepalived.log.read_text(), "ours": pair.daemon.log.read_text()}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
