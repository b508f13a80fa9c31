# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""What the inventory dr-two-nic promises, written down by hand: the tests do not ask the code under test."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from _lab import demo, probe, remote, wire
from _lab.errors import LabError
from _lab.plan import Plan

LAB = os.environ["LAB"]
VIP = "192.168.1.100"
PORT = 80
DIRECTORS = ("lvs01", "lvs02")
ADDRESS = {"lvs01": "192.168.1.127", "lvs02": "192.168.1.128"}
REAL_SERVERS = {"web01": "192.168.1.129", "web02": "192.168.1.130"}
CLIENT = "client"

ADVERT_INT_S = 1.0
PRIORITY = {"lvs01": 100, "lvs02": 50}
# RFC 3768, 6.1
SKEW_S = {name: (256 - priority) / 256 for name, priority in PRIORITY.items()}
MASTER_DOWN_S = {name: 3 * ADVERT_INT_S + skew for name, skew in SKEW_S.items()}

# TCP_CHECK: delay_loop 6, connect_timeout 3, retry 3, delay_before_retry 3. A closed port answers at once.
CHECK_DOWN_S = 6 + 3 * 3
CHECK_UP_S = 6
PROBE_INTERVAL_S = 0.01
# keepalived waits a whole master down timer after its start, on two busy processors.
SETTLED_S = 15.0
# What timers, scheduling on two busy processors and one retried connection may add. Never early: 10 ms of clock.
EARLY_S = 0.01
LATE_S = 0.25

BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Site:
    """The running site, asked from outside."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def run(self, host: str, *argv: str) -> str:
        return remote.output(self.plan, host, *argv)

    def holders(self, directors: Sequence[str] = DIRECTORS) -> list[str]:
        """Which of these running directors have the VIP on an interface, as ip(8) says."""
        return demo.holders(self.plan, directors, VIP)

    def ask(self, duration_s: float = 1.0) -> list[probe.Attempt]:
        """A connection to the VIP every PROBE_INTERVAL_S from the client."""
        with self.probe(duration_s) as running:
            return running.result()

    def probe(self, duration_s: float) -> remote.Probe:
        return remote.Probe(self.plan, CLIENT, VIP, PORT, duration_s, interval_s=PROBE_INTERVAL_S)

    def mac(self, host: str, nic: str = "ens33") -> str:
        return next(port.mac for port in self.plan.guest(host).ports if port.nic == nic)

    def neighbour(self) -> str:
        """The MAC the client knows for the VIP."""
        words = self.run(CLIENT, "ip", "neigh", "show", "to", VIP).split()
        return words[words.index("lladdr") + 1]

    def claimants(self, capture: wire.Capture) -> set[str]:
        """MACs that said on the wire that they are the VIP's."""
        return {claim.mac for claim in capture.claims if claim.address == VIP}

    def announced(self, capture: wire.Capture, director: str, since_s: float) -> float:
        """When the director first said after `since_s`, unasked, that the VIP is at its MAC (Unix time)."""
        mac = self.mac(director)
        return next(
            claim.time_s
            for claim in capture.claims
            if claim.gratuitous and (claim.address, claim.mac) == (VIP, mac) and claim.time_s >= since_s
        )

    def pool(self, director: str) -> set[str]:
        """Real servers in the director's IPVS table with a weight, as ipvsadm says."""
        words = [line.split() for line in self.run(director, "ipvsadm", "-Sn").splitlines() if line.startswith("-a")]
        return {line[line.index("-r") + 1].rpartition(":")[0] for line in words if line[line.index("-w") + 1] != "0"}


def failures(attempts: Sequence[probe.Attempt], *, moved_s: float | Sequence[float] = ()) -> list[str]:
    """The attempts without an answer, each with its moment, its error and how long it took.

    Those that are cut off by a move of the VIP, announced at `moved_s` (Unix time), are none of them.
    """
    moves = [moved_s] if isinstance(moved_s, float) else moved_s
    cut_off = [attempt for each_s in moves for attempt in _cut_off(attempts, each_s)]
    return [
        f"at {attempt.start_s - attempts[0].start_s:.3f} s: {attempt.error} after {attempt.took_s * 1000:.0f} ms"
        for attempt in attempts
        if attempt.answer is None and attempt not in cut_off
    ]


def _cut_off(attempts: Sequence[probe.Attempt], moved_s: float) -> list[probe.Attempt]:
    """The attempts that had their connection through one director when their packets went to the other.

    That one knows of no such connection and resets it (ECONNRESET; a port that nobody serves is ECONNREFUSED). Only
    `lvs_sync_daemon` tells one director of the other's connections, and this site has none. All of them are under way
    at one instant; the client's clock is not the capture's.
    """
    found = [
        attempt
        for attempt in attempts
        if attempt.error in ("ECONNRESET", "EPIPE")
        and attempt.start_s - LATE_S <= moved_s <= attempt.start_s + attempt.took_s + LATE_S
    ]
    ends = [attempt.start_s + attempt.took_s for attempt in found]
    return found if not found or found[-1].start_s <= min(ends) + EARLY_S else []


def lengths(outages: Sequence[probe.Outage]) -> str:
    """Outages for a line of figures."""
    return ", ".join(f"{outage.length_s * 1000:.0f} ms ({outage.failed} failed)" for outage in outages) or "no outage"


def wait_until(condition: Callable[[], bool], timeout_s: float, what: str) -> float:
    """Poll until `condition` holds; returns the seconds it took, fails after `timeout_s`.

    A host that does not answer (it boots) makes a condition not hold.
    """
    started = time.monotonic()
    while not _holds(condition):
        assert time.monotonic() - started < timeout_s, f"{what}: not within {timeout_s} s"
        time.sleep(0.2)
    return time.monotonic() - started


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except LabError:
        return False
