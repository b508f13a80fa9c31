# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two directors and a client on one bridge, in network namespaces; either engine from the same keepalived.conf."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from advert_log import AdvertLog

from _lab.probe import Attempt
from tests.integration.netns.conftest import DEBIAN_PYTHON, Host, namespace
from tests.integration.netns.wire import LIBRARY

OURS, KEEPALIVED = "lvs-agent", "keepalived"
ENGINES = (OURS, KEEPALIVED)
#: TCP, on every address of a director
PORT = 80
TICK = os.sysconf("SC_CLK_TCK")
# one clock for the client, whatever else runs here
_PUNCTUAL = ("chrt", "--rr", "20")
_SERVER = """
import socket
server = socket.create_server(("0.0.0.0", 80), backlog=4096)
while True:
    try:
        server.accept()[0].close()
    except OSError:
        pass
"""


def family(pid: int) -> list[int]:
    """A process and all below it; empty when it has gone."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(one for child in children for one in family(int(child)))]


def cpu_s(pids: Sequence[int]) -> float:
    """Seconds of CPU that these processes have used; one that has gone counts nothing."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            total += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return total / TICK


def memory_mb(pids: Sequence[int]) -> tuple[float, float]:
    """(resident, proportional) megabytes of these processes together."""
    found = {"Rss": 0, "Pss": 0}
    for pid in pids:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
                name, _colon, value = line.partition(":")
                if name in found:
                    found[name] += int(value.split()[0])
    return found["Rss"] / 1024, found["Pss"] / 1024


class Director:
    """Host number 1 or 2, 10.0.0.NUMBER, and the engine on it."""

    def __init__(self, host: Host, bridge: Host, number: int, engine: str, directory: Path) -> None:
        self.host = host
        self.number = number
        self.engine = engine
        self.words: tuple[str, ...] = ()
        self._bridge = bridge
        self._directory = directory
        directory.mkdir()
        self.file = directory / "keepalived.conf"
        # in memory, as on a director
        self._runtime = Path(f"/run/{host.name}")
        self._process: subprocess.Popen[bytes] | None = None
        if engine == OURS:
            # unpacked and compiled, as the role installs it
            shutil.copytree(LIBRARY / "_lvs_agent", directory / "_lvs_agent", ignore=shutil.ignore_patterns("*.pyc"))
            subprocess.run([DEBIAN_PYTHON, "-m", "compileall", "-q", str(directory)], check=True)

    def start(self) -> None:
        """Start the engine, and do not wait."""
        self._runtime.mkdir(exist_ok=True)
        where = str(self._runtime)
        if self.engine == OURS:
            program = "import sys; from _lvs_agent.cli import main; sys.exit(main())"
            command = ["env", f"PYTHONPATH={self._directory}", DEBIAN_PYTHON, "-c", program]
            command += ["run", "-f", str(self.file), "-i", "x"]
            command += ["--runtime-dir", where, "--history-dir", where]
        else:
            command = ["keepalived", "-n", "-P", "-l", "-f", str(self.file)]
            command += ["-p", f"{where}/pid", "-r", f"{where}/vrrp"]
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(self.host.command(*self.words, *command), stdout=log, stderr=log)

    @property
    def log(self) -> str:
        """What the engine said."""
        return (self._directory / "log").read_text(errors="replace")

    @property
    def parent(self) -> int:
        """The engine's first process."""
        assert self._process is not None
        return self._process.pid

    def processes(self) -> list[int]:
        """All of the engine's, its parent first."""
        return family(self.parent)

    def vrrp_process(self) -> int:
        """The one that speaks VRRP."""
        for pid in self.processes()[1:]:
            with suppress(OSError):
                if Path(f"/proc/{pid}/comm").read_text().strip() in ("lvs-agent-vrrp", "keepalived"):
                    return pid
        raise AssertionError(f"no VRRP process of {self.engine}: {self.log[-2000:]}")

    def signal(self, number: signal.Signals) -> None:
        """To the parent."""
        os.kill(self.parent, number)

    def ended(self) -> None:
        """Wait until the parent has ended."""
        assert self._process is not None
        self._process.wait(30)

    def runs_for(self, seconds: float) -> bool:
        """Whether the parent is still there after so long."""
        assert self._process is not None
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return True
        return False

    def crash(self) -> None:
        """The host is gone: none of its processes does anything any more, and nothing leaves it."""
        pids = self.processes()
        for number in (signal.SIGSTOP, signal.SIGKILL):
            if number is signal.SIGKILL:
                self.plug("down")
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
        self.ended()

    def boot(self) -> None:
        """It comes back without VIPs and without what was in /run, and the engine starts."""
        self.host.run("ip", "address", "flush", "dev", "eth0")
        shutil.rmtree(self._runtime)
        self.plug("up")
        self.host.run("ip", "address", "add", f"10.0.0.{self.number}/24", "dev", "eth0")
        self.start()

    def plug(self, state: str) -> None:
        """The cable, ``up`` or ``down``."""
        self._bridge.run("ip", "link", "set", f"p{self.number}0", state)

    def close(self) -> None:
        """End the engine, however it is."""
        if self._process is None:
            return
        pids = self.processes()
        if self._process.poll() is None:
            for _twice in range(2):
                self._process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(2)
                    break
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(10)
        shutil.rmtree(self._runtime)


