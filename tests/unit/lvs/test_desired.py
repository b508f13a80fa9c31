# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions: one by one, and in simulations of servers that come and go."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from _lvs_agent.health.plan import CheckId
from _lvs_agent.kernel.ipvs_types import FWD_DROUTE, FWD_MASQ, Destination, Service, ServiceKey
from _lvs_agent.lvs import depool, state
from _lvs_agent.lvs.desired import NEVER, Decision, Health, Surroundings, decide, is_suspended
from _lvs_agent.lvs.overrides import Drain
from _lvs_agent.lvs.plan import Floor, VirtualServerPlan
from _lvs_agent.lvs.state import ServiceState
from _lvs_agent.lvs.transitions import Kind, of_reload, of_stop
from tests.unit.lvs.plans import KEY, SERVICE, SORRY, check, name, real, virtual

SECOND = 1_000_000_000
UP, DOWN = Health(True), Health(False)
QUORUMS = (Kind.QUORUM_UP, Kind.QUORUM_DOWN)


class World:
    """A virtual server, with what its checks say."""

    def __init__(self, plan: VirtualServerPlan, before: ServiceState | None = None, **more: bool) -> None:
        self.plan, self.state, self.now = plan, before, 100 * SECOND
        self.health: dict[CheckId, Health] = {}
        self.drains: dict[str, Drain] = {}
        self.more = more
        self.next_ns = NEVER
        self.told: list[str] = []
        self.decision = self.decide()

    def decide(self) -> Decision:
        around = Surroundings(self.now, dict(self.health), dict(self.drains), **self.more)
        self.decision = decide(self.plan, around, self.state)
        self.state = self.decision.state
        self.told = [f"{one.server.split(':')[0][7:]} {one.kind.value}".strip() for one in self.decision.transitions]
        self.commands = [one.command for one in self.decision.transitions if one.command]
        return self.decision

    def say(self, results: Mapping[int, Health | None]) -> None:
        for number, health in results.items():
            if health is None:
                self.health.pop(check(number), None)
            else:
                self.health[check(number)] = health
        self.decide()

    def drain(self, *numbers: int) -> None:
        self.drains = {name(number): Drain("", name(number), 1) for number in numbers}
        self.decide()

    @property
    def weights(self) -> dict[int, int]:
        """Last number of the address -> weight in the kernel's table."""
        servers = self.decision.table[KEY].servers.values()
        return {int(server.addr.rpartition(".")[2]): server.weight for server in servers}


def test_in_service_from_the_start_and_told_in_silence() -> None:
    world = World(virtual([real(1, 3), real(2, 0)]))
    assert world.weights == {1: 3, 2: 0}
    assert (world.told, world.commands) == (["quorum up"], ["gained"])
    world.say({1: UP, 2: UP})
    assert world.told == []


def test_init_notifies() -> None:
    world = World(virtual([real(1), real(2, alpha=(check(2),))]), init_notifies=True)
    assert world.told == ["1 up", "quorum up"]
    world.say({1: UP, 2: UP})
    assert world.told == ["2 up"]


def test_down_and_up_again() -> None:
    world = World(virtual([real(1), real(2)]))
    world.say({1: DOWN, 2: UP})
    assert (world.weights, world.told, world.commands) == ({2: 1}, ["1 down"], ["down 1"])
    world.say({2: DOWN})
    assert (world.weights, world.told, world.commands) == ({}, ["2 down", "quorum down"], ["down 2", "lost"])
    world.say({1: UP})
    assert (world.weights, world.told, world.commands) == ({1: 1}, ["1 up", "quorum up"], ["up 1", "gained"])


def test_alpha_is_down_until_the_first_success_of_all_its_checks() -> None:
    both = (check(1), check(1, 1))
    world = World(virtual([real(1, checks=both, alpha=both), real(2, alpha=(check(2),))]))
    assert (world.weights, world.told) == ({}, [])
    world.say({1: UP, 2: DOWN})
    assert (world.weights, world.told, world.commands) == ({}, ["2 down"], ["down 2"])
    world.health[both[1]] = UP
    world.decide()
    assert (world.weights, world.told) == ({1: 1}, ["1 up", "quorum up"])


def test_one_check_of_several_is_enough_to_be_down() -> None:
    world = World(virtual([real(1, checks=(check(1), check(1, 1)))]))
    world.health = {check(1): UP, check(1, 1): DOWN}
    world.decide()
    assert world.weights == {}
    world.health[check(1)] = DOWN
    world.decide()
    assert world.told == []
    world.health = {check(1): UP, check(1, 1): UP}
    world.decide()
    assert world.weights == {1: 1}


def test_inhibit_on_failure() -> None:
    world = World(virtual([real(1, inhibit=True), real(2)]))
    world.say({1: DOWN, 2: DOWN})
    assert world.weights == {1: 0}


