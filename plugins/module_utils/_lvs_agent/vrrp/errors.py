# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a received packet one we cannot use: a closed list of reasons, and the one error that carries them."""

from __future__ import annotations

from enum import Enum


class Reason(Enum):
    """Why a packet was dropped; the values are the names of the counters, keepalived's own where it has one."""

    IP_HEADER = "ip_header_err"  # no IPv4 header, options, a fragment, or shorter than it says
    IP_PROTOCOL = "ip_protocol_err"  # VRRP where an authentication header is expected, or the reverse
    IP_TTL = "ip_ttl_err"
    SOURCE = "unicast_src_err"  # check_unicast_src, and it is no unicast_peer
    PACKET_LENGTH = "packet_len_err"
    VERSION = "vers_err"
    TYPE = "invalid_type_rcvd"
    VRID = "vrid_err"
    CHECKSUM = "chk_err"
    ADVERT_INTERVAL = "advert_interval_err"
    AUTH_TYPE = "invalid_authtype"
    AUTH_TYPE_MISMATCH = "authtype_mismatch"
    AUTH_FAILURE = "auth_failure"
    AUTH_REPLAY = "auth_replay"


class PacketError(ValueError):
    """A packet that must be dropped: ``reason`` for the counters, ``str()`` for the log.

    ``source`` is its packed source address, b"" when not even that could be read.
    """

    def __init__(self, reason: Reason, detail: str, source: bytes = b"") -> None:
        super().__init__(detail)
        self.reason = reason
        self.source = source
