# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Internet checksum as VRRP uses it: with a pseudo-header or without, and patched when one word changes."""

from __future__ import annotations

import struct

from ..kernel.echo import checksum

_PSEUDO_IPV4 = struct.Struct("!4s4sBBH")
_PSEUDO_IPV6 = struct.Struct("!16s16sII")


def pseudo_header(source: bytes, destination: bytes, protocol: int, length: int) -> bytes:
    """What stands before ``length`` bytes of an upper layer in its checksum (RFC 9293 section 3.1, RFC 8200 8.1)."""
    if len(source) == 4:
        return _PSEUDO_IPV4.pack(source, destination, 0, protocol, length)
    return _PSEUDO_IPV6.pack(source, destination, length, protocol)


def with_word(check: int, word: int) -> int:
    """The checksum ``check`` after one of the 16-bit words under it, 0 until then, became ``word`` (RFC 1624)."""
    return check - word if check >= word else check - word + 0xFFFF


__all__ = ["checksum", "pseudo_header", "with_word"]
