# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a file says and the role's variables cannot: words left out that keepalived wants, and used-up ones.

Each of these is a complaint of ``keepalived -t`` of 2.2.7; what it does then is in the message.
"""

from __future__ import annotations

import typing as t

from . import check_routes, model, values
from .director import Director
from .merge import fields
from .problem import WARNING, Problem
from .schema_global import GLOBAL_DEFS
from .schema_lvs import VIRTUAL_SERVER
from .settle import is_needless
from .words import Block


def problems(director: Director) -> list[Problem]:
    """All findings in a configuration as it stands in a file, before any default is filled in."""
    found = [*check_routes.problems(director), *_globals(director)]
    for instance in director.configuration["vrrp_instance"]:
        if instance.get("lvs_sync_daemon_interface") is not None:
            where = director.path(instance, "lvs_sync_daemon_interface")
            advice = (
                f"write lvs_sync_daemon {instance['lvs_sync_daemon_interface']} {instance.get('name')} in global_defs"
            )
            found.append(director.problem(where, "keepalived calls it deprecated", advice, WARNING))
        found += _instance(director, instance)
    for group in director.configuration["vrrp_sync_group"]:
        if is_needless(group):
            where = f"vrrp_sync_group[{group.get('name')}].group"
            found.append(director.problem(where, "a sync group of one instance does nothing", "remove it", WARNING))
    groups = model.groups_of(director.configuration)
    for where, server in director.servers():
        found += _zeros(director, VIRTUAL_SERVER, server, where)
        marks = model.is_mark_only(server, groups)
        if marks and server.get("protocol") is not None:
            what = "a virtual server by firewall mark has no protocol"
            found.append(director.problem(f"{where}.protocol", what, "it is ignored; remove it", WARNING))
        if not marks and server.get("protocol") is None:
            what = "it has no protocol, and keepalived takes UDP then"
            found.append(director.problem(where, what, "write protocol TCP or protocol UDP"))
        for word, default in (("lb_algo", model.DEFAULT_ALGORITHM), ("lb_kind", model.DEFAULT_METHOD)):
            if server.get(word) is None:
                what = f"it has no {word}, and {default} is taken"
                found.append(director.problem(where, what, f"write {word} {default}", WARNING))
    return found


def _globals(director: Director) -> list[Problem]:
    global_defs = fields(director.configuration["global_defs"])
    found = _zeros(director, GLOBAL_DEFS, global_defs, "global_defs")
    if global_defs.get("notification_email") == []:
        found.append(director.problem("global_defs.notification_email", "the list is empty", "remove it", WARNING))
    if model.has_scripts(director.configuration) and not model.is_on(global_defs.get("enable_script_security")):
        what = "scripts are run without script security: as root, even those that others can change"
        where = "global_defs" if global_defs else ""
        advice = "write enable_script_security and script_user in global_defs"
        found.append(director.problem(where, what, advice, WARNING))
    return found


def _instance(director: Director, instance: t.Mapping[str, t.Any]) -> list[Problem]:
    found: list[Problem] = []
    if instance.get("unicast_peer") == []:
        what = "the list is empty, and keepalived sends multicast then"
        where = director.path(instance, "unicast_peer")
        found.append(director.problem(where, what, "list the other directors, or remove it", WARNING))
    four = all(at.version == 4 for at in model.vips(instance))
    if instance.get("use_ipvlan") and four and not (instance.get("mcast_src_ip") or instance.get("unicast_src_ip")):
        where = director.path(instance, "use_ipvlan")
        what = "an ipvlan interface has no address to send from, and keepalived sets the instance to fault"
        found.append(director.problem(where, what, "write mcast_src_ip or unicast_src_ip"))
    return found


def _zeros(director: Director, block: Block, given: t.Mapping[str, t.Any], where: str) -> list[Problem]:
    """Words that a variable may set to 0 for "off" and a file may not."""
    what = "keepalived refuses 0 and keeps its default"
    return [
        director.problem(f"{where}.{word.name}", what, "remove the line", WARNING)
        for word in block.words
        if word.zero_is_off and word.name in given and values.number(given[word.name]) == 0
    ]
