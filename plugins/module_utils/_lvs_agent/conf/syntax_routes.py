# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of virtual and static routes and rules: the words of ``ip route`` and ``ip rule`` that keepalived takes.

Which keyword there is, whether a value follows, and the ranges of numbers (:mod:`.ip_numbers`) are judged here.
Source: keepalived.conf(5), ip-route(8), ip-rule(8), and ``keepalived -t`` of 2.2.7.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ..spelling import nearest
from . import address, ip_numbers
from .problem import BadValue

Words = list[str]
_TYPES = ("unicast", "local", "broadcast", "multicast", "throw", "unreachable", "prohibit", "blackhole", "nat")
ROUTE_VALUES = (
    *("src", "to", "via", "gw", "or", "dev", "oif", "scope", "table", "tos", "dsfield", "protocol", "vrf", "as"),
    *("metric", "priority", "preference", "pref", "mtu", "hoplimit", "advmss", "rtt", "rttvar", "reordering"),
    *("window", "cwnd", "ssthresh", "realms", "rto_min", "initcwnd", "initrwnd", "features", "quickack"),
    *("congctl", "expires", "fastopen_no_cookie", "ttl-propagate", "weight", "track_group"),
)
ROUTE_FLAGS = (*_TYPES, "nexthop", "onlink", "no_track", "add", "append", "prepend", "inet", "inet6", "default")
_ROUTE_ADDRESSES = ("src", "via", "gw", "or")
RULE_VALUES = (
    *("from", "to", "table", "lookup", "tos", "dsfield", "fwmark", "iif", "dev", "oif", "pref", "preference"),
    *("priority", "order", "realms", "goto", "suppress_prefixlength", "sup_pl", "suppress_ifgroup", "sup_group"),
    *("tunnel-id", "uidrange", "protocol", "ipproto", "ip_proto", "sport", "dport", "track_group", "type"),
)
RULE_FLAGS = (*_TYPES, "not", "nop", "l3mdev", "no_track", "inet", "inet6")
_ANY = ("default", "default6", "any", "all")


class _Kind(t.NamedTuple):
    """What tells a route from a rule. ``check`` judges the value of a keyword, ``network`` the address it is to."""

    name: str
    values: t.Sequence[str]
    flags: t.Sequence[str]
    addresses: t.Sequence[str]
    check: t.Callable[[str, str], None]
    network: t.Callable[[str], None]


def _network(text: str) -> None:
    if text not in _ANY:
        address.interface(text)


def _destination(text: str) -> None:
    """The kernel refuses an IPv4 route with bits behind its prefix; of IPv6 it cuts them off."""
    if text in _ANY:
        return
    at, length = address.interface(text)
    network = ipaddress.ip_network(f"{at}/{length}", strict=False)
    if at.version == 4 and network.network_address != at:
        raise BadValue(f"{text!r} is not a network: it has bits behind its prefix length", f"write {network}")


_ROUTE = _Kind("a route", ROUTE_VALUES, ROUTE_FLAGS, _ROUTE_ADDRESSES, ip_numbers.check_route, _destination)
_RULE = _Kind("a rule", RULE_VALUES, RULE_FLAGS, ("from", "to"), ip_numbers.check_rule, _network)


def route(words: Words) -> Words:
    """``[TYPE] [to] ADDRESS[/LENGTH] [via ADDRESS] [dev IF] …``."""
    return _read(words, _ROUTE)


def rule(words: Words) -> Words:
    """``[from ADDRESS[/LENGTH]] [to ADDRESS[/LENGTH]] … [table TABLE]``."""
    return _read(words, _RULE)


def _read(words: Words, kind: _Kind) -> Words:
    place, destination = 0, kind is _RULE
    while place < len(words):
        word = words[place]
        if word == "encap":
            return words  # its own language until the end
        if word in kind.values:
            place += 1
            # `via inet6 ADDRESS` and `mtu lock NUMBER`
            place += 1 if words[place : place + 1] in (["inet"], ["inet6"], ["lock"]) else 0
            if place >= len(words):
                raise BadValue(f"{word!r} has no value behind it", word=place - 1)
            if word in kind.addresses or word == "to":
                _at(place, kind.network if word == "to" else _network, words[place])
            _at(place, kind.check, word, words[place])
            destination = destination or word == "to"
        elif word not in kind.flags:
            if destination:
                raise BadValue(
                    f"{word!r} is not a word of {kind.name}", nearest(word, (*kind.values, *kind.flags)), place
                )
            _at(place, kind.network, word)
            destination = True
        destination = destination or word == "default"
        place += 1
    if not destination:
        raise BadValue(f"{kind.name} has no destination", "write an address and prefix length")
    return words


def _at(place: int, judge: t.Callable[..., None], *words: str) -> None:
    """Judge what stands at a place of the line."""
    try:
        judge(*words)
    except BadValue as bad:
        raise BadValue(bad.what, bad.instead, place) from None
