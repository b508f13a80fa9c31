# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""The reference site S2: a real server, the master, and the next master lose their network, and have it again."""

from __future__ import annotations

import json
import time
from collections import Counter

import pytest
from dr_single_nic import ENGINES, PRIORITY, REAL_SERVERS, serves, site_of
from proofs import Proofs
from vrrp_site import SETTLED_S, SLOW_S, VrrpSite, master_down_s, unserved_s

from _lab import lab
from _lab.plan import Plan
from site_under_test import wait_until

NIC = "ens33"
# HTTP_GET: delay_loop 6, connect_timeout 3, retry 3, delay_before_retry 3; who is not there does not answer
DOWN_EARLIEST_S, DOWN_LATEST_S = 3 * 3.0, 6 + 3 + 3 * (3 + 3.0)
UP_LATEST_S = 6 + 3 + 3.0


@pytest.fixture(scope="module")
def site(plan: Plan) -> VrrpSite:
    return site_of(plan)


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, site: VrrpSite) -> str:
    name = str(request.param)
    site.build(name)
    wait_until(lambda: serves(site, "lvs01"), SETTLED_S, "lvs01 serves")
    assert set(site.build(name).values()) == {0}
    return name


def link(site: VrrpSite, host: str, state: str) -> None:
    site.run(host, "ip", "link", "set", NIC, state)


def test_round_robin_and_the_label(site: VrrpSite, engine: str, proofs: Proofs) -> None:
    answers = Counter(site.answers())
    assert set(answers) == REAL_SERVERS
    assert abs(answers["web01"] - answers["web02"]) <= 1
    (line,) = site.run("lvs01", "ip", "-o", "address", "show", "label", f"{NIC}:9").splitlines()
    assert f" {site.vip}/24 " in line
    proofs.add(f"{engine}: round robin", "1 to 1", f"{answers['web01']} to {answers['web02']}")


def test_a_real_server_loses_its_network(site: VrrpSite, engine: str, proofs: Proofs) -> None:
    link(site, "web01", "down")
    gone_s = wait_until(lambda: set(site.answers()) == {"web02"}, DOWN_LATEST_S + SLOW_S, "web02 alone answers")
    proofs.within(f"{engine}: a real server's NIC is down", gone_s, DOWN_EARLIEST_S - 3, DOWN_LATEST_S + SLOW_S)
    link(site, "web01", "up")
    back_s = wait_until(lambda: set(site.answers()) == REAL_SERVERS, UP_LATEST_S + SLOW_S, "both answer")
    proofs.within(f"{engine}: it is up again", back_s, 0.0, UP_LATEST_S + SLOW_S)


def test_the_master_loses_its_network(site: VrrpSite, engine: str, proofs: Proofs) -> None:
    with site.probe(60) as client:
        link(site, "lvs01", "down")
        wait_until(lambda: "lvs02" in site.holders(), SETTLED_S, "lvs02 has the VIP")
        wait_until(lambda: set(site.answers()) == REAL_SERVERS, SETTLED_S, "both answer")
        attempts = client.finish()
    low, high = master_down_s(PRIORITY["lvs02"]) - 1, master_down_s(PRIORITY["lvs02"]) + SLOW_S
    proofs.within(f"{engine}: the master's NIC is down: no answer for", unserved_s(attempts), low, high)
    wait_until(lambda: site.holders() == ["lvs02"], SETTLED_S, "lvs01 gives the VIP up")
    if engine == "agent":
        (one,) = json.loads(site.run("lvs01", "sh", "-c", "lvsctl vrrp --json || true"))["instances"]
        assert one["state"] == "FAULT"
    link(site, "lvs01", "up")
    back_s = site.wait_for_holder("lvs01")
    high = master_down_s(PRIORITY["lvs01"]) + SLOW_S
    proofs.within(f"{engine}: it is up again: lvs01 is master, alone", back_s, 0.0, high)
    wait_until(lambda: serves(site, "lvs01"), SETTLED_S, "lvs01 serves")


def test_the_highest_of_those_left(site: VrrpSite, engine: str, proofs: Proofs) -> None:
    guest = site.plan.guest("lvs01")
    lab.crash(site.plan, guest)
    left = site._replace(directors=("lvs02", "lvs03"))
    wait_until(lambda: left.holders() == ["lvs02"], SETTLED_S, "lvs02 is master")
    time.sleep(master_down_s(PRIORITY["lvs03"]))
    assert left.holders() == ["lvs02"]
    link(site, "lvs02", "down")
    wait_until(lambda: left.holders() == ["lvs03"], SETTLED_S, "lvs03 is master")
    proofs.add(f"{engine}: lvs01 crashes, lvs02 loses its network", "lvs02, then lvs03 is master", "so it was")
    link(site, "lvs02", "up")
    lab.boot(site.plan, guest, lambda _text: None)
    wait_until(lambda: serves(site, "lvs01"), 120, "lvs01 serves")
