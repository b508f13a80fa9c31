# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The writer on a model of the kernel: it converges, touches what is ours only, and bears what goes wrong."""

from __future__ import annotations

import errno
import logging
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from _lvs_agent.kernel import ipvs_change as change
from _lvs_agent.kernel.errors import KernelError
from _lvs_agent.kernel.ipvs_types import Destination, ServiceKey
from _lvs_agent.lvs import owned as owning
from _lvs_agent.lvs import writer as writing
from _lvs_agent.lvs.owned import Owned
from _lvs_agent.lvs.plan import FlushOnStop
from _lvs_agent.lvs.table import Table, VirtualService, virtual_service
from _lvs_agent.lvs.writer import Repaired, Writer
from tests.unit.lvs.plans import KEY, ModelKernel, real, virtual
from tests.unit.lvs.test_reconcile import tables

SECOND = 1_000_000_000
OTHER = replace(KEY, addr="198.51.100.1")


def service(key: ServiceKey = KEY, numbers: Sequence[int] = (1, 2), weight: int = 1) -> VirtualService:
    plain = virtual([]).services[0]
    return virtual_service(replace(plain, key=key), [real(number, weight).destination for number in numbers])


class Bench:
    """A writer, its kernel, and a clock that jumps to each deadline."""

    def __init__(self, kernel: ModelKernel, owned: Owned | None = None) -> None:
        self.kernel, self.now = kernel, 100 * SECOND
        self.repaired: list[Repaired] = []
        self.records: list[Owned] = []
        self.broken: KernelError | None = None
        self.writer = Writer(self._connect, self._record, self.repaired.append, owned)

    def _connect(self) -> ModelKernel:
        if self.broken is not None:
            raise self.broken
        return self.kernel

    def _record(self, owned: Owned) -> None:
        # what is recorded before the kernel has it is found again after a crash
        self.records.append(owned)

    def run(self, seconds: float) -> None:
        end = self.now + int(seconds * SECOND)
        for _turn in range(10_000):
            due = max(self.now, self.writer.deadline_ns())
            if due > end:
                break
            self.now = due
            self.writer.handle(self.now)
        else:
            raise AssertionError("it never rests")
        self.now = end


KEYS = [*(replace(KEY, protocol=protocol, port=port) for protocol in (6, 17) for port in (80, 443)), OTHER]
SMALL = st.dictionaries(
    st.sampled_from(KEYS),
    st.tuples(st.lists(st.integers(1, 3), unique=True, max_size=3), st.integers(0, 2)),
).map(lambda given: {key: service(key, numbers, weight) for key, (numbers, weight) in given.items()})


@settings(max_examples=30, deadline=None)
@given(SMALL, SMALL, SMALL, SMALL, st.sets(st.sampled_from(KEYS)))
def test_any_table_becomes_the_desired_one(
    before: Table, first: Table, second: Table, drifted: Table, mine: set[ServiceKey]
) -> None:
    bench = Bench(ModelKernel(before), Owned(frozenset(mine)))
    others = {key: one for key, one in before.items() if key not in mine}
    for desired in (first, second):
        bench.writer.configure(desired)
        bench.run(3)
        others = {key: one for key, one in others.items() if key not in desired}
        assert bench.kernel.table == {**others, **desired}
        assert bench.writer.in_step()
        assert bench.writer.owned == Owned(frozenset(desired)) == [Owned(frozenset(mine)), *bench.records][-1]
        written = len(bench.kernel.changes)
        bench.run(3)
        assert len(bench.kernel.changes) == written
    assert bench.repaired == []
    # somebody else makes another table of it
    bench.kernel.table = {**others, **drifted}
    bench.run(2)
    assert bench.kernel.table == {**others, **drifted, **second}
    assert {one.key for one in bench.repaired} == {
        key for key in second if {**others, **drifted}.get(key) != second[key]
    }
    assert bench.writer.counters.drifts == len(bench.repaired)


def test_nothing_is_done_before_there_is_a_table() -> None:
    bench = Bench(ModelKernel({KEY: service()}), Owned(frozenset([KEY])))
    bench.run(10)
    assert bench.kernel.listings == 0
    with pytest.raises(ValueError, match="never given"):
        bench.writer.update({KEY: service()})


def test_a_change_of_health_is_written_at_once_without_reading() -> None:
    bench = Bench(ModelKernel())
    bench.writer.configure({KEY: service()})
    bench.run(0.5)
    listings = bench.kernel.listings
    bench.kernel.changes.clear()
    bench.writer.update({KEY: service(numbers=(2,))})
    bench.run(0)
    assert [str(one) for one in bench.kernel.changes] == ["-d -t 192.0.2.1:80 -r 10.0.0.1:80"]
    assert bench.kernel.listings == listings
    bench.writer.update({KEY: service(numbers=(2,))})
    bench.run(0)
    assert len(bench.kernel.changes) == 1


