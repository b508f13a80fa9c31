# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every program with verbs has in common: its command line, its end, a reader that has had enough."""

from __future__ import annotations

import argparse
import os
import sys
import typing as t

from . import version

USAGE = 2  # argparse's own exit status
INTERRUPTED = 130
_COLUMNS = 80  # of help that is not shown on a terminal


class Verb(t.Protocol):
    """A module that does one thing: its name, a line of help, its options, and what it does with them."""

    NAME: str
    HELP: str

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """The options."""

    @staticmethod
    def run(arguments: argparse.Namespace) -> int:
        """Do it; the exit status."""


class Help(argparse.RawDescriptionHelpFormatter):
    """Argparse makes one for each option, and its own asks shutil for the width, with the compression libraries."""

    def __init__(self, prog: str) -> None:
        try:
            columns = int(os.environ.get("COLUMNS", "0")) or os.get_terminal_size().columns
        except (ValueError, OSError):
            columns = _COLUMNS
        super().__init__(prog, width=columns - 2)


def run(name: str, description: str, verbs: t.Sequence[t.Any], argv: t.Sequence[str] | None) -> int:
    """Run one of the verbs (see :class:`Verb`); the exit status. ``argv`` None: the process's own."""
    parser = argparse.ArgumentParser(prog=name, description=description, formatter_class=Help)
    parser.add_argument("--version", action="version", version=f"{name} {version.program()}")
    commands = parser.add_subparsers(metavar="VERB", required=True)
    for verb in verbs:
        one = commands.add_parser(
            verb.NAME,
            help=verb.HELP,
            description=verb.__doc__,
            formatter_class=Help,
        )
        verb.add_arguments(one)
        one.set_defaults(run=verb.run)
    try:
        arguments = parser.parse_args(argv)
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except SystemExit as end:  # argparse has said why
        return end.code if isinstance(end.code, int) else USAGE
    except BrokenPipeError:
        # the reader, a pager or head, has enough; Python would flush once more at its end and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    return status
