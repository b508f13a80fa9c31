# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""The reference site S4: HAProxy on two hosts, and a network that must be told where the VIP is.

The cloud forwards the VIP to the MAC that it was last told and never asks by ARP, so a client behind it proves that
`notify_master` has told it. What is expected is written down here by hand.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from proofs import Proofs
from vrrp_site import SETTLED_S, SLOW_S, UNIT, VrrpSite, master_down_s, skew_s, unserved_s

from _lab import lab
from _lab.plan import Plan
from site_under_test import wait_until

METADATA = Path(__file__).parent / "metadata.py"
VIP = "172.22.123.107"
PROXIES = ("proxy01", "proxy02")
ADDRESS = {"proxy01": "172.22.123.101", "proxy02": "172.22.123.102"}
PRIORITY = {"proxy01": 150, "proxy02": 100}
# proxy_port: interval 2, fall 2, rise 2. The first run that sees a change comes within an interval.
SEEN_EARLIEST_S, SEEN_LATEST_S = 2.0, 4.0


class Cloud:
    """The host that forwards the VIP to the MAC that it was last told."""

    def __init__(self, site: VrrpSite) -> None:
        self._site = site

    def prepare(self) -> None:
        text = METADATA.read_text(encoding="utf-8")
        self._run("sh", "-c", 'printf %s "$1" >/root/metadata.py', "sh", text)
        self._run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
        nobody = ("lladdr", "02:00:00:00:00:01", "dev", "eth0", "nud", "permanent")
        self._run("ip", "neigh", "replace", VIP, *nobody)
        self.start()

    def start(self) -> None:
        unit = ("systemd-run", "--unit=metadata", "--collect", "python3", "/root/metadata.py")
        self._run(*unit, "172.22.123.1", "8775", "eth0")
        wait_until(lambda: bool(self._run("ss", "-Hltn", "sport = 8775")), 20, "the metadata service listens")

    def stop(self) -> None:
        self._run("systemctl", "stop", "metadata.service")

    def calls(self) -> list[tuple[str, str]]:
        """Who told it, and of which MAC, the oldest first."""
        lines = self._run("sh", "-c", "cat /run/calls 2>/dev/null || true").splitlines()
        return [(call["from"], call["mac"]) for call in map(json.loads, lines)]

    def _run(self, *argv: str) -> str:
        return self._site.run("cloud", *argv)


@pytest.fixture(scope="module")
def site(plan: Plan) -> VrrpSite:
    return VrrpSite(plan, "haproxy-unicast", PROXIES, VIP, 80)


@pytest.fixture(scope="module")
def cloud(site: VrrpSite) -> Cloud:
    made = Cloud(site)
    made.prepare()
    return made


@pytest.fixture(scope="module", params=["agent", "keepalived"])
def engine(request: pytest.FixtureRequest, site: VrrpSite, cloud: Cloud) -> str:
    """Both proxies run it; the first one holds the VIP, and the cloud was told."""
    name = str(request.param)
    site.build(name)
    # the first play announced to a service that was not there yet
    site.run("proxy01", "systemctl", "restart", UNIT[name])
    wait_until(lambda: serves(site, "proxy01"), SETTLED_S, "proxy01 serves")
    assert cloud.calls()[-1] == told_by(site, "proxy01")
    assert set(site.build(name).values()) == {0}
    return name


def serves(site: VrrpSite, host: str) -> bool:
    return site.holders() == [host] and set(site.answers()) == {host}


def told_by(site: VrrpSite, host: str) -> tuple[str, str]:
    return ADDRESS[host], site.mac(host)


