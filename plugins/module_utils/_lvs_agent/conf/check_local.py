# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a configuration needs of the machine that runs it: interfaces, networks of its VIPs, scripts and their users.

Pure: the caller says what the machine has. A script is judged as keepalived's script security does it
(keepalived.conf(5), "SCRIPTS"; its check of each part of the path), with the part and the permission named.
"""

from __future__ import annotations

import ipaddress
import stat
import typing as t

from ..spelling import nearest
from . import address, model
from .director import Director
from .lexer import escaped_words
from .merge import blocks
from .problem import ERROR, WARNING, BadValue, Problem
from .quoting import split
from .schema_lvs import REAL_SERVER
from .validate import label

Interfaces = t.Mapping[str, t.Sequence[str]]  # name -> "ADDRESS/LENGTH" of each of its addresses
_DEFAULT_USER = "keepalived_script"  # keepalived takes it when it exists, else root


class Account(t.NamedTuple):
    """A user and a group, by number."""

    uid: int
    gid: int


class Component(t.NamedTuple):
    """One part of a path: the path up to it, and its mode (as in stat(2)) and owners; no mode, it is not there."""

    path: str
    mode: int | None
    uid: int = 0
    gid: int = 0


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
    for script in _scripts(director):
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


class _Script(t.NamedTuple):
    """A command: where it stands, its value, and the words of its user, "" for the default."""

    where: str
    said: str
    owner: str


def _scripts(director: Director) -> t.Iterator[_Script]:
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


def _in_block(key: str, block: t.Mapping[str, t.Any], where: str, owner: str) -> t.Iterator[_Script]:
    for word in model.script_words(key):
        if isinstance(block.get(word), str):
            yield _Script(f"{where}.{word}", block[word], owner)


def _one(where: str, block: t.Mapping[str, t.Any], default: str) -> t.Iterator[_Script]:
    """The command of a block that has a word for its user."""
    said = block.get(where.rpartition(".")[2])
    if isinstance(said, str):
        yield _Script(where, said, str(block.get("user", default)))


def _script(director: Director, script: _Script, account: AccountOf, command: CommandOf) -> list[Problem]:
    """What keeps one command from being run, or lets others change what is run."""
    where, said, owner = script
    try:
        words = escaped_words(said)
        if said.startswith('"'):
            owner = " ".join(words[1:]) or owner
            words = escaped_words(words[0])
        user, group = ([*split(owner), "", ""])[:2]
    except (BadValue, IndexError):
        return []  # reading has told
    runs_as = account(user or _DEFAULT_USER, group) or (None if user else Account(0, 0))
    if runs_as is None:
        what = f"this machine has no user {user}" + (f" or no group {group}" if group else "")
        return [director.problem(where, what, "make the user, or write another")]
    if not words:
        return []
    parts = command(words[0])
    if not parts:
        return [director.problem(where, f"there is no command {words[0]} on this machine", "write its whole path")]
    fault = _fault(parts, runs_as)
    if fault:
        return [director.problem(where, fault[0], fault[1])]
    unsafe = [one for one in map(_unsafe, parts) if one] if runs_as.uid == 0 else []
    if not unsafe:
        return []
    secure = model.is_on(director.configuration["global_defs"].get("enable_script_security"))
    what = f"{words[0]} runs as root, and others can change it: {unsafe[0]}"
    if secure:
        return [director.problem(where, what, "keepalived disables it; take that permission away")]
    advice = "take that permission away, or let another user run it (script_user)"
    return [director.problem(where, what, advice, WARNING)]


def _fault(parts: t.Sequence[Component], runs_as: Account) -> tuple[str, str] | None:
    """Why the command cannot be run: (what, instead)."""
    last = parts[-1]
    if last.mode is None:
        return f"{last.path} does not exist on this machine", "install it, or correct the path"
    if not stat.S_ISREG(last.mode):
        return f"{last.path} is not a file", "write the path of a program"
    for part in parts:
        if not _may_execute(part, runs_as):
            bits = f"its mode is {stat.S_IMODE(part.mode or 0):04o}, its owner {part.uid}, its group {part.gid}"
            verb = "run" if part is last else "enter"
            return f"user {runs_as.uid} may not {verb} {part.path}: {bits}", f"chmod a+x {part.path}"
    return None


def _may_execute(part: Component, runs_as: Account) -> bool:
    mode = part.mode or 0
    if runs_as.uid == 0:
        return stat.S_ISDIR(mode) or bool(mode & 0o111)
    if part.uid == runs_as.uid:
        return bool(mode & stat.S_IXUSR)
    return bool(mode & (stat.S_IXGRP if part.gid == runs_as.gid else stat.S_IXOTH))


def _unsafe(part: Component) -> str:
    """Who but root can change this part of a path, as keepalived's script security sees it; "" for nobody."""
    mode = part.mode or 0
    if part.uid:
        return f"{part.path} belongs to user {part.uid}"
    if stat.S_ISDIR(mode) and mode & stat.S_ISVTX:
        return ""  # in a sticky directory everybody has only their own files
    if mode & stat.S_IWOTH:
        return f"everybody may write {part.path} (mode {stat.S_IMODE(mode):04o})"
    if mode & stat.S_IWGRP and part.gid:
        return f"group {part.gid} may write {part.path} (mode {stat.S_IMODE(mode):04o})"
    return ""
