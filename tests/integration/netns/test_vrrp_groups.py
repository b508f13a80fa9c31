# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sync groups over two networks: what ``ip`` shows after faults, outages, reloads and hand-overs, beside keepalived."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.netns.conftest import Host
from tests.integration.netns.daemon import Daemon, pack
from tests.integration.netns.wire import AddressEvents, Agent, Keepalived, Site, site, wait_until

pytestmark = [pytest.mark.root, pytest.mark.measured]

INTERVAL_S = 0.2
#: A backup's whole timer, and as much again for a loaded machine.
TWICE_DOWN_S = 2 * 4 * INTERVAL_S


def configuration(first: int, priority: int, *, instances: int = 2, group: bool = True) -> str:
    """Virtual routers ``first`` on eth0 and ``first`` + 1 on eth1, each with the VIP 10.0.N.VRID."""
    blocks = [
        f"vrrp_instance V{number} {{\n interface eth{number}\n virtual_router_id {first + number}\n version 3\n"
        f" priority {priority}\n advert_int {INTERVAL_S}\n virtual_ipaddress {{\n {vip(first, number)}/24\n }}\n}}\n"
        for number in range(instances)
    ]
    if group:
        blocks.append("vrrp_sync_group G {\n group {\n V0\n V1\n }\n}\n")
    return "\n".join(blocks)


def vip(first: int, number: int) -> str:
    return f"10.0.{number}.{first + number}"


def held(host: Host, first: int) -> list[bool]:
    """Whether ``ip`` shows the VIP of each of the two."""
    found = [{one.partition("/")[0] for one in host.addresses(f"eth{number}")} for number in (0, 1)]
    return [vip(first, number) in found[number] for number in (0, 1)]


@pytest.fixture
def where() -> Iterator[Site]:
    with site() as found:
        for number, host in enumerate((found.a, found.b), 1):
            host.run("ip", "address", "add", f"10.0.1.{number}/24", "dev", "eth1")
        yield found


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """Start lvs-agent or keepalived on a host with a configuration; ``write`` replaces that."""
    with ExitStack() as stack:

        def begin(kind: type[Agent | Keepalived], host: Host, text: str) -> tuple[Any, Path]:
            path = tmp_path / f"{kind.__name__}.conf"
            path.write_text(text)
            running = kind(host, path)
            stack.callback(running.close)
            return running, path

        yield begin


def cut(where: Site, network: int, apart: bool) -> None:
    """The hosts do not hear each other on one network; no link goes down."""
    for port in (f"p1{network}", f"p2{network}"):
        where.witness.host.run("bridge", "link", "set", "dev", port, "isolated", "on" if apart else "off")


def test_a_fault_ends_with_the_group_as_with_keepalived(where: Site, start: Any) -> None:
    """eth1 is down; its instance and the group are taken out of the file."""
    for host in (where.a, where.b):
        host.run("ip", "link", "set", "eth1", "down")
    agent, path = start(Agent, where.a, configuration(51, 150))
    keepalived, their_path = start(Keepalived, where.b, configuration(61, 150))
    agent.wait_for("Transitioned", name="V0", state="FAULT")
    time.sleep(TWICE_DOWN_S)
    assert (held(where.a, 51), held(where.b, 61)) == ([False, False], [False, False])
    path.write_text(configuration(51, 150, instances=1, group=False))
    their_path.write_text(configuration(61, 150, instances=1, group=False))
    agent.tell("configure", str(path))
    keepalived.reload()
    wait_until(lambda: held(where.b, 61) == [True, False], "keepalived's VIP")
    wait_until(lambda: held(where.a, 51) == [True, False], "our VIP")


def test_a_member_that_waited_for_the_group_is_master_without_it(where: Site, start: Any) -> None:
    """V1 hears keepalived, V0 hears nobody."""
    where.b.run("ip", "link", "set", "eth0", "down")
    text = configuration(51, 200).split("vrrp_instance V1")
    peer = "vrrp_instance V1" + text[1].split("vrrp_sync_group")[0]
    start(Keepalived, where.b, peer)
    wait_until(lambda: held(where.b, 51) == [False, True], "keepalived is master of V1")
    agent, path = start(Agent, where.a, configuration(51, 100))
    agent.wait_for("Transitioned", name="V1", state="BACKUP")
    time.sleep(TWICE_DOWN_S)
    assert held(where.a, 51) == [False, False]
    path.write_text(configuration(51, 100, group=False))
    agent.tell("configure", str(path))
    wait_until(lambda: held(where.a, 51) == [True, False], "V0 is master")
    time.sleep(TWICE_DOWN_S)
    assert held(where.a, 51) == [True, False]


def test_outages_of_one_network_each_move_nothing(where: Site, start: Any) -> None:
    """The master is heard on one of them always."""
    start(Keepalived, where.b, configuration(51, 200))
    wait_until(lambda: held(where.b, 51) == [True, True], "keepalived is master")
    agent, _path = start(Agent, where.a, configuration(51, 100))
    agent.wait_for("Transitioned", name="V1", state="BACKUP")
    time.sleep(TWICE_DOWN_S)
    for network in (0, 1):
        cut(where, network, apart=True)
        time.sleep(TWICE_DOWN_S)
        cut(where, network, apart=False)
        time.sleep(TWICE_DOWN_S)
    assert not agent.of_kind("Transitioned", state="MASTER")
    assert (held(where.a, 51), held(where.b, 51)) == ([False, False], [True, True])


def test_a_failover_without_a_successor_comes_back_once_and_rests(where: Site, tmp_path: Path) -> None:
    """Asked for by lvsctl, which says so."""
    program = tmp_path / "lvs-agent.pyz"
    pack(program, "1.0.0")
    daemon = Daemon(where.a, tmp_path / "a", program, configuration(51, 150))
    with ExitStack() as stack:
        stack.callback(daemon.close)
        daemon.start()
        daemon.wait_for(V0="MASTER", V1="MASTER")
        events = AddressEvents(where.a)
        stack.callback(events.close)
        asked = time.time()
        answer = daemon.ask("failover", "G")
        assert (answer.status, answer.result["done"]) == (1, False)
        why = {one["name"]: (one["state"], one["cause"]) for one in answer.result["instances"]}
        assert why == dict.fromkeys(("V0", "V1"), ("MASTER", "nobody took over"))
        # three times as long as a hand-over lasts
        time.sleep(3 * 5 * INTERVAL_S)
        assert held(where.a, 51) == [True, True]
        assert [events.of(vip(51, number)) for number in (0, 1)] == [[], []]
        once = ["BACKUP", "MASTER", "HANDOVER", "MASTER"]
        assert sorted(daemon.became()) == sorted(3 * once)
        assert daemon.log.count("nobody took over: is there another director") == 2
        resignations = [seen.at for seen in where.witness.of(51, asked) if not seen.priority]
        assert 0 < len(resignations) <= 4
        assert max(resignations) - min(resignations) < 2 * 5 * INTERVAL_S