class Client:
    """Opens connections to a VIP, 100 in a second."""

    def __init__(self, host: Host, address: str) -> None:
        script = Path(__file__).with_name("steady_client.py")
        command = host.command(*_PUNCTUAL, sys.executable, str(script), address, str(PORT), "0.01", "0.9")
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def finish(self) -> list[Attempt]:
        """Stop, and what there was."""
        said, _errors = self._process.communicate(timeout=30)
        return [Attempt(start, took, None if why else "connected", why) for start, took, why in json.loads(said)]

    def close(self) -> None:
        """End it, whatever it does."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


class Pair:
    """Directors ``a`` and ``b`` with the same engine; ``logs`` are the adverts on their two wires."""

    def __init__(self, engine: str, directory: Path, stack: ExitStack) -> None:
        tag = uuid.uuid4().hex[:8]
        names = [stack.enter_context(namespace(f"lvs-{tag}-{name}")) for name in "wabc"]
        bridge, a, b, self._client = (Host(name, sys.executable, LIBRARY) for name in names)
        self.engine = engine
        self._stack = stack
        for place in (0, 1):
            bridge.run("ip", "link", "add", f"br{place}", "type", "bridge", "mcast_snooping", "0")
            bridge.run("sysctl", "-q", "-w", f"net.ipv6.conf.br{place}.disable_ipv6=1")
            bridge.run("ip", "link", "set", f"br{place}", "up")
        for number, host in ((1, a), (2, b), (9, self._client)):
            host.run("sysctl", "-q", "-w", "net.ipv6.conf.default.disable_ipv6=1")
            host.run("ip", "link", "set", "lo", "up")
            for place in (0,) if number == 9 else (0, 1):
                port, nic = f"p{number}{place}", f"eth{place}"
                host.run("ip", "link", "add", nic, "type", "veth", "peer", "name", port, "netns", bridge.name)
                bridge.run("ip", "link", "set", port, "master", f"br{place}", "up")
                host.run("ip", "link", "set", nic, "up")
                # the VIPs are on the client's wire, too
                host.run("ip", "address", "add", f"10.0.{place}.{number}/{16 if number == 9 else 24}", "dev", nic)
        self.logs = [AdvertLog(bridge.name, f"br{place}") for place in (0, 1)]
        for log in self.logs:
            stack.callback(log.close)
        self.a, self.b = (
            Director(host, bridge, number, engine, directory / f"{engine}-{number}")
            for number, host in ((1, a), (2, b))
        )
        for director in (self.a, self.b):
            stack.callback(director.close)
            server = subprocess.Popen(director.host.command(*_PUNCTUAL, sys.executable, "-c", _SERVER))
            stack.callback(server.wait)
            stack.callback(server.kill)

    @property
    def log(self) -> AdvertLog:
        """The adverts on the first wire."""
        return self.logs[0]

    def client(self, address: str) -> Client:
        """One that begins now."""
        client = Client(self._client, address)
        self._stack.callback(client.close)
        return client


@contextmanager
def pair(engine: str, directory: Path) -> Iterator[Pair]:
    """Made, and removed."""
    with ExitStack() as stack:
        yield Pair(engine, directory, stack)


def vip(vrid: int, nic: int = 0) -> str:
    """The address of an instance, apart from the hosts' own."""
    return f"10.0.{nic + 10}.{vrid}"


def instance(
    vrid: int, priority: int, version: int, interval: float, *, nic: int = 0, more: str = "", vips: Sequence[str] = ()
) -> str:
    """A ``vrrp_instance`` on eth0 or eth1; ``vips`` besides its own."""
    addresses = "\n  ".join(f"{one}/32" for one in (vip(vrid, nic), *vips))
    return (
        f"vrrp_instance VI_{nic}_{vrid} {{\n interface eth{nic}\n virtual_router_id {vrid}\n priority {priority}\n"
        f" version {version}\n advert_int {interval:g}\n{more} virtual_ipaddress {{\n  {addresses}\n }}\n}}\n"
    )
