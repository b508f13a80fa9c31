# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""Agent beside agent, agent beside keepalived, keepalived beside agent: built, looked at, stopped, crashed, killed,
reloaded and cut apart. What needs one pair only is in test_only_agents.py."""

from __future__ import annotations

import time

from _lab import lab, network, probe, wire
from pair_under_test import (
    CONFIGURATION,
    VRID,
    Pair,
    addresses_watched,
    longest_silence,
    reasons,
)
from site_under_test import (
    ADDRESS,
    ADVERT_INT_S,
    DIRECTORS,
    EARLY_S,
    LATE_S,
    MASTER_DOWN_S,
    PRIORITY,
    PROBE_INTERVAL_S,
    SKEW_S,
    VIP,
    Site,
    failures,
    lengths,
    wait_until,
)

ADDED = "192.168.1.101"
RESTART_S = 0.1  # RestartSec of its unit


def test_built_by_the_inventory_alone(site: Site, pair: Pair) -> None:
    if pair.seen:
        print(f"measured: engines switched, of {len(pair.seen)} attempts of a client failed: {reasons(pair.seen)}")
    for director, engine in pair.engines.items():
        other = {"agent": "keepalived", "keepalived": "lvs-agent"}[engine]
        assert pair.systemctl(director, "is-enabled").strip() == "enabled"
        assert pair.systemctl(director, "is-active").strip() == "active"
        assert site.run(director, "sh", "-c", f"systemctl is-active {other}.service || true").strip() == "inactive"
    assert site.holders() == ["lvs01"]
    assert pair.build() == dict.fromkeys(DIRECTORS, 0)


def test_the_masters_adverts_and_what_the_agents_say(site: Site, pair: Pair, capture: wire.Capture) -> None:
    first = capture.wait_for(ADDRESS["lvs01"], 0, 5)
    capture.wait_for(ADDRESS["lvs01"], first.time_s + 2.5, 5)
    adverts = capture.adverts
    assert {advert._replace(time_s=0.0) for advert in adverts} == {
        wire.Advert(
            0.0, ADDRESS["lvs01"], site.mac("lvs01"), 2, VRID, PRIORITY["lvs01"], ADVERT_INT_S, (VIP,), summed=True
        )
    }
    gaps = [later.time_s - earlier.time_s for earlier, later in zip(adverts, adverts[1:])]
    assert all(ADVERT_INT_S - EARLY_S <= gap <= ADVERT_INT_S + LATE_S for gap in gaps), gaps
    for director in pair.agents:
        assert pair.lvsctl(director, "status")["problems"] == []
        pair.agrees(director)


def test_stop_of_the_masters_daemon_and_its_return(site: Site, pair: Pair, capture: wire.Capture) -> None:
    with site.probe(60) as client:
        capture.wait_for(ADDRESS["lvs01"], time.time(), 3)
        stopped = time.time()
        pair.systemctl("lvs01", "stop")
        first = capture.wait_for(ADDRESS["lvs02"], stopped, 5).time_s
        assert site.holders() == ["lvs02"]
        assert site.neighbour() == site.mac("lvs02")
        started = time.time()
        pair.systemctl("lvs01", "start")
        back = capture.wait_for(ADDRESS["lvs01"], started, 10).time_s
        wait_until(lambda: site.holders() == ["lvs01"], 5, "lvs01 took the VIP back")
        assert site.neighbour() == site.mac("lvs01")
        attempts = client.finish()
    goodbye = [advert.time_s for advert in capture.adverts if advert.priority == 0 and advert.time_s < started]
    assert len(goodbye) == 1
    gap = first - goodbye[0]
    leaving = [attempt for attempt in attempts if attempt.start_s < started]
    coming = [attempt for attempt in attempts if attempt.start_s >= started]
    outages = probe.outages(leaving)
    print(f"measured: priority 0 to the next master {gap * 1000:.0f} ms, client {lengths(outages)}")
    moved_back = site.announced(capture, "lvs01", back)
    unannounced = moved_back - back
    print(f"measured: return of the master, announced {unannounced * 1000:.0f} ms after its advert, "
          f"client {lengths(probe.outages(coming))}")
    assert SKEW_S["lvs02"] - EARLY_S <= gap <= SKEW_S["lvs02"] + LATE_S
    if pair.engines["lvs01"] == "agent":
        # It serves on until the other's advert is heard.
        assert failures(leaving, moved_s=site.announced(capture, "lvs02", stopped)) == []
        # So does the other one until this one's announcement; keepalived lets go at the advert, which goes before.
        too_early = 0 if pair.engines["lvs02"] == "agent" else unannounced / PROBE_INTERVAL_S + 1
        assert len(failures(coming, moved_s=moved_back)) <= too_early
    else:
        assert len(outages) == 1
        assert outages[0].length_s <= SKEW_S["lvs02"] + 2 * LATE_S


def test_crash_of_the_masters_host(site: Site, pair: Pair, capture: wire.Capture) -> None:
    master = site.plan.guest("lvs01")
    with site.probe(30) as client:
        capture.wait_for(ADDRESS["lvs01"], time.time(), 3)
        crashed = time.time()
        lab.crash(site.plan, master)
        dead = time.time()
        first = capture.wait_for(ADDRESS["lvs02"], crashed, 10).time_s
        assert site.holders(["lvs02"]) == ["lvs02"]
        attempts = client.finish()
    last = max(advert.time_s for advert in capture.adverts if advert.source == ADDRESS["lvs01"])
    silence = first - last
    outages = probe.outages(attempts)
    print(f"measured: last advert to the next master {silence * 1000:.0f} ms, client {lengths(outages)}")
    lab.boot(site.plan, master, lambda _text: None)
    assert MASTER_DOWN_S["lvs02"] - EARLY_S <= silence <= MASTER_DOWN_S["lvs02"] + LATE_S
    assert len(outages) == 1
    # The crash comes anywhere between two adverts, so that much of the silence may have been served; the client
    # sees the rest of it, to one attempt.
    assert first - dead - PROBE_INTERVAL_S - EARLY_S <= outages[0].length_s <= first - crashed + LATE_S


def test_the_agents_processes_are_killed(site: Site, pair: Pair, capture: wire.Capture) -> None:
    start_s = max(_start_s(site, director) for director in pair.agents)
    with addresses_watched(site, "lvs01") as changes, site.probe(60) as client:
        before = capture.wait_for(ADDRESS["lvs01"], time.time(), 3).time_s
        for director in pair.agents:
            _kill(pair, director)
        capture.wait_for(ADDRESS["lvs01"], time.time() + ADVERT_INT_S, 5)
        attempts = client.finish()
    silence = longest_silence(capture.adverts, "lvs01", before)
    outages = probe.outages(attempts)
    print(f"measured: longest time between two adverts {silence * 1000:.0f} ms (the agent starts in "
          f"{start_s * 1000:.0f} ms), client {lengths(outages)}")
    # This machine may start no Python within Master_Down_Timer: the backup has to take over, and gives the VIP back.
    moved = silence >= MASTER_DOWN_S["lvs02"]
    told = [claim.time_s for claim in capture.claims if claim.gratuitous and claim.address == VIP]
    moves = [time_s for time_s in told if time_s >= before] if moved else []
    assert failures(attempts, moved_s=moves) == []
    # the advert that was due when it died, and the start of supervisor and VRRP process, one after the other
    assert silence < ADVERT_INT_S + RESTART_S + 3 * start_s + LATE_S
    if moved:
        assert {advert.source for advert in capture.adverts} == set(ADDRESS.values())
        return
    assert changes == []
    assert {advert.source for advert in capture.adverts} == {ADDRESS["lvs01"]}
    for director in pair.agents:
        assert "resumed" in pair.events(director, "configured")[-1]["cause"] or director != "lvs01"


def _start_s(site: Site, director: str) -> float:
    """Seconds that the director needs to start a program of the agent's, the reading of its configuration included."""
    began = time.monotonic()
    site.run(director, "lvs-agent", "check", CONFIGURATION)
    return time.monotonic() - began