def test_haproxy_stops_and_starts(site: VrrpSite, cloud: Cloud, engine: str, proofs: Proofs) -> None:
    before = len(cloud.calls())
    with site.probe(60) as client:
        site.run("proxy01", "systemctl", "stop", "haproxy")
        site.wait_for_holder("proxy02")
        wait_until(lambda: len(cloud.calls()) > before, SETTLED_S, "the cloud is told")
        time.sleep(1)
        lost_s = unserved_s(client.finish())
    assert cloud.calls()[before:] == [told_by(site, "proxy02")]
    assert set(site.answers()) == {"proxy02"}
    low = SEEN_EARLIEST_S + skew_s(PRIORITY["proxy02"])
    high = SEEN_LATEST_S + skew_s(PRIORITY["proxy02"]) + SLOW_S
    proofs.within(f"{engine}: HAProxy stops: a client behind the cloud has no answer", lost_s, low, high)

    with site.probe(60) as client:
        site.run("proxy01", "systemctl", "start", "haproxy")
        back_s = site.wait_for_holder("proxy01")
        wait_until(lambda: len(cloud.calls()) > before + 1, SETTLED_S, "the cloud is told")
        time.sleep(1)
        lost_s = unserved_s(client.finish())
    assert cloud.calls()[before + 1 :] == [told_by(site, "proxy01")]
    assert set(site.answers()) == {"proxy01"}
    high = SEEN_LATEST_S + master_down_s(PRIORITY["proxy01"]) + SLOW_S
    # ssh has taken its time when the clock starts
    proofs.within(f"{engine}: HAProxy starts: the VIP returns", back_s, SEEN_EARLIEST_S - 1, high)
    # until the cloud is told, packets go to the one that has given the VIP up
    proofs.within(f"{engine}: at the return a client has no answer", lost_s, 0.0, SLOW_S)
    proofs.add(f"{engine}: calls of the metadata service for two take-overs", "2", str(len(cloud.calls()) - before))


# keepalived runs a script once
@pytest.mark.parametrize("engine", ["agent"], indirect=True)
@pytest.mark.usefixtures("engine")
def test_the_service_is_down(site: VrrpSite, cloud: Cloud, proofs: Proofs) -> None:
    """The VIP moves, the call fails and is repeated, and who looks sees why nobody is served."""
    before = len(cloud.calls())
    cloud.stop()
    site.run("proxy01", "systemctl", "stop", "haproxy")
    site.wait_for_holder("proxy02")
    assert set(site.answers()) == {"nobody"}
    failed_s = wait_until(lambda: bool(failures(site)), SETTLED_S, "the failure is told")
    assert "did not take 172.22.123.107 at" in failures(site)[-1]
    cloud.start()
    served_s = wait_until(lambda: set(site.answers()) == {"proxy02"}, SETTLED_S, "the call is repeated")
    proofs.add("agent: the metadata service is down: `lvsctl events` says so", "yes", f"yes, after {failed_s:.1f} s")
    # a run a second, and a second in which the client is asked
    proofs.within("agent: it is back: the client is served", served_s, 0.0, 1 + 1 + SLOW_S)
    assert cloud.calls()[before:] == [told_by(site, "proxy02")]
    site.run("proxy01", "systemctl", "start", "haproxy")
    wait_until(lambda: serves(site, "proxy01"), SETTLED_S, "proxy01 serves again")


def failures(site: VrrpSite) -> list[str]:
    """The newest runs of notify_master on proxy02 that failed."""
    said = site.run("proxy02", "sh", "-c", "lvsctl events --kind notify --number 20 --json || true")
    events: list[dict[str, Any]] = json.loads(said)["events"]
    return [json.dumps(one) for one in events if not one["ok"]]


def test_both_boot(site: VrrpSite, cloud: Cloud, engine: str, proofs: Proofs) -> None:
    before = len(cloud.calls())
    guests = [site.plan.guest(name) for name in PROXIES]
    for guest in guests:
        lab.crash(site.plan, guest)
    for guest in guests:
        lab.boot(site.plan, guest, lambda _text: None)
    wait_until(lambda: serves(site, "proxy01"), 120, "proxy01 serves")
    assert cloud.calls()[-1] == told_by(site, "proxy01")
    moves = len(cloud.calls()) - before
    proofs.add(f"{engine}: both hosts boot", "proxy01 serves by itself", f"it does, after {moves} take-over(s)")


def test_with_nopreempt_it_stays(site: VrrpSite, engine: str, proofs: Proofs, tmp_path: Path) -> None:
    try:
        site.build(engine, site.variant(tmp_path, {"nopreempt": True}))
        assert serves(site, "proxy01")
        site.run("proxy01", "systemctl", "stop", "haproxy")
        wait_until(lambda: serves(site, "proxy02"), SETTLED_S, "the VIP moves")
        site.run("proxy01", "systemctl", "start", "haproxy")
        time.sleep(SEEN_LATEST_S + master_down_s(PRIORITY["proxy01"]) + SLOW_S)
        assert serves(site, "proxy02")
        proofs.add(f"{engine}: with nopreempt, HAProxy starts again", "the VIP stays", "it stayed")
    finally:
        site.build(engine)
        wait_until(lambda: serves(site, "proxy01"), SETTLED_S, "proxy01 serves again")