def test_sorry_server_replaces_the_pool_while_the_quorum_is_lost() -> None:
    world = World(virtual([real(1), real(2, inhibit=True), real(3)], quorum=2, sorry=SORRY))
    assert world.weights == {1: 1, 2: 1, 3: 1}
    world.say({1: DOWN})
    assert world.weights == {2: 1, 3: 1}
    world.say({3: DOWN})
    assert (world.weights, world.told) == ({2: 0, 99: 1}, ["3 down", "quorum down", "the sorry server serves"])
    world.say({1: UP})
    assert (world.weights, world.told) == ({1: 1, 2: 1}, ["1 up", "quorum up", "the sorry server serves no more"])


def test_without_sorry_server_the_rest_stays() -> None:
    world = World(virtual([real(1), real(2)], quorum=2))
    world.say({1: DOWN})
    assert (world.weights, world.told) == ({2: 1}, ["1 down", "quorum down"])


def test_sorry_server_inhibit_and_one_that_is_a_real_server_too() -> None:
    world = World(virtual([real(1)], sorry=SORRY._replace(inhibit=True)))
    assert world.weights == {1: 1, 99: 0}
    world.say({1: DOWN})
    assert world.weights == {99: 1}
    twice = SORRY._replace(destination=replace(SORRY.destination, addr="10.0.0.1"), inhibit=True)
    world = World(virtual([real(1, 5), real(2, 5)], quorum=6, sorry=twice))
    assert world.weights == {1: 5, 2: 5}
    world.say({1: DOWN})
    assert world.weights == {1: 1}


def test_a_sorry_server_that_is_down_serves_nobody() -> None:
    own = check(99)
    world = World(virtual([real(1), real(2)], quorum=2, sorry=SORRY._replace(checks=(own,))))
    world.health[own] = DOWN
    world.say({1: DOWN})
    assert (world.weights, world.told) == ({2: 1}, ["1 down", "quorum down"])
    world.say({99: UP})
    assert (world.weights, world.told) == ({99: 1}, ["the sorry server serves"])
    world.say({99: DOWN})
    assert (world.weights, world.told) == ({2: 1}, ["the sorry server serves no more"])
    world.say({1: UP})
    assert (world.weights, world.told) == ({1: 1, 2: 1}, ["1 up", "quorum up"])


def test_starting_without_quorum_is_told_with_a_sorry_server_only() -> None:
    servers = [real(1, alpha=(check(1),))]
    assert World(virtual(servers)).told == []
    assert World(virtual(servers, sorry=SORRY)).told == ["quorum down", "the sorry server serves"]


def test_dynamic_weights() -> None:
    misc, file = check(1, 0, "MISC_CHECK"), check(1, 0, "FILE_CHECK")
    world = World(virtual([real(1, 10, checks=(misc, file)), real(2)], quorum=8))
    world.health = {misc: Health(True, 5), file: Health(True)}
    world.decide()
    assert (world.weights, world.told) == ({1: 5, 2: 1}, ["quorum down"])
    world.health[file] = Health(True, 3)
    world.decide()
    assert (world.weights, world.told) == ({1: 8, 2: 1}, ["quorum up"])
    world.health[file] = Health(True, -300)
    world.decide()
    assert world.weights == {1: 0, 2: 1}
    world.health = {}
    world.decide()
    assert world.weights == {1: 0, 2: 1}  # until its checks have run again


def test_drained_stays_in_the_table_without_weight_while_it_is_up() -> None:
    world = World(virtual([real(1), real(2)], quorum=2, sorry=SORRY))
    world.drain(1)
    assert (world.weights, world.told) == ({1: 0, 99: 1}, ["1 drained", "quorum down", "the sorry server serves"])
    world.say({1: DOWN})
    assert world.weights == {99: 1}
    world.say({1: UP})
    assert world.weights == {1: 0, 99: 1}
    world.drain()
    assert world.weights == {1: 1, 2: 1}
    assert world.told == ["1 undrained", "quorum up", "the sorry server serves no more"]
    world.drains = {"10.0.0.2": Drain("", "10.0.0.2", 1)}
    world.decide()
    assert world.weights[2] == 0


def test_drained_and_down_stays_with_inhibit_on_failure() -> None:
    world = World(virtual([real(1, inhibit=True), real(2), real(3)]))
    world.drain(1, 2)
    assert world.weights == {1: 0, 2: 0, 3: 1}
    world.say({1: DOWN, 2: DOWN})
    assert world.weights == {1: 0, 3: 1}
    # drained while it is down, it does not come into the table
    world.drain(1)
    world.drain(1, 2)
    assert world.weights == {1: 0, 3: 1}
    world.say({2: UP})
    assert world.weights == {1: 0, 2: 0, 3: 1}


