# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``reload``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .verb import BAD_CONFIGURATION, EXIT_STATUS, GOOD, WRONG, Verb

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from .verb import Daemon, Reply


class ReloadVerb(Verb):
    __doc__ = (
        "Read the configuration again, as SIGHUP does. One with errors is not taken: the daemon goes on with the one\n"
        "it has. Nor is one without any vrrp_instance and virtual_server, while there are some: a file may be\n"
        f"empty by mistake. When the program was exchanged, the new one takes over.\n{EXIT_STATUS}"
    )

    NAME = "reload"
    HELP = "read the configuration again; one with errors is not taken"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """And whether nothing is enough."""
        super().add_arguments(parser)
        parser.add_argument(
            "--allow-empty", action="store_true", help="take a configuration with nothing to serve: all VIPs go"
        )

    def arguments(self, options: argparse.Namespace) -> dict[str, Any]:
        """The same for the request."""
        return {"allow_empty": True} if options.allow_empty else {}

    def answer(self, daemon: Daemon, arguments: dict[str, Any], who: str, reply: Reply) -> None:
        """What came of it, when it is done."""
        daemon.reload(who, reply, allow_empty=arguments.get("allow_empty") is True)

    def show(self, result: dict[str, Any]) -> Iterator[str]:
        """What changed, or why nothing did."""
        yield from result["warnings"]
        yield from result["errors"]
        yield result["said"]

    def exit_status(self, result: dict[str, Any]) -> int:
        """5 for a configuration that was not taken, 1 when a part of it could not be carried out."""
        if not result["applied"]:
            return BAD_CONFIGURATION
        return WRONG if result["errors"] else GOOD
