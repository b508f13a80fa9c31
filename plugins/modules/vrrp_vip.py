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
  - The host's own address is never replaced, nor added to another interface. That is an address that is not in the
    O(record), and that is dynamic (DHCP), or gives the host a network of which it has no other address, or the network
    of a gateway.
  - Nothing is changed before everything has been checked, O(conflict_check) included.
requirements:
  - iproute2 on the target
  - pyroute2 0.7.2 or later on the target (package C(python3-pyroute2)), only when something has to be changed
extends_documentation_fragment:
  - linuxha.lvs.attributes
attributes:
  check_mode:
    support: full
    details: O(conflict_check) sends its probes in check mode too; they change nothing on any host.
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    support: full
    platforms: linux
options:
  interface:
    description: The interface that holds the addresses.
    type: str
    required: true
    aliases: [dev]
  addresses:
    description:
      - The virtual IP addresses, each with or without a prefix length; without one it is V(32) or, for IPv6, V(128).
      - A loopback, multicast, network or broadcast address is an error, as is an IPv4 address mapped into IPv6.
      - On V(lo), a shorter prefix would make the whole network local, or for IPv6 unreachable, so it is an error unless
        O(noprefixroute).
      - An empty list with O(record) removes all that was recorded.
    type: list
    elements: str
    required: true
    aliases: [virtual_ipaddress]
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
  nodad:
    description:
      - Add IPv6 addresses without duplicate address detection (DAD), so that they serve at once. One that is there
        and does not serve, because its detection is still going on or has failed, is added anew.
      - When this is V(false), the kernel's detection is waited for. The task fails if another host has the address,
        or if nothing is decided after O(dad_timeout), as on a link without a carrier; what it added and does not
        serve is removed again.
    type: bool
    default: true
    version_added: 0.2.0
  dad_timeout:
    description:
      - The most seconds to wait for duplicate address detection, up to V(60). It takes about two with a kernel's
        defaults.
    type: float
    default: 5
    version_added: 0.2.0
  conflict_check:
    description:
      - Ask on the wire, before anything is changed, whether another host has one of the addresses that would be
        added to O(interface), and refuse if so. IPv4 is asked by ARP probes (RFC 5227), IPv6 by the probes of
        duplicate address detection (RFC 4862). The interface must be an Ethernet one that is up.
      - Probing sends packets, in check mode too, but changes no neighbour's table. Another host that is detecting
        duplicates of the same IPv6 address at that moment takes a probe for one.
      - A host that is silent about an address it holds, such as a real server, is not found and is no conflict.
    type: bool
    default: false
    version_added: 0.2.0
  conflict_probes:
    description: How many probes O(conflict_check) sends for each address, up to V(20). RFC 5227 says V(3).
    type: int
    default: 3
    version_added: 0.2.0
  conflict_spacing:
    description:
      - Seconds from one probe to the next, and after the last one until the silence counts, up to V(60). Without an
        answer, the check takes O(conflict_probes) times this long for all addresses together.
    type: float
    default: 1
    version_added: 0.2.0
  announce:
    description:
      - How many times each address that was added is announced, up to V(100), so that the network learns where it is
        now. IPv4 by
        gratuitous ARP requests as keepalived sends them, IPv6 by unsolicited neighbour advertisements with the
        override flag, and with the router flag if the interface forwards. The interface must be an Ethernet one.
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
        is in the O(record), and the record itself. So that one task can do both, options for addresses that are added,
        such as O(conflict_check) and O(announce), are accepted, and not acted on.
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

- name: Take over an address by hand, unless another host still has it, and tell the network
  linuxha.lvs.vrrp_vip:
    interface: ens33
    addresses: [192.168.116.134/24]
    label: ens33:9
    conflict_check: true
    announce: 5

