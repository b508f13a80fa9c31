# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""One fault after the other: what it costs by the protocol's arithmetic, and that all is well afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import testinfra

from _lab import lab, probe, wire
from _lab.plan import Guest
from as_a_user import INVENTORY, run
from site_under_test import (
    ADDRESS,
    BOOT_ID,
    CHECK_DOWN_S,
    CHECK_UP_S,
    CLIENT,
    DIRECTORS,
    EARLY_S,
    LATE_S,
    MASTER_DOWN_S,
    PROBE_INTERVAL_S,
    REAL_SERVERS,
    SETTLED_S,
    SKEW_S,
    VIP,
    Site,
    failures,
    lengths,
    wait_until,
)

Host = Callable[[str], testinfra.host.Host]


@pytest.fixture(autouse=True)
def whole(site: Site, host: Host) -> Iterator[None]:
    """Each fault starts from, and has to end in, the calm state."""
    assert site.holders() == ["lvs01"]
    yield
    wait_until(lambda: site.holders() == ["lvs01"], SETTLED_S, "the VIP is back on lvs01, alone")
    both = [set(REAL_SERVERS.values())] * len(DIRECTORS)
    wait_until(lambda: [site.pool(name) for name in DIRECTORS] == both, 30, "both directors have both servers")
    assert failures(site.ask(0.5)) == []


@pytest.fixture(autouse=True)
def silent_real_servers(site: Site, capture: wire.Capture) -> Iterator[None]:
    """Whatever happens, no real server ever says that the VIP is at its MAC."""
    yield
    assert site.claimants(capture) <= {site.mac(director) for director in DIRECTORS}


def the_client_follows(site: Site, capture: wire.Capture, since_s: float) -> None:
    """Gratuitous ARP moved the client's neighbour entry, and both servers answer in turn."""
    announced = [
        claim for claim in capture.claims if claim.gratuitous and claim.address == VIP and claim.time_s >= since_s
    ]
    assert announced
    assert {claim.mac for claim in announced} == {site.mac("lvs02")}
    assert site.neighbour() == site.mac("lvs02")
    attempts = site.ask(0.5)
    assert failures(attempts) == []
    assert set(probe.answers(attempts)) == set(REAL_SERVERS)


@pytest.fixture
def without_daemon(host: Host) -> Iterator[testinfra.host.Host]:
    """lvs01, whose daemon may be stopped at the end of the test and runs afterwards."""
    yield host("lvs01")
    host("lvs01").check_output("systemctl start lvs-agent")


def test_stop_of_the_masters_daemon(
    site: Site, without_daemon: testinfra.host.Host, capture: wire.Capture
) -> None:
    """The backup's skew time passes as with any engine, but the master serves until it hears the backup's advert."""
    with site.probe(6) as client:
        capture.wait_for(ADDRESS["lvs01"], time.time(), 3)
        stopped = time.time()
        without_daemon.check_output("systemctl stop lvs-agent")
        first = capture.wait_for(ADDRESS["lvs02"], stopped, 5).time_s
        attempts = client.result()
    goodbye = [advert.time_s for advert in capture.adverts if advert.priority == 0]
    assert len(goodbye) == 1
    gap = first - goodbye[0]
    print(f"measured: priority 0 to the next master {gap * 1000:.0f} ms, client {lengths(probe.outages(attempts))}")
    assert SKEW_S["lvs02"] - EARLY_S <= gap <= SKEW_S["lvs02"] + LATE_S
    assert failures(attempts, moved_s=site.announced(capture, "lvs02", stopped)) == []
    assert site.holders() == ["lvs02"]
    the_client_follows(site, capture, stopped)


def control(*words: str) -> bool:
    """Run `director_control` on lvs01 as a user does; whether it says that it changed something."""
    done = run("ansible", INVENTORY, "lvs01", "-m", "linuxha.lvs.director_control", "-a", *words)
    assert done.returncode == 0, done.stdout
    return "lvs01 | CHANGED" in done.stdout


@pytest.fixture
def released() -> Iterator[None]:
    """lvs01 takes the VIP back at the end, whatever became of the test."""
    yield
    control("state=released")


