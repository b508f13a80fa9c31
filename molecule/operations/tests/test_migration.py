# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""migrate_from_keepalived.yml: a pair that Debian's keepalived runs by files written by hand gets the other engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import testinfra

from _lab import probe, wire
from as_a_user import INVENTORY, PLAYBOOKS, play, run
from site_under_test import (
    ADDRESS,
    DIRECTORS,
    EARLY_S,
    LATE_S,
    MASTER_DOWN_S,
    PRIORITY,
    SETTLED_S,
    Site,
    failures,
    lengths,
    wait_until,
)

Host = Callable[[str], testinfra.host.Host]

PLAYBOOK = PLAYBOOKS / "migrate_from_keepalived.yml"
CONFIGURATION = "/etc/keepalived/keepalived.conf"
BROKEN = "/etc/systemd/system/lvs-agent.service.d/broken.conf"
BY_HAND = """! written by hand
vrrp_instance VI_1 {{
    state {state}
    interface ens33
    virtual_router_id 51
    priority {priority}
    advert_int 1
    virtual_ipaddress {{ 192.168.1.100/24 }}
}}
virtual_server 192.168.1.100 80 {{
    delay_loop 6
    lb_algo rr
    lb_kind DR
    protocol TCP
    real_server 192.168.1.129 80 {{
        weight 1
        TCP_CHECK {{ connect_timeout 3 }}
    }}
    real_server 192.168.1.130 80 {{
        weight 1
        TCP_CHECK {{ connect_timeout 3 }}
    }}
}}
"""


@pytest.fixture(scope="module")
def by_hand(site: Site, host: Host) -> dict[str, str]:
    """Both directors run keepalived as its package starts it; director -> its file."""
    files = {}
    for name, state in (("lvs02", "BACKUP"), ("lvs01", "MASTER")):
        files[name] = BY_HAND.format(state=state, priority=PRIORITY[name])
        machine = host(name)
        machine.check_output("DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes keepalived")
        machine.check_output("systemctl disable lvs-agent")
        machine.check_output(f"printf %s {_quoted(files[name])} > {CONFIGURATION}; chown root:root {CONFIGURATION}")
        machine.check_output("systemctl enable keepalived; systemctl restart keepalived")
    wait_until(lambda: site.holders() == ["lvs01"], SETTLED_S, "lvs01 holds the VIP, alone")
    return files


def _quoted(text: str) -> str:
    return f"'{text}'"


def engines(site: Site) -> list[tuple[str, str]]:
    """Of each director, whether keepalived and lvs-agent run."""
    words = "systemctl is-active keepalived lvs-agent || true"
    found = [site.run(name, "sh", "-c", words).split() for name in DIRECTORS]
    return [(keepalived, agent) for keepalived, agent in found]


@pytest.fixture
def unusable_agent(host: Host) -> Iterator[None]:
    """Both directors have a drop-in with which lvs-agent does not start."""
    for name in DIRECTORS:
        host(name).check_output(f"mkdir -p $(dirname {BROKEN})")
        host(name).check_output(f"printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\n' > {BROKEN}")
        host(name).check_output("systemctl daemon-reload")
    yield
    for name in DIRECTORS:
        host(name).check_output(f"rm {BROKEN}; systemctl daemon-reload")


def test_an_agent_that_does_not_start_leaves_keepalived_at_work(
    site: Site, by_hand: dict[str, str], unusable_agent: None
) -> None:
    with site.probe(600) as client:
        done = run("ansible-playbook", INVENTORY, str(PLAYBOOK))
        attempts = client.finish()
    assert done.returncode != 0
    assert "Start lvs-agent:" in done.stdout
    assert "keepalived runs again" in done.stdout
    assert engines(site) == [("active", "inactive")] * 2
    assert site.run("lvs02", "systemctl", "is-enabled", "keepalived").strip() == "enabled"
    assert site.holders() == ["lvs01"]
    assert failures(attempts) == []


def test_under_load_the_vip_always_has_a_holder(
    site: Site, by_hand: dict[str, str], capture: wire.Capture
) -> None:
    tables = [sorted(site.run(name, "ipvsadm", "-Sn").splitlines()) for name in DIRECTORS]
    with site.probe(600) as client:
        started = capture.wait_for(ADDRESS["lvs01"], time.time(), 3).time_s
        changed = play(INVENTORY, PLAYBOOK)
        wait_until(lambda: site.holders() == ["lvs01"], SETTLED_S, "lvs01 holds the VIP, alone")
        attempts = client.finish()
    adverts = [advert for advert in capture.adverts if advert.time_s >= started]
    away = next(advert.time_s for advert in adverts if advert.source == ADDRESS["lvs02"])
    back = next(advert.time_s for advert in adverts if advert.source == ADDRESS["lvs01"] and advert.time_s > away)
    silence = away - max(advert.time_s for advert in adverts if advert.time_s < away)
    moved_away, moved_back = site.announced(capture, "lvs02", started), site.announced(capture, "lvs01", back)
    unannounced = moved_back - back
    before = [attempt for attempt in attempts if attempt.start_s < away - silence - 1]
    leaving = [attempt for attempt in attempts if away - silence - 1 <= attempt.start_s < back - 0.1]
    coming = [attempt for attempt in attempts if attempt.start_s >= back - 0.1]
    print(f"measured: engine of the backup, client {lengths(probe.outages(before))}")
    print(f"measured: engine of the master, last advert to the next master's first {silence * 1000:.0f} ms, "
          f"client {lengths(probe.outages(leaving))}")
    print(f"measured: return of the master, announced {unannounced * 1000:.0f} ms after its advert, "
          f"client {lengths(probe.outages(coming))}; {len(attempts)} attempts in all")
    # Nobody resigns, which would leave the VIP without a holder for a skew time.
    assert [advert for advert in adverts if advert.priority == 0] == []
    assert MASTER_DOWN_S["lvs02"] - EARLY_S <= silence <= MASTER_DOWN_S["lvs02"] + LATE_S
    assert all(count > 0 for name, count in changed.items() if name in DIRECTORS)
    # The old master serves until the new one has announced itself, at either change.
    assert failures(before) == []
    assert failures(leaving, moved_s=moved_away) == []
    assert failures(coming, moved_s=moved_back) == []
    assert engines(site) == [("inactive", "active")] * 2
    assert [sorted(site.run(name, "ipvsadm", "-Sn").splitlines()) for name in DIRECTORS] == tables
    assert {name: site.run(name, "cat", CONFIGURATION) for name in DIRECTORS} == by_hand
    assert set(play(INVENTORY, PLAYBOOK).values()) == {0}
