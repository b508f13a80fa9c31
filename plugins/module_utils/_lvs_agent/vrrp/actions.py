# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a state machine asks its surroundings to do. Each action is done before the next one of the same list."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Union


class State(Enum):
    """keepalived's states, and HANDOVER: a master no longer, it serves until others know its successor."""

    INIT = "INIT"
    BACKUP = "BACKUP"
    MASTER = "MASTER"
    HANDOVER = "HANDOVER"
    FAULT = "FAULT"


class AlarmKind(Enum):
    """What an operator must hear of, although the protocol goes on; the values name it in events and metrics."""

    TWO_MASTERS = "two_masters"
    STRANGER = "stranger_on_vrid"
    SAME_SOURCE = "same_source_address"
    OWNER_CONFLICT = "two_owners"
    VIP_LIST_DIFFERS = "vip_list_differs"
    INTERVAL_DIFFERS = "advert_int_differs"
    AUTHENTICATION = "authentication_failed"
    VIP_HELD_ELSEWHERE = "vip_held_elsewhere"
    LOOP_STALLED = "loop_stalled"
    HANDOVER_FAILED = "handover_failed"
    OTHER_DAEMON = "another_vrrp_daemon"


@dataclass(frozen=True)
class SendAdvert:
    """Send one advert with this priority, to the group or to each peer."""

    priority: int


@dataclass(frozen=True)
class AddVips:
    """Make the host hold what the instance lists now: addresses, excluded ones, routes, rules; idempotent."""


@dataclass(frozen=True)
class RemoveVips:
    """Make the host hold nothing of what the instance lists; idempotent."""


@dataclass(frozen=True)
class Announce:
    """Gratuitous ARP or unsolicited neighbour adverts for all VIPs, ``repeat`` times."""

    repeat: int


@dataclass(frozen=True)
class ProbeVips:
    """Ask by ARP or neighbour solicitation whether somebody has the VIPs; answers go to ``Machine.vip_answered``."""


@dataclass(frozen=True)
class ReadFirst:
    """The timer came before the socket was found empty: read it, then call ``Machine.timer`` again."""


@dataclass(frozen=True)
class LowerPriorityHeard:
    """A master heard an advert of lower priority: keepalived's ``notify_master_rx_lower_pri``."""

    source: bytes


@dataclass(frozen=True)
class Transition:
    """The instance is in another state, or notifies that it (still) is; INIT is a stop. ``cause`` is for people."""

    state: State
    cause: str


@dataclass(frozen=True)
class Alarm:
    """Something is wrong since now; told once. ``source`` is a packed address, or b""."""

    kind: AlarmKind
    source: bytes
    detail: str


@dataclass(frozen=True)
class AlarmCleared:
    """It was not seen again for a while."""

    kind: AlarmKind
    source: bytes


Action = Union[
    SendAdvert,
    AddVips,
    RemoveVips,
    Announce,
    ProbeVips,
    ReadFirst,
    LowerPriorityHeard,
    Transition,
    Alarm,
    AlarmCleared,
]
