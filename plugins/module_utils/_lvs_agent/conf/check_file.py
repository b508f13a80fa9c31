# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a file says and the role's variables cannot: words left out that keepalived wants, and used-up ones.

Each of these is a complaint of ``keepalived -t`` of 2.2.7; what it does then is in the message.
"""

from __future__ import annotations

from . import model
from .director import Director
from .problem import WARNING, Problem


def problems(director: Director) -> list[Problem]:
    """All findings in a configuration as it stands in a file, before any default is filled in."""
    found: list[Problem] = []
    for instance in director.configuration["vrrp_instance"]:
        if instance.get("lvs_sync_daemon_interface") is not None:
            where = director.path(instance, "lvs_sync_daemon_interface")
            advice = (
                f"write lvs_sync_daemon {instance['lvs_sync_daemon_interface']} {instance.get('name')} in global_defs"
            )
            found.append(director.problem(where, "keepalived calls it deprecated", advice, WARNING))
    groups = model.groups_of(director.configuration)
    for where, server in director.servers():
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
