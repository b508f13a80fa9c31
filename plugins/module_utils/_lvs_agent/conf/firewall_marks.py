# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packets get a firewall mark, for virtual servers by ``fwmark``: rules for iptables' table ``mangle``."""

from __future__ import annotations

import ipaddress
import typing as t

from ..spelling import nearest
from . import address, model, numbers
from .director import Director
from .merge import items
from .problem import WARNING, BadValue, Problem

VARIABLE = "director_firewall_marks"
WORDS = ("mark", "destination", "protocol", "destination_ports", "interface")
PROTOCOLS = ("tcp", "udp", "sctp")
_MULTIPORT = 15  # ports of one rule; a range counts twice (iptables-extensions(8), multiport)
_IFNAMSIZ = 15  # characters of an interface name (linux/if.h)
Rule = dict[str, t.Any]


class Mark(t.NamedTuple):
    """One entry of the variable: packets to ``network``, all of them or those of a protocol and its ports."""

    mark: int
    network: ipaddress.IPv4Network | ipaddress.IPv6Network
    protocol: str = ""
    ports: tuple[tuple[int, int], ...] = ()
    interface: str = ""


def rules(variables: t.Mapping[str, t.Any]) -> list[Rule]:
    """The rules of a director, in the order given.

    A rule: ``ip_version`` ("ipv4" or "ipv6"), and ``rule``, what iptables is given after the chain's name.
    Raises BadValue for an entry that is not one.
    """
    found: list[Rule] = []
    for entry in items(variables.get(VARIABLE)):
        one = read(entry)
        for match in _matches(one):
            words = [*match, "-j", "MARK", "--set-mark", str(one.mark)]
            rule = {"ip_version": f"ipv{one.network.version}", "rule": words}
            found += [rule] if rule not in found else []
    return found


def read(entry: t.Any) -> Mark:
    """One entry. Raises BadValue."""
    if not isinstance(entry, t.Mapping):
        raise BadValue(f"{entry!r} is not a mapping", "write {mark: 1, destination: 192.0.2.1, protocol: tcp}")
    for word in entry:
        if word not in WORDS:
            raise BadValue(f"there is no option {word!r}", nearest(str(word), WORDS))
    protocol = str(entry.get("protocol") or "").lower()
    if protocol and protocol not in PROTOCOLS:
        raise BadValue(f"protocol {protocol!r} is not known", f"it can be {', '.join(PROTOCOLS)}, or left out")
    ports = tuple(_ports(one) for one in items(entry.get("destination_ports")))
    if ports and not protocol:
        raise BadValue("destination_ports without a protocol", f"write protocol: {PROTOCOLS[0]}")
    interface = str(entry.get("interface") or "")
    if len(interface) > _IFNAMSIZ or any(one.isspace() or one in "/!'\"\\" for one in interface):
        raise BadValue(f"{interface!r} is not the name of an interface")
    return Mark(_mark(entry.get("mark")), _network(entry.get("destination")), protocol, ports, interface)


def problems(director: Director) -> list[Problem]:
    """Entries that are wrong, marks that no virtual server has, and virtual servers whose mark nothing here sets."""
    found: list[Problem] = []
    marked: dict[int, set[int]] = {}
    served = _served(director)
    for number, entry in enumerate(items(director.variables.get(VARIABLE))):
        where = f"{VARIABLE}[{number}]"
        try:
            one = read(entry)
        except BadValue as error:
            found.append(director.problem(where, error.what, error.instead))
            continue
        marked.setdefault(one.mark, set()).add(one.network.version)
        if one.mark not in served:
            known = ", ".join(map(str, sorted(served))) or "none"
            what = f"no virtual server has fwmark {one.mark}"
            found.append(director.problem(f"{where}.mark", what, f"marks of virtual servers: {known}"))
        elif served[one.mark] and one.network.version not in served[one.mark]:
            what = f"{one.network} is IPv{one.network.version}, the real servers of fwmark {one.mark} are not"
            found.append(director.problem(f"{where}.destination", what, "write a destination of their family"))
    if marked:
        for mark in sorted(set(served) - set(marked)):
            what = f"nothing sets mark {mark}, which a virtual server has"
            advice = "write an entry for it, unless another tool sets it"
            found.append(director.problem(VARIABLE, what, advice, WARNING))
    return found


def _served(director: Director) -> dict[int, set[int]]:
    """The marks of virtual servers, each with the IP versions of its real servers."""
    groups = model.groups_of(director.configuration)
    found: dict[int, set[int]] = {}
    for _where, server, real_servers in director.pools:
        entries = model.lines(groups.get(str(server.get("group")), {}).get("entries"))
        said = [server.get("fwmark"), *(entry[1] for entry in entries if entry[0] == "fwmark" and entry[1:])]
        known = [address.try_parse(real.get("ip")) for _path, real in real_servers]
        versions = {at.version for at in known if at is not None}
        if str(server.get("ip_family", "")) in ("inet", "inet6"):
            versions = {6 if server["ip_family"] == "inet6" else 4}
        for mark in filter(None, map(model.whole, (one for one in said if one is not None))):
            found.setdefault(mark, set()).update(versions)
    return found


def _mark(said: t.Any) -> int:
    found = model.whole(said) if said is not None else None
    if found is None or isinstance(said, bool) or not 1 <= found <= numbers.UINT32:
        raise BadValue(f"mark {said!r} is not a mark", f"write a number from 1 to {numbers.UINT32}")
    return found


def _network(said: t.Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    if said is None:
        raise BadValue("there is no destination", "write the VIP that the packets are sent to")
    at, length = address.interface(str(said))
    network = ipaddress.ip_network(f"{at}/{length}", strict=False)
    if network.network_address != at:
        raise BadValue(f"{said} has bits beyond its prefix length", f"write {network} or {at}")
    return network


def _ports(said: t.Any) -> tuple[int, int]:
    low, dash, high = str(said).replace(":", "-").partition("-")
    first = address.port(low)
    last = address.port(high) if dash else first
    if last < first:
        raise BadValue(f"the ports {said} do not end above their start")
    return first, last


def _matches(one: Mark) -> t.Iterator[list[str]]:
    """The words of one or more rules: a rule of iptables takes fifteen ports."""
    start = ["-i", one.interface] if one.interface else []
    start += ["-d", str(one.network)] + (["-p", one.protocol] if one.protocol else [])
    if not one.ports:
        yield start
        return
    group: list[str] = []
    room = _MULTIPORT
    for first, last in one.ports:
        size = 1 if first == last else 2
        if size > room:
            yield [*start, "-m", "multiport", "--dports", ",".join(group)]
            group, room = [], _MULTIPORT
        group.append(str(first) if first == last else f"{first}:{last}")
        room -= size
    yield [*start, "-m", "multiport", "--dports", ",".join(group)]
