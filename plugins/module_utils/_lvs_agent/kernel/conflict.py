# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether another host on the wire has an address already: ARP probes (RFC 5227), duplicate detection (RFC 4862).

Probing changes nobody's neighbour table. A host that is silent about an address it holds (LVS-DR) is not found.
"""

from __future__ import annotations

import contextlib
import select
import time
from typing import TYPE_CHECKING

from . import arp, ndisc
from .ethernet import Wire, only_icmpv6

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


class Probing:
    """Which probes are due, and who answered: pure, the time is passed in, in seconds.

    ``conflicts`` is the result: address -> MAC of who has it, or wants it. Addresses are written as by inet_ntop(3).
    ``own_macs`` (six bytes each) are this host's, which do not count: another of its NICs may be on the same wire.
    """

    def __init__(
        self,
        mac: bytes,
        addresses: Iterable[str],
        probes: int,
        spacing_seconds: float,
        own_macs: Collection[bytes] = (),
    ) -> None:
        self._frames = {address: pack_probe(mac, address) for address in addresses}
        self._own = {mac, *own_macs}
        self._left = probes
        self._spacing = spacing_seconds
        self._next = 0.0
        self.conflicts: dict[str, str] = {}

    def due(self, now: float) -> list[bytes] | None:
        """The frames to send now, often none; None when all is over. Ask again at the time ``wake`` returns.

        The answers to the last probe are waited for as long as the others'.
        """
        if len(self.conflicts) == len(self._frames):
            return None
        if now < self._next:
            return []
        if not self._left:
            return None
        self._left -= 1
        self._next = now + self._spacing
        return [frame for address, frame in self._frames.items() if address not in self.conflicts]

    def wake(self) -> float:
        """When ``due`` has something new to say, unless a frame is heard before."""
        return self._next

    def heard(self, frame: bytes) -> None:
        """Take in any frame that was received."""
        address, mac = claim(frame)
        if address in self._frames and mac not in self._own:
            self.conflicts.setdefault(address, mac.hex(":"))


def claim(frame: bytes, *, wishes: bool = True) -> tuple[str, bytes]:
    """(address, MAC) of the use that a received frame shows; ("", b"") for none.

    Without ``wishes`` another host's own probe shows nothing: it only asks.
    """
    packet: arp.Arp | ndisc.Neighbour | None
    if (packet := arp.parse(frame)) is not None:
        used = wishes or packet.sender != "0.0.0.0"
        return (arp.claimed(packet), packet.sender_mac) if used else ("", b"")
    if (packet := ndisc.parse(frame)) is not None:
        used = wishes or packet.kind == ndisc.ADVERTISEMENT
        return (ndisc.claimed(packet), packet.mac) if used else ("", b"")
    return "", b""


def pack_probe(mac: bytes, address: str) -> bytes:
    """The frame that asks who has an address without claiming it. Raises OSError for what is no address."""
    return ndisc.pack_probe(mac, address) if ":" in address else arp.pack_probe(mac, address)


def find_conflicts(
    interface: str, addresses: Collection[str], probes: int, spacing_seconds: float, own_macs: Collection[bytes] = ()
) -> dict[str, str]:
    """Address -> MAC of another host that has it, after ``probes`` times ``spacing_seconds`` at most.

    Raises InterfaceNotFound, ethernet.EthernetError: what cannot be asked is no "nobody has it". Needs CAP_NET_RAW,
    and an interface that is up and has a carrier.
    """
    with contextlib.ExitStack() as stack:
        wires = []
        if any(":" not in address for address in addresses):
            wires.append(stack.enter_context(Wire(interface, arp.ETH_P_ARP)))
        if any(":" in address for address in addresses):
            only = only_icmpv6(ndisc.SOLICITATION, ndisc.ADVERTISEMENT)
            # Who probes for the address too is heard only there (RFC 4862 section 5.4.2).
            groups = {ndisc.multicast_mac(ndisc.solicited_node(address)) for address in addresses if ":" in address}
            wires.append(stack.enter_context(Wire(interface, ndisc.ETH_P_IPV6, only, groups)))
        for wire in wires:
            wire.require_carrier()
        if not wires:
            return {}
        probing = Probing(wires[0].mac, addresses, probes, spacing_seconds, own_macs)
        while (frames := probing.due(time.monotonic())) is not None:
            for frame in frames:
                wires[0].send(frame)
            _listen(wires, probing)
        return probing.conflicts


def _listen(wires: list[Wire], probing: Probing) -> None:
    """Take in what comes, until the next probe is due or something was heard."""
    left = max(0.0, probing.wake() - time.monotonic())
    ready: list[Wire] = select.select(wires, [], [], left)[0]
    for wire in ready:
        # One frame a turn: however much comes in, the time is looked at in between.
        if (frame := wire.receive()) is not None:
            probing.heard(frame)
