# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an instance has counted since it was started; the names are keepalived's where it has one."""

from __future__ import annotations

from dataclasses import dataclass, field

from .errors import Reason


@dataclass
class Counters:
    """Plain numbers that only grow; ``errors`` has each reason that occurred."""

    advert_sent: int = 0
    advert_rcvd: int = 0
    advert_missed: int = 0
    pri_zero_sent: int = 0
    pri_zero_rcvd: int = 0
    lower_prio_rcvd: int = 0
    become_master: int = 0
    release_master: int = 0
    addr_list_err: int = 0
    loop_stalls: int = 0
    errors: dict[Reason, int] = field(default_factory=dict)
