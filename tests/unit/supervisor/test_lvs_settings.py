# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the LVS process is given, packed: nothing is lost, and what stays the same is not opened again."""

from __future__ import annotations

from dataclasses import replace

from _lvs_agent.health.plan import CheckId, CheckPlan, Endpoint, TcpCheck, Timing
from _lvs_agent.lvs.plan import LvsPlan, VirtualServerPlan
from _lvs_agent.supervisor.lvs_settings import LvsSettings, pack, unpack
from tests.unit.lvs.plans import real, virtual

NAMES = ("TCP 192.0.2.1:80", "TCP 192.0.2.2:80")


def check(service: str, number: int) -> CheckPlan:
    endpoint = Endpoint(4, bytes([10, 0, 0, number]), 80)
    return CheckPlan(CheckId(service, f"10.0.0.{number}:80", "TCP_CHECK", 0), Timing(1, 1, 1, 1, 1), TcpCheck(endpoint))


def server(name: str, *numbers: int) -> VirtualServerPlan:
    return replace(virtual([real(number) for number in numbers]), name=name)


def settings(*servers: VirtualServerPlan) -> LvsSettings:
    checks = tuple(check(one.name, number) for one in servers for number in range(1, 1 + len(one.servers)))
    return LvsSettings(LvsPlan(servers, flush=True), checks, 0o27)


def test_what_was_packed_comes_out() -> None:
    said = settings(server(NAMES[0], 1, 2), server(NAMES[1], 1))
    assert unpack(pack(said))[0] == said
    assert unpack(b"")[0].plan == LvsPlan()


def test_what_stays_the_same_is_the_very_same() -> None:
    before, parts = unpack(pack(settings(server(NAMES[0], 1, 2), server(NAMES[1], 1))))
    changed = settings(server(NAMES[0], 1, 2), server(NAMES[1], 1, 2))
    after, parts = unpack(pack(changed), parts)
    assert after == changed
    first, second = after.plan.virtual_servers
    assert first is before.plan.virtual_servers[0]
    assert second is not before.plan.virtual_servers[1]
    assert all(one is other for one, other in zip(after.checks[:2], before.checks[:2]))
    # what is gone is forgotten
    _last, parts = unpack(pack(settings(server(NAMES[1], 1, 2))), parts)
    assert [one.name for one, _checks in parts.values()] == [NAMES[1]]
