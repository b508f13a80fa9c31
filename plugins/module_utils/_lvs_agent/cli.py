# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program ``lvs-agent``: its commands, and what they have in common.

From a checkout: ``PYTHONPATH=plugins/module_utils python3 -m _lvs_agent.cli check keepalived.conf``.
A command is one module with ``NAME``, ``HELP``, ``add_arguments(parser)`` and ``run(arguments) -> exit status``;
it belongs into :data:`COMMANDS`.
"""

from __future__ import annotations

import argparse
import os
import sys
import typing as t

from . import cli_check

INTERRUPTED = 130
COMMANDS = (cli_check,)


def main(argv: t.Sequence[str] | None = None) -> int:
    """Run one command; the exit status. ``argv`` without the program's name, the process's own by default."""
    try:
        arguments = _parser().parse_args(argv)
        run: t.Callable[[argparse.Namespace], int] = arguments.run
        status = run(arguments)
        sys.stdout.flush()
    except SystemExit as end:  # argparse has said why
        return end.code if isinstance(end.code, int) else cli_check.USAGE
    except BrokenPipeError:
        # the reader, a pager or head, has enough; Python would flush once more at its end and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lvs-agent", description="A daemon for LVS directors that reads keepalived.conf."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        one = commands.add_parser(
            command.NAME,
            help=command.HELP,
            description=command.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(one)
        one.set_defaults(run=command.run)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
