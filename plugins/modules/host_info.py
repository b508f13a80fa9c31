#!/usr/bin/python
# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Compare a host with what the inventory says of it, before anything is changed on it
version_added: 0.1.0
author: The linuxha.lvs developers (@linuxha)
description:
  - Looks for the mistakes that make an LVS site fail later (a misspelled interface, an address on another host,
    a peer that is not there, a kernel without IPVS) and returns them as sentences.
  - Changes nothing, and does not fail because of what it finds, so that a play can show the problems of all hosts
    at once.
requirements:
  - iproute2 on the target
extends_documentation_fragment:
  - linuxha.lvs.attributes
  - linuxha.lvs.attributes.info_module
attributes:
  platform:
    support: full
    platforms: linux
options:
  interfaces:
    description: Interfaces the host must have.
    type: list
    elements: str
    default: []
  addresses:
    description: Addresses the host must have.
    type: list
    elements: dict
    default: []
    suboptions:
      interface:
        description: The interface that must have the address.
        type: str
        required: true
      address:
        description: The address. With a prefix length, that must be the same too.
        type: str
        required: true
  ipv4_interfaces:
    description: Interfaces that must have an IPv4 address of their own, which VRRP sends from.
    type: list
    elements: str
    default: []
    version_added: 0.3.0
  vip_interfaces:
    description:
      - Interfaces that hold virtual IPs and are to answer no ARP at all, so that no own address may be on them.
      - Nor may an IPv6 virtual IP, unless it is a dummy or another interface that has no ARP. The kernel has no
        C(arp_ignore) for IPv6, so a NIC answers neighbour solicitations for every address it has.
    type: list
    elements: dict
    default: []
    suboptions:
      interface:
        description: The interface, a NIC.
        type: str
        required: true
      addresses:
        description: The virtual IPs it may hold, with or without a prefix length.
        type: list
        elements: str
        required: true
  virtual_ips:
    description:
      - Virtual IPs that are to come and go with VRRP, so that none of them may be an address of the host's own.
      - What a running VRRP daemon may have added is no problem.
    type: list
    elements: dict
    default: []
    suboptions:
      interface:
        description: The interface it is for.
        type: str
        required: true
      address:
        description: The address, without a prefix length.
        type: str
        required: true
  peers:
    description:
      - Addresses that must be reachable. Each gets two ICMP echo requests a second apart, all peers at the same time.
      - A peer that does not answer counts as reachable when the kernel knows its link-layer address, because many hosts
        drop ICMP echo.
    type: list
    elements: str
    default: []
  kernel_modules:
    description: Modules the running kernel must have, loaded, built in or on disk.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Check a director
  linuxha.lvs.host_info:
    interfaces: [ens33]
    addresses:
      - interface: ens33
        address: 192.168.1.10
    virtual_ips:
      - interface: ens33
        address: 192.168.1.100
    peers: [192.168.1.11, 192.168.1.129, 192.168.1.130]
    kernel_modules: [ip_vs, ip_vs_rr]
  register: check

- name: Say all that is wrong
  ansible.builtin.assert:
    that: not check.problems
    fail_msg: "{{ check.problems | join('\n') }}"
"""

RETURN = r"""
problems:
  description: What is wrong, each a sentence a person can act on; empty when all is well.
  returned: success
  type: list
  elements: str
  sample: ["there is no interface ens3 here, only lo, ens33, ens37; did you mean ens33?"]
interfaces:
  description:
    - The addresses of each interface with prefix length, in the kernel's order, so that packets are sent from the first
      one of a network. Without those that a VRRP daemon has added, where that can be told.
  returned: success
  type: dict
  sample: {"lo": ["127.0.0.1/8"], "ens33": ["192.168.1.127/24"]}
