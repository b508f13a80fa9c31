# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of ``virtual_routes`` and ``virtual_rules`` -> what the kernel is to hold; pure.

The words are those of ip-route(8) and ip-rule(8). Numbers are linux/rtnetlink.h's and linux/fib_rules.h's. Names of
tables and protocols are those iproute2 has by itself: its files are not read.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..conf import address
from ..conf.problem import BadValue
from .from_conf_addresses import scope_number
from .plan import TABLE_MAIN, Hop, RouteHolding, RuleHolding

_TABLES = {"local": 255, "main": TABLE_MAIN, "default": 253}
_PROTOCOLS = {"kernel": 2, "boot": 3, "static": 4, "ra": 9, "dhcp": 16, "keepalived": 18}
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
_HOP_WORDS = ("via", "gw", "or", "dev", "oif", "weight", "onlink", "nexthop")
_IGNORED_FLAGS = ("inet", "inet6", "add", "append", "prepend")

_GOTO = 2
_RULE_ACTIONS = {"unicast": 1, "nop": 3, "blackhole": 6, "unreachable": 7, "prohibit": 8}
_IIFNAME, _GOTO_ATTR, _FWMARK, _SUPPRESS_PREFIXLEN, _FWMASK, _OIFNAME = 3, 4, 10, 14, 16, 17
_L3MDEV, _IP_PROTO, _SPORT, _DPORT, _UID_RANGE = 19, 22, 23, 24, 20
_U32 = struct.Struct("=I")
_IP_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "ipv6-icmp": 58, "sctp": 132}


def _known(word: str, names: dict[str, int], what: str) -> int:
    """A number, or the number of a name."""
    if word in names:
        return names[word]
    try:
        return int(word, 0)
    except ValueError:
        raise BadValue(f"{word!r} is not the number of {what}", f"write its number, or {', '.join(names)}") from None


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
    return [word for word in words if word not in _IGNORED_FLAGS]


# ---- routes


def route(words: list[str]) -> RouteHolding:
    """One line of virtual_routes. Raises BadValue for what lvs-agent cannot do."""
    family = 6 if "inet6" in words else 0
    found: dict[str, Any] = {"destination": b"", "prefixlen": 0}
    hops: list[Hop] = []
    metrics: list[tuple[int, int]] = []
    rest = _without_family(words)
    while rest:
        word = rest.pop(0)
        if word in _HOP_WORDS:
            _hop(hops, word, rest)
        elif word in _METRICS:
            metrics.append(_metric(word, rest, found))
        elif word in _ROUTE_TYPES:
            found["kind"] = _ROUTE_TYPES[word]
        elif word == "no_track":
            found["tracked"] = False
        elif not _route_value(found, word, rest):
            own, found["destination"], found["prefixlen"] = _network(rest.pop(0) if word == "to" else word)
            family = family or own
    addresses = [found.get("source", b""), *(hop.gateway for hop in hops)]
    family = family or next((4 if len(at) == 4 else 6 for at in addresses if at), 4)
    return RouteHolding(family=family, hops=tuple(hops), metrics=tuple(metrics), **found)


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
        hops[-1] = replace(hops[-1], weight=_number(rest.pop(0)))


def _metric(word: str, rest: list[str], found: dict[str, Any]) -> tuple[int, int]:
    if rest[:1] == ["lock"]:
        rest.pop(0)
        found["lock"] = found.get("lock", 0) | 1 << _METRICS[word]
    if word == "fastopen_no_cookie" and not rest[:1]:
        return _METRICS[word], 1
    return _METRICS[word], _number(rest.pop(0))


def _route_value(found: dict[str, Any], word: str, rest: list[str]) -> bool:
    """Take one of the words with one value; False when it is none."""
    if word in ("table", "vrf"):
        found["table"] = _known(rest.pop(0), _TABLES, "a routing table")
    elif word in ("metric", "priority", "preference"):
        found["metric"] = _number(rest.pop(0))
    elif word in ("tos", "dsfield"):
        found["tos"] = _number(rest.pop(0))
    elif word == "scope":
        found["scope"] = scope_number(rest.pop(0))
    elif word == "protocol":
        found["protocol"] = _known(rest.pop(0), _PROTOCOLS, "a routing protocol")
    elif word == "src":
        found["source"] = address.parse(rest.pop(0)).packed
    elif word == "to" or address.try_parse(word.partition("/")[0]) or word in ("default", "default6", "any", "all"):
        return False
    else:
        raise BadValue(f"{word!r} in a virtual route is not supported by lvs-agent", "remove it")
    return True


# ---- rules


def rule(words: list[str]) -> RuleHolding:
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
            _rule_value(found, attributes, word, rest)
    return RuleHolding(family=family or 4, attributes=tuple(attributes), **found)


def _rule_value(found: dict[str, Any], attributes: list[tuple[int, bytes]], word: str, rest: list[str]) -> None:
    """Take one of the words with a value."""
    value = rest.pop(0) if rest else ""
    if word in _RULE_ATTRIBUTES:
        kind, pack = _RULE_ATTRIBUTES[word]
        attributes.append((kind, pack(value)))
    elif word in ("table", "lookup"):
        found["table"] = _known(value, _TABLES, "a routing table")
    elif word in ("pref", "preference", "priority", "order"):
        found["priority"] = _number(value)
    elif word in ("tos", "dsfield"):
        found["tos"] = _number(value)
    elif word == "goto":
        found["action"] = _GOTO
        attributes.append((_GOTO_ATTR, _u32(value)))
    elif word == "fwmark":
        mark, slash, mask = value.partition("/")
        attributes.append((_FWMARK, _u32(mark)))
        if slash:
            attributes.append((_FWMASK, _u32(mask)))
    else:
        raise BadValue(f"{word!r} in a virtual rule is not supported by lvs-agent", "remove it")


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise BadValue(f"{text!r} is not a number") from None


def _u32(text: str) -> bytes:
    return _U32.pack(_number(text) & 0xFFFFFFFF)


def _name(text: str) -> bytes:
    return text.encode() + b"\0"


def _range(form: str, value: str) -> bytes:
    low, dash, high = value.partition("-")
    return struct.pack(form, _number(low), _number(high if dash else low))


_RULE_ATTRIBUTES: dict[str, tuple[int, Callable[[str], bytes]]] = {
    "iif": (_IIFNAME, _name),
    "dev": (_IIFNAME, _name),
    "oif": (_OIFNAME, _name),
    "suppress_prefixlength": (_SUPPRESS_PREFIXLEN, _u32),
    "sup_pl": (_SUPPRESS_PREFIXLEN, _u32),
    "ipproto": (_IP_PROTO, lambda value: bytes((_known(value, _IP_PROTOCOLS, "a protocol"),))),
    "ip_proto": (_IP_PROTO, lambda value: bytes((_known(value, _IP_PROTOCOLS, "a protocol"),))),
    "sport": (_SPORT, lambda value: _range("=HH", value)),
    "dport": (_DPORT, lambda value: _range("=HH", value)),
    "uidrange": (_UID_RANGE, lambda value: _range("=II", value)),
}
