# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a configuration needs of the machine that runs it: interfaces, networks of its VIPs, scripts and their users.

Pure: the caller says what the machine has. How a script is judged is said in :mod:`.script`.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ..spelling import nearest
from . import address, check_localnode, model
from .director import Director
from .machine import Interfaces
from .merge import blocks
from .problem import ERROR, WARNING, BadValue, Problem
from .schema_lvs import REAL_SERVER
from .script import DEFAULT_USER, Account, Component, command_line, fault, open_to_all, unsafe
from .validate import label

AccountOf = t.Callable[[str, str], t.Optional[Account]]
CommandOf = t.Callable[[str], list[Component]]

_VIPS = ("virtual_ipaddress", "virtual_ipaddress_excluded")
# the words before an interface's name
_ROUTE_DEVICES, _RULE_DEVICES = ("dev", "oif"), ("iif", "dev", "oif")


def problems(
    director: Director, interfaces: Interfaces | None, account: AccountOf, command: CommandOf
) -> list[Problem]:
    """All findings about one machine.

    ``interfaces`` are None when nobody knows them; ``account`` finds a user and a group (its user's own for ""),
    ``command`` the parts of the path of a command.
    """
    found: list[Problem] = []
    if interfaces is None:
        what = "the interfaces of this machine are not known: the kernel did not list them"
        found.append(director.problem("", what, "run it on the director itself, outside of a sandbox", WARNING))
    else:
        for instance in director.configuration["vrrp_instance"]:
            found += _interfaces(director, instance, interfaces)
            found += _networks(director, instance, interfaces)
            found += _own(director, instance, interfaces)
            found += _source(director, instance, interfaces)
        vips = model.virtual_addresses(director.configuration)
        own = {said.partition("/")[0] for one in interfaces.values() for said in one.addresses}
        found += check_localnode.local(director, own.difference(map(str, vips)))
    for script in scripts(director):
        found += _script(director, script, account, command)
    return found


# --- interfaces and addresses


class _Use(t.NamedTuple):
    """An interface that an instance uses. ``needed``: it is in FAULT while that is down, and ``cure`` is for that."""

    where: str
    name: str
    needed: bool
    cure: str = "bring it up, or write no_track in that line"
    severity: str = ERROR


def _uses(director: Director, instance: t.Mapping[str, t.Any]) -> t.Iterator[_Use]:
    primary = str(instance.get("interface", ""))
    tracked = not model.is_on(instance.get("dont_track_primary"))
    yield _Use(director.path(instance, "interface"), primary, tracked, "bring it up")
    for where, line in _lines(director, instance, "track_interface"):
        yield _Use(where, line[0], len(line) == 1, "bring it up, or give it a weight")
    for word in _VIPS:
        for where, line in _lines(director, instance, word):
            name = _device(line)
            yield _Use(where, name, "no_track" not in line and name != primary)
    for word, words in (("virtual_routes", _ROUTE_DEVICES), ("virtual_rules", _RULE_DEVICES)):
        for where, line in _lines(director, instance, word):
            names = [name for option, name in zip(line, line[1:]) if option in words]
            for name in dict.fromkeys(names):
                yield _Use(where, name, "no_track" not in line and len(names) == 1, severity=WARNING)


def _lines(director: Director, instance: t.Mapping[str, t.Any], word: str) -> t.Iterator[tuple[str, list[str]]]:
    """Each line of a word, with its path."""
    for number, line in enumerate(model.lines(instance.get(word))):
        yield f"{director.path(instance, word)}[{number}]", line


def _interfaces(director: Director, instance: t.Mapping[str, t.Any], known: Interfaces) -> list[Problem]:
    """Interfaces that are not there, or down; those that the instance makes itself are not looked for."""
    dynamic = director.configuration["global_defs"].get("dynamic_interfaces")
    makes = {str(instance.get("use_vmac")).split()[0], f"vrrp.{instance.get('virtual_router_id')}"}
    found: list[Problem] = []
    for use in _uses(director, instance):
        name = use.name
        if not name or name in makes:
            continue
        if name not in known:
            what = f"this machine has no interface {name}"
            found.append(director.problem(use.where, what, nearest(name, known), WARNING if dynamic else use.severity))
        elif use.needed and known[name].trouble:
            what = f"interface {name} {known[name].trouble}: the instance is in FAULT until it is up"
            found.append(director.problem(use.where, what, use.cure, WARNING))
    return found


def _device(line: t.Sequence[str]) -> str:
    """The interface that a VIP's line names, or ""."""
    return next((name for option, name in zip(line[1:], line[2:]) if option == "dev"), "")


def _networks(director: Director, instance: t.Mapping[str, t.Any], interfaces: Interfaces) -> list[Problem]:
    """VIPs that no network of their interface has: nobody on the wire would ask for them."""
    vips = model.virtual_addresses(director.configuration)
    found: list[Problem] = []
    for where, line in _lines(director, instance, "virtual_ipaddress"):
        name = _device(line) or str(instance.get("interface", ""))
        at = address.try_parse(line[0].partition("/")[0])
        if at is None or at.is_link_local or name not in interfaces:
            continue
        own = [ipaddress.ip_interface(one) for one in interfaces[name].addresses]
        networks = [one.network for one in own if one.version == at.version and one.ip not in vips]
        if any(at in network for network in networks):
            continue
        has = " and ".join(str(network) for network in networks) or f"no IPv{at.version} address"
        what = f"the VIP {at} is in no network of {name}, which has {has}"
        advice = "hosts there do not ask for it: is it mistyped? Else the routers need a route to it"
        found.append(director.problem(where, what, advice, WARNING))
    return found


