# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""An instance that cannot be built is in FAULT with a reason, no other one is touched; adverts that are too long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from _lvs_agent.conf.advert_room import room
from _lvs_agent.kernel.route import Event
from _lvs_agent.kernel.route_messages import RTM_NEWLINK, pack_address, pack_route, pack_rule
from _lvs_agent.vrrp import messages
from _lvs_agent.vrrp.actions import State
from _lvs_agent.vrrp.instance import SECOND
from _lvs_agent.vrrp.plan import Holding, Hop, InstancePlan, RouteHolding, RuleHolding

from .test_loop import DOWN_NS, UP, World, plan

OTHER = bytes((10, 0, 0, 101))
PRIORITY_AT = 20 + 2
COUNT_AT = 20 + 3


@pytest.fixture
def world() -> Iterator[World]:
    found = World()
    kernel: Any = found.kernel
    # as RouteSocket does, which makes a message first
    kernel.add_address = _packed(pack_address, kernel.add_address)
    kernel.delete_address = _packed(pack_address, kernel.delete_address)
    kernel.add_route = kernel.delete_route = _packed(pack_route, lambda _route: True)
    kernel.add_rule = kernel.delete_rule = _packed(pack_rule, lambda _rule: True)
    kernel.watch_routes = lambda: None
    yield found
    found.close()


def _packed(pack: Callable[[Any], bytes], done: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def change(thing: Any) -> bool:
        assert pack(thing)
        return done(thing)

    return change


def holding(**words: Any) -> InstancePlan:
    return replace(plan(), **words)


BROKEN = {
    "scope": (holding(vips=(Holding("eth0", bytes((10, 0, 0, 100)), 24, scope=256),)), "VIP number 1"),
    "excluded": (holding(excluded=(Holding("eth0", OTHER, 24, preferred_lft=-1),)), "VIP number 2"),
    "weight": (
        holding(routes=(RouteHolding(4, b"", 0, hops=(Hop(OTHER, "eth0", weight=0), Hop(OTHER, "eth0"))),)),
        "virtual route number 1",
    ),
    "mtu": (holding(routes=(RouteHolding(4, b"", 0, metrics=((2, -1),)),)), "virtual route number 1"),
    "tos": (holding(rules=(RuleHolding(4), RuleHolding(4, tos=256))), "virtual rule number 2"),
    "interval": (plan(version=2, advert_int=SECOND // 2), "its adverts cannot be built"),
    "long interval": (plan(advert_int=41 * SECOND), "its adverts cannot be built"),
}


@pytest.mark.parametrize("broken, why", BROKEN.values(), ids=list(BROKEN))
def test_an_instance_that_cannot_be_built_is_in_fault_and_harms_no_other(
    world: World, broken: InstancePlan, why: str
) -> None:
    start = world.now
    world.configure(broken, plan("W", 52, OTHER))
    world.at(start + 2 * DOWN_NS)
    assert world.supervisor.states_of("V") == [State.FAULT]
    assert world.supervisor.states_of("W") == [State.BACKUP, State.MASTER]
    assert OTHER in world.vips()
    (configured,) = [one for one in world.supervisor.heard if isinstance(one, messages.Configured)]
    assert any(one.startswith("V: ") and why in one for one in configured.problems), configured.problems


def test_a_reload_that_breaks_an_instance_leaves_the_others_and_another_reload_mends_it(world: World) -> None:
    start = world.now
    world.configure(plan(), plan("W", 52, OTHER))
    world.at(start + 2 * DOWN_NS)
    world.configure(BROKEN["weight"][0], plan("W", 52, OTHER))
    assert world.supervisor.states_of("V")[-1] is State.FAULT
    assert world.supervisor.states_of("W") == [State.BACKUP, State.MASTER]
    assert world.vips() == {OTHER}
    # it resigns, so that its backup is master after one skew time
    assert 0 in [packet[PRIORITY_AT] for packet in world.ports[0].sent]
    told = [one for one in world.supervisor.heard if isinstance(one, messages.Configured)][-1]
    assert [one.partition(" cannot be built")[0] for one in told.problems] == ["V: its virtual route number 1"]
    world.configure(plan(), plan("W", 52, OTHER))
    world.at(world.now + 2 * DOWN_NS)
    assert world.supervisor.states_of("V")[-1] is State.MASTER


def test_an_error_nobody_thought_of_is_a_fault_of_one_instance(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare = world.loop.possession.prepare

    def breaks(runner: Any, now: int) -> None:
        if runner.name == "V":
            raise AttributeError("a bug")
        prepare(runner, now)

    monkeypatch.setattr(world.loop.possession, "prepare", breaks)
    start = world.now
    world.configure(plan(), plan("W", 52, OTHER))
    world.at(start + 2 * DOWN_NS)
    assert world.supervisor.states_of("V") == [State.FAULT]
    assert world.supervisor.states_of("W")[-1] is State.MASTER
    assert any("this is a bug, please report it" in one and "Traceback" in one for one in world.supervisor.remarks())
    # another MTU does not mend that, a reload of the same file does
    world.kernel.tell(Event(RTM_NEWLINK, link=UP._replace(mtu=1280)))
    world.at(world.now + 2 * DOWN_NS)
    assert world.supervisor.states_of("V") == [State.FAULT]
    monkeypatch.setattr(world.loop.possession, "prepare", prepare)
    world.configure(plan(), plan("W", 52, OTHER))
    world.at(world.now + 2 * DOWN_NS)
    assert world.supervisor.states_of("V")[-1] is State.MASTER


def test_the_first_vips_are_in_the_advert_and_the_others_are_named(world: World) -> None:
    vips = [bytes((10, 0, 1 + number // 250, 1 + number % 250)) for number in range(257)]
    whole = plan()
    instance = replace(whole.instance, addresses=tuple(vips))
    start = world.now
    world.configure(replace(whole, instance=instance, vips=tuple(Holding("eth0", vip, 24) for vip in vips)))
    world.at(start + DOWN_NS)
    sent = world.ports[0].sent[0]
    assert sent[COUNT_AT] == 255
    assert sent[28 : 28 + 4 * 255] == b"".join(vips[:255])
    assert world.vips() == set(vips)
    (told,) = [one for one in world.supervisor.remarks() if "no room" in one]
    assert "for 2 VIPs" in told
    assert "10.0.2.6, 10.0.2.7" in told
    # a smaller MTU at run time
    world.kernel.tell(Event(RTM_NEWLINK, link=UP._replace(mtu=600)))
    world.at(world.now + 2 * SECOND)
    assert world.ports[0].sent[-1][COUNT_AT] == room(600, 4, 3) == (600 - 14 - 20 - 8) // 4
    assert world.supervisor.transitions()[-1] is State.MASTER


@pytest.mark.parametrize(
    "mtu, family, version, signed, most",
    [
        # as keepalived 2.2.7 says: "exceeds maximum/space available in packet (max 89 addresses)"
        (1500, 6, 3, False, 89),
        (1280, 6, 3, False, 76),
        (1500, 4, 2, False, 255),
        (1500, 4, 3, False, 255),
        (9000, 6, 3, False, 255),
        (576, 4, 2, True, 125),
        (0, 6, 3, False, 89),
        (68, 4, 2, True, 0),
    ],
)
def test_room(mtu: int, family: int, version: int, signed: bool, most: int) -> None:
    assert room(mtu, family, version, signed=signed) == most
