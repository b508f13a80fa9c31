# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keepalived takes without a word and an administrator regrets: warnings only."""

from __future__ import annotations

import ipaddress
import typing as t

from . import address, model
from .director import Director
from .merge import blocks
from .problem import WARNING, Problem
from .reading import KEEPALIVED
from .schema_lvs import CHECKS, REAL_SERVER
from .validate import label

_MOST_SHOWN = 3
_WEIGHTED = {"track_script": "vrrp_script", "track_process": "vrrp_track_process", "track_file": "track_file"}
_LONGEST_WITH_BROADCAST = 30  # prefix length; RFC 3021 for 31


def problems(director: Director) -> list[Problem]:
    """All findings in one director's configuration."""
    found: list[Problem] = []
    for instance in director.configuration["vrrp_instance"]:
        found += _owner(director, instance)
        found += _prefixes(director, instance)
        found += _ends(director, instance)
        found += _unmoved(director, instance)
    for where, server in director.servers():
        found += _delay(director, server, where)
        found += _persistence(director, server, where)
    return found


def _owner(director: Director, instance: t.Mapping[str, t.Any]) -> list[Problem]:
    """keepalived's vrrp.c: an instance with state MASTER and no priority becomes the address owner."""
    if instance.get("state") != "MASTER" or instance.get("priority") is not None:
        return []
    what = "it has no priority, so keepalived takes 255, which no failed check ever lowers"
    return [director.problem(director.path(instance, "state"), what, "write a priority from 1 to 254", WARNING)]


def _unmoved(director: Director, instance: t.Mapping[str, t.Any]) -> list[Problem]:
    """Weights where the others leave a lower master alone; keepalived.conf(5), ``nopreempt``."""
    if not model.is_on(instance.get("nopreempt")):
        return []
    defaults = {
        word: {str(one.get("name")): str(one.get("weight", 0)) for one in director.configuration[blocks_of]}
        for word, blocks_of in _WEIGHTED.items()
    }
    found: list[Problem] = []
    for word in ("track_interface", *_WEIGHTED):
        for number, line in enumerate(model.lines(instance.get(word))):
            said = line[2] if line[1:2] == ["weight"] else defaults.get(word, {}).get(line[0], "0")
            weight = model.whole(said.split()[0])
            if weight:
                what = f"with nopreempt a lower priority moves nothing, so weight {weight} of {line[0]} has no effect"
                advice = "take the weight away, so that a failure is a fault, or remove nopreempt"
                where = f"{director.path(instance, word)}[{number}]"
                found.append(director.problem(where, what, advice, WARNING))
    return found


def _ends(director: Director, instance: t.Mapping[str, t.Any]) -> list[Problem]:
    """A VIP that every host of its network takes for the network's own address or for its broadcast."""
    found: list[Problem] = []
    for word in ("virtual_ipaddress", "virtual_ipaddress_excluded"):
        for number, line in enumerate(model.lines(instance.get(word))):
            at = _parsed(line[0])
            if at is None or at.version != 4 or at.network.prefixlen > _LONGEST_WITH_BROADCAST:
                continue
            ends = {at.network.network_address: "address", at.network.broadcast_address: "broadcast address"}
            if at.ip in ends:
                what = f"{at.ip} is the {ends[at.ip]} of the network {at.network}, and no host sends packets there"
                where = f"{director.path(instance, word)}[{number}]"
                found.append(director.problem(where, what, "write an address between the two", WARNING))
    return found


def _parsed(text: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface | None:
    try:
        return ipaddress.ip_interface(text)
    except ValueError:
        return None


def _prefixes(director: Director, instance: t.Mapping[str, t.Any]) -> list[Problem]:
    """keepalived makes an IPv6 VIP deprecated, which keeps it from being a source address, with prefix 128 only."""
    found: list[Problem] = []
    if director.variables.get("director_engine") != KEEPALIVED:
        return found
    for word in ("virtual_ipaddress", "virtual_ipaddress_excluded"):
        for number, line in enumerate(model.lines(instance.get(word))):
            host, slash, length = line[0].partition("/")
            at = address.try_parse(host)
            if at is None or at.version != 6 or not slash or length == "128" or "preferred_lft" in line:
                continue
            what = f"with the prefix length {length} the kernel may send from {at}, the health checks too"
            where = f"{director.path(instance, word)}[{number}]"
            found.append(director.problem(where, what, f"write {at}/128, or add preferred_lft 0", WARNING))
    return found


def _delay(director: Director, server: t.Mapping[str, t.Any], where: str) -> list[Problem]:
    """Checks that run every 60 s because nobody said otherwise."""
    if server.get("delay_loop") is not None:
        return []
    for real in blocks(server.get("real_server")):
        if real.get("delay_loop") is not None:
            continue
        for word in CHECKS:
            if any(check.get("delay_loop") is None for check in blocks(real.get(word.name))):
                what = "it has no delay_loop, so a dead server is found after up to 60 s and its retries"
                return [director.problem(where, what, "write delay_loop 6 or the like", WARNING)]
    return []


def _persistence(director: Director, server: t.Mapping[str, t.Any], where: str) -> list[Problem]:
    """Weight 0 keeps new clients away, not those with a persistence template (ipvs: expire_quiescent_template)."""
    if not model.is_persistent(server):
        return []
    named: list[str] = []
    for number, real in enumerate(blocks(server.get("real_server"))):
        inhibits = model.is_on(real.get("inhibit_on_failure", server.get("inhibit_on_failure")))
        if inhibits or model.whole(real.get("weight", server.get("weight", 1))) == 0:
            named.append(label(REAL_SERVER, real, number))
    if not named:
        return []
    listed = ", ".join(named[:_MOST_SHOWN]) + (f" and {len(named) - _MOST_SHOWN} more" if named[_MOST_SHOWN:] else "")
    what = f"with persistence, clients keep coming to servers of weight 0 or inhibit_on_failure: {listed}"
    advice = "lvs-agent sets net.ipv4.vs.expire_quiescent_template to 1 for that; with keepalived set it yourself"
    return [director.problem(f"{where}.persistence_timeout", what, advice, WARNING)]
