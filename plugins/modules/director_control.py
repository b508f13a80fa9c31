#!/usr/bin/python
# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: director_control
short_description: Drain real servers and hand over virtual IPs on a director that runs lvs-agent
version_added: 0.2.0
author: The linuxha.lvs developers (@linuxha)
description:
  - Gives a real server no new connections (V(drained)), and lets it serve again (V(serving)).
  - Gives the virtual IPs of VRRP instances to another director without a gap (V(handed_over)), and lets the priorities
    decide again (V(released)).
  - Does what C(lvsctl drain), C(lvsctl undrain) and C(lvsctl failover) do, and nothing that is done already. Each
    director drains its real servers by itself, so run the task on all of them.
  - An option that does not belong to the O(state) is an error.
extends_documentation_fragment:
  - linuxha.lvs.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    support: full
    platforms: linux
options:
  state:
    description:
      - V(drained) and V(serving) are states of a real server, O(server).
      - V(handed_over) and V(released) are states of VRRP instances, O(instance).
    type: str
    choices: [drained, serving, handed_over, released]
    required: true
  server:
    description:
      - The real server, as C(ADDRESS:PORT), or an address for all its ports.
      - Needed with O(state=drained) and O(state=serving).
    type: str
    aliases: [real_server]
  service:
    description:
      - With O(state=drained) and O(state=serving), only in this virtual server, such as V(192.168.1.100:80).
      - In all virtual servers when not given.
    type: str
    aliases: [virtual_server]
  instance:
    description:
      - The VRRP instance or sync group, with O(state=handed_over) and O(state=released); all when not given.
    type: str
    aliases: [vrrp_instance]
  wait:
    description:
      - With O(state=drained), wait until the server has no active connection, no UDP flow, and no persistence template
        that leads clients to it.
      - UDP flows are over after 300 s of silence, see C(ipvsadm --set). Templates lead nobody there with
        C(net.ipv4.vs.expire_quiescent_template) = 1, which lvs-agent sets where a virtual server is persistent.
    type: bool
    default: false
  wait_timeout:
    description:
      - With O(wait), the most seconds to wait, up to V(604800), V(300) when not given. When connections are left then,
        the task fails; the server stays drained.
      - Clients of those connections move to the other servers when this one is stopped, as a drained server that is
        down leaves the table.
    type: float
  force:
    description: With O(state=drained), drain even the last real server that serves.
    type: bool
    default: false
  socket:
    description: The daemon's control socket.
    type: path
    default: /run/lvs-agent/control.sock
  timeout:
    description: The seconds after which the module no longer waits for an answer to a command.
    type: float
    default: 30.0
seealso:
  - module: linuxha.lvs.director_info
  - module: linuxha.lvs.ipvs_real_server
"""

EXAMPLES = r"""
- name: Take a web server out on both directors, and wait for its last client
  linuxha.lvs.director_control:
    state: drained
    server: 192.168.1.129:80
    wait: true
  delegate_to: "{{ item }}"
  loop: "{{ groups['directors'] }}"

- name: And back in
  linuxha.lvs.director_control:
    state: serving
    server: 192.168.1.129:80

- name: Free this director for maintenance, without a lost connection attempt
  linuxha.lvs.director_control:
    state: handed_over
"""

RETURN = r"""
servers:
  description:
    - The real servers meant, as they are after the task, or would be in check mode, each with its virtual server.
  returned: O(state=drained) or O(state=serving)
  type: list
  elements: dict
  contains:
    service:
      description: The virtual server.
      type: str
      returned: success
    server:
      description: The real server.
      type: str
      returned: success
    drained:
      description: Whether it is drained.
      type: bool
      returned: success
  sample: [{"service": "TCP 192.168.1.100:80", "server": "192.168.1.129:80", "drained": true}]
connections:
  description: Active connections and UDP flows that are left on them.
  returned: when a server was drained
  type: int
  sample: 0
left:
  description: All that is left on them.
  returned: when a server was drained
  type: dict
  contains:
    active:
      description: Established connections.
      type: int
      returned: success
    inactive:
      description: Connections of TCP and SCTP that begin or end. They are not waited for.
      type: int
      returned: success
    udp:
      description: UDP flows; with a firewall mark and too many connections to list, all inactive entries.
      type: int
      returned: success
    templates:
      description: Persistence templates that lead clients there.
      type: int
      returned: success
    ended:
      description: Persistence templates that lead nobody there any more. They are not waited for.
      type: int
      returned: success
  sample: {"active": 0, "inactive": 2, "udp": 0, "templates": 0, "ended": 1}
