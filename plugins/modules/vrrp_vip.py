#!/usr/bin/python
# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: vrrp_vip
short_description: Virtual IP addresses on an interface of the running host
version_added: 0.1.0
author: The linuxha.lvs developers (@linuxha)
description:
  - Sees that an interface holds virtual IP addresses, or does not. This is for addresses that a VRRP daemon does not
    manage itself, such as those of the real servers behind LVS-DR and LVS-TUN.
  - It changes the running system only; what brings the addresses back at boot is up to the role that uses it.
  - An address that is there with another prefix, label, scope or flag is replaced. Addresses the task does not name
    are not touched, unless they stand in the O(record).
  - IPv6 addresses are added without duplicate address detection, so that they serve at once.
requirements:
  - iproute2 on the target
  - pyroute2 0.7.2 or later on the target (package C(python3-pyroute2)), only when something has to be changed
extends_documentation_fragment:
  - linuxha.lvs.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
    platforms: linux
options:
  interface:
    description: The interface that holds the addresses.
    type: str
    required: true
  addresses:
    description:
      - The virtual IP addresses, each with or without a prefix length; without one it is V(32) or, for IPv6, V(128).
      - An empty list with O(record) removes all that was recorded.
    type: list
    elements: str
    required: true
  label:
    description:
      - The label of the IPv4 addresses, which is the interface's name or starts with it and a colon, V(ens33:9).
      - The interface's name when not given. IPv6 addresses have none.
    type: str
  scope:
    description: The scope of the IPv4 addresses. That of an IPv6 address follows from the address.
    type: str
    choices: [global, site, link, host]
    default: global
  noprefixroute:
    description: Do not let the kernel add a route to the network of the address's prefix.
    type: bool
    default: false
  host_route:
    description:
      - Also keep a route to each single address by the interface in the main routing table.
      - When this is V(false), only host routes that stand in the O(record) are removed.
    type: bool
    default: false
  link_up:
    description: Bring the interface up if it is down. Nothing ever takes it down.
    type: bool
    default: true
  announce:
    description:
      - How many gratuitous ARP requests are sent for each IPv4 address that was added, so that the network learns
        where it is now. The interface must be an Ethernet one. IPv6 addresses are not announced.
      - Leave this at V(0) on real servers, where the network must not learn it.
    type: int
    default: 0
  record:
    description:
      - A JSON file in which the module keeps what it set. What was recorded and is no longer listed is removed, also
        from the interface recorded then, so that a virtual IP changed in the inventory does not stay behind.
      - One file belongs to one task; two tasks with the same file would remove each other's addresses.
      - It is replaced atomically with mode 0644; its directory is created.
    type: path
  state:
    description:
      - V(present) adds what is missing and removes what is only in the O(record).
      - V(absent) removes the listed addresses whatever their prefix, their host routes if O(host_route), and all that
        is in the O(record), and the record itself.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: The virtual IP on a real server's second NIC, with a host route
  linuxha.lvs.vrrp_vip:
    interface: ens37
    addresses: [192.168.1.100/24]
    host_route: true
    record: /var/lib/linuxha-lvs/real_server_vips.json

- name: Two virtual IPs on lo, as single addresses
  linuxha.lvs.vrrp_vip:
    interface: lo
    addresses:
      - 192.168.116.134
      - 2001:db8:116::134

- name: Take over an address by hand and tell the network
  linuxha.lvs.vrrp_vip:
    interface: ens33
    addresses: [192.168.116.134/24]
    label: ens33:9
    announce: 5

- name: Give it up
  linuxha.lvs.vrrp_vip:
    interface: ens33
    addresses: [192.168.116.134]
    state: absent
"""

RETURN = r"""
added:
  description: The addresses that were added or replaced, with their attributes, by interface.
  returned: success
  type: dict
  sample: {"ens37": ["192.168.1.100/24 scope global label ens37"]}
removed:
  description: The addresses that were removed or replaced, with their attributes, by interface.
  returned: success
  type: dict
  sample: {"ens37": ["192.168.1.99/24 scope global label ens37"]}
