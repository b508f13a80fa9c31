#!/usr/bin/python
# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: sysctl_arp
short_description: Set the kernel's ARP, redirect and forwarding settings of LVS hosts, now and for every boot
version_added: 0.1.0
author: The linuxha.lvs developers (@linuxha)
description:
  - Sets the settings below C(net.ipv4.conf) that decide which host answers ARP for a virtual IP, and
    C(net.ipv4.ip_forward).
  - Each is set in the running kernel and in a file of V(/etc/sysctl.d), so that it holds after a reboot. One call
    sets any number of interfaces; several tasks can share the file, since only the settings named by a task are
    touched in it.
  - Interface names with a dot such as V(eth0.100) work, in the kernel and in the file.
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
  settings:
    description: Groups of interfaces with the values that all of a group get.
    type: list
    elements: dict
    default: []
    suboptions:
      interfaces:
        description:
          - Names of interfaces, V(all), or V(default) (what interfaces that appear later start with).
        type: list
        elements: str
        required: true
      arp_ignore:
        description:
          - Which ARP requests are answered. V(1) answers only for addresses on the interface the request came in on.
          - The kernel acts on the maximum of V(all) and the interface's own value.
        type: int
        choices: [0, 1, 2, 3, 8]
      arp_announce:
        description:
          - Which sender address ARP requests carry. V(2) never uses a virtual IP on another interface as the sender.
          - The kernel acts on the maximum of V(all) and the interface's own value.
        type: int
        choices: [0, 1, 2]
      rp_filter:
        description:
          - Source validation by reversed path, V(0) off, V(1) strict, V(2) loose.
          - The tunnel interfaces of LVS-TUN need V(0).
          - The kernel acts on the maximum of V(all) and the interface's own value.
        type: int
        choices: [0, 1, 2]
      send_redirects:
        description:
          - Whether ICMP redirects are sent. A director of LVS-DR must not.
          - The kernel sends them if V(all) or the interface's own value says so; both must be off.
        type: bool
  ip_forward:
    description: Whether the host forwards IPv4 packets between interfaces. LVS-NAT needs it, LVS-DR does not.
    type: bool
  sysctl_file:
    description: The file that keeps the settings. Lines in it that are not named by the task stay as they are.
    type: path
    default: /etc/sysctl.d/90-linuxha-lvs.conf
  state:
    description:
      - V(present) sets the values.
      - V(absent) removes the named settings from the file; their values are not looked at, and a group without values
        names all of its interfaces' settings.
      - Those it found in the file also lose their running value. An interface gets what a new interface would get,
        the value of V(default); V(all), V(default) and O(ip_forward) get the kernel's initial value. What another
        file of V(/etc/sysctl.d) says takes effect at the next boot or C(sysctl --system).
      - Settings that are not in the file are not this module's, and are left alone.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: ansible.posix.sysctl
"""

EXAMPLES = r"""
- name: A director of LVS-DR neither forwards nor sends redirects
  linuxha.lvs.sysctl_arp:
    ip_forward: false
    settings:
      - interfaces: [all, default, ens33]
        send_redirects: false

- name: A real server does not answer ARP for the virtual IP it holds on ens37
  linuxha.lvs.sysctl_arp:
    settings:
      - interfaces: [all, ens37]
        arp_ignore: 1
        arp_announce: 2

- name: A real server of LVS-TUN
  linuxha.lvs.sysctl_arp:
    settings:
      - interfaces: [all]
        arp_ignore: 1
        arp_announce: 2
        rp_filter: 0
      - interfaces: [tunl0]
        rp_filter: 0

- name: Give all of that up
  linuxha.lvs.sysctl_arp:
    settings:
      - interfaces: [all, ens37]
    state: absent
"""

RETURN = r"""
running:
  description: The running values of the named settings, by their name in the file.
  returned: success
  type: dict
  sample: {"net.ipv4.conf.all.arp_ignore": "1", "net/ipv4/conf/eth0.100/arp_ignore": "0"}
effective:
  description:
    - What the kernel acts on for each named interface, from V(all) and its own value.
    - For every interface when V(all) is named.
    - Only for the settings the task names.
  returned: success
  type: dict
  sample: {"ens33": {"arp_ignore": 1}, "ens37": {"arp_ignore": 1}}
