# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A ``virtual_server`` block -> the services the kernel is given for it, and its name; pure."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from ..conf import address, model
from ..conf.merge import blocks
from ..conf.problem import BadValue
from ..kernel.ipvs_types import SVC_F_ONEPACKET, SVC_F_PERSISTENT, Service, ServiceKey
from ..kernel.ipvsadm import PROTOCOL_NUMBERS, full_netmask, sched_flag_bits

Words = Mapping[str, Any]

_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
_PERSISTENCE_SECONDS = 360
_SCHEDULER_FLAGS = ("flag-1", "flag-2", "flag-3", "sh-port", "sh-fallback", "mh-port", "mh-fallback")


def services(server: Words, groups: Mapping[str, Words]) -> tuple[Service, ...]:
    """What the kernel is given, in the order of the group's entries, addresses before marks. Raises BadValue."""
    keys = _keys(server, groups)
    sched_name = str(server.get("lb_algo", model.DEFAULT_ALGORITHM))
    flags = _flags(server, sched_name)
    timeout = _persistence(server)
    if timeout:
        flags |= SVC_F_PERSISTENT
    engine = str(server.get("persistence_engine", ""))
    return tuple(
        Service(key, sched_name, flags, timeout, _netmask(server, key.af) if timeout else full_netmask(key.af), engine)
        for key in keys
    )


def _flags(server: Words, sched_name: str) -> int:
    try:
        flags = sched_flag_bits(sched_name, [word for word in _SCHEDULER_FLAGS if model.is_on(server.get(word))])
    except ValueError as error:
        raise BadValue(str(error)) from error
    return flags | SVC_F_ONEPACKET if model.is_on(server.get("ops")) else flags


def _persistence(server: Words) -> int:
    """Seconds, 0 for none; persistence_granularity alone switches it on."""
    said = server.get("persistence_timeout")
    if said is None:
        return _PERSISTENCE_SECONDS if server.get("persistence_granularity") is not None else 0
    if isinstance(said, bool):
        return _PERSISTENCE_SECONDS if said else 0
    return model.whole(said) or 0


def _netmask(server: Words, af: int) -> str:
    said = server.get("persistence_granularity")
    if said is None:
        return full_netmask(af)
    if (af == socket.AF_INET6) != str(said).isdigit():
        wanted = "a prefix length" if af == socket.AF_INET6 else "a netmask"
        raise BadValue(f"persistence_granularity {said} is for the other address family", f"write {wanted}")
    return str(said)


def _keys(server: Words, groups: Mapping[str, Words]) -> list[ServiceKey]:
    protocol = PROTOCOL_NUMBERS.get(str(server.get("protocol", "")).lower(), 0)
    if server.get("fwmark") is not None:
        return [ServiceKey(mark_family(server), fwmark=int(server["fwmark"]))]
    if server.get("group") is not None:
        return _group_keys(model.lines(groups[str(server["group"])].get("entries")), server, protocol)
    return [_key(address.parse(str(server["ip"])), protocol, model.whole(server.get("port", 0)) or 0)]


def _group_keys(entries: list[list[str]], server: Words, protocol: int) -> list[ServiceKey]:
    addresses: dict[ServiceKey, None] = {}
    marks: dict[ServiceKey, None] = {}
    for entry in entries:
        if entry[0] == "fwmark":
            family = _FAMILIES[entry[2]] if entry[2:] else mark_family(server)
            _add(marks, ServiceKey(family, fwmark=int(entry[1])), entry)
            continue
        low, count = address.span(entry[0])
        port = int(entry[1]) if entry[1:] else 0
        for offset in range(count):
            _add(addresses, _key(low + offset, protocol, port), entry)
    return [*addresses, *marks]


def _add(found: dict[ServiceKey, None], key: ServiceKey, entry: list[str]) -> None:
    if key in found:
        raise BadValue(f"{key} is in its group twice, the second time by {' '.join(entry)}", "write it once")
    found[key] = None


def _key(at: address.Address, protocol: int, port: int) -> ServiceKey:
    return ServiceKey(socket.AF_INET6 if at.version == 6 else socket.AF_INET, protocol, str(at), port)


def mark_family(server: Words) -> int:
    """The family of a firewall mark: what ip_family says, else that of the real servers that are not tunnelled."""
    said = server.get("ip_family")
    if said is not None:
        return _FAMILIES[str(said)]
    default = model.method(server, "lb_kind")
    for real in blocks(server.get("real_server")):
        if model.method(real, "lvs_method", default) != "TUN":
            return socket.AF_INET6 if ":" in str(real.get("ip")) else socket.AF_INET
    return socket.AF_INET
