#!/usr/bin/python
# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: lab
short_description: Boot a lab of real Linux hosts, or end it
description:
  - Boots one User Mode Linux host (an own kernel, systemd, sshd, IPVS) for each entry of O(hosts), in a network
    namespace of the lab's own, with the names, NICs and addresses given, and waits until every host answers.
  - Brings an existing lab to the shape asked for. Hosts that are down boot with the disk they had, frozen ones go
    on, hosts whose NICs changed are made anew, hosts no longer asked for are removed.
  - Runs on the controller, as root.
author:
  - The linuxha.lvs developers (@linuxha)
version_added: 0.1.0
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
    platforms: Debian
options:
  name:
    description: The lab's name. Several labs can run side by side.
    type: str
    default: default
  state:
    description:
      - V(present) boots what is missing.
      - V(absent) ends the lab and leaves nothing behind, be it a process, a namespace, a tap or a file.
    type: str
    choices: [present, absent]
    default: present
  image:
    description: The image file, as M(linuxha.lvs.lab_image) returns it. Needed when O(state=present).
    type: path
  memory_mb:
    description: Memory of each host, in MiB, from V(64) to V(65536).
    type: int
    default: 192
  management_network:
    description:
      - Network of the NIC C(lab0) that every host has for Ansible, apart from the site's wires, so that a host
        whose cable is pulled can still be asked.
    type: str
    default: 198.18.0.0/24
  hosts:
    description: The hosts to boot. Needed when O(state=present).
    type: list
    elements: dict
    suboptions:
      name:
        description: The host's name.
        type: str
        required: true
      nics:
        description: Its NICs, in order.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: The NIC's name, such as C(ens33).
            type: str
            required: true
          addresses:
            description: Its addresses with prefix length.
            type: list
            elements: str
            default: []
          segment:
            description: The wire it is plugged into. NICs of one segment see each other.
            type: str
            default: lan
          gateway:
            description: Default gateway through this NIC. The lab plays the router when no host has the address.
            type: str
      web_ports:
        description: Ports on which an nginx answers with the host's name.
        type: list
        elements: int
        default: []
      aliases:
        description: Other names or addresses by which the inventory calls the host, such as its C(ansible_host).
        type: list
        elements: str
        default: []
      lab_only:
        description: The host is no part of the site; the lab's inventory lists it in the group C(lab_hosts).
        type: bool
        default: false
seealso:
  - module: linuxha.lvs.lab_image
"""

EXAMPLES = r"""
- name: Boot a host and a client on one wire
  linuxha.lvs.lab:
    name: small
    image: "{{ lab_image.path }}"
    hosts:
      - name: web01
        nics: [{name: ens33, addresses: [192.0.2.10/24]}]
        web_ports: [80]
      - name: client
        nics: [{name: eth0, addresses: [192.0.2.200/24]}]
        lab_only: true

- name: End it
  linuxha.lvs.lab:
    name: small
    state: absent
"""

RETURN = r"""
work:
  description: The hosts that were (in check mode, would be) removed, created, booted or thawed.
  type: dict
  returned: when O(state=present)
  sample: {"remove": [], "create": ["web01"], "boot": [], "thaw": []}
inventory:
  description: An inventory to put behind the site's; it only says how the lab's hosts are reached.
  type: str
  returned: when O(state=present)
ssh_config:
  description: A file for C(ssh -F).
  type: str
  returned: when O(state=present)
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.linuxha.lvs.plugins.module_utils import _checks as checks
from ansible_collections.linuxha.lvs.plugins.module_utils._lab import lab, network, ssh
from ansible_collections.linuxha.lvs.plugins.module_utils._lab.errors import LabError
from ansible_collections.linuxha.lvs.plugins.module_utils._lab.paths import lab_dir
from ansible_collections.linuxha.lvs.plugins.module_utils._lab.plan import Plan, host_from_dict, make_plan

if TYPE_CHECKING:
    from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.problem import Problem

NIC_SPEC = {
    "name": {"type": "str", "required": True},
    "addresses": {"type": "list", "elements": "str", "default": []},
    "segment": {"type": "str", "default": "lan"},
    "gateway": {"type": "str"},
}
HOST_SPEC = {
    "name": {"type": "str", "required": True},
    "nics": {"type": "list", "elements": "dict", "default": [], "options": NIC_SPEC},
    "web_ports": {"type": "list", "elements": "int", "default": []},
    "aliases": {"type": "list", "elements": "str", "default": []},
    "lab_only": {"type": "bool", "default": False},
}


def present(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    plan = make_plan(
        params["name"],
        [host_from_dict(host) for host in params["hosts"]],
        params["image"],
        params["memory_mb"],
        params["management_network"],
    )
    before = lab.saved_plan(plan.name)
    states = lab.states(before) if before else {}
    if module.check_mode:
        lab.check_machine()
        work = lab.decide(plan, before, states)
    else:
        work = lab.up(plan, module.debug)
    return {
        "changed": bool(work),
        "work": {verb: list(names) for verb, names in asdict(work).items()},
        "inventory": str(lab.inventory_path(plan.name)),
        "ssh_config": str(ssh.config_path(lab_dir(plan.name))),
        "diff": {
            "before": describe(before, states) if before else "",
            "after": describe(plan, {guest.name: "running" for guest in plan.guests}),
        },
    }


def require_numbers(params: dict[str, Any]) -> None:
    """Raise ValueError for numbers that no host can have."""
    problems: list[Problem] = []
    checks.in_range("memory_mb", params["memory_mb"], 64, 65536, problems)
    for number, host in enumerate(params["hosts"] or ()):
        for port in host["web_ports"]:
            checks.in_range(f"hosts[{number}].web_ports", port, 1, 0xFFFF, problems)
    if problems:
        raise checks.refusal(problems)


def absent(module: AnsibleModule) -> dict[str, Any]:
    name = module.params["name"]
    before = lab.saved_plan(name)
    diff = {"before": describe(before, lab.states(before)) if before else "", "after": ""}
    if module.check_mode:
        return {"changed": lab_dir(name).exists() or network.namespace_exists(f"lab-{name}"), "diff": diff}
    return {"changed": lab.down(name), "diff": diff}


def describe(plan: Plan, states: dict[str, str]) -> str:
    """A line a host: name, state, NICs with addresses."""
    lines = []
    for guest in plan.guests:
        nics = " ".join(f"{nic.name}={','.join(nic.addresses) or '-'}" for nic in guest.host.nics)
        lines.append(f"{guest.name} {states.get(guest.name, 'down')} {nics}\n")
    return "".join(lines)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "default": "default"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "image": {"type": "path"},
            "memory_mb": {"type": "int", "default": 192},
            "management_network": {"type": "str", "default": "198.18.0.0/24"},
            "hosts": {"type": "list", "elements": "dict", "options": HOST_SPEC},
        },
        required_if=[("state", "present", ("hosts", "image"))],
        supports_check_mode=True,
    )
    try:
        require_numbers(module.params)
        result = present(module) if module.params["state"] == "present" else absent(module)
    except (LabError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
