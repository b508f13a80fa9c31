# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program ``lvs-agent``: its verbs.

From a checkout: ``PYTHONPATH=plugins/module_utils python3 -m _lvs_agent.cli check keepalived.conf``.
A verb is one module as :class:`.program.Verb` says; it belongs into :data:`VERBS`, and that is all.
"""

from __future__ import annotations

import typing as t

from . import cli_check, program

VERBS = (cli_check,)


def main(argv: t.Sequence[str] | None = None) -> int:
    """Run one verb; the exit status. ``argv`` without the program's name, the process's own by default."""
    return program.run("lvs-agent", "A daemon for LVS directors that reads keepalived.conf.", VERBS, argv)


if __name__ == "__main__":
    raise SystemExit(main())
