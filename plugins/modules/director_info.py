#!/usr/bin/python
# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: director_info
short_description: Read the state of a running lvs-agent
version_added: 0.2.0
author: The linuxha.lvs developers (@linuxha)
description:
  - Returns what C(lvsctl status), C(lvsctl vrrp), C(lvsctl servers), C(lvsctl events) and C(lvsctl diff) show on a
    director, as values.
  - Fails when lvs-agent does not run or does not answer.
extends_documentation_fragment:
  - linuxha.lvs.attributes
  - linuxha.lvs.attributes.info_module
attributes:
  platform:
    support: full
    platforms: linux
options:
  gather:
    description: What to ask for.
    type: list
    elements: str
    choices: [status, vrrp, servers, events, diff]
    default: [status, vrrp, servers]
  events:
    description: With V(events) in O(gather), the most events to return, the last ones, up to V(2000).
    type: int
    default: 50
  socket:
    description: The daemon's control socket.
    type: path
    default: /run/lvs-agent/control.sock
  timeout:
    description: The seconds after which the module no longer waits for an answer.
    type: float
    default: 10.0
seealso:
  - module: linuxha.lvs.director_control
  - module: linuxha.lvs.ipvs_info
"""

EXAMPLES = r"""
- name: Ask the directors
  linuxha.lvs.director_info:
  register: director

- name: Nothing is wrong on any of them
  ansible.builtin.assert:
    that: director.status.healthy
    fail_msg: "{{ director.status.problems }}"

- name: What would a reload change in the kernel's table?
  linuxha.lvs.director_info:
    gather: [diff]
  register: director
"""

RETURN = r"""
status:
  description: The daemon, its processes, its configuration and all that is wrong.
  returned: when O(gather) has V(status)
  type: dict
  contains:
    healthy:
      description: Whether nothing is wrong.
      type: bool
      returned: success
    problems:
      description: What is wrong, in sentences.
      type: list
      elements: str
      returned: success
    version:
      description: The version that runs.
      type: str
      returned: success
  sample: {"healthy": true, "problems": [], "version": "0.2.0"}
instances:
  description: The VRRP instances.
  returned: when O(gather) has V(vrrp)
  type: list
  elements: dict
  sample: [{"name": "VI_1", "state": "MASTER", "priority": 100, "vips": ["192.168.1.100/24"], "handed_over": false}]
groups:
  description: The VRRP sync groups.
  returned: when O(gather) has V(vrrp)
  type: list
  elements: dict
  sample: [{"name": "VG_1", "state": "MASTER", "members": ["VI_1", "VI_2"]}]
virtual_servers:
  description: The virtual servers with their real servers; empty when the configuration has none.
  returned: when O(gather) has V(servers)
  type: list
  elements: dict
  sample:
    - service: TCP 192.168.1.100:80
      scheduler: rr
      forwarding: DR
      quorum_up: true
      servers: [{"server": "192.168.1.129:80", "state": "up", "weight": 1, "active": 3, "drain": null}]
events:
  description: The last events, oldest first.
  returned: when O(gather) has V(events)
  type: list
  elements: dict
  sample: [{"time": "2026-11-20T20:16:24.552Z", "kind": "transition", "name": "VI_1", "cause": "no advert in time"}]
changes:
  description: What a reload would change in the kernel's IPVS table, as arguments of ipvsadm(8).
  returned: when O(gather) has V(diff)
  type: list
  elements: str
  sample: ["-a -t 192.168.1.100:80 -r 192.168.1.131:80 -g -w 1"]
code:
  description: The kind of error, for programs, such as V(not_running) or V(denied).
  returned: when the daemon does not answer or refuses
  type: str
  sample: not_running
"""

from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.linuxha.lvs.plugins.module_utils import _checks as checks
from ansible_collections.linuxha.lvs.plugins.module_utils import _director as director
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.control import client
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.control.protocol import Refused

if TYPE_CHECKING:
    from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.problem import Problem

# what is asked for -> the keys of the daemon's answer, and what they are called here
ANSWERS = {
    "vrrp": {"instances": "instances", "groups": "groups"},
    "servers": {"virtual_servers": "virtual_servers"},
    "events": {"events": "events"},
    "diff": {"changes": "changes"},
}
NOTHING_TO_BALANCE = "no_virtual_servers"
# The daemon's own limit (control/verb_events.py).
EVENTS_MOST = 2000


def require_options(params: dict[str, Any]) -> None:
    """Raise ValueError for numbers that are out of range."""
    problems: list[Problem] = []
    checks.seconds("timeout", params["timeout"], problems)
    checks.in_range("events", params["events"], 1, EVENTS_MOST, problems)
    if problems:
        raise checks.refusal(problems)


def ask(module: AnsibleModule, verb: str) -> dict[str, Any]:
    """The answer to one question, under this module's names. Raises Refused, Unreachable."""
    arguments = {"number": module.params["events"]} if verb == "events" else {}
    try:
        result = client.ask(module.params["socket"], verb, arguments, module.params["timeout"])
    except Refused as refused:
        if refused.code != NOTHING_TO_BALANCE:
            raise
        result = {"virtual_servers": [], "changes": []}
    if verb == "status":
        return {"status": result}
    return {name: result[key] for key, name in ANSWERS[verb].items()}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "gather": {
                "type": "list",
                "elements": "str",
                "choices": ["status", "vrrp", "servers", "events", "diff"],
                "default": ["status", "vrrp", "servers"],
            },
            "events": {"type": "int", "default": 50},
            **director.socket_spec(10.0),
        },
        supports_check_mode=True,
    )
    found: dict[str, Any] = {}
    try:
        require_options(module.params)
        for verb in module.params["gather"]:
            found.update(ask(module, verb))
    except (Refused, client.Unreachable) as error:
        module.fail_json(msg=director.message(error), code=error.code)
    except ValueError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
