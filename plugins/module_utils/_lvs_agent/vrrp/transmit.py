# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The adverts an instance sends: built once, and only what differs from one to the next is written anew."""

from __future__ import annotations

import struct

from . import ah
from .checksum import with_word
from .instance import CENTISECOND, Instance
from .ip import PROTO_AH, PROTO_VRRP, TTL, pack_ipv4
from .packet import AUTH_AH, CHECKSUM_OFFSET, Advert, encode, patch_priority

_U16 = struct.Struct("!H")
_IDENT_OFFSET, _HEADER_CHECKSUM_OFFSET = 4, 10


class _Packet:
    """One destination's packet, and its checksums as they would be with identification and priority 0."""

    def __init__(self, instance: Instance, destination: bytes) -> None:
        interval_cs = instance.advert_int // CENTISECOND
        # AH: the 8 bytes stay 0, the secret is only in the signature
        auth_data = bytes(8) if instance.auth_type == AUTH_AH else instance.auth_data
        advert = Advert(
            instance.version,
            instance.vrid,
            0,
            interval_cs,
            instance.addresses,
            instance.source,
            destination,
            TTL,
            instance.auth_type,
            auth_data,
        )
        message = encode(advert, instance.checksum_form)
        signature = ah.pack(instance.source) if instance.auth_type == AUTH_AH else b""
        header = b""
        if len(instance.source) == 4:
            protocol = PROTO_AH if signature else PROTO_VRRP
            ttl = instance.unicast_ttl if instance.unicast_peers else TTL
            header = pack_ipv4(instance.source, destination, protocol, len(signature + message), ttl)
        self.destination = destination
        self.buffer = bytearray(header + signature + message)
        self.message = len(header + signature)
        self.header_checksum = _U16.unpack_from(header, _HEADER_CHECKSUM_OFFSET)[0] if header else 0
        self.message_checksum: int = _U16.unpack_from(message, CHECKSUM_OFFSET)[0]


class Transmitter:
    """Makes one instance's packets; ``sequence`` is the one its Receiver has, too."""

    def __init__(self, instance: Instance, sequence: ah.Sequence) -> None:
        self._instance = instance
        self._sequence = sequence
        self._ident = 0
        self._priority = 0
        self._packets = [_Packet(instance, destination) for destination in instance.destinations]

    def packets(self, priority: int) -> list[tuple[bytes, bytearray]]:
        """(packed destination, packet) of the next advert, one for the group or for each unicast peer.

        IPv4 packets are complete with their header, IPv6 ones start at the VRRP message. The buffers are used again
        by the next call.
        """
        instance = self._instance
        if priority != self._priority:
            self._priority = priority
            for packet in self._packets:
                patch_priority(packet.buffer, packet.message, packet.message_checksum, priority)
        if len(instance.source) == 4:
            # 0 would have the kernel choose one, which AH must know before it signs
            self._ident = self._ident % 0xFFFF + 1
            for packet in self._packets:
                _U16.pack_into(packet.buffer, _IDENT_OFFSET, self._ident)
                check = with_word(packet.header_checksum, self._ident)
                _U16.pack_into(packet.buffer, _HEADER_CHECKSUM_OFFSET, check)
        if instance.auth_type == AUTH_AH:
            number = self._sequence.next()
            unicast = bool(instance.unicast_peers)
            for packet in self._packets:
                ah.sign(packet.buffer, instance.auth_data, number, unicast=unicast)
        return [(packet.destination, packet.buffer) for packet in self._packets]
