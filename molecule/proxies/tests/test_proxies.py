# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""The reference site S4: HAProxy on two hosts, and a network that must be told where the VIP is.

The cloud forwards the VIP to the MAC that it was last told and never asks by ARP, so a client behind it proves that
`notify_master` has told it. What is expected is written down here by hand.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from proofs import Proofs

from _lab import demo, lab, probe, remote
from _lab.plan import Plan
from as_a_user import PLAYBOOKS, play
from site_under_test import wait_until

INVENTORY = PLAYBOOKS / "inventories/haproxy-unicast"
SITE = PLAYBOOKS / "site.yml"
METADATA = Path(__file__).parent / "metadata.py"
VIP, PORT = "172.22.123.107", 80
PROXIES = ("proxy01", "proxy02")
ADDRESS = {"proxy01": "172.22.123.101", "proxy02": "172.22.123.102"}

ADVERT_INT_S = 1.0
SKEW_S = {"proxy01": (256 - 150) / 256, "proxy02": (256 - 100) / 256}  # RFC 3768, 6.1
MASTER_DOWN_S = {name: 3 * ADVERT_INT_S + skew for name, skew in SKEW_S.items()}
# proxy_port: interval 2, fall 2, rise 2. The first run that sees a change comes within an interval.
SEEN_EARLIEST_S, SEEN_LATEST_S = 2.0, 4.0
# What two busy processors add: a start of Python for the check, one for the announcement, scheduling.
SLOW_S = 3.0
SETTLED_S = 30.0


