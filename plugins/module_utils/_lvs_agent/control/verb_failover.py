# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``failover``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .table import table
from .verb import EXIT_STATUS, GOOD, WRONG, Verb, text_argument

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from .verb import Daemon, Reply


class FailoverVerb(Verb):
    __doc__ = (
        "Give mastership to another director, without a gap: addresses are served here until the other one has taken\n"
        "them. It stays there, whatever the priorities, until --release, or until nobody else is there.\n"
        f"{EXIT_STATUS}"
    )

    NAME = "failover"
    HELP = "give mastership to another director"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """An instance or a group, and whether to go back."""
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME", nargs="?", help="an instance or a sync group; all by default")
        parser.add_argument(
            "--release", action="store_true", help="end it: the priorities decide again who is master"
        )

    def arguments(self, options: argparse.Namespace) -> dict[str, Any]:
        """As on the command line."""
        wanted: dict[str, Any] = {} if options.name is None else {"name": options.name}
        return {**wanted, "release": True} if options.release else wanted

    def answer(self, daemon: Daemon, arguments: dict[str, Any], who: str, reply: Reply) -> None:
        """Where each instance is when it is over."""
        name = text_argument(arguments, "name")
        if arguments.get("release") is True:
            reply(daemon.release(name, who))
        else:
            daemon.hand_over(name, who, reply)

    def show(self, result: dict[str, Any]) -> Iterator[str]:
        """A line for each instance."""
        if result["instances"]:
            rows = [(one["name"], one["state"], one["cause"]) for one in result["instances"]]
            yield from table(("INSTANCE", "STATE", "WHY"), rows)
        yield result["said"]

    def exit_status(self, result: dict[str, Any]) -> int:
        """1 when somebody else did not take over."""
        return GOOD if result["done"] else WRONG
