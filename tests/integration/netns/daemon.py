# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole daemon in a network namespace, run from one file as on a director, and asked by lvsctl."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from _lvs_agent.control import client
from _lvs_agent.control.protocol import Refused
from tests.integration.netns.conftest import DEBIAN_PYTHON, Host
from tests.integration.netns.wire import LIBRARY, wait_until


class Answer(NamedTuple):
    """What lvsctl said: its exit status, and its JSON."""

    status: int
    result: dict[str, Any]


def pack(program: Path, version: str, more: Mapping[str, str] | None = None) -> None:
    """The daemon as one file, put in the place of the one that is there; ``more`` is code for the end of files."""
    draft = program.with_suffix(".new")
    with zipfile.ZipFile(draft, "w") as archive:
        for source in sorted((LIBRARY / "_lvs_agent").rglob("*.py")):
            text = source.read_text()
            if source.name == "version.py":
                text += f'\nVERSION = "{version}"\n'
            text += (more or {}).get(f"{source.parent.name}/{source.name}", "")
            archive.writestr(str(source.relative_to(LIBRARY)), text)
        archive.writestr("__main__.py", "from _lvs_agent.cli import main\nraise SystemExit(main())\n")
    draft.rename(program)


class Daemon:
    """``lvs-agent run`` with a directory of its own."""

    def __init__(self, host: Host, directory: Path, program: Path, configuration: str) -> None:
        directory.mkdir()
        self.host = host
        self.file = directory / "keepalived.conf"
        self.file.write_text(configuration)
        self.directory = directory
        self.runtime: Path | None = None  # another one than the directory
        self.program = program
        self.socket = directory / "control.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and do not wait."""
        words = [DEBIAN_PYTHON, "-W", "error", str(self.program), "run", "-f", str(self.file), "-i", "test"]
        where = ["--runtime-dir", str(self.runtime or self.directory), "--history-dir", str(self.directory)]
        with (self.directory / "log").open("a") as log:
            self._process = subprocess.Popen(self.host.command(*words, *where), stdout=log, stderr=log)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def ask(self, *words: str) -> Answer:
        """What lvsctl says."""
        command = [DEBIAN_PYTHON, "-m", "_lvs_agent.lvsctl", *words, "--json", "--socket", str(self.socket)]
        done = subprocess.run(
            command, env={"PYTHONPATH": str(LIBRARY)}, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.stdout, done.stderr
        return Answer(done.returncode, json.loads(done.stdout))

    def quick(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """What the daemon says, asked without another Python to start: for what is asked again and again."""
        try:
            return client.ask(str(self.socket), verb, arguments, 10)
        except (client.Unreachable, Refused):
            return {}

    def states(self) -> dict[str, str]:
        """Each instance's."""
        return {one["name"]: one["state"] for one in self.quick("status").get("instances", [])}

    def wait_for(self, **states: str) -> None:
        """Until its instances are in these states."""
        wait_until(lambda: self.states() == states, f"{states}", lambda: f"{self.states()} {self.log}")

    def vrrp_pid(self) -> int:
        """Of its VRRP process."""
        found = self.quick("status")["vrrp_process"]["pid"]
        assert isinstance(found, int)
        return found

    def causes(self, kind: str) -> list[str]:
        """Of its events of a kind."""
        return [one["cause"] for one in self.quick("events", kind=kind, number=500).get("events", [])]

    def became(self) -> list[str]:
        """The states its instances came to, one after the other."""
        return [one["state"] for one in self.quick("events", kind="transition", number=500).get("events", [])]

    def signal(self, number: signal.Signals) -> None:
        """To its parent process."""
        assert self._process is not None
        self._process.send_signal(number)

    def ended(self) -> int:
        """Wait for its end; the exit status."""
        assert self._process is not None
        return self._process.wait(30)

    def close(self) -> None:
        """End it, however it is."""
        if self._process is not None and self._process.poll() is None:
            self.signal(signal.SIGTERM)
            time.sleep(0.05)
            self.signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
                return
            self._process.kill()
            self._process.wait(10)
