# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``diff``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..lvs.messages import AskDiff
from .protocol import Refused
from .verb import EXIT_STATUS, GOOD, WRONG, Verb

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .verb import Daemon, Reply


class DiffVerb(Verb):
    __doc__ = (
        "What `lvsctl reload` would change in the kernel's IPVS table now, as arguments of ipvsadm(8).\n"
        "Nothing is changed.\n"
        f"{EXIT_STATUS}"
    )

    NAME = "diff"
    HELP = "what a reload would change in the kernel's table; 1 when that is something"

    def answer(self, daemon: Daemon, arguments: dict[str, Any], who: str, reply: Reply) -> None:
        """The file as it is now beside the kernel's table."""
        del arguments, who

        def read(settings: bytes | None, errors: Sequence[str]) -> None:
            if settings is None:
                reply(Refused("bad_configuration", f"the configuration has errors: {errors[0]}", "`lvs-agent check`"))
                return
            try:
                daemon.ask_lvs(lambda number: AskDiff(number, settings), reply)
            except Refused as refused:
                reply(refused)

        daemon.read_lvs(read)

    def show(self, result: dict[str, Any]) -> Iterator[str]:
        """A line for each change."""
        yield from result["changes"]
        more = result["number"] - len(result["changes"])
        if more:
            yield f"and {more} more"
        if not result["number"]:
            yield "a reload would change nothing in the kernel's table"

    def exit_status(self, result: dict[str, Any]) -> int:
        """1 when something would change."""
        return WRONG if result["number"] else GOOD
