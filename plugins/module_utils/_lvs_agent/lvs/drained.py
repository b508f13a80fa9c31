# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left on a real server that is drained, and what of it a drain waits for; pure.

With weight 0 a server gets no new clients. These still send to it:

* established connections (``ActiveConn`` of ipvsadm);
* UDP flows. IPVS has no established state for them and counts them as inactive; each packet renews the entry, for 300 s
  by default (``ipvsadm --set``). A drain waits until they are silent for so long;
* clients with a persistence template, whose next connections go to the server, and renew the template; not with
  ``net.ipv4.vs.expire_quiescent_template`` = 1, which sends them elsewhere (``ip_vs_check_template`` in ip_vs_conn.c).
  The template stays listed until its time is over, also then.

Inactive entries of TCP and SCTP are connections that begin or end (SYN_RECV, FIN_WAIT, TIME_WAIT): they go by
themselves within two minutes, are not waited for, and are reported.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..kernel.ipvs_types import DestinationEntry, ServiceKey


class Tally(NamedTuple):
    """The kernel's counters of a real server, summed over the services of its virtual server.

    ``inactive`` are those of TCP and SCTP services, ``udp`` those of UDP ones, ``marked`` those of firewall marks,
    whose protocol the counters do not tell.
    """

    active: int = 0
    inactive: int = 0
    udp: int = 0
    marked: int = 0
    templates: int = 0


class Left(NamedTuple):
    """What is left. ``templates`` lead clients to the server; ``ended`` are listed and lead nobody."""

    active: int = 0
    inactive: int = 0
    udp: int = 0
    templates: int = 0
    ended: int = 0

    @property
    def waited_for(self) -> int:
        """The number of things that a drain waits for."""
        return self.active + self.udp + self.templates


NOTHING = Left()


def tally(key: ServiceKey, entry: DestinationEntry) -> Tally:
    """The counters of a real server in one service."""
    inactive = entry.inact_conns
    if key.fwmark:
        return Tally(entry.active_conns, 0, 0, inactive, entry.persist_conns)
    if key.protocol == socket.IPPROTO_UDP:
        return Tally(entry.active_conns, 0, inactive, 0, entry.persist_conns)
    return Tally(entry.active_conns, inactive, 0, 0, entry.persist_conns)


def total(tallies: Iterable[Tally]) -> Tally:
    """Their sum."""
    return Tally(*map(sum, zip(Tally(), *tallies)))


def left(found: Tally, *, templates_end: bool, marked_udp: int | None = 0) -> Left:
    """What a drain of it makes of its counters. ``templates_end``: expire_quiescent_template is 1.

    ``marked_udp`` are the UDP flows to the server (see :func:`flows_to`). With None, the list of connections being too
    long to be read, each inactive entry of a firewall mark counts as one.
    """
    udp = found.marked if marked_udp is None else min(found.marked, marked_udp)
    obeyed, ended = (0, found.templates) if templates_end else (found.templates, 0)
    return Left(found.active, found.inactive + found.marked - udp, found.udp + udp, obeyed, ended)


def flows_to(flows: Mapping[tuple[str, int], int] | None, addr: str, port: int) -> int | None:
    """Of the UDP flows by real server those to one; port 0: it is the one that the client asked for."""
    if flows is None:
        return None
    return sum(number for place, number in flows.items() if place[0] == addr and port in (0, place[1]))


def together(several: Iterable[Left]) -> Left:
    """Their sum."""
    return Left(*map(sum, zip(NOTHING, *several)))


def to_json(found: Left) -> dict[str, int]:
    """For an answer."""
    return found._asdict()


def listing(found: Left) -> str:
    """What is waited for, for people: ``2 connections, 1 UDP flow``; "" for nothing."""
    pairs = ((found.active, "connection"), (found.udp, "UDP flow"), (found.templates, "persistence template"))
    return ", ".join(_count(number, what) for number, what in pairs if number)


def sentence(found: Left, *, late: bool) -> str:
    """What is left, for people; ``late``: the time to wait is over."""
    if not found.waited_for:
        said = ["no connection is left"]
    else:
        verb = "is" if found.waited_for == 1 else "are"
        new = "the clients of the templates still come" if found.templates else "no new ones come"
        said = [f"{listing(found)} {verb} left{' after the time given' if late else ''}", new]
    if found.inactive:
        said.append(f"{_count(found.inactive, 'inactive one')} left to expire")
    if found.ended:
        verb = "leads" if found.ended == 1 else "lead"
        said.append(f"{_count(found.ended, 'persistence template')} {verb} no client here any more")
    return "; ".join(said)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
