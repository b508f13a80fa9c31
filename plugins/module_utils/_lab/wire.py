# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on a lab's wire, as tcpdump stamps it: all hosts' VRRP adverts and ARP announcements, one clock."""

# run_command is a module's, and this is a library: pylint: disable=ansible-bad-function

from __future__ import annotations

import re
import subprocess
import threading
import time
from typing import IO, NamedTuple

from .errors import LabError
from .plan import DEFAULT_SEGMENT, Plan

_ADVERT = re.compile(
    r"^(?P<time>[\d.]+) (?P<mac>[0-9a-f:]{17}) > .*?\s(?P<source>[0-9a-f.:]+) > \S+: .*?"
    r"VRRPv(?P<version>\d), Advertisement, .*?vrid (?P<vrid>\d+), prio (?P<priority>\d+)"
    r".*?, intvl (?P<interval>\d+)(?P<unit>c?s)(?P<rest>.*)",
)
_ADDRESSES = re.compile(r", addrs(?:\(\d+\))?: ([0-9a-f.:,]+)")
_ANNOUNCEMENT = re.compile(
    r"^(?P<time>[\d.]+) (?P<mac>[0-9a-f:]{17}) > .*?"
    r"(?:Request who-has (?P<asked>[\d.]+) (?:\([^)]*\) )?tell (?P<told>[\d.]+)"
    r"|Reply (?P<replied>[\d.]+) is-at)"
)


class Advert(NamedTuple):
    """A VRRP advertisement. `time_s`: Unix time on this machine's clock; `summed`: tcpdump found the checksum right."""

    time_s: float
    source: str
    mac: str
    version: int
    vrid: int
    priority: int
    interval_s: float
    addresses: tuple[str, ...]
    summed: bool


class ArpClaim(NamedTuple):
    """Somebody said on the wire that `address` is at `mac`: a gratuitous ARP or a reply."""

    time_s: float
    address: str
    mac: str
    gratuitous: bool


class Capture:
    """tcpdump on one segment of a lab while the `with` block runs; read `adverts` and `claims` at any time."""

    def __init__(self, plan: Plan, segment: str = DEFAULT_SEGMENT) -> None:
        self._namespace = plan.namespace
        self._bridge = f"br-{segment}"
        self._lines: list[str] = []

    def __enter__(self) -> Capture:
        filters = "vrrp or arp or ip proto 112 or ip6 proto 112 or ah"
        self._process = subprocess.Popen(
            ["ip", "netns", "exec", self._namespace, "tcpdump", "-i", self._bridge, "-n", "-tt", "-l", "-e", "-v",
             "--immediate-mode", filters],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        said = ""
        errors = self._process.stderr
        while "listening on" not in said:
            line = errors.readline() if errors else ""
            if not line:
                raise LabError(f"tcpdump on {self._bridge} ended: {said.strip()}")
            said += line
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._reader.join(10)
        if self._process.stderr is not None:
            self._process.stderr.close()

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                # With -v an IPv4 packet takes two lines; the second is indented.
                if line[:1].isspace() and self._lines:
                    self._lines[-1] += line
                else:
                    self._lines.append(line)

    @property
    def adverts(self) -> list[Advert]:
        """All adverts so far, in order."""
        return parse_adverts(self._lines)

    @property
    def claims(self) -> list[ArpClaim]:
        """All gratuitous ARPs and ARP replies so far, in order."""
        return parse_claims(self._lines)

    def wait_for(self, source: str, after_s: float, timeout_s: float) -> Advert:
        """The first advert of `source` later than `after_s`. LabError when none came within `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for advert in self.adverts:
                if advert.source == source and advert.time_s > after_s and advert.priority > 0:
                    return advert
            time.sleep(0.02)
        raise LabError(f"no VRRP advert of {source} on {self._bridge} within {timeout_s:.0f} s")


def parse_adverts(lines: list[str]) -> list[Advert]:
    """Adverts from tcpdump's lines (`-n -tt -e`)."""
    matches = [_ADVERT.search(line.replace("\n", " ")) for line in lines]
    return [_advert(match) for match in matches if match]


def _advert(match: re.Match[str]) -> Advert:
    addresses = _ADDRESSES.search(match["rest"])
    return Advert(
        time_s=float(match["time"]),
        source=match["source"],
        mac=match["mac"],
        version=int(match["version"]),
        vrid=int(match["vrid"]),
        priority=int(match["priority"]),
        interval_s=int(match["interval"]) * (0.01 if match["unit"] == "cs" else 1.0),
        addresses=tuple(addresses[1].split(",")) if addresses else (),
        summed="bad vrrp cksum" not in match["rest"],
    )


def parse_claims(lines: list[str]) -> list[ArpClaim]:
    """Gratuitous ARPs and ARP replies from tcpdump's lines (`-n -tt -e`)."""
    found = []
    for line in lines:
        match = _ANNOUNCEMENT.search(line)
        if match and (match["replied"] or match["asked"] == match["told"]):
            address = match["replied"] or match["asked"]
            found.append(ArpClaim(float(match["time"]), address, match["mac"], match["replied"] is None))
    return found