def _kill(pair: Pair, director: str) -> None:
    """All processes of the agent at once; returns when systemd has started it again."""

    def process() -> str:
        # lvsctl would do as well, but a start-up of Python's delays the one that is waited for
        return pair.systemctl(director, "show", "--property=MainPID,ActiveState")

    former = process()
    pair.systemctl(director, "kill", "--kill-whom=all", "--signal=KILL")
    wait_until(lambda: "ActiveState=active" in (now := process()) and now != former, 15, f"{director} has a new agent")


def test_reload_with_one_more_vip_and_back(site: Site, pair: Pair, capture: wire.Capture) -> None:
    with site.probe(60) as client:
        before = capture.wait_for(ADDRESS["lvs01"], time.time(), 3).time_s
        _edit_and_reload(pair, rf"s/^( *)192\.168\.1\.100$/&\n\1{ADDED}/")
        added = capture.wait_for(ADDRESS["lvs01"], time.time() + ADVERT_INT_S, 5)
        holders = site.holders()
        assert ADDED in site.run("lvs01", "ip", "-oneline", "address")
        assert ADDED not in site.run("lvs02", "ip", "-oneline", "address")
        _edit_and_reload(pair, rf"/^ *{ADDED}$/d")
        removed = capture.wait_for(ADDRESS["lvs01"], time.time() + ADVERT_INT_S, 5)
        attempts = client.finish()
    silence = longest_silence(capture.adverts, "lvs01", before)
    outages = probe.outages(attempts)
    print(f"measured: longest time between two adverts {silence * 1000:.0f} ms, client {lengths(outages)}")
    assert holders == ["lvs01"]
    assert (added.addresses, removed.addresses) == ((VIP, ADDED), (VIP,))
    assert ADDED not in site.run("lvs01", "ip", "-oneline", "address")
    assert failures(attempts) == []
    assert {advert.source for advert in capture.adverts} == {ADDRESS["lvs01"]}
    assert silence <= ADVERT_INT_S + LATE_S


def _edit_and_reload(pair: Pair, expression: str) -> None:
    """Backup first, and the master at once: keepalived hears no master that has another list, and takes over."""
    for director in DIRECTORS:
        pair.site.run(director, "sed", "--in-place", "--regexp-extended", expression, CONFIGURATION)
    for director in reversed(DIRECTORS):
        pair.systemctl(director, "reload")


def test_cut_apart_and_healed(site: Site, pair: Pair, capture: wire.Capture) -> None:
    network.partition(site.plan, ["lvs01"])
    cut = time.time()
    try:
        capture.wait_for(ADDRESS["lvs02"], cut, 10)
        assert site.holders() == list(DIRECTORS)
        assert failures(site.ask(0.3)) == []
        assert site.neighbour() == site.mac("lvs02")
        with site.probe(60) as client:
            healed = time.time()
            network.heal(site.plan)
            wait_until(lambda: site.holders() == ["lvs01"], 5, "one of the two masters has left")
            attempts = client.finish()
    finally:
        network.heal(site.plan)
    last = max(advert.time_s for advert in capture.adverts if advert.source == ADDRESS["lvs02"])
    outages = probe.outages(attempts)
    print(f"measured: two masters for {(last - healed) * 1000:.0f} ms after healing, client {lengths(outages)}")
    assert site.neighbour() == site.mac("lvs01")
