# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking whether somebody has our VIPs already, before we become master: ARP probes and neighbour solicitations.

It tells an operator that another host holds a VIP without sending adverts; it never keeps us from becoming master.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from ..kernel import arp, conflict, ndisc
from ..kernel.errors import KernelError
from ..kernel.ethernet import Wire, only_icmpv6
from .alarms import NEVER

_ROUNDS = 2
# frames of a busy network in one turn of the loop
_MOST_FRAMES = 64


@dataclass
class _Probe:
    """One instance's questions: per wire the frames, and when they are sent again."""

    frames: dict[tuple[str, int], list[bytes]] = field(default_factory=dict)
    addresses: set[tuple[str, str]] = field(default_factory=set)
    rounds: int = _ROUNDS
    spacing: int = 0
    next_ns: int = 0


class Probes:
    """Those at work. Wires are shared; whoever selects, who is told by ``opened`` and ``closed``."""

    def __init__(self, opened: Callable[[Wire], None], closed: Callable[[Wire], None]) -> None:
        self._opened = opened
        self._closed = closed
        self._wires: dict[tuple[str, int], Wire] = {}
        self._probes: dict[object, _Probe] = {}
        self._asking: dict[tuple[str, str], set[object]] = {}
        self.due = NEVER

    def start(self, owner: object, addresses: Collection[tuple[str, str]], spacing: int, now: int) -> None:
        """Ask for each (interface, address) twice, ``spacing`` apart; the answers come by ``heard``."""
        self._forget(owner)
        probe = _Probe(spacing=spacing, next_ns=now)
        for interface, address in addresses:
            ethertype = ndisc.ETH_P_IPV6 if ":" in address else arp.ETH_P_ARP
            wire = self._wire(interface, ethertype)
            if wire is not None:
                probe.frames.setdefault((interface, ethertype), []).append(conflict.pack_probe(wire.mac, address))
                probe.addresses.add((interface, address))
        if probe.frames:
            self._probes[owner] = probe
            for asked in probe.addresses:
                self._asking.setdefault(asked, set()).add(owner)
        self._rearm()

    def stop(self, owner: object) -> None:
        """Its answer no longer matters."""
        if self._forget(owner):
            self._close_idle()
            self._rearm()

    def turn(self, now: int) -> None:
        """Send what is due, and end what has waited long enough."""
        for owner, probe in list(self._probes.items()):
            if probe.next_ns > now:
                continue
            if not probe.rounds:
                self._forget(owner)
                continue
            probe.rounds -= 1
            probe.next_ns = now + probe.spacing
            for key, frames in probe.frames.items():
                self._send(key, frames)
        self._close_idle()
        self._rearm()

    def heard(self, wire: Wire, own_macs: Collection[bytes]) -> list[tuple[object, str]]:
        """Read a wire: (owner, who has one of its addresses) of each answer that is not this host's own."""
        found: list[tuple[object, str]] = []
        for _frame in range(_MOST_FRAMES):
            try:
                frame = wire.receive()
            except KernelError:
                break
            if frame is None:
                break
            # another director that starts asks the same, and has as little
            address, mac = conflict.claim(frame, wishes=False)
            if address and mac not in own_macs:
                owners = self._asking.get((wire.interface, address), ())
                found += [(owner, f"{mac.hex(':')} ({address})") for owner in owners]
        return found

    def _forget(self, owner: object) -> bool:
        """Whether there was something to forget."""
        probe = self._probes.pop(owner, None)
        if probe is None:
            return False
        for asked in probe.addresses:
            owners = self._asking[asked]
            owners.discard(owner)
            if not owners:
                del self._asking[asked]
        return True

    def _wire(self, interface: str, ethertype: int) -> Wire | None:
        """None for what has neither ARP nor neighbour discovery, or is down."""
        key = (interface, ethertype)
        if key not in self._wires:
            only = only_icmpv6(ndisc.SOLICITATION, ndisc.ADVERTISEMENT) if ethertype == ndisc.ETH_P_IPV6 else b""
            try:
                self._wires[key] = Wire(interface, ethertype, only)
            except KernelError:
                return None
            self._opened(self._wires[key])
        return self._wires[key]

    def _send(self, key: tuple[str, int], frames: list[bytes]) -> None:
        wire = self._wires.get(key)
        for frame in frames if wire is not None else ():
            # asked again in a moment; the addresses behind this one have nothing to do with it
            with contextlib.suppress(KernelError):
                wire.send(frame)  # type: ignore[union-attr]

    def _close_idle(self) -> None:
        used = {key for probe in self._probes.values() for key in probe.frames}
        for key in [key for key in self._wires if key not in used]:
            wire = self._wires.pop(key)
            self._closed(wire)
            wire.close()

    def _rearm(self) -> None:
        self.due = min((probe.next_ns for probe in self._probes.values()), default=NEVER)
