# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which instances hold their VIPs here, over deaths, restarts and reloads."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from _lvs_agent.supervisor.masters import MastersHere
from _lvs_agent.vrrp.actions import State
from _lvs_agent.vrrp.messages import Configured, TakesVips, Transitioned
from _lvs_agent.vrrp.plan import Identity

ONE, TWO = Identity(51, 4, "eth0", ""), Identity(52, 4, "eth0", "")


def went(state: State, name: str = "V4", identity: Identity | None = ONE) -> Transitioned:
    return Transitioned(name, state, State.INIT, "", 100, 0, 0, group=identity is None, identity=identity)


def plan(**names: Identity) -> Any:
    return SimpleNamespace(instances=[SimpleNamespace(name=name, identity=one) for name, one in names.items()])


@pytest.mark.parametrize("state", list(State))
def test_an_instance_holds_its_vips_as_master_and_while_it_hands_over(state: State) -> None:
    masters = MastersHere()
    masters.configure(plan(V4=ONE))
    masters.heard(went(state))
    assert masters.names() == ({"V4"} if state in (State.MASTER, State.HANDOVER) else set())


def test_it_does_from_just_before_it_adds_them() -> None:
    masters = MastersHere()
    masters.heard(TakesVips("V4", ONE))
    assert masters.names() == {"V4"}
    masters.heard(went(State.BACKUP))
    assert masters.names() == set()


def test_groups_and_other_messages_say_nothing() -> None:
    masters = MastersHere()
    masters.heard(went(State.MASTER, "G", None))
    masters.heard(cast(Any, object()))
    assert masters.names() == set()


def test_what_a_supervisor_that_died_knew_counts_until_vrrp_has_spoken() -> None:
    masters = MastersHere({ONE: State.MASTER, TWO: State.BACKUP})
    assert masters.names() == set()  # nothing is called anything yet
    masters.configure(plan(V4=ONE, other=TWO))
    assert masters.names() == {"V4"}
    masters.heard(went(State.BACKUP))
    assert masters.names() == set()


def test_an_instance_whose_process_died_and_that_the_plan_no_longer_has_holds_nothing() -> None:
    masters = MastersHere()
    masters.configure(plan(V4=TWO))
    masters.heard(went(State.MASTER, identity=TWO))
    masters.configure(plan(V4=ONE))  # back to the configuration before; nobody says what became of TWO
    assert masters.names() == {"V4"}
    masters.heard(Configured())
    assert masters.names() == set()


def test_a_reload_that_renames_an_instance_keeps_its_table() -> None:
    masters = MastersHere()
    masters.configure(plan(V4=ONE))
    masters.heard(went(State.MASTER))
    masters.configure(plan(web=ONE))
    assert masters.names() == {"V4", "web"}
    masters.heard(went(State.BACKUP, "web"))
    assert masters.names() == set()
