# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One director's file -> the configuration a site's variables would make, with comments and notes.

Nothing is lost: the configuration, rendered and read again, is that of the file. What a file leaves to keepalived's
defaults although the role has others is written out; what no variable can hold becomes a ``raw`` line with a note.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from . import model, values
from .merge import Configuration, Fields, items
from .parser import Tree
from .problem import ERROR, Problem
from .read import KEEPALIVED, Parsed, file_problems, read_tree
from .remarks import Remark, remarks
from .schema import BLOCK_OF, VARIABLES
from .settle import is_needless
from .trails import Path, Trails, plain
from .tree import Statement
from .words import GONE, OWN, REFUSED, Block

_LEFT_OUT = re.compile(r"vrrp_sync_group (\S+) is left out: it has one member, (\S+)\Z")  # see render.py
_PROTOCOL_OF_A_FILE = "UDP"  # keepalived's own default, which is not the role's


@dataclasses.dataclass(frozen=True)
class Imported:
    """What a director's file says.

    ``configuration`` is in the form variables have; empty when there is an error among ``problems``. ``comments``
    are lines by their path (see :mod:`.trails`), the path () for the file as a whole. ``notes`` say what a person
    should know of the import.
    """

    name: str
    configuration: Configuration
    comments: dict[Path, list[str]]
    notes: list[str]
    problems: list[Problem]

    def plain(self) -> Fields:
        """As JSON has it, for a way between hosts; a good import only."""
        comments = [[list(path), lines] for path, lines in self.comments.items()]
        return {"configuration": self.configuration, "comments": comments, "notes": self.notes}

    @classmethod
    def from_plain(cls, name: str, given: t.Mapping[str, t.Any]) -> Imported:
        """The way back."""
        comments = {tuple(path): list(lines) for path, lines in given["comments"]}
        return cls(name, dict(given["configuration"]), comments, list(given["notes"]), [])

    @property
    def is_good(self) -> bool:
        """There is no error in the file."""
        return all(problem.severity != ERROR for problem in self.problems)


def import_tree(
    name: str, tree: Tree, ids: t.Collection[str], keep_unknown: bool = False, check: bool = True
) -> Imported:
    """The file of the director ``name``, parsed for these ``ids``.

    ``check``: what the checks call an error is one here too; else only what cannot be read is.

    ``keep_unknown``: a keyword that the schema does not have is kept as a ``raw`` line, not an error.
    """
    notes: list[str] = []
    raws = _Raws(keep_unknown, notes)
    statements = [one for one in tree.statements if not raws.taken(one)]
    parsed = read_tree(dataclasses.replace(tree, statements=statements), KEEPALIVED)
    found = Imported(name, parsed.configuration, {}, notes, file_problems(parsed) if check else parsed.problems)
    if not found.is_good:
        return found
    trails = Trails(parsed.configuration, parsed.places)
    beside = remarks(parsed.sources.values(), statements, ids)
    raws.skipped(beside.skipped)
    raws.into(trails)
    configuration = _written_out(parsed, notes)
    _restore_groups(configuration, beside.comments)
    return dataclasses.replace(found, configuration=configuration, comments=_comments(beside.comments, trails))


# --- what no variable can hold


class _Raws:
    """Lines that go to the word ``raw`` of their block."""

    def __init__(self, keep_unknown: bool, notes: list[str]) -> None:
        self._keep_unknown = keep_unknown
        self._notes = notes
        self._lines: list[tuple[Statement, list[str]]] = []

    def taken(self, statement: Statement, block: Block | None = None, within: Statement | None = None) -> bool:
        """Take a statement when it is for us, else what is in its block; True when it was taken."""
        word = block.find(statement.words[0]) if block is not None else None
        if block is None:
            inner = _TOP.get(statement.words[0])
        else:
            inner = word.block if word is not None else None
            unknown = word is None and self._keep_unknown
            refused = word is not None and word.kind == REFUSED
            if within is not None and block.find("raw") is not None and (unknown or refused):
                why = word.reason if word is not None else "the keyword is not known"
                self._notes.append(f"{statement.position()}: {statement.words[0]} is kept as a raw line: {why}")
                self._lines.append((within, _text(statement)))
                return True
        if inner is not None and statement.children is not None and not inner.lines:
            statement.children[:] = [one for one in statement.children if not self.taken(one, inner, statement)]
        return False

    def skipped(self, remarks_: t.Iterable[Remark]) -> None:
        """Lines whose condition did not hold: those for keepalived alone are kept, of the others a note is."""
        for one in remarks_:
            if one.text.startswith(f"@^{OWN}") and one.within is not None:
                self._lines.append((one.within, [one.text]))
                self._notes.append(f"{one.position}: {one.text!r} is for keepalived alone, and kept as a raw line")
            else:
                self._notes.append(f"{one.position}: {one.text!r} is for another director, and left out here")

    def into(self, trails: Trails) -> None:
        """Put the lines into the blocks they came from."""
        for statement, lines in self._lines:
            block = trails.blocks.get(id(statement))
            if block is not None:
                block.setdefault("raw", []).extend(lines)


