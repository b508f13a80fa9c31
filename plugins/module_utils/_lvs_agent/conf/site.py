# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a site's directors -> its variables: what all have in common for the group, the rest for each host."""

from __future__ import annotations

import dataclasses
import typing as t

from .importer import Imported
from .merge import Fields, items
from .schema import HOST_GLOBALS, HOST_INSTANCES, VARIABLES, Variable
from .trails import Path
from .validate import label

# a host's own even when there is only one, so that the second one has its place
HOST_WORDS = {
    "global_defs": ("router_id",),
    "vrrp_instance": ("state", "interface", "priority", "mcast_src_ip", "unicast_src_ip", "unicast_peer"),
}
_ALWAYS_OWN = ("priority",)  # must differ, even where it does not
_KEYS = {variable.name: variable.key for variable in VARIABLES}


@dataclasses.dataclass(frozen=True)
class Site:
    """``group`` and ``hosts`` (by name) are variables; merged (see :mod:`.merge`) they make each director's file.

    ``comments`` and ``host_comments`` are lines by the path of a variable, () for the file; ``addresses`` those a
    director's VRRP packets come from, where its file says so; ``notes`` say what a person should know.
    """

    group: Fields
    hosts: dict[str, Fields]
    comments: dict[Path, list[str]]
    host_comments: dict[str, dict[Path, list[str]]]
    addresses: dict[str, str]
    notes: list[str]


def split(directors: t.Sequence[Imported]) -> Site:
    """The variables of a site from the files of its directors, which must be good and have different names."""
    group: Fields = {}
    hosts: dict[str, Fields] = {one.name: {} for one in directors}
    notes = [note for one in directors for note in one.notes]
    for variable in VARIABLES:
        values = {one.name: one.configuration[variable.key] for one in directors}
        if variable.key == "global_defs":
            _mapping(variable, values, group, hosts)
        elif variable.key == "vrrp_instance" and _same_names(values):
            _instances(variable, values, group, hosts)
        else:
            _whole(variable, values, group, hosts, notes)
    common: dict[Path, list[str]] = {}
    own: dict[str, dict[Path, list[str]]] = {one.name: {} for one in directors}
    for one in directors:
        _place(one, group, hosts[one.name], common, own[one.name])
    heads = [own[one.name].get((), []) for one in directors]
    if heads[0] and all(head == heads[0] for head in heads):
        common[()] = heads[0]
        for one in directors:
            del own[one.name][()]
    return Site(group, hosts, common, own, _addresses(directors), list(dict.fromkeys(notes)))


def _common(key: str, values: t.Mapping[str, t.Mapping[str, t.Any]]) -> Fields:
    """The words that all have with the same value."""
    first, *others = values.values()
    own = _ALWAYS_OWN if others else HOST_WORDS[key]
    return {
        word: value
        for word, value in first.items()
        if word not in own and all(word in other and _same(other[word], value) for other in others)
    }


def _same(one: t.Any, other: t.Any) -> bool:
    """Equal, and of the same kind: 1 is not true."""
    return bool(one == other and repr(one) == repr(other))


def _mapping(variable: Variable, values: t.Mapping[str, Fields], group: Fields, hosts: dict[str, Fields]) -> None:
    common = _common(variable.key, values)
    if common:
        group[variable.name] = common
    for name, value in values.items():
        rest = {word: one for word, one in value.items() if word not in common}
        if rest:
            hosts[name][HOST_GLOBALS] = rest


def _same_names(values: t.Mapping[str, list[Fields]]) -> bool:
    names = [sorted(str(one.get("name")) for one in value) for value in values.values()]
    return all(one == names[0] for one in names)


