# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""References to a block that stands further below: keepalived looks a name up when it reads it, lvs-agent at the end.

Source: ``keepalived -t`` of 2.2.7, "track script chk not found, ignoring...".
"""

from __future__ import annotations

import typing as t

from .problem import WARNING, Problem
from .tree import Statement

# the keywords of the blocks that each word refers to
_TRACKED = {
    "track_script": ("vrrp_script",),
    "track_file": ("track_file", "vrrp_track_file"),
    "track_process": ("vrrp_track_process",),
    "track_bfd": ("bfd_instance",),
}
_CHECKED = {"FILE_CHECK": ("track_file", _TRACKED["track_file"]), "BFD_CHECK": ("name", _TRACKED["track_bfd"])}


class _Reference(t.NamedTuple):
    """A name where it is used, the keywords of blocks that it can be of, and how a path names the place."""

    statement: Statement
    word: int
    keywords: tuple[str, ...]
    where: str


def problems(statements: t.Sequence[Statement]) -> list[Problem]:
    """What keepalived ignores in these statements of the top level; names that nothing has are another's subject."""
    first: dict[tuple[str, str], int] = {}
    for number, statement in enumerate(statements):
        if len(statement.words) > 1:
            first.setdefault((statement.words[0], statement.words[1]), number)
    found: list[Problem] = []
    for number, statement in enumerate(statements):
        for one in _references(statement):
            name = one.statement.words[one.word]
            places = {first[keyword, name]: keyword for keyword in one.keywords if (keyword, name) in first}
            if places and min(places) > number:
                keyword = places[min(places)]
                what = f"keepalived ignores {name}, whose {keyword} comes later"
                advice = f"write {keyword} {name} before {statement.words[0]}"
                position = one.statement.position(one.word)
                found.append(Problem(one.where, what, advice, WARNING, position=position))
    return found


def _references(statement: Statement) -> t.Iterator[_Reference]:
    keyword = statement.words[0]
    if len(statement.words) < 2:
        return
    if keyword in ("vrrp_instance", "vrrp_sync_group"):
        where = f"{keyword}[{' '.join(statement.words[1:])}]"
        for inner in statement.children or ():
            keywords = _TRACKED.get(inner.words[0])
            for line in (inner.children or ()) if keywords else ():
                yield _Reference(line, 0, keywords or (), f"{where}.{inner.words[0]}")
    elif keyword == "virtual_server":
        where = f"{keyword}[{(' ' if statement.words[1] in ('group', 'fwmark') else ':').join(statement.words[1:])}]"
        for real in statement.children or ():
            yield from _of_checks(real, where)


def _of_checks(real: Statement, where: str) -> t.Iterator[_Reference]:
    for check in real.children or ():
        if check.words[0] in _CHECKED:
            word, keywords = _CHECKED[check.words[0]]
            for line in check.children or ():
                if line.words[0] == word and len(line.words) > 1:
                    place = f"{where}.real_server[{':'.join(real.words[1:])}].{check.words[0]}.{word}"
                    yield _Reference(line, 1, keywords, place)