instances:
  description:
    - The VRRP instances meant, as they are after the task. In check mode RV(instances[].handed_over) is as it would be.
  returned: O(state=handed_over) or O(state=released)
  type: list
  elements: dict
  contains:
    name:
      description: The instance.
      type: str
      returned: success
    state:
      description: V(MASTER), V(BACKUP), V(FAULT) or V(INIT); V(HANDOVER) while it gives its virtual IPs away.
      type: str
      returned: success
    handed_over:
      description: Whether it stays away from mastership until it is released.
      type: bool
      returned: success
  sample: [{"name": "VI_1", "state": "BACKUP", "handed_over": true}]
message:
  description: The daemon's answer, in a sentence.
  returned: changed, outside of check mode
  type: str
  sample: no connection is left
code:
  description: The kind of error, for programs, such as V(not_running), V(last_server) or V(unknown_server).
  returned: when the daemon does not answer or refuses
  type: str
  sample: not_running
"""

import math
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.linuxha.lvs.plugins.module_utils import _checks as checks
from ansible_collections.linuxha.lvs.plugins.module_utils import _director as director
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.problem import Problem
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.control import client
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.control.protocol import Refused
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.spelling import nearest

HERE = ("MASTER", "HANDOVER")
# The options of each state, beside those that all have.
SERVER_STATES = ("drained", "serving")
OPTIONS = {
    "drained": ("server", "service", "wait", "wait_timeout", "force"),
    "serving": ("server", "service"),
    "handed_over": ("instance",),
    "released": ("instance",),
}
WAIT_SECONDS = 300
# The daemon's own limit (control/verb_drain.py).
WAIT_SECONDS_MOST = 7 * 86400


class Daemon:
    """The daemon behind the control socket. Methods raise Refused and client.Unreachable."""

    def __init__(self, path: str, timeout: float) -> None:
        self._path = path
        self._timeout = timeout

    def ask(self, verb: str, more_time: float = 0, **arguments: Any) -> dict[str, Any]:
        """The answer; arguments that are None are left out."""
        given = {key: value for key, value in arguments.items() if value is not None}
        return client.ask(self._path, verb, given, self._timeout + more_time)


def require_options(params: dict[str, Any]) -> None:
    """Raise ValueError for options that do not belong to the state, and for times that are none."""
    state = params["state"]
    problems: list[Problem] = []
    checks.seconds("timeout", params["timeout"], problems)
    for name in dict.fromkeys(name for names in OPTIONS.values() for name in names):
        if name not in OPTIONS[state] and params[name] not in (None, False):
            states = " or ".join(other for other, names in OPTIONS.items() if name in names)
            problems.append(Problem(name, f"it is an option of state {states}, not of {state}", "leave it out"))
    if params["wait_timeout"] is not None:
        checks.seconds("wait_timeout", params["wait_timeout"], problems, WAIT_SECONDS_MOST)
        if state == "drained" and not params["wait"]:
            problems.append(Problem("wait_timeout", "nothing is waited for", "write wait: true too"))
    if problems:
        raise checks.refusal(problems)


def servers_meant(answer: dict[str, Any], server: str) -> list[dict[str, Any]]:
    """Of the answer to ``servers``, those that ADDRESS:PORT or ADDRESS means. Raises Refused when there is none."""
    found = [
        {"service": one["service"], "server": each["server"], "drained": each["drain"] is not None}
        for one in answer["virtual_servers"]
        for each in one["servers"]
        if server in (each["server"], address(each["server"]))
    ]
    if not found:
        names = [each["server"] for one in answer["virtual_servers"] for each in one["servers"]]
        raise Refused("unknown_server", f"there is no real_server {server}", nearest(server, names))
    return found


def nobody_left(answer: dict[str, Any], found: list[dict[str, Any]]) -> list[str]:
    """The virtual servers that nobody would serve any more without these, by the answer to ``servers``."""
    gone = {(one["service"], one["server"]) for one in found}
    return [
        one["service"]
        for one in answer["virtual_servers"]
        if any(one["service"] == service for service, _server in gone)
        and all((one["service"], each["server"]) in gone or not _serves(each) for each in one["servers"])
    ]


def _serves(server: dict[str, Any]) -> bool:
    return server["drain"] is None and server["state"] != "down" and server["configured_weight"] > 0


def address(server: str) -> str:
    """``192.0.2.1:80`` and ``[2001:db8::1]:80`` without their ports."""
    host, colon, _port = server.rpartition(":")
    if not colon or (":" in host and not host.startswith("[")):
        return server
    return host.strip("[]")


def instances_meant(answer: dict[str, Any], name: str | None) -> list[dict[str, Any]]:
    """Of the answer to ``vrrp``, an instance, those of a sync group, or all. Raises Refused when there is none."""
    members = {one["name"]: one["members"] for one in answer["groups"]}
    known = [one["name"] for one in answer["instances"]]
    if name is not None and name not in known and name not in members:
        what = f"there is neither a vrrp_instance nor a vrrp_sync_group {name}"
        raise Refused("unknown_instance", what, nearest(name, [*known, *members]))
    wanted = members.get(name, [name]) if name is not None else known
    return [
        {"name": one["name"], "state": one["state"], "handed_over": one["handed_over"]}
        for one in answer["instances"]
        if one["name"] in wanted
    ]


def balance(module: AnsibleModule, daemon: Daemon) -> dict[str, Any]:
    """Drain a server, or let it serve."""
    params = module.params
    drain = params["state"] == "drained"
    answer = daemon.ask("servers", service=params["service"])
    found = servers_meant(answer, params["server"])
    others = [one for one in found if one["drained"] is not drain]
    alone = nobody_left(answer, found) if drain and others and not params["force"] else []
    if alone:
        raise Refused("last_server", f"{params['server']} is the last real server of {', '.join(alone)}")
    result: dict[str, Any] = {"changed": bool(others), "servers": [{**one, "drained": drain} for one in found]}
    result["diff"] = difference([(f"{one['server']} of {one['service']}", one["drained"], drain) for one in found])
    wait = wait_seconds(params)
    if module.check_mode or not (others or wait):
        return result
    if not drain:
        daemon.ask("undrain", server=params["server"], service=params["service"])
        return {**result, "message": f"{params['server']} serves again, as its checks decide"}
    answer = daemon.ask(
        "drain",
        more_time=wait or 0,
        server=params["server"],
        service=params["service"],
        force=params["force"] or not others,
        timeout_seconds=wait,
    )
    result.update(connections=answer["connections"], left=answer["left"], message=answer["said"])
    if wait and not answer["done"]:
        module.fail_json(msg=f"{params['server']} is drained, but {answer['said']}", **result)
    return result


def wait_seconds(params: dict[str, Any]) -> int | None:
    """How long to wait, in the whole seconds of the daemon's protocol; None to not wait."""
    if not params["wait"]:
        return None
    return WAIT_SECONDS if params["wait_timeout"] is None else math.ceil(params["wait_timeout"])


