# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""The reference site S6: two nginx proxies that are restarted before the VIP moves, in front of two web servers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from proofs import Proofs
from vrrp_site import SETTLED_S, SLOW_S, VrrpSite, master_down_s, unserved_s

from _lab import lab
from _lab.plan import Plan
from site_under_test import wait_until

PROXIES = ("nginx01", "nginx02")
WEB_SERVERS = {"app01", "app02"}
PRIORITY = {"nginx01": 100, "nginx02": 80}
INTERVAL_S = 5.0  # of nginx_page
RESTART_WAIT_S = 3.0
VIRTUAL_MAC = "00:00:5e:00:01:14"  # RFC 5798, 7.3; virtual_router_id 20
BROKEN = "/etc/nginx/conf.d/broken.conf"


@pytest.fixture(scope="module")
def site(plan: Plan) -> VrrpSite:
    return VrrpSite(plan, "nginx-ha", PROXIES, "192.168.20.100", 80)


@pytest.fixture(scope="module", params=["agent", "keepalived"])
def engine(request: pytest.FixtureRequest, site: VrrpSite) -> str:
    name = str(request.param)
    site.build(name)
    wait_until(lambda: serves(site, "nginx01"), SETTLED_S, "nginx01 serves")
    assert set(site.build(name).values()) == {0}
    return name


def serves(site: VrrpSite, host: str) -> bool:
    """It has the VIP alone, and both web servers answer through it."""
    return site.holders() == [host] and set(site.answers()) == WEB_SERVERS


def kill(site: VrrpSite) -> None:
    site.run("nginx01", "systemctl", "kill", "--signal=KILL", "nginx.service")


def mend(site: VrrpSite) -> None:
    """nginx01 is as before, and may be restarted again at once."""
    site.run("nginx01", "rm", "-rf", BROKEN, "/run/lvs-check")
    site.run("nginx01", "systemctl", "restart", "nginx.service")
    wait_until(lambda: serves(site, "nginx01"), SETTLED_S, "nginx01 serves")


def test_killed_it_is_restarted(site: VrrpSite, engine: str, proofs: Proofs) -> None:
    mend(site)
    with site.probe(60) as client:
        kill(site)
        wait_until(lambda: set(site.answers()) == WEB_SERVERS, SETTLED_S, "nginx runs again")
        assert site.holders() == ["nginx01"]
        time.sleep(RESTART_WAIT_S + 1)
        attempts = client.finish()
    assert site.holders() == ["nginx01"]
    lost_s = unserved_s(attempts)
    proofs.within(f"{engine}: nginx is killed: restarted, the VIP stays", lost_s, 0.0, INTERVAL_S + SLOW_S)


def test_broken_for_good_the_vip_moves(site: VrrpSite, engine: str, proofs: Proofs) -> None:
    mend(site)
    site.run("nginx01", "sh", "-c", f"echo nonsense >{BROKEN}")
    with site.probe(90) as client:
        kill(site)
        site.wait_for_holder("nginx02")
        wait_until(lambda: set(site.answers()) == WEB_SERVERS, SETTLED_S, "the site is served")
        attempts = client.finish()
    # a restart that fails is told at once; one that seems to work is looked at after the wait
    take_over_s = master_down_s(PRIORITY["nginx02"])
    low, high = take_over_s - 1, INTERVAL_S + RESTART_WAIT_S + take_over_s + SLOW_S
    proofs.within(f"{engine}: nginx is broken: the VIP moves, the site is served", unserved_s(attempts), low, high)
    mend(site)


def test_a_web_server_dies(site: VrrpSite, engine: str, proofs: Proofs) -> None:
    """nginx leaves it out by itself; VRRP has no part in it."""
    guest = site.plan.guest("app01")
    with site.probe(60) as client:
        lab.crash(site.plan, guest)
        wait_until(lambda: set(site.answers()) == {"app02"}, SETTLED_S, "app02 alone answers")
        time.sleep(7)  # fail_timeout is over, and app01 is tried again
        lost = [one for one in client.finish() if one.answer is None]
    assert site.holders() == ["nginx01"]
    # the connections that app01 had when its power went
    proofs.add(f"{engine}: a web server dies: attempts without an answer", "those it had", str(len(lost)))
    assert len(lost) <= 3
    lab.boot(site.plan, guest, lambda _text: None)
    wait_until(lambda: serves(site, "nginx01"), 60, "both answer again")


# words of the instance, and of its script
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "positive weight": ({}, {"weight": 30}),
    # no weight moves the VIP from a master that the others do not preempt: the script must be a fault
    "nopreempt": ({"nopreempt": True}, {"weight": 0}),
    "use_vmac": ({"use_vmac": True}, {}),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_variants(site: VrrpSite, engine: str, proofs: Proofs, tmp_path: Path, name: str) -> None:
    words, script = VARIANTS[name]
    mend(site)
    try:
        site.build(engine, site.variant(tmp_path, words, script))
        wait_until(lambda: serves(site, "nginx01"), SETTLED_S, "nginx01 serves")
        site.run("nginx01", "sh", "-c", f"echo nonsense >{BROKEN}")
        kill(site)
        wait_until(lambda: serves(site, "nginx02"), SETTLED_S, "nginx02 serves")
        if name == "use_vmac":
            neighbours = site.run("client", "ip", "neigh", "show", "to", site.vip)
            proofs.add(f"{engine}: use_vmac: the VIP's MAC at the client", VIRTUAL_MAC, neighbours.split()[4])
            assert f"lladdr {VIRTUAL_MAC} " in neighbours
        site.run("nginx01", "rm", "-rf", BROKEN, "/run/lvs-check")
        site.run("nginx01", "systemctl", "restart", "nginx.service")
        if name == "nopreempt":
            time.sleep(INTERVAL_S + master_down_s(PRIORITY["nginx01"]) + SLOW_S)
            assert serves(site, "nginx02")
            proofs.add(f"{engine}: nopreempt: nginx01 is well again", "the VIP stays", "it stayed")
        else:
            wait_until(lambda: serves(site, "nginx01"), SETTLED_S, "the VIP returns")
            proofs.add(f"{engine}: {name}: broken, and well again", "the VIP moves and returns", "it did")
    finally:
        site.run("nginx01", "rm", "-rf", BROKEN, "/run/lvs-check")
        site.run("nginx01", "systemctl", "restart", "nginx.service")
        site.build(engine)
        wait_until(lambda: serves(site, "nginx01"), SETTLED_S, "nginx01 serves again")
