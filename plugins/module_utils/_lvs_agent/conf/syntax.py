# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The syntax of lines that are more than one value: VIPs, tracked things, peers, group entries, and so on.

Each reader takes the words of the line and returns the words to write; it raises
:class:`.problem.BadValue`. Source: keepalived.conf(5).
"""

from __future__ import annotations

import re
import typing as t

from ..spelling import nearest
from . import address, ip_numbers, numbers
from .numbers import Range
from .problem import BadValue
from .syntax_http import header
from .syntax_routes import route, rule

Words = list[str]
VIP_VALUES = ("brd", "broadcast", "dev", "scope", "label", "peer", "preferred_lft")
VIP_FLAGS = ("home", "-nodad", "mngtmpaddr", "noprefixroute", "autojoin", "no_track", "use_vmac")
INCLUDE_CHECKS = ("readable", "match", "wildcard_match", "brace_match")
_UMASK = tuple(f"I{what}{who}" for who in ("USR", "GRP", "OTH") for what in "RWX")
_HOST_NAME = 253  # characters of a host name as text
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)\Z")
_DAY = 86400  # seconds
_CPUS = 8192
_INTERFACE = 15  # longest name of a Linux interface, and of an address label


def vip(words: Words) -> Words:
    """``ADDRESS[/LENGTH] [dev IF] [label IF:TEXT] [brd ADDRESS] [scope S] …``."""
    return _address(words, VIP_VALUES)


def static_vip(words: Words) -> Words:
    """As a VIP, optionally with ``track_group NAME``."""
    return _address(words, (*VIP_VALUES, "track_group"))


def _address(words: Words, values: tuple[str, ...]) -> Words:
    at, _length = address.interface(words[0])
    if at.is_multicast or at.is_loopback or at.is_unspecified:
        raise BadValue(f"{words[0]} cannot be a virtual address: it is a multicast, loopback or unspecified address")
    rest = words[1:]
    while rest:
        option = rest.pop(0)
        if option in VIP_FLAGS:
            continue
        if option not in values:
            raise BadValue(f"{option!r} is not an option of a virtual address", nearest(option, values + VIP_FLAGS))
        if not rest:
            raise BadValue(f"{option!r} has no value after it")
        _vip_value(option, rest.pop(0))
    return words


def _vip_value(option: str, value: str) -> None:
    if option == "label" and len(value) > _INTERFACE:
        raise BadValue(f"the label {value!r} is longer than {_INTERFACE} characters")
    if option == "dev":
        interface_name(value)
    elif option == "scope":
        ip_numbers.scope(value)
    elif option in ("brd", "broadcast") and value not in ("+", "-"):
        address.parse(value)
    elif option == "peer":
        address.interface(value)
    elif option == "preferred_lft":
        ip_numbers.preferred_lft(value)


def interface_name(value: str) -> None:
    """Raise BadValue when no Linux interface can have this name."""
    if not value or len(value) > _INTERFACE or re.search(r"[\s/]", value):
        raise BadValue(
            f"{value!r} cannot be the name of an interface",
            f"it has 1 to {_INTERFACE} characters, no blank and no slash",
        )


def signed(text: str, limit: int, name: str) -> None:
    """Raise BadValue unless text is a number from -limit to limit."""
    numbers.read(text, Range(-limit, limit), name)


def weight(words: Words) -> Words:
    """``NUMBER [reverse]``, of a script, an interface or a BFD instance."""
    return _weight(words, 253)


def far_weight(words: Words) -> Words:
    """``NUMBER [reverse]``, of a file or process in VRRP."""
    return _weight(words, 254)


def file_weight(words: Words) -> Words:
    """``NUMBER [reverse]``, of a file in a health check."""
    return _weight(words, 2147483647)


def _weight(words: Words, limit: int) -> Words:
    signed(words[0], limit, "the weight")
    if words[1:] not in ([], ["reverse"], ["noreverse"]):
        raise BadValue(f"{' '.join(words[1:])!r} after the weight is not reverse")
    return words


def track(words: Words) -> Words:
    """``NAME [weight NUMBER [reverse]]``, of a script, an interface or a BFD instance."""
    return _track(words, 253)


def track_far(words: Words) -> Words:
    """``NAME [weight NUMBER [reverse]]``, of a file or a process."""
    return _track(words, 254)


def _track(words: Words, limit: int) -> Words:
    member(words[:1])
    if words[1:]:
        if words[1] != "weight" or not words[2:]:
            raise BadValue(
                f"after {words[0]!r} there is {' '.join(words[1:])!r}",
                "write: NAME weight NUMBER; one name a line",
            )
        _weight(words[2:], limit)
    return words


def member(words: Words) -> Words:
    """One name."""
    if len(words) != 1:
        raise BadValue(f"{' '.join(words)!r} is more than one name", "write one a line")
    if words[0].startswith("@") or words[0] in (
        "include",
        "includer",
        "includem",
        "includew",
        "includeb",
        "includea",
    ):
        raise BadValue(f"{words[0]!r} cannot be a name: keepalived has another meaning for it")
    return words


def peer(words: Words) -> Words:
    """``ADDRESS [min_ttl N] [max_ttl N]``."""
    address.parse(words[0])
    _options(words[1:], {"min_ttl": (0, 255), "max_ttl": (0, 255)})
    return words


def _options(words: Words, known: t.Mapping[str, tuple[int, int]]) -> None:
    """Pairs of a known option and a number in its range."""
    rest = list(words)
    while rest:
        option = rest.pop(0)
        if option not in known:
            raise BadValue(f"{option!r} is not known here", nearest(option, known))
        numbers.read(rest.pop(0) if rest else "", Range(*known[option]), option)


def group_entry(words: Words) -> Words:
    """``ADDRESS|RANGE [PORT]`` or ``fwmark NUMBER [inet|inet6]``."""
    if words[0] == "fwmark":
        if len(words) < 2 or not numbers.within(words[1], Range(1, numbers.UINT32)):
            raise BadValue("fwmark has no number from 1 to 4294967295 after it")
        if words[2:] not in ([], ["inet"], ["inet6"]):
            raise BadValue(f"{' '.join(words[2:])!r} after the fwmark is not inet or inet6")
        return words
    address.span(words[0])
    return _port_after(words)


def _port_after(words: Words) -> Words:
    if len(words) > 2:
        raise BadValue(f"{' '.join(words[2:])!r} after the port is too much")
    if words[1:]:
        address.port(words[1])
    return words


def sorry_server(words: Words) -> Words:
    """``ADDRESS [PORT]``."""
    address.parse(words[0])
    return _port_after(words)


def smtp_server(words: Words) -> Words:
    """``ADDRESS|NAME [PORT]``."""
    if re.match(r"[0-9.]+\Z|.*:.*:", words[0]):
        address.parse(words[0])
    return _port_after(words)


def servers(words: Words) -> Words:
    """``ADDRESS|RANGE``."""
    if len(words) != 1:
        raise BadValue(f"{' '.join(words)!r} is more than one address or range")
    address.span(words[0])
    return words


def method(words: Words) -> Words:
    """``NAT|DR`` or ``TUN [type ipip|gue port N|gre] [nocsum|csum|remcsum]``."""
    kind, rest = words[0], words[1:]
    if kind not in ("NAT", "DR", "TUN"):
        raise BadValue(f"{kind!r} is not a forwarding method", nearest(kind, ("NAT", "DR", "TUN")))
    if not rest:
        return words
    pattern = r"(type (ipip|gre|gue port (?P<port>[0-9]+))( (nocsum|csum|remcsum))?|(nocsum|csum|remcsum))\Z"
    match = re.match(pattern, " ".join(rest)) if kind == "TUN" else None
    if match is None:
        raise BadValue(
            f"{' '.join(rest)!r} after {kind} is not known",
            "TUN can have: type ipip, type gre, type gue port NUMBER",
        )
    if match["port"] is not None:
        address.port(match["port"])
    return words


def user(words: Words) -> Words:
    """``USER [GROUP]``."""
    return _count(words, 2, "a user and a group")


def path_user(words: Words) -> Words:
    """``PATH [USER [GROUP]]``."""
    return _count(words, 3, "a path, a user and a group")


def vmac(words: Words) -> Words:
    """``[[name] NAME] [MAC]``, and since 2.3 ``[netlink_notify_msg] [group GROUP]``."""
    rest = list(words)
    for option, values in (("name", 1), ("group", 1), ("netlink_notify_msg", 0)):
        if option in rest:
            place = rest.index(option)
            del rest[place : place + 1 + (values if option != "name" else 0)]
    _count(rest, 2, "an interface name and a MAC")
    for word in rest:
        if ":" in word and not re.match(r"([0-9A-Fa-f]{2}:){4,5}[0-9A-Fa-f]{2}\Z", word):
            raise BadValue(f"{word!r} is neither an interface name nor a MAC")
        if ":" not in word:
            interface_name(word)
    return words


def _count(words: Words, most: int, what: str) -> Words:
    if len(words) > most:
        raise BadValue(f"{' '.join(words)!r} is more than {what}")
    return words


def sync_daemon(words: Words) -> Words:
    """``INTERFACE [[inst] INSTANCE] [id N] [maxlen N] [port N] [ttl N] [group ADDRESS]``."""
    interface_name(words[0])
    numbers = {"id": (0, 255), "maxlen": (1, 65507), "port": (1, 65535), "ttl": (1, 255)}
    rest = words[1:]
    if rest and rest[0] == "inst":
        rest = rest[2:]
    elif rest and rest[0] not in numbers and rest[0] != "group":
        rest = rest[1:]
    if "group" in rest:
        place = rest.index("group")
        address.parse((rest + [""])[place + 1])
        rest = rest[:place] + rest[place + 2 :]
    _options(rest, numbers)
    return words


def lvs_timeouts(words: Words) -> Words:
    """``[tcp SECONDS] [tcpfin SECONDS] [udp SECONDS]``."""
    longest = 31 * 86400
    _options(words, {"tcp": (1, longest), "tcpfin": (1, longest), "udp": (1, longest)})
    return words


def garp_extra_if(words: Words) -> Words:
    """``[all] SECONDS``."""
    value = words[1:] if words[0] == "all" else words
    if len(value) != 1 or not numbers.within(value[0], Range(0, _DAY)):
        raise BadValue(f"{' '.join(words)!r} is not a number of seconds up to 86400, optionally after the word all")
    return words


def cpus(words: Words) -> Words:
    """CPU numbers, up to the most that Linux can be built for (CONFIG_NR_CPUS)."""
    for word in words:
        if not numbers.within(word, Range(0, _CPUS - 1)):
            raise BadValue(f"{word!r} is not the number of a CPU")
    return words


def status_code(words: Words) -> Words:
    """Codes and ranges: ``200-299 404``."""
    for word in words:
        match = re.match(r"([1-5][0-9][0-9])(?:-([1-5][0-9][0-9]))?\Z", word)
        if not match or (match[2] and int(match[2]) < int(match[1])):
            raise BadValue(
                f"{word!r} is not an HTTP status code from 100 to 599, or a range such as 200-299",
                "put blanks between codes",
            )
    return words


def hexadecimal(words: Words) -> Words:
    """Hexadecimal digits."""
    return _hex(words, r"[0-9A-Fa-f]+\Z")


def hex_mask(words: Words) -> Words:
    """Hexadecimal digits, and X for any digit."""
    return _hex(words, r"[0-9A-Fa-fXx]+\Z")


def _hex(words: Words, pattern: str) -> Words:
    for word in words:
        if not re.match(pattern, word):
            raise BadValue(f"{word!r} is not hexadecimal")
    return words


def include_check(words: Words) -> Words:
    """``[+|-]CHECK …``."""
    for number, word in enumerate(words, 1):
        name = word.lstrip("+-")
        if name not in INCLUDE_CHECKS:
            raise BadValue(f"{word!r} is not an include check", nearest(name, INCLUDE_CHECKS), number)
    return words


def init_file(words: Words) -> Words:
    """``[NUMBER] [overwrite]``."""
    rest = words[:-1] if words[-1] == "overwrite" else words
    if len(rest) > 1:
        raise BadValue(f"{' '.join(words)!r} is not a number, optionally followed by overwrite")
    for word in rest:
        signed(word, 2147483647, "the value")
    return words


def linkbeat(words: Words) -> Words:
    """``INTERFACE [MII|ETHTOOL|IOCTL]``."""
    _count(words, 2, "an interface and how it is polled")
    interface_name(words[0])
    kinds = ("MII", "ETHTOOL", "IOCTL")
    if words[1:] and words[1] not in kinds:
        raise BadValue(f"{words[1]!r} is no way to poll a link", nearest(words[1], kinds))
    return words


def delays(words: Words) -> Words:
    """``INTERFACE DOWN [UP]``, in seconds up to 255."""
    interface_name(words[0])
    if len(words) not in (2, 3):
        raise BadValue(f"{' '.join(words)!r} is not an interface, a delay down and optionally a delay up")
    for word in words[1:]:
        if not re.match(r"[0-9]+(\.[0-9]*)?\Z", word) or float(word) > 255:
            raise BadValue(f"{word!r} is not a number of seconds from 0 to 255")
    return words


def floor(words: Words) -> Words:
    """``NUMBER`` or ``NUMBER%``."""
    match = re.match(r"([0-9]+)(%?)\Z", words[0])
    most = 100 if match and match[2] else numbers.UINT16
    if len(words) != 1 or match is None or not numbers.within(match[1], Range(0, most)):
        raise BadValue(f"{' '.join(words)!r} is neither a number of servers nor a percentage such as 30%")
    return words


def resolve(words: Words) -> Words:
    """``NAME [SECONDS]``; a host name is that of RFC 1123, 2.1."""
    if len(words) > 2:
        raise BadValue(f"{' '.join(words)!r} has more than a name and seconds")
    labels = words[0][:-1].split(".") if words[0].endswith(".") else words[0].split(".")
    if address.try_parse(words[0]) is not None or labels[-1].isdigit():
        raise BadValue(f"{words[0]!r} is an address, or looks like one", "write a DNS name, or remove the word")
    if len(words[0]) > _HOST_NAME or not all(map(_LABEL.match, labels)):
        raise BadValue(f"{words[0]!r} is no host name", "write one such as web1.example.org")
    if len(words) == 2 and not numbers.within(words[1], Range(1, _DAY)):
        raise BadValue(f"{words[1]!r} is no number of seconds from 1 to {_DAY}")
    return words


def umask(words: Words) -> Words:
    """``NUMBER``, or names such as ``IWGRP | IWOTH``."""
    if len(words) == 1 and words[0][:1].isdigit():
        number = numbers.c_number(words[0])
        if number is None or not 0 <= number <= 0o777:
            raise BadValue(f"{words[0]!r} is not a umask", "write an octal number up to 0777")
        return words
    names = "".join(words).split("|")
    for name in names:
        if name not in _UMASK:
            raise BadValue(f"{name!r} is not a permission", nearest(name, _UMASK))
    return words


def receive_buffer(words: Words) -> Words:
    """``MTU``, ``ADVERT`` or ``BYTES``."""
    member(words)
    if words[0] not in ("MTU", "ADVERT") and not numbers.within(words[0], Range(0, numbers.UINT32)):
        advice = nearest(words[0], ("MTU", "ADVERT"))
        raise BadValue(f"{words[0]!r} is neither MTU nor ADVERT nor a number of bytes", advice)
    return words


def anything(words: Words) -> Words:
    """Words keepalived itself has to judge."""
    return words


READERS: t.Mapping[str, t.Callable[[Words], Words]] = {
    "any": anything,
    "cpus": cpus,
    "delays": delays,
    "far_weight": far_weight,
    "file_weight": file_weight,
    "floor": floor,
    "garp_extra_if": garp_extra_if,
    "group_entry": group_entry,
    "http_header": header,
    "hex": hexadecimal,
    "hex_mask": hex_mask,
    "include_check": include_check,
    "init_file": init_file,
    "linkbeat": linkbeat,
    "lvs_timeouts": lvs_timeouts,
    "member": member,
    "method": method,
    "path_user": path_user,
    "peer": peer,
    "receive_buffer": receive_buffer,
    "resolve": resolve,
    "route": route,
    "rule": rule,
    "servers": servers,
    "smtp_server": smtp_server,
    "sorry_server": sorry_server,
    "status_code": status_code,
    "sync_daemon": sync_daemon,
    "static_vip": static_vip,
    "track": track,
    "track_far": track_far,
    "umask": umask,
    "user": user,
    "vip": vip,
    "vmac": vmac,
    "weight": weight,
}
