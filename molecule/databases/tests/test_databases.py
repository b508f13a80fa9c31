# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""The reference site S5: two MariaDB servers that replicate each other, and a client that writes through the VIP.

Whatever happens, no row that a server acknowledged is missing when both are back, and both hold the same rows.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from proofs import Proofs
from vrrp_site import SLOW_S, VrrpSite, master_down_s, skew_s

from _lab import lab, remote
from _lab.plan import Plan
from site_under_test import wait_until

WRITER = Path(__file__).parent / "writer.py"
DATABASES = ("db01", "db02")
SERVER_ID = {"db01": 1, "db02": 2}
PRIORITY = {"db01": 100, "db02": 90}
# mysql_query: interval 2, fall 2; a check that gets no answer takes 2 s
SEEN_EARLIEST_S, SEEN_LATEST_S = 2.0, 4.0 + 2 * 2.0
# the client: a connection that hangs is given up, and the next one made
CLIENT_S = 3.0 + 1.0
SYNC_TIMEOUT_S = 1.0  # rpl_semi_sync_master_timeout, once
STANDBY_S = 120.0


class Write(NamedTuple):
    """A number, when it was sent, and the server that acknowledged it; None: nobody did."""

    number: int
    time_s: float
    server: int | None


class Writing:
    """The client, while the block runs."""

    def __init__(self, site: VrrpSite, first: int) -> None:
        argv = ("python3", "/root/writer.py", site.vip, str(first), "120")
        self._argv = [*remote.ssh_argv(site.plan, "client"), *argv]
        self.writes: list[Write] = []

    def __enter__(self) -> Writing:
        self._process = subprocess.Popen(self._argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        time.sleep(3)  # it writes by then
        return self

    def __exit__(self, *_exception: object) -> None:
        self._process.terminate()
        said = self._process.communicate(timeout=60)[0]
        self.writes += [Write(*json.loads(line).values()) for line in said.splitlines() if line.endswith("}")]

    def gap(self) -> float:
        """The longest time between two numbers that were acknowledged, seconds."""
        times = [one.time_s for one in self.writes if one.server is not None]
        return max(later - earlier for earlier, later in zip(times, times[1:]))

    def servers(self) -> list[int]:
        """Who acknowledged, in the order in which they did."""
        known = [one.server for one in self.writes if one.server is not None]
        return [one for place, one in enumerate(known) if place == 0 or known[place - 1] != one]


@pytest.fixture(scope="module")
def site(plan: Plan) -> VrrpSite:
    made = VrrpSite(plan, "mysql-dual-master", DATABASES, "192.168.7.253", 3306)
    made.run("client", "apt-get", "install", "-y", "-q", "--no-install-recommends", "python3-pymysql")
    made.run("client", "sh", "-c", 'printf %s "$1" >/root/writer.py', "sh", WRITER.read_text(encoding="utf-8"))
    return made


@pytest.fixture(scope="module", params=["agent", "keepalived"])
def engine(request: pytest.FixtureRequest, site: VrrpSite) -> str:
    name = str(request.param)
    site.build(name)
    wait_until(lambda: len(site.holders()) == 1, STANDBY_S, "one has the VIP")
    assert set(site.build(name).values()) == {0}
    return name


def rows(site: VrrpSite, host: str) -> list[str]:
    """All rows of a server, as its own client has them."""
    words = ("mariadb", "--batch", "--skip-column-names", "--execute")
    return site.run(host, *words, "SELECT id, number, written_on FROM site.numbers ORDER BY id").splitlines()


def others(host: str) -> str:
    return next(name for name in DATABASES if name != host)


def the_same(site: VrrpSite, writes: Sequence[Write]) -> str:
    """Both hold the same rows, and every one that was acknowledged; how many, in words."""
    wait_until(lambda: rows(site, "db01") == rows(site, "db02"), STANDBY_S, "both hold the same rows")
    numbers = [int(line.split()[1]) for line in rows(site, "db01")]
    acknowledged = {one.number for one in writes if one.server is not None}
    assert acknowledged <= set(numbers), f"lost: {sorted(acknowledged - set(numbers))[:10]}"
    assert len(numbers) == len(set(numbers))
    return f"{len(acknowledged)} acknowledged, 0 missing"


def first_number(site: VrrpSite) -> int:
    return max([int(line.split()[1]) for name in DATABASES for line in rows(site, name)], default=0) + 1000


def settled(site: VrrpSite, holder: str) -> None:
    """The other one is a ready standby: it replicates, and does not take the VIP."""
    standby = others(holder)
    check = ("lvs-check", "mysql", "--defaults-file", "/etc/mysql/lvs-check.cnf", "--replica", "10")
    wait_until(lambda: site.run(standby, *check) == "", STANDBY_S, f"{standby} replicates")
    time.sleep(master_down_s(PRIORITY[standby]) + SLOW_S)
    assert site.holders() == [holder]


def test_whichever_comes_first(site: VrrpSite, engine: str, proofs: Proofs) -> None:
    unit = "lvs-agent.service" if engine == "agent" else "keepalived.service"
    for name in DATABASES:
        site.run(name, "systemctl", "stop", unit)
    site.run("db02", "systemctl", "start", unit)
    site.wait_for_holder("db02")
    site.run("db01", "systemctl", "start", unit)
    settled(site, "db02")
    proofs.add(f"{engine}: started one after the other, db02 first", "db02 stays master", "it stayed")


def test_the_database_stops(site: VrrpSite, engine: str, proofs: Proofs) -> None:
    (holder,) = site.holders()
    other = others(holder)
    with Writing(site, first_number(site)) as client:
        site.run(holder, "systemctl", "stop", "mariadb")
        site.wait_for_holder(other)
        time.sleep(CLIENT_S + 2)
    high = SEEN_LATEST_S + skew_s(PRIORITY[other]) + CLIENT_S + SYNC_TIMEOUT_S + SLOW_S
    proofs.within(f"{engine}: the database stops: between two acknowledged rows", client.gap(), SEEN_EARLIEST_S, high)
    assert client.servers() == [SERVER_ID[holder], SERVER_ID[other]]
    site.run(holder, "systemctl", "start", "mariadb")
    settled(site, other)
    proofs.add(f"{engine}: the database stops: rows when it is back", "none missing", the_same(site, client.writes))


def test_the_host_crashes(site: VrrpSite, engine: str, proofs: Proofs) -> None:
    (holder,) = site.holders()
    other = others(holder)
    guest = site.plan.guest(holder)
    with Writing(site, first_number(site)) as client:
        lab.crash(site.plan, guest)
        wait_until(lambda: site.vip in site.run(other, "ip", "address"), 30, f"{other} has the VIP")
        time.sleep(CLIENT_S + 2)
    high = master_down_s(PRIORITY[other]) + CLIENT_S + SYNC_TIMEOUT_S + SLOW_S
    low = master_down_s(PRIORITY[other]) - 1
    proofs.within(f"{engine}: the host crashes: between two acknowledged rows", client.gap(), low, high)
    lab.boot(site.plan, guest, lambda _text: None)
    settled(site, other)
    proofs.add(f"{engine}: the host crashes: rows when it is back", "none missing", the_same(site, client.writes))


def test_a_hand_over(site: VrrpSite, engine: str, proofs: Proofs) -> None:
    (holder,) = site.holders()
    other = others(holder)
    unit = "lvs-agent.service" if engine == "agent" else "keepalived.service"
    with Writing(site, first_number(site)) as client:
        site.run(holder, "systemctl", "stop", unit)
        site.wait_for_holder(other)
        time.sleep(CLIENT_S + 2)
    high = skew_s(PRIORITY[other]) + CLIENT_S + SLOW_S
    proofs.within(f"{engine}: a hand-over: between two acknowledged rows", client.gap(), 0.0, high)
    site.run(holder, "systemctl", "start", unit)
    settled(site, other)
    proofs.add(f"{engine}: a hand-over: rows", "none missing", the_same(site, client.writes))
