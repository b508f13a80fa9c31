# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one change of a real server or of a quorum makes to run, to write and to mail, in keepalived's words; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..lvs.transitions import Kind
from .mail import Mail

if TYPE_CHECKING:
    from ..lvs.transitions import Transition

_TOLD = {
    Kind.SERVER_UP: ("notify_up", True),
    Kind.SERVER_DOWN: ("notify_down", False),
    Kind.QUORUM_UP: ("quorum_up", True),
    Kind.QUORUM_DOWN: ("quorum_down", False),
}


@dataclass(frozen=True)
class LvsNotice:
    """A real server, or with ``server`` "" a quorum, is up or down; ``keyword`` is the script's."""

    service: str
    server: str
    up: bool
    keyword: str

    @property
    def key(self) -> tuple[str, str]:
        """Whose scripts run one after the other."""
        return self.service, self.server

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.server} of {self.service}" if self.server else self.service

    @property
    def line(self) -> str:
        """For a FIFO, with its end."""
        state = "UP" if self.up else "DOWN"
        service = keepalived_name(self.service)
        if self.server:
            return f"RS {keepalived_server(self.server, self.service)} {service} {state}\n"
        return f"VS {service} {state}\n"


def of_transition(transition: Transition) -> LvsNotice | None:
    """What is told of a change; None for those that keepalived does not have."""
    found = _TOLD.get(transition.kind)
    if found is None:
        return None
    keyword, up = found
    return LvsNotice(transition.service, transition.server, up, keyword)


def mail(notice: LvsNotice, cause: str, router_id: str) -> Mail:
    """keepalived's mail about a change, with the cause."""
    state = "UP" if notice.up else "DOWN"
    service = keepalived_name(notice.service)
    if notice.server:
        server = keepalived_server(notice.server, notice.service)
        subject = f"[{router_id}] Realserver {server} of virtual server {service} - {state}"
    else:
        subject = f"[{router_id}] Virtualserver {service} - {state}"
    return Mail(subject, f"=> {cause} <=" if cause else "")


def keepalived_name(service: str) -> str:
    """``TCP 192.0.2.1:80`` -> ``[192.0.2.1]:tcp:80``; firewall marks and groups by their names."""
    protocol, _space, place = service.partition(" ")
    if protocol not in ("TCP", "UDP", "SCTP") or place.startswith("group "):
        return f"[{place.partition(' ')[2]}]" if place.startswith("group ") else service
    return _bracketed(place, protocol)


def keepalived_server(server: str, service: str) -> str:
    """``192.0.2.10:80`` of that service -> ``[192.0.2.10]:tcp:80``."""
    protocol = service.partition(" ")[0]
    return _bracketed(server, protocol if protocol in ("TCP", "UDP", "SCTP") else "none")


def _bracketed(place: str, protocol: str) -> str:
    host, colon, port = place.rpartition(":")
    if not colon or (host.count(":") and not host.endswith("]")):
        host, port = place, "0"
    return f"[{host.strip('[]')}]:{protocol.lower()}:{port}"