class Site:
    """The running site, asked from outside."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def run(self, host: str, *argv: str) -> str:
        return remote.output(self.plan, host, *argv)

    def holders(self) -> list[str]:
        return demo.holders(self.plan, PROXIES, VIP)

    def mac(self, host: str) -> str:
        return next(port.mac for port in self.plan.guest(host).ports if port.nic == "eth0")

    def probe(self, duration_s: float) -> remote.Probe:
        return remote.Probe(self.plan, "client", VIP, PORT, duration_s, interval_s=0.02)

    def answers(self) -> dict[str, int]:
        """Who answers the client in a second, by name; a lost attempt is "nobody"."""
        with self.probe(1.0) as client:
            attempts = client.result()
        found = probe.answers(attempts)
        lost = sum(attempt.answer is None for attempt in attempts)
        return {**found, **({"nobody": lost} if lost else {})}

    def serves(self, host: str) -> bool:
        return self.holders() == [host] and set(self.answers()) == {host}

    def calls(self) -> list[dict[str, Any]]:
        """What the metadata service took, the oldest first."""
        said = self.run("cloud", "sh", "-c", "cat /run/calls 2>/dev/null || true")
        return [json.loads(line) for line in said.splitlines()]

    def metadata(self, run: bool) -> None:
        if run:
            unit = ("systemd-run", "--unit=metadata", "--collect", "python3", "/root/metadata.py")
            self.run("cloud", *unit, "172.22.123.1", "8775", "eth0")
            wait_until(lambda: bool(self.run("cloud", "ss", "-Hltn", "sport = 8775")), 20, "the service listens")
        else:
            self.run("cloud", "systemctl", "stop", "metadata.service")


@pytest.fixture(scope="module")
def proofs() -> Iterator[Proofs]:
    made = Proofs()
    yield made
    print(made.table())


@pytest.fixture(scope="module")
def site(plan: Plan) -> Site:
    """With the cloud: it forwards, and knows nobody for the VIP."""
    made = Site(plan)
    text = METADATA.read_text(encoding="utf-8")
    made.run("cloud", "sh", "-c", 'printf %s "$1" >/root/metadata.py', "sh", text)
    made.run("cloud", "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
    nobody = ("lladdr", "02:00:00:00:00:01", "dev", "eth0", "nud", "permanent")
    made.run("cloud", "ip", "neigh", "replace", VIP, *nobody)
    made.metadata(run=True)
    return made


def build(inventory: Path, engine: str) -> dict[str, int]:
    return play(inventory, SITE, "-e", f"director_engine={engine}")


@pytest.fixture(scope="module", params=["agent", "keepalived"])
def engine(request: pytest.FixtureRequest, site: Site) -> str:
    """Both proxies run it; the first one holds the VIP, and the cloud was told."""
    name = str(request.param)
    build(INVENTORY, name)
    # the first play announced to a service that was not there yet
    site.run("proxy01", "systemctl", "restart", "lvs-agent" if name == "agent" else "keepalived")
    wait_until(lambda: site.serves("proxy01"), SETTLED_S, "proxy01 serves")
    assert set(build(INVENTORY, name).values()) == {0}
    return name


def told(calls: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(call["from"], call["mac"]) for call in calls]


def test_haproxy_stops_and_starts(site: Site, engine: str, proofs: Proofs) -> None:
    before = len(site.calls())
    with site.probe(60) as client:
        stopped_s = time.time()
        site.run("proxy01", "systemctl", "stop", "haproxy")
        wait_until(lambda: site.holders() == ["proxy02"], SETTLED_S, "the VIP moves")
        wait_until(lambda: len(site.calls()) > before, SETTLED_S, "the cloud is told")
        time.sleep(1)
        moved = client.finish()
    assert told(site.calls()[before:]) == [(ADDRESS["proxy02"], site.mac("proxy02"))]
    assert set(site.answers()) == {"proxy02"}
    (outage,) = probe.outages(moved)
    assert outage.start_s >= stopped_s - 1
    low = SEEN_EARLIEST_S + SKEW_S["proxy02"]
    high = SEEN_LATEST_S + SKEW_S["proxy02"] + SLOW_S
    proofs.within(f"{engine}: HAProxy stops: a client behind the cloud has no answer", outage.length_s, low, high)

    with site.probe(60) as client:
        started_s = time.monotonic()
        site.run("proxy01", "systemctl", "start", "haproxy")
        wait_until(lambda: site.holders() == ["proxy01"], SETTLED_S, "the VIP returns")
        back_s = time.monotonic() - started_s
        wait_until(lambda: len(site.calls()) > before + 1, SETTLED_S, "the cloud is told")
        time.sleep(1)
        returned = client.finish()
    assert told(site.calls()[before + 1 :]) == [(ADDRESS["proxy01"], site.mac("proxy01"))]
    assert set(site.answers()) == {"proxy01"}
    high = SEEN_LATEST_S + MASTER_DOWN_S["proxy01"] + SLOW_S
    proofs.within(f"{engine}: HAProxy starts, the VIP returns", back_s, SEEN_EARLIEST_S, high)
    lost_s = sum(one.length_s for one in probe.outages(returned))
    # until the cloud is told, packets go to the one that has given the VIP up
    proofs.within(f"{engine}: without an answer at the return", lost_s, 0.0, SLOW_S)
    proofs.add(f"{engine}: calls of the metadata service for two take-overs", "2", str(len(site.calls()) - before))
    assert len(site.calls()) == before + 2


def test_the_service_is_down(site: Site, engine: str, proofs: Proofs) -> None:
    """The VIP moves, the call fails and is repeated, and who looks sees why nobody is served."""
    if engine != "agent":
        return  # keepalived runs a script once
    before = len(site.calls())
    site.metadata(run=False)
    site.run("proxy01", "systemctl", "stop", "haproxy")
    wait_until(lambda: site.holders() == ["proxy02"], SETTLED_S, "the VIP moves")
    assert set(site.answers()) == {"nobody"}
    failed = wait_until(lambda: bool(failures(site)), SETTLED_S, "the failure is told")
    (first, *_rest) = failures(site)
    assert "did not take 172.22.123.107 at" in json.dumps(first)
    assert "Connection refused" in json.dumps(first)
    site.metadata(run=True)
    started_s = time.monotonic()
    wait_until(lambda: set(site.answers()) == {"proxy02"}, SETTLED_S, "the call is repeated")
    proofs.add("agent: the metadata service is down: the failure is in `lvsctl events`", "yes", f"after {failed:.1f} s")
    proofs.within("agent: it is back, and the client is served", time.monotonic() - started_s, 0.0, 1 + 1 + SLOW_S)
    assert told(site.calls()[before:]) == [(ADDRESS["proxy02"], site.mac("proxy02"))]
    site.run("proxy01", "systemctl", "start", "haproxy")
    wait_until(lambda: site.serves("proxy01"), SETTLED_S, "proxy01 serves again")


def failures(site: Site) -> list[dict[str, Any]]:
    """Runs of notify_master on proxy02 that failed since the last one that did not."""
    said = site.run("proxy02", "sh", "-c", "lvsctl events --kind notify --number 50 --json || true")
    return [one for one in json.loads(said)["events"] if not one.get("ok", True)]


def test_both_boot(site: Site, engine: str, proofs: Proofs) -> None:
    before = len(site.calls())
    guests = [site.plan.guest(name) for name in PROXIES]
    for guest in guests:
        lab.crash(site.plan, guest)
    for guest in guests:
        lab.boot(site.plan, guest, lambda _text: None)
    wait_until(lambda: site.serves("proxy01"), 120, "proxy01 serves")
    calls = told(site.calls()[before:])
    assert calls[-1] == (ADDRESS["proxy01"], site.mac("proxy01"))
    proofs.add(f"{engine}: both hosts boot", "proxy01 serves by itself", f"{len(calls)} take-over(s), proxy01 serves")


def test_with_nopreempt_it_stays(site: Site, engine: str, proofs: Proofs, tmp_path: Path) -> None:
    inventory = tmp_path / "inventory"
    shutil.copytree(INVENTORY, inventory)
    group = inventory / "group_vars/directors.yml"
    group.write_text(group.read_text().replace("advert_int: 1\n", "advert_int: 1\n    nopreempt: true\n"))
    for name in PROXIES:
        own = inventory / f"host_vars/{name}.yml"
        own.write_text(own.read_text().replace("state: MASTER", "state: BACKUP"))
    try:
        build(inventory, engine)
        assert site.serves("proxy01")
        site.run("proxy01", "systemctl", "stop", "haproxy")
        wait_until(lambda: site.serves("proxy02"), SETTLED_S, "the VIP moves")
        site.run("proxy01", "systemctl", "start", "haproxy")
        time.sleep(SEEN_LATEST_S + MASTER_DOWN_S["proxy01"] + SLOW_S)
        assert site.serves("proxy02")
        proofs.add(f"{engine}: with nopreempt, HAProxy starts again", "the VIP stays", "it stayed")
    finally:
        build(INVENTORY, engine)
        wait_until(lambda: site.serves("proxy01"), SETTLED_S, "proxy01 serves again")