- name: The same for IPv6, with the kernel's own duplicate address detection
  linuxha.lvs.vrrp_vip:
    interface: ens33
    addresses: [2001:db8:116::134/64]
    nodad: false
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
addresses:
  description: Each address the task names, as it is on O(interface) after the task, or would be in check mode.
  returned: success, or when duplicate address detection failed
  type: list
  elements: dict
  version_added: 0.2.0
  contains:
    address:
      description: The address, without its prefix.
      type: str
      returned: success
      sample: 192.168.1.100
    prefixlen:
      description: The length of its prefix; null when it is not there.
      type: int
      returned: success
      sample: 24
    label:
      description: Its label; empty for IPv6, and when it is not there.
      type: str
      returned: success
      sample: ens37
    scope:
      description: Its scope; empty when it is not there.
      type: str
      returned: success
      sample: global
    state:
      description:
        - V(preferred) or V(deprecated), and it serves; V(tentative) or V(dadfailed), and it does not; or V(absent).
      type: str
      returned: success
      sample: preferred
conflicts:
  description: The addresses that another host has, with its MAC address.
  returned: when O(conflict_check) finds one
  type: dict
  version_added: 0.2.0
  sample: {"192.168.1.100": "52:54:00:12:34:56"}
"""

import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.linuxha.lvs.plugins.module_utils import _vip_rules as vip_rules
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel import (
    announce,
    conflict,
    interfaces,
    iproute2,
    sysctl,
)
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.addresses import (
    DADFAILED,
    TENTATIVE,
    Address,
    AddressPlan,
    plan_addresses,
    wanted_address,
)
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.errors import KernelError
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.rtnl import Rtnl
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.rtnl_types import host_route
from ansible_collections.linuxha.lvs.plugins.module_utils._module import (
    read_text,
    replace_text,
    require_replaceable,
    text_diff,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

# IFNAMSIZ in linux/if.h, with the closing NUL
LABEL_SIZE = 16
MOST_SECONDS = 60
# Announcements are sent at once, one after the other; keepalived repeats five.
MOST_ANNOUNCEMENTS = 100
MOST_PROBES = 20


class Refused(Exception):
    """The task fails, and ``result`` tells more than the message."""

    def __init__(self, message: str, result: dict[str, Any]) -> None:
        super().__init__(message)
        self.result = result


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
    for address in wanted:
        vip_rules.require_virtual(address)
    if wanted and all(address.is_ipv6 for address in wanted):
        for option, without in (("label", None), ("scope", "global")):
            if params[option] != without:
                raise ValueError(f"{option} {params[option]} is for IPv4, and all addresses are IPv6")
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
    nodad: bool,
) -> Plan:
    """Compare one interface with what it should hold; ``retired`` must go unless it is wanted."""
    useless = (DADFAILED, TENTATIVE) if nodad else (DADFAILED,)
    changes = plan_addresses(have.addresses, wanted, retired.addresses, useless)
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


def require_numbers(params: dict[str, Any]) -> None:
    """Raise ValueError for a number that means nothing."""
    for name, least, most in (("announce", 0, MOST_ANNOUNCEMENTS), ("conflict_probes", 1, MOST_PROBES)):
        if not least <= params[name] <= most:
            raise ValueError(f"{name} is a number of times, {least} or more and up to {most}, not {params[name]}")
    for name in ("dad_timeout", "conflict_spacing"):
        if not 0 < params[name] <= MOST_SECONDS:
            raise ValueError(f"{name} is a time in seconds, above 0 and up to {MOST_SECONDS}, not {params[name]}")


def require_usable(params: dict[str, Any], have: iproute2.Interface) -> None:
    """Raise ValueError for an interface on which what is asked would fail half-way."""
    for option in ("announce", "conflict_check"):
        if params[option] and have.link_type != "ether":
            raise ValueError(f"{option} needs an Ethernet interface, and {have.name} is of type {have.link_type}")
        if params[option] and not have.arp:
            raise ValueError(f"{option} needs ARP, and {have.name} is a dummy or has it switched off (NOARP)")
    if (params["announce"] or params["host_route"]) and not (have.up or params["link_up"]):
        raise ValueError(f"announce and host_route need a link that is up, and {have.name} is down: set link_up")


def make_plans(
    params: dict[str, Any], found: dict[str, iproute2.Interface], wanted: list[Address], record: Record
) -> list[Plan]:
    """Compare the interfaces with the task, its own interface first.

    Raises ValueError for an interface that cannot do what is asked, KernelError when the routes cannot be read.
    """
    name, present = params["interface"], params["state"] == "present"
    if name not in found:
        raise ValueError(interfaces.missing_interface(name, list(found)))
    have, listed = found[name], [address.address for address in wanted]
    if present:
        require_usable(params, have)
        vip_rules.require_narrow_on_loopback(wanted, have)
        vip_rules.require_hosts(wanted, found)
        kept = vip_rules.Kept(bool(params["record"]), record.addresses)
        vip_rules.require_not_own(wanted, name, found, kept, iproute2.gateways)

    def plan(on: str, to_hold: list[Address], to_route: set[str], retired: Record) -> Plan:
        routes = iproute2.host_routes(on) if to_route or retired.host_routes else set()
        up = bool(to_hold) and params["link_up"]
        return plan_interface(found[on], routes, to_hold, to_route, retired, up=up, nodad=params["nodad"])

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


def require_no_conflict(params: dict[str, Any], found: dict[str, iproute2.Interface], plan: Plan) -> None:
    """Ask on the wire for the addresses that are new on the interface. Raises Refused, ValueError, KernelError."""
    have = found[plan.interface]
    held = {address.address for address in have.addresses}
    new = [address.address for address in plan.addresses.add if address.address not in held]
    if not new:
        return
    if not have.up:
        raise ValueError(f"conflict_check asks on the wire, and {have.name} is down: bring it up first")
    own_macs = {bytes.fromhex(other.lladdr.replace(":", "")) for other in found.values() if other.link_type == "ether"}
    conflicts = conflict.find_conflicts(have.name, new, params["conflict_probes"], params["conflict_spacing"], own_macs)
    if conflicts:
        who = ", ".join(f"{address} at {mac}" for address, mac in conflicts.items())
        raise Refused(
            f"nothing was changed: another host on the wire of {have.name} has {who}; take the address away there, "
            "or look for the MAC address in the switches",
            {"conflicts": conflicts},
        )


def apply(plans: list[Plan], *, nodad: bool) -> None:
    """Carry the plans out. Raises KernelError."""
    with Rtnl() as rtnl:
        for plan in plans:
            if plan.after.up != plan.before.up:
                rtnl.set_up(plan.interface)
            for route in sorted(plan.before.host_routes - plan.after.host_routes):
                rtnl.delete_route(host_route(plan.interface, route))
            for address in plan.addresses.delete:
                rtnl.delete_address(plan.interface, address)
            for address in plan.addresses.add:
                rtnl.add_address(plan.interface, address, nodad=nodad)
            # All of them: deleting an interface's last address takes its routes along.
            for route in sorted(plan.after.host_routes):
                rtnl.replace_route(host_route(plan.interface, route))


def take_back(plan: Plan, failed: dict[str, str]) -> None:
    """Remove what was added and does not serve. Raises KernelError."""
    useless = [address for address in plan.addresses.add if address.address in failed]
    if not useless:
        return
    with Rtnl() as rtnl:
        for address in useless:
            if address.address in plan.after.host_routes:
                rtnl.delete_route(host_route(plan.interface, address.address))
            rtnl.delete_address(plan.interface, address)


def tell_the_network(plan: Plan, count: int, failed: dict[str, str]) -> None:
    """Announce what was added and serves. Raises KernelError."""
    new = [address.address for address in plan.addresses.add if address.address not in failed]
    if new and count:
        # A router that says it is none is dropped by its neighbours.
        ipv6 = any(":" in address for address in new)
        router = ipv6 and sysctl.read(sysctl.conf_key(plan.interface, "forwarding", "ipv6")) != "0"
        announce.announce(plan.interface, new, count, router=router)


def shown_addresses(wanted: list[Address], held: list[Address]) -> list[dict[str, Any]]:
    """The result's ``addresses``."""
    by_address = {address.address: address for address in held}

    def shown(address: str) -> dict[str, Any]:
        have = by_address.get(address)
        if have is None:
            return {"prefixlen": None, "label": "", "scope": "", "state": "absent"}
        return {"prefixlen": have.prefixlen, "label": have.label, "scope": have.scope, "state": have.state}

    return [{"address": want.address, **shown(want.address)} for want in wanted]


