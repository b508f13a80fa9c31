# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stories from seeds, and that the simulator would see it if the machine did something wrong.

``tests/bench/test_vrrp_core.py`` runs thousands of seeds. A failure names its seed: ``simulator.story(SEED, rounds=3)``
is that story again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from _lvs_agent.vrrp import down_timer, machine, timers
from _lvs_agent.vrrp.actions import State
from _lvs_agent.vrrp.instance import SECOND, Instance
from _lvs_agent.vrrp.machine import Machine
from tests.unit.vrrp import simulator

SEEDS = 500
ROUNDS = 3


def test_stories() -> None:
    for seed in range(SEEDS):
        simulator.story(seed, ROUNDS)


def test_the_same_seed_is_the_same_story() -> None:
    assert simulator.story(7, ROUNDS).trace() == simulator.story(7, ROUNDS).trace()


def found(what: str, seeds: int = 1000) -> bool:
    """Whether one of the stories is broken in this way."""
    for seed in range(seeds):
        try:
            simulator.story(seed, ROUNDS)
        except simulator.Broken as error:
            headline, _newline, trace = str(error).partition("\n")
            assert headline.startswith(f"seed {seed}: ")
            assert trace.startswith("  nodes: A v")
            if what in headline:
                return True
    return False


class TestEyes:
    """Each mistake is found, and by the invariant that is there for it."""

    def test_a_timer_too_short(self, monkeypatch: pytest.MonkeyPatch) -> None:
        right = timers.master_down
        monkeypatch.setattr(down_timer, "master_down", lambda *parameters: right(*parameters) - 1000)
        assert found("took over 1000 ns early")

    def test_no_care_after_a_pause(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(down_timer, "_GRACES", 0)
        assert found("which was there")

    def test_a_backup_that_follows_nobody_lower(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Machine, "_accepts", lambda self, _now, priority: priority >= self.priority)
        assert found("which was there")

    def test_a_backup_that_never_preempts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Machine, "_accepts", lambda *_parameters: True)
        assert found("has a higher priority than the master")

    def test_a_loser_that_keeps_its_vips(self, monkeypatch: pytest.MonkeyPatch) -> None:
        right = Machine._let_go
        monkeypatch.setattr(Machine, "_let_go", lambda *parameters: right(*parameters)[1:])
        assert found("is BACKUP, has VIPs: True")

    def test_a_loser_that_lets_go_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine, "HANDOVER_LINGER_NS", 0)
        assert found("let go before the winner had announced")

    def test_a_loser_that_serves_too_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine, "HANDOVER_LINGER_NS", machine.HANDOVER_LINGER_NS * 2)
        assert found("after it had heard the winner")

    def test_a_loser_that_speaks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        right = Machine._leave_master

        def chatty(self: Machine, now: int, cause: str) -> list[Any]:
            return [*right(self, now, cause), self._send(now, self.priority)]

        monkeypatch.setattr(Machine, "_leave_master", chatty)
        assert found("speaks while it yields")

    def test_a_loser_that_listens_only_afterwards(self, monkeypatch: pytest.MonkeyPatch) -> None:
        right = Machine._follow

        def early(self: Machine, now: int, advert: Any) -> None:
            right(self, now, advert)
            if self.yielding:
                self._down.due -= 1000

        monkeypatch.setattr(Machine, "_follow", early)
        assert found("took over 1000 ns early")

    def test_a_loser_that_says_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """keepalived's default: the winner of a healed split does not learn that it has to announce."""
        def silent(*args: Any, **words: Any) -> Instance:
            return replace(Instance(*args, **words), higher_prio_send_advert=False)

        monkeypatch.setattr(simulator, "Instance", silent)
        assert found("did not announce after another master had yielded")

    def test_a_master_that_never_yields(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Machine, "_advert_in_master", lambda *_parameters: [])
        assert found("masters: ['A', 'B'] of ['A', 'B']")


def test_crash_of_the_master_costs_what_the_timers_say() -> None:
    """One second, priority 100: 3.609 s after the last advert, to the nanosecond of a clock without drift."""
    world = simulator.World(1)
    for number, priority in enumerate((200, 100)):
        one = Instance(f"VI_{number}", 51, bytes((192, 0, 2, number + 1)), simulator.VIPS, priority=priority)
        node = simulator.Node("AB"[number], one, 0, simulator.MILLION)
        world.nodes.append(node)
        world.boot(node)
    world.delay_ns = 1
    world.run(60 * SECOND)
    master, backup = world.nodes
    assert master.machine is not None
    last_advert = master.machine.wake_ns - SECOND
    world.crash(master)
    world.run(70 * SECOND)
    assert world.transitions[-1] == (last_advert + 3_609_375_000, backup, State.MASTER)
