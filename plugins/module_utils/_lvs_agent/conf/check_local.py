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
from . import address, model
from .director import Director
from .merge import blocks
from .problem import ERROR, WARNING, BadValue, Problem
from .schema_lvs import REAL_SERVER
from .script import DEFAULT_USER, Account, Component, command_line, fault, open_to_all, unsafe
from .validate import label

Interfaces = t.Mapping[str, t.Sequence[str]]  # name -> "ADDRESS/LENGTH" of each of its addresses
AccountOf = t.Callable[[str, str], t.Optional[Account]]
CommandOf = t.Callable[[str], list[Component]]


def problems(
    director: Director, interfaces: Interfaces | None, account: AccountOf, command: CommandOf
) -> list[Problem]:
    """All findings about one machine.

    ``interfaces`` are None when nobody knows them; ``account`` finds a user and a group (its user's own for ""),
    ``command`` the parts of the path of a command.
    """
    found: list[Problem] = []
    if interfaces is None:
        what = "the interfaces of this machine are not known: ip -json address gave no answer"
        found.append(director.problem("", what, "install iproute2", WARNING))
    else:
        for instance in director.configuration["vrrp_instance"]:
            found += _interfaces(director, instance, interfaces)
            found += _networks(director, instance, interfaces)
    for script in scripts(director):
        found += _script(director, script, account, command)
    return found


# --- interfaces and addresses


def _interfaces(director: Director, instance: t.Mapping[str, t.Any], known: Interfaces) -> list[Problem]:
    """Interfaces that are not there; those that the instance makes itself are not looked for."""
    severity = WARNING if director.configuration["global_defs"].get("dynamic_interfaces") else ERROR
    asked = [(director.path(instance, "interface"), str(instance.get("interface", "")))]
    asked += [
        (f"{director.path(instance, 'track_interface')}[{number}]", line[0])
        for number, line in enumerate(model.lines(instance.get("track_interface")))
    ]
    for word in ("virtual_ipaddress", "virtual_ipaddress_excluded"):
        for number, line in enumerate(model.lines(instance.get(word))):
            asked.append((f"{director.path(instance, word)}[{number}]", _device(line)))
    makes = {str(instance.get("use_vmac")).split()[0], f"vrrp.{instance.get('virtual_router_id')}"}
    return [
        director.problem(where, f"this machine has no interface {name}", nearest(name, known), severity)
        for where, name in asked
        if name and name not in known and name not in makes
    ]


def _device(line: t.Sequence[str]) -> str:
    """The interface that a VIP's line names, or ""."""
    return next((name for option, name in zip(line[1:], line[2:]) if option == "dev"), "")


def _networks(director: Director, instance: t.Mapping[str, t.Any], interfaces: Interfaces) -> list[Problem]:
    """VIPs that no network of their interface has: nobody on the wire would ask for them."""
    vips = model.virtual_addresses(director.configuration)
    found: list[Problem] = []
    for number, line in enumerate(model.lines(instance.get("virtual_ipaddress"))):
        name = _device(line) or str(instance.get("interface", ""))
        at = address.try_parse(line[0].partition("/")[0])
        if at is None or at.is_link_local or name not in interfaces:
            continue
        own = [ipaddress.ip_interface(one) for one in interfaces[name]]
        networks = [one.network for one in own if one.version == at.version and one.ip not in vips]
        if any(at in network for network in networks):
            continue
        has = " and ".join(str(network) for network in networks) or f"no IPv{at.version} address"
        where = f"{director.path(instance, 'virtual_ipaddress')}[{number}]"
        what = f"the VIP {at} is in no network of {name}, which has {has}"
        advice = "hosts there do not ask for it: is it mistyped? Else the routers need a route to it"
        found.append(director.problem(where, what, advice, WARNING))
    return found


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
