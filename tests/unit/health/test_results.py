# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of checks, for the process after this one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from _lvs_agent.health.attempt import Outcome
from _lvs_agent.health.plan import CheckId, CheckPlan, Endpoint, TcpCheck, Timing
from _lvs_agent.health.results import Digests, digests, parse, to_json
from _lvs_agent.health.scheduler import Result

TIMING = Timing(1, 1, 1, 1, 1)


def plan(number: int, service: str = "TCP 192.0.2.1:80") -> CheckPlan:
    endpoint = Endpoint(4, bytes([10, 0, 0, number]), 80)
    return CheckPlan(CheckId(service, f"10.0.0.{number}:80", "TCP_CHECK", 0), TIMING, TcpCheck(endpoint))


def up(one: CheckPlan) -> Result:
    return Result(True, True, 0, Outcome(True), 77, 0, False, one.check)


def kept(results: dict[CheckId, Result], plans: list[CheckPlan]) -> Any:
    return json.loads(json.dumps(to_json(results, digests(plans))))


def test_only_what_is_not_simply_up_is_written() -> None:
    plans = [plan(number) for number in range(1, 101)]
    results = {one.id: up(one) for one in plans}
    down = Result(False, True, 0, Outcome(False, "connection refused"), 99, 0, False, plans[3].check)
    results[plans[3].id] = down
    said = kept(results, plans)
    assert len(said["TCP 192.0.2.1:80"]["checks"]) == 1
    found = parse(said, plans)
    assert set(found) == set(results)
    assert found[plans[3].id] == down
    assert found[plans[0].id] == up(plans[0])._replace(ended_ns=0)


def test_digests_follow_what_is_asked() -> None:
    other = "TCP 192.0.2.2:80"
    plans = [plan(1), plan(2), plan(3, other)]
    found = Digests()
    assert found.of(plans) == found.of(list(plans)) == digests([plan(1), plan(2), plan(3, other)])
    changed = found.of([plans[0], plan(4), plans[2]])
    assert changed == digests([plan(1), plan(4), plan(3, other)])
    assert changed[other] == digests(plans)[other]
    assert found.of(plans[:1]) == digests([plan(1)]) != digests(plans[1:2])


def test_a_check_that_has_not_run_is_still_one() -> None:
    plans = [plan(1)]
    fresh = Result(False, False, 0, Outcome(False), 0, 0, False, plans[0].check)
    assert parse(kept({plans[0].id: fresh}, plans), plans) == {plans[0].id: fresh}


def test_another_question_has_no_answer() -> None:
    before = [plan(1), plan(2)]
    results = {one.id: up(one) for one in before}
    results[before[1].id] = Result(False, True, 0, Outcome(False, "no"), 9, 0, False, before[1].check)
    endpoint = Endpoint(4, bytes([10, 0, 0, 2]), 8080)
    after = [before[0], replace(before[1], check=TcpCheck(endpoint))]
    # the first is up as far as anybody knows, but the file does not say so of these very checks
    assert parse(kept(results, before), after) == {}


def test_new_checks_beside_those_that_are_known() -> None:
    before = [plan(1)]
    results = {before[0].id: Result(False, True, 1, Outcome(False, "no"), 9, 0, False, before[0].check)}
    assert parse(kept(results, before), [plan(1), plan(2)]) == results


def test_other_virtual_servers_do_not_matter() -> None:
    before = [plan(1), plan(1, "TCP 192.0.2.2:80")]
    results = {one.id: up(one) for one in before}
    assert set(parse(kept(results, before), before[:1])) == {before[0].id}


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        {"TCP 192.0.2.1:80": []},
        {"TCP 192.0.2.1:80": {"digest": 1}},
        {"TCP 192.0.2.1:80": {"digest": 1, "checks": [1]}},
        {"TCP 192.0.2.1:80": {"digest": 1, "checks": [["10.0.0.1:80", "TCP_CHECK", 0, 1, "yes"]]}},
    ],
)
def test_what_is_no_such_file(said: Any) -> None:
    with pytest.raises(ValueError, match=r"result"):
        parse(said, [plan(1)])
