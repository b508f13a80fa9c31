# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The writer after refusals, races and reconfigurations: it converges, rests, and takes nobody's change for another's.

"It rests" means that its turns are bounded by the time that passes, whatever happened before: its loop is that of the
health checks.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from _lvs_agent.kernel import ipvs_change as change
from _lvs_agent.kernel.errors import KernelError
from _lvs_agent.kernel.ipvs_types import DestinationEntry, ServiceEntry, ServiceKey
from _lvs_agent.lvs import writer as writing
from _lvs_agent.lvs.owned import Owned
from _lvs_agent.lvs.service_record import ServiceRecord
from _lvs_agent.lvs.table import Table
from tests.unit.lvs.plans import KEY, ModelKernel
from tests.unit.lvs.test_writer import KEYS, OTHER, SMALL, Bench, service

LONGEST_WAIT = 31  # seconds after a refusal, and the turn after that


class RacyKernel(ModelKernel):
    """Somebody else changes the table between a reading and a writing (``before_apply``), or nothing works for a while
    (``failures``: so many calls).
    """

    def __init__(self, table: Table | None = None) -> None:
        super().__init__(table)
        self.before_apply: Table = {}
        self.failures = 0

    def services(self) -> list[ServiceEntry]:
        self._may_fail()
        return super().services()

    def destinations_and_digest(self, key: ServiceKey) -> tuple[list[DestinationEntry], tuple[int, int]]:
        self._may_fail()
        return super().destinations_and_digest(key)

    def apply(self, changes: Sequence[change.Change]) -> None:
        self._may_fail()
        for key, virtual in self.before_apply.items():
            # what is there goes, what is not comes
            if self.table.pop(key, None) is None:
                self.table[key] = virtual
        self.before_apply = {}
        super().apply(changes)

    def _may_fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise KernelError(errno.EBUSY, "IPVS", "not now")


class Watched(Bench):
    """``turns`` are those of the last ``run``."""

    kernel: RacyKernel

    def __init__(self, kernel: RacyKernel, owned: Owned | None = None) -> None:
        super().__init__(kernel, owned)
        handle = self.writer.handle
        self.turns = 0

        def counted(now_ns: int) -> None:
            self.turns += 1
            handle(now_ns)

        self.writer.handle = counted  # type: ignore[method-assign]

    def run(self, seconds: float) -> None:
        self.turns = 0
        super().run(seconds)

    def rest(self, desired: Table, seconds: int = 10) -> None:
        """It has nothing to do but to look once a second, a portion at a turn."""
        assert {key: self.kernel.table.get(key) for key in desired} == desired
        assert self.writer.in_step()
        written = len(self.kernel.changes)
        self.run(seconds)
        size = sum(len(virtual.servers) + 1 for virtual in self.kernel.table.values())
        assert self.turns <= (seconds + 1) * max(1, -(-size // writing._PORTION))
        assert len(self.kernel.changes) == written
        for record in self.writer._records.values():
            assert record == ServiceRecord(record.have, record.digest, synced=True)


ACTS = st.one_of(
    st.tuples(st.just("configure"), SMALL, st.sets(st.sampled_from(KEYS), max_size=2)),
    st.tuples(st.just("update"), SMALL),
    st.tuples(st.just("drift"), SMALL),
    st.tuples(st.just("race"), SMALL),
    st.tuples(st.just("refuse"), st.sets(st.sampled_from(KEYS), max_size=3)),
    st.tuples(st.just("fail"), st.integers(1, 3)),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.3, 1.0, 2.0, 40.0])),
)


def act(bench: Watched, what: tuple[Any, ...]) -> None:
    kind, given, *more = what
    if kind == "configure":
        bench.writer.configure(given, *more)
    elif kind == "update":
        bench.writer.update(given)
    elif kind == "drift":
        bench.kernel.table.update(given)
        for key in KEYS[:2]:
            if key not in given:
                bench.kernel.table.pop(key, None)
    elif kind == "race":
        bench.kernel.before_apply = given
    elif kind == "refuse":
        bench.kernel.refuse = given
    elif kind == "fail":
        bench.kernel.failures = given
    else:
        bench.run(given)
        # each refused change and each race costs a reading and a writing
        assert bench.turns <= 60 + 20 * given


@settings(max_examples=150, deadline=None)
@given(SMALL, st.sets(st.sampled_from(KEYS)), SMALL, st.lists(ACTS, max_size=12), st.sampled_from([1, 3, 1000]))
def test_it_rests(before: Table, mine: set[ServiceKey], first: Table, acts: list[Any], portion: int) -> None:
    bench = Watched(RacyKernel(before), Owned(frozenset(mine)))
    with mock.patch.object(writing, "_PORTION", portion):
        bench.writer.configure(first)
        ours = mine.union(first)
        for what in acts:
            act(bench, what)
            ours.update(what[1] if what[0] in ("configure", "update") else ())
        bench.kernel.refuse, bench.kernel.before_apply, bench.kernel.failures = set(), {}, 0
        bench.run(2 * LONGEST_WAIT)
        wanted = bench.writer._desired or {}
        others = bench.writer._keep_others
        for key in others:
            # other servers may be there
            if key in wanted:
                assert bench.kernel.table[key].servers.items() >= wanted[key].servers.items()
        bench.rest({key: virtual for key, virtual in wanted.items() if key not in others})
    assert {writing._key_of(one) for one in bench.kernel.changes} <= ours
    assert bench.writer.owned.services == set(wanted)
    assert set(bench.writer._records) == set(wanted)


