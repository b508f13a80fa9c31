# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's IPVS table kept as it is wanted: read, compared, written in batches, and read again for drift.

A turn (:meth:`Writer.handle`) makes progress or says when there is something to do: a service that waits after a
refusal is all that is to be written and is not written now. :mod:`.service_record` has what is known of each.

What somebody else changes in it is put back within :data:`ROUND_NS`, as far as :data:`MOST_EACH_SECOND` real servers
can be compared in that time: see :meth:`Writer.round_ns`. Each turn is short: the loop around it has health checks to
run. A virtual service is read in one go; a real server that is as expected costs a seventh of one that has to be
understood (5 us against 36 us in a UML guest).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from ..kernel.errors import KernelError
from ..kernel.ipvs_change import AddService, Change, DeleteService, EditService
from ..kernel.ipvs_errors import ChangeRefused
from ..kernel.ipvs_types import DestinationEntry, Service, ServiceEntry, ServiceKey
from .owned import Owned, ours
from .plan import FlushOnStop
from .reconcile import changes
from .service_record import ServiceRecord, longer
from .table import Table, VirtualService, virtual_service

_log = logging.getLogger(__name__)

NEVER = 1 << 63
ROUND_NS = 1_000_000_000  # the least time from one reading of all to the next
MOST_EACH_SECOND = 20_000  # real servers that are compared, 5 % of a processor
_PORTION = 1_000  # real servers read, or changes written, in one turn
_PACE_NS = _PORTION * 1_000_000_000 // MOST_EACH_SECOND
_TOLD_CHANGES = 20
_MANY, _LATER = 20, 10  # with more services to be written than that, a round begins so many times later


class Repaired(NamedTuple):
    """Somebody else's changes of a service that were undone: the first of ours as ipvsadm's words, and how many."""

    key: ServiceKey
    lines: tuple[str, ...]
    number: int


class Kernel(Protocol):
    """The kernel: :class:`..kernel.ipvs.Ipvs`, or a model of it."""

    def services(self) -> list[ServiceEntry]:
        """All virtual services."""

    def digest(self, key: ServiceKey) -> tuple[int, int]:
        """What is the same as long as the real servers are."""

    def destinations_and_digest(self, key: ServiceKey) -> tuple[list[DestinationEntry], tuple[int, int]]:
        """The real servers of one."""

    def apply(self, changes: Sequence[Change]) -> None:
        """Carry out changes."""

    def flush(self) -> None:
        """Delete everything."""

    def close(self) -> None:
        """Be done."""


@dataclass
class Counters:
    """Since the start. ``last_round_ns`` is how long the last whole comparison took."""

    changes: int = 0
    drifts: int = 0
    repaired: int = 0
    refused: int = 0
    errors: int = 0
    rounds: int = 0
    last_round_ns: int = 0


@dataclass
class _Batch:
    """Changes on their way to the kernel: how many are there, and what is true when all are."""

    todo: list[Change]
    before: Table
    after: Table
    done: int = 0


