# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options the ipvs modules share: their argument specs, and how they become services and real servers.

The readers add everything that is wrong to a list of problems; what they return is of use only when there is none.
``where`` is the path of the options within the task, as in ``services[0]``, "" for the task itself.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Any

from ansible_collections.linuxha.lvs.plugins.module_utils._checks import at, in_range, seconds
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf import address as addresses
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.problem import BadValue, Problem
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel import ipvs_types as types
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel import ipvsadm
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.addresses import no_host
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.spelling import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

FAMILIES: dict[str, int] = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
FAMILY_NAMES: dict[int, str] = {number: name for name, number in FAMILIES.items()}
VERSIONS: dict[int, str] = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}

# What every module of the action group has (doc fragment linuxha.lvs.ipvs).
COMMON_SPEC: dict[str, Any] = {"netns": {"type": "str"}, "timeout": {"type": "float", "default": 5.0}}
KEY_SPEC: dict[str, Any] = {
    "protocol": {"type": "str", "choices": ["tcp", "udp", "sctp", "TCP", "UDP", "SCTP"]},
    "address": {"type": "str"},
    "port": {"type": "int"},
    "fwmark": {"type": "int"},
    "family": {"type": "str", "choices": ["inet", "inet6"], "aliases": ["ip_family"]},
}
# Without choices for words that have a near spelling: Ansible's own message would only list them all.
SERVICE_SPEC: dict[str, Any] = {
    "scheduler": {"type": "str", "aliases": ["lb_algo", "lvs_sched"]},
    "sched_flags": {"type": "list", "elements": "str"},
    "persistent": {"type": "int", "aliases": ["persistence_timeout"]},
    "netmask": {"type": "str", "aliases": ["persistence_granularity"]},
    "pe": {"type": "str", "choices": ["sip"], "aliases": ["persistence_engine"]},
    "ops": {"type": "bool"},
}
SERVER_SPEC: dict[str, Any] = {
    "port": {"type": "int"},
    "forward": {
        "type": "str",
        "choices": ["route", "masq", "tunnel", "DR", "NAT", "TUN", "gatewaying", "masquerading", "ipip"],
        "aliases": ["lb_kind", "lvs_method"],
    },
    "weight": {"type": "int"},
    "u_threshold": {"type": "int", "aliases": ["uthreshold"]},
    "l_threshold": {"type": "int", "aliases": ["lthreshold"]},
    "tun_type": {"type": "str", "choices": ["ipip", "gue", "gre"]},
    "tun_port": {"type": "int"},
    "tun_csum": {"type": "str", "choices": ["nocsum", "csum", "remcsum"]},
}
# Other names of values: those of keepalived.conf(5), and those of ipvsadm's options.
SPELLINGS: dict[str, dict[str, str]] = {
    "protocol": {"TCP": "tcp", "UDP": "udp", "SCTP": "sctp"},
    "forward": {
        "DR": "route",
        "NAT": "masq",
        "TUN": "tunnel",
        "gatewaying": "route",
        "masquerading": "masq",
        "ipip": "tunnel",
    },
}
TUNNEL_OPTIONS = ("tun_type", "tun_port", "tun_csum")
# The checksums each tunnel can carry (ipvsadm(8)); ipip has none.
TUNNEL_CHECKSUMS = {"ipip": ("nocsum",), "gue": ("nocsum", "csum", "remcsum"), "gre": ("nocsum", "csum")}

# ipvsadm's own limit, 31 days; the kernel counts in jiffies and wraps around somewhat later.
PERSISTENT_MOST = 31 * 86400


def normalise(given: dict[str, Any]) -> None:
    """Replace the other names of values, in the options and in those below them."""
    for name, value in given.items():
        if isinstance(value, dict):
            normalise(value)
        elif isinstance(value, list):
            for one in value:
                if isinstance(one, dict):
                    normalise(one)
        elif value is not None:
            given[name] = SPELLINGS.get(name, {}).get(value, value)


def common_problems(params: dict[str, Any]) -> list[Problem]:
    """What is wrong with the options of COMMON_SPEC; the list to which the readers add. Normalises all options."""
    normalise(params)
    problems: list[Problem] = []
    seconds("timeout", params["timeout"], problems)
    return problems


def read_key(options: dict[str, Any], where: str, problems: list[Problem]) -> types.ServiceKey | None:
    """What identifies a virtual service."""
    if options["fwmark"] is not None:
        return _read_fwmark(options, where, problems)
    if options["address"] is None:
        problems.append(Problem(where or "address", "no virtual service is named", "give address and port, or fwmark"))
        return None
    before = len(problems)
    if options["port"] is None:
        problems.append(Problem(at(where, "port"), "missing", "0 stands for all ports of a persistent service"))
    in_range(at(where, "port"), options["port"], 0, 0xFFFF, problems)
    address = read_address(options["address"], at(where, "address"), problems)
    family = family_of(address)
    if address and options["family"] not in (None, FAMILY_NAMES[family]):
        what = f"{address} is {VERSIONS[family]} and the family is {options['family']}"
        problems.append(Problem(at(where, "address"), what, "family is needed with fwmark only"))
    if len(problems) > before:
        return None
    protocol = ipvsadm.PROTOCOL_NUMBERS[options["protocol"] or "tcp"]
    return types.ServiceKey(family, protocol, address, options["port"])


