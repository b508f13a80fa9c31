# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the directors of a site must have in common, and what must differ between them."""

from __future__ import annotations

import typing as t

from . import address, model
from .director import Director
from .problem import WARNING, Problem

Instance = t.Mapping[str, t.Any]
Holder = tuple[Director, Instance]


def problems(directors: t.Sequence[Director]) -> list[Problem]:
    """All findings between the directors."""
    found = _alone(directors)
    names = list(dict.fromkeys(name for director in directors for name in director.instances()))
    for name in names:
        holders = [(one, one.instances()[name]) for one in directors if name in one.instances()]
        found += _priorities(holders)
        for word, read in _COMMON:
            found += _agreement(holders, word, read)
        found += _peers(holders)
        found += _masters(name, holders)
        found += _gaps(holders)
    return found


def _alone(directors: t.Sequence[Director]) -> list[Problem]:
    if len(directors) != 1:
        return []
    return [
        directors[0].problem(
            "director_vrrp_instances", "it is the site's only director", "a site has two or more", WARNING
        )
    ]


def _priorities(holders: t.Sequence[Holder]) -> list[Problem]:
    """Equal priorities, one finding for each shared value, at the place where the later host got it."""
    found: list[Problem] = []
    by_value: dict[int, list[Holder]] = {}
    for director, instance in holders:
        value = model.whole(instance.get("priority"))
        if value is not None:
            by_value.setdefault(value, []).append((director, instance))
    for value, equal in by_value.items():
        if len(equal) < 2:
            continue
        director, instance = equal[-1]
        where = director.path(instance, "priority")
        hosts = tuple(one.name for one, _instance in equal)
        what = f"priority {value} on every one of them; the highest becomes master, so they must differ"
        found.append(
            Problem(where, what, "give each director its own in director_host_vrrp_instances", hosts=hosts)
        )
    return found


def _number(word: str) -> t.Callable[[Director, Instance], str]:
    return lambda _director, instance: str(instance.get(word))


def _interval(_director: Director, instance: Instance) -> str:
    return f"{model.interval(instance).normalize():f} s"


def _version(director: Director, instance: Instance) -> str:
    return str(model.version(instance, director.configuration["global_defs"]))


def _addresses(_director: Director, instance: Instance) -> str:
    return ", ".join(
        str(at) for at in sorted(set(model.vips(instance)), key=lambda at: (at.version, int(at)))
    )


def _excluded(_director: Director, instance: Instance) -> str:
    found = set(model.vips(instance, "virtual_ipaddress_excluded"))
    return ", ".join(str(at) for at in sorted(found, key=lambda at: (at.version, int(at)))) or "none"


def _auth_type(_director: Director, instance: Instance) -> str:
    given = instance.get("authentication")
    return str(given.get("auth_type")) if isinstance(given, t.Mapping) else "none"


def _casting(_director: Director, instance: Instance) -> str:
    return "unicast" if instance.get("unicast_peer") else "multicast"


_COMMON: tuple[tuple[str, t.Callable[[Director, Instance], str]], ...] = (
    ("virtual_router_id", _number("virtual_router_id")),
    ("advert_int", _interval),
    ("version", _version),
    ("virtual_ipaddress", _addresses),
    ("virtual_ipaddress_excluded", _excluded),
    ("authentication", _auth_type),
    ("unicast_peer", _casting),
)


def _agreement(
    holders: t.Sequence[Holder], word: str, read: t.Callable[[Director, Instance], str]
) -> list[Problem]:
    """A word whose value must be the same on all directors of an instance."""
    said = [(director, instance, read(director, instance)) for director, instance in holders]
    values = list(dict.fromkeys(value for _director, _instance, value in said))
    found: list[Problem] = []
    if len(values) > 1:
        director, instance, _value = next(one for one in reversed(said) if one[2] != values[0])
        listed = "; ".join(f"{one.name} has {value}" for one, _instance, value in said)
        advice = "they must be the same on all directors"
        found.append(
            Problem(
                director.path(instance, word), listed, advice, hosts=tuple(one.name for one, _i in holders)
            )
        )
    elif word == "authentication" and len(_secrets(holders)) > 1:
        director, instance = holders[-1]
        hosts = tuple(one.name for one, _instance in holders)
        where = f"{director.path(instance, word)}.auth_pass"
        found.append(
            Problem(where, "the passwords of the directors differ", "they must be the same", hosts=hosts)
        )
    return found


def _secrets(holders: t.Sequence[Holder]) -> set[str]:
    given = [instance.get("authentication") for _director, instance in holders]
    return {str(one.get("auth_pass")) for one in given if isinstance(one, t.Mapping)}


def _peers(holders: t.Sequence[Holder]) -> list[Problem]:
    """A director that another one does not have among its unicast peers."""
    found: list[Problem] = []
    sources = {one.name: address.try_parse(instance.get("unicast_src_ip")) for one, instance in holders}
    for director, instance in holders:
        peers = {address.try_parse(line[0]) for line in model.lines(instance.get("unicast_peer"))}
        for other, source in sources.items():
            if peers and other != director.name and source is not None and source not in peers:
                where = director.path(instance, "unicast_peer")
                found.append(
                    director.problem(where, f"{other} ({source}) is not in it", "list every other director")
                )
    return found


def _masters(name: str, holders: t.Sequence[Holder]) -> list[Problem]:
    """Two directors that both start as master."""
    masters = [director.name for director, instance in holders if instance.get("state") == "MASTER"]
    if len(masters) < 2:
        return []
    where = holders[0][0].path(holders[0][1], "state")
    what = f"more than one director starts {name} as MASTER"
    return [
        Problem(
            where, what, "write it for the director with the highest priority only", WARNING, tuple(masters)
        )
    ]


def _gaps(holders: t.Sequence[Holder]) -> list[Problem]:
    """A tracked script whose weight cannot bring the master below the next director."""
    ranked = sorted(holders, key=lambda holder: model.whole(holder[1].get("priority")) or 0, reverse=True)
    if len(ranked) < 2:
        return []
    director, master = ranked[0]
    first, second = (model.whole(instance.get("priority")) for _director, instance in ranked[:2])
    if first is None or second is None or first == second:
        return []
    scripts = {str(one.get("name")): one for one in director.configuration["vrrp_script"]}
    found: list[Problem] = []
    for line in model.lines(master.get("track_script")):
        said = (
            line[2:3] if line[1:2] == ["weight"] else str(scripts.get(line[0], {}).get("weight", 0)).split()
        )
        weight = model.whole(said[0]) if said else None
        if weight and abs(weight) <= first - second:
            what = (
                f"the weight {weight} of {line[0]} is not above the gap of the priorities, {first} - {second}"
            )
            advice = f"its failure alone cannot move the VIP: write {first - second + 1} or more"
            found.append(director.problem(director.path(master, "track_script"), what, advice, WARNING))
    return found
