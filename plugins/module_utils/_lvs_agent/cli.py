# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program ``lvs-agent``: its verbs.

From a checkout: ``bin/lvs-agent check keepalived.conf``.
A verb is one module as :class:`.program.Verb` says; it belongs into :func:`verbs`, and that is all.
"""

from __future__ import annotations

import sys
import typing as t

from . import cli_run, program


def main(argv: t.Sequence[str] | None = None) -> int:
    """Run one verb; the exit status. ``argv`` without the program's name, the process's own by default."""
    words = sys.argv[1:] if argv is None else argv
    return program.run("lvs-agent", "A daemon for LVS directors that reads keepalived.conf.", verbs(words), argv)


def verbs(words: t.Sequence[str]) -> tuple[t.Any, ...]:
    """Every verb; for a command line that runs the daemon, only that one.

    The daemon reads its configuration in a process of its own, and must be back soon when it was killed: it does not
    load what only the other verbs need (0.05 s and 5 MB).
    """
    if words[:1] == [cli_run.NAME]:
        return (cli_run,)
    from . import cli_check

    return (cli_check, cli_run)


if __name__ == "__main__":
    raise SystemExit(main())
