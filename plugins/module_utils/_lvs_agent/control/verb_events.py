# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``events``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .verb import EXIT_STATUS, Verb, number_argument, text_argument

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from .verb import Daemon, Reply

_MOST = 2000


class EventsVerb(Verb):
    __doc__ = f"What has happened and why: transitions, alarms, reloads, deaths of processes.\n{EXIT_STATUS}"

    NAME = "events"
    HELP = "what has happened, and why"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """How many, and of what."""
        super().add_arguments(parser)
        parser.add_argument("-n", "--number", type=int, default=20, help="how many, the newest; %(default)s")
        parser.add_argument("--instance", metavar="NAME", help="only those of this instance or sync group")
        parser.add_argument("--kind", metavar="KIND", help="only those of this kind, such as transition or alarm")

    def arguments(self, options: argparse.Namespace) -> dict[str, Any]:
        """How many, and of what."""
        wanted = {"number": options.number, "instance": options.instance, "kind": options.kind}
        return {key: value for key, value in wanted.items() if value is not None}

    def answer(self, daemon: Daemon, arguments: dict[str, Any], who: str, reply: Reply) -> None:
        """The newest, the oldest of them first."""
        del who
        number = number_argument(arguments, "number", 20, _MOST)
        found = daemon.events.last(number, text_argument(arguments, "instance"), text_argument(arguments, "kind"))
        reply({"events": found, "file": daemon.events.path})

    def show(self, result: dict[str, Any]) -> Iterator[str]:
        """A line for each."""
        for one in result["events"]:
            yield line(one)


def line(one: dict[str, Any]) -> str:
    """An event for people."""
    name = f" {one['name']}" if one.get("name") else ""
    change = f" {one['former']} -> {one['state']}" if "former" in one and "state" in one else ""
    return f"{one['time']} {one['kind']}{name}{change}: {one['cause']}"