"""

from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel import interfaces, sysctl
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.errors import KernelError
from ansible_collections.linuxha.lvs.plugins.module_utils._module import read_text, replace_text, text_diff

if TYPE_CHECKING:
    from collections.abc import Iterable

NAMES = ("arp_ignore", "arp_announce", "rp_filter", "send_redirects")
# Not interfaces, though they stand among them.
GROUPS = ("all", "default")


def named_settings(params: dict[str, Any]) -> dict[sysctl.Key, str]:
    """The settings a task names with their values, in the order in which they must be written.

    Raises ValueError for a setting named with two values, or a group without values when values are needed.
    """
    named: dict[sysctl.Key, str] = {}
    for group in params["settings"]:
        given = {name: str(int(group[name])) for name in NAMES if group[name] is not None}
        if not given and params["state"] == "present":
            raise ValueError(f"settings for {', '.join(group['interfaces'])}: give at least one of {', '.join(NAMES)}")
        for interface in group["interfaces"]:
            for name, value in (given or dict.fromkeys(NAMES, "")).items():
                key = sysctl.conf_key(interface, name)
                if named.setdefault(key, value) != value:
                    raise ValueError(f"settings name {name} of {interface} twice, as {named[key]} and as {value}")
    # Writing `default` also changes every interface that was never set itself, so it comes before them;
    # ip_forward comes first because the kernel resets others with it (ip-sysctl.rst).
    ordered = sorted(named.items(), key=lambda item: GROUPS.index(item[0][3]) if item[0][3] in GROUPS else 2)
    forward = params["ip_forward"]
    return {**({} if forward is None else {sysctl.IP_FORWARD: str(int(forward))}), **dict(ordered)}


def interfaces_of(keys: Iterable[sysctl.Key]) -> list[str]:
    """The interfaces, ``all`` and ``default`` that settings belong to, each once."""
    return list(dict.fromkeys(key[3] for key in keys if key != sysctl.IP_FORWARD))


def effective_values(
    keys: Iterable[sysctl.Key], running: dict[sysctl.Key, str], existing: list[str]
) -> dict[str, dict[str, int]]:
    """Interface -> setting -> what the kernel acts on. ``running`` overrides what is read."""
    keys = list(keys)
    named = interfaces_of(keys)
    names = dict.fromkeys(key[4] for key in keys if key != sysctl.IP_FORWARD)

    def value(interface: str, name: str) -> int:
        key = sysctl.conf_key(interface, name)
        return int(running[key] if key in running else sysctl.read(key))

    return {
        interface: {name: sysctl.effective(name, value("all", name), value(interface, name)) for name in names}
        for interface in existing
        if interface in named or "all" in named
    }


def render(settings: dict[sysctl.Key, str]) -> str:
    """Settings as the lines of a file."""
    return "".join(f"{sysctl.spell(key)} = {value}\n" for key, value in settings.items())


def run(module: AnsibleModule) -> dict[str, Any]:
    """Compare, apply unless in check mode, and return the result."""
    path = module.params["sysctl_file"]
    named = named_settings(module.params)
    existing = interfaces.interface_names()
    file_before = read_text(path)

    changes: dict[sysctl.Key, str | None]
    if module.params["state"] == "present":
        for interface in interfaces_of(named):
            if interface not in (*GROUPS, *existing):
                raise ValueError(interfaces.missing_interface(interface, existing))
        changes, wanted = dict(named), named
    else:
        saved = sysctl.parse_file(file_before)
        changes = {key: None for key in named if key in saved}
        wanted = {}
        for key in changes:
            if key == sysctl.IP_FORWARD or key[3] in (*GROUPS, *existing):
                wanted[key] = sysctl.undone(key, wanted)

    running = {key: sysctl.read(key) for key in wanted}
    file_after = sysctl.merge_file(file_before, changes) if changes else file_before
    changed = running != wanted or file_before != file_after
    if changed and not module.check_mode:
        for key, value in wanted.items():
            # Read again: an earlier write may have changed this one.
            if sysctl.read(key) != value:
                sysctl.write(key, value)
        if file_before != file_after:
            replace_text(module, path, file_after)
    return {
        "changed": changed,
        "diff": [
            text_diff("running values", render(running), render(wanted)),
            text_diff(path, file_before, file_after),
        ],
        "running": {sysctl.spell(key): value for key, value in wanted.items()},
        "effective": effective_values(wanted, wanted, existing),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "settings": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "interfaces": {"type": "list", "elements": "str", "required": True},
                    "arp_ignore": {"type": "int", "choices": [0, 1, 2, 3, 8]},
                    "arp_announce": {"type": "int", "choices": [0, 1, 2]},
                    "rp_filter": {"type": "int", "choices": [0, 1, 2]},
                    "send_redirects": {"type": "bool"},
                },
            },
            "ip_forward": {"type": "bool"},
            "sysctl_file": {"type": "path", "default": "/etc/sysctl.d/90-linuxha-lvs.conf"},
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
