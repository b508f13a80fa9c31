# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a VRRP process is to do: a configuration with every default filled in, as plain values that can be pickled.

Made by :mod:`.from_conf` where the configuration is read; the VRRP process gets it ready to use. Addresses are packed,
times are nanoseconds, names of interfaces are text: whether they exist is found out in the process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from .instance import Instance

#: Linux's number of the main routing table (linux/rtnetlink.h).
TABLE_MAIN = 254


class Identity(NamedTuple):
    """What makes an instance the same one across reloads and restarts, as in keepalived: not its name.

    ``family`` is 4 or 6; ``source`` is ``unicast_src_ip`` as text, "" in multicast.
    """

    vrid: int
    family: int
    interface: str
    source: str


class TrackKind(Enum):
    """What can be tracked; the values are for people."""

    SCRIPT = "script"
    PROCESS = "process"
    FILE = "file"
    INTERFACE = "interface"


@dataclass(frozen=True)
class Track:
    """One line of a ``track_*`` block, with the weight of what it names when it has none of its own.

    See :mod:`.priority` for what weights mean; 0 makes a failure a fault.
    """

    kind: TrackKind
    name: str
    weight: int = 0
    reverse: bool = False


@dataclass(frozen=True)
class Holding:
    """An address of ``virtual_ipaddress`` or ``virtual_ipaddress_excluded``.

    ``scope`` is the kernel's number (rtnetlink(7)). ``broadcast`` and ``peer`` are packed, b"" without one;
    ``preferred_lft`` is seconds, None for ever. ``tracked``: put back when somebody else removes it (``no_track`` not
    given). ``on_vmac``: on the instance's virtual MAC interface instead of ``interface``. ``own_vmac``: on one of this
    name, which is made for it on ``interface`` (``use_vmac_addr``).
    """

    interface: str
    address: bytes
    prefixlen: int
    label: str = ""
    scope: int = 0
    broadcast: bytes = b""
    peer: bytes = b""
    noprefixroute: bool = False
    home: bool = False
    mngtmpaddr: bool = False
    autojoin: bool = False
    preferred_lft: int | None = None
    tracked: bool = True
    on_vmac: bool = False
    own_vmac: str = ""


@dataclass(frozen=True)
class Hop:
    """One way of a route: a gateway, an interface, or both; ``weight`` counts from 1."""

    gateway: bytes = b""
    interface: str = ""
    weight: int = 1
    onlink: bool = False


class Prefer(Enum):
    """Which of several routes to one place counts: this one, another one, or this one where there is no other."""

    FIRST = "prepend"
    LAST = "append"
    OTHERS = "add"


@dataclass(frozen=True)
class RouteHolding:
    """A line of ``virtual_routes``; ``kind`` is the kernel's route type, ``destination`` b"" means default.

    ``metrics`` are (RTAX number, value) pairs of linux/rtnetlink.h, ``lock`` the bits of those that are locked;
    ``attributes`` are (RTA number, packed value) pairs.
    """

    family: int
    destination: bytes
    prefixlen: int
    kind: int = 1
    hops: tuple[Hop, ...] = ()
    table: int = TABLE_MAIN
    protocol: int = 18
    scope: int | None = None
    source: bytes = b""
    metric: int = 0
    tos: int = 0
    metrics: tuple[tuple[int, int | bytes], ...] = ()
    lock: int = 0
    attributes: tuple[tuple[int, bytes], ...] = ()
    prefer: Prefer = Prefer.FIRST
    tracked: bool = True


@dataclass(frozen=True)
class RuleHolding:
    """A line of ``virtual_rules``; ``action`` is the kernel's FR_ACT number, ``table`` 0 without one.

    ``attributes`` are (FRA number, packed value) pairs of linux/fib_rules.h.
    """

    family: int
    priority: int | None = None
    action: int = 1
    table: int = 0
    source: bytes = b""
    source_prefixlen: int = 0
    destination: bytes = b""
    destination_prefixlen: int = 0
    tos: int = 0
    invert: bool = False
    protocol: int = 18
    attributes: tuple[tuple[int, bytes], ...] = ()
    tracked: bool = True


@dataclass(frozen=True)
class Vmac:
    """``use_vmac`` and ``use_vmac_addr``: a macvlan to make on ``base``; ``mac`` is six bytes."""

    name: str
    mac: bytes
    xmit_base: bool = False
    base: str = ""


