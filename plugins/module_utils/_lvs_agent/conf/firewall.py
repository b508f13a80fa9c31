# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a director's firewall must let in from the other directors."""

from __future__ import annotations

import typing as t

from . import model, numbers
from .director import Director
from .problem import BadValue

VRRP = "112"
AUTHENTICATION_HEADER = "51"
SYNC_PORT = 8848  # default UDP port of the kernel's IPVS sync daemon
Rule = dict[str, t.Any]


def rules(host: str, directors: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[Rule]:
    """The accept rules of ``host``, in a stable order.

    A rule: ``ip_version`` ("ipv4" or "ipv6"), ``protocol`` ("112", "51" or "udp"), ``source``,
    ``comment``, for UDP ``destination_port``, and ``interface`` where the source is a link-local range.
    Raises BadValue when another director has no address.
    """
    found: list[Rule] = []
    own = Director.of(host, directors[host])
    for name, variables in directors.items():
        if str(name) != str(host):
            found += _from(Director.of(name, variables))
    found += _link_local(own)
    unique: list[Rule] = []
    for rule in found:
        if rule not in unique:
            unique.append(rule)
    return unique


def _from(peer: Director) -> list[Rule]:
    sources = {4: peer.sources(4), 6: peer.sources(6)}
    if not sources[4] and not sources[6]:
        what = f"{peer.name}: director_address {peer.own_address!r} is not an IP address"
        raise BadValue(what, "write the address its VRRP packets come from")
    found: list[Rule] = []
    signed = _signs(peer)
    for version, addresses in sources.items():
        for at in addresses:
            base = {"ip_version": f"ipv{version}", "source": str(at)}
            if version in _families(peer):
                found.append({**base, "protocol": VRRP, "comment": f"VRRP from {peer.name}"})
                if version == 4 and signed:
                    found.append(
                        {**base, "protocol": AUTHENTICATION_HEADER, "comment": f"VRRP (AH) from {peer.name}"}
                    )
            port = _sync_port(peer)
            if port is not None:
                comment = f"IPVS sync from {peer.name}"
                found.append({**base, "protocol": "udp", "destination_port": port, "comment": comment})
    return found


def _families(director: Director) -> set[int]:
    """IP versions of its adverts: none without an instance, IPv4 where no instance has a VIP."""
    instances = director.configuration["vrrp_instance"]
    return {at.version for one in instances for at in model.vips(one)} or ({4} if instances else set())


def _signs(director: Director) -> bool:
    return any(model.signs(one) for one in director.configuration["vrrp_instance"])


def _sync_port(director: Director) -> int | None:
    if not model.sync_daemon_interfaces(director.configuration):
        return None
    said = str(director.configuration["global_defs"].get("lvs_sync_daemon", "")).split()
    place = said.index("port") + 1 if "port" in said else len(said)
    found = numbers.whole(said[place]) if place < len(said) else None
    return SYNC_PORT if found is None else found


def _link_local(own: Director) -> list[Rule]:
    """IPv6 multicast adverts come from a link-local address nobody wrote down."""
    found: list[Rule] = []
    for instance in own.configuration["vrrp_instance"]:
        six = any(at.version == 6 for at in model.vips(instance))
        if (
            six
            and "mcast_src_ip" not in instance
            and not instance.get("unicast_peer")
            and instance.get("interface")
        ):
            comment = f"VRRP for {instance.get('name')}"
            rule = {"ip_version": "ipv6", "source": "fe80::/10", "protocol": VRRP, "comment": comment}
            found.append({**rule, "interface": str(instance["interface"])})
    return found
