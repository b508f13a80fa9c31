# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of VIPs, routes and rules: what each keyword may have, and how its text is read; pure.

A range is the kernel's, or keepalived's where that is narrower: what passes here, the kernel takes. Sources:
ip-route(8), ip-rule(8), linux/rtnetlink.h, linux/fib_rules.h, net/core/fib_rules.c, net/ipv4/fib_frontend.c,
net/ipv4/fib_semantics.c, and ``keepalived -t`` of 2.2.7.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ..kernel.addresses import SCOPES
from ..spelling import nearest
from . import numbers
from .numbers import INT32, UINT8, UINT32, UINT64, Range
from .problem import BadValue

Names = t.Mapping[str, int]
FOREVER = "forever"

_U8, _U32, _SWITCH = Range(0, UINT8), Range(0, UINT32), Range(0, 1)
_ECN_BITS = 3
_METRIC_PARTS = {"rtt": 8, "rttvar": 4, "rto_min": 1}  # what the kernel counts of a millisecond
_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "ipv6-icmp": 58, "sctp": 132}
_PREFERENCES = {"low": 3, "medium": 0, "high": 1}
_FEATURES = {"ecn": 1}


@dataclasses.dataclass(frozen=True)
class Number:
    """One number after ``keyword``.

    ``names`` are what may stand for it. ``based``: it may be octal or hexadecimal, as in C. ``named``: so it may, and
    iproute2 has a file of names of such things, which is known on the director only.
    """

    keyword: str
    wanted: Range
    names: Names = dataclasses.field(default_factory=dict)
    based: bool = False
    named: str = ""

    def read(self, text: str, names: Names | None = None) -> int:
        """The number; 0 for a name while ``names``, those of the file, are not known. Raises BadValue."""
        known = {**self.names, **(names or {})}
        if text in known:
            found: int | None = known[text]
        elif self.based or self.named:
            found = numbers.c_number(text)
        else:
            found = numbers.whole(text, signed=True)
        if found is None and self.named and not _like_a_number(text):
            if names is None:
                return 0
            near = nearest(text, known)
            raise BadValue(f"{text!r} is not the name of {self.named}", f"write its number{near and f'; {near}'}")
        if found is None or not self.wanted.low <= found <= self.wanted.high:
            near = "" if _like_a_number(text) else nearest(text, self.names)
            raise BadValue(f"{self.keyword} {text!r} is not {self._expected()}", near)
        return found

    def _expected(self) -> str:
        return f"a number {self.wanted}{' or one of ' if self.names else ''}{', '.join(self.names)}"


class _Tos(Number):
    """A DS field: the kernel refuses one with bits of ECN (since 5.17)."""

    def read(self, text: str, names: Names | None = None) -> int:
        found = super().read(text, names)
        if found & _ECN_BITS:
            what = f"{self.keyword} {text!r} has the bits of ECN, which the kernel refuses"
            raise BadValue(what, f"write {found & ~_ECN_BITS}")
        return found


def _like_a_number(text: str) -> bool:
    """Whether the text is meant to be a number, rather than a name."""
    return text.lstrip("+-")[:1].isdigit()


_SCOPE = Number("scope", _U8, SCOPES, based=True)
# RT_SCOPE_NOWHERE is for routes that do not exist
_ROUTE_SCOPE = Number("scope", Range(0, SCOPES["host"]), SCOPES, based=True)
_LIFETIME = Number("preferred_lft", _U32)
_REALM = Number("realms", _U8, named="a realm")
_PORT = Range(1, numbers.UINT16 - 1)
_USER = Range(0, UINT32 - 1)  # the last one is no user
_MARK = Number("fwmark", _U32, based=True)

