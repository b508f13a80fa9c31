# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many addresses an advert has room for; pure, and without imports: the VRRP process asks, too."""

from __future__ import annotations

#: The count of addresses is a byte (RFC 9568 section 5.2.5).
MOST = 255
#: The MTU of an interface that is not known.
ETHERNET_MTU = 1500

_ETHERNET_HEADER, _IP_HEADERS, _VRRP_HEADER = 14, {4: 20, 6: 40}, 8
_V2_AUTHENTICATION, _AH = 8, 24  # both of IPv4 only
_ADDRESS_BYTES = {4: 4, 6: 16}


def room(mtu: int, family: int, version: int, *, signed: bool = False) -> int:
    """The most addresses in an advert on an interface with this MTU.

    As keepalived counts (vrrp_complete_instance): with the Ethernet header, which is no part of the MTU. Its backups
    drop what is larger, and a list that differs from their own.
    """
    header = _ETHERNET_HEADER + _IP_HEADERS[family] + _VRRP_HEADER
    if version == 2 and family == 4:
        header += _V2_AUTHENTICATION + (_AH if signed else 0)
    return max(0, min(MOST, ((mtu or ETHERNET_MTU) - header) // _ADDRESS_BYTES[family]))
