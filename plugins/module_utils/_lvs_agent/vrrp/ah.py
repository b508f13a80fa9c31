# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The authentication header of VRRPv2 on IPv4, HMAC-MD5-96, as keepalived computes it (RFC 2402, RFC 2403).

Two things differ from the RFCs, and all routers must do the same: the SPI is the sender's address, and the TTL counts
as immutable in multicast, where it is 255 at the receiver too.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable
from typing import Any

from .errors import PacketError, Reason
from .ip import HEADER_BYTES, PROTO_VRRP, Datagram

try:
    # Python's own: hashlib and hmac load OpenSSL, 5 MB in a process whose memory is locked
    from _md5 import md5
except ImportError:
    from hashlib import md5

BYTES = 24
ICV_BYTES = 12
_ICV_OFFSET = 12
_BLOCK_BYTES = 64  # of MD5
# next header, length in 32-bit words minus 2, reserved, SPI, sequence number, integrity check value
_HEADER = struct.Struct("!BBH4sI12s")
_PAYLOAD_LENGTH = BYTES // 4 - 2
_SEQUENCE = struct.Struct("!I")
_SEQUENCE_OFFSET = 8
_LAST_SEQUENCE = 0xFFFFFFFF
_EPOCH = 1577836800  # 2020-01-01
_NUMBERS_PER_SECOND = 4
# all of them know the password
_MOST_SOURCES = 256


def first_sequence(unix_seconds: int) -> int:
    """A number above all that this host has used so far, from the wall clock: 4 for each second since 2020.

    VRRPv2 sends one advert in a second and a few more at changes; 32 bits last until 2054.
    """
    return max(0, unix_seconds - _EPOCH) * _NUMBERS_PER_SECOND % _LAST_SEQUENCE


class Sequence:
    """The counter against replay. As in keepalived it is one for both directions.

    A backup follows the master's numbers, so that its own first advert as master is accepted by the others. A router
    that comes back with lower numbers than before is not heard, takes part in no election, and has the others take
    over from it; keepalived starts at 0. So start with ``first_sequence``.

    What is accepted is looked up by source, unlike in keepalived: of two masters that count in step and send within
    the network's delay of each other, each would drop every advert of the other, and neither would ever yield.

    ``heard`` is what the method of that name gave in the process before: without it the adverts of yesterday would be
    good again after a restart. A router that was started meanwhile and counts from 0 is heard as soon as it has heard
    us, whose numbers it follows.
    """

    def __init__(self, last: int = 0, heard: Iterable[tuple[bytes, int]] = ()) -> None:
        self._heard = dict(heard)
        self.last = max(last, *self._heard.values(), 0)
        self.news = False

    def next(self) -> int:
        """The number of the next packet to send; after 136 years of adverts it starts over."""
        self.last = 1 if self.last >= _LAST_SEQUENCE else self.last + 1
        return self.last

    def accept(self, sequence: int, source: bytes) -> None:
        """Take the number of an authentic packet. Raises PacketError for one that is not above its source's before."""
        before = self._heard.get(source, 0 if len(self._heard) < _MOST_SOURCES else self.last)
        if sequence <= before:
            raise PacketError(
                Reason.AUTH_REPLAY, f"AH sequence number {sequence} was here before, the last was {before}", source
            )
        self._heard[source] = sequence
        self.last = max(self.last, sequence)
        self.news = True

    def heard(self) -> tuple[tuple[bytes, int], ...]:
        """(source, highest number) of each, for the process after this one."""
        self.news = False
        return tuple(self._heard.items())


def pack(source: bytes) -> bytes:
    """The header in front of the VRRP message, before the sequence number and the check value are known."""
    return _HEADER.pack(PROTO_VRRP, _PAYLOAD_LENGTH, 0, source, 0, bytes(ICV_BYTES))


def sign(packet: bytearray, key: bytes, sequence: int, *, unicast: bool) -> None:
    """Number and sign a packet that is complete from its IPv4 header on."""
    _SEQUENCE.pack_into(packet, HEADER_BYTES + _SEQUENCE_OFFSET, sequence)
    value = HEADER_BYTES + _ICV_OFFSET
    packet[value : value + ICV_BYTES] = bytes(ICV_BYTES)
    packet[value : value + ICV_BYTES] = _icv(bytes(packet[:HEADER_BYTES]), bytes(packet[HEADER_BYTES:]), key, unicast)


def verify(datagram: Datagram, key: bytes, sequence: Sequence, *, unicast: bool) -> bytes:
    """The VRRP message behind the header of an authentic, new packet. Raises PacketError."""
    payload, source = datagram.payload, datagram.source
    if len(payload) < BYTES:
        raise PacketError(Reason.PACKET_LENGTH, f"{len(payload)} bytes are no authentication header", source)
    following, length, _reserved, spi, number, value = _HEADER.unpack_from(payload)
    if following != PROTO_VRRP or length != _PAYLOAD_LENGTH:
        raise PacketError(
            Reason.PACKET_LENGTH, f"an authentication header of length {length} before protocol {following}", source
        )
    unsigned = payload[:_ICV_OFFSET] + bytes(ICV_BYTES) + payload[BYTES:]
    if int.from_bytes(_icv(datagram.header, unsigned, key, unicast), "big") ^ int.from_bytes(value, "big"):
        raise PacketError(Reason.AUTH_FAILURE, "the AH check value is wrong: another password, or altered", source)
    if spi != source:
        raise PacketError(Reason.AUTH_FAILURE, "the AH SPI is not the source address", source)
    sequence.accept(number, source)
    return payload[BYTES:]


def _icv(header: bytes, payload: bytes, key: bytes, unicast: bool) -> bytes:
    """HMAC-MD5-96 over the packet with its mutable fields 0: TOS, fragment, header checksum, in unicast the TTL."""
    ttl = b"\0" if unicast else header[8:9]
    immutable = header[:1] + b"\0" + header[2:6] + b"\0\0" + ttl + header[9:10] + b"\0\0" + header[12:]
    return hmac_md5(key, immutable + payload)[:ICV_BYTES]


def hmac_md5(key: bytes, message: bytes) -> bytes:
    """RFC 2104's HMAC with MD5, 16 bytes; for keys of at most 64, an ``auth_pass`` has 8."""
    begun_inner, begun_outer = _begun(key)
    inner, outer = begun_inner.copy(), begun_outer.copy()
    inner.update(message)
    outer.update(inner.digest())
    digest: bytes = outer.digest()
    return digest


@functools.lru_cache(maxsize=256)
def _begun(key: bytes) -> tuple[Any, Any]:
    """MD5 after the inner and the outer padded key."""
    block = key.ljust(_BLOCK_BYTES, b"\0")
    return md5(bytes(one ^ 0x36 for one in block)), md5(bytes(one ^ 0x5C for one in block))
