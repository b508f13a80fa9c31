#!/usr/bin/python
# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: sysctl_arp
short_description: Set the kernel's ARP, redirect, forwarding and IPVS settings of LVS hosts, now and for every boot
version_added: 0.1.0
author: The linuxha.lvs developers (@linuxha)
description:
  - Sets the settings below C(net.ipv4.conf) that decide which host answers ARP for a virtual IP, which packets are
    taken in, who sends and heeds redirects; whether the host forwards; and what IPVS does with the connections of a
    real server that is gone.
  - Each is set in the running kernel and in a file of V(/etc/sysctl.d), so that it holds after a reboot. One call
    sets any number of interfaces; several tasks can share the file, since only the settings named by a task are
    touched in it.
  - A file that is applied later at boot and says otherwise would undo all that. The task then fails before anything
    is changed, in check mode too, and names the file and the line. The order is that of C(sysctl.d(5)), with
    V(/etc/sysctl.conf) last, which Debian 12 links into V(/etc/sysctl.d) as V(99-sysctl.conf).
  - Interface names with a dot such as V(eth0.100) work, in the kernel and in the file.
extends_documentation_fragment:
  - linuxha.lvs.attributes
attributes:
  check_mode:
    support: full
    details:
      - Fails where the task would fail, as for a file or a setting that cannot be written.
      - A task before this one may be the one that loads C(ip_vs), so settings of IPVS that do not exist yet are taken
        for ones that will, if the running kernel has the module.
  diff_mode:
    support: full
  idempotent:
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
      accept_redirects:
        description:
          - Whether ICMP redirects change this host's routes. A real server of LVS-NAT that heeds one answers past the
            director.
          - The kernel heeds them if V(all) or the interface's own value says so; on an interface that forwards, only
            if both do. Both must be off.
        type: bool
        version_added: 0.2.0
      accept_local:
        description:
          - Whether packets that come in with one of the host's own addresses as their source are taken in. A director
            that is the gateway of its LVS-DR real servers needs it, since their answers come from the virtual IP.
            O(settings[].rp_filter) must be V(0) there too.
          - The kernel takes them in if V(all) or the interface's own value says so.
        type: bool
        version_added: 0.2.0
  ip_forward:
    description: Whether the host forwards IPv4 packets between interfaces. LVS-NAT needs it, LVS-DR does not.
    type: bool
  ipv6_forwarding:
    description:
      - Whether the host forwards IPv6 packets between interfaces, C(net.ipv6.conf.all.forwarding). LVS-NAT with IPv6
        needs it.
      - A host that forwards takes no default route from router advertisements, unless the interface's C(accept_ra)
        is V(2).
    type: bool
    version_added: 0.2.0
  expire_nodest_conn:
    description:
      - Whether IPVS forgets a connection at its next packet when the real server is no longer in the table, so that
        the client can connect anew. Without it the packets are dropped until the entry's time is over, and a client
        that uses the same port again, as those behind one NAT soon do, is not served.
      - The setting exists once the kernel module C(ip_vs) is loaded; load it at boot too (C(modules-load.d(5))).
    type: bool
    version_added: 0.2.0
  expire_quiescent_template:
    description:
      - Whether IPVS forgets where a persistent client belongs when that real server has weight 0. Without it such a
        client goes on being sent there, and a drain does not end.
      - Exists once C(ip_vs) is loaded, as O(expire_nodest_conn).
    type: bool
    version_added: 0.2.0
  sysctl_file:
    description:
      - The file that keeps the settings. Lines in it that are not named by the task stay as they are, unless
        O(exclusive).
      - The task warns when nothing applies the file at boot, because it is in none of the directories of
        C(sysctl.d(5)) or does not end in V(.conf).
      - Its directory must exist.
    type: path
    default: /etc/sysctl.d/90-linuxha-lvs.conf
  exclusive:
    description:
      - The O(sysctl_file) belongs to this task alone. Settings of the kinds this module knows that stand in it and
        are not named any more are taken back as by O(state=absent), so that an interface dropped from the inventory
        does not stay silent. Other lines stay.
      - With O(state=absent) all of them are taken back, named or not, also those of interfaces that are gone.
    type: bool
    default: false
    version_added: 0.2.0
  state:
    description:
      - V(present) sets the values.
      - V(absent) removes the named settings from the file; their values are not looked at, and a group without values
        names all of its interfaces' settings.
      - Those it found in the file also lose their running value. Each gets what another file says that is applied at
        boot. Where none does, an interface gets what a new interface would get, the value of V(default), and V(all),
        V(default) and forwarding get the kernel's initial value.
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

