# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong within one director's virtual servers although every single word is right."""

from __future__ import annotations

import typing as t

from ..spelling import nearest
from . import address, model
from .director import Director
from .merge import Fields, blocks
from .problem import WARNING, BadValue, Problem
from .reading import KEEPALIVED
from .schema_lvs import CHECKS

Server = t.Mapping[str, t.Any]
_Reals = t.Sequence[tuple[str, Server]]  # with their paths
_Span = tuple[address.Address, int]
_MOST_COMPARED = 100  # VIPs among which the nearest to a mistyped one is looked for
_CONNECTING = tuple(word.name for word in CHECKS if word.block is not None and word.block.find("connect_ip"))
_HIGHEST_PORT = 65535
_SCHEDULER_FLAGS = {"sh-port": "sh", "sh-fallback": "sh", "mh-port": "mh", "mh-fallback": "mh"}


def problems(director: Director) -> list[Problem]:
    """All findings in the virtual servers of one director."""
    found = _used_twice(director)
    groups = model.groups_of(director.configuration)
    held = {vip for instance in director.configuration["vrrp_instance"] for vip in model.all_vips(instance)}
    for where, server, reals in director.pools:
        spans = [_span(real) for _path, real in reals]
        weights = _weights_of(server, reals, spans)
        found += _identity(director, server, where, groups)
        found += _scheduler(director, server, where)
        found += _holder(director, server, where, held)
        found += _sorry(director, server, where)
        found += _granularity(director, server, where)
        found += _pool(director, server, reals, spans)
        found += _weights(director, server, where, weights)
        found += _floor(director, server, where, weights)
        found += _slow_start(director, server, where, weights)
        marks = model.is_mark_only(server, groups)
        for path, real in reals:
            found += _port(director, server, real, path, marks)
            found += _family(director, server, real, path)
            found += _checks(director, real, path, marks)
            found += _resolve(director, real, path)
    return found


def _protocol(server: Server) -> str:
    return str(server.get("protocol", model.DEFAULT_PROTOCOL)).upper()


def kernel_key(server: Server) -> tuple[str, ...] | None:
    """What the kernel tells virtual servers apart by; None when unreadable."""
    if server.get("fwmark") is not None:
        return ("fwmark", str(server["fwmark"]), str(server.get("ip_family", "inet")))
    if server.get("group") is not None:
        return ("group", str(server["group"]), _protocol(server))
    at = address.try_parse(server.get("ip"))
    return None if at is None else (str(at), str(model.whole(server.get("port", 0))), _protocol(server))


def _used_twice(director: Director) -> list[Problem]:
    seen: set[tuple[str, ...]] = set()
    found: list[Problem] = []
    for where, server in director.servers():
        key = kernel_key(server)
        if key is not None and key in seen:
            found.append(
                director.problem(
                    where, f"there is another virtual server {' '.join(key)}", "join their real servers"
                )
            )
        seen |= {key} if key is not None else set()
    return found


def _identity(
    director: Director, server: Server, where: str, groups: t.Mapping[str, Fields]
) -> list[Problem]:
    named = [word for word in ("ip", "fwmark", "group") if server.get(word) is not None]
    found: list[Problem] = []
    if len(named) != 1:
        what = f"it has {' and '.join(named)}" if named else "it has no ip, no fwmark and no group"
        found.append(director.problem(where, what, "write ip and port, or fwmark, or group"))
    if "port" in server and "ip" not in server:
        found.append(director.problem(f"{where}.port", "a port goes with ip only", "remove it"))
    group = server.get("group")
    if group is not None and str(group) not in groups:
        what = f"there is no virtual_server_group {group}"
        found.append(director.problem(f"{where}.group", what, nearest(str(group), groups)))
    needs_port = server.get("ip") is not None and not model.is_persistent(server)
    if needs_port and model.whole(server.get("port", 0)) == 0:
        what = "a virtual server without port takes all ports, which needs persistence"
        found.append(director.problem(f"{where}.port", what, "write a port, or persistence_timeout"))
    return found