def test_what_is_recorded_comes_before_what_is_written() -> None:
    kernel = ModelKernel()
    bench = Bench(kernel)
    seen: list[frozenset[ServiceKey]] = []
    apply = kernel.apply

    def spying(changes: Sequence[change.Change]) -> None:
        seen.append(bench.records[-1].services)
        apply(changes)

    kernel.apply = spying  # type: ignore[method-assign]
    bench.writer.configure({KEY: service(), OTHER: service(OTHER)})
    bench.run(1)
    bench.writer.configure({OTHER: service(OTHER)})
    bench.run(1)
    assert seen == [{KEY, OTHER}, {KEY, OTHER}]
    assert bench.records[-1].services == {OTHER}


def test_a_record_of_what_is_gone_is_dropped() -> None:
    bench = Bench(ModelKernel(), Owned(frozenset([KEY, OTHER])))
    bench.writer.configure({OTHER: service(OTHER)})
    bench.run(1)
    bench.kernel.table[KEY] = service()  # somebody else's now
    bench.run(3)
    assert KEY in bench.kernel.table


def test_real_servers_of_others() -> None:
    bench = Bench(ModelKernel())
    bench.writer.configure({KEY: service()}, [KEY])
    bench.run(1)
    bench.kernel.table[KEY] = service(numbers=(2, 7))
    bench.run(2)
    assert bench.kernel.table[KEY].servers == service(numbers=(1, 2, 7)).servers
    assert [one.lines for one in bench.repaired] == [("-a -t 192.0.2.1:80 -r 10.0.0.1:80 -g -w 1",)]
    bench.writer.configure({KEY: service(numbers=(1,))}, [KEY])
    bench.run(2)
    assert bench.kernel.table[KEY].servers == service(numbers=(1, 7)).servers
    bench.writer.configure({KEY: service(numbers=(1,))})
    bench.run(2)
    assert bench.kernel.table == {KEY: service(numbers=(1,))}


