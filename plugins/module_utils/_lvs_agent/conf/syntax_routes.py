# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of virtual and static routes and rules: the words of ``ip route`` and ``ip rule`` that keepalived takes.

Which keyword there is and whether a value follows is judged here; most values the kernel has to judge.
Source: keepalived.conf(5), ip-route(8), ip-rule(8), and ``keepalived -t`` of 2.2.7.
"""

from __future__ import annotations

import typing as t

from ..spelling import nearest
from . import address
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


def route(words: Words) -> Words:
    """``[TYPE] [to] ADDRESS[/LENGTH] [via ADDRESS] [dev IF] …``."""
    return _read(words, "a route", ROUTE_VALUES, ROUTE_FLAGS, _ROUTE_ADDRESSES)


def rule(words: Words) -> Words:
    """``[from ADDRESS[/LENGTH]] [to ADDRESS[/LENGTH]] … [table TABLE]``."""
    return _read(words, "a rule", RULE_VALUES, RULE_FLAGS, ("from", "to"))


def _read(
    words: Words, kind: str, values: t.Sequence[str], flags: t.Sequence[str], addresses: t.Sequence[str]
) -> Words:
    place, destination = 0, kind == "a rule"
    while place < len(words):
        word = words[place]
        if word == "encap":
            return words  # its own language until the end
        if word in values:
            place += 1
            # `via inet6 ADDRESS` and `mtu lock NUMBER`
            place += 1 if words[place : place + 1] in (["inet"], ["inet6"], ["lock"]) else 0
            if place >= len(words):
                raise BadValue(f"{word!r} has no value behind it", word=place - 1)
            if word in addresses or word == "to":
                _network(words[place], place)
            destination = destination or word == "to"
        elif word not in flags:
            if destination:
                raise BadValue(f"{word!r} is not a word of {kind}", nearest(word, (*values, *flags)), place)
            _network(word, place)
            destination = True
        destination = destination or word == "default"
        place += 1
    if not destination:
        raise BadValue(f"{kind} has no destination", "write an address and prefix length")
    return words


def _network(text: str, place: int) -> None:
    if text in _ANY:
        return
    try:
        address.interface(text)
    except BadValue as bad:
        raise BadValue(bad.what, bad.instead, place) from None
