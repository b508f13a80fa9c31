# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``vrrp``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..spelling import nearest
from . import instances
from .protocol import Refused
from .table import span
from .verb import EXIT_STATUS, GOOD, WRONG, Verb, text_argument

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from ..vrrp.messages import Status
    from .verb import Daemon, Reply


class VrrpVerb(Verb):
    __doc__ = f"All that is known of the VRRP instances, or of one, with its counters.\n{EXIT_STATUS}"

    NAME = "vrrp"
    HELP = "all that is known of the VRRP instances, with counters"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """An instance's name."""
        super().add_arguments(parser)
        parser.add_argument("instance", metavar="INSTANCE", nargs="?", help="only this one")

    def arguments(self, options: argparse.Namespace) -> dict[str, Any]:
        """An instance's name."""
        return {} if options.instance is None else {"instance": options.instance}

    def answer(self, daemon: Daemon, arguments: dict[str, Any], who: str, reply: Reply) -> None:
        """Each instance, or the one that was asked for."""
        del who
        name = text_argument(arguments, "instance")

        def answered(status: Status | None) -> None:
            if status is None:
                what = "the VRRP process does not answer"
                reply(Refused("vrrp_silent", what, "`lvsctl status` and `lvsctl events` say what became of it"))
                return
            names = [one.name for one in status.instances]
            if name is not None and name not in names:
                reply(Refused("unknown_instance", f"there is no vrrp_instance {name}", nearest(name, names)))
                return
            result = instances.plain(status)
            result["instances"] = [one for one in result["instances"] if name in (None, one["name"])]
            reply(result)

        daemon.ask_vrrp(answered)

    def show(self, result: dict[str, Any]) -> Iterator[str]:
        """A paragraph for each instance."""
        for number, one in enumerate(result["instances"]):
            if number:
                yield ""
            yield from _paragraph(one)
        for group in result["groups"]:
            yield f"\nsync group {group['name']}: {group['state']} ({', '.join(group['members'])})"

    def exit_status(self, result: dict[str, Any]) -> int:
        """1 when something is wrong with an instance shown."""
        return WRONG if any(instances.wrong(one) for one in result["instances"]) else GOOD


def _paragraph(one: dict[str, Any]) -> Iterator[str]:
    yield f"{one['name']}: {one['state']} for {span(one['seconds_in_state'])}, since {one['since']}: {one['cause']}"
    tracked = f" ({one['base_priority']} without tracking)" if one["priority"] != one["base_priority"] else ""
    facts = {
        "virtual_router_id": f"{one['virtual_router_id']} on {one['interface']}, VRRP version {one['version']}",
        "priority": f"{one['priority']}{tracked}",
        "advert_int": f"{one['advert_int_ms']:g} ms from {one['source'] or 'no address'}",
        "master": f"{one['master']} with priority {one['master_priority']}" if one["master"] else "",
        "handed over": "until `lvsctl failover --release`, or until nobody else is there" if one["handed_over"] else "",
        "addresses": ", ".join(one["vips"]),
        "wrong": "; ".join(instances.wrong(one)),
        "counters": ", ".join(f"{name} {number}" for name, number in one["counters"].items() if number),
    }
    for name, said in facts.items():
        if said:
            yield f"  {name + ':':19} {said}"
