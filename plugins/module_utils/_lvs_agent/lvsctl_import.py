# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn the keepalived.conf of a site's directors into an inventory, ready for the role director.

What the files have in common goes to the group, the rest to each host. Nothing is lost: the inventory makes the same
files again. Comments come along.

Exit status: 0, done; 1, files of the inventory are there already, or cannot be written; 2, wrong usage; 5, errors in a
keepalived.conf: all of them are shown, and nothing is written.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import tempfile
import typing as t

from .conf import inventory
from .conf.importer import Imported, import_tree
from .conf.parser import parse_file
from .conf.problem import ERROR, BadValue, Problem
from .conf.site import Site, split
from .program import USAGE

NAME = "import"
HELP = "turn keepalived.conf of one or more directors into an inventory"

DONE = 0
NOT_WRITTEN = 1
BAD = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``lvsctl import``."""
    parser.add_argument(
        "files",
        metavar="[NAME=]FILE",
        nargs="+",
        help="a director's file, with all it includes. NAME is its name in the inventory, for which the lines @NAME "
        "are; by default the file's, or its directory's when that is keepalived.conf, or this machine's",
    )
    parser.add_argument("-o", "--output", metavar="DIR", help="write the inventory there, not to standard output")
    parser.add_argument("--force", action="store_true", help="overwrite files of the inventory")
    parser.add_argument(
        "--address",
        metavar="NAME=ADDRESS",
        action="append",
        default=[],
        help="where a director is reached (ansible_host); can be repeated",
    )
    parser.add_argument(
        "--keep-unknown",
        action="store_true",
        help="keep keywords that are not known as raw lines, rather than to refuse the file",
    )
    parser.add_argument(
        "--no-check",
        dest="check",
        action="store_false",
        help="import what can be read although it is wrong; the role's preflight will say so again",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object, for programs")


def run(arguments: argparse.Namespace) -> int:
    """Read the files of the command line, write the inventory, return the exit status."""
    named = [_named(one) for one in arguments.files]
    addresses = dict(one.partition("=")[::2] for one in arguments.address)
    try:
        _check_names([name for name, _path in named], addresses)
    except BadValue as bad:
        sys.stderr.write(f"lvsctl import: {bad}\n")
        return USAGE
    directors = [_imported(name, path, arguments) for name, path in named]
    problems = [problem for one in directors for problem in one.problems]
    if not all(one.is_good for one in directors):
        _refuse(problems, arguments.json)
        return BAD
    site = split(directors)
    files = inventory.files(site, addresses)
    if arguments.output is not None:
        there = [path for path in files if os.path.lexists(os.path.join(arguments.output, path))]
        if there and not arguments.force:
            what = f"{', '.join(there)} in {arguments.output}: already there; --force overwrites"
            sys.stderr.write(f"lvsctl import: {what}\n")
            return NOT_WRITTEN
        try:
            _write(arguments.output, files)
        except OSError as error:
            sys.stderr.write(f"lvsctl import: {error.filename or arguments.output}: {error.strerror}\n")
            return NOT_WRITTEN
    _tell(arguments, directors, site, files)
    return DONE


def _imported(name: str, path: str, arguments: argparse.Namespace) -> Imported:
    ids = [name.partition(".")[0]]
    return import_tree(name, parse_file(path, ids), ids, arguments.keep_unknown, arguments.check)


def _named(argument: str) -> tuple[str, str]:
    """The director's name and its file."""
    name, sign, path = argument.partition("=")
    if sign:
        return name, path
    stem = os.path.splitext(os.path.basename(argument))[0]
    if stem != "keepalived":
        return stem, argument
    folder = os.path.basename(os.path.dirname(os.path.realpath(argument)))
    return (folder if folder not in ("", "keepalived") else os.uname().nodename.partition(".")[0]), argument


def _check_names(names: list[str], addresses: t.Mapping[str, str]) -> None:
    for name in names:
        inventory.check_name(name)
        if names.count(name) > 1:
            raise BadValue(f"two files are for the director {name}", "write NAME=FILE for each")
    for name, at in addresses.items():
        if name not in names or not at:
            raise BadValue(f"--address {name}={at} is for none of {', '.join(names)}", "write NAME=ADDRESS")


def _refuse(problems: list[Problem], as_json: bool) -> None:
    """Say all that is wrong."""
    if as_json:
        sys.stdout.write(json.dumps({"problems": [_plain(one) for one in problems]}, indent=2) + "\n")
        return
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    errors = sum(problem.severity == ERROR for problem in problems)
    sys.stderr.write(f"lvsctl import: {errors} error{'s' if errors != 1 else ''}; nothing was written\n")


def _plain(problem: Problem) -> dict[str, t.Any]:
    place = dataclasses.asdict(problem.position) if problem.position is not None else {}
    return {
        "severity": problem.severity,
        "where": problem.where,
        "what": problem.what,
        "instead": problem.instead,
        **{key: place.get(key) for key in ("file", "line", "column")},
    }


def _write(folder: str, files: t.Mapping[str, str]) -> None:
    """Each file at one stroke; those with a password are for their owner alone. Raises OSError."""
    for path, text in files.items():
        target = os.path.join(folder, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".import-")
        try:
            with open(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(draft, 0o600 if inventory.has_secrets(text) else 0o644)
            os.replace(draft, target)
        except OSError:
            os.unlink(draft)
            raise


def _tell(arguments: argparse.Namespace, directors: list[Imported], site: Site, files: t.Mapping[str, str]) -> None:
    problems = [problem for one in directors for problem in one.problems]
    written = [os.path.join(arguments.output, path) for path in files] if arguments.output is not None else []
    if arguments.json:
        found = {
            "group": site.group,
            "hosts": site.hosts,
            "addresses": site.addresses,
            "notes": site.notes,
            "problems": [_plain(one) for one in problems],
            "written": written,
        }
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return
    if arguments.output is None:
        for path, text in files.items():
            sys.stdout.write(f"# {path}\n{text}")
    for one in [*(str(problem) for problem in problems), *(f"note: {note}" for note in site.notes)]:
        sys.stderr.write(f"{one}\n")
    for path in written:
        sys.stderr.write(f"lvsctl import: wrote {path}\n")