def difference(lines: list[tuple[str, bool, bool]]) -> dict[str, str]:
    """A ``diff`` of what is drained before and after."""
    words = {True: "drained", False: "serving"}
    return {
        "before": "".join(f"{name}: {words[before]}\n" for name, before, _after in lines),
        "after": "".join(f"{name}: {words[after]}\n" for name, _before, after in lines),
    }


def hand_over(module: AnsibleModule, daemon: Daemon) -> dict[str, Any]:
    """Give mastership away, or let the priorities decide."""
    params = module.params
    away = params["state"] == "handed_over"
    found = instances_meant(daemon.ask("vrrp"), params["instance"])
    if away:
        others = [one for one in found if one["state"] in HERE]
    else:
        others = [one for one in found if one["handed_over"]]
    names = {one["name"] for one in others}
    after = [{**one, "handed_over": away} if one["name"] in names else one for one in found]
    result: dict[str, Any] = {"changed": bool(others), "instances": after}
    result["diff"] = {"before": {"instances": found}, "after": {"instances": after}}
    if module.check_mode or not others:
        return result
    answer = daemon.ask("failover", name=params["instance"], release=None if away else True)
    result["instances"] = instances_meant(daemon.ask("vrrp"), params["instance"])
    if not answer["done"]:
        kept = "; ".join(f"{one['name']} is {one['state']}: {one['cause']}" for one in answer["instances"])
        module.fail_json(msg=f"{answer['said']}: {kept}", **result)
    result["message"] = "given away until state: released" if away else answer["said"]
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": list(OPTIONS), "required": True},
            "server": {"type": "str", "aliases": ["real_server"]},
            "service": {"type": "str", "aliases": ["virtual_server"]},
            "instance": {"type": "str", "aliases": ["vrrp_instance"]},
            "wait": {"type": "bool", "default": False},
            "wait_timeout": {"type": "float"},
            "force": {"type": "bool", "default": False},
            **director.socket_spec(30.0),
        },
        required_if=[("state", state, ["server"]) for state in SERVER_STATES],
        supports_check_mode=True,
    )
    try:
        require_options(module.params)
        daemon = Daemon(module.params["socket"], module.params["timeout"])
        if module.params["state"] in SERVER_STATES:
            result = balance(module, daemon)
        else:
            result = hand_over(module, daemon)
    except (Refused, client.Unreachable) as error:
        module.fail_json(msg=f"{module.params['state']}: {director.message(error)}", code=error.code)
    except ValueError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