def test_floor() -> None:
    world = World(virtual([real(n) for n in range(1, 5)], floor=Floor(50, True)))
    world.say({1: DOWN, 2: DOWN})
    assert world.weights == {3: 1, 4: 1}
    world.say({3: DOWN, 4: DOWN})
    assert world.weights == {3: 1, 4: 1}
    assert world.told == [
        "3 down",
        "3 down but kept in the pool",
        "4 down",
        "4 down but kept in the pool",
    ]
    world.say({1: UP, 2: UP})
    assert (world.weights, world.told) == ({1: 1, 2: 1, 3: 1, 4: 1}, ["1 up", "2 up"])
    world.say({3: UP})
    assert world.weights == {1: 1, 2: 1, 3: 1}
    assert world.told == ["3 up", "3 no longer kept in the pool", "4 no longer kept in the pool"]
    # half of what is not drained
    world.drain(1, 2)
    world.say({3: DOWN})
    assert world.weights == {1: 0, 2: 0, 3: 1}


def test_slow_start_after_a_recovery_a_drain_and_a_new_server() -> None:
    servers = [real(1, 10, slow_start_ns=10 * SECOND), real(2, 10)]
    world = World(virtual(servers))
    assert (world.weights, world.decision.next_ns) == ({1: 10, 2: 10}, NEVER)  # not at the start
    world.say({1: DOWN, 2: DOWN})
    world.say({1: UP, 2: UP})
    assert (world.weights, world.decision.next_ns) == ({1: 1, 2: 10}, world.now + SECOND)
    world.now += 5 * SECOND
    world.decide()
    assert (world.weights, world.decision.next_ns) == ({1: 5, 2: 10}, world.now + SECOND)
    assert world.told == []
    world.now += 5 * SECOND
    world.decide()
    assert (world.weights, world.decision.next_ns) == ({1: 10, 2: 10}, NEVER)
    world.drain(1)
    world.drain()
    assert world.weights == {1: 1, 2: 10}
    world.plan = virtual([*servers, real(3, 10, slow_start_ns=SECOND)])
    world.decide()
    assert world.weights == {1: 1, 2: 10, 3: 1}


def test_a_reload_keeps_what_is_known() -> None:
    world = World(virtual([real(1), real(2, alpha=(check(2),)), real(3)], quorum=2, sorry=SORRY))
    world.say({1: DOWN, 2: UP, 3: DOWN})
    assert world.weights == {99: 1}
    # new settings of all checks: nothing is known of them, and another server is new
    world.health.clear()
    world.plan = virtual([real(1), real(2, 7, alpha=(check(2),)), real(4, alpha=(check(4),))], quorum=2, sorry=SORRY)
    world.decide()
    assert (world.weights, world.told) == ({2: 7}, ["quorum up", "the sorry server serves no more"])
    world.say({4: UP, 1: UP})
    assert (world.weights, world.told) == ({1: 1, 2: 7, 4: 1}, ["1 up", "4 up"])


def test_a_restart_goes_on_where_it_was() -> None:
    plan = virtual([real(n) for n in (1, 2, 3)], quorum=3, sorry=SORRY)
    world = World(plan)
    world.say({1: DOWN, 2: UP, 3: UP})
    assert world.state is not None
    text = json.dumps(state.to_json({SERVICE: world.state}))
    restored = state.parse(json.loads(text), {SERVICE: [server.name for server in plan.servers]})
    after = World(plan, restored[SERVICE])
    assert (after.weights, after.told, after.state) == (world.weights, [], world.state)


def test_removed_by_a_reload() -> None:
    world = World(virtual([real(1), real(2)], smtp_alert=True))
    world.say({1: UP, 2: DOWN})
    assert world.state is not None
    told = of_reload(world.plan, virtual([real(2)]), world.state)
    assert [(one.kind, one.server, one.command) for one in told] == [(Kind.SERVER_DOWN, name(1), "down 1")]
    told = of_reload(world.plan, None, world.state)
    assert [(one.kind, one.command) for one in told] == [(Kind.SERVER_DOWN, "down 1"), (Kind.QUORUM_DOWN, "lost")]
    assert told[1].smtp_alert
    states = {SERVICE: world.state}
    assert of_stop({SERVICE: world.plan}, states) == []
    assert of_stop({SERVICE: replace(world.plan, omega=True)}, states) == told


@pytest.mark.parametrize(
    "holders, masters, suspended",
    [((), (), False), (("A",), (), True), (("A",), ("B",), True), (("A", "B"), ("B",), False)],
)
def test_ha_suspend(holders: tuple[str, ...], masters: tuple[str, ...], suspended: bool) -> None:
    assert is_suspended(virtual([real(1)], holders=holders), masters) is suspended


