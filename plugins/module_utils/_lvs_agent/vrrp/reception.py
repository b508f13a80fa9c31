# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Receiving: from a socket to the machine of the instance that a packet is for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .errors import PacketError
from .instance import SECOND
from .ip import PROTO_AH, text
from .ports import Listening
from .runner import Runner

if TYPE_CHECKING:
    from .loop import Loop

# where the VRID is in an IPv4 packet, without and with an authentication header
_VRID_AT, _VRID_AT_SIGNED = 21, 45


class Reception:
    """What the loop does with its ports. Nothing that a packet says raises."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.log_unknown_vrids = False
        self._stranger_told = self._failure_told = -SECOND

    def read(self, listening: Listening, packets: list[tuple[Listening, Any]], now: int) -> None:
        """Until it is empty, or all that was there at the beginning has been read."""
        port = listening.port
        receive: Callable[[], Any] = port.receive_ipv4 if port.family == 4 else port.receive_ipv6
        try:
            for _packet in range(port.most):
                packet = receive()
                if packet is None:
                    return
                packets.append((listening, packet))
        except OSError as error:
            if now - self._failure_told >= SECOND:
                self._failure_told = now
                self._loop.remark(logging.WARNING, "", f"{port.interface}: receiving adverts failed: {error}", now)

    def packet(self, listening: Listening, packet: Any, now: int) -> None:
        """Find the instance it is for, and hand it over."""
        if listening.port.family == 4:
            place = _VRID_AT_SIGNED if listening.port.protocol == PROTO_AH else _VRID_AT
            vrid = packet[place] if len(packet) > place else -1
            runner = listening.find(vrid, packet[12:16], packet[16:20])
        else:
            vrid = packet.payload[1] if len(packet.payload) > 1 else -1
            runner = listening.find(vrid, packet.source, packet.destination)
        receiver = runner.receiver if runner is not None else None
        if runner is None or receiver is None:
            if runner is None:
                self._stranger(listening, packet, vrid, now)
            return
        try:
            advert = receiver.ipv4(packet) if listening.port.family == 4 else receiver.ipv6(packet)
        except PacketError as error:
            self._loop.effects.perform(runner, runner.machine.rejected(now, error), now)
            return
        self._advert(runner, advert, now)

    def _advert(self, runner: Runner, advert: Any, now: int) -> None:
        machine = runner.machine
        found = machine.advert(now, advert)
        if found or machine.group is not None:
            self._loop.effects.perform(runner, found, now, settle=True)
        elif machine.wake_ns < runner.scheduled:
            self._loop.schedule(runner)

    def _stranger(self, listening: Listening, packet: Any, vrid: int, now: int) -> None:
        """A packet for no instance of ours."""
        if vrid < 0:
            self._loop.counters["malformed"] += 1
            return
        self._loop.counters["unknown_vrid"] += 1
        if self.log_unknown_vrids and now - self._stranger_told >= SECOND:
            self._stranger_told = now
            source = text(packet[12:16] if listening.port.family == 4 else packet.source)
            what = f"{listening.port.interface}: an advert from {source} of VRID {vrid}, not ours"
            self._loop.remark(logging.INFO, "", what, now)
