# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One instance at run time: its machine, its packets, what it holds in the kernel, and what it has counted here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ..conf.advert_room import room
from . import ah, buildable
from .actions import State
from .alarms import NEVER
from .debounce import Running
from .followed import followed
from .holdings import Held
from .instance import Instance
from .ip import text
from .machine import Machine
from .messages import InstanceStatus, TrackResult
from .packet import AUTH_AH
from .plan import InstancePlan, Track, TrackKind
from .priority import Tracked, TrackedFile
from .receive import Receiver
from .repairs import Repairs
from .transmit import Transmitter
from .transport import Port

Results = Mapping[tuple[TrackKind, str], TrackResult]


@dataclass
class Edge:
    """What an instance has counted where it touches the kernel; the numbers only grow."""

    send_errors: int = 0
    vips_restored: int = 0
    vips_not_restored: int = 0
    kernel_errors: int = 0


class Runner:
    """Read its attributes; the loop changes them.

    ``source`` is the packed address of its adverts, b"" while there is none. ``followed`` is what it needs to be up.
    ``held`` is what it holds, None when nothing. ``last_state`` is the one that was told last. ``scheduled`` is its
    earliest entry in the loop's heap. ``extra_at`` is when ``garp_extra_if`` is due. ``gone``: no longer configured.
    ``failing`` is what was told last of what does not work, by what is being done. ``fault`` is why it cannot be built,
    "" when it can; ``broken`` is why carrying out its plan failed, until a reload does it. ``mtu`` is that of the
    interface of its adverts.
    """

    def __init__(self, plan: InstancePlan, sequence: ah.Sequence, now: int) -> None:
        self.plan = plan
        self.followed = followed(plan)
        self.machine = Machine(replace(plan.instance, source=plan.instance.source or _nobody(plan)))
        self.group_tracks: tuple[Track, ...] = ()
        self.port: Port | None = None
        self.source = b""
        self.mtu = 0
        self.fault = ""
        self.broken = ""
        self.held: Held | None = None
        self.scheduled = NEVER
        self.gone = False
        self.failing: dict[str, str] = {}
        self.edge = Edge()
        self.repairs = Repairs()
        self.repair_at = NEVER
        self.extra_at = NEVER
        self.since_ns = now
        self.cause = ""
        self.last_state = State.INIT
        self.sequence = sequence
        self.transmitter: Transmitter | None = None
        self.receiver: Receiver | None = None

    @property
    def name(self) -> str:
        """The instance's name."""
        return self.plan.instance.name

    @property
    def signed(self) -> bool:
        """Whether its adverts have an authentication header."""
        return self.plan.instance.auth_type == AUTH_AH

    @property
    def serving(self) -> bool:
        """Whether it is to hold its addresses."""
        return self.machine.state in (State.MASTER, State.HANDOVER)

    def renew(self, plan: InstancePlan, source: bytes, mtu: int) -> None:
        """Other parameters, source or MTU: build the packets again; the machine is to be informed afterwards.

        An instance that cannot be built has a fault.
        """
        if plan is not self.plan:
            self.followed = followed(plan)
        self.plan, self.source, self.mtu = plan, source, mtu
        self.fault = buildable.fault(plan)
        if not source:
            self.transmitter = self.receiver = None
        if not source or self.fault:
            # a master resigns with its last adverts
            return
        try:
            transmitter, receiver = Transmitter(self.instance, self.sequence), Receiver(self.instance, self.sequence)
            self.transmitter, self.receiver = transmitter, receiver
        except buildable.ERRORS as error:
            self.fault = f"its adverts cannot be built: {error}"

    @property
    def instance(self) -> Instance:
        """The plan's, with its source, and with as many VIPs as an advert has room for: the first, as in keepalived."""
        instance = self.plan.instance
        most = room(self.mtu, self.plan.family, instance.version, signed=self.signed)
        source = self.source or self.machine.instance.source
        return replace(instance, source=source, addresses=instance.addresses[:most])

    def tracked(self, results: Results, running: Running) -> Iterable[Tracked | TrackedFile]:
        """Everything that it and its group track, and how it is; ``running`` is asked for interfaces."""
        for track in (*self.plan.tracks, *self.group_tracks):
            shown = f"{track.kind.value} {track.name}"
            if track.kind is TrackKind.INTERFACE:
                yield Tracked(shown, running(track.name), track.weight, track.reverse)
                continue
            result = results.get((track.kind, track.name))
            if track.kind is TrackKind.FILE:
                # one that was not read yet says nothing: its number, or that it is missing, is told before we begin
                if result is not None:
                    yield TrackedFile(shown, result.value, track.weight, track.reverse)
            else:
                yield Tracked(shown, result.up if result else None, track.weight, track.reverse)

    def status(self, missing: Iterable[str]) -> InstanceStatus:
        """As the supervisor shows it."""
        machine, counters = self.machine, self.machine.counters
        numbers = {name: value for name, value in vars(counters).items() if name != "errors"}
        numbers.update({reason.value: value for reason, value in counters.errors.items()})
        numbers.update(vars(self.edge))
        return InstanceStatus(
            self.name,
            self.plan.identity,
            machine.state,
            machine.priority,
            machine.instance.priority,
            machine.instance.version,
            machine.instance.advert_int,
            text(self.source) if self.source else "",
            text(machine.master_source) if machine.master_source else "",
            machine.master_priority,
            machine.held,
            self.since_ns,
            self.cause,
            tuple(sorted(machine.faults)) or tuple(filter(None, (machine.group_fault,))),
            tuple(f"{text(vip.address)}/{vip.prefixlen}" for vip in (*self.plan.vips, *self.plan.excluded)),
            tuple(missing),
            tuple((kind.value, text(source) if source else "") for kind, source in machine.alarms.active()),
            numbers,
        )


def _nobody(plan: InstancePlan) -> bytes:
    """The source of an instance that does not know its own yet; it is in FAULT, so nobody sees it."""
    return bytes(4 if plan.family == 4 else 16)