def test_ports_of_a_group() -> None:
    keys = [KEY, replace(KEY, addr="192.0.2.2"), replace(KEY, port=443), ServiceKey(2, fwmark=3)]
    direct = Destination(2, "10.0.0.1", 8080, FWD_DROUTE, 1)
    servers = [real(1, destination=direct), real(2, destination=replace(direct, addr="10.0.0.2", fwd_method=FWD_MASQ))]
    plan = replace(virtual(servers), services=tuple(Service(key, "rr", netmask="255.255.255.255") for key in keys))
    table = decide(plan, Surroundings(1)).table
    ports = {key: [server.port for server in virtual.servers.values()] for key, virtual in table.items()}
    assert ports == {keys[0]: [80, 8080], keys[1]: [80, 8080], keys[2]: [443, 8080], keys[3]: [0, 8080]}
    assert table[keys[0]].servers is table[keys[1]].servers


# ---- simulations

STEP = st.tuples(
    st.sampled_from(["health", "health", "health", "drain", "wait", "restart", "weight"]), st.integers(0, 2**32)
)


@st.composite
def plans(draw: st.DrawFn) -> VirtualServerPlan:
    servers = draw(
        st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.booleans(), st.integers(0, 3)), min_size=1, max_size=7)
    )
    quorum = draw(st.integers(1, 6))
    return virtual(
        [
            real(n, weight, inhibit=inhibit, slow_start_ns=slow * SECOND, alpha=(check(n),) if alpha else ())
            for n, (weight, inhibit, alpha, slow) in enumerate(servers, 1)
        ],
        quorum=quorum,
        hysteresis=draw(st.integers(0, min(3, quorum - 1))),
        floor=draw(st.sampled_from([Floor(), Floor(1), Floor(2), Floor(50, True), Floor(100, True)])),
        sorry=draw(st.sampled_from([None, SORRY])),
    )


@settings(max_examples=40, deadline=None)
@given(plans(), st.lists(STEP, max_size=25))
def test_flapping_servers(plan: VirtualServerPlan, steps: list[tuple[str, int]]) -> None:
    world = World(plan)
    quorums = [one.kind for one in world.decision.transitions if one.kind in QUORUMS]
    ups: dict[str, list[Kind]] = {}
    for kind, seed in steps:
        _act(world, kind, random.Random(seed))
        _hold(world, plan)
        for one in world.decision.transitions:
            if one.kind in (Kind.SERVER_UP, Kind.SERVER_DOWN):
                ups.setdefault(one.server, []).append(one.kind)
        quorums += [one.kind for one in world.decision.transitions if one.kind in QUORUMS]
        before = world.decision
        assert replace(world.decide(), transitions=()) == replace(before, transitions=())
        assert world.decision.transitions == ()
    for told in (quorums, *ups.values()):
        assert all(one is not other for one, other in zip(told, told[1:])), told


def _act(world: World, kind: str, dice: random.Random) -> None:
    numbers = range(1, len(world.plan.servers) + 1)
    if kind == "health":
        world.say({n: dice.choice((UP, UP, DOWN)) for n in numbers if dice.random() < 0.5})
    elif kind == "drain":
        world.drain(*(n for n in numbers if dice.random() < 0.3))
    elif kind == "weight":
        world.say({n: Health(True, dice.randrange(5)) for n in numbers if dice.random() < 0.3})
    elif kind == "wait":
        world.now = min(world.decision.next_ns, world.now + dice.randrange(SECOND))
        world.decide()
    else:
        assert world.state is not None
        content = json.loads(json.dumps(state.to_json({SERVICE: world.state})))
        world.state = state.parse(content, {SERVICE: [server.name for server in world.plan.servers]})[SERVICE]
        world.health.clear()
        world.decide()


def _hold(world: World, plan: VirtualServerPlan) -> None:
    """What is always true."""
    now = world.decision.state
    weights = {addr: weight for addr, weight in world.weights.items() if addr != 99}
    states = {n: now.servers[name(n)] for n in range(1, len(plan.servers) + 1)}
    eligible = [one for one in states.values() if not one.drained]
    pool = [one for one in eligible if one.pooled]
    assert len(pool) >= depool.number(plan.floor, len(eligible))
    assert all(one.pooled for one in eligible if one.up)
    assert (99 in world.weights) is (now.sorry) is (plan.sorry is not None and not now.quorum)
    for number, one in states.items():
        if one.drained:
            assert weights.get(number, 0) == 0
            assert (number in weights) is (one.up or plan.servers[number - 1].inhibit)
            assert not one.pooled
        elif now.sorry or not one.pooled:
            assert weights.get(number, 0) == 0
            assert (number in weights) is plan.servers[number - 1].inhibit
        else:
            assert number in weights
    assert world.decision.next_ns > world.now