def _instances(
    variable: Variable, values: t.Mapping[str, list[Fields]], group: Fields, hosts: dict[str, Fields]
) -> None:
    by_name = {host: {str(one["name"]): one for one in value} for host, value in values.items()}
    first = next(iter(values))
    for name in by_name[first]:
        common = _common(variable.key, {host: instances[name] for host, instances in by_name.items()})
        group.setdefault(variable.name, []).append(common)
        for host, instances in by_name.items():
            rest = {word: one for word, one in instances[name].items() if word not in common}
            if rest:
                hosts[host].setdefault(HOST_INSTANCES, {})[name] = rest


def _whole(
    variable: Variable, values: t.Mapping[str, t.Any], group: Fields, hosts: dict[str, Fields], notes: list[str]
) -> None:
    """A variable that is either the group's or each host's."""
    first, *others = values.values()
    if all(_same(first, other) for other in others):
        if first:
            group[variable.name] = first
        return
    for host, value in values.items():
        if value:
            hosts[host][variable.name] = value
    which = _differing(variable, list(values.values()))
    notes.append(f"{variable.key}: {', '.join(values)} differ{which}; so {variable.name} is in the host_vars of each")


def _differing(variable: Variable, values: list[t.Any]) -> str:
    """Which blocks are not the same everywhere."""
    if not variable.many or variable.word.block is None:
        return ""
    block = variable.word.block
    labelled = [{label(block, one, number): one for number, one in enumerate(items(value))} for value in values]
    every = list(dict.fromkeys(name for one in labelled for name in one))
    first = labelled[0]
    odd = [name for name in every if not all(name in one and _same(one[name], first.get(name)) for one in labelled)]
    shown = ", ".join(odd[:5]) + (f" and {len(odd) - 5} more" if len(odd) > 5 else "")
    return f" in {shown}" if odd else " in their order"


# --- comments


def _place(
    one: Imported, group: Fields, own: Fields, common: dict[Path, list[str]], owned: dict[Path, list[str]]
) -> None:
    """Each comment of a file to the variable that its place went to."""
    shared, mine = _targets(group), _targets(own)
    for path, lines in one.comments.items():
        known, where, target = _found(path, mine, shared)
        into = owned if where is mine or not known else common
        beside = into.setdefault(target, [])
        beside += [line for line in lines if where is mine or not known or line not in beside]


def _found(path: Path, mine: dict[Path, Path], shared: dict[Path, Path]) -> tuple[bool, dict[Path, Path], Path]:
    """Where a path of the configuration went, or the nearest block around it; the file when there is none."""
    for end in range(len(path), 0, -1):
        for places in (shared, mine):
            if path[:end] in places:
                return True, places, places[path[:end]]
    return False, mine, ()


def _targets(variables: t.Mapping[str, t.Any]) -> dict[Path, Path]:
    """Path in the configuration -> path in these variables, for everything in them."""
    found: dict[Path, Path] = {}
    for name, value in variables.items():
        if name == HOST_GLOBALS:
            _walk(value, ("global_defs",), (name,), found)
        elif name == HOST_INSTANCES:
            for instance, words in value.items():
                _walk(words, ("vrrp_instance", instance), (name, instance), found)
        elif _KEYS[name] == "vrrp_instance":
            for number, words in enumerate(value):
                _walk(words, ("vrrp_instance", str(words["name"])), (name, number), found)
        else:
            _walk(value, (_KEYS[name],), (name,), found)
    return found


def _walk(value: t.Any, path: Path, target: Path, found: dict[Path, Path]) -> None:
    found[path] = target
    inner: t.Iterable[tuple[t.Any, t.Any]] = ()
    if isinstance(value, t.Mapping):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for key, one in inner:
        _walk(one, (*path, key), (*target, key), found)


# --- what else the files tell


def _addresses(directors: t.Sequence[Imported]) -> dict[str, str]:
    """By host, the one source address that its instances name."""
    found: dict[str, str] = {}
    for one in directors:
        said = [
            str(instance[word])
            for instance in one.configuration["vrrp_instance"]
            for word in ("unicast_src_ip", "mcast_src_ip")
            if word in instance
        ]
        if said:
            found[one.name] = said[0]
    return found
