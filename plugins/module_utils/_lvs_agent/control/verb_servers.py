# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``servers``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..lvs.messages import AskServers
from .table import span, table
from .verb import EXIT_STATUS, GOOD, WRONG, Verb, text_argument

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from .verb import Daemon, Reply

_HEADER = ("", "SERVER", "STATE", "WEIGHT", "ACTIVE", "INACTIVE", "CHECKS")


class ServersVerb(Verb):
    __doc__ = f"The virtual servers with their real servers, as checks, operator and kernel have them.\n{EXIT_STATUS}"

    NAME = "servers"
    HELP = "the real servers: state, weight, connections, what their checks say"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """A virtual server."""
        super().add_arguments(parser)
        help_text = "only this virtual server, such as 192.0.2.1:80 or 'TCP 192.0.2.1:80'"
        parser.add_argument("service", metavar="SERVICE", nargs="?", help=help_text)

    def arguments(self, options: argparse.Namespace) -> dict[str, Any]:
        """A virtual server."""
        return {} if options.service is None else {"service": options.service}

    def answer(self, daemon: Daemon, arguments: dict[str, Any], who: str, reply: Reply) -> None:
        """What the LVS process says."""
        del who
        service = text_argument(arguments, "service") or ""
        daemon.ask_lvs(lambda number: AskServers(number, service), reply)

    def show(self, result: dict[str, Any]) -> Iterator[str]:
        """A table for each virtual server."""
        for number, one in enumerate(result["virtual_servers"]):
            if number:
                yield ""
            yield f"{one['service']}: {_about(one)}"
            templates = any(server["templates"] for server in one["servers"])
            header = (*_HEADER[:-1], "TEMPLATES", _HEADER[-1]) if templates else _HEADER
            yield from table(header, [_row(server, templates=templates) for server in one["servers"]])

    def exit_status(self, result: dict[str, Any]) -> int:
        """1 when a server is down or a quorum is lost."""
        found = result["virtual_servers"]
        return WRONG if any(not one["quorum_up"] or any(map(_is_down, one["servers"])) for one in found) else GOOD


def _about(one: dict[str, Any]) -> str:
    quorum = f"{'quorum' if one['quorum_up'] else 'NO QUORUM'} {one['pool_weight']} of {one['quorum']}"
    said = [one["scheduler"], one["forwarding"], quorum]
    if one["sorry_server"] is not None:
        said.append(f"sorry server {one['sorry_server']}{' SERVES' if one['sorry_in_use'] else ''}")
    if one["suspended"]:
        said.append("checks rest: its VIP is elsewhere")
    return ", ".join(said)


def _row(one: dict[str, Any], *, templates: bool) -> tuple[object, ...]:
    weight = f"{one['weight']}"
    if not one["in_table"]:
        weight = "-"
    elif one["weight"] != one["configured_weight"]:
        weight = f"{one['weight']} (of {one['configured_weight']})"
    mark = "!" if _is_down(one) else ""
    counts = [one["active"], one["inactive"], *([one["templates"]] if templates else [])]
    return mark, _name(one), one["state"], weight, *counts, _checks(one["checks"])


def _name(one: dict[str, Any]) -> str:
    """As the file writes it, and where its DNS name is."""
    named = one.get("resolve")
    if named is None:
        return str(one["server"])
    doubt = f", not resolved: {named['why']}" if named["why"] else ""
    if named["serving"] != named["address"]:
        doubt = f", soon {named['address']}"
    return f"{one['server']} ({named['name']} {named['serving']}{doubt})"


def _checks(checks: list[dict[str, Any]]) -> str:
    return "; ".join(map(_check, checks)) or "none"


def _check(one: dict[str, Any]) -> str:
    if one["up"] is None:
        return f"{one['check']} has not run yet"
    age = f" {span(one['age_seconds'])} ago" if one["age_seconds"] is not None else ""
    why = f": {one['why']}" if one["why"] else ""
    return f"{one['check']} {'up' if one['up'] else 'down'}{age}{why}"


def _is_down(one: dict[str, Any]) -> bool:
    return str(one["state"]).startswith("down")
