# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of ``virtual_routes`` and ``virtual_rules`` -> what the kernel is to hold; pure.

The words are those of ip-route(8) and ip-rule(8). Numbers are linux/rtnetlink.h's and linux/fib_rules.h's.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..conf import address, ip_numbers
from ..conf.ip_numbers import ROUTE, RULE
from ..conf.problem import BadValue
from ..kernel.route_names import DSFIELDS, GROUPS, PROTOCOLS, REALMS, TABLES, Names
from ..spelling import nearest
from .plan import Hop, Prefer, RouteHolding, RuleHolding

_ROUTE_TYPES = {
    "unicast": 1,
    "local": 2,
    "broadcast": 3,
    "multicast": 5,
    "blackhole": 6,
    "unreachable": 7,
    "prohibit": 8,
    "throw": 9,
}
_METRICS = {
    "mtu": 2,
    "window": 3,
    "ssthresh": 6,
    "cwnd": 7,
    "advmss": 8,
    "reordering": 9,
    "hoplimit": 10,
    "initcwnd": 11,
    "initrwnd": 14,
    "quickack": 15,
    "fastopen_no_cookie": 17,
}
_TIMES = {"rtt": 4, "rttvar": 5, "rto_min": 13}
_FEATURES, _CONGCTL = 12, 16
_RTA_FLOW, _RTA_PREF, _RTA_EXPIRES, _RTA_TTL_PROPAGATE = 11, 20, 23, 26
_PREFER = {"prepend": Prefer.FIRST, "append": Prefer.LAST, "add": Prefer.OTHERS}
_HOP_WORDS = ("via", "gw", "or", "dev", "oif", "weight", "onlink", "nexthop")
_FAMILIES = ("inet", "inet6")

_GOTO = 2
_RULE_ACTIONS = {"unicast": 1, "nop": 3, "blackhole": 6, "unreachable": 7, "prohibit": 8}
_IIFNAME, _GOTO_ATTR, _FWMARK, _SUPPRESS_PREFIXLEN, _FWMASK, _OIFNAME = 3, 4, 10, 14, 16, 17
_FLOW, _TUN_ID, _SUPPRESS_IFGROUP = 11, 12, 13
_L3MDEV, _IP_PROTO, _SPORT, _DPORT, _UID_RANGE = 19, 22, 23, 24, 20
_U32 = struct.Struct("=I")
_PORTS, _USERS, _TUNNEL = struct.Struct("=HH"), struct.Struct("=II"), struct.Struct("!Q")


def _network(text: str) -> tuple[int, bytes, int]:
    """(family or 0, packed address, prefix length) of ADDRESS[/LENGTH]; default has no address."""
    if text in ("default", "any", "all"):
        return 0, b"", 0
    if text == "default6":
        return 6, b"", 0
    at, length = address.interface(text)
    return at.version, at.packed, length


def _without_family(words: list[str]) -> list[str]:
    """``via inet6 ADDRESS`` as ``via ADDRESS``: the address itself tells."""
    return [word for word in words if word not in _FAMILIES]


# ---- routes


def route(words: list[str], names: Names) -> RouteHolding:
    """One line of virtual_routes. Raises BadValue for what lvs-agent cannot do."""
    family = 6 if "inet6" in words else 0
    found: dict[str, Any] = {"destination": b"", "prefixlen": 0}
    hops: list[Hop] = []
    metrics: list[tuple[int, int | bytes]] = []
    attributes: list[tuple[int, bytes]] = []
    rest = _without_family(_supported(words))
    while rest:
        word = rest.pop(0)
        if word in _HOP_WORDS:
            _hop(hops, word, rest)
        elif word in _METRICS or word in _TIMES or word in ("features", "congctl"):
            metrics.append(_metric(word, rest, found))
        elif word in _ROUTE_ATTRIBUTES:
            attributes.append(_ROUTE_ATTRIBUTES[word](rest.pop(0), names))
        elif word in _PREFER:
            found["prefer"] = _PREFER[word]
        elif word in _ROUTE_TYPES:
            found["kind"] = _ROUTE_TYPES[word]
        elif word == "no_track":
            found["tracked"] = False
        elif not _route_value(found, word, rest, names):
            own, found["destination"], found["prefixlen"] = _network(rest.pop(0) if word == "to" else word)
            family = family or own
    addresses = [found.get("source", b""), *(hop.gateway for hop in hops)]
    family = family or next((4 if len(at) == 4 else 6 for at in addresses if at), 4)
    _refuse(words, family)
    return RouteHolding(
        family=family, hops=tuple(hops), metrics=tuple(metrics), attributes=tuple(attributes), **found
    )


