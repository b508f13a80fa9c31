# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inside a guest: the daemon and keepalived in network namespaces, real servers to be checked, what ipvsadm says."""

from __future__ import annotations

import json
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from _lvs_agent.control import client
from _lvs_agent.control.protocol import Refused
from _lvs_agent.kernel.netns import inside


def run(*words: str) -> str:
    """What a command prints, both streams. Raises RuntimeError when it fails."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.returncode} {done.stdout}")
    return done.stdout


def ip(line: str) -> None:
    run("ip", *line.split())


def ipvsadm(netns: str, line: str) -> str:
    return run("ip", "netns", "exec", netns, "ipvsadm", *line.split())


def saved(netns: str) -> list[str]:
    """The table, each service behind the others, each real server in its place by name."""
    return sorted(ipvsadm(netns, "-Sn").splitlines())


def wait_until(done: Callable[[], object], seconds: float, what: str = "") -> float:
    """How long that took. Raises RuntimeError when it does not come."""
    start = time.monotonic()
    while not done():
        if time.monotonic() - start > seconds:
            raise RuntimeError(f"not within {seconds} s: {what}")
        time.sleep(0.05)
    return time.monotonic() - start


def ask(address: str, port: int) -> tuple[str, str]:
    """One request by HTTP from here: its status or the error, and the body, which of Servers is a namespace's name."""
    try:
        with socket.create_connection((address, port), 5) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            head, _end, body = client.makefile("rb").read().partition(b"\r\n\r\n")
    except OSError as error:
        return str(error), ""
    return (head.split(b" ", 2)[1].decode() if head else "no answer"), body.decode()


class Servers:
    """Sockets that can be opened and closed; what comes to them is answered by HTTP, with the status they have.

    The body is the name of the server's network namespace.
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._listening: dict[tuple[str, str, int], socket.socket] = {}
        self._status: dict[int, int] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._serve, daemon=True).start()

    def open(self, netns: str, address: str, port: int, status: int = 200) -> None:
        """Answer there."""
        with inside(netns):
            listening = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        listening.listen(64)
        with self._lock:
            self._listening[netns, address, port] = listening
            self._status[port] = status
            self._selector.register(listening, selectors.EVENT_READ, partial(self._accept, netns))

    def close(self, netns: str, address: str, port: int) -> None:
        """Refuse connections there; those that are open stay."""
        with self._lock:
            listening = self._listening.pop((netns, address, port))
            self._selector.unregister(listening)
            listening.close()

    def answer(self, port: int, status: int) -> None:
        """From now on."""
        self._status[port] = status

    def _serve(self) -> None:
        while True:
            with self._lock:
                ready = self._selector.select(0) if self._selector.get_map() else []
                for key, _events in ready:
                    key.data(key.fileobj)
            if not ready:
                time.sleep(0.01)

    def _accept(self, netns: str, listening: socket.socket) -> None:
        with suppress(OSError):
            connection, _peer = listening.accept()
            self._selector.register(connection, selectors.EVENT_READ, partial(self._read, netns))

    def _read(self, netns: str, connection: socket.socket) -> None:
        request = b""
        with suppress(OSError):
            request = connection.recv(4096)
            if b"HTTP/" in request:
                status = self._status[connection.getsockname()[1]]
                connection.sendall(f"HTTP/1.0 {status} x\r\nContent-Length: {len(netns)}\r\n\r\n{netns}".encode())
            elif request:
                connection.sendall(request)
                return
        self._selector.unregister(connection)
        connection.close()


class Keepalived:
    """keepalived 2.2.7 in a namespace."""

    def __init__(self, netns: str, directory: Path, text: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.netns = netns
        self.log = directory / "keepalived.log"
        self._directory = directory
        (directory / "keepalived.conf").write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        pids = [word for name in "pcr" for word in (f"-{name}", str(self._directory / f"{name}.pid"))]
        words = ["ip", "netns", "exec", self.netns, "keepalived", "-n", "-l", "-f"]
        with self.log.open("a") as output:
            conf = str(self._directory / "keepalived.conf")
            self._process = subprocess.Popen([*words, conf, *pids], stdout=output, stderr=output)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(20)


class Daemon:
    """``lvs-agent run`` in a namespace, and ``lvsctl``, whose exit status and answer are given."""

    def __init__(self, netns: str, directory: Path, text: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)
        (directory / "history").mkdir(exist_ok=True)
        self.netns = netns
        self.file = directory / "keepalived.conf"
        self.log = directory / "log"
        self.runtime, self.history = directory / "runtime", directory / "history"
        self.socket = self.runtime / "control.sock"
        self.file.write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        where = ["-f", str(self.file), "-i", "test", "--runtime-dir", str(self.runtime), "--history-dir"]
        words = ["ip", "netns", "exec", self.netns, sys.executable, "-W", "error", "-m", "_lvs_agent.cli", "run"]
        with self.log.open("a") as output:
            self._process = subprocess.Popen([*words, *where, str(self.history)], stdout=output, stderr=output)

    def wait_ready(self) -> None:
        """Until it answers, and has written the kernel's table."""
        wait_until(self.socket.exists, 20, self.log.read_text())
        wait_until(self.in_step, 20, self.log.read_text())

    def say(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """Ask without the program, which takes half a second to start here; {} for no answer."""
        try:
            return client.ask(str(self.socket), verb, arguments, 20)
        except (Refused, client.Unreachable):
            return {}

    def in_step(self) -> bool:
        return bool((self.say("status").get("lvs_process") or {}).get("in_step"))

    def ask(self, *words: str) -> tuple[int, dict[str, Any]]:
        done = subprocess.run(self._words(*words), capture_output=True, text=True, check=False, timeout=300)
        if not done.stdout:
            return done.returncode, {"error": done.stderr}
        answer: dict[str, Any] = json.loads(done.stdout)
        return done.returncode, answer

    def start_asking(self, *words: str) -> subprocess.Popen[str]:
        """The same in the background."""
        return subprocess.Popen(self._words(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def _words(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "_lvs_agent.lvsctl", *words, "--json", "--socket", str(self.socket)]

    def lvs_pid(self) -> int:
        """Of its LVS process; 0 for none."""
        return (self.say("status").get("lvs_process") or {}).get("pid") or 0

    def kill(self) -> None:
        """The supervisor, at once: its children notice."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)

    def stop(self) -> int:
        """As asked: its exit status."""
        if self._process is None:
            return -1
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)