def _read_fwmark(options: dict[str, Any], where: str, problems: list[Problem]) -> types.ServiceKey | None:
    for name in ("protocol", "address", "port"):
        if options[name] is not None:
            what = f"a service is named by its address or by fwmark {options['fwmark']}, not by both"
            problems.append(Problem(at(where, name), what, f"leave out {name} or fwmark"))
    if not in_range(at(where, "fwmark"), options["fwmark"], 1, 0xFFFFFFFF, problems):
        return None
    return types.ServiceKey(FAMILIES[options["family"] or "inet"], fwmark=options["fwmark"])


def read_service(key: types.ServiceKey, options: dict[str, Any], where: str, problems: list[Problem]) -> types.Service:
    """A whole virtual service: what is not given has ipvsadm's default."""
    scheduler = options["scheduler"] or "wlc"
    persistent = options["persistent"] or 0
    flags = 0
    if scheduler not in ipvsadm.SCHEDULERS:
        instead = nearest(scheduler, ipvsadm.SCHEDULERS)
        problems.append(Problem(at(where, "scheduler"), f"{scheduler!r} is no scheduler of the kernel", instead))
    else:
        try:
            flags = ipvsadm.sched_flag_bits(scheduler, options["sched_flags"] or ())
        except ValueError as error:
            problems.append(Problem(at(where, "sched_flags"), str(error)))
    in_range(at(where, "persistent"), options["persistent"], 0, PERSISTENT_MOST, problems)
    flags |= types.SVC_F_PERSISTENT if persistent else 0
    flags |= types.SVC_F_ONEPACKET if options["ops"] else 0
    _check_service(key, options, where, problems)
    return types.Service(
        key, scheduler, flags, persistent, _read_netmask(key.af, options, where, problems), options["pe"] or ""
    )


def _check_service(key: types.ServiceKey, options: dict[str, Any], where: str, problems: list[Problem]) -> None:
    """What the kernel accepts and then does not act on, or what harms."""
    _check_vip(key, where, problems)
    marked, udp = bool(key.fwmark), key.protocol == socket.IPPROTO_UDP
    if not options["persistent"]:
        if not marked and not key.port:
            what = "0, all ports, works with persistence only"
            problems.append(Problem(at(where, "port"), what, "give a port, or persistent"))
        for name in ("netmask", "pe"):
            if options[name]:
                what = f"{options[name]} counts only for a persistent service"
                problems.append(Problem(at(where, name), what, "give persistent too, in seconds"))
    if options["pe"] == "sip" and not (marked or udp):
        problems.append(Problem(at(where, "pe"), "sip reads UDP only and would drop all else", "use protocol: udp"))
    if options["ops"] and not (marked or udp):
        what = "one-packet scheduling is for UDP only"
        problems.append(Problem(at(where, "ops"), what, "use protocol: udp, or leave out ops"))


def _check_vip(key: types.ServiceKey, where: str, problems: list[Problem]) -> None:
    """An address to which no client can connect."""
    reason = "" if key.fwmark else no_host(ipaddress.ip_address(key.addr))
    if reason:
        what = f"{key.addr} cannot be a virtual IP: {reason}"
        problems.append(Problem(at(where, "address"), what, "write the address that clients connect to"))


def _read_netmask(af: int, options: dict[str, Any], where: str, problems: list[Problem]) -> str:
    """In ipvsadm's spelling; "" for none."""
    text = options["netmask"]
    if not text:
        return ""
    length = text.lstrip("/")
    if af == socket.AF_INET6:
        if length.isdigit() and 1 <= int(length) <= 128:
            return str(int(length))
        instead = "write a prefix length from 1 to 128"
    else:
        try:
            return str(ipaddress.IPv4Network(f"0.0.0.0/{length}").netmask)
        except ValueError:
            instead = "write it as 255.255.255.0 or as 24"
    problems.append(Problem(at(where, "netmask"), f"{text!r} is no netmask for {VERSIONS[af]}", instead))
    return ""


def family_of(address: str) -> int:
    """That of an address that is one."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def read_address(text: str, where: str, problems: list[Problem]) -> str:
    """A single address in the kernel's spelling, "" for none."""
    found = read_addresses(text, where, problems)
    if len(found) > 1:
        problems.append(Problem(where, f"{text} is more than one address", "write one"))
    return found[0][1] if found else ""


def read_addresses(text: str, where: str, problems: list[Problem]) -> list[tuple[int, str]]:
    """(family, address in the kernel's spelling) of each address in a range."""
    try:
        found = addresses.expand(text)
    except BadValue as error:
        problems.append(Problem(where, error.what, error.instead))
        return []
    if "%" in text:
        problems.append(Problem(where, f"{text} names a zone", "write the address alone"))
    return [
        (socket.AF_INET, str(one))
        if one.version == 4
        else (socket.AF_INET6, socket.inet_ntop(socket.AF_INET6, one.packed))
        for one in found
    ]