# ---- what was found on hosts


@pytest.mark.parametrize("there", [service(), service(numbers=(7,))], ids=["as wanted", "another"])
def test_somebody_else_adds_the_service_first(there: Any) -> None:
    bench = Watched(RacyKernel())
    bench.kernel.before_apply = {KEY: there}
    bench.writer.configure({KEY: service()})
    bench.run(2)
    assert bench.writer.counters.refused > 0  # EEXIST
    bench.rest({KEY: service()})
    assert bench.repaired == []


def test_somebody_else_deletes_the_service_first() -> None:
    bench = Watched(RacyKernel())
    bench.writer.configure({KEY: service(), OTHER: service(OTHER)})
    bench.run(1)
    bench.kernel.before_apply = {KEY: service()}
    bench.writer.configure({OTHER: service(OTHER)})
    bench.run(2)
    assert bench.writer.counters.refused > 0  # ESRCH
    bench.rest({OTHER: service(OTHER)})
    assert bench.writer.owned.services == {OTHER}


def test_somebody_else_deletes_it_while_its_deletion_fails() -> None:
    bench = Watched(RacyKernel())
    bench.writer.configure({KEY: service()})
    bench.run(0)
    bench.writer.configure({})
    bench.kernel.table.pop(KEY, None)
    bench.kernel.failures = 1
    bench.run(LONGEST_WAIT)
    bench.rest({})
    assert bench.writer._records == {}


def test_the_cause_of_a_refusal_goes_away_by_itself() -> None:
    bench = Watched(RacyKernel())
    bench.kernel.refuse = {KEY}
    bench.writer.configure({KEY: service()})
    bench.run(20)
    bench.kernel.table[KEY] = service()
    bench.run(2)
    bench.rest({KEY: service()})
    bench.run(LONGEST_WAIT)
    bench.rest({KEY: service()})


def test_a_service_that_is_refused_for_good_costs_little() -> None:
    bench = Watched(RacyKernel())
    bench.kernel.refuse = {KEY}
    bench.writer.configure({KEY: service(), OTHER: service(OTHER)})
    bench.run(100)
    bench.run(60)
    assert bench.turns <= 70


def test_a_corrected_service_does_not_wait() -> None:
    for how in ("configure", "update"):
        bench = Watched(RacyKernel())
        bench.kernel.refuse = {KEY}
        bench.writer.configure({KEY: service()})
        bench.run(100)
        bench.kernel.refuse = set()
        getattr(bench.writer, how)({KEY: service(weight=7)})
        bench.run(0.01)
        assert bench.kernel.table == {KEY: service(weight=7)}
        bench.rest({KEY: service(weight=7)})


def test_a_refusal_that_is_over_makes_no_later_repair_wait() -> None:
    bench = Watched(RacyKernel())
    bench.kernel.refuse = {KEY}
    bench.writer.configure({KEY: service()})
    bench.run(100)
    bench.kernel.table[KEY] = service()
    bench.run(2)
    bench.kernel.refuse = set()
    bench.kernel.table[KEY] = service(numbers=(1,))
    bench.run(2)
    bench.rest({KEY: service()})
    assert len(bench.repaired) == 1


def test_a_refused_service_that_is_wanted_no_more_is_forgotten() -> None:
    bench = Watched(RacyKernel())
    bench.kernel.refuse = {KEY}
    bench.writer.configure({KEY: service(), OTHER: service(OTHER)})
    bench.run(5)
    bench.writer.configure({OTHER: service(OTHER)})
    bench.run(0.01)
    bench.rest({OTHER: service(OTHER)})
    assert bench.writer.owned.services == {OTHER}


def test_what_is_as_wanted_keeps_nothing_else_waiting() -> None:
    """Services that turn out to be as wanted fill no batch."""
    keys = [replace(KEY, port=port) for port in range(1, 9)]
    bench = Watched(RacyKernel({key: service(key) for key in keys}))
    with mock.patch.object(writing, "_PORTION", 2):
        bench.writer.configure({key: service(key) for key in keys})
        bench.run(1)
        assert bench.kernel.changes == []
        bench.rest({key: service(key) for key in keys})


def test_a_service_that_is_taken_out_at_once_is_deleted_at_once() -> None:
    """Before the table is read a second time; at the first time it was empty."""
    bench = Watched(RacyKernel())
    bench.writer.configure({KEY: service()})
    bench.run(0)
    bench.kernel.table[OTHER] = service(OTHER)
    bench.writer.configure({})
    bench.run(0)
    assert bench.kernel.table == {OTHER: service(OTHER)}
    bench.rest({})


# ---- whose change it was