class Writer:
    """A source of a loop, without a descriptor; nothing happens before :meth:`configure`.

    ``connect`` opens the kernel's IPVS, ``record`` keeps what is ours where a later process finds it (it may raise
    OSError), ``repaired`` is told of drift.
    """

    def __init__(
        self,
        connect: Callable[[], Kernel],
        record: Callable[[Owned], None],
        repaired: Callable[[Repaired], None],
        owned: Owned | None = None,
    ) -> None:
        self.counters = Counters()
        self.owned = owned or Owned()
        self.error = ""
        self._connect = connect
        self._record = record
        self._repaired = repaired
        self._kernel: Kernel | None = None
        self._desired: Table | None = None
        self._keep_others: frozenset[ServiceKey] = frozenset()
        # of the configuration, and not to be in the table: deleted whoever made it
        self._absent: frozenset[ServiceKey] = frozenset()
        self._records: dict[ServiceKey, ServiceRecord] = {}
        # what the kernel lists; to be read again unless ``_is_listed``
        self._listing: dict[ServiceKey, Service] = {}
        self._is_listed = False
        # what is to be read in this round
        self._queue: list[ServiceKey] = []
        # what may differ from what is wanted, in the order in which it is written
        self._todo: dict[ServiceKey, None] = {}
        self._batch: _Batch | None = None
        self._round_ns = 0
        self._due_ns = NEVER
        self._delay_ns = 0

    # What is wanted

    def configure(
        self, desired: Table, keep_others: Collection[ServiceKey] = (), absent: Collection[ServiceKey] = ()
    ) -> None:
        """The whole table that is wanted from now on.

        ``keep_others``: services in which others' real servers stay; ``absent``: those of the configuration that are
        not to be there.
        """
        before = self._desired or {}
        self._desired = desired = dict(desired)
        for key in self._keep_others.symmetric_difference(keep_others):
            self._records.pop(key, None)  # what is ours there is another question now
        self._keep_others = frozenset(keep_others)
        self._absent = frozenset(absent)
        self._due_ns = min(self._due_ns, 0)
        gone = [key for key in before if key not in desired]
        for key in [*[key for key in desired if desired[key] != before.get(key)], *gone]:
            self._mark(key)

    def update(self, part: Table, absent: Collection[ServiceKey] = ()) -> None:
        """These services are wanted so, and those of ``absent`` not at all."""
        if self._desired is None:
            raise ValueError("a part of a table that was never given")
        self._absent = self._absent.difference(part).union(absent)
        for key in absent:
            if self._desired.pop(key, None) is not None:
                self._mark(key)
        for key, virtual in part.items():
            if self._desired.get(key) != virtual:
                self._desired[key] = virtual
                self._mark(key)

    def in_step(self) -> bool:
        """Whether all that is wanted is written, as far as we know."""
        return self._desired is not None and self._is_listed and not self._todo and not self._batch

    def round_ns(self) -> int:
        """How long one comparison of everything takes: drift is put back in this time at the latest."""
        size = sum(len(virtual.servers) + 1 for virtual in (self._desired or {}).values())
        return max(ROUND_NS, size * 1_000_000_000 // MOST_EACH_SECOND)

    # For a loop

    def fileno(self) -> int:
        """There is nothing to wait for but time."""
        return -1

    def deadline_ns(self) -> int:
        """When ``handle`` is to be called at the latest."""
        return self._due_ns

    def handle(self, now_ns: int) -> None:
        """One turn, if it is time for one. It raises nothing: what goes wrong is logged once and tried again."""
        if self._desired is None or now_ns < self._due_ns:
            return
        try:
            self._due_ns = self._turn(self._desired, now_ns)
        except KernelError as error:
            self._failed(error, now_ns)
        else:
            if self.error:
                _log.info("the kernel's IPVS answers again")
            self.error, self._delay_ns = "", 0

    def flush(self) -> None:
        """``lvs_flush``: delete everything there is, others' too. Raises KernelError."""
        self._opened().flush()
        self._records.clear()
        self._is_listed = False
        self._own(Owned())

    def stop(self, what: FlushOnStop) -> None:
        """A planned end of the daemon; see docs/ipvs-table.md for what stays. Raises KernelError.

        What is not to be there (``lvs_master_only``) leaves in any case: VRRP has given the VIPs up, just before.
        """
        self._due_ns, self._desired = NEVER, None
        if what is FlushOnStop.EVERYTHING:
            self.flush()
        elif what is FlushOnStop.OURS or self._absent:
            kernel = self._opened()
            leave = self._absent.union(self.owned.services if what is FlushOnStop.OURS else ())
            here = [entry.service.key for entry in kernel.services()]
            kernel.apply([DeleteService(key) for key in here if key in leave])
            self._own(self.owned.without(leave))

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        if self._kernel is not None:
            self._kernel.close()
            self._kernel = None

    # One turn

    def _turn(self, desired: Table, now_ns: int) -> int:
        """Whatever is next; when the next turn is."""
        kernel = self._opened()
        if self._batch is not None:
            self._send(kernel, self._batch, now_ns)
            return now_ns
        if not self._is_listed or (not self._queue and now_ns >= self._next_round_ns()):
            self._begin_round(kernel, desired, now_ns)
        read = self._read_portion(kernel, desired)
        if not self._queue and read:
            self.counters.rounds += 1
            self.counters.last_round_ns = now_ns - self._round_ns
        if self._queue and self._record_of(self._queue[0]).have is None:
            return now_ns  # nothing can be written there before it is known
        self._batch = self._next_batch(desired, now_ns)
        if self._batch is not None:
            self._send(kernel, self._batch, now_ns)
            return now_ns
        due = now_ns + read * _PACE_NS // _PORTION if self._queue else self._next_round_ns()
        return max(now_ns + 1, min([due, *self._retries()]))

    def _retries(self) -> list[int]:
        """When to write again what the kernel refused."""
        return [retry_ns for retry_ns in [self._record_of(key).retry_ns for key in self._todo] if retry_ns]

    def _next_round_ns(self) -> int:
        """While much is to be written, less is read again: it would be read in full, as it has just been written."""
        many = len(self._todo) > _MANY and len(self._todo) > len(self._retries()) + _MANY
        return self._round_ns + (_LATER if many else 1) * ROUND_NS

    def _record_of(self, key: ServiceKey) -> ServiceRecord:
        record = self._records.get(key)
        if record is None:
            record = self._records[key] = ServiceRecord()
        return record

    def _opened(self) -> Kernel:
        if self._kernel is None:
            self._kernel = self._connect()
        return self._kernel

    def _begin_round(self, kernel: Kernel, desired: Table, now_ns: int) -> None:
        """Which services there are, and which are others than we thought."""
        listing = {entry.service.key: virtual_service(entry.service).service for entry in kernel.services()}
        for key, record in self._records.items():
            if record.have is None or record.have.service == listing.get(key):
                continue
            if key in listing:
                record.have = replace(record.have, service=listing[key])
            else:
                record.forget()
            self._found_drift(key, record)
        self._own(self.owned.with_services(self._absent.intersection(listing)))
        gone = [key for key in self.owned.services if key not in desired and key not in listing]
        for key in gone:
            self._records.pop(key, None)
        for key in (*desired, *self.owned.services.difference(gone)):
            if self._record_of(key).have is None:
                self._todo[key] = None
        self._listing, self._is_listed = listing, True
        self._own(self.owned.with_table(desired, self._keep_others).without(gone))
        self._queue = sorted(
            (key for key in desired if key in listing), key=lambda key: self._record_of(key).have is not None
        )
        self._round_ns = now_ns

    def _read_portion(self, kernel: Kernel, desired: Table) -> int:
        """Compare the next services; how many real servers and services that were."""
        read = 0
        while self._queue and read < _PORTION:
            key = self._queue.pop(0)
            if key in desired and key in self._listing:
                read += 1 + self._read(kernel, key, desired[key])
        return read

    def _read(self, kernel: Kernel, key: ServiceKey, wanted: VirtualService) -> int:
        record = self._record_of(key)
        if record.digest is not None and record.have is not None:
            digest = kernel.digest(key)
            if digest == record.digest:
                return digest[0]
        entries, digest = kernel.destinations_and_digest(key)
        have = virtual_service(self._listing[key], [entry.destination for entry in entries])
        if key in self._keep_others:
            have = ours(have, wanted, self.owned.servers.get(key, frozenset()))
        believed = record.have
        record.have, record.digest = have, digest
        if have == wanted:
            record.settle()
        elif believed is not None and have != believed:
            self._found_drift(key, record)
        else:
            self._todo[key] = None
        return len(entries)

    def _found_drift(self, key: ServiceKey, record: ServiceRecord) -> None:
        self._todo[key] = None
        record.differs()

    def _mark(self, key: ServiceKey) -> None:
        """Something else is wanted there."""
        self._todo[key] = None
        self._record_of(key).wanted_otherwise()
        self._due_ns = min(self._due_ns, 0)

    # Writing

    def _next_batch(self, desired: Table, now_ns: int) -> _Batch | None:
        before: Table = {}
        after: Table = {}
        size = 0
        for key in [key for key in self._todo if now_ns >= self._record_of(key).retry_ns]:
            want = desired.get(key)
            if want is not None and self._is_unread(key):
                if key not in self._queue:
                    self._queue.insert(0, key)
                continue
            del self._todo[key]
            have = self._record_of(key).have if want is not None else self._to_be_deleted(key)
            if have == want:
                # as wanted, or neither wanted nor ours
                if want is not None:
                    self._record_of(key).settle()
                else:
                    self._records.pop(key, None)
                continue
            if have is not None:
                before[key] = have
            if want is not None:
                after[key] = want
            size += len(want.servers) if want is not None else 1
            if size >= _PORTION:
                break
        return _Batch(changes(before, after), before, after) if before or after else None

    def _is_unread(self, key: ServiceKey) -> bool:
        return self._record_of(key).have is None and key in self._listing

    def _to_be_deleted(self, key: ServiceKey) -> VirtualService | None:
        """What the kernel has of a service that is not wanted; its real servers go with it, and are not read."""
        if key not in self.owned.services:
            return None  # somebody else's, that was in the configuration and was not written
        return VirtualService(self._listing[key]) if key in self._listing else None

    def _send(self, kernel: Kernel, batch: _Batch, now_ns: int) -> None:
        """The next portion of a batch."""
        if not batch.done:
            self._own(self.owned.with_table(batch.after, self._keep_others))
        portion = batch.todo[batch.done : batch.done + _PORTION]
        try:
            kernel.apply(portion)
        except ChangeRefused as error:
            self._refused(batch, error, now_ns)
            return
        batch.done += len(portion)
        self.counters.changes += len(portion)
        if batch.done >= len(batch.todo):
            self._batch = None
            self._finished(batch)

    def _finished(self, batch: _Batch) -> None:
        self._tell_repaired(batch)
        gone = [key for key in batch.before if key not in batch.after]
        for key in gone:
            self._records.pop(key, None)
            self._listing.pop(key, None)
        for key, virtual in batch.after.items():
            self._record_of(key).written(virtual)
            self._listing[key] = virtual.service
        self._own(self.owned.without(gone))

    def _tell_repaired(self, batch: _Batch) -> None:
        for key in [key for key in batch.after if self._record_of(key).drifted]:
            told = [change for change in batch.todo if _key_of(change) == key]
            self.counters.drifts += 1
            self.counters.repaired += len(told)
            self._repaired(Repaired(key, tuple(str(change) for change in told[:_TOLD_CHANGES]), len(told)))

    def _refused(self, batch: _Batch, error: ChangeRefused, now_ns: int) -> None:
        """What is true now is read again; the service of the refused change waits longer and longer."""
        self._batch = None
        self.counters.refused += 1 + error.others
        if self._record_of(_key_of(error.change)).refused(str(error), now_ns):
            _log.error("%s; trying again", error)
        for key in {**batch.before, **batch.after}:
            self._record_of(key).forget()
            self._todo[key] = None
        self._is_listed = False
        self._queue = []

    def _failed(self, error: KernelError, now_ns: int) -> None:
        """Nothing is known any more; start again, later and later."""
        self.counters.errors += 1
        if self.error != str(error):
            _log.error("%s; trying again", error)
        self.error = str(error)
        self._delay_ns = longer(self._delay_ns)
        self._due_ns = now_ns + self._delay_ns
        for record in self._records.values():
            record.forget()
        self._is_listed, self._queue, self._batch = False, [], None
        self.close()

    def _own(self, owned: Owned) -> None:
        """Record it before anything else is done."""
        if owned == self.owned:
            return
        self.owned = owned
        try:
            self._record(owned)
        except OSError as error:
            _log.error("the record of our virtual services: %s; after a crash some may be left behind", error)


def _key_of(change: Change) -> ServiceKey:
    return change.service.key if isinstance(change, (AddService, EditService)) else change.key
