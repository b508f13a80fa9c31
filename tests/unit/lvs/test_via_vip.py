# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks through the VIP: their services in the table, and what is borrowed for the way back."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Any

import pytest

from _lvs_agent.health.plan import CheckPlan, Endpoint, TcpCheck, Timing
from _lvs_agent.kernel import sysctl
from _lvs_agent.kernel.ipvs_types import SVC_F_ONEPACKET, ServiceKey
from _lvs_agent.kernel.route_messages import AddressInfo
from _lvs_agent.lvs import reply_path, via_vip
from _lvs_agent.lvs.decisions import Decisions
from _lvs_agent.lvs.plan import LvsPlan
from _lvs_agent.lvs.reply_path import ReplyPath
from tests.unit.lvs.plans import KEY, check, real, virtual

MARK = 1 << 30 | 5
TIMING = Timing(1, 1, 1, 1, 1)


def through(number: int, mark: int) -> CheckPlan:
    endpoint = Endpoint(4, bytes([192, 0, 2, 1]), 80, fwmark=mark, via=bytes([10, 0, 0, number]))
    return CheckPlan(check(number), TIMING, TcpCheck(endpoint), via_vip=True)


def test_a_service_with_one_server_for_each() -> None:
    plan = virtual([real(1, 7), real(2, 7)])
    direct = replace(through(2, 0), via_vip=False)
    table = via_vip.table([plan], [through(1, MARK), direct])
    (key,) = table
    assert key == ServiceKey(socket.AF_INET, fwmark=MARK)
    assert table[key].service.flags == SVC_F_ONEPACKET
    assert [(one.addr, one.port, one.weight) for one in table[key].servers.values()] == [("10.0.0.1", 0, 1)]
    assert via_vip.table([plan], [direct]) == {}


def test_they_are_in_the_table_whatever_health_says() -> None:
    plan = virtual([real(1), real(2)])
    probes = tuple(via_vip.table([plan], [through(1, MARK)]).values())
    decisions = Decisions()
    decisions.configure(LvsPlan((plan,), probes=probes), {})
    decisions.decide(1)
    assert set(decisions.table) == {KEY, ServiceKey(socket.AF_INET, fwmark=MARK)}
    decisions.configure(LvsPlan((plan,)), {})
    decisions.decide(2)
    assert set(decisions.table) == {KEY}


class Host:
    """Settings of interfaces, and where addresses are."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settings: dict[tuple[str, str], str] = {}
        self.addresses = [AddressInfo(2, bytes([10, 0, 0, 9]), 24), AddressInfo(3, bytes([192, 0, 2, 9]), 24)]
        self.kept: list[set[str]] = []
        monkeypatch.setattr(reply_path, "source_towards", lambda via: bytes([10, 0, 0, 9]) if via[0] == 10 else b"")
        monkeypatch.setattr(reply_path, "RouteSocket", lambda: self)
        monkeypatch.setattr(socket, "if_nameindex", lambda: [(2, "eth0"), (3, "eth1")])
        monkeypatch.setattr(sysctl, "read", lambda key: self.settings.get(key[3:], "0"))
        monkeypatch.setattr(sysctl, "write", self._write)

    def _write(self, key: Any, value: str) -> None:
        assert self.kept, "not kept before it was set"
        self.settings[key[3:]] = value

    def __enter__(self) -> Any:
        table = self.addresses

        class Route:
            def addresses(self) -> list[AddressInfo]:
                return table

        return Route()

    def __exit__(self, *_details: object) -> None:
        pass

    def path(self, *borrowed: str) -> ReplyPath:
        return ReplyPath(borrowed, lambda names: self.kept.append(set(names)))


VIA, VIP = [bytes([10, 0, 0, 1])], [bytes([192, 0, 2, 1])]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(monkeypatch)


def test_it_is_set_where_real_servers_are_and_put_back(host: Host) -> None:
    path = host.path()
    assert path.follow(VIA, VIP) == []
    assert host.settings == {("eth0", "accept_local"): "1"}
    host.settings["eth0", "accept_local"] = "0"  # somebody else's doing
    path.follow(VIA, VIP)
    assert host.settings == {("eth0", "accept_local"): "1"}
    path.follow([], [])
    assert host.settings == {("eth0", "accept_local"): "0"}
    assert host.kept == [{"eth0"}, {"eth0"}, set()]


def test_a_full_file_system_makes_no_check_fail(host: Host) -> None:
    def keep(_names: object) -> None:
        host.kept.append(set())
        raise OSError(28, "No space left on device", "/run/lvs-agent/accept_local.json")

    (problem,) = ReplyPath((), keep).follow(VIA, VIP)
    assert "accept_local.json'; after a crash it may be left set" in problem
    assert host.settings == {("eth0", "accept_local"): "1"}


def test_what_was_set_before_us_stays(host: Host) -> None:
    for where in ("eth0", "all"):
        host.settings = {(where, "accept_local"): "1"}
        path = host.path()
        path.follow(VIA, VIP)
        path.follow([], [])
        assert host.settings == {(where, "accept_local"): "1"}
    # but what the process before us set is ours
    host.kept.append(set())
    host.settings = {("eth0", "accept_local"): "1"}
    host.path("eth0").follow([], [])
    assert host.settings == {("eth0", "accept_local"): "0"}


def test_a_way_back_that_the_kernel_blocks_is_said(host: Host) -> None:
    host.settings["all", "rp_filter"] = "1"
    assert host.path().follow(VIA, VIP) == []
    host.addresses.append(AddressInfo(3, VIP[0], 32))
    (problem,) = host.path().follow(VIA, VIP)
    assert "rp_filter of eth0 is 1 and the VIP is on another interface" in problem
    host.addresses[-1] = AddressInfo(2, VIP[0], 32)
    assert host.path().follow(VIA, VIP) == []
    assert host.path().follow([bytes([172, 16, 0, 1])], VIP) == []  # no route: its check says so
