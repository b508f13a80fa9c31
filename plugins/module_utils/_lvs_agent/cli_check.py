# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check files of keepalived.conf: everything that is wrong, at once, with its place and what to write instead.

Exit status: 0, no errors; 1, warnings and --strict; 2, wrong usage; 5, errors (as keepalived -t has it), which
a file that cannot be read is too.

With --json: {"files": [name], "errors": number, "warnings": number, "problems": [{"file", "line", "column",
"severity", "where", "what", "instead", "also": [{"file", "line", "column"}]}]}; file, line and column are null where
a finding has no place, "also" are the places in the other files of a comparison.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import typing as t

from . import program, refusals, this_host
from .conf import check_local, read, settle
from .conf.compare import compare
from .conf.director import Director
from .conf.excerpt import excerpt, visible
from .conf.lexer import Source
from .conf.problem import ERROR, WARNING, Position, Problem
from .conf.read import Parsed

NAME = "check"
HELP = "check files of keepalived.conf"

GOOD = 0
DOUBTFUL = 1
BAD = 5

_COLOURS = {ERROR: "\033[1;31m", WARNING: "\033[1;33m", "caret": "\033[1;32m", "end": "\033[0m"}
_MOST_EXCERPTS = 200  # findings; those after have their place only


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``lvs-agent check``."""
    parser.add_argument("files", metavar="FILE", nargs="+", help="a file, with all it includes")
    parser.add_argument(
        "--compare",
        metavar="OTHER",
        action="append",
        default=[],
        help="check this file of another director of the pair too, and what the two must agree on; can be repeated",
    )
    parser.add_argument(
        "-i",
        "--config-id",
        metavar="NAME",
        default=os.uname().nodename.partition(".")[0],
        help="who the lines @NAME are for, as in keepalived; the first part of this machine's name by default",
    )
    parser.add_argument(
        "--compare-id",
        metavar="NAME",
        action="append",
        default=[],
        help="the same for OTHER, for the first one first; FILE's by default",
    )
    parser.add_argument(
        "--engine",
        choices=(read.AGENT, read.KEEPALIVED),
        default=read.AGENT,
        help="who is to run the file; %(default)s by default. What only lvs-agent does not do is no finding for "
        "keepalived",
    )
    parser.add_argument(
        "--local",
        action="store_true",
        help="this machine is to run FILE: look at its interfaces and addresses, and at the scripts on its disk",
    )
    parser.add_argument("--strict", action="store_true", help="exit status 1 for warnings too")
    parser.add_argument("--json", action="store_true", help="one JSON object, for programs")


def run(arguments: argparse.Namespace) -> int:
    """Check the files of the command line, write what was found, return the exit status."""
    if arguments.compare and len(arguments.files) != 1:
        sys.stderr.write("lvs-agent check: --compare takes one FILE\n")
        return program.USAGE
    if len(arguments.compare_id) > len(arguments.compare):
        sys.stderr.write("lvs-agent check: there are more --compare-id than --compare\n")
        return program.USAGE
    ids = [arguments.config_id] * len(arguments.files) + arguments.compare_id
    files = [*arguments.files, *arguments.compare]
    ids += [arguments.config_id] * (len(files) - len(ids))
    checked = [
        _Checked(path, read.read_file(path, ids=[one], engine=arguments.engine)) for path, one in zip(files, ids)
    ]
    for number, one in enumerate(checked):
        one.problems += read.file_problems(one.parsed)
        if arguments.engine == read.AGENT:
            here = arguments.local and number < len(arguments.files)
            one.problems += refused(one.parsed, one.problems, local=here)
        if arguments.local and number < len(arguments.files):
            one.problems += lacking(one.parsed)
    between: list[Problem] = []
    if arguments.compare:
        between = compare({name: one.parsed for name, one in zip(_names(files, ids), checked)})
    _write(_json(checked, between) if arguments.json else _text(checked, between, sys.stdout.isatty()))
    found = {problem.severity for problem in (*between, *(each for one in checked for each in one.problems))}
    if ERROR in found:
        return BAD
    return DOUBTFUL if found and arguments.strict else GOOD


def _names(files: t.Sequence[str], ids: t.Sequence[str]) -> list[str]:
    """What messages call the files of a comparison; one file can be that of both directors, with an id for each."""
    names = [f"{path} ({one})" if files.count(path) > 1 else path for path, one in zip(files, ids)]
    return [
        f"{name}, {number} of {len(names)}" if names.count(name) > 1 else name for number, name in enumerate(names, 1)
    ]


@dataclasses.dataclass
class _Checked:
    """A file that was asked for, and all that was found in it."""

    path: str
    parsed: Parsed
    problems: list[Problem] = dataclasses.field(default_factory=list)


def refused(parsed: Parsed, found: t.Iterable[Problem], *, local: bool = False) -> list[Problem]:
    """What the daemon finds only when it makes its plan of a file in which no error was ``found``."""
    if any(problem.severity == ERROR for problem in found):
        return []
    settled = settle.settle(parsed.configuration)
    return [parsed.places.with_position(problem) for problem in refusals.problems(settled, local=local)]


def _count(problems: t.Sequence[Problem]) -> str:
    """How many errors and warnings, in words."""
    found = [(severity, sum(one.severity == severity for one in problems)) for severity in (ERROR, WARNING)]
    return ", ".join(_counted(number, severity) for severity, number in found)


def lacking(parsed: Parsed) -> list[Problem]:
    """What this machine lacks for the file."""
    director = Director("", {}, parsed.configuration)
    found = check_local.problems(director, this_host.interfaces(), this_host.account, this_host.command)
    return [parsed.places.with_position(problem) for problem in found]


def _sources(checked: t.Sequence[_Checked]) -> dict[str, Source]:
    """All lines of all files, by name."""
    return {name: source for one in checked for name, source in one.parsed.sources.items()}


def _text(checked: t.Sequence[_Checked], between: t.Sequence[Problem], coloured: bool) -> t.Iterator[str]:
    """The findings for people: as compilers write them, with excerpts."""
    sources = _sources(checked)
    left = _MOST_EXCERPTS
    groups = [(one.problems, f"{visible(one.path)}: {_count(one.problems)} ({_read(one.parsed)})") for one in checked]
    if between:
        names = " and ".join(visible(one.path) for one in checked)
        groups.append((list(between), f"{names}: {_count(between)} between them"))
    for problems, verdict in groups:
        for problem in problems:
            left -= 1
            yield from _told(problem, sources if left >= 0 else {}, coloured)
        yield verdict


def _told(problem: Problem, sources: t.Mapping[str, Source], coloured: bool) -> t.Iterator[str]:
    """One finding: place, what is wrong, the line, what to write instead, and the other places of it."""

    def painted(text: str, colour: str) -> str:
        return f"{_COLOURS[colour]}{text}{_COLOURS['end']}" if coloured else text

    place = f"{visible(str(problem.position))}: " if problem.position is not None else ""
    where = f"{visible(problem.where)}: " if problem.where else ""
    yield f"{place}{painted(problem.severity, problem.severity)}: {where}{visible(problem.what)}"
    for number, position in enumerate(filter(None, (problem.position, *problem.beside))):
        if number:
            yield f"  and {visible(str(position))}"
        line, caret = excerpt(sources, position)
        if line:
            yield f"{position.line:6} | {line}"
            yield f"{'':6} | {painted(caret, 'caret')}"
    if problem.instead:
        yield f"{'':6} = {visible(problem.instead)}"


def _read(parsed: Parsed) -> str:
    """What there was to check, so that nobody takes an empty file for a good one."""
    keys = [key for key in ("vrrp_instance", "virtual_server", "vrrp_script") if parsed.configuration[key]]
    found = ", ".join(_counted(len(parsed.configuration[key]), key) for key in keys)
    return found or "neither vrrp_instance nor virtual_server"


def _counted(number: int, name: str) -> str:
    """A number of things, in words."""
    return f"{number or 'no'} {name}{'' if number == 1 else 's'}"


def _json(checked: t.Sequence[_Checked], between: t.Sequence[Problem]) -> t.Iterator[str]:
    """The findings for programs."""
    problems = [*(problem for one in checked for problem in one.problems), *between]
    counted = {f"{name}s": sum(one.severity == name for one in problems) for name in (ERROR, WARNING)}
    found = [_fields(problem) for problem in problems]
    yield json.dumps({"files": [one.path for one in checked], **counted, "problems": found}, indent=1)


def _fields(problem: Problem) -> dict[str, t.Any]:
    """One finding. ``file``, ``line`` and ``column`` are null where it has no place; ``also`` are its other places."""
    return {
        **_place(problem.position),
        "severity": problem.severity,
        "where": problem.where,
        "what": problem.what,
        "instead": problem.instead,
        "also": [_place(position) for position in problem.beside],
    }


def _place(position: Position | None) -> dict[str, t.Any]:
    if position is None:
        return {"file": None, "line": None, "column": None}
    return {"file": position.file, "line": position.line, "column": position.column}


def _write(lines: t.Iterable[str]) -> None:
    """To standard output, whatever characters it can take."""
    encoding = sys.stdout.encoding or "ascii"
    for line in lines:
        sys.stdout.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