_ROUTE = (
    *(Number(keyword, _U32) for keyword in ("mtu", "advmss", "window", "cwnd", "ssthresh", "reordering")),
    *(Number(keyword, _U32) for keyword in ("initcwnd", "initrwnd", "metric", "priority", "preference", "expires")),
    *(Number(keyword, _SWITCH) for keyword in ("quickack", "fastopen_no_cookie")),
    Number("hoplimit", _U8),
    # the kernel has it, less 1, in a byte
    Number("weight", Range(1, 256)),
    Number("table", _U32, named="a routing table"),
    Number("protocol", _U8, named="a routing protocol"),
    *(_Tos(keyword, _U8, named="a TOS") for keyword in ("tos", "dsfield")),
    _ROUTE_SCOPE,
    Number("pref", _U8, _PREFERENCES),
    Number("features", Range(1, 1), _FEATURES),
)
_RULE = (
    *(Number(keyword, Range(1, UINT32), named="a routing table") for keyword in ("table", "lookup")),
    *(Number(keyword, _U32, based=True) for keyword in ("pref", "preference", "priority", "order")),
    *(_Tos(keyword, _U8, named="a TOS") for keyword in ("tos", "dsfield")),
    Number("protocol", _U8, named="a routing protocol"),
    Number("goto", Range(1, UINT32)),
    Number("tunnel-id", Range(0, UINT64)),
    *(Number(keyword, Range(0, INT32)) for keyword in ("suppress_prefixlength", "sup_pl")),
    *(Number(keyword, Range(0, INT32), named="a group of interfaces") for keyword in ("suppress_ifgroup", "sup_group")),
    *(Number(keyword, Range(0, 253), _PROTOCOLS) for keyword in ("ipproto", "ip_proto")),
)
ROUTE: t.Mapping[str, Number] = {one.keyword: one for one in _ROUTE}
RULE: t.Mapping[str, Number] = {one.keyword: one for one in _RULE}


def scope(text: str) -> int:
    """The scope of an address. Raises BadValue."""
    return _SCOPE.read(text)


def preferred_lft(text: str) -> int | None:
    """Seconds, None for ever. Raises BadValue."""
    return None if text == FOREVER else _LIFETIME.read(text)


def route_time(keyword: str, text: str) -> int:
    """``100``, ``100ms`` or ``1s`` after rtt, rttvar or rto_min, in the kernel's unit. Raises BadValue."""
    number, factor = text, 1
    if text.endswith("ms"):
        number = text[:-2]
    elif text.endswith("s"):
        number, factor = text[:-1], 1000
    parts = _METRIC_PARTS[keyword]
    found, most = numbers.whole(number), UINT32 // parts
    if found is None or found * factor > most:
        raise BadValue(f"{keyword} {text!r} is not a number of milliseconds from 0 to {most}", "write it as in 100ms")
    return found * factor * parts


def realms(text: str, names: Names | None = None) -> tuple[int, int]:
    """``[FROM/]TO``; FROM is 0 without one. Raises BadValue."""
    source, slash, destination = text.rpartition("/")
    return _REALM.read(source, names) if slash else 0, _REALM.read(destination, names)


def fwmark(text: str) -> tuple[int, int | None]:
    """``MARK[/MASK]``; None without a mask. Raises BadValue."""
    mark, slash, mask = text.partition("/")
    return _MARK.read(mark), _MARK.read(mask) if slash else None


def ports(keyword: str, text: str) -> tuple[int, int]:
    """``PORT[-PORT]`` of a rule. Raises BadValue."""
    return _span(keyword, text, _PORT)


def users(text: str) -> tuple[int, int]:
    """``UID[-UID]`` of a rule. Raises BadValue."""
    return _span("uidrange", text, _USER)


def ttl_propagate(text: str) -> bool:
    """Whether an MPLS route copies the TTL. Raises BadValue."""
    if text not in ("enabled", "1", "disabled", "0"):
        raise BadValue(f"ttl-propagate {text!r} is neither enabled nor disabled")
    return text in ("enabled", "1")


def _span(keyword: str, text: str, wanted: Range) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    low = numbers.read(first, wanted, keyword)
    high = numbers.read(last, wanted, keyword) if dash else low
    if low > high:
        raise BadValue(f"the range {keyword} {text!r} ends before its start")
    return low, high


def check_route(keyword: str, text: str) -> None:
    """Raise BadValue when no kernel takes this after a keyword of a route; what is no number passes."""
    if keyword in ROUTE:
        ROUTE[keyword].read(text)
    elif keyword in _METRIC_PARTS:
        route_time(keyword, text)
    elif keyword == "realms":
        realms(text)
    elif keyword == "ttl-propagate":
        ttl_propagate(text)


def check_rule(keyword: str, text: str) -> None:
    """The same for a rule."""
    if keyword in RULE:
        RULE[keyword].read(text)
    elif keyword == "realms":
        realms(text)
    elif keyword == "fwmark":
        fwmark(text)
    elif keyword in ("sport", "dport"):
        ports(keyword, text)
    elif keyword == "uidrange":
        users(text)
