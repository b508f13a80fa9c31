# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keepalived insists on and a site need not write: explicit defaults, dropped words, written-out ranges.

keepalived 2.2.7 complains of each of these (``keepalived -t``, measured): no protocol (it takes UDP!), no
scheduler or forwarding method, a group of one instance, the sync daemon named in an instance, an instance
that tracks its own interface or that starts as master with AH, a protocol or port with a firewall mark,
scripts without script security.
"""

from __future__ import annotations

import typing as t

from . import model, values
from .merge import Configuration, Fields, blocks, items
from .problem import BadValue
from .quoting import quote
from .schema_lvs import CHECKS


def settle(configuration: t.Mapping[str, t.Any]) -> Configuration:
    """The configuration as it is written to the file; the argument (see :mod:`.merge`) is not changed."""
    settled: Configuration = dict(configuration)
    settled["vrrp_instance"] = [_instance(one) for one in configuration["vrrp_instance"]]
    settled["global_defs"] = _globals(configuration)
    settled["vrrp_sync_group"] = [group for group in configuration["vrrp_sync_group"] if not is_needless(group)]
    groups = model.groups_of(configuration)
    settled["virtual_server"] = [_virtual_server(one, groups) for one in configuration["virtual_server"]]
    return settled


def is_needless(group: t.Mapping[str, t.Any]) -> bool:
    """A sync group of one instance that does nothing else."""
    return len(items(group.get("group"))) == 1 and set(group) <= {"name", "group"}


def _globals(configuration: t.Mapping[str, t.Any]) -> Fields:
    result = dict(configuration["global_defs"])
    # who says false wants keepalived's own way with scripts
    if model.has_scripts(configuration) and values.boolean(result.get("enable_script_security")) is not False:
        result.setdefault("enable_script_security", True)
        result.setdefault("script_user", "root")
    for interface, instance in model.sync_daemon_interfaces(configuration):
        result.setdefault("lvs_sync_daemon", " ".join(_quoted(word) for word in (interface, instance) if word))
    return result


def _quoted(word: str) -> str:
    """As one word of a line; what cannot be one is the checks' to tell."""
    try:
        return quote(word)
    except BadValue:
        return word


def _instance(instance: t.Mapping[str, t.Any]) -> Fields:
    result = {key: value for key, value in instance.items() if key != "lvs_sync_daemon_interface"}
    own = str(instance.get("interface"))
    if "track_interface" in result and not model.is_on(instance.get("dont_track_primary")):
        tracked = result["track_interface"] if isinstance(result["track_interface"], (list, tuple)) else ()
        result["track_interface"] = [line for line in tracked if str(line).split()[:1] != [own]]
    if model.signs(instance):
        result.pop("state", None)
    return result


def _virtual_server(server: t.Mapping[str, t.Any], groups: t.Mapping[str, t.Mapping[str, t.Any]]) -> Fields:
    result = dict(server)
    marks = model.is_mark_only(server, groups)
    result.setdefault("lb_algo", model.DEFAULT_ALGORITHM)
    result.setdefault("lb_kind", model.DEFAULT_METHOD)
    result.setdefault("protocol", model.DEFAULT_PROTOCOL)
    if marks:
        del result["protocol"]
    result["real_server"] = [_real_server(real, server, marks) for real in model.real_servers(server)]
    return result


def _real_server(real: t.Mapping[str, t.Any], server: t.Mapping[str, t.Any], marks: bool) -> Fields:
    result = dict(real)
    for word in CHECKS:
        if word.name in result:
            result[word.name] = [dict(check) for check in blocks(result[word.name])]
    if not marks:
        if "port" not in result and server.get("port") is not None:
            result["port"] = server["port"]
        return result
    port = result.get("port")
    if model.method(result, "lvs_method", model.method(server, "lb_kind")) != "NAT":
        result.pop("port", None)  # the packet keeps its own; NAT gives it this one
    for word in CHECKS:
        connects = word.block is not None and word.block.find("connect_port") is not None and word.name != "PING_CHECK"
        for check in items(result.get(word.name)) if connects and port is not None else ():
            check.setdefault("connect_port", port)
    return result
