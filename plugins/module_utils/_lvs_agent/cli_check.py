# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check files of keepalived.conf: everything that is wrong, at once, with its place and what to write instead.

Exit status: 0, no errors; 1, warnings and --strict; 2, wrong usage; 5, errors (as keepalived -t has it), which
a file that cannot be read is too.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import typing as t

from . import this_host
from .conf import check_local, read
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
USAGE = 2
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
        return USAGE
    if len(arguments.compare_id) > len(arguments.compare):
        sys.stderr.write("lvs-agent check: there are more --compare-id than --compare\n")
        return USAGE
    ids = [arguments.config_id] * len(arguments.files) + arguments.compare_id
    files = [*arguments.files, *arguments.compare]
    ids += [arguments.config_id] * (len(files) - len(ids))
    checked = [
        _Checked(path, read.read_file(path, ids=[one], engine=arguments.engine)) for path, one in zip(files, ids)
    ]
    for number, one in enumerate(checked):
        one.problems += read.file_problems(one.parsed)
        if arguments.local and number < len(arguments.files):
            one.problems += _local(one.parsed)
    if arguments.compare:
        names = [f"{path} ({one})" if files.count(path) > 1 else path for path, one in zip(files, ids)]
        checked[0].problems += compare({name: one.parsed for name, one in zip(names, checked)})
    _write(_json(checked) if arguments.json else _text(checked, sys.stdout.isatty()))
    found = {problem.severity for one in checked for problem in one.problems}
    if ERROR in found:
        return BAD
    return DOUBTFUL if found and arguments.strict else GOOD


@dataclasses.dataclass
class _Checked:
    """A file that was asked for, and all that was found in it."""

    path: str
    parsed: Parsed
    problems: list[Problem] = dataclasses.field(default_factory=list)

    def count(self, severity: str) -> int:
        return sum(problem.severity == severity for problem in self.problems)


def _local(parsed: Parsed) -> list[Problem]:
    """What this machine lacks for the file."""
    director = Director("", {}, parsed.configuration)
    found = check_local.problems(director, this_host.interfaces(), this_host.account, this_host.command)
    return [parsed.places.with_position(problem) for problem in found]


def _sources(checked: t.Sequence[_Checked]) -> dict[str, Source]:
    """All lines of all files, by name."""
    return {name: source for one in checked for name, source in one.parsed.sources.items()}


def _text(checked: t.Sequence[_Checked], coloured: bool) -> t.Iterator[str]:
    """The findings for people: as compilers write them, with excerpts."""
    sources = _sources(checked)
    left = _MOST_EXCERPTS
    for one in checked:
        for problem in one.problems:
            left -= 1
            yield from _told(problem, sources if left >= 0 else {}, coloured)
        yield f"{visible(one.path)}: {_verdict(one)}"


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


def _verdict(one: _Checked) -> str:
    """The last line about a file: how much was found, and how much was read, so that nobody checks an empty one."""
    configuration = one.parsed.configuration
    read_blocks = [
        _counted(len(configuration[key]), key)
        for key in ("vrrp_instance", "virtual_server", "vrrp_script")
        if configuration[key]
    ]
    found = [_counted(one.count(ERROR), "error"), _counted(one.count(WARNING), "warning")]
    return f"{', '.join(found)} ({', '.join(read_blocks) or 'neither vrrp_instance nor virtual_server'})"


def _counted(number: int, name: str) -> str:
    return f"{number or 'no'} {name}{'' if number == 1 else 's'}"


def _json(checked: t.Sequence[_Checked]) -> t.Iterator[str]:
    """The findings for programs."""
    found = [_fields(problem) for one in checked for problem in one.problems]
    files = [{"file": one.path, "errors": one.count(ERROR), "warnings": one.count(WARNING)} for one in checked]
    yield json.dumps({"files": files, "problems": found}, indent=1)


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