def _own(director: Director, instance: t.Mapping[str, t.Any], interfaces: Interfaces) -> list[Problem]:
    """VIPs that are addresses of the machine's own."""
    found: list[Problem] = []
    for word in _VIPS:
        for where, line in _lines(director, instance, word):
            name = _device(line) or str(instance.get("interface", ""))
            at = address.try_parse(line[0].partition("/")[0])
            if name in interfaces and at in {ipaddress.ip_interface(one).ip for one in interfaces[name].own}:
                what = f"the VIP {at} is an address of this machine's own, on {name}"
                advice = "choose an address that no machine has: this one would leave with the VIP"
                found.append(director.problem(where, what, advice))
    return found


def _source(director: Director, instance: t.Mapping[str, t.Any], interfaces: Interfaces) -> list[Problem]:
    """The address of the adverts: the one that is written, or one of the interface's."""
    name = str(instance.get("interface", ""))
    words = ("unicast_src_ip", "mcast_src_ip") if model.lines(instance.get("unicast_peer")) else ("mcast_src_ip",)
    word = next((word for word in (*words, "unicast_src_ip") if instance.get(word) is not None), "")
    if word:
        at = address.try_parse(instance.get(word))
        places = [name] if at is not None and at.is_link_local else list(interfaces)
        found = [one for place in places if place in interfaces for one in interfaces[place].addresses]
        there = {ipaddress.ip_interface(one).ip for one in found}
        if at is None or at in there or (at.is_link_local and instance.get("use_vmac") is not None):
            return []
        what = f"this machine does not have {at}: the instance is in FAULT until it does"
        advice = "write an address of this machine's, or remove the word"
        return [director.problem(director.path(instance, word), what, advice, WARNING)]
    vips = model.vips(instance)
    family = vips[0].version if vips else 4
    if name not in interfaces or interfaces[name].trouble:
        return []
    own = [ipaddress.ip_interface(one).ip for one in interfaces[name].addresses]
    taken = model.virtual_addresses(director.configuration)
    if any(at.version == family and (family == 4 or at.is_link_local) and at not in taken for at in own):
        return []
    kind = "IPv4" if family == 4 else "IPv6 link-local"
    what = f"{name} has no {kind} address that is no VIP: adverts have no address to come from"
    advice = f"give {name} one; the instance is in FAULT until it has one"
    return [director.problem(director.path(instance, "interface"), what, advice, WARNING)]


# --- scripts


class Script(t.NamedTuple):
    """A command: where it stands, its value, and the words of its user, "" for the default."""

    where: str
    said: str
    owner: str


def scripts(director: Director) -> t.Iterator[Script]:
    """Every command of a configuration."""
    configuration = director.configuration
    default = str(configuration["global_defs"].get("script_user", ""))
    yield from _in_block("global_defs", configuration["global_defs"], "global_defs", default)
    for key in ("vrrp_sync_group", "vrrp_instance"):
        for one in configuration[key]:
            yield from _in_block(key, one, f"{key}[{one.get('name')}]", default)
    for script in configuration["vrrp_script"]:
        yield from _one(f"vrrp_script[{script.get('name')}].script", script, default)
    for where, server in director.servers():
        yield from _in_block("virtual_server", server, where, default)
        for number, real in enumerate(blocks(server.get("real_server"))):
            path = f"{where}.real_server[{label(REAL_SERVER, real, number)}]"
            yield from _in_block("real_server", real, path, default)
            for place, check in enumerate(blocks(real.get("MISC_CHECK"))):
                yield from _one(f"{path}.MISC_CHECK[{place}].misc_path", check, default)


def _in_block(key: str, block: t.Mapping[str, t.Any], where: str, owner: str) -> t.Iterator[Script]:
    for word in model.script_words(key):
        if isinstance(block.get(word), str):
            yield Script(f"{where}.{word}", block[word], owner)


def _one(where: str, block: t.Mapping[str, t.Any], default: str) -> t.Iterator[Script]:
    """The command of a block that has a word for its user."""
    said = block.get(where.rpartition(".")[2])
    if isinstance(said, str):
        yield Script(where, said, str(block.get("user", default)))


def _script(director: Director, script: Script, account: AccountOf, command: CommandOf) -> list[Problem]:
    """What keeps one command from being run, or lets others change what is run."""
    where, said, owner = script
    try:
        words, user, group = command_line(said, owner)
    except BadValue:
        return []  # reading has told
    runs_as = account(user or DEFAULT_USER, group) or (None if user else Account(0, 0))
    if runs_as is None:
        what = f"this machine has no user {user}" + (f" or no group {group}" if group else "")
        return [director.problem(where, what, "make the user, or write another")]
    if not words:
        return []
    parts = command(words[0])
    if not parts:
        return [director.problem(where, f"there is no command {words[0]} on this machine", "write its whole path")]
    wrong = fault(parts, runs_as)
    if wrong:
        return [director.problem(where, *wrong)]
    open_parts = [one for one in map(open_to_all, parts) if one]
    if open_parts:
        what = f"{words[0]} would run whatever anybody puts there: {open_parts[0]}"
        return [director.problem(where, what, "lvs-agent refuses to run it; take that permission away")]
    unsafe_parts = [one for one in map(unsafe, parts) if one] if runs_as.uid == 0 else []
    if not unsafe_parts:
        return []
    secure = model.is_on(director.configuration["global_defs"].get("enable_script_security"))
    what = f"{words[0]} runs as root, and others can change it: {unsafe_parts[0]}"
    if secure:
        return [director.problem(where, what, "keepalived disables it; take that permission away")]
    advice = "take that permission away, or let another user run it (script_user)"
    return [director.problem(where, what, advice, WARNING)]
