# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's IPVS table kept as it is wanted: read, compared, written in batches, and read again for drift.

What somebody else changes in it is put back within :data:`ROUND_NS`, as far as :data:`MOST_EACH_SECOND` real servers
can be compared in that time: see :meth:`Writer.round_ns`. Each turn is short: the loop around it has health checks to
run. A virtual service is read in one go; a real server that is as expected costs a seventh of one that has to be
understood (5 us against 36 us in a UML guest).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from ..kernel.errors import KernelError
from ..kernel.ipvs_change import AddService, Change, DeleteService, EditService
from ..kernel.ipvs_errors import ChangeRefused
from ..kernel.ipvs_types import DestinationEntry, Service, ServiceEntry, ServiceKey
from .owned import Owned, ours
from .plan import FlushOnStop
from .reconcile import changes
from .table import Table, VirtualService, virtual_service

_log = logging.getLogger(__name__)

NEVER = 1 << 63
ROUND_NS = 1_000_000_000  # the least time from one reading of all to the next
MOST_EACH_SECOND = 20_000  # real servers that are compared, 5 % of a processor
_PORTION = 1_000  # real servers read, or changes written, in one turn
_PACE_NS = _PORTION * 1_000_000_000 // MOST_EACH_SECOND
_FIRST_RETRY_NS, _LAST_RETRY_NS = 500_000_000, 30_000_000_000
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


@dataclass
class _Retry:
    """A service with a change that the kernel refused."""

    at_ns: int
    delay_ns: int
    told: str