_TOP = {
    spelling: variable.word.block
    for variable in VARIABLES
    if variable.word.block is not None and not variable.flat
    for spelling in (variable.word.name, *variable.word.aliases)
}


def _text(statement: Statement) -> list[str]:
    """A statement with its block, as lines of a file."""
    line = f"@{OWN} {statement.raw()}" if statement.own else statement.raw()
    if statement.children is None:
        return [line]
    inner = [f"    {one}" for child in statement.children for one in _text(child)]
    return [f"{line} {{", *inner, "}"]


# --- what a file means without saying it


def _written_out(parsed: Parsed, notes: list[str]) -> Configuration:
    """The configuration as variables have it, with keepalived's defaults where the role's are others."""
    found: Configuration = {}
    groups = model.groups_of(parsed.configuration)
    for variable in VARIABLES:
        value, block = parsed.configuration[variable.key], variable.word.block
        if block is None:
            found[variable.key] = list(value)
            continue
        blocks = [_effective(block, plain(block, one), variable.key, notes) for one in items(value)]
        found[variable.key] = blocks if variable.many else blocks[0]
    for instance in found["vrrp_instance"]:
        instance.setdefault("priority", model.priority(instance))
    for server in found["virtual_server"]:
        server.setdefault("lb_algo", model.DEFAULT_ALGORITHM)
        server.setdefault("lb_kind", model.DEFAULT_METHOD)
        if not model.is_mark_only(server, groups):
            server.setdefault("protocol", _PROTOCOL_OF_A_FILE)
    _scripts(found, notes)
    for variable in VARIABLES:
        if variable.many and variable.word.block is not None:
            found[variable.key] = [_ordered(variable.word.block, one) for one in found[variable.key]]
    return found


def _effective(block: Block, given: Fields, where: str, notes: list[str]) -> Fields:
    """The block without the words that keepalived no longer has, in the schema's order."""
    for name in list(given):
        word = block.find(name)
        if word is not None and word.kind == GONE:
            del given[name]
            notes.append(f"{where}: {name} is left out: {word.reason}")
    return _ordered(block, given)


def _ordered(block: Block, given: Fields) -> Fields:
    return {word.name: given[word.name] for word in block.words if word.name in given}


def _scripts(configuration: Configuration, notes: list[str]) -> None:
    """The role makes scripts secure unless it is told not to; a file is as it is."""
    global_defs = configuration["global_defs"]
    if not model.has_scripts(configuration):
        return
    if not values.boolean(global_defs.get("enable_script_security", False)):
        global_defs["enable_script_security"] = False
        notes.append(
            "global_defs: scripts run without enable_script_security; it is written as false to change nothing, "
            "true is safer"
        )
    elif "script_user" not in global_defs:
        notes.append(
            "global_defs: there is no script_user, so keepalived runs scripts as keepalived_script where that user "
            "exists, else as root; the role writes root"
        )
    configuration["global_defs"] = _ordered(BLOCK_OF["global_defs"], global_defs)


def _restore_groups(configuration: Configuration, comments: list[Remark]) -> None:
    """The groups of one that our own renderer left out, with a comment in their place."""
    for remark in list(comments):
        match = _LEFT_OUT.match(remark.text)
        if match is not None:
            group = {"name": match[1], "group": [match[2]]}
            if is_needless(group):
                configuration["vrrp_sync_group"].append(group)
            comments.remove(remark)


def _comments(found: t.Iterable[Remark], trails: Trails) -> dict[Path, list[str]]:
    """Lines by path; what stands at no path of the configuration is the file's."""
    by_path: dict[Path, list[str]] = {}
    for remark in found:
        statement = remark.above or remark.within
        path = trails.paths.get(id(statement), ()) if statement is not None else ()
        by_path.setdefault(path, []).append(remark.text)
    return by_path