def _scheduler(director: Director, server: Server, where: str) -> list[Problem]:
    algorithm = str(server.get("lb_algo", model.DEFAULT_ALGORITHM))
    found: list[Problem] = []
    for word, needed in _SCHEDULER_FLAGS.items():
        if model.is_on(server.get(word)) and algorithm != needed:
            found.append(
                director.problem(
                    f"{where}.{word}", f"lb_algo is {algorithm}", f"it goes with lb_algo {needed}"
                )
            )
    marked = server.get("fwmark") is not None
    if model.is_on(server.get("ops")) and _protocol(server) != "UDP" and not marked:
        found.append(
            director.problem(
                f"{where}.ops", "one-packet scheduling is for UDP", "remove it, or write protocol UDP"
            )
        )
    return found


def _holder(director: Director, server: Server, where: str, held: set[address.Address]) -> list[Problem]:
    at = address.try_parse(server.get("ip"))
    if at is None or at in held or not held:
        return []
    advice = nearest(str(at), [str(vip) for vip in held]) if len(held) <= _MOST_COMPARED else ""
    return [director.problem(f"{where}.ip", f"no vrrp_instance holds {at}", advice, WARNING)]


def _granularity(director: Director, server: Server, where: str) -> list[Problem]:
    """A netmask for IPv4, a prefix length for IPv6."""
    said, family = server.get("persistence_granularity"), model.family(server.get("ip"))
    if said is None or model.method(server, "lb_kind") == "TUN":
        return []
    length = model.whole(said) if family != 4 else None
    if length is not None and 1 <= length <= 128:
        return []
    mask = address.try_parse(said) if family != 6 and "." in str(said) else None
    bits = f"{int(mask):032b}" if mask is not None else "0"
    if "1" in bits and "01" not in bits:
        return []
    advice = {4: "write a netmask such as 255.255.255.0", 6: "write a prefix length from 1 to 128"}
    kind = {4: "netmask", 6: "prefix length"}.get(family or 0, "netmask or prefix length")
    what = f"{said} is no {kind}"
    return [director.problem(f"{where}.persistence_granularity", what, advice.get(family or 0, ""))]


def _sorry(director: Director, server: Server, where: str) -> list[Problem]:
    if server.get("sorry_server") is None:
        said_too = [word for word in ("sorry_server_inhibit", "sorry_server_check") if server.get(word)]
        return [director.problem(f"{where}.{word}", "there is no sorry_server", "remove it") for word in said_too]
    said = str(server["sorry_server"]).split()
    if server.get("sorry_server_check") == "TCP_CHECK" and len(said) < 2 and not model.whole(server.get("port", 0)):
        what = "there is no port to check"
        return [director.problem(f"{where}.sorry_server_check", what, "write a port behind the sorry server's address")]
    method = model.method(server, "sorry_server_lvs_method", model.method(server, "lb_kind"))
    vip, own = model.family(server.get("ip")), model.family(said[0] if said else "")
    if vip is not None and own is not None and vip != own and method != "TUN":
        what = f"it is IPv{own}, the VIP is IPv{vip}"
        return [director.problem(f"{where}.sorry_server", what, "only TUN can mix them")]
    port = model.whole(server.get("port"))
    if method != "NAT" and port is not None and len(said) == 2 and model.whole(said[1]) != port:
        what = f"with {method} the kernel keeps the port of the packet, {port}; {said[1]} is ignored"
        return [
            director.problem(
                f"{where}.sorry_server", what, f"write port {port}, or sorry_server_lvs_method NAT"
            )
        ]
    return []


