# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""Faults that are measured with agents on both directors only.

An upgrade, a reboot and a NIC that goes concern one agent; who its neighbour is adds nothing that stop, crash and
reload in test_each_pair.py do not show. A pulled cable is what test_cut_apart_and_healed pulls there: the lab's NICs
have a carrier without a cable, so here the NIC itself goes down.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from _lab import guest, probe, wire
from _lab.paths import lab_dir
from _lvs_agent.version import VERSION
from as_a_user import CHECKOUT
from pair_under_test import PAIRS, Pair, addresses_watched, longest_silence
from site_under_test import (
    ADDRESS,
    ADVERT_INT_S,
    BOOT_ID,
    DIRECTORS,
    LATE_S,
    Site,
    failures,
    lengths,
    wait_until,
)

pytestmark = pytest.mark.parametrize("pair", PAIRS[:1], ids="/".join, indirect=True)

FROZEN_S = 5.0
NEWER = "99.0.0"


def newer_collection(directory: Path) -> Path:
    """This collection with another version of the agent, as ANSIBLE_COLLECTIONS_PATH wants it."""
    top = directory / "ansible_collections/linuxha/lvs"
    for part in ("meta", "playbooks", "plugins", "roles"):
        shutil.copytree(CHECKOUT / part, top / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "galaxy.yml", top)
    version = top / "plugins/module_utils/_lvs_agent/version.py"
    version.write_text(version.read_text().replace(f'"{VERSION}"', f'"{NEWER}"'))
    return directory


def test_upgrade(
    site: Site, pair: Pair, capture: wire.Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", str(newer_collection(tmp_path)))
    with addresses_watched(site, "lvs01") as changes, site.probe(600) as client:
        before = capture.wait_for(ADDRESS["lvs01"], time.time(), 3).time_s
        pair.build()
        attempts = client.finish()
    silence = longest_silence(capture.adverts, "lvs01", before)
    outages = probe.outages(attempts)
    print(f"measured: longest time between two adverts {silence * 1000:.0f} ms, client {lengths(outages)}")
    assert [pair.lvsctl(director, "status")["version"] for director in DIRECTORS] == [NEWER, NEWER]
    assert failures(attempts) == []
    assert changes == []
    assert {advert.source for advert in capture.adverts} == {ADDRESS["lvs01"]}


def test_the_masters_nic_goes_and_comes_back(site: Site, pair: Pair, capture: wire.Capture) -> None:
    with site.probe(60) as client:
        before = capture.wait_for(ADDRESS["lvs01"], time.time(), 3).time_s
        site.run("lvs01", "ip", "link", "set", "ens33", "down")
        first = capture.wait_for(ADDRESS["lvs02"], before, 10).time_s
        wait_until(lambda: site.holders() == ["lvs02"], 2, "lvs02 holds the VIP, alone")
        broken = pair.instance("lvs01")
        away = client.finish()
    with site.probe(60) as client:
        up = time.time()
        site.run("lvs01", "ip", "link", "set", "ens33", "up")
        came = capture.wait_for(ADDRESS["lvs01"], up, 10).time_s
        wait_until(lambda: site.holders() == ["lvs01"], 10, "lvs01 took the VIP back")
        back = client.finish()
    outages = probe.outages(away)
    print(f"measured: last advert to the next master {(first - before) * 1000:.0f} ms, client {lengths(outages)}")
    moved_back = site.announced(capture, "lvs01", came)
    unannounced = moved_back - came
    print(f"measured: return of the master, announced {unannounced * 1000:.0f} ms after its advert, "
          f"client {lengths(probe.outages(back))}")
    assert broken["state"] == "FAULT"
    assert any("ens33" in fault for fault in broken["faults"]), broken["faults"]
    assert len(outages) == 1
    # The other one serves on until the announcement, which follows the advert.
    assert failures(back, moved_s=moved_back) == []


def test_a_frozen_master_goes_on(site: Site, pair: Pair, capture: wire.Capture) -> None:
    frozen, directory = site.plan.guest("lvs01"), lab_dir(site.plan.name)
    with site.probe(60) as client:
        before = capture.wait_for(ADDRESS["lvs01"], time.time(), 3).time_s
        guest.set_frozen(directory, frozen, True)
        try:
            capture.wait_for(ADDRESS["lvs02"], before, 10)
            time.sleep(max(0.0, before + FROZEN_S - time.time()))
        finally:
            guest.set_frozen(directory, frozen, False)
        thawed = time.time()
        wait_until(lambda: site.holders() == ["lvs01"], 5, "one of the two masters has left")
        attempts = client.finish()
    last = max(advert.time_s for advert in capture.adverts if advert.source == ADDRESS["lvs02"])
    alarms = {
        (director, event["alarm"])
        for director in DIRECTORS
        for event in pair.events(director, "alarm")
        if event["time"] >= time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(thawed))
    }
    outages = probe.outages(attempts)
    print(f"measured: two masters for {(last - thawed) * 1000:.0f} ms after the thaw, client {lengths(outages)}")
    assert ("lvs01", "two_masters") in alarms
    assert last - thawed <= LATE_S
    assert site.neighbour() == site.mac("lvs01")


def test_reboot_of_the_master(site: Site, pair: Pair, capture: wire.Capture) -> None:
    boot = site.run("lvs01", "cat", BOOT_ID)
    with site.probe(60) as client:
        rebooted = capture.wait_for(ADDRESS["lvs01"], time.time(), 3).time_s
        site.run("lvs01", "systemctl", "reboot")
        capture.wait_for(ADDRESS["lvs02"], rebooted, 20)
        time.sleep(ADVERT_INT_S)
        attempts = client.finish()
    took = wait_until(lambda: site.run("lvs01", "cat", BOOT_ID) != boot, 60, "lvs01 has rebooted")
    print(f"measured: client {lengths(probe.outages(attempts))}; lvs01 answers {took:.0f} s later")
    assert failures(attempts, moved_s=site.announced(capture, "lvs02", rebooted)) == []
