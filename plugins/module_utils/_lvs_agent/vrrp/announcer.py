# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gratuitous ARP and unsolicited neighbour adverts, a few at a time, with ``vrrp_garp_interval`` between two.

Each interface has a queue of its own: between the frames of one the others go on, and so does the loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ..kernel.errors import KernelError
from ..kernel.ethernet import Wire
from .alarms import NEVER

# Frames of one interface in one turn of the loop when there is no interval: some 0.3 ms.
_BURST = 64


class Frame(NamedTuple):
    """One announcement: the interface it goes out of, the bytes, and whose it is."""

    interface: str
    data: bytes
    ipv6: bool


class Announcer:
    """``due`` is when ``turn`` has something to send. ``sent`` and ``failed`` count frames."""

    def __init__(self, open_wire: Callable[[str], Wire] = Wire) -> None:
        self._open = open_wire
        self._wires: dict[str, Wire] = {}
        self._queues: dict[str, deque[tuple[object, Frame]]] = {}
        self._next: dict[str, int] = {}
        self.garp_interval = 0
        self.gna_interval = 0
        self.due = NEVER
        self.sent = 0
        self.failed = 0

    def add(self, owner: object, frames: Iterable[Frame], repeat: int, now: int) -> None:
        """Send all of them once, then a second time, and so on; what the owner had queued before is replaced."""
        self.forget(owner)
        frames = list(frames)
        for _round in range(repeat):
            for frame in frames:
                self._queues.setdefault(frame.interface, deque()).append((owner, frame))
        for interface in self._queues:
            self._next.setdefault(interface, now)
        self._rearm()

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
                interval = self.gna_interval if frame.ipv6 else self.garp_interval
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