@dataclass
class _Known:
    """What the kernel has, as far as we know. ``listing`` are its services, None before the first reading.

    ``table`` has the real servers too, without those of others that stay; ``digests`` belong to what was read, and
    are missing for what was written since.
    """

    listing: dict[ServiceKey, Service] | None = None
    table: Table = field(default_factory=dict)
    digests: dict[ServiceKey, tuple[int, int]] = field(default_factory=dict)

    def forget(self, key: ServiceKey) -> None:
        """It has to be read again."""
        self.table.pop(key, None)
        self.digests.pop(key, None)


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
        self._known = _Known()
        self._dirty: dict[ServiceKey, None] = {}
        self._drifted: set[ServiceKey] = set()
        self._synced: set[ServiceKey] = set()
        self._retries: dict[ServiceKey, _Retry] = {}
        self._queue: list[ServiceKey] = []
        self._batch: _Batch | None = None
        self._round_ns = 0
        self._due_ns = NEVER
        self._delay_ns = 0

    # What is wanted

    def configure(self, desired: Table, keep_others: Collection[ServiceKey] = ()) -> None:
        """The whole table that is wanted from now on; ``keep_others``: services in which others' real servers stay."""
        before = self._desired or {}
        self._desired = desired = dict(desired)
        for key in self._keep_others.symmetric_difference(keep_others):
            self._known.forget(key)  # what is ours there is another question now
            self._synced.discard(key)
        self._keep_others = frozenset(keep_others)
        self._due_ns = min(self._due_ns, 0)
        gone = [key for key in before if key not in desired]
        for key in [*[key for key in desired if desired[key] != before.get(key)], *gone]:
            self._mark(key)

    def update(self, part: Table) -> None:
        """These services are wanted so."""
        if self._desired is None:
            raise ValueError("a part of a table that was never given")
        for key, virtual in part.items():
            if self._desired.get(key) != virtual:
                self._desired[key] = virtual
                self._mark(key)

    def in_step(self) -> bool:
        """Whether all that is wanted is written, as far as we know."""
        return self._desired is not None and self._known.listing is not None and not self._dirty and not self._batch

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
        self._known = _Known()
        self._own(Owned())

    def stop(self, what: FlushOnStop) -> None:
        """A planned end of the daemon; see docs/ipvs-table.md for what stays. Raises KernelError."""
        self._due_ns, self._desired = NEVER, None
        if what is FlushOnStop.EVERYTHING:
            self.flush()
        elif what is FlushOnStop.OURS:
            kernel = self._opened()
            here = [entry.service.key for entry in kernel.services()]
            kernel.apply([DeleteService(key) for key in here if key in self.owned.services])
            self._own(Owned())

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
        if self._known.listing is None or (not self._queue and now_ns >= self._next_round_ns()):
            self._begin_round(kernel, desired, now_ns)
        read = self._read_portion(kernel, desired)
        if not self._queue and read:
            self.counters.rounds += 1
            self.counters.last_round_ns = now_ns - self._round_ns
        if self._queue and self._queue[0] not in self._known.table:
            return now_ns  # nothing can be written there before it is known
        self._batch = self._next_batch(desired, now_ns)
        if self._batch is not None:
            self._send(kernel, self._batch, now_ns)
            return now_ns
        due = now_ns + read * _PACE_NS // _PORTION if self._queue else self._next_round_ns()
        return max(now_ns + 1, min([due, *(one.at_ns for one in self._retries.values())]))

    def _next_round_ns(self) -> int:
        """While much is to be written, less is read again: it would be read in full, as it has just been written."""
        many = len(self._dirty) > len(self._retries) + _MANY
        return self._round_ns + (_LATER if many else 1) * ROUND_NS

    def _opened(self) -> Kernel:
        if self._kernel is None:
            self._kernel = self._connect()
        return self._kernel

    def _begin_round(self, kernel: Kernel, desired: Table, now_ns: int) -> None:
        """Which services there are, and which are others than we thought."""
        known = self._known
        listing = {entry.service.key: virtual_service(entry.service).service for entry in kernel.services()}
        for key in [key for key in known.table if key not in listing]:
            known.forget(key)
            self._found_drift(key)
        for key, service in listing.items():
            have = known.table.get(key)
            if have is not None and have.service != service:
                known.table[key] = replace(have, service=service)
                self._found_drift(key)
        for key in (*desired, *self.owned.services):
            if key not in known.table and (key in desired or key in listing):
                self._dirty[key] = None
        known.listing = listing
        gone = [key for key in self.owned.services if key not in desired and key not in listing]
        self._own(self.owned.with_table(desired, self._keep_others).without(gone))
        self._queue = sorted((key for key in desired if key in listing), key=lambda key: key in known.table)
        self._round_ns = now_ns

    def _read_portion(self, kernel: Kernel, desired: Table) -> int:
        """Compare the next services; how many real servers and services that were."""
        read = 0
        while self._queue and read < _PORTION:
            key = self._queue.pop(0)
            if key in desired:
                read += 1 + self._read(kernel, key, desired[key])
        return read

    def _read(self, kernel: Kernel, key: ServiceKey, wanted: VirtualService) -> int:
        known = self._known
        if key in known.digests and key in known.table:
            digest = kernel.digest(key)
            if digest == known.digests[key]:
                return digest[0]
        entries, digest = kernel.destinations_and_digest(key)
        have = virtual_service((known.listing or {})[key], [entry.destination for entry in entries])
        if key in self._keep_others:
            have = ours(have, wanted, self.owned.servers.get(key, frozenset()))
        believed = known.table.get(key)
        known.table[key], known.digests[key] = have, digest
        if believed is not None and have != believed:
            self._found_drift(key)
        elif have != wanted:
            self._dirty[key] = None
        else:
            self._synced.add(key)
            self._dirty.pop(key, None)
        return len(entries)

    def _found_drift(self, key: ServiceKey) -> None:
        self._dirty[key] = None
        if key in self._synced:
            self._drifted.add(key)

    def _mark(self, key: ServiceKey) -> None:
        """Something else is wanted there."""
        self._dirty[key] = None
        self._drifted.discard(key)
        self._due_ns = min(self._due_ns, 0)

    # Writing

    def _next_batch(self, desired: Table, now_ns: int) -> _Batch | None:
        before: Table = {}
        after: Table = {}
        size = 0
        for key in list(self._dirty):
            retry = self._retries.get(key)
            if retry is not None and now_ns < retry.at_ns:
                continue
            del self._dirty[key]
            have, want = self._known.table.get(key), desired.get(key)
            if have is None and key in (self._known.listing or {}):
                if want is None:
                    have = VirtualService((self._known.listing or {})[key])  # its servers go with it
                else:
                    self._dirty[key] = None
                    if key not in self._queue:
                        self._queue.insert(0, key)
                    continue
            if have is not None:
                before[key] = have
            if want is not None:
                after[key] = want
            size += len(want.servers) if want is not None else 1
            if size >= _PORTION:
                break
        todo = changes(before, after)
        self._synced.update(after)
        return _Batch(todo, before, after) if todo else None

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
        gone = [key for key in batch.before if key not in batch.after]
        listing = self._known.listing or {}
        for key in gone:
            self._known.forget(key)
            listing.pop(key, None)
            self._synced.discard(key)
        for key, virtual in batch.after.items():
            self._known.table[key] = virtual
            self._known.digests.pop(key, None)
            listing[key] = virtual.service
            self._retries.pop(key, None)
        self._own(self.owned.without(gone))
        self._tell_repaired(batch)

    def _tell_repaired(self, batch: _Batch) -> None:
        for key in [key for key in self._drifted if key in batch.before or key in batch.after]:
            self._drifted.discard(key)
            told = [change for change in batch.todo if _key_of(change) == key]
            if told:
                self.counters.drifts += 1
                self.counters.repaired += len(told)
                self._repaired(Repaired(key, tuple(str(change) for change in told[:_TOLD_CHANGES]), len(told)))

    def _refused(self, batch: _Batch, error: ChangeRefused, now_ns: int) -> None:
        """What is true now is read again; the service of the refused change waits longer and longer."""
        self._batch = None
        self.counters.refused += 1 + error.others
        key = _key_of(error.change)
        before = self._retries.get(key)
        delay = min(2 * before.delay_ns, _LAST_RETRY_NS) if before is not None else _FIRST_RETRY_NS
        if before is None or before.told != str(error):
            _log.error("%s; trying again", error)
        self._retries[key] = _Retry(now_ns + delay, delay, str(error))
        for one in {**batch.before, **batch.after}:
            self._known.forget(one)
            self._dirty[one] = None
        self._known.listing = None
        self._queue = []

    def _failed(self, error: KernelError, now_ns: int) -> None:
        """Nothing is known any more; start again, later and later."""
        self.counters.errors += 1
        if self.error != str(error):
            _log.error("%s; trying again", error)
        self.error = str(error)
        self._delay_ns = min(2 * self._delay_ns, _LAST_RETRY_NS) or _FIRST_RETRY_NS
        self._due_ns = now_ns + self._delay_ns
        self._known, self._queue, self._batch = _Known(), [], None
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
