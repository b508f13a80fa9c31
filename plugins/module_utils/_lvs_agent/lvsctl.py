# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program ``lvsctl``, the operator's tool: its verbs.

From a checkout: ``bin/lvsctl import lvs01.conf lvs02.conf``.
A verb is one module as :class:`.program.Verb` says; it belongs into :data:`VERBS`, and that is all.
"""

from __future__ import annotations

import typing as t

from . import lvsctl_import, program
from .control import verbs

#: Those that ask the running daemon are in :mod:`.control.verbs`.
VERBS = (*verbs.VERBS, lvsctl_import)


def main(argv: t.Sequence[str] | None = None) -> int:
    """Run one verb; the exit status. ``argv`` without the program's name, the process's own by default."""
    return program.run("lvsctl", "What an operator asks of a site that lvs-agent runs, or is to run.", VERBS, argv)


if __name__ == "__main__":
    raise SystemExit(main())
