# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VRRP's one message, the advert, as bytes: versions 2 and 3, IPv4 and IPv6.

Sources: RFC 3768 section 5.3 (version 2), RFC 9568 section 5.2 (version 3), and what keepalived 2.2.7 sends: version 2
on IPv4 always ends in 8 bytes of authentication data, on IPv6 (which is keepalived's own idea) it has none.
"""

from __future__ import annotations

import struct
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from .checksum import checksum, pseudo_header, with_word
from .errors import PacketError, Reason
from .ip import PROTO_VRRP, text

ADVERTISEMENT = 1
AUTH_NONE, AUTH_PASS, AUTH_AH = 0, 1, 2
AUTH_BYTES = 8
MAX_ADDRESSES = 255
#: VRRP's multicast group in IPv4 (RFC 9568 section 5.1), packed.
GROUP4 = bytes((224, 0, 0, 18))
MAX_INTERVAL_CS = 0x0FFF

_HEADER = struct.Struct("!BBBBHH")
CHECKSUM_OFFSET = 6
PRIORITY_OFFSET = 2
_CHECKSUM = struct.Struct("!H")
_AUTH_TYPES = (AUTH_NONE, AUTH_PASS, AUTH_AH)


class ChecksumForm(Enum):
    """What version 3's checksum covers on IPv4. On receipt the first two are accepted, on IPv6 there is only the first.

    The third one is ``old_unicast_checksum``: the pseudo-header has VRRP's group even if the advert is for a peer.
    """

    PSEUDO_HEADER = "pseudo-header"  # keepalived, FRR
    MESSAGE = "message"  # RFC 9568 section 5.2.8
    OLD_UNICAST = "pseudo-header of the group"  # keepalived before 1.3.6


class Advert(NamedTuple):
    """One advert and where it came from; addresses are packed, 4 or 16 bytes.

    ``interval_cs`` is in hundredths of a second in both versions; ``auth_type`` and ``auth_data`` are version 2's.
    """

    version: int
    vrid: int
    priority: int
    interval_cs: int
    addresses: tuple[bytes, ...]
    source: bytes
    destination: bytes
    ttl: int = 255
    auth_type: int = AUTH_NONE
    auth_data: bytes = bytes(AUTH_BYTES)


def message_bytes(version: int, address_bytes: int, count: int) -> int:
    """The length of a message with ``count`` addresses of 4 or 16 bytes."""
    trailer = AUTH_BYTES if version == 2 and address_bytes == 4 else 0
    return _HEADER.size + count * address_bytes + trailer


def encode(advert: Advert, form: ChecksumForm = ChecksumForm.PSEUDO_HEADER) -> bytes:
    """The message, to be sent behind an IP header from ``source`` to ``destination``.

    Raises ValueError for what the format cannot say: the configuration's checker finds these first.
    """
    if len(advert.addresses) > MAX_ADDRESSES:
        raise ValueError(f"{len(advert.addresses)} addresses, an advert holds {MAX_ADDRESSES}")
    trailer = b""
    if advert.version == 2:
        seconds, rest = divmod(advert.interval_cs, 100)
        if rest or not 1 <= seconds <= 255:
            raise ValueError(f"{advert.interval_cs} hundredths of a second: VRRPv2 has 1 to 255 whole seconds")
        timing = advert.auth_type << 8 | seconds
        if len(advert.source) == 4:
            trailer = advert.auth_data
    else:
        if not 1 <= advert.interval_cs <= MAX_INTERVAL_CS:
            raise ValueError(f"{advert.interval_cs} hundredths of a second: VRRPv3 has 1 to {MAX_INTERVAL_CS}")
        timing = advert.interval_cs
    kind = advert.version << 4 | ADVERTISEMENT
    count = len(advert.addresses)
    header = _HEADER.pack(kind, advert.vrid, advert.priority, count, timing, 0)
    body = b"".join(advert.addresses) + trailer
    covered = header + body
    if len(advert.source) == 16 or (advert.version == 3 and form is not ChecksumForm.MESSAGE):
        old = len(advert.source) == 4 and form is ChecksumForm.OLD_UNICAST
        destination = GROUP4 if old else advert.destination
        covered = pseudo_header(advert.source, destination, PROTO_VRRP, len(covered)) + covered
    return header[:CHECKSUM_OFFSET] + _CHECKSUM.pack(checksum(covered)) + body


def patch_priority(message: bytearray, offset: int, unpatched: int, priority: int) -> None:
    """Write another priority, and the checksum that follows, into a message that starts at ``offset``.

    ``unpatched`` is the message's checksum with priority 0.
    """
    message[offset + PRIORITY_OFFSET] = priority
    _CHECKSUM.pack_into(message, offset + CHECKSUM_OFFSET, with_word(unpatched, priority << 8))


def decode(message: bytes, source: bytes, destination: bytes, ttl: int, *, old: bool = False) -> Advert:
    """The advert in what follows the IP (or authentication) header; bytes behind it are ignored. Raises PacketError.

    ``old``: its checksum may be ChecksumForm.OLD_UNICAST, too. Checked is what every receiver must, whatever its
    configuration: version, type, length, checksum, and that VRID and version 3's interval are not 0. The rest is for
    who knows the instance (``receive``).
    """
    if len(message) < _HEADER.size:
        raise PacketError(Reason.PACKET_LENGTH, f"{len(message)} bytes are no VRRP header", source)
    kind, vrid, priority, count, timing, check = _HEADER.unpack_from(message)
    version = kind >> 4
    if version not in (2, 3):
        raise PacketError(Reason.VERSION, f"VRRP version {version}", source)
    if kind & 0x0F != ADVERTISEMENT:
        raise PacketError(Reason.TYPE, f"VRRP type {kind & 0x0F}, the only one is {ADVERTISEMENT}", source)
    size = len(source)
    length = message_bytes(version, size, count)
    if len(message) < length:
        raise PacketError(
            Reason.PACKET_LENGTH, f"{len(message)} bytes, {count} addresses need {length}", source
        )
    destinations = (destination, GROUP4) if old else (destination,)
    if not _adds_up(message[:length], version, source, destinations):
        raise PacketError(Reason.CHECKSUM, f"checksum 0x{check:04x} of an advert from {text(source)} is wrong", source)
    if not vrid:
        raise PacketError(Reason.VRID, "VRID 0", source)
    end = _HEADER.size + count * size
    addresses: tuple[bytes, ...] = _list(size, count).unpack_from(message, _HEADER.size)
    if version == 3:
        interval = timing & MAX_INTERVAL_CS
        if not interval:
            raise PacketError(Reason.ADVERT_INTERVAL, "an advertisement interval of 0", source)
        return Advert(version, vrid, priority, interval, addresses, source, destination, ttl)
    if timing >> 8 not in _AUTH_TYPES:
        raise PacketError(Reason.AUTH_TYPE, f"authentication type {timing >> 8}", source)
    auth_data = message[end:length] or bytes(AUTH_BYTES)
    interval = (timing & 0xFF) * 100
    return Advert(
        version, vrid, priority, interval, addresses, source, destination, ttl, timing >> 8, auth_data
    )


@lru_cache(maxsize=512)
def _list(size: int, count: int) -> struct.Struct:
    """So many addresses of so many bytes: a tenth of the time of cutting them out one by one."""
    return struct.Struct(f"{size}s" * count)


def _adds_up(message: bytes, version: int, source: bytes, destinations: tuple[bytes, ...]) -> bool:
    """Whether the checksum is right in one of the forms its version and family may have."""
    forms = [b""]
    if len(source) == 16:
        forms = [pseudo_header(source, destinations[0], PROTO_VRRP, len(message))]
    elif version == 3:
        forms += [pseudo_header(source, destination, PROTO_VRRP, len(message)) for destination in destinations]
    return any(checksum(form + message) == 0 for form in forms)