def after_detection(params: dict[str, Any], plan: Plan, wanted: list[Address]) -> dict[str, str]:
    """Wait for duplicate address detection if asked: address -> state of those that do not serve.

    Raises KernelError.
    """
    ipv6 = [address.address for address in wanted if address.is_ipv6]
    if params["nodad"] or params["state"] == "absent" or not ipv6:
        return {}
    failed = iproute2.undecided(plan.interface, ipv6, params["dad_timeout"])
    take_back(plan, failed)
    return failed


def run(module: AnsibleModule) -> dict[str, Any]:
    """Compare, apply unless in check mode, and return the result. Raises Refused, ValueError, OSError."""
    params = module.params
    require_numbers(params)
    wanted = wanted_addresses(params)
    path = params["record"]
    record_before = read_text("record", path) if path else ""
    found = iproute2.interfaces()
    plans = make_plans(params, found, wanted, parse_record(path, record_before))
    here = plans[0]
    if params["conflict_check"]:
        require_no_conflict(params, found, here)

    record_after = ""
    if path and params["state"] == "present" and wanted:
        listed = [address.address for address in wanted]
        record_after = render_record(Record(params["interface"], listed, listed if params["host_route"] else []))
    if record_after != record_before:
        require_replaceable("record", path, makes_directory=True)
    to_do = [plan for plan in plans if plan.before.shown() != plan.after.shown()]
    failed: dict[str, str] = {}
    held = here.after.addresses
    if not module.check_mode:
        if to_do:
            apply(to_do, nodad=params["nodad"])
        failed = after_detection(params, here, wanted)
        if here in to_do:
            tell_the_network(here, params["announce"], failed)
        if record_after != record_before:
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
            replace_text(module, path, record_after)
        if to_do:
            held = iproute2.interfaces()[here.interface].addresses
    result = {
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
        "addresses": shown_addresses(wanted, held),
    }
    if failed:
        raise Refused(detection_message(params, failed), result)
    return result