def test_a_service_that_was_taken_out_is_no_longer_known_as_written() -> None:
    """It comes back to the configuration while somebody else has one of that name, which is no drift of ours."""
    bench = Watched(RacyKernel())
    bench.writer.configure({KEY: service()})
    bench.run(2)
    bench.writer.configure({})
    bench.run(2)
    bench.kernel.table[KEY] = replace(service(numbers=(8,)), service=replace(service().service, sched_name="rr"))
    bench.kernel.refuse = {KEY}
    bench.writer.configure({KEY: service()})
    bench.run(3)
    bench.kernel.table[KEY] = replace(bench.kernel.table[KEY], servers=service(numbers=(9,)).servers)
    bench.run(3)
    bench.kernel.refuse = set()
    bench.run(LONGEST_WAIT)
    bench.rest({KEY: service()})
    assert bench.repaired == []


def test_what_is_wanted_otherwise_before_it_is_put_back_is_no_repair() -> None:
    bench = Watched(RacyKernel())
    bench.writer.configure({KEY: service()})
    bench.run(2)
    bench.kernel.table[KEY] = replace(service(), service=replace(service().service, sched_name="rr"))
    bench.kernel.refuse = {KEY}
    bench.run(3)  # the drift is seen, and cannot be put back
    assert bench.writer.counters.refused > 0
    bench.kernel.refuse = set()
    bench.writer.update({KEY: service(weight=5)})
    bench.run(LONGEST_WAIT)
    bench.rest({KEY: service(weight=5)})
    assert bench.repaired == []


def test_a_drift_that_its_maker_takes_back_is_no_repair() -> None:
    bench = Watched(RacyKernel())
    bench.writer.configure({KEY: service()})
    bench.run(2)
    bench.kernel.table[KEY] = replace(service(), service=replace(service().service, sched_name="rr"))
    bench.kernel.refuse = {KEY}
    bench.run(3)
    bench.kernel.table[KEY] = service()
    bench.kernel.refuse = set()
    bench.run(LONGEST_WAIT)
    bench.rest({KEY: service()})
    assert (bench.repaired, bench.writer.counters.drifts) == ([], 0)


def test_what_we_wrote_before_a_refusal_is_no_drift() -> None:
    """Somebody else adds a real server, with another weight, while we exchange all of them."""
    bench = Watched(RacyKernel())
    bench.writer.configure({KEY: service()})
    bench.run(2)
    with mock.patch.object(bench.kernel, "apply", wraps=bench.kernel.apply) as apply:

        def add_first(changes: Sequence[change.Change]) -> None:
            apply.side_effect = None
            theirs = {**service().servers, **service(numbers=(3,), weight=9).servers}
            bench.kernel.table[KEY] = replace(service(), servers=theirs)
            ModelKernel.apply(bench.kernel, changes)

        apply.side_effect = add_first
        bench.writer.configure({KEY: service(numbers=(3, 4))})
        bench.run(2)
    assert bench.writer.counters.refused == 1
    bench.rest({KEY: service(numbers=(3, 4))})
    assert bench.repaired == []


def test_what_we_wrote_before_the_kernel_failed_is_no_drift() -> None:
    bench = Watched(RacyKernel())
    bench.writer.configure({KEY: service()})
    bench.run(2)
    with mock.patch.object(bench.kernel, "apply", wraps=bench.kernel.apply) as apply:

        def fail_behind_the_first(changes: Sequence[change.Change]) -> None:
            apply.side_effect = None
            ModelKernel.apply(bench.kernel, changes[:1])
            raise KernelError(errno.ENOBUFS, "IPVS", "no room for the answer")

        apply.side_effect = fail_behind_the_first
        bench.writer.configure({KEY: service(numbers=(3, 4))})
        bench.run(2)
    bench.rest({KEY: service(numbers=(3, 4))})
    assert (bench.repaired, bench.writer.counters.errors) == ([], 1)


def test_a_service_that_goes_and_comes_back_while_all_are_read() -> None:
    keys = [replace(KEY, port=port) for port in (1, 2, 3, 4)]
    everything = {key: service(key) for key in keys}
    bench = Watched(RacyKernel(everything))
    with mock.patch.object(writing, "_PORTION", 1), mock.patch.object(writing, "_PACE_NS", 1_000_000):
        bench.writer.configure(everything)
        bench.run(0.5)
        bench.kernel.table[keys[0]] = service(keys[0], weight=3)
        bench.run(0.5)  # the round begins, and the first one is read
        for table in ({key: everything[key] for key in keys[:3]}, everything):
            bench.writer.configure(table)
            bench.writer.handle(bench.now)
        bench.run(3)
        bench.rest(everything)


def test_what_we_never_wrote_is_not_deleted() -> None:
    """The configuration had a service that somebody else made, for so short a time that nothing was written."""
    for kept in ((), (KEY,)):
        bench = Watched(RacyKernel({KEY: service()}))
        bench.writer.configure({KEY: service(weight=4)}, kept)
        bench.writer.configure({})
        bench.run(3)
        bench.rest({})
        assert bench.kernel.table == {KEY: service()}