def _port(director: Director, server: Server, real: Server, where: str, marks: bool) -> list[Problem]:
    if server.get("fwmark") is not None and model.whole(real.get("port")):
        return _port_of_mark(director, server, real, where)
    if marks or real.get("port") is None or server.get("ip") is None:
        return []
    port, wanted = model.whole(real["port"]), model.whole(server.get("port", 0))
    if port is None or wanted is None or port == wanted or not 0 <= wanted <= _HIGHEST_PORT:
        return []
    method = model.method(real, "lvs_method", model.method(server, "lb_kind"))
    if method == "NAT":
        return []
    what = f"with {method} the real server gets the packet as it is, for port {wanted}; {port} is ignored"
    return [director.problem(f"{where}.port", what, f"write port {wanted}, or use lb_kind NAT")]


def _port_of_mark(director: Director, server: Server, real: Server, where: str) -> list[Problem]:
    method = model.method(real, "lvs_method", model.method(server, "lb_kind"))
    if method == "NAT" or director.variables.get("director_engine") != KEEPALIVED:
        return []
    what = f"with {method} packets of a firewall mark keep their port, and keepalived clears {real['port']}"
    advice = f"leave it out, and write connect_port {real['port']} in the checks"
    return [director.problem(f"{where}.port", what, advice, WARNING)]


def _family(director: Director, server: Server, real: Server, where: str) -> list[Problem]:
    vip = model.family(server.get("ip"))
    own = model.family(real.get("ip")) or model.family(str(real.get("ip")).partition("-")[0].partition("/")[0])
    if vip is None or own is None or vip == own:
        return []
    if model.method(real, "lvs_method", model.method(server, "lb_kind")) == "TUN":
        return []
    return [director.problem(f"{where}.ip", f"it is IPv{own}, the VIP is IPv{vip}", "only TUN can mix them")]


def _checks(director: Director, real: Server, where: str, marks: bool) -> list[Problem]:
    found = _dns_name(director, real, where)
    for name in [name for name in _CONNECTING if name in real]:
        for check in blocks(real.get(name)):
            found += _source(director, real, check, f"{where}.{name}")
            for host in blocks(check.get("host")):
                found += _source(director, real, host, f"{where}.{name}.host")
            connects = name != "PING_CHECK"
            if marks and connects and "connect_port" not in check and real.get("port") is None:
                what = "a virtual server by fwmark has no port, so the check has none"
                found.append(
                    director.problem(f"{where}.{name}.connect_port", what, "write the port to check")
                )
            low, high = (
                model.whole(check.get("min_reply_length", 0)),
                model.whole(check.get("max_reply_length", 255)),
            )
            if low is not None and high is not None and low > high:
                what = f"{low} is above max_reply_length {high}"
                found.append(director.problem(f"{where}.{name}.min_reply_length", what))
    return found


def _source(director: Director, real: Server, check: Server, where: str) -> list[Problem]:
    """The address a check is made from is of the family of the one it is made to."""
    source, target = model.family(check.get("bindto")), model.family(check.get("connect_ip", real.get("ip")))
    if source is None or target is None or source == target:
        return []
    what = f"it is IPv{source}, the address to check is IPv{target}"
    return [director.problem(f"{where}.bindto", what, "keepalived skips it")]


def _dns_name(director: Director, real: Server, where: str) -> list[Problem]:
    """RFC 1035, 2.3.4: labels of 1 to 63 octets, 255 together; the root is a dot alone."""
    found: list[Problem] = []
    for check in blocks(real.get("DNS_CHECK")):
        name = str(check.get("name", "."))
        labels = name[:-1].split(".") if name.endswith(".") else name.split(".")
        if name != "." and (len(name) > 255 or not all(0 < len(one) <= 63 for one in labels)):
            what = "it is no DNS name: a part between dots is empty, longer than 63 characters, or all is above 255"
            found.append(director.problem(f"{where}.DNS_CHECK.name", what))
    return found


def _resolve(director: Director, real: Server, where: str) -> list[Problem]:
    """One name is one real server."""
    if real.get("resolve") is None or address.try_parse(real.get("ip")) is not None:
        return []
    what = f"{real.get('ip')} are several real servers, a name is the address of one"
    return [director.problem(f"{where}.resolve", what, "write a real_server for each")]