def test_hand_over_on_request(site: Site, released: None, capture: wire.Capture) -> None:
    """The module gives the VIP away while lvs01 is in good health, and nobody takes it back until it is released."""
    with site.probe(120) as client:
        capture.wait_for(ADDRESS["lvs01"], time.time(), 3)
        assert control("state=handed_over", "--check")
        assert site.holders() == ["lvs01"]
        asked = time.time()
        assert control("state=handed_over")
        first = capture.wait_for(ADDRESS["lvs02"], asked, 5).time_s
        assert site.holders() == ["lvs02"]
        assert not control("state=handed_over")
        capture.wait_for(ADDRESS["lvs02"], first + MASTER_DOWN_S["lvs01"], 10)
        assert {advert.source for advert in capture.adverts if advert.time_s > first} == {ADDRESS["lvs02"]}
        back = time.time()
        assert control("state=released")
        returned = capture.wait_for(ADDRESS["lvs01"], back, 10).time_s
        wait_until(lambda: site.holders() == ["lvs01"], 5, "lvs01 took the VIP back")
        attempts = client.finish()
    (goodbye,) = [advert.time_s for advert in capture.adverts if advert.priority == 0]
    away = [attempt for attempt in attempts if attempt.start_s < back]
    home = [attempt for attempt in attempts if attempt.start_s >= back]
    print(f"measured: hand-over on request, priority 0 to the next master {(first - goodbye) * 1000:.0f} ms, "
          f"client {lengths(probe.outages(away))}; return, client {lengths(probe.outages(home))}")  # fmt: skip
    assert SKEW_S["lvs02"] - EARLY_S <= first - goodbye <= SKEW_S["lvs02"] + LATE_S
    assert failures(away, moved_s=site.announced(capture, "lvs02", asked)) == []
    assert failures(home, moved_s=site.announced(capture, "lvs01", returned)) == []


@pytest.fixture
def master(site: Site) -> Iterator[Guest]:
    """lvs01, which may be dead at the end of the test and runs afterwards."""
    guest = site.plan.guest("lvs01")
    yield guest
    lab.boot(site.plan, guest, lambda _text: None)


def test_crash_of_the_master(site: Site, master: Guest, capture: wire.Capture) -> None:
    with site.probe(8) as client:
        capture.wait_for(ADDRESS["lvs01"], time.time(), 3)
        crashed = time.time()
        lab.crash(site.plan, master)
        dead = time.time()
        first = capture.wait_for(ADDRESS["lvs02"], crashed, 10).time_s
        attempts = client.result()
    last = max(advert.time_s for advert in capture.adverts if advert.source == ADDRESS["lvs01"])
    silence = first - last
    outages = probe.outages(attempts)
    print(f"measured: last advert to the next master {silence * 1000:.0f} ms, client {lengths(outages)}")
    assert MASTER_DOWN_S["lvs02"] - EARLY_S <= silence <= MASTER_DOWN_S["lvs02"] + LATE_S
    assert len(outages) == 1
    # The crash comes anywhere between two adverts, so that much of the silence may have been served; the client
    # sees the rest of it, to one attempt.
    assert first - dead - PROBE_INTERVAL_S - EARLY_S <= outages[0].length_s <= first - crashed + LATE_S
    assert site.holders(["lvs02"]) == ["lvs02"]
    the_client_follows(site, capture, crashed)


@pytest.fixture
def without_nginx(host: Host) -> Iterator[testinfra.host.Host]:
    """web01, whose port may be closed at the end of the test and is open afterwards."""
    yield host("web01")
    host("web01").check_output("systemctl start nginx")


def test_a_real_server_goes_and_comes_back(site: Site, without_nginx: testinfra.host.Host) -> None:
    only = {REAL_SERVERS["web02"]}
    both = set(REAL_SERVERS.values())
    with site.probe(CHECK_DOWN_S) as client:
        without_nginx.check_output("systemctl stop nginx")
        gone = wait_until(lambda: site.pool("lvs01") == only, CHECK_DOWN_S + 5, "web01 is taken out")
        attempts = client.result()
    failed = sum(outage.failed for outage in probe.outages(attempts))
    print(f"measured: closed port found after {gone:.1f} s, {failed} requests failed")
    # Round robin: every other request at most.
    assert 0 < failed <= len(attempts) / 2 + 2
    attempts = site.ask(1.0)
    assert failures(attempts) == []
    assert set(probe.answers(attempts)) == {"web02"}
    without_nginx.check_output("systemctl start nginx")
    back = wait_until(lambda: site.pool("lvs01") == both, CHECK_UP_S + 5, "web01 is back in")
    print(f"measured: open port found after {back:.1f} s")
    attempts = site.ask(1.0)
    assert failures(attempts) == []
    assert set(probe.answers(attempts)) == {"web01", "web02"}


def test_reboot_of_a_real_server(site: Site, host: Host) -> None:
    machine = host("web02")
    before = site.run("web02", "cat", BOOT_ID)
    machine.run("systemctl reboot")
    # It may be back before the checks, every 6 s with three retries, have found it gone.
    took = wait_until(lambda: site.run("web02", "cat", BOOT_ID) != before, 60, "web02 has rebooted")
    print(f"measured: web02 answers {took:.0f} s after its reboot")
    wait_until(lambda: machine.service("nginx").is_running, 20, "its nginx runs")
    wait_until(lambda: site.pool("lvs01") == set(REAL_SERVERS.values()), 30, "web02 is in the pool")
    assert f"{VIP}/24" in machine.check_output("ip -brief address show dev ens37")
    assert machine.sysctl("net.ipv4.conf.all.arp_ignore") == 1
    site.run(CLIENT, "ip", "neigh", "flush", "to", VIP)
    attempts = site.ask(1.0)
    assert failures(attempts) == []
    assert set(probe.answers(attempts)) == set(REAL_SERVERS)
    assert site.neighbour() == site.mac("lvs01")