def detection_message(params: dict[str, Any], failed: dict[str, str]) -> str:
    """What to say of addresses that duplicate address detection did not let serve."""
    where = params["interface"]
    sentences = {
        DADFAILED: f"another host on the wire of {where} has {{}} (dadfailed)",
        TENTATIVE: f"{{}} is still tentative after {params['dad_timeout']:g} s: look whether {where} has a carrier, "
        "or raise dad_timeout",
        "absent": f"another program has just removed {{}} from {where}",
    }
    told = [
        sentence.format(", ".join(address for address, its in failed.items() if its == state))
        for state, sentence in sentences.items()
        if state in failed.values()
    ]
    return f"duplicate address detection: {'; '.join(told)}. What was added of these was removed again"


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "interface": {"type": "str", "required": True, "aliases": ["dev"]},
            "addresses": {"type": "list", "elements": "str", "required": True, "aliases": ["virtual_ipaddress"]},
            "label": {"type": "str"},
            "scope": {"type": "str", "choices": ["global", "site", "link", "host"], "default": "global"},
            "noprefixroute": {"type": "bool", "default": False},
            "host_route": {"type": "bool", "default": False},
            "link_up": {"type": "bool", "default": True},
            "nodad": {"type": "bool", "default": True},
            "dad_timeout": {"type": "float", "default": 5},
            "conflict_check": {"type": "bool", "default": False},
            "conflict_probes": {"type": "int", "default": 3},
            "conflict_spacing": {"type": "float", "default": 1},
            "announce": {"type": "int", "default": 0},
            "record": {"type": "path"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except Refused as error:
        module.fail_json(msg=str(error), **error.result)
    except (KernelError, OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
