# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the directors of a site must have in common, and what must differ between them.

In an inventory instances belong together by their names; :mod:`.compare` says how those of files find each other.
"""

from __future__ import annotations

import typing as t

from . import address, model
from .director import Director
from .problem import ERROR, WARNING, Position, Problem

Instance = t.Mapping[str, t.Any]
Holder = tuple[Director, Instance]


_MOST_LISTED = 8  # addresses in one message


def problems(directors: t.Sequence[Director]) -> list[Problem]:
    """All findings between the directors of an inventory."""
    found = _alone(directors)
    names = list(dict.fromkeys(name for director in directors for name in director.instances()))
    for name in names:
        found += between([(one, one.instances()[name]) for one in directors if name in one.instances()])
    return found


def between(holders: t.Sequence[Holder]) -> list[Problem]:
    """All findings between the directors that hold one virtual router, each with its instance of it."""
    found = _priorities(holders)
    for word, read in _COMMON:
        found += _agreement(holders, word, read)
    for word in ("virtual_ipaddress", "virtual_ipaddress_excluded"):
        found += _addresses(holders, word)
    found += _peers(holders)
    found += _masters(holders)
    found += _gaps(holders)
    return found


class _Finding(t.NamedTuple):
    """What is wrong: ``lines`` of a holder are the lines of a list that it is about."""

    what: str
    instead: str
    severity: str = ERROR
    lines: t.Callable[[Holder], t.Sequence[str]] = lambda _holder: ("",)


def _problem(holders: t.Sequence[Holder], at: Holder, word: str, finding: _Finding) -> Problem:
    """A finding on a word of several directors' instances.

    ``at`` is the one whose variable is named; of files it is the first one, which is the one being checked.
    """
    if holders[0][0].places is not None:
        at = holders[0]
    director, instance = at
    positions: list[Position] = []
    for one in (at, *(holder for holder in holders if holder is not at)):
        for line in finding.lines(one):
            position = one[0].position(one[0].path(one[1], word), line)
            positions += [position] if position is not None and position not in positions else []
    return Problem(
        director.path(instance, word),
        finding.what,
        finding.instead,
        finding.severity,
        tuple(one.name for one, _instance in holders),
        positions[0] if positions else None,
        tuple(positions[1 : _MOST_LISTED + 1]),
    )


def _alone(directors: t.Sequence[Director]) -> list[Problem]:
    if len(directors) != 1 or not directors[0].configuration["vrrp_instance"]:
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
        # what is out of range is told by itself
        if 1 <= model.priority(instance) <= model.OWNER:
            by_value.setdefault(model.priority(instance), []).append((director, instance))
    for value, equal in by_value.items():
        if len(equal) < 2:
            continue
        what = f"priority {value} on every one of them; the highest becomes master, so they must differ"
        files = equal[-1][0].places is not None
        advice = "give each director its own" + ("" if files else " in director_host_vrrp_instances")
        # in a file it is legal: then the higher address wins
        found.append(_problem(equal, equal[-1], "priority", _Finding(what, advice, WARNING if files else ERROR)))
    return found


def _number(word: str) -> t.Callable[[Director, Instance], str]:
    return lambda _director, instance: str(instance.get(word))


def _interval(_director: Director, instance: Instance) -> str:
    return f"{model.interval(instance).normalize():f} s"


def _version(director: Director, instance: Instance) -> str:
    return str(model.version(instance, director.configuration["global_defs"]))


def _auth_type(_director: Director, instance: Instance) -> str:
    given = instance.get("authentication")
    return str(given.get("auth_type")) if isinstance(given, t.Mapping) else "none"


def _casting(_director: Director, instance: Instance) -> str:
    return "unicast" if instance.get("unicast_peer") else "multicast"


def _group(director: Director, instance: Instance) -> str:
    """The multicast group of an instance's adverts; "unicast" where there is none."""
    if instance.get("unicast_peer"):
        return "unicast"
    six = any(at.version == 6 for at in model.vips(instance))
    default = director.configuration["global_defs"].get("vrrp_mcast_group6" if six else "vrrp_mcast_group4")
    said = instance.get("mcast_dst_ip", default)
    return str(address.try_parse(said) or said or ("ff02::12" if six else "224.0.0.18"))


_COMMON: tuple[tuple[str, t.Callable[[Director, Instance], str]], ...] = (
    ("virtual_router_id", _number("virtual_router_id")),
    ("advert_int", _interval),
    ("version", _version),
    ("authentication", _auth_type),
    ("unicast_peer", _casting),
    ("mcast_dst_ip", _group),
)


