# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adverts that some peers cannot be sent: what the others hear, seen by tcpdump."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.integration.netns.wire import Agent, Site, site

pytestmark = [pytest.mark.root, pytest.mark.measured]

INTERVAL_S = 0.01
#: longer than a neighbour entry waits for its MAC (three requests, a second apart)
WATCHED_S = 4.0
#: what a firewall on this host drops: send(2) fails with EPERM
FILTERED = ("10.0.0.7", "10.0.0.8")
#: on the wire, and never answering ARP: each keeps 208 KiB of adverts waiting
SILENT = ("10.0.0.77", "10.0.0.78", "10.0.0.79")
FILE = f"""vrrp_instance V {{
 interface eth0
 virtual_router_id 51
 version 3
 advert_int {INTERVAL_S}
 unicast_src_ip 10.0.0.1
 unicast_peer {{
 {chr(10).join((*FILTERED, *SILENT, "10.0.0.2"))}
 }}
 virtual_ipaddress {{
 10.0.0.100/24
 }}
}}
"""


@pytest.fixture
def wire() -> Iterator[Site]:
    with site() as where:
        yield where


def test_a_peer_that_cannot_be_reached_silences_no_other(wire: Site, tmp_path: Path) -> None:
    for peer in FILTERED:
        wire.a.run("iptables", "-A", "OUTPUT", "-p", "vrrp", "-d", peer, "-j", "DROP")
    file = tmp_path / "a.conf"
    file.write_text(FILE)
    agent = Agent(wire.a, file)
    try:
        agent.wait_for("Transitioned", state="MASTER")
        time.sleep(WATCHED_S)
        times = [seen.at for seen in wire.witness.of(51) if seen.destination == "10.0.0.2"]
        counters = agent.counters()
    finally:
        agent.close()
    assert len(times) > WATCHED_S / INTERVAL_S * 0.9
    assert max(later - sooner for sooner, later in pairwise(times)) < 0.5
    assert counters["send_errors"] >= len(times) * len(FILTERED) * 0.9
    remarks = [one["text"] for one in agent.of_kind("Remark")]
    assert remarks == [
        f"sending an advert to {peer} failed: [Errno 1] Operation not permitted" for peer in FILTERED
    ]