"""

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel import announce, interfaces, iproute2
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.addresses import (
    Address,
    AddressPlan,
    plan_addresses,
    wanted_address,
)
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.errors import KernelError
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.rtnl import Rtnl
from ansible_collections.linuxha.lvs.plugins.module_utils._module import read_text, replace_text, text_diff

if TYPE_CHECKING:
    from collections.abc import Sequence

# IFNAMSIZ in linux/if.h, with the closing NUL
LABEL_SIZE = 16


class Record(NamedTuple):
    """What the record file holds: an interface, and addresses without prefix that were set on it."""

    interface: str = ""
    addresses: Sequence[str] = ()
    host_routes: Sequence[str] = ()


class State(NamedTuple):
    """What concerns the task on one interface, and what its diff shows."""

    up: bool
    addresses: list[Address]
    host_routes: set[str]

    def shown(self) -> dict[str, Any]:
        """In the words of the diff."""
        return {
            "up": self.up,
            "addresses": sorted(map(str, self.addresses)),
            "host_routes": sorted(self.host_routes),
        }


class Plan(NamedTuple):
    """What to do on one interface."""

    interface: str
    before: State
    after: State
    addresses: AddressPlan


def wanted_addresses(params: dict[str, Any]) -> list[Address]:
    """The task's addresses, normalised. Raises ValueError."""
    interface, label = params["interface"], params["label"] or params["interface"]
    if label != interface and not label.startswith(f"{interface}:"):
        raise ValueError(f"label {label} must be {interface} or start with {interface}:")
    if len(label.encode()) >= LABEL_SIZE:
        raise ValueError(f"label {label} is longer than {LABEL_SIZE - 1} characters")
    wanted = [wanted_address(text, label, params["scope"], params["noprefixroute"]) for text in params["addresses"]]
    if params["label"] and wanted and all(address.is_ipv6 for address in wanted):
        raise ValueError(f"label {label} is for IPv4, and all addresses are IPv6")
    for position, address in enumerate(wanted):
        if address.address in [other.address for other in wanted[:position]]:
            raise ValueError(f"{address.address} is listed twice")
    return wanted


def parse_record(path: str, text: str) -> Record:
    """The record file's content. Raises ValueError."""
    if not text:
        return Record()
    refusal = ValueError(f"{path} is not a record of this module: remove it, or name another file")
    try:
        record = Record(**json.loads(text))
        kinds = {type(item) for item in (record.interface, *record.addresses, *record.host_routes)}
    except (ValueError, TypeError) as error:
        raise refusal from error
    if kinds != {str}:
        raise refusal
    return record


def render_record(record: Record) -> str:
    """The record file's content."""
    return json.dumps(record._asdict(), indent=2, sort_keys=True) + "\n"


def plan_interface(
    have: iproute2.Interface,
    routes: set[str],
    wanted: list[Address],
    wanted_routes: set[str],
    retired: Record,
    *,
    up: bool,
) -> Plan:
    """Compare one interface with what it should hold; ``retired`` must go unless it is wanted."""
    changes = plan_addresses(have.addresses, wanted, retired.addresses)
    concerned = {address.address for address in wanted} | set(retired.addresses)
    kept = [address for address in have.addresses if address.address in concerned]
    mentioned_routes = routes & (wanted_routes | set(retired.host_routes))
    after = [address for address in kept if address not in changes.delete] + changes.add
    return Plan(
        have.name,
        State(have.up, kept, mentioned_routes),
        State(have.up or up, after, wanted_routes),
        changes,
    )


def require_usable(params: dict[str, Any], have: iproute2.Interface) -> None:
    """Raise ValueError for an interface on which what is asked would fail half-way."""
    if params["announce"] and have.link_type != "ether":
        raise ValueError(f"announce needs an Ethernet interface, and {have.name} is of type {have.link_type}")
    if (params["announce"] or params["host_route"]) and not (have.up or params["link_up"]):
        raise ValueError(f"announce and host_route need a link that is up, and {have.name} is down: set link_up")


