# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two directors and a bridge between them, each in a network namespace; tcpdump on the bridge is the witness."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from tests.integration.netns.conftest import Host, namespace

HERE = Path(__file__).parent
LIBRARY = HERE.parents[2] / "plugins/module_utils"
_ADVERT = re.compile(r"(\d+\.\d+) IP6? .*?(\S+) > (\S+): .*vrid (\d+), prio (\d+)")
_ARP = re.compile(r"(\d+\.\d+) ARP, .*Request who-has (\S+) \(ff:ff:ff:ff:ff:ff\) tell")


class Seen(NamedTuple):
    """An advert on the wire, at Unix time ``at``."""

    at: float
    source: str
    destination: str
    vrid: int
    priority: int


class Witness:
    """What tcpdump sees on the bridge: adverts, and (time, address) of gratuitous ARPs."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.adverts: list[Seen] = []
        self.garps: list[tuple[float, str]] = []
        self.lines: list[str] = []
        words = ("tcpdump", "-tt", "-n", "-l", "--immediate-mode", "-i", "br0")
        only = "proto 112 or proto 51 or ip6 proto 112 or arp"
        self._process = subprocess.Popen(
            host.command(*words, only), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if line.startswith("listening on"):
                break
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line)
            if match := _ADVERT.match(line):
                at, source, destination, vrid, priority = match.groups()
                self.adverts.append(Seen(float(at), source, destination, int(vrid), int(priority)))
            elif match := _ARP.match(line):
                self.garps.append((float(match[1]), match[2]))

    def close(self) -> None:
        self._process.terminate()
        self._thread.join(10)
        self._process.wait(10)
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()

    def of(self, vrid: int, after: float = 0) -> list[Seen]:
        """The adverts of a virtual router since then."""
        return [seen for seen in list(self.adverts) if seen.vrid == vrid and seen.at >= after]


class AddressEvents:
    """What ``ip monitor`` says of the addresses of a namespace: which came, and which went."""

    PROBE = "192.0.2.254"

    def __init__(self, host: Host) -> None:
        self.host = host
        self._lines: list[str] = []
        self._process = subprocess.Popen(
            host.command("ip", "-oneline", "monitor", "address"), stdout=subprocess.PIPE, text=True
        )
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        wait_until(self._hears, "ip monitor")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line)

    def _hears(self) -> bool:
        for verb in ("add", "delete"):
            self.host.run("ip", "address", verb, f"{self.PROBE}/32", "dev", "lo")
        return any(self.PROBE in line for line in self._lines)

    def of(self, address: str) -> list[str]:
        """What happened to this one since the start."""
        return [line for line in list(self._lines) if f" {address}/" in line]

    def close(self) -> None:
        self._process.terminate()
        self._thread.join(10)
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


class Agent:
    """Our VRRP process in a namespace, told and heard by run_vrrp.py."""

    def __init__(self, host: Host, configuration: Path, resume_ms: int | None = None) -> None:
        self.host = host
        words = [sys.executable, "-W", "error", str(HERE / "run_vrrp.py"), str(LIBRARY), str(configuration)]
        if resume_ms is not None:
            words.append(str(resume_ms))
        self.messages: list[dict[str, Any]] = []
        self._process = subprocess.Popen(
            host.command(*words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        self.pid = int(self.wait_for("Pid")["pid"])

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.messages.append(json.loads(line))

    def of_kind(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """The messages of one kind that have these values."""
        return [
            one
            for one in list(self.messages)
            if one["message"] == kind and all(one.get(name) == value for name, value in fields.items())
        ]

    def wait_for(self, kind: str, count: int = 1, **fields: Any) -> dict[str, Any]:
        """The message of this kind with these values, the ``count``-th one."""
        wait_until(lambda: len(self.of_kind(kind, **fields)) >= count, f"{kind} {fields}", lambda: str(self.messages))
        return self.of_kind(kind, **fields)[count - 1]

    def tell(self, *words: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()

    def status(self) -> dict[str, Any]:
        """What it says about itself now."""
        count = len(self.of_kind("Status"))
        self.tell("status")
        return self.wait_for("Status", count + 1)

    def counters(self) -> dict[str, int]:
        """Of its first instance."""
        found: dict[str, int] = self.status()["instances"][0]["counters"]
        return found

    def stop(self) -> int:
        """Tell it to stop; its exit status."""
        self.tell("stop")
        return self.ended()

    def ended(self) -> int:
        """Wait for its end; the exit status."""
        status = self._process.wait(30)
        self._thread.join(10)
        assert self._process.stderr is not None
        errors = self._process.stderr.read()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream is not None
            with suppress(BrokenPipeError):
                stream.close()
        assert not errors, errors
        return status

    def crash(self) -> None:
        """SIGKILL, as the kernel's out-of-memory killer does it."""
        subprocess.run(["kill", "-KILL", str(self.pid)], check=True)
        self.ended()

    def close(self) -> None:
        if self._process.poll() is None:
            with suppress(subprocess.CalledProcessError):
                subprocess.run(["kill", "-KILL", str(self.pid)], check=True, capture_output=True)
            self.ended()