def _supported(words: list[str]) -> list[str]:
    if "encap" in words:
        raise BadValue("lvs-agent does not support encap", "make a tunnel interface, and write its name as dev")
    return words


def _refuse(words: list[str], family: int) -> None:
    for word in _IPV6_ONLY if family == 4 else _IPV4_ONLY:
        if word in words:
            raise BadValue(f"{word} is for IPv{10 - family} routes only", "remove it")


def _hop(hops: list[Hop], word: str, rest: list[str]) -> None:
    """A word of the last hop, or the beginning of the next one."""
    if not hops or word in ("nexthop", "or"):
        hops.append(Hop())
    if word == "onlink":
        hops[-1] = replace(hops[-1], onlink=True)
    elif word in ("via", "gw", "or"):
        hops[-1] = replace(hops[-1], gateway=address.parse(rest.pop(0)).packed)
    elif word in ("dev", "oif"):
        hops[-1] = replace(hops[-1], interface=rest.pop(0))
    elif word == "weight":
        hops[-1] = replace(hops[-1], weight=ROUTE["weight"].read(rest.pop(0)))


def _metric(word: str, rest: list[str], found: dict[str, Any]) -> tuple[int, int | bytes]:
    number = _METRICS[word] if word in _METRICS else _TIMES.get(word, _CONGCTL)
    if rest[:1] == ["lock"]:
        rest.pop(0)
        found["lock"] = found.get("lock", 0) | 1 << number
    value = rest.pop(0)
    if word == "congctl":
        return number, value.encode() + b"\0"
    if word == "features":
        return _FEATURES, ROUTE[word].read(value)
    return number, ip_numbers.route_time(word, value) if word in _TIMES else ROUTE[word].read(value)


def _route_value(found: dict[str, Any], word: str, rest: list[str], names: Names) -> bool:
    """Take one of the words with one value; False when it is none."""
    if word == "table":
        found["table"] = ROUTE[word].read(rest.pop(0), names.of(TABLES))
    elif word == "vrf":
        raise BadValue("lvs-agent does not support vrf in a route", "write table and the number of the VRF's table")
    elif word in ("metric", "priority", "preference"):
        found["metric"] = ROUTE[word].read(rest.pop(0))
    elif word in ("tos", "dsfield"):
        found["tos"] = ROUTE[word].read(rest.pop(0), names.of(DSFIELDS))
    elif word == "scope":
        found["scope"] = ROUTE[word].read(rest.pop(0))
    elif word == "protocol":
        found["protocol"] = ROUTE[word].read(rest.pop(0), names.of(PROTOCOLS))
    elif word == "src":
        found["source"] = address.parse(rest.pop(0)).packed
    elif word == "to" or address.try_parse(word.partition("/")[0]) or word in ("default", "default6", "any", "all"):
        return False
    else:
        raise BadValue(f"lvs-agent does not support {word} in a route", "remove it, or let ip(8) make the route")
    return True


def _realms(text: str, names: Names) -> bytes:
    """Both in one number, as the kernel has them."""
    source, destination = ip_numbers.realms(text, names.of(REALMS))
    return _U32.pack(source << 16 | destination)


_ROUTE_ATTRIBUTES: dict[str, Callable[[str, Names], tuple[int, bytes]]] = {
    "realms": lambda value, names: (_RTA_FLOW, _realms(value, names)),
    "expires": lambda value, names: (_RTA_EXPIRES, _U32.pack(ROUTE["expires"].read(value))),
    "pref": lambda value, names: (_RTA_PREF, bytes((ROUTE["pref"].read(value),))),
    "ttl-propagate": lambda value, names: (_RTA_TTL_PROPAGATE, bytes((ip_numbers.ttl_propagate(value),))),
}
_IPV6_ONLY = ("expires", "pref")
_IPV4_ONLY = ("tos", "dsfield")  # the kernel refuses it in IPv6 routes (since 5.18)


# ---- rules


