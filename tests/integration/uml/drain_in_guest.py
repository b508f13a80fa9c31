# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps of daemon_in_guest.py: drains of a persistent and of a UDP service, as a client and ipvsadm see them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import run_steps  # type: ignore[import-not-found] # beside this file, in the guest
from guest_daemon import Daemon, Servers, ipvsadm, run, saved, wait_until

from _lvs_agent.kernel.ipvs_conn import udp_flows
from _lvs_agent.kernel.netns import inside

HERE = Path("/run/drain")
VIP = "192.0.2.100"
QUIESCENT = "net.ipv4.vs.expire_quiescent_template"
UDP_PORT = 5353


class Echo:
    """A UDP server that answers with its own address, until it is closed."""

    def __init__(self, netns: str, address: str) -> None:
        with inside(netns):
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, UDP_PORT))
        self._address = address
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                _data, peer = self._socket.recvfrom(100)
                if peer is None:
                    return
                self._socket.sendto(self._address.encode(), peer)

    def close(self) -> None:
        # wakes the thread, which close() alone does not
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class Asking:
    """A client that asks from one port all the time; ``answers`` are those it had, "" for none within 0.3 s."""

    def __init__(self, netns: str) -> None:
        with inside(netns):
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect((VIP, 53))
        self._socket.settimeout(0.3)
        self.answers: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def _ask(self) -> None:
        while not self._ended.wait(0.1):
            try:
                self._socket.send(b"a")
                self.answers.append(self._socket.recv(100).decode())
            except OSError:
                self.answers.append("")

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()


class World:
    """A director with both services; see ``links`` of daemon_in_guest.py for the network."""

    def __init__(self, text: str) -> None:
        self.daemon = Daemon("director", HERE, text)
        # as the role sets it
        self.sysctl("-w", "net.ipv4.vs.expire_nodest_conn=1")
        self.tcp = Servers()
        self.udp: dict[str, Echo] = {}
        for address in ("10.0.0.11", "10.0.0.12"):
            self.tcp.open("web", address, 81)
            self.udp[address] = Echo("web", address)

    def sysctl(self, *values: str) -> str:
        return run("ip", "netns", "exec", "director", "sysctl", "-n", *values).strip()

    def connect(self, number: int) -> list[bool]:
        """One client's connections one after the other: whether each was accepted."""
        found = []
        for _connection in range(number):
            with inside("client"):
                client = socket.socket()
            client.settimeout(2)
            try:
                client.connect((VIP, 81))
                client.sendall(b"x")
                found.append(client.recv(1) == b"x")
            except OSError:
                found.append(False)
            client.close()
        return found

    def counts(self, port: int) -> dict[str, list[int]]:
        """What ``ipvsadm -Ln`` shows of each real server: weight, active, inactive."""
        lines = ipvsadm("director", "-Ln").splitlines()
        words = [line.split() for line in lines if line.startswith("  ->") and f":{port} " in line]
        return {each[1].partition(":")[0]: [int(number) for number in each[3:6]] for each in words}

    def servers(self, service: str) -> dict[str, dict[str, Any]]:
        (found,) = self.daemon.say("servers", service=service)["virtual_servers"]
        return {one["server"].partition(":")[0]: one for one in found["servers"]}


def control(server: str, seconds: int) -> Any:
    """What director_control says of a drain."""
    words = {"socket": str(HERE / "runtime/control.sock"), "state": "drained", "server": server}
    return run_steps.run_module("director_control", {**words, "wait": True, "wait_timeout": seconds}, 0)