def test_a_refused_service_waits_and_the_others_do_not(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(ModelKernel())
    bench.kernel.refuse = {KEY}
    bench.writer.configure({KEY: service(), OTHER: service(OTHER)})
    with caplog.at_level(logging.ERROR):
        bench.run(0)
        assert bench.kernel.table == {OTHER: service(OTHER)}
        bench.run(20)
    assert bench.kernel.table == {OTHER: service(OTHER)}
    assert len(caplog.messages) == 1
    assert "192.0.2.1:80" in caplog.text
    assert 4 <= bench.writer.counters.refused <= 24
    bench.kernel.refuse = set()
    bench.run(31)
    assert bench.kernel.table == {KEY: service(), OTHER: service(OTHER)}
    assert bench.writer.in_step()


def test_a_kernel_without_ipvs_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(ModelKernel())
    bench.broken = KernelError(errno.ENOENT, "IPVS", "its kernel module is not loaded")
    bench.writer.configure({KEY: service()})
    with caplog.at_level(logging.INFO):
        bench.run(60)
        assert (bench.writer.error, len(caplog.messages)) == (str(bench.broken), 1)
        assert 5 <= bench.writer.counters.errors <= 9
        bench.broken = None
        bench.run(31)
    assert bench.kernel.table == {KEY: service()}
    assert (bench.writer.error, caplog.messages[-1]) == ("", "the kernel's IPVS answers again")


def test_a_kernel_that_fails_is_opened_again_and_read_again() -> None:
    bench = Bench(ModelKernel())
    bench.writer.configure({KEY: service()})
    bench.run(1)
    services = bench.kernel.services

    def failing() -> list[object]:
        bench.kernel.services = services  # type: ignore[method-assign]
        bench.kernel.table.clear()
        raise KernelError(errno.ENOENT, "IPVS", "its kernel module was unloaded meanwhile")

    bench.kernel.services = failing  # type: ignore[method-assign, assignment]
    bench.run(2)
    assert bench.kernel.closed
    assert bench.kernel.table == {KEY: service()}
    assert bench.writer.counters.errors == 1


def test_a_record_that_cannot_be_kept_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(ModelKernel())

    def full(_owned: Owned) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    bench.writer = Writer(lambda: bench.kernel, full, bench.repaired.append)
    bench.writer.configure({KEY: service()})
    bench.run(1)
    assert bench.kernel.table == {KEY: service()}
    assert "no space left" in caplog.text


def test_large_tables_are_read_and_written_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_PORTION", 10)
    monkeypatch.setattr(writing, "_PACE_NS", 10 * SECOND // 20)
    monkeypatch.setattr(writing, "MOST_EACH_SECOND", 20)
    bench = Bench(ModelKernel())
    sizes: list[int] = []
    apply = bench.kernel.apply

    def spying(changes: Sequence[change.Change]) -> None:
        sizes.append(len(changes))
        apply(changes)

    bench.kernel.apply = spying  # type: ignore[method-assign]
    keys = [replace(KEY, port=port) for port in range(1, 11)]
    desired = {key: service(key, range(1, 10)) for key in keys}
    desired[keys[0]] = service(keys[0], range(1, 36))
    bench.writer.configure(desired)
    bench.run(0)
    assert bench.kernel.table == desired
    assert max(sizes) <= 10
    assert sum(sizes) == 9 * 10 + 36
    assert bench.writer.round_ns() == (9 * 10 + 36) * SECOND // 20
    bench.run(30)
    assert 5 * SECOND < bench.writer.counters.last_round_ns <= bench.writer.round_ns()
    del bench.kernel.table[keys[5]]
    bench.run(bench.writer.round_ns() / SECOND + 1)
    assert bench.kernel.table == desired


def test_the_end() -> None:
    def ended(how: FlushOnStop) -> Table:
        bench = Bench(ModelKernel({OTHER: service(OTHER)}))
        bench.writer.configure({KEY: service()})
        bench.run(1)
        bench.writer.stop(how)
        bench.run(10)
        assert (KEY in bench.writer.owned.services) is (how is FlushOnStop.NOTHING)
        return bench.kernel.table

    assert set(ended(FlushOnStop.NOTHING)) == {KEY, OTHER}
    assert set(ended(FlushOnStop.OURS)) == {OTHER}
    assert set(ended(FlushOnStop.EVERYTHING)) == set()


def test_flush_at_the_start() -> None:
    bench = Bench(ModelKernel({OTHER: service(OTHER)}))
    bench.writer.flush()
    bench.writer.configure({KEY: service()})
    bench.run(1)
    assert bench.kernel.table == {KEY: service()}


# ---- the record


@settings(max_examples=10, deadline=None)
@given(tables())
def test_the_record_is_read_back(table: Table) -> None:
    keys = list(table)
    owned = Owned().with_table(table, keys[:1])
    assert owning.parse(owning.to_json(owned, "b"), "b") == owned
    assert owning.parse(owning.to_json(owned, "b"), "another boot") == Owned()
    assert owned.without(keys) == Owned()
    assert owned.with_table(table, keys[:1]) is owned


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 2, "boot_id": "b", "services": []}',
        '{"version": 1, "boot_id": "b", "services": 7}',
        '{"version": 1, "boot_id": "b", "services": [7]}',
        '{"version": 1, "boot_id": "b", "services": [[2, 6, "192.0.2.1", 80]]}',
        '{"version": 1, "boot_id": "b", "services": [[2, 6, "192.0.2.1", "80", 0, null]]}',
        '{"version": 1, "boot_id": "b", "services": [[2, 6, "192.0.2.1", 80, 0, [[1]]]]}',
        '{"version": 1, "boot_id": "b", "services": [[2, 6, "192.0.2.1", 80, 0, 7]]}',
        "[" * 100_000,
    ],
)
def test_what_is_no_record(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's own words too
        owning.parse(text, "b")


def test_destinations_are_ours_or_not() -> None:
    kernel, desired = service(numbers=(1, 2, 3, 4)), service(numbers=(1, 2))
    mine = frozenset([real(3).destination.key])
    assert list(owning.ours(kernel, desired, mine).servers.values()) == [_of(1), _of(2), _of(3)]
    assert owning.ours(desired, desired, mine) is desired


def _of(number: int) -> Destination:
    return real(number).destination


def test_what_is_not_to_be_there_is_deleted_whoever_made_it() -> None:
    """lvs_master_only: the table of a backup, left by keepalived or added by hand, sends packets back."""
    bench = Bench(ModelKernel({KEY: service(), OTHER: service(OTHER)}))
    bench.writer.configure({}, absent=[KEY])
    bench.run(1)
    assert bench.kernel.table == {OTHER: service(OTHER)}
    bench.kernel.table[KEY] = service()
    bench.run(3)
    assert bench.kernel.table == {OTHER: service(OTHER)}
    bench.writer.update({KEY: service()})
    bench.run(0.1)
    assert bench.kernel.table == {KEY: service(), OTHER: service(OTHER)}
    bench.writer.update({}, [KEY])
    bench.run(0.1)
    assert bench.kernel.table == {OTHER: service(OTHER)}
    assert bench.writer.in_step()
    assert bench.writer.owned == Owned()
    assert bench.repaired == []
    bench.run(20)


def test_what_is_not_to_be_there_does_not_outlive_a_planned_end() -> None:
    bench = Bench(ModelKernel())
    bench.writer.configure({KEY: service(), OTHER: service(OTHER)})
    bench.run(1)
    bench.writer.update({}, [KEY])
    bench.writer.stop(FlushOnStop.NOTHING)
    assert bench.kernel.table == {OTHER: service(OTHER)}
    assert bench.writer.owned == Owned(frozenset([OTHER]))