def make_plans(params: dict[str, Any], wanted: list[Address], record: Record) -> list[Plan]:
    """Read the interfaces and compare. Raises ValueError for an interface that cannot do what is asked."""
    found = iproute2.interfaces()
    name, present = params["interface"], params["state"] == "present"
    if name not in found:
        raise ValueError(interfaces.missing_interface(name, list(found)))
    have, listed = found[name], [address.address for address in wanted]
    if present:
        require_usable(params, have)

    def plan(on: str, to_hold: list[Address], to_route: set[str], retired: Record) -> Plan:
        routes = iproute2.host_routes(on) if to_route or retired.host_routes else set()
        return plan_interface(found[on], routes, to_hold, to_route, retired, up=bool(to_hold) and params["link_up"])

    here = record if record.interface == name else Record()
    routes = set(listed) if params["host_route"] else set()
    if present:
        plans = [plan(name, wanted, routes, here)]
    else:
        gone = Record(name, [*listed, *here.addresses], [*routes, *here.host_routes])
        plans = [plan(name, [], set(), gone)]
    if record.interface in found and record.interface != name:
        plans.append(plan(record.interface, [], set(), record))
    return plans


def apply(plans: list[Plan], announcements: int) -> None:
    """Carry the plans out. Raises KernelError."""
    with Rtnl() as rtnl:
        for plan in plans:
            if plan.after.up != plan.before.up:
                rtnl.set_up(plan.interface)
            for route in sorted(plan.before.host_routes - plan.after.host_routes):
                rtnl.delete_host_route(plan.interface, route)
            for address in plan.addresses.delete:
                rtnl.delete_address(plan.interface, address)
            for address in plan.addresses.add:
                rtnl.add_address(plan.interface, address)
            # All of them: deleting an interface's last address takes its routes along.
            for route in sorted(plan.after.host_routes):
                rtnl.replace_host_route(plan.interface, route)
            new = [address.address for address in plan.addresses.add if not address.is_ipv6]
            if new and announcements:
                announce.announce(plan.interface, new, announcements)


def run(module: AnsibleModule) -> dict[str, Any]:
    """Compare, apply unless in check mode, and return the result."""
    params = module.params
    if params["announce"] < 0:
        raise ValueError(f"announce is a number of times, not {params['announce']}")
    wanted = wanted_addresses(params)
    path = params["record"]
    record_before = read_text(path) if path else ""
    plans = make_plans(params, wanted, parse_record(path, record_before))

    record_after = ""
    if path and params["state"] == "present" and wanted:
        listed = [address.address for address in wanted]
        record_after = render_record(Record(params["interface"], listed, listed if params["host_route"] else []))
    to_do = [plan for plan in plans if plan.before.shown() != plan.after.shown()]
    if not module.check_mode:
        if to_do:
            apply(to_do, params["announce"])
        if record_after != record_before:
            replace_text(module, path, record_after)
    return {
        "changed": bool(to_do) or record_after != record_before,
        "diff": [
            {
                "before": {plan.interface: plan.before.shown() for plan in plans},
                "after": {plan.interface: plan.after.shown() for plan in plans},
            },
            *([text_diff(path, record_before, record_after)] if path else []),
        ],
        "added": {plan.interface: [str(a) for a in plan.addresses.add] for plan in to_do},
        "removed": {plan.interface: [str(a) for a in plan.addresses.delete] for plan in to_do},
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "interface": {"type": "str", "required": True},
            "addresses": {"type": "list", "elements": "str", "required": True},
            "label": {"type": "str"},
            "scope": {"type": "str", "choices": ["global", "site", "link", "host"], "default": "global"},
            "noprefixroute": {"type": "bool", "default": False},
            "host_route": {"type": "bool", "default": False},
            "link_up": {"type": "bool", "default": True},
            "announce": {"type": "int", "default": 0},
            "record": {"type": "path"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except (KernelError, OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