def read_servers(
    key: types.ServiceKey, entries: Iterable[dict[str, Any]], where: str, problems: list[Problem]
) -> list[types.Destination]:
    """Whole real servers of one service, each once."""
    servers: dict[types.DestinationKey, types.Destination] = {}
    for position, options in enumerate(entries):
        place = f"{where}[{position}]"
        for server in read_server(key, options["address"], options, place, problems):
            if server.key in servers:
                what = f"{ipvsadm.place(server.addr, server.port)} is listed twice"
                problems.append(Problem(at(place, "address"), what))
            servers[server.key] = server
    return list(servers.values())


def read_server(
    key: types.ServiceKey, text: str, options: dict[str, Any], where: str, problems: list[Problem]
) -> list[types.Destination]:
    """A whole real server, or one for each address of a range: what is not given has ipvsadm's default."""
    found = read_addresses(text, at(where, "address"), problems)
    forward = options["forward"] or "route"
    for _family, address in found:
        reason = _no_real_server(address)
        if reason:
            problems.append(Problem(at(where, "address"), f"{address} cannot be a host's address: {reason}"))
            return []
    if found and found[0][0] != key.af and forward != "tunnel":
        what = f"{text} is {VERSIONS[found[0][0]]} and the service is {VERSIONS[key.af]}"
        problems.append(Problem(at(where, "address"), what, "only forward: tunnel leads to the other family"))
    _check_server(options, where, problems)
    tun_type = options["tun_type"] or "ipip"
    rest = (
        _read_port(key, forward, options, where, problems),
        ipvsadm.FORWARD_NUMBERS[forward],
        1 if options["weight"] is None else options["weight"],
        options["u_threshold"] or 0,
        options["l_threshold"] or 0,
        ipvsadm.TUN_TYPE_NUMBERS[tun_type],
        options["tun_port"] or 0,
        ipvsadm.TUN_FLAG_NUMBERS[options["tun_csum"] or "nocsum"],
    )
    return [types.Destination(family, address, *rest) for family, address in found]


def _no_real_server(address: str) -> str:
    """Why the kernel does not take it for a real server (ip_vs_new_dest: RTN_UNICAST or RTN_LOCAL), or ""."""
    parsed = ipaddress.ip_address(address)
    if parsed.version == 6 and parsed.is_link_local:
        return "it is a link-local address"
    return no_host(parsed)


def _read_port(
    key: types.ServiceKey, forward: str, options: dict[str, Any], where: str, problems: list[Problem]
) -> int:
    port: int | None = options["port"]
    if port is None:
        return int(key.port)
    if not in_range(at(where, "port"), port, 0, 0xFFFF, problems) or key.fwmark or port == key.port:
        return port
    if forward != "masq":
        meant = f"port {key.port}" if key.port else "the port the client asked for"
        what = f"with {forward} the real server gets the packet as it is, for {meant}; {port} is ignored"
        problems.append(Problem(at(where, "port"), what, "leave out port, or use forward: masq"))
    elif not port:
        what = f"0 means the port the client asked for, which is {key.port}"
        problems.append(Problem(at(where, "port"), what, "leave it out"))
    return port


def _check_server(options: dict[str, Any], where: str, problems: list[Problem]) -> None:
    limits = {"weight": types.WEIGHT_MOST, "u_threshold": types.THRESHOLD_MOST, "l_threshold": types.THRESHOLD_MOST}
    for name, most in limits.items():
        in_range(at(where, name), options[name], 0, most, problems)
    upper, lower = options["u_threshold"] or 0, options["l_threshold"] or 0
    if lower > upper:
        what = f"{lower} is above u_threshold, {upper}" if upper else f"{lower} without a u_threshold has no meaning"
        problems.append(Problem(at(where, "l_threshold"), what, "connections above u_threshold stop new ones"))
    if (options["forward"] or "route") == "tunnel":
        _check_tunnel(options, where, problems)
        return
    for name in TUNNEL_OPTIONS:
        if options[name] is not None:
            what = f"{name} with forward {options['forward'] or 'route'} has no meaning"
            problems.append(Problem(at(where, name), what, "use forward: tunnel"))


def _check_tunnel(options: dict[str, Any], where: str, problems: list[Problem]) -> None:
    tun_type, port, checksum = options["tun_type"] or "ipip", options["tun_port"], options["tun_csum"]
    if tun_type == "gue":
        if port is None:
            instead = "gue needs the UDP port on which the real server takes its packets out"
            problems.append(Problem(at(where, "tun_port"), "missing", instead))
        in_range(at(where, "tun_port"), options["tun_port"], 1, 0xFFFF, problems)
    elif port:
        problems.append(Problem(at(where, "tun_port"), f"a tunnel of type {tun_type} has no port", "use tun_type: gue"))
    if checksum and checksum not in TUNNEL_CHECKSUMS[tun_type]:
        instead = f"it can be {', '.join(TUNNEL_CHECKSUMS[tun_type])}"
        problems.append(Problem(at(where, "tun_csum"), f"{checksum} is not for tunnels of type {tun_type}", instead))