- name: A director of LVS-NAT, for IPv6 too; what this file said of other interfaces is taken back
  linuxha.lvs.sysctl_arp:
    ip_forward: true
    ipv6_forwarding: true
    settings:
      - interfaces: [all, default, ens33, ens37]
        send_redirects: false
    sysctl_file: /etc/sysctl.d/90-director.conf
    exclusive: true

- name: A client whose real server was taken out connects anew
  linuxha.lvs.sysctl_arp:
    expire_nodest_conn: true

- name: Give up what was set on ens37
  linuxha.lvs.sysctl_arp:
    settings:
      - interfaces: [all, ens37]
    state: absent

- name: Give up all that stands in a file
  linuxha.lvs.sysctl_arp:
    sysctl_file: /etc/sysctl.d/90-director.conf
    exclusive: true
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
    - What the kernel acts on for each named interface, from V(all) and its own value. The task warns where that is
      not what it asked for the interface.
    - For every interface when V(all) is named.
    - Only for the settings the task names or takes back.
  returned: success
  type: dict
  sample: {"ens33": {"arp_ignore": 1}, "ens37": {"arp_ignore": 1}}
"""

import os
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel import interfaces, kmod, sysctl, sysctl_d
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.errors import KernelError
from ansible_collections.linuxha.lvs.plugins.module_utils._module import (
    read_text,
    replace_text,
    require_replaceable,
    text_diff,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NAMES = ("arp_ignore", "arp_announce", "rp_filter", "send_redirects", "accept_redirects", "accept_local")
FORWARDING = {"ip_forward": sysctl.IP_FORWARD, "ipv6_forwarding": sysctl.IPV6_FORWARD}
IPVS = {name: sysctl.ipvs_key(name) for name in ("expire_nodest_conn", "expire_quiescent_template")}
# Options that set one thing for the whole host.
HOST_WIDE = {**FORWARDING, **IPVS}
# Not interfaces, though they stand among them.
GROUPS = ("all", "default")


def rank(key: sysctl.Key) -> int:
    """The order in which settings must be written.

    Forwarding comes first because the kernel resets others with it (ip-sysctl.rst); writing ``default`` also changes
    every interface that was never set itself, so it comes before them.
    """
    if key in HOST_WIDE.values():
        return 0
    return 1 + GROUPS.index(key[3]) if key[3] in GROUPS else 3


def is_known(key: sysctl.Key) -> bool:
    """Whether a setting is of the kinds this module sets."""
    return key in HOST_WIDE.values() or (key[:3] == ("net", "ipv4", "conf") and key[4:] in [(name,) for name in NAMES])


def named_settings(params: dict[str, Any]) -> dict[sysctl.Key, str]:
    """The settings a task names with their values, in the order in which they must be written.

    Raises ValueError for a setting named with two values, or a group without values when values are needed.
    """
    named = {key: str(int(params[option])) for option, key in HOST_WIDE.items() if params[option] is not None}
    for group in params["settings"]:
        given = {name: str(int(group[name])) for name in NAMES if group[name] is not None}
        if not given and params["state"] == "present":
            raise ValueError(f"settings for {', '.join(group['interfaces'])}: give at least one of {', '.join(NAMES)}")
        for interface in group["interfaces"]:
            for name, value in (given or dict.fromkeys(NAMES, "")).items():
                key = sysctl.conf_key(interface, name)
                if named.setdefault(key, value) != value:
                    raise ValueError(f"settings name {name} of {interface} twice, as {named[key]} and as {value}")
    return in_order(named)


def in_order(settings: Mapping[sysctl.Key, str]) -> dict[sysctl.Key, str]:
    """The same settings in the order in which they must be written."""
    return dict(sorted(settings.items(), key=lambda item: rank(item[0])))


def interfaces_of(keys: Iterable[sysctl.Key]) -> list[str]:
    """The interfaces, ``all`` and ``default`` that settings belong to, each once."""
    return list(dict.fromkeys(key[3] for key in keys if key not in HOST_WIDE.values()))


def effective_values(planned: Mapping[sysctl.Key, str], existing: list[str]) -> dict[str, dict[str, int]]:
    """Interface -> setting -> what the kernel acts on once ``planned`` is set. Raises SysctlError."""
    named = interfaces_of(planned)
    names = dict.fromkeys(key[4] for key in planned if key not in HOST_WIDE.values())
    forward = planned.get(sysctl.IP_FORWARD)
    # Changing it sets it on every interface, and the accept_redirects of `all` to the opposite (inet_forward_change).
    turned = forward is not None and forward != sysctl.read(sysctl.IP_FORWARD)

    def value(interface: str, name: str) -> int:
        key = sysctl.conf_key(interface, name)
        if turned and name == "forwarding":
            return int(forward or 0)
        if turned and name == "accept_redirects" and interface == "all" and key not in planned:
            return int(forward == "0")
        return int(planned[key] if key in planned else sysctl.read(key))

    return {
        interface: {
            name: sysctl.effective(
                name, value("all", name), value(interface, name), forwarding=bool(value(interface, "forwarding"))
            )
            for name in names
        }
        for interface in existing
        if interface in named or "all" in named
    }


def overruled(named: Mapping[sysctl.Key, str], effective: dict[str, dict[str, int]]) -> list[str]:
    """A sentence for each value asked for an interface that the kernel does not act on."""
    return [
        f"{sysctl_d.spell(key)} is {value}, but the kernel acts on {effective[key[3]][key[4]]} on {key[3]}, "
        "because `all` says so: name it in the same task"
        for key, value in named.items()
        if key not in HOST_WIDE.values() and key[3] in effective and effective[key[3]][key[4]] != int(value)
    ]


def render(settings: Mapping[sysctl.Key, str]) -> str:
    """Settings as the lines of a file."""
    return "".join(f"{sysctl_d.spell(key)} = {value}\n" for key, value in settings.items())


def require_lasting(path: str, named: Mapping[sysctl.Key, str], after: list[sysctl_d.Line]) -> None:
    """Raise ValueError for settings that a boot would undo."""
    undone = sysctl_d.contradictions(named, after)
    if undone:
        raise ValueError(
            f"nothing was changed: a boot would undo what {path} says, since these lines are applied after it: "
            f"{'; '.join(f'{line}, and the task says {named[sysctl.same(line.key)]}' for line in undone)}. "
            "Remove them there, or ask for the same here"
        )


def taken_back(
    retired: Iterable[sysctl.Key],
    named: Mapping[sysctl.Key, str],
    elsewhere: Mapping[sysctl.Key, str],
    existing: list[str],
) -> dict[sysctl.Key, str]:
    """The running values of settings that are no longer wanted; those of interfaces that are gone are left out,
    and those of IPVS while it is not loaded.

    ``elsewhere`` is what other files say, ``named`` what the task sets. Raises SysctlError.
    """
    values: dict[sysctl.Key, str] = {}
    for key in sorted(retired, key=rank):
        if sysctl.exists(key) if key in HOST_WIDE.values() else key[3] in (*GROUPS, *existing):
            said = elsewhere.get(key, "")
            values[key] = said if said.isdigit() else sysctl.undone(key, {**named, **values})
    return values


def file_changes(
    params: dict[str, Any], named: Mapping[sysctl.Key, str], saved: Iterable[sysctl.Key]
) -> dict[sysctl.Key, str | None]:
    """What has to change in the file that holds ``saved``; None means removed."""
    retired = [key for key in saved if params["exclusive"] and is_known(key) and key not in named]
    if params["state"] == "present":
        return {**dict.fromkeys(retired), **named}
    return dict.fromkeys([*retired, *(key for key in named if key in saved)])


def require_interfaces(named: Iterable[sysctl.Key], existing: list[str]) -> None:
    """Raise ValueError for an interface that is not there."""
    for interface in interfaces_of(named):
        if interface not in (*GROUPS, *existing):
            raise ValueError(interfaces.missing_interface(interface, existing))


def apply(wanted: Mapping[sysctl.Key, str]) -> None:
    """Set the running values. Raises SysctlError."""
    for key, value in wanted.items():
        # Read again: an earlier write may have changed this one.
        if sysctl.read(key) != value:
            sysctl.write(key, value)


def running_value(key: sysctl.Key) -> str:
    """The value in check mode; "" for one of IPVS that a task before this one may bring by loading its module.

    Raises SysctlError.
    """
    if key in IPVS.values() and not sysctl.exists(key) and "ip_vs" in kmod.available_modules():
        return ""
    return sysctl.read(key)


def require_settable(wanted: Mapping[sysctl.Key, str], running: Mapping[sysctl.Key, str]) -> None:
    """Raise ValueError in check mode for a setting that the task could not write."""
    for key, value in wanted.items():
        path = sysctl.path_of(key)
        if running[key] != value and sysctl.exists(key) and not os.access(path, os.W_OK):
            raise ValueError(f"{path} cannot be written; run the task as root, on a writable /proc/sys")


def run(module: AnsibleModule) -> dict[str, Any]:
    """Compare, apply unless in check mode, and return the result. Raises ValueError, OSError."""
    path = module.params["sysctl_file"]
    named = named_settings(module.params)
    existing = interfaces.interface_names()
    file_before = read_text("sysctl_file", path)
    changes = file_changes(module.params, named, sysctl_d.parse_file(file_before))
    file_after = sysctl_d.merge_file(file_before, changes) if changes else file_before

    before, after = sysctl_d.around(path)
    others = sysctl_d.read_lines([*before, *(after or [])])
    if module.params["state"] == "present":
        require_interfaces(named, existing)
        require_lasting(path, named, [*sysctl_d.parse_lines(path, file_after), *sysctl_d.read_lines(after or [])])
        if after is None:
            directory = sysctl_d.DIRECTORIES[0]
            module.warn(f"nothing applies {path} at boot: put it into {directory}, with a name that ends in .conf")
    else:
        named = {}

    unwanted = [key for key, value in changes.items() if value is None]
    elsewhere = {sysctl.same(line.key): line.value for line in others}
    wanted = in_order({**named, **taken_back(unwanted, named, elsewhere, existing)})
    running = {key: running_value(key) if module.check_mode else sysctl.read(key) for key in wanted}
    effective = effective_values(wanted, existing)
    changed = running != wanted or file_before != file_after
    if file_before != file_after:
        require_replaceable("sysctl_file", path)
    if module.check_mode:
        require_settable(wanted, running)
    elif changed:
        apply(wanted)
        if file_before != file_after:
            replace_text(module, path, file_after)
    for warning in overruled(named, effective):
        module.warn(warning)
    return {
        "changed": changed,
        "diff": [
            text_diff("running values", render(running), render(wanted)),
            text_diff(path, file_before, file_after),
        ],
        "running": {sysctl_d.spell(key): value for key, value in wanted.items()},
        "effective": effective,
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
                    "accept_redirects": {"type": "bool"},
                    "accept_local": {"type": "bool"},
                },
            },
            "ip_forward": {"type": "bool"},
            "ipv6_forwarding": {"type": "bool"},
            "expire_nodest_conn": {"type": "bool"},
            "expire_quiescent_template": {"type": "bool"},
            "sysctl_file": {"type": "path", "default": "/etc/sysctl.d/90-linuxha-lvs.conf"},
            "exclusive": {"type": "bool", "default": False},
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