def persistent(world: World) -> dict[str, Any]:
    """Case 15: three connections, a drain, more connections, and the end of the server."""
    daemon = world.daemon
    wait_until(lambda: world.sysctl(QUIESCENT) == "1", 10, QUIESCENT)
    found: dict[str, Any] = {"first": world.connect(3), "before": world.counts(81)}
    (drained,) = [address for address, counts in found["before"].items() if sum(counts[1:])]
    (other,) = {"10.0.0.11", "10.0.0.12"} - {drained}
    # as an administrator may have it: templates are waited for
    world.sysctl("-w", f"{QUIESCENT}=0")
    found["obeyed"] = control(f"{drained}:81", 2)
    found["still there"] = [world.connect(1), world.counts(81)[drained][0]]
    world.sysctl("-w", f"{QUIESCENT}=1")
    start = time.monotonic()
    found["ended"] = daemon.ask("drain", f"{drained}:81", "--timeout", "20")
    found["seconds"] = time.monotonic() - start
    before = world.counts(81)
    found["next"] = world.connect(4)
    after = world.counts(81)
    found["went to"] = {name: sum(after[name][1:]) - sum(before[name][1:]) for name in (drained, other)}
    found["shown"] = world.servers(f"{VIP}:81")[drained]
    world.tcp.close("web", drained, 81)
    wait_until(lambda: drained not in world.counts(81), 20, "the drained server leaves")
    found["down"] = [saved("director"), world.servers(f"{VIP}:81")[drained], world.connect(3)]
    world.tcp.open("web", drained, 81)
    wait_until(lambda: drained in world.counts(81), 20, "the drained server comes back")
    found["back"] = [world.counts(81)[drained][0], world.servers(f"{VIP}:81")[drained]["state"], world.connect(3)]
    return {**found, "drained": drained, "other": other}


def udp(world: World) -> dict[str, Any]:
    """Case 18: a client that asks from one port, a drain, and the end of the server it asks."""
    daemon = world.daemon
    # of an entry, in seconds: 300 by default
    ipvsadm("director", "--set 0 0 3")
    client = Asking("client")
    wait_until(lambda: len(client.answers) > 5, 10, "answers")
    drained = client.answers[-1]
    (other,) = {"10.0.0.11", "10.0.0.12"} - {drained}
    found: dict[str, Any] = {"drained": drained, "other": other}
    found["in vain"] = daemon.ask("drain", f"{drained}:{UDP_PORT}", "--timeout", "2")
    found["counts"] = world.counts(UDP_PORT)[drained]
    found["flows"] = [[*place, number] for place, number in udp_flows("director").items()]
    found["listed"] = [line.split()[0::5] for line in ipvsadm("director", "-Lnc").splitlines() if line[:3] == "UDP"]
    world.udp.pop(drained).close()
    found["seconds"] = wait_until(lambda: client.answers[-1] == other, 20, "an answer of the other one")
    found["left"] = drained not in world.counts(UDP_PORT)
    asked = len(client.answers)
    time.sleep(1)
    found["answers"] = sorted(set(client.answers[asked:]))
    client.end()
    return found


def silent(world: World) -> dict[str, Any]:
    """The flow of a client that has ended is waited for until its entry is over."""
    client = Asking("client")
    wait_until(lambda: client.answers[-1:] not in ([], [""]), 10, "answers")
    serving = client.answers[-1]
    waiting = world.daemon.start_asking("drain", f"{serving}:{UDP_PORT}", "--force", "--timeout", "30")
    time.sleep(2)
    waits = waiting.poll() is None
    client.end()
    output, errors = waiting.communicate(timeout=40)
    return {"waits": waits, "answer": [waiting.returncode, output or errors], "counts": world.counts(UDP_PORT)}


STEPS: tuple[Callable[[World], dict[str, Any]], ...] = (persistent, udp, silent)


def steps(text: str) -> dict[str, Any]:
    """Start the daemon with this file, and what each step found. Raises RuntimeError."""
    world = World(text)
    try:
        world.daemon.start()
        world.daemon.wait_ready()
        wait_until(lambda: world.daemon.say("status")["instances"][0]["state"] == "MASTER", 30, "MASTER")
        return {step.__name__: step(world) for step in STEPS}
    except RuntimeError as error:
        raise RuntimeError(f"{error}\n{world.daemon.log.read_text()}") from error
    finally:
        world.daemon.stop()
