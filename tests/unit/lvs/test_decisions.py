# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""All virtual servers together: only what changed is decided, and a reload or a restart tells nothing twice."""

from __future__ import annotations

import socket
from dataclasses import replace

from _lvs_agent.health.plan import CheckId
from _lvs_agent.kernel.ipvs_types import Service, ServiceKey
from _lvs_agent.lvs import state
from _lvs_agent.lvs.decisions import Decisions
from _lvs_agent.lvs.desired import NEVER, Health
from _lvs_agent.lvs.overrides import Drain, Overrides
from _lvs_agent.lvs.plan import LvsPlan, VirtualServerPlan
from _lvs_agent.lvs.transitions import Kind, Transition
from tests.unit.lvs.plans import KEY, SERVICE, check, name, real, virtual

OTHER = "TCP 192.0.2.2:80"
OTHER_KEY = ServiceKey(socket.AF_INET, socket.IPPROTO_TCP, "192.0.2.2", 80)
SECOND = 1_000_000_000
UP, DOWN = Health(True), Health(False)


def other() -> VirtualServerPlan:
    """A second virtual server with a server of its own."""
    server = real(9)._replace(checks=(CheckId(OTHER, name(9), "TCP_CHECK", 0),))
    service = Service(OTHER_KEY, "rr", netmask="255.255.255.255")
    return replace(virtual([server]), name=OTHER, services=(service,))


def plan(*numbers: int) -> LvsPlan:
    return LvsPlan((virtual([real(number) for number in numbers]), other()))


def all_up(*numbers: int) -> dict[CheckId, Health]:
    return {**{check(number): UP for number in numbers}, CheckId(OTHER, name(9), "TCP_CHECK", 0): UP}


def kinds(transitions: tuple[Transition, ...] | list[Transition]) -> list[tuple[Kind, str]]:
    return [(one.kind, one.server) for one in transitions]


def running(*numbers: int) -> Decisions:
    decisions = Decisions()
    decisions.configure(plan(*numbers), all_up(*numbers))
    decisions.decide(SECOND)
    return decisions


def test_only_what_changed_is_decided() -> None:
    decisions = running(1, 2)
    assert decisions.deadline_ns() == NEVER
    decisions.checked(check(1), DOWN)
    assert decisions.deadline_ns() == 0
    decided = decisions.decide(2 * SECOND)
    assert list(decided.part) == [KEY]
    assert [server.addr for server in decisions.table[KEY].servers] == ["10.0.0.2"]
    assert kinds(decided.transitions) == [(Kind.SERVER_DOWN, name(1))]
    assert set(decisions.table) == {KEY, OTHER_KEY}


def test_a_check_of_nobody_changes_nothing() -> None:
    decisions = running(1)
    decisions.checked(CheckId("TCP 203.0.113.1:80", name(1), "TCP_CHECK", 0), DOWN)
    assert decisions.deadline_ns() == NEVER


def test_a_drain_concerns_its_virtual_server() -> None:
    decisions = running(1, 2)
    decisions.order(Overrides().with_drain(Drain(SERVICE, name(1), 1)))
    decided = decisions.decide(2 * SECOND)
    assert list(decided.part) == [KEY]
    weights = {server.addr: server.weight for server in decided.part[KEY].servers.values()}
    assert weights == {"10.0.0.1": 0, "10.0.0.2": 1}


def slowly_starting() -> tuple[Decisions, LvsPlan]:
    """After 2 s, of which the first server has been up for one."""
    decisions = Decisions()
    slow = LvsPlan((virtual([real(1, 10, slow_start_ns=10 * SECOND), real(2, 10)]),))
    decisions.configure(slow, {check(1): DOWN, check(2): UP})
    decisions.decide(SECOND)
    decisions.checked(check(1), UP)
    decisions.decide(2 * SECOND)
    return decisions, slow


def test_a_slow_start_comes_back_by_itself() -> None:
    decisions, _plan = slowly_starting()
    due = decisions.deadline_ns()
    assert 2 * SECOND < due < 12 * SECOND
    weights = []
    while due != NEVER:
        decisions.decide(due)
        weights.append(next(one.weight for one in decisions.table[KEY].servers.values() if one.addr == "10.0.0.1"))
        due = decisions.deadline_ns()
    assert weights == sorted(weights)
    assert weights[-1] == 10


def test_a_reload_keeps_what_is_known_and_tells_of_what_goes() -> None:
    decisions = running(1, 2)
    decisions.checked(check(2), DOWN)
    decisions.decide(2 * SECOND)
    told = decisions.configure(plan(2, 3), {**all_up(3), check(2): DOWN})
    assert kinds(told) == [(Kind.SERVER_DOWN, name(1))]
    decided = decisions.decide(3 * SECOND)
    assert kinds(decided.transitions) == []
    assert [server.addr for server in decisions.table[KEY].servers] == ["10.0.0.3"]


