# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the directors of a pair would balance alike: virtual servers, real servers, the sync daemon.

For files only: in an inventory these are the group's, the same for all.
"""

from __future__ import annotations

import typing as t

from . import address, check_lvs, model
from .director import Director
from .merge import Fields, items
from .problem import ERROR, WARNING, Position, Problem
from .schema_lvs import REAL_SERVER
from .validate import label

_MOST = 100  # findings of one kind; more tell nothing new
_MOST_LISTED = 8
_WORDS = (("lb_algo", model.DEFAULT_ALGORITHM), ("persistence_timeout", "none"), ("quorum", "1"))
_SYNC = {"port": "8848", "group": "224.0.0.81"}  # the kernel's defaults

Place = tuple[Director, str]  # a director and a path in its configuration


def problems(directors: t.Sequence[Director]) -> list[Problem]:
    """All findings between the directors."""
    found = _sync_daemons(directors)
    servers = [_servers(director) for director in directors]
    for key in dict.fromkeys(key for one in servers for key in one):
        if len(found) >= _MOST:
            break
        holders = [(director, *one[key]) for director, one in zip(directors, servers) if key in one]
        lacking = [director.name for director, one in zip(directors, servers) if key not in one]
        if lacking:
            director, where, _server = holders[0]
            what = f"the virtual server {' '.join(key)} is not in {' and '.join(lacking)}"
            found.append(_between([(director, where)], what, "after a failover it would be gone: add it there"))
        if len(holders) > 1:
            found += _words(holders) + _pools(holders)
    return found[:_MOST]


def _between(places: t.Sequence[Place], what: str, instead: str, severity: str = ERROR) -> Problem:
    """A finding with the place in each file."""
    positions: list[Position] = []
    for director, where in places:
        position = director.position(where)
        positions += [position] if position is not None else []
    first = positions[0] if positions else None
    return Problem(places[0][1], what, instead, severity, (places[0][0].name,), first, tuple(positions[1:]))


def _servers(director: Director) -> dict[tuple[str, ...], tuple[str, Fields]]:
    """A director's virtual servers by what the kernel tells them apart by."""
    found: dict[tuple[str, ...], tuple[str, Fields]] = {}
    for where, server in director.servers():
        key = check_lvs.kernel_key(server)
        if key is not None:
            found.setdefault(key, (where, dict(server)))
    return found


Holder = tuple[Director, str, Fields]


def _words(holders: t.Sequence[Holder]) -> list[Problem]:
    """Words of one virtual server that differ."""
    found: list[Problem] = []
    for word, default in _WORDS:
        said = [str(server.get(word, default)) for _director, _where, server in holders]
        found += _differ(holders, word, said)
    return found + _differ(holders, "lb_kind", [model.method(server, "lb_kind") for _d, _w, server in holders])


def _differ(holders: t.Sequence[Holder], word: str, said: t.Sequence[str]) -> list[Problem]:
    if len(set(said)) < 2:
        return []
    what = "; ".join(f"{director.name} has {one}" for (director, _where, _server), one in zip(holders, said))
    places = [(director, f"{where}.{word}") for director, where, _server in holders]
    return [_between(places, what, "after a failover it would be another", WARNING)]


def _pools(holders: t.Sequence[Holder]) -> list[Problem]:
    """Real servers that not every director has, or has with another weight."""
    pools = [_pool(where, server) for _director, where, server in holders]
    common = set(pools[0]).intersection(*pools)
    odd = sorted({key for pool in pools for key in pool if key not in common})
    found: list[Problem] = []
    if odd:
        listed = [
            f"{label(REAL_SERVER, dict(zip(('ip', 'port'), key)), 0)} is on "
            + " and ".join(holder[0].name for holder, pool in zip(holders, pools) if key in pool)
            + " only"
            for key in odd[:_MOST_LISTED]
        ]
        listed += [f"and {len(odd) - _MOST_LISTED} more differ"] if odd[_MOST_LISTED:] else []
        own = [next((pool[key][0] for key in odd if key in pool), None) for pool in pools]
        places = [(holder[0], path or holder[1]) for holder, path in zip(holders, own)]
        what = f"the real server {'; '.join(listed)}"
        found.append(_between(places, what, "list the same on all directors", WARNING))
    for key in sorted(common):
        weights = [pool[key][1] for pool in pools]
        if len(set(weights)) > 1 and len(found) < _MOST_LISTED:
            listed = [f"{holder[0].name} has weight {weight}" for holder, weight in zip(holders, weights)]
            places = [(holder[0], f"{pool[key][0]}.weight") for holder, pool in zip(holders, pools)]
            found.append(_between(places, "; ".join(listed), "after a failover it would be another", WARNING))
    return found


def _pool(where: str, server: Fields) -> dict[tuple[str, int], tuple[str, str]]:
    """(address, port) of each real server -> (its path, its weight)."""
    found: dict[tuple[str, int], tuple[str, str]] = {}
    for number, real in enumerate(items(server.get("real_server"))):
        at = address.try_parse(real.get("ip"))
        port = model.whole(real.get("port", server.get("port", 0)))
        if at is not None and port is not None:
            weight = real.get("weight", server.get("weight", 1))
            path = f"{where}.real_server[{label(REAL_SERVER, real, number)}]"
            found.setdefault((str(at), port), (path, str(weight)))
    return found


def _sync_daemons(directors: t.Sequence[Director]) -> list[Problem]:
    """A sync daemon that only some have, or that would not hear the other one."""
    said = [(director, _sync_daemon(director)) for director in directors]
    running = [(director, options) for director, options in said if options is not None]
    if not running:
        return []
    where = "global_defs.lvs_sync_daemon"
    lacking = [director.name for director, options in said if options is None]
    if lacking:
        what = f"{' and '.join(lacking)} has no sync daemon"
        advice = "connections break when they move there: add lvs_sync_daemon"
        return [_between([(running[0][0], where)], what, advice, WARNING)]
    found: list[Problem] = []
    for name in ("id", *_SYNC):
        values = [options[name] for _director, options in running]
        if len(set(values)) > 1:
            what = "; ".join(f"{director.name} has {name} {options[name]}" for director, options in running)
            places = [(director, where) for director, _options in running]
            found.append(_between(places, what, "they hear each other only with the same"))
    return found


def _sync_daemon(director: Director) -> dict[str, str] | None:
    """The sync daemon's id, port and group; None without one."""
    wanted = model.sync_daemon_interfaces(director.configuration)
    if not wanted:
        return None
    line = str(director.configuration["global_defs"].get("lvs_sync_daemon", "")).split()
    instance = director.instances().get(wanted[0][1], {})
    found = {"id": str(instance.get("virtual_router_id", 0)), **_SYNC}
    found.update({name: value for name, value in zip(line, line[1:]) if name in found})
    return found