class Keepalived:
    """Debian's keepalived in a namespace."""

    def __init__(self, host: Host, configuration: Path) -> None:
        self.host = host
        self._log = configuration.with_suffix(".log").open("a")
        pids = [str(configuration.with_suffix(suffix)) for suffix in (".pid", ".vrrp.pid")]
        self._pids = [Path(pid) for pid in pids]
        words = ("keepalived", "--dont-fork", "--vrrp", "--log-console", "--log-detail", "-f", str(configuration))
        self._process = subprocess.Popen(
            host.command(*words, "-p", pids[0], "-r", pids[1]), stdout=self._log, stderr=self._log
        )

    def stop(self) -> None:
        """SIGTERM, as systemd does it."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)
        self._log.close()

    def reload(self) -> None:
        """SIGHUP, as systemd does it."""
        self._process.send_signal(signal.SIGHUP)

    def crash(self) -> None:
        """SIGKILL to both of its processes; the parent must not start another child, nor the child see its end."""
        parent, child = (pid.read_text().strip() for pid in self._pids)
        for signal_name, pid in (("-STOP", parent), ("-KILL", child), ("-KILL", parent)):
            subprocess.run(["kill", signal_name, pid], check=True)
        self._process.wait(30)
        self._log.close()

    def close(self) -> None:
        if self._process.poll() is None:
            self.stop()


class Site(NamedTuple):
    """Hosts a and b, 10.0.0.1 and 10.0.0.2 on eth0, and the bridge between them."""

    a: Host
    b: Host
    witness: Witness


@contextmanager
def site() -> Iterator[Site]:
    """Made, and removed."""
    tag = uuid.uuid4().hex[:8]
    with namespace(f"lvs-{tag}-w") as wire, namespace(f"lvs-{tag}-a") as a, namespace(f"lvs-{tag}-b") as b:
        bridge = Host(wire, sys.executable, LIBRARY)
        ends = [Host(name, sys.executable, LIBRARY) for name in (a, b)]
        bridge.run("sysctl", "-q", "-w", "net.ipv6.conf.default.disable_ipv6=1")
        # a wire for each interface: on one wire both of a host's would answer for all its addresses
        for wire_name in ("br0", "br1"):
            bridge.run("ip", "link", "add", wire_name, "type", "bridge", "mcast_snooping", "0")
            bridge.run("ip", "link", "set", wire_name, "up")
        for number, end in enumerate(ends, 1):
            # our own link-local addresses, without duplicate detection that would make timing matter
            end.run("sysctl", "-q", "-w", "net.ipv6.conf.default.addr_gen_mode=1")
            end.run("ip", "link", "set", "lo", "up")
            for place in (0, 1):
                port = f"p{number}{place}"
                words = ("ip", "link", "add", f"eth{place}", "type", "veth", "peer", "name", port, "netns", wire)
                end.run(*words)
                bridge.run("ip", "link", "set", port, "master", f"br{place}", "up")
                end.run("ip", "link", "set", f"eth{place}", "up")
            end.run("ip", "address", "add", f"10.0.0.{number}/24", "dev", "eth0")
            end.run("ip", "address", "add", f"fe80::{number}/64", "dev", "eth0", "nodad")
        witness = Witness(bridge)
        try:
            yield Site(ends[0], ends[1], witness)
        finally:
            witness.close()


def wait_until(
    condition: Callable[[], object], what: str, detail: Callable[[], str] = str, seconds: float = 20
) -> float:
    """Until it is so; the Unix time at which it was seen."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not in {seconds} s: {what} {detail()}"
        time.sleep(0.01)
    return time.time()


def vips(host: Host) -> set[str]:
    """The addresses of eth0 but for the host's own."""
    own = ("10.0.0.1", "10.0.0.2", "fe80::1", "fe80::2")
    found = {address.partition("/")[0] for address in host.addresses("eth0")}
    return {address for address in found if address not in own}
