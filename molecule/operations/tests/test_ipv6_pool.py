# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""A DR pool on IPv6 whose virtual IPs have a prefix length, by the roles: health checks never leave from one of them.

The real servers hold the virtual IPs on lo and would answer themselves: each director would lose its pool as master.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from _lab import lab, probe, remote
from as_a_user import INVENTORY, PLAYBOOKS, play, run
from site_under_test import (
    CLIENT,
    DIRECTORS,
    MASTER_DOWN_S,
    PORT,
    PROBE_INTERVAL_S,
    REAL_SERVERS,
    SETTLED_S,
    Site,
    failures,
    wait_until,
)

POOL = Path(__file__).parents[1] / "ipv6_pool"
SITE = PLAYBOOKS / "site.yml"
VIPS = ("fd00:1::100", "fd00:1::101")
OWN = {"lvs01": "fd00:1::127", "lvs02": "fd00:1::128", "web01": "fd00:1::129", "web02": "fd00:1::130"}
#: of both pools
WHOLE = {*REAL_SERVERS.values(), *(f"[{OWN[name]}]" for name in REAL_SERVERS)}
CONNECTIONS = 1000
DELAY_LOOP_S = 2.0


def build() -> dict[str, int]:
    return play(INVENTORY, SITE, "-i", str(POOL))


def holders(site: Site) -> list[str]:
    """The directors that have the virtual IPs, as ip(8) says."""
    return [name for name in DIRECTORS if set(vips_of(site, name)) == set(VIPS)]


def vips_of(site: Site, director: str) -> dict[str, tuple[int, bool]]:
    """Virtual IP -> its prefix length, and whether it is deprecated."""
    links = json.loads(site.run(director, "ip", "-6", "-json", "address", "show"))
    return {
        info["local"]: (info["prefixlen"], bool(info.get("deprecated")))
        for link in links
        for info in link.get("addr_info", ())
        if info.get("local") in VIPS
    }


class Checks:
    """tcpdump on a director while the block runs: what comes out of it for the real servers' own addresses."""

    def __init__(self, site: Site, director: str) -> None:
        own = " or ".join(f"dst host {OWN[name]}" for name in REAL_SERVERS)
        words = f"timeout 120 tcpdump -n -t -l --immediate-mode -Q out -i ens33 'ip6 and tcp and ({own})'"
        self._argv = [*remote.ssh_argv(site.plan, director), words]

    def __enter__(self) -> Checks:
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            self._argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for line in self._process.stderr or ():
            if "listening on" in line:
                return self
        raise AssertionError("tcpdump did not start")

    def sources(self) -> set[str]:
        """Where it came from, after three rounds of checks at least."""
        time.sleep(max(0.0, self._started + 3 * DELAY_LOOP_S + 1 - time.monotonic()))
        self._process.terminate()
        said = self._process.communicate(timeout=30)[0]
        return set(re.findall(r"^IP6 (\S+)\.\d+ > ", said, re.MULTILINE))

    def __exit__(self, *_exception: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@pytest.fixture(scope="module", autouse=True)
def built(site: Site) -> dict[str, Any]:
    """The site with the second pool; what its first and its second run changed."""
    for name, address in {**OWN, CLIENT: "fd00:1::9"}.items():
        nic = "eth0" if name == CLIENT else "ens33"
        site.run(name, "ip", "address", "replace", f"{address}/64", "dev", nic, "nodad")
    changed = build()
    wait_until(lambda: holders(site) == ["lvs01"], SETTLED_S, "lvs01 holds the virtual IPs, alone")
    return {"first": changed, "second": build()}


def served(site: Site, master: str) -> None:
    """A client's connections to each virtual IP through this director, and its health checks meanwhile."""
    assert vips_of(site, master) == dict.fromkeys(VIPS, (64, True))
    with Checks(site, master) as checks:
        for vip in VIPS:
            duration_s = CONNECTIONS / len(VIPS) * PROBE_INTERVAL_S
            with remote.Probe(site.plan, CLIENT, vip, PORT, duration_s, interval_s=PROBE_INTERVAL_S) as client:
                attempts = client.result()
            names = probe.answers(attempts)
            assert failures(attempts) == []
            assert sum(names.values()) == CONNECTIONS / len(VIPS)
            assert set(names) == set(REAL_SERVERS)
            # not quite by turns: IPVS remembers a client's port, and the client uses some of them again
            assert min(names.values()) > 0.4 * CONNECTIONS / len(VIPS)
        assert checks.sources() == {OWN[master]}
    assert site.pool(master) == WHOLE


def test_a_nic_for_the_virtual_ips_is_refused() -> None:
    """It would answer neighbour solicitations for them."""
    nic = ("-e", "real_server_vip_interface=ens37", "--limit", "web01", "-i", str(POOL))
    done = run("ansible-playbook", INVENTORY, str(SITE), *nic)
    assert done.returncode != 0
    assert "Nothing was changed. web01 is not what the inventory says:" in done.stdout
    assert "interface ens37 would answer neighbour solicitations for the virtual IP fd00:1::100/64" in done.stdout


def test_built_once_and_for_all(built: dict[str, Any]) -> None:
    assert set(built["first"]) >= set(OWN)
    assert set(built["second"].values()) == {0}


def test_the_client_is_served_by_both_and_checks_come_from_the_directors_own_address(site: Site) -> None:
    served(site, "lvs01")
    with Checks(site, "lvs02") as checks:
        assert checks.sources() == {OWN["lvs02"]}
    assert site.pool("lvs02") == WHOLE


def test_so_it_is_after_the_crash_of_the_masters_host(site: Site) -> None:
    master = site.plan.guest("lvs01")
    lab.crash(site.plan, master)
    try:
        wait_until(lambda: set(vips_of(site, "lvs02")) == set(VIPS), MASTER_DOWN_S["lvs02"] + 10, "fail-over")
        served(site, "lvs02")
    finally:
        lab.boot(site.plan, master, lambda _text: None)