@dataclass(frozen=True)
class StaticPlan:
    """``static_ipaddress``, ``static_routes`` and ``static_rules``: what this host keeps, whoever is master.

    ``watchers`` are (what has a ``track_group``, the names of the instances that are at fault while it is not there).
    """

    addresses: tuple[Holding, ...] = ()
    routes: tuple[RouteHolding, ...] = ()
    rules: tuple[RuleHolding, ...] = ()
    watchers: tuple[tuple[Holding | RouteHolding | RuleHolding, tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class GarpGroup:
    """One ``garp_group``: interfaces that share nanoseconds between two announcements; None is the global one."""

    interfaces: tuple[str, ...]
    garp_interval: int | None = None
    gna_interval: int | None = None


class LinkDelay(NamedTuple):
    """One of ``interface_up_down_delays``: nanoseconds until a change of the link counts."""

    interface: str
    down: int
    up: int


@dataclass(frozen=True)
class NotifyWords:
    """What to run and to write when an instance or a group changes; command lines as the file has them, "" for none.

    A command line may have a user and a group behind it, quoted as in the file.
    """

    notify: str = ""
    notify_master: str = ""
    notify_backup: str = ""
    notify_fault: str = ""
    notify_stop: str = ""
    notify_deleted: str = ""
    notify_master_rx_lower_pri: str = ""
    deleted_state: bool = False
    smtp_alert: bool = False
    notify_priority_changes: bool = False


@dataclass(frozen=True)
class InstancePlan:
    """One ``vrrp_instance``.

    ``instance.source`` is b"" when the address of the adverts is the interface's own: the process looks it up
    (IPv6: the link-local one). ``instance.priority`` is what tracking starts from. ``track_primary``: its own
    interface's link counts. ``garp_extra_if`` is nanoseconds between announcements of what is on other interfaces than
    ``interface``, 0 for none: of what is on virtual MACs, or with ``garp_extra_all`` of everything. ``more_vmacs`` are
    those of single addresses.
    """

    instance: Instance
    family: int
    interface: str
    vips: tuple[Holding, ...] = ()
    excluded: tuple[Holding, ...] = ()
    routes: tuple[RouteHolding, ...] = ()
    rules: tuple[RuleHolding, ...] = ()
    tracks: tuple[Track, ...] = ()
    track_primary: bool = True
    promote_secondaries: bool = False
    garp_extra_if: int = 0
    garp_extra_all: bool = False
    no_peer_fault: bool = False
    vmac: Vmac | None = None
    more_vmacs: tuple[Vmac, ...] = ()
    notify: NotifyWords = field(default_factory=NotifyWords)

    @property
    def name(self) -> str:
        """The instance's name."""
        return self.instance.name

    @property
    def unicast(self) -> bool:
        """Whether adverts go to peers."""
        return bool(self.instance.unicast_peers)

    @property
    def vmacs(self) -> tuple[Vmac, ...]:
        """All its virtual MAC interfaces."""
        return (*((self.vmac,) if self.vmac is not None else ()), *self.more_vmacs)

    @property
    def wire(self) -> str:
        """The interface of its adverts; those of a virtual MAC go out of its own interface, but not in unicast."""
        if self.vmac is None or self.vmac.xmit_base or self.unicast:
            return self.interface
        return self.vmac.name

    @property
    def identity(self) -> Identity:
        """What it is recognised by when the configuration changes."""
        from .ip import text

        source = text(self.instance.source) if self.unicast and self.instance.source else ""
        return Identity(self.instance.vrid, self.family, self.interface, source)


@dataclass(frozen=True)
class GroupPlan:
    """One ``vrrp_sync_group``; ``members`` are names of instances. Its tracks count for each member."""

    name: str
    members: tuple[str, ...]
    tracks: tuple[Track, ...] = ()
    notify: NotifyWords = field(default_factory=NotifyWords)


@dataclass(frozen=True)
class Plan:
    """Everything a VRRP process does, and how it runs.

    ``garp_interval`` and ``gna_interval`` are nanoseconds between two gratuitous ARPs, or neighbour adverts, on one
    interface that is in none of the ``garp_groups``. ``rlimit_rttime_us`` is 0 for no limit, ``cpus`` empty for any.
    ``after_boot`` is nanoseconds since the host's boot (CLOCK_BOOTTIME) before which no instance becomes master.
    """

    instances: tuple[InstancePlan, ...] = ()
    groups: tuple[GroupPlan, ...] = ()
    garp_interval: int = 0
    gna_interval: int = 0
    rt_priority: int = 50
    rlimit_rttime_us: int = 0
    cpus: tuple[int, ...] = ()
    log_unknown_vrids: bool = False
    static: StaticPlan = field(default_factory=StaticPlan)
    garp_groups: tuple[GarpGroup, ...] = ()
    link_delays: tuple[LinkDelay, ...] = ()
    after_boot: int = 0
    disable_local_igmp: bool = False
