# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gratuitous ARP and unsolicited neighbour adverts, a few at a time, with ``vrrp_garp_interval`` between two.

Each interface has a queue of its own, or shares that of its ``garp_group``: between the frames of one the others go
on, and so does the loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ..kernel.errors import KernelError
from ..kernel.ethernet import Wire
from .alarms import NEVER
from .plan import GarpGroup

# Frames of one queue in one turn of the loop when there is no interval: some 0.3 ms.
_BURST = 64


class Frame(NamedTuple):
    """One announcement: the interface it goes out of, the bytes, and whose it is."""

    interface: str
    data: bytes
    ipv6: bool


class _Lane(NamedTuple):
    """What frames have in common that wait for each other: their queue, "" for the interface's own, and intervals."""

    name: str
    garp_interval: int
    gna_interval: int


class Announcer:
    """``due`` is when ``turn`` has something to send. ``sent`` and ``failed`` count frames."""

    def __init__(self, open_wire: Callable[[str], Wire] = Wire) -> None:
        self._open = open_wire
        self._wires: dict[str, Wire] = {}
        self._queues: dict[str, deque[tuple[object, Frame]]] = {}
        self._next: dict[str, int] = {}
        self._lanes: dict[str, _Lane] = {}
        self._other = _Lane("", 0, 0)
        self.due = NEVER
        self.sent = 0
        self.failed = 0

    def configure(self, garp_interval: int, gna_interval: int, groups: Iterable[GarpGroup]) -> None:
        """Nanoseconds between two frames of an interface, and those of groups; what is queued goes on in its queue."""
        self._other = _Lane("", garp_interval, gna_interval)
        self._lanes = {}
        for number, group in enumerate(groups):
            garp = garp_interval if group.garp_interval is None else group.garp_interval
            gna = gna_interval if group.gna_interval is None else group.gna_interval
            lane = _Lane(f"garp_group {number}", garp, gna)
            self._lanes.update(dict.fromkeys(group.interfaces, lane))

    def add(self, owner: object, frames: Iterable[Frame], repeat: int, now: int) -> None:
        """Send all of them once, then a second time, and so on; what the owner had queued before is replaced.

        Each queue begins where it was: who has this done again and again before the last frame's turn must not have
        the first ones announced only.
        """
        by_queue: dict[str, list[Frame]] = {}
        for frame in frames:
            by_queue.setdefault(self._queue_of(frame), []).append(frame)
        for queue, mine in by_queue.items():
            waiting = next((frame for one, frame in self._queues.get(queue, ()) if one is owner), None)
            if waiting in mine:
                start = mine.index(waiting)
                by_queue[queue] = mine[start:] + mine[:start]
        self.forget(owner)
        for mine in by_queue.values():
            self.add_more(owner, mine * repeat, now)

    def add_more(self, owner: object, frames: Iterable[Frame], now: int) -> None:
        """Send these, too."""
        for frame in frames:
            self._queues.setdefault(self._queue_of(frame), deque()).append((owner, frame))
        for queue in self._queues:
            self._next.setdefault(queue, now)
        self._rearm()

    def _queue_of(self, frame: Frame) -> str:
        return self._lanes.get(frame.interface, self._other).name or frame.interface

    def forget(self, owner: object) -> None:
        """It is no longer master: do not announce what it does not have."""
        for interface, queue in list(self._queues.items()):
            if any(one is owner for one, _frame in queue):
                self._queues[interface] = deque(entry for entry in queue if entry[0] is not owner)
        self._rearm()

    def close_wire(self, interface: str) -> None:
        """The interface is another one now."""
        wire = self._wires.pop(interface, None)
        if wire is not None:
            wire.close()

    def turn(self, now: int) -> None:
        """Send what is due."""
        for interface, queue in list(self._queues.items()):
            if not queue or self._next.get(interface, now) > now:
                continue
            left = _BURST
            while queue and left:
                _owner, frame = queue.popleft()
                self._send(frame)
                left -= 1
                lane = self._lanes.get(frame.interface, self._other)
                interval = lane.gna_interval if frame.ipv6 else lane.garp_interval
                if interval:
                    self._next[interface] = now + interval
                    break
        self._rearm()

    def _send(self, frame: Frame) -> None:
        try:
            wire = self._wires.get(frame.interface)
            if wire is None:
                wire = self._wires[frame.interface] = self._open(frame.interface)
            wire.send(frame.data)
        except KernelError:
            self.failed += 1
            self.close_wire(frame.interface)
            return
        self.sent += 1

    def _rearm(self) -> None:
        for interface in [name for name, queue in self._queues.items() if not queue]:
            # the time of the next one stays: another burst may begin before it
            del self._queues[interface]
        self.due = min((self._next.get(interface, 0) for interface in self._queues), default=NEVER)
