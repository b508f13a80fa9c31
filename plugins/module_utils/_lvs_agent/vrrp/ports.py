# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which instance a packet is for: the ports that are open, and who listens on each."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .instance import Instance
from .runner import Runner
from .transport import Port, protocol_of

OpenPort = Callable[[str, int, int, int], Port]


class PortKey(NamedTuple):
    """What instances must have in common to share a port."""

    interface: str
    family: int
    protocol: int


class Listening:
    """An open port, and its instances by VRID."""

    def __init__(self, port: Port) -> None:
        self.port = port
        self.runners: dict[int, list[Runner]] = {}

    def find(self, vrid: int, source: bytes, destination: bytes) -> Runner | None:
        """The instance a packet is for; a VRID may be there several times, in unicast with different peers."""
        candidates = self.runners.get(vrid)
        if not candidates:
            return None
        if len(candidates) == 1:
            return candidates[0]
        return max(candidates, key=lambda runner: _fitness(runner.machine.instance, source, destination))


def _fitness(instance: Instance, source: bytes, destination: bytes) -> int:
    """How much a packet looks like one for this instance."""
    if instance.unicast_peers:
        from_peer = any(peer.address == source for peer in instance.unicast_peers)
        return 2 * (destination == instance.source) + from_peer
    return 3 * (destination in instance.destinations)


class Ports:
    """All of them; ``opened`` and ``closed`` tell whoever selects."""

    def __init__(
        self,
        opened: Callable[[Listening], None],
        closed: Callable[[Listening], None],
        open_port: OpenPort = Port,
    ) -> None:
        self._opened = opened
        self._closed = closed
        self._open = open_port
        self._listening: dict[PortKey, Listening] = {}

    def attach(self, runner: Runner, ifindex: int, base: int = 0) -> None:
        """Have a runner receive and send on its interface, which has this number now. Raises OSError.

        ``base``: the number of the interface that its virtual MAC is on.
        """
        instance, plan = runner.machine.instance, runner.plan
        key = PortKey(plan.wire, plan.family, protocol_of(runner.signed))
        listening = self._listening.get(key)
        if listening is not None and listening.port.ifindex != ifindex:
            self._close(key, listening)
            listening = None
        if listening is None:
            listening = Listening(self._open(key.interface, ifindex, key.family, key.protocol))
            self._listening[key] = listening
            self._opened(listening)
        try:
            if not instance.unicast_peers:
                listening.port.join(instance.multicast_group, base)
            if plan.wire != plan.interface:
                listening.port.borrow_source()
        except OSError:
            self._close_idle()
            raise
        same_vrid = listening.runners.setdefault(instance.vrid, [])
        if runner not in same_vrid:
            same_vrid.append(runner)
        runner.port = listening.port

    def detach(self, runner: Runner) -> None:
        """It neither sends nor receives any more."""
        runner.port = None
        for listening in self._listening.values():
            for vrid, runners in list(listening.runners.items()):
                if runner in runners:
                    runners.remove(runner)
                if not runners:
                    del listening.runners[vrid]
        self._close_idle()

    def _close_idle(self) -> None:
        for key, listening in list(self._listening.items()):
            if not listening.runners:
                self._close(key, listening)

    def _close(self, key: PortKey, listening: Listening) -> None:
        del self._listening[key]
        for runners in listening.runners.values():
            for runner in runners:
                runner.port = None
        self._closed(listening)
        listening.port.close()