"""

import ipaddress
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent import this_host
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel import echo, iproute2, kmod
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.errors import KernelError
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.interfaces import missing_interface

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.machine import Interfaces


def interface_problems(found: dict[str, iproute2.Interface], names: Iterable[str]) -> list[str]:
    """Interfaces that are not there, each once."""
    return [missing_interface(name, list(found)) for name in dict.fromkeys(names) if name not in found]


def address_problem(found: dict[str, iproute2.Interface], name: str, text: str) -> str | None:
    """Why an existing interface does not have this address, or None when it has."""
    try:
        wanted = ipaddress.ip_interface(text)
    except ValueError as error:
        return f"{text!r} is not an address: {error}"
    held = {
        (interface.name, address.prefixlen)
        for interface in found.values()
        for address in interface.addresses
        if address.address == str(wanted.ip)
    }
    prefixlen = wanted.network.prefixlen
    if any(on == name and (prefixlen == prefix or "/" not in text) for on, prefix in held):
        return None
    if held:
        where = ", ".join(f"/{prefix} on {on}" for on, prefix in sorted(held))
        return f"interface {name} should have {text}, but that address is here as {where}"
    own = ", ".join(f"{address.address}/{address.prefixlen}" for address in found[name].addresses) or "no address"
    return f"interface {name} should have {text}, but it has {own}; check the inventory or the host's network set-up"


def own_address_problem(interface: iproute2.Interface, vips: Iterable[str]) -> str | None:
    """Why an interface that holds virtual IPs would cut the host off, or None.

    An own address is one with a route to its network: virtual IPs, former ones too, are set without.
    """
    known = {vip.partition("/")[0] for vip in vips}
    own = [
        f"{address.address}/{address.prefixlen}"
        for address in interface.addresses
        if ":" not in address.address
        and address.address not in known
        and address.prefixlen < 32
        and not address.noprefixroute
    ]
    if not own:
        return None
    return (
        f"interface {interface.name} has the host's own address {', '.join(own)}, and as the holder of a virtual IP it"
        " would answer ARP for neither; put the virtual IP on lo, or on a NIC without an address"
    )


def ipv4_problem(interface: str, own: Iterable[str]) -> str | None:
    """Why VRRP cannot send IPv4 adverts from an existing interface, or None."""
    if any(":" not in address for address in own):
        return None
    return (
        f"interface {interface} has no IPv4 address of its own, and adverts are sent from it;"
        " give it one, or write mcast_src_ip"
    )


def neighbour_problem(interface: iproute2.Interface, vips: Iterable[str]) -> str | None:
    """Why others would take this host for the holder of an IPv6 virtual IP, or None.

    An interface joins its addresses' solicited-node groups unless it has IFF_NOARP (kernel: addrconf_join_solict).
    """
    answered = [vip for vip in vips if ":" in vip] if interface.arp else []
    if not answered:
        return None
    return (
        f"interface {interface.name} would answer neighbour solicitations for the virtual IP {', '.join(answered)}, and"
        " take its packets from the director: the kernel has no arp_ignore for IPv6; put the virtual IP on lo, or on a"
        " dummy interface"
    )


def virtual_ip_problems(found: Interfaces, virtual_ips: Iterable[dict[str, str]]) -> list[str]:
    """Virtual IPs that are addresses of the host's own."""
    return [
        f"the virtual IP {item['address']} is an address of the host's own, on {item['interface']};"
        " choose an address that no host has, or take it from the host's network set-up"
        for item in virtual_ips
        if item["interface"] in found
        and item["address"] in {own.partition("/")[0] for own in found[item["interface"]].own}
    ]


def module_problems(available: set[str], names: Iterable[str], directory: str) -> list[str]:
    """Kernel modules that are not to be had."""
    return [
        f"the kernel module {name} is neither loaded nor built in nor under {directory};"
        " install the package with this kernel's modules, or boot a kernel that has it"
        for name in names
        if kmod.normal_name(name) not in available
    ]


def peer_problems(peers: list[str]) -> list[str]:
    """Peers that cannot be reached. Raises KernelError; takes two seconds when one is silent."""
    targets = [peer for peer in dict.fromkeys(peers) if is_address(peer)]
    problems = [f"the peer {peer!r} is not an address" for peer in peers if not is_address(peer)]
    answered = echo.answering(targets)
    return problems + [
        f"{peer} neither answers ICMP echo nor is its link-layer address known;"
        " check that it is up, and the address, network and firewall between"
        for peer in targets
        if peer not in answered and not iproute2.has_neighbour(peer)
    ]


def is_address(text: str) -> bool:
    """Whether it is an IP address without a prefix length."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def own_addresses() -> dict[str, list[str]]:
    """The addresses of each interface that no VRRP daemon may have added; all when that cannot be told."""
    found = this_host.interfaces() or {}
    return {
        name: [address for address in one.addresses if address in one.own] or list(one.addresses)
        for name, one in found.items()
    }


def check(params: dict[str, Any], own: dict[str, list[str]]) -> list[str]:
    """All problems. ``own``: interface -> its addresses. Raises KernelError when the checks cannot be made."""
    found = iproute2.interfaces()
    addresses = params["addresses"]
    holders = params["vip_interfaces"]
    named = [*params["interfaces"], *params["ipv4_interfaces"], *(item["interface"] for item in [*addresses, *holders])]
    problems = interface_problems(found, named)
    for item in addresses:
        if item["interface"] in found:
            problem = address_problem(found, item["interface"], item["address"])
            problems += [problem] if problem else []
    for name in params["ipv4_interfaces"]:
        if name in found:
            problem = ipv4_problem(name, own.get(name, ()))
            problems += [problem] if problem else []
    for item in holders:
        if item["interface"] in found:
            for find in (own_address_problem, neighbour_problem):
                problem = find(found[item["interface"]], item["addresses"])
                problems += [problem] if problem else []
    if params["virtual_ips"]:
        problems += virtual_ip_problems(this_host.interfaces() or {}, params["virtual_ips"])
    if params["kernel_modules"]:
        available = kmod.available_modules()
        problems += module_problems(available, params["kernel_modules"], str(kmod.module_directory()))
    return problems + peer_problems(params["peers"])


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "interfaces": {"type": "list", "elements": "str", "default": []},
            "ipv4_interfaces": {"type": "list", "elements": "str", "default": []},
            "addresses": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "interface": {"type": "str", "required": True},
                    "address": {"type": "str", "required": True},
                },
            },
            "vip_interfaces": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "interface": {"type": "str", "required": True},
                    "addresses": {"type": "list", "elements": "str", "required": True},
                },
            },
            "virtual_ips": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "interface": {"type": "str", "required": True},
                    "address": {"type": "str", "required": True},
                },
            },
            "peers": {"type": "list", "elements": "str", "default": []},
            "kernel_modules": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    try:
        own = own_addresses()
        problems = check(module.params, own)
    except KernelError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, problems=problems, interfaces=own)


if __name__ == "__main__":
    main()