def test_a_reload_looks_again_only_at_what_it_changes() -> None:
    decisions = running(1, 2)
    stays = decisions.virtual_server(OTHER)
    assert stays is not None
    changed = LvsPlan((virtual([real(1), real(2, 7)]), stays))
    assert decisions.configure(changed, all_up(1, 2)) == []
    decided = decisions.decide(2 * SECOND)
    assert list(decided.part) == [KEY]
    assert [server.weight for server in decisions.table[KEY].servers.values()] == [1, 7]
    assert set(decisions.table) == {KEY, OTHER_KEY}
    # of a plan that stays something else may be known, or nothing any more
    down = {**all_up(1, 2), CheckId(OTHER, name(9), "TCP_CHECK", 0): DOWN}
    for health, servers in ((down, 0), (all_up(1, 2), 1)):
        decisions.configure(changed, health)
        assert list(decisions.decide(3 * SECOND).part) == [OTHER_KEY]
        assert len(decisions.table[OTHER_KEY].servers) == servers
    decisions.configure(changed, {check(1): UP, check(2): UP})
    assert list(decisions.decide(4 * SECOND).part) == [OTHER_KEY]


def test_a_reload_does_not_end_a_slow_start() -> None:
    decisions, slow = slowly_starting()
    due = decisions.deadline_ns()
    decisions.configure(LvsPlan((*slow.virtual_servers, other())), all_up(1, 2))
    decisions.decide(2 * SECOND)
    assert decisions.deadline_ns() == due


def test_a_virtual_server_that_goes_leaves_the_table() -> None:
    decisions = running(1)
    decisions.configure(LvsPlan((other(),)), all_up())
    decisions.decide(2 * SECOND)
    assert set(decisions.table) == {OTHER_KEY}
    assert set(decisions.states) == {OTHER}


def test_a_restart_tells_nothing_twice() -> None:
    before = running(1, 2)
    before.checked(check(2), DOWN)
    before.decide(2 * SECOND)
    kept = state.parse(state.to_json(before.states), {SERVICE: [name(1), name(2)], OTHER: [name(9)]})
    after = Decisions()
    after.resume(kept)
    assert after.configure(plan(1, 2), {**all_up(1), check(2): DOWN}) == []
    assert after.decide(3 * SECOND).transitions == ()
    assert after.table == before.table


def test_checks_rest_while_the_vip_is_elsewhere() -> None:
    decisions = Decisions()
    decisions.configure(LvsPlan((replace(virtual([real(1)]), holders=("VI_1",)), other())), {})
    assert decisions.suspended() == [SERVICE]
    decisions.masters = frozenset({"VI_1"})
    assert decisions.suspended() == []


def test_the_end_with_omega() -> None:
    decisions = Decisions()
    decisions.configure(LvsPlan((replace(virtual([real(1)]), omega=True), other())), all_up(1))
    decisions.decide(SECOND)
    assert kinds(decisions.stop()) == [(Kind.SERVER_DOWN, name(1)), (Kind.QUORUM_DOWN, "")]


def follows(*holders: str) -> VirtualServerPlan:
    return replace(virtual([real(1), real(2)]), served_by=(holders,))


def test_with_lvs_master_only_a_service_is_in_the_table_only_while_its_holder_is_master() -> None:
    decisions = Decisions()
    decisions.configure(LvsPlan((follows("V4", "V6"), other())), all_up(1, 2))
    decided = decisions.decide(SECOND)
    assert (list(decided.part), decided.absent, list(decisions.table)) == ([OTHER_KEY], frozenset({KEY}), [OTHER_KEY])
    # checks go on, and count when the VIP comes
    decisions.checked(check(1), DOWN)
    assert kinds(decisions.decide(SECOND).transitions) == [(Kind.SERVER_DOWN, name(1))]
    decisions.follow(frozenset({"V6"}))
    decided = decisions.decide(SECOND)
    assert [server.addr for server in decided.part[KEY].servers] == ["10.0.0.2"]
    assert (decided.absent, decisions.absent, decided.transitions) == (frozenset(), frozenset(), ())
    decisions.follow(frozenset({"V6", "V4"}))
    assert decisions.deadline_ns() == NEVER
    decisions.follow(frozenset({"another"}))
    assert decisions.decide(SECOND).absent == {KEY}
    assert decisions.absent == {KEY}
    assert list(decisions.table) == [OTHER_KEY]


def test_a_reload_keeps_a_service_away_and_one_without_the_keyword_brings_it_back() -> None:
    decisions = Decisions()
    kept = follows("V4")
    decisions.configure(LvsPlan((kept, other())), all_up(1, 2))
    decisions.decide(SECOND)
    decisions.configure(LvsPlan((kept,)), {check(1): UP, check(2): UP})
    decisions.decide(SECOND)
    assert (list(decisions.table), decisions.absent) == ([], frozenset({KEY}))
    decisions.configure(LvsPlan((virtual([real(1), real(2)]),)), {check(1): UP, check(2): UP})
    decisions.decide(SECOND)
    assert (list(decisions.table), decisions.absent) == ([KEY], frozenset())


def test_each_service_of_a_group_follows_its_own_instance() -> None:
    plan = virtual([real(1)])
    services = (*plan.services, replace(plan.services[0], key=OTHER_KEY))
    both = replace(plan, services=services, served_by=(("A",), ("B",)))
    decisions = Decisions()
    decisions.follow(frozenset({"B"}))
    decisions.configure(LvsPlan((both,)), {check(1): UP})
    assert decisions.decide(SECOND).absent == {KEY}
    always = replace(both, served_by=((), ("B",)))
    decisions.follow(frozenset())
    decisions.configure(LvsPlan((always,)), {check(1): UP})
    assert decisions.decide(SECOND).absent == {OTHER_KEY}
