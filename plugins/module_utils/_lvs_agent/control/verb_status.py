# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``status``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import instances
from .table import span, table
from .verb import EXIT_STATUS, GOOD, WRONG, Verb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..vrrp.messages import Status
    from .verb import Daemon, Reply

_KEPT = ("name", "state", "since", "seconds_in_state", "priority", "interface", "master", "vips", "handed_over")


class StatusVerb(Verb):
    __doc__ = f"Is the daemon well, and who is master?\n{EXIT_STATUS}"

    NAME = "status"
    HELP = "the daemon, its configuration, and each VRRP instance's state"

    def answer(self, daemon: Daemon, arguments: dict[str, Any], who: str, reply: Reply) -> None:
        """The overview, and the instances when the VRRP process answers."""
        del arguments, who

        def answered(status: Status | None) -> None:
            result = daemon.overview()
            vrrp: dict[str, Any] = {"instances": [], "groups": []}
            if status is not None:
                vrrp = instances.plain(status)
            elif result["vrrp_process"]["pid"] is not None:
                result["problems"].append("the VRRP process does not answer")
            for one in vrrp["instances"]:
                result["problems"] += [f"{one['name']}: {what}" for what in instances.wrong(one)]
            result["instances"] = [{key: one[key] for key in _KEPT} for one in vrrp["instances"]]
            result["groups"] = vrrp["groups"]
            result["healthy"] = not result["problems"]
            reply(result)

        daemon.ask_vrrp(answered)

    def show(self, result: dict[str, Any]) -> Iterator[str]:
        """The daemon, its configuration, a table of the instances, and all that is wrong."""
        vrrp, configuration = result["vrrp_process"], result["configuration"]
        yield f"lvs-agent {result['version']}, process {result['pid']}, up {span(result['uptime_seconds'])}"
        yield f"configuration {configuration['file']}: {configuration['said']}"
        died = f"; it has died {vrrp['deaths']} times" if vrrp["deaths"] else ""
        yield f"VRRP process {vrrp['pid'] or 'does not run'}{died}"
        if result["lvs_process"] is not None:
            yield from _lvs(result["lvs_process"])
        if result["instances"]:
            yield ""
            header = ("INSTANCE", "STATE", "FOR", "PRIORITY", "INTERFACE", "MASTER", "VIPS")
            yield from table(header, [_row(one) for one in result["instances"]])
        if result["problems"]:
            yield ""
        for problem in result["problems"]:
            yield f"! {problem}"

    def exit_status(self, result: dict[str, Any]) -> int:
        """1 when something is wrong."""
        return GOOD if result["healthy"] else WRONG


def _lvs(one: dict[str, Any]) -> Iterator[str]:
    died = f"; it has died {one['deaths']} times" if one["deaths"] else ""
    yield f"LVS process {one['pid'] or 'does not run'}{died}"
    if "real_servers" in one:
        said = f"{one['virtual_servers']} virtual servers ({one['without_quorum']} without quorum), "
        said += f"{one['real_servers']} real servers ({one['down']} down, {one['drained']} drained)"
        repaired = f", drift repaired {one['drifts_repaired']} times" if one["drifts_repaired"] else ""
        yield f"{said}; the kernel's table is {'as wanted' if one['in_step'] else 'being written'}{repaired}"


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    state = f"{one['state']} (handed over)" if one["handed_over"] else one["state"]
    here = one["state"] in ("MASTER", "HANDOVER")
    master = "this host" if here else one["master"] or "-"
    vips = one["vips"]
    shown = f"{vips[0]} and {len(vips) - 1} more" if len(vips) > 2 else ", ".join(vips)
    return one["name"], state, span(one["seconds_in_state"]), one["priority"], one["interface"], master, shown
