# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""A run that was interrupted, a change of one real server, a director that leaves, the end of the site."""

from __future__ import annotations

import pytest

from _lab import wire
from as_a_user import INVENTORY, PLAYBOOKS, play
from site_under_test import DIRECTORS, REAL_SERVERS, SETTLED_S, VIP, Site, failures, wait_until

SITE, UNINSTALL = PLAYBOOKS / "site.yml", PLAYBOOKS / "uninstall.yml"
OURS = (
    *("/etc/keepalived/keepalived.conf", "/etc/modules-load.d/linuxha-lvs.conf"),
    *("/var/lib/linuxha-lvs", "/var/lib/lvs-agent"),
    *("/etc/sysctl.d/90-linuxha-lvs-director.conf", "/etc/sysctl.d/90-linuxha-lvs-real-server.conf"),
    *("/usr/sbin/lvs-agent", "/usr/sbin/lvsctl", "/usr/lib/lvs-agent", "/etc/systemd/system/lvs-*"),
    "/usr/sbin/lvs-check",
)


@pytest.fixture(scope="module", autouse=True)
def built(site: Site) -> None:
    """The site as its inventory says, whatever the files before have left."""
    play(INVENTORY, SITE)
    wait_until(lambda: site.holders() == ["lvs01"], SETTLED_S, "lvs01 is master")


def traces(site: Site, host: str) -> str:
    """What the roles make on a host: files, users, addresses, settings, rules."""
    files = site.run(host, "sh", "-c", f"ls -d {' '.join(OURS)} 2>/dev/null || true")
    users = site.run(host, "sh", "-c", "getent passwd lvs-agent || true")
    address = site.run(host, "sh", "-c", f"ip -o address | grep -F ' {VIP}/' || true")
    rules = site.run(host, "sh", "-c", "iptables-save 2>/dev/null | grep LINUXHA || true")
    settings = site.run(
        host, "sh", "-c",
        "sysctl net.ipv4.conf.all.arp_ignore net.ipv4.conf.all.arp_announce | grep -v ' = 0' || true",
    )  # fmt: skip
    return files + users + address + rules + settings


def test_a_configuration_that_was_written_and_not_loaded_is_loaded(site: Site) -> None:
    """As after Ctrl-C between the two: the file is newer than what the daemon has read."""
    site.run("lvs02", "touch", "/etc/keepalived/keepalived.conf")
    assert play(INVENTORY, SITE) == {**dict.fromkeys([*DIRECTORS, *REAL_SERVERS], 0), "lvs02": 1}
    assert set(play(INVENTORY, SITE).values()) == {0}


def test_a_real_server_that_changes_is_drained_for_it(site: Site) -> None:
    """A setting has drifted on one of them; the other one is left alone, and no client notices."""
    site.run("web01", "sysctl", "-q", "-w", "net.ipv4.conf.all.arp_announce=1")
    # of each server, as ipvsadm has it: "-a -t VIP:PORT -r ADDRESS:PORT -g -w WEIGHT"
    watch = "for i in $(seq 900); do ipvsadm -Sn | grep -e ' -r '; sleep 0.2; done"
    site.run("lvs01", "sh", "-c", f"({watch}) >/run/weights 2>/dev/null & echo $! >/run/watch.pid")
    with site.probe(60) as client:
        changed = play(INVENTORY, SITE, "-e", "site_real_servers_serial=1")
        attempts = client.result()
    site.run("lvs01", "sh", "-c", "kill $(cat /run/watch.pid)")
    lines = site.run("lvs01", "cat", "/run/weights").splitlines()
    weights = {
        host: [line.split()[-1] for line in lines if f" -r {at}:" in line] for host, at in REAL_SERVERS.items()
    }
    assert failures(attempts) == []
    assert changed["web01"]
    assert (changed["web02"], changed["lvs01"], changed["lvs02"]) == (0, 0, 0)
    assert set(weights["web02"]) == {"1"}
    assert "0" in weights["web01"]
    assert weights["web01"][-1] == "1"
    assert set(play(INVENTORY, SITE, "-e", "site_real_servers_serial=1").values()) == {0}


def test_a_director_that_leaves_hands_over_and_can_come_back(site: Site, capture: wire.Capture) -> None:
    with site.probe(300) as client:
        changed = play(INVENTORY, UNINSTALL, "--limit", "lvs01")
        wait_until(lambda: site.holders(["lvs02"]) == ["lvs02"], SETTLED_S, "lvs02 is master")
        attempts = client.finish()
    assert list(changed) == ["lvs01"]
    assert failures(attempts, moved_s=site.announced(capture, "lvs02", attempts[0].start_s)) == []
    assert traces(site, "lvs01") == ""
    assert play(INVENTORY, SITE)["web01"] == 0
    wait_until(lambda: site.holders() == ["lvs01"], SETTLED_S, "lvs01 is master again")


def test_a_site_that_ends_leaves_hosts_as_they_were(site: Site) -> None:
    hosts = [*DIRECTORS, *REAL_SERVERS]
    dry = play(INVENTORY, UNINSTALL, "--check")
    assert all(dry[host] for host in hosts)
    assert site.holders() == ["lvs01"]
    play(INVENTORY, UNINSTALL)
    assert {host: traces(site, host) for host in hosts} == dict.fromkeys(hosts, "")
    assert set(play(INVENTORY, UNINSTALL).values()) == {0}