def _span(real: Server) -> _Span | None:
    """The first address of a real server's block, and how many there are; None when unreadable."""
    try:
        return address.span(str(real.get("ip")))
    except BadValue:
        return None


def _pool(director: Director, server: Server, reals: _Reals, spans: t.Sequence[_Span | None]) -> list[Problem]:
    seen: set[tuple[int, int, int | None]] = set()
    found: list[Problem] = []
    for (path, real), span in zip(reals, spans):
        if span is None:
            continue
        low, count = span
        port = model.whole(real.get("port", server.get("port")))
        for number in range(int(low), int(low) + count):
            key = (low.version, number, port)
            if key in seen:
                at = low + (number - int(low))
                found.append(
                    director.problem(path, f"the real server {at} is in this pool twice", "write it once")
                )
            seen.add(key)
    return found


def _weights_of(server: Server, reals: _Reals, spans: t.Sequence[_Span | None]) -> list[int]:
    """The weights of all real servers; none when one is unreadable."""
    default = server.get("weight", 1)
    found: list[int] = []
    for (_path, real), span in zip(reals, spans):
        weight = model.whole(real.get("weight", default))
        if weight is None:
            return []
        found += [weight] * (span[1] if span is not None else 1)
    return found


def _weights(director: Director, server: Server, where: str, weights: list[int]) -> list[Problem]:
    if not weights:
        return []
    total = sum(weights)
    if total == 0:
        return [
            director.problem(
                f"{where}.real_server", "every weight is 0, so nobody serves", "give one a weight"
            )
        ]
    quorum = model.whole(server.get("quorum", 1))
    hysteresis = model.whole(server.get("hysteresis", 0))
    if quorum is not None and quorum > total:
        what = f"{quorum} is above the weight of all servers together, {total}"
        return [director.problem(f"{where}.quorum", what, f"write at most {total}")]
    if quorum is not None and hysteresis is not None and hysteresis >= quorum:
        return [director.problem(f"{where}.hysteresis", f"{hysteresis} is not below the quorum, {quorum}")]
    if quorum is not None and hysteresis is not None and quorum + hysteresis > total:
        what = f"the quorum is gained at {quorum} + {hysteresis}, and all servers together weigh {total}: never"
        instead = f"write at most {total - quorum}, or a lower quorum"
        return [director.problem(f"{where}.hysteresis", what, instead, WARNING)]
    return []


def _floor(director: Director, server: Server, where: str, weights: list[int]) -> list[Problem]:
    """The depool floor: there are so many servers, and with a sorry server they are enough for the quorum."""
    said = str(server.get("depool_floor", "0"))
    number = model.whole(said.rstrip("%"))
    if not number or not weights:
        return []
    if said.endswith("%"):
        number = (number * len(weights) + 99) // 100  # rounded up
    elif number > len(weights):
        what = f"{number} is above the number of real servers, {len(weights)}"
        return [director.problem(f"{where}.depool_floor", what, f"write at most {len(weights)}, or 100%")]
    kept = sum(sorted(weights)[:number])
    least = (model.whole(server.get("quorum", 1)) or 1) - (model.whole(server.get("hysteresis", 0)) or 0)
    if server.get("sorry_server") is None or kept >= least:
        return []
    what = f"the servers it keeps may have a weight of {kept} together; below {least} the sorry server replaces them"
    return [director.problem(f"{where}.depool_floor", what, "write a higher one, or a lower quorum", WARNING)]


def _slow_start(director: Director, server: Server, where: str, weights: list[int]) -> list[Problem]:
    said = [server, *blocks(server.get("real_server"))]
    if max(weights, default=2) > 1 or not any(model.whole(one.get("slow_start", 0)) != 0 for one in said):
        return []
    what = "a weight of 1 has nowhere to grow from"
    return [director.problem(f"{where}.slow_start", what, "write weight 10 or the like for its servers", WARNING)]