def _agreement(
    holders: t.Sequence[Holder], word: str, read: t.Callable[[Director, Instance], str]
) -> list[Problem]:
    """A word whose value must be the same on all directors of an instance."""
    said = [(holder, read(*holder)) for holder in holders]
    values = list(dict.fromkeys(value for _holder, value in said))
    if word == "mcast_dst_ip" and "unicast" in values:
        return []  # told under unicast_peer
    if len(values) > 1:
        at = next(holder for holder, value in reversed(said) if value != values[0])
        listed = "; ".join(f"{holder[0].name} has {value}" for holder, value in said)
        return [_problem(holders, at, word, _Finding(listed, "they must be the same on all directors"))]
    if word == "authentication" and len(_secrets(holders)) > 1:
        finding = _Finding("the passwords of the directors differ", "they must be the same")
        return [_problem(holders, holders[-1], f"{word}.auth_pass", finding)]
    return []


def _addresses(holders: t.Sequence[Holder], word: str) -> list[Problem]:
    """Addresses that not every director has; a mistyped one is one on each side."""
    own = [(holder, set(model.vips(holder[1], word))) for holder in holders]
    common = set.intersection(*(has for _holder, has in own))
    odd = sorted({at for _holder, has in own for at in has - common}, key=lambda at: (at.version, int(at)))
    if not odd:
        return []
    listed = [
        f"{at} is on {' and '.join(holder[0].name for holder, has in own if at in has)} only"
        for at in odd[:_MOST_LISTED]
    ]
    if odd[_MOST_LISTED:]:
        listed.append(f"and {len(odd) - _MOST_LISTED} more differ")

    def lines(holder: Holder) -> list[str]:
        said = [line[0] for line in model.lines(holder[1].get(word))]
        return [one for one in said if address.try_parse(one.partition("/")[0]) in odd][:_MOST_LISTED] or [""]

    at = next(holder for holder, has in reversed(own) if has - common)
    advice = "the list must be the same on all directors"
    return [_problem(holders, at, word, _Finding("; ".join(listed), advice, lines=lines))]


def _secrets(holders: t.Sequence[Holder]) -> set[bytes]:
    given = [instance.get("authentication") for _director, instance in holders]
    # the bytes that are sent
    return {str(one.get("auth_pass")).encode()[:8] for one in given if isinstance(one, t.Mapping)}


def _peers(holders: t.Sequence[Holder]) -> list[Problem]:
    """A director that another one does not have among its unicast peers."""
    found: list[Problem] = []
    sources = {one.name: address.try_parse(instance.get("unicast_src_ip")) for one, instance in holders}
    for director, instance in holders:
        peers = {address.try_parse(line[0]) for line in model.lines(instance.get("unicast_peer"))}
        for other, source in sources.items():
            if peers and other != director.name and source is not None and source not in peers:
                finding = _Finding(f"{other} ({source}) is not in it", "list every other director")
                one = [(director, instance)]
                found.append(_problem(one, one[0], "unicast_peer", finding))
    return found


def _masters(holders: t.Sequence[Holder]) -> list[Problem]:
    """Two directors that both start as master."""
    masters = [holder for holder in holders if holder[1].get("state") == "MASTER"]
    if len(masters) < 2:
        return []
    what = f"more than one director starts {masters[0][1].get('name')} as MASTER"
    advice = "write it for the director with the highest priority only"
    return [_problem(masters, masters[0], "state", _Finding(what, advice, WARNING))]


def _gaps(holders: t.Sequence[Holder]) -> list[Problem]:
    """A tracked script whose weight cannot bring the master below the next director."""
    ranked = sorted(holders, key=lambda holder: model.priority(holder[1]), reverse=True)
    if len(ranked) < 2:
        return []
    director, master = ranked[0]
    first, second = (model.priority(instance) for _director, instance in ranked[:2])
    if first == second or any(model.is_on(instance.get("nopreempt")) for _director, instance in ranked):
        return []  # equal priorities, and weights that move nothing, are told by themselves
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
            finding = _Finding(what, advice, WARNING, _only(line[0]))
            found.append(_problem(ranked[:1], ranked[0], "track_script", finding))
    return found


def _only(line: str) -> t.Callable[[Holder], t.Sequence[str]]:
    return lambda _holder: (line,)