def rule(words: list[str], names: Names) -> RuleHolding:
    """One line of virtual_rules. Raises BadValue for what lvs-agent cannot do."""
    family = 6 if "inet6" in words else 0
    found: dict[str, Any] = {}
    attributes: list[tuple[int, bytes]] = []
    rest = _without_family(words)
    while rest:
        word = rest.pop(0)
        if word in ("from", "to"):
            own, packed, length = _network(rest.pop(0))
            side = "source" if word == "from" else "destination"
            found[side], found[f"{side}_prefixlen"] = packed, length
            family = family or own
        elif word in _RULE_ACTIONS:
            found["action"] = _RULE_ACTIONS[word]
        elif word == "not":
            found["invert"] = True
        elif word == "no_track":
            found["tracked"] = False
        elif word == "l3mdev":
            attributes.append((_L3MDEV, b"\1"))
        else:
            _rule_value(found, attributes, word, rest, names)
    for kind, packed in attributes:
        if kind == _GOTO_ATTR and _U32.unpack(packed)[0] <= found.get("priority", 0):
            raise BadValue("goto leads backwards, which the kernel refuses", "write a target above the priority")
    return RuleHolding(family=family or 4, attributes=tuple(attributes), **found)


def _rule_value(
    found: dict[str, Any], attributes: list[tuple[int, bytes]], word: str, rest: list[str], names: Names
) -> None:
    """Take one of the words with a value."""
    value = rest.pop(0) if rest else ""
    if word in _RULE_ATTRIBUTES:
        kind, pack = _RULE_ATTRIBUTES[word]
        attributes.append((kind, pack(value)))
    elif word in _RULE_NAMES:
        field, kind_of_name = _RULE_NAMES[word]
        found[field] = RULE[word].read(value, names.of(kind_of_name))
    elif word in ("suppress_ifgroup", "sup_group"):
        attributes.append((_SUPPRESS_IFGROUP, _U32.pack(RULE[word].read(value, names.of(GROUPS)))))
    elif word == "realms":
        attributes.append((_FLOW, _realms(value, names)))
    elif word == "type":
        found["action"] = _action(value)
    elif word in ("pref", "preference", "priority", "order"):
        found["priority"] = RULE[word].read(value)
    elif word == "goto":
        found["action"] = _GOTO
        attributes.append((_GOTO_ATTR, _U32.pack(RULE[word].read(value))))
    elif word == "fwmark":
        mark, mask = ip_numbers.fwmark(value)
        attributes.append((_FWMARK, _U32.pack(mark)))
        if mask is not None:
            attributes.append((_FWMASK, _U32.pack(mask)))
    else:
        raise BadValue(f"lvs-agent does not support {word} in a rule", "remove it, or let ip(8) make the rule")


def _action(text: str) -> int:
    if text not in _RULE_ACTIONS:
        raise BadValue(f"{text!r} is not a type of rule", nearest(text, _RULE_ACTIONS))
    return _RULE_ACTIONS[text]


_RULE_NAMES = {
    "table": ("table", TABLES),
    "lookup": ("table", TABLES),
    "tos": ("tos", DSFIELDS),
    "dsfield": ("tos", DSFIELDS),
    "protocol": ("protocol", PROTOCOLS),
}


def _name(text: str) -> bytes:
    return text.encode() + b"\0"


def _byte(word: str) -> Callable[[str], bytes]:
    return lambda value: bytes((RULE[word].read(value),))


def _u32(word: str) -> Callable[[str], bytes]:
    return lambda value: _U32.pack(RULE[word].read(value))


_RULE_ATTRIBUTES: dict[str, tuple[int, Callable[[str], bytes]]] = {
    "iif": (_IIFNAME, _name),
    "dev": (_IIFNAME, _name),
    "oif": (_OIFNAME, _name),
    "suppress_prefixlength": (_SUPPRESS_PREFIXLEN, _u32("suppress_prefixlength")),
    "sup_pl": (_SUPPRESS_PREFIXLEN, _u32("sup_pl")),
    "ipproto": (_IP_PROTO, _byte("ipproto")),
    "ip_proto": (_IP_PROTO, _byte("ip_proto")),
    "sport": (_SPORT, lambda value: _PORTS.pack(*ip_numbers.ports("sport", value))),
    "dport": (_DPORT, lambda value: _PORTS.pack(*ip_numbers.ports("dport", value))),
    "tunnel-id": (_TUN_ID, lambda value: _TUNNEL.pack(RULE["tunnel-id"].read(value))),
    "uidrange": (_UID_RANGE, lambda value: _USERS.pack(*ip_numbers.users(value))),
}
