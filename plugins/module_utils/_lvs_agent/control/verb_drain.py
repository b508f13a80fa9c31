# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs ``drain`` and ``undrain``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..lvs.messages import OrderDrain, OrderUndrain
from .protocol import Refused
from .verb import EXIT_STATUS, GOOD, WAIT_SECONDS, WRONG, Verb, number_argument, text_argument

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from .verb import Daemon, Reply

_SECOND = 1_000_000_000
_LONGEST = 7 * 86400
# beyond the time the operator gives: for the answer
_MARGIN = 5


class DrainVerb(Verb):
    __doc__ = (
        "Give a real server no new connections; it keeps those it has. It stays drained, over reloads, restarts and\n"
        "reboots, until `lvsctl undrain`. While its checks say that it is down it is not in the table, so that its\n"
        f"clients go elsewhere.\n{EXIT_STATUS}"
    )

    NAME = "drain"
    HELP = "give a real server no new connections, and wait for those it has"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Which server, and how long to wait."""
        super().add_arguments(parser)
        _add_server(parser)
        parser.add_argument(
            "--timeout",
            metavar="SECONDS",
            type=int,
            default=0,
            help="wait so long for its last connection, UDP flow and persistence template that leads clients to it; "
            "without it do not wait",
        )
        parser.add_argument("--force", action="store_true", help="even if no other real server is left to serve")

    def arguments(self, options: argparse.Namespace) -> dict[str, Any]:
        """As on the command line."""
        wanted = {**_server(options), "force": options.force}
        if options.timeout:
            wanted["timeout_seconds"] = options.timeout
            options.wait = max(options.wait, options.timeout + _MARGIN)
        return wanted

    def answer(self, daemon: Daemon, arguments: dict[str, Any], who: str, reply: Reply) -> None:
        """When it is drained, or the time is over."""
        server, service = _said(arguments)
        timeout = number_argument(arguments, "timeout_seconds", 1, _LONGEST) if "timeout_seconds" in arguments else 0
        force = arguments.get("force") is True
        daemon.order_lvs(
            lambda number: OrderDrain(number, server, service, bool(timeout), timeout * _SECOND, force),
            f"drain {server}",
            who,
            reply,
            (timeout + max(_MARGIN, WAIT_SECONDS)) * _SECOND,
        )

    def show(self, result: dict[str, Any]) -> Iterator[str]:
        """Each server, and what is left on them."""
        for place in result["drained"]:
            yield f"drained: {place}"
        yield result["said"]

    def exit_status(self, result: dict[str, Any]) -> int:
        """1 when it was waited for, in vain."""
        return GOOD if result["done"] or not result["waited"] else WRONG


class UndrainVerb(Verb):
    __doc__ = f"Let a drained real server serve again.\n{EXIT_STATUS}"

    NAME = "undrain"
    HELP = "let a drained real server serve again"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Which server."""
        super().add_arguments(parser)
        _add_server(parser)

    def arguments(self, options: argparse.Namespace) -> dict[str, Any]:
        """As on the command line."""
        return _server(options)

    def answer(self, daemon: Daemon, arguments: dict[str, Any], who: str, reply: Reply) -> None:
        """When that is ordered."""
        server, service = _said(arguments)
        limit_ns = WAIT_SECONDS * _SECOND
        daemon.order_lvs(
            lambda number: OrderUndrain(number, server, service), f"undrain {server}", who, reply, limit_ns
        )

    def show(self, result: dict[str, Any]) -> Iterator[str]:
        """What was done."""
        yield f"{result['undrained']} serves again as its checks say"


def _add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("server", metavar="SERVER", help="ADDRESS:PORT, or ADDRESS for all its ports")
    parser.add_argument("--service", metavar="SERVICE", help="of this virtual server only, such as 192.0.2.1:80")


def _server(options: argparse.Namespace) -> dict[str, Any]:
    return {"server": options.server, **({} if options.service is None else {"service": options.service})}


def _said(arguments: dict[str, Any]) -> tuple[str, str]:
    server = text_argument(arguments, "server")
    if not server:
        raise Refused("bad_argument", "no server is given", "give ADDRESS:PORT, or ADDRESS")
    return server, text_argument(arguments, "service") or ""
