# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling a network which MAC address an IP address has now: gratuitous ARP, unsolicited neighbour advertisement.

A daemon that takes over many addresses packs the frames beforehand and hands them to ``ethernet.Wire.send``, which
never waits; ``announce`` is for those who announce once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import arp, ndisc
from .ethernet import Wire

if TYPE_CHECKING:
    from collections.abc import Iterable


def pack_announcement(mac: bytes, address: str, *, router: bool = False) -> bytes:
    """The frame that tells everybody on the wire that ``address`` is at ``mac`` (six bytes) now.

    ``router`` is for IPv6 only, see ndisc. Raises OSError for what is no address.
    """
    if ":" in address:
        return ndisc.pack_unsolicited_advertisement(mac, address, router=router)
    return arp.pack_gratuitous(mac, address)


def announce(interface: str, addresses: Iterable[str], count: int, *, router: bool = False) -> None:
    """Announce each address ``count`` times, all addresses once before any a second time, without waiting.

    Raises InterfaceNotFound, ethernet.EthernetError; needs CAP_NET_RAW, and an interface that is up.
    """
    with Wire(interface) as wire:
        frames = [pack_announcement(wire.mac, address, router=router) for address in addresses]
        for _round in range(count):
            for frame in frames:
                wire.send(frame)
