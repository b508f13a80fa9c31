# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the supervisor and the VRRP process say to each other, as plain values that can be pickled.

All times named ``monotonic_ns`` are CLOCK_MONOTONIC, which all processes of a host share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, Union

from .actions import State
from .plan import Identity, Plan, TrackKind

#: An address of an interface: the interface's name, the packed address, the prefix length; b"" is the interface.
Address = tuple[str, bytes, int]


class ChannelClosed(Exception):
    """The other end is gone."""


# ---- from the supervisor


@dataclass(frozen=True)
class Resume:
    """An instance that was master in the process before, which was last known to be alive at ``alive_ns``.

    ``advert_ns`` is when it sent its last advert, None when nobody has recorded that. It goes on as master as long as
    its backups must still be waiting for the next one; else it starts like any other.
    """

    identity: Identity
    alive_ns: int
    advert_ns: int | None = None


@dataclass(frozen=True)
class Configure:
    """Do this from now on; of what is done already only the differences are touched.

    ``leftovers`` are addresses that a process before may have left and the plan does not have: (interface, packed
    address, prefix length). ``borrowed`` is what Borrowed said last, ``heard`` all that SequencesHeard said. ``former``
    are addresses that a process before may have added, whether the plan has them or not.
    """

    plan: Plan
    resume: tuple[Resume, ...] = ()
    leftovers: tuple[Address, ...] = ()
    borrowed: tuple[tuple[str, str], ...] = ()
    heard: tuple[SequencesHeard, ...] = ()
    former: tuple[Address, ...] = ()


@dataclass(frozen=True)
class SequencesHeard:
    """The highest sequence numbers (:mod:`.ah`) that an instance has accepted: (packed source, number)."""

    identity: Identity
    numbers: tuple[tuple[bytes, int], ...]


@dataclass(frozen=True)
class TrackResult:
    """How a tracked script, process or file is. ``value`` is a file's number, and means nothing for the others."""

    kind: TrackKind
    name: str
    up: bool | None
    value: int = 0


@dataclass(frozen=True)
class HandOver:
    """Give mastership of this instance, of a sync group's, or with None of all, to another director, and stay."""

    name: str | None = None


@dataclass(frozen=True)
class Release:
    """Forget a hand-over: preempt again if the configuration says so."""

    name: str | None = None


@dataclass(frozen=True)
class Leave:
    """Exit, say nothing, and leave every address where it is: another process goes on."""


@dataclass(frozen=True)
class Stop:
    """Hand over what we are master of, then exit; ``at_once``: without waiting for a successor."""

    at_once: bool = False


@dataclass(frozen=True)
class StatusRequest:
    """Tell everything, with this number in the answer."""

    number: int


ToVrrp = Union[Configure, TrackResult, HandOver, Release, Leave, Stop, StatusRequest]


# ---- from the VRRP process


@dataclass(frozen=True)
class Ready:
    """All is imported and locked; waiting for Configure."""


@dataclass(frozen=True)
class Configured:
    """A Configure is carried out; names of instances. ``problems`` are what could not be done, in words.

    ``own`` are addresses of the host's own that the plan has for VIPs: no process of ours has added them.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    resumed: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    own: tuple[Address, ...] = ()


@dataclass(frozen=True)
class Borrowed:
    """Settings that are changed as long as they are needed: (path below /proc/sys, value before); all of them."""

    settings: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Transitioned:
    """An instance, or with ``group`` a sync group, is in another state; notify words are carried out for it.

    State.INIT is a stop. ``identity`` is None for a group. ``removed``: a new configuration no longer has it.
    ``again``: the process before was in this state too, and that was told; the supervisor finds that out.
    """

    name: str
    state: State
    former: State
    cause: str
    priority: int
    monotonic_ns: int
    real_ns: int
    group: bool = False
    identity: Identity | None = None
    removed: bool = False
    again: bool = False


@dataclass(frozen=True)
class TakesVips:
    """An instance is about to install its addresses as master: what clients find there is to be ready.

    Transitioned follows when they are installed and announced.
    """

    name: str
    identity: Identity


@dataclass(frozen=True)
class PriorityChanged:
    """Tracking changed an instance's effective priority or what it has for faults (in words)."""

    name: str
    priority: int
    former: int
    state: State
    faults: tuple[str, ...]
    monotonic_ns: int


@dataclass(frozen=True)
class LowerPriorityAdvert:
    """A master heard an advert of lower priority: notify_master_rx_lower_pri."""

    name: str
    source: str
    monotonic_ns: int


@dataclass(frozen=True)
class AlarmRaised:
    """Something is wrong since now; ``kind`` is a value of actions.AlarmKind, ``source`` an address or ""."""

    name: str
    kind: str
    source: str
    detail: str
    monotonic_ns: int


@dataclass(frozen=True)
class AlarmGone:
    """It was not seen again for a while."""

    name: str
    kind: str
    source: str
    monotonic_ns: int


@dataclass(frozen=True)
class Remark:
    """A line for the log and the events: what was repaired, refused by the kernel, or could not be read.

    ``level`` is one of logging's numbers; ``name`` an instance's, or "".
    """

    level: int
    name: str
    text: str
    monotonic_ns: int


@dataclass(frozen=True)
class LoopStall:
    """The loop came this much too late to a timer, in nanoseconds."""

    late_ns: int
    monotonic_ns: int


@dataclass(frozen=True)
class Heartbeat:
    """Four times a second: the loop turns. ``dropped`` messages were not sent since the start, for want of room."""

    monotonic_ns: int
    dropped: int


@dataclass(frozen=True)
class InstanceStatus:
    """One instance as it is now; addresses as text, times in nanoseconds."""

    name: str
    identity: Identity
    state: State
    priority: int
    base_priority: int
    version: int
    advert_int: int
    source: str
    master: str
    master_priority: int
    held: bool
    since_ns: int
    cause: str
    faults: tuple[str, ...]
    vips: tuple[str, ...]
    missing: tuple[str, ...]
    alarms: tuple[tuple[str, str], ...]
    counters: dict[str, int]


@dataclass(frozen=True)
class Status:
    """The answer to StatusRequest. ``groups`` are (name, state, members)."""

    number: int
    instances: tuple[InstanceStatus, ...]
    groups: tuple[tuple[str, State, tuple[str, ...]], ...]
    counters: dict[str, int] = field(default_factory=dict)


FromVrrp = Union[
    Ready,
    Configured,
    Borrowed,
    Transitioned,
    TakesVips,
    PriorityChanged,
    LowerPriorityAdvert,
    AlarmRaised,
    AlarmGone,
    Remark,
    LoopStall,
    Heartbeat,
    SequencesHeard,
    Status,
]


class VrrpChannel(Protocol):
    """The VRRP process's end of the channel; nothing waits."""

    dropped: int

    def fileno(self) -> int:
        """For the loop's selector; readable when ``receive`` has something."""

    def send(self, message: FromVrrp) -> None:
        """Queue a message and send what the other end takes now. The queue is bounded: drops are counted."""

    def flush(self) -> bool:
        """Send more of the queue; whether it is empty now. The loop calls it when the socket is writable."""

    def receive(self) -> Sequence[ToVrrp]:
        """What has arrived, in order, often nothing. Raises ChannelClosed."""
