# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What IPVS is to do: a configuration with every default filled in, as plain values that can be pickled.

Made by :mod:`.from_conf` where the configuration is read. Times are nanoseconds; what the kernel is given is in the
terms of kernel/ipvs_types.py already.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from ..health.plan import CheckId
from ..kernel.ipvs_types import Destination, Service, Timeouts
from .table import VirtualService


class RealServerPlan(NamedTuple):
    """One real server of a virtual server. There may be tens of thousands, hence a tuple.

    ``name`` is ADDRESS:PORT as ipvsadm shows it. ``destination`` has the configured weight. ``alpha`` are those of
    ``checks`` without whose first success a new server is down. ``slow_start_ns`` is 0 for none. ``notify_up`` and
    ``notify_down`` are command lines as the file has them, "" for none.
    """

    name: str
    destination: Destination
    checks: tuple[CheckId, ...] = ()
    alpha: tuple[CheckId, ...] = ()
    inhibit: bool = False
    slow_start_ns: int = 0
    notify_up: str = ""
    notify_down: str = ""
    smtp_alert: bool = True


class SorryPlan(NamedTuple):
    """The sorry server. ``inhibit``: it stays in the table with weight 0 while it is not needed.

    ``checks`` are there with ``sorry_server_check``: while one says that it is down, it does not serve.
    """

    name: str
    destination: Destination
    inhibit: bool = False
    checks: tuple[CheckId, ...] = ()


class Floor(NamedTuple):
    """``depool_floor``: a number of real servers, or a percentage of them."""

    number: int = 0
    percent: bool = False


_NO_FLOOR = Floor()


@dataclass(frozen=True)
class VirtualServerPlan:
    """One ``virtual_server`` block.

    ``services`` are what the kernel is given: one, or with a group one for each of its addresses and marks; all have
    the same real servers, quorum and checks. ``name`` is what people and :class:`..health.plan.CheckId` call it.
    ``holders`` are, with ``ha_suspend``, the VRRP instances that hold one of its addresses; without any it is never
    suspended. ``served_by`` are, with ``lvs_master_only``, for each of ``services`` the VRRP instances of which one
    must be master here for it to be in the kernel's table, () for a service that always is; () without the keyword.
    ``keep_others``: real servers that somebody else added stay.
    """

    name: str
    services: tuple[Service, ...]
    servers: tuple[RealServerPlan, ...]
    sorry: SorryPlan | None = None
    quorum: int = 1
    hysteresis: int = 0
    floor: Floor = _NO_FLOOR
    omega: bool = False
    holders: tuple[str, ...] = ()
    served_by: tuple[tuple[str, ...], ...] = ()
    quorum_up: str = ""
    quorum_down: str = ""
    smtp_alert: bool = False
    keep_others: bool = False


@dataclass(frozen=True)
class SyncDaemonPlan:
    """``lvs_sync_daemon``; 0 and "" leave the choice to the kernel.

    ``instance`` is the VRRP instance it follows; with "" a master and a backup daemon run all the time.
    """

    interface: str
    instance: str = ""
    sync_id: int = 0
    maxlen: int = 0
    port: int = 0
    ttl: int = 0
    group: str = ""


class NamePlan(NamedTuple):
    """``resolve``: a real server, by the name it has in its plan, whose address is that of the DNS name ``name``.

    ``family`` is AF_INET or AF_INET6; ``fallback`` the address as written. ``others`` are the addresses of the real
    servers without a name in the same virtual server and at the same ``port``.
    """

    service: str
    server: str
    name: str
    family: int
    fallback: str
    port: int
    refresh_ns: int
    others: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """Virtual server and real server."""
        return self.service, self.server


class FlushOnStop(Enum):
    """``lvs_flush_on_stop``: what a planned end of the daemon takes out of the kernel's table."""

    NOTHING = "nothing"
    OURS = "ours"
    EVERYTHING = "everything"


@dataclass(frozen=True)
class LvsPlan:
    """Everything the LVS process programs. ``init_notifies`` is ``rs_init_notifies``.

    ``probes`` are what checks through the VIP need, see :mod:`.via_vip`.
    """

    virtual_servers: tuple[VirtualServerPlan, ...] = ()
    sync_daemon: SyncDaemonPlan | None = None
    timeouts: Timeouts | None = None
    flush: bool = False
    flush_on_stop: FlushOnStop = FlushOnStop.NOTHING
    init_notifies: bool = False
    names: tuple[NamePlan, ...] = ()
    probes: tuple[VirtualService, ...] = ()
