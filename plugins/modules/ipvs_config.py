#!/usr/bin/python
# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: ipvs_config
short_description: Timeouts of the kernel's IPVS, and its connection synchronisation
version_added: 0.2.0
author: The linuxha.lvs developers (@linuxha)
description:
  - Sets how long IPVS keeps idle connections, and starts and stops the synchronisation daemons, with which a backup
    director knows the connections of the master. It is C(ipvsadm --set), C(--start-daemon) and C(--stop-daemon).
  - This changes the running kernel only, and only what the task names.
  - A daemon that runs with other settings is stopped and started, during which it synchronises nothing. When it does
    not start, the former one is started again and the task fails.
extends_documentation_fragment:
  - linuxha.lvs.attributes
  - linuxha.lvs.ipvs
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Options of C(ipvsadm).
  idempotent:
    support: full
  platform:
    support: full
    platforms: linux
options:
  timeouts:
    description: Seconds, from V(1) to V(2147483). One that is not given stays as it is.
    type: dict
    aliases: [lvs_timeouts]
    suboptions:
      tcp:
        description: After which an idle TCP connection is forgotten.
        type: int
      tcp_fin:
        description: The same once one side has closed it.
        type: int
        aliases: [tcpfin]
      udp:
        description: The same for UDP.
        type: int
  sync_master:
    description:
      - The daemon that tells other directors of this one's connections. A director that may become the master runs
        both daemons.
    type: dict
    suboptions: &daemon
      state:
        description:
          - Whether it runs. So that one task can do both, the other options are accepted with V(absent), and not
            acted on.
        type: str
        choices: [present, absent]
        default: present
      mcast_interface:
        description: The interface it sends or receives on, needed. The messages come from the interface's address.
        type: str
        aliases: [interface]
      syncid:
        description:
          - From V(0) to V(255). A backup takes the messages with its own number only, and with V(0) those of any.
        type: int
        default: 0
        aliases: [id]
      sync_maxlen:
        description:
          - The bytes of one message, from V(1), for a backup from V(1024), to V(65507), or V(65487) with an IPv6 group.
          - The kernel's choice, by the interface's MTU, when not given; then a running daemon's is not compared.
        type: int
        aliases: [maxlen]
      mcast_group:
        description: The multicast group, IPv4 or IPv6.
        type: str
        default: 224.0.0.81
        aliases: [group]
      mcast_port:
        description: The UDP port.
        type: int
        default: 8848
        aliases: [port]
      mcast_ttl:
        description: The time to live of the messages, from V(1) to V(255).
        type: int
        default: 1
        aliases: [ttl]
  sync_backup:
    description: The daemon that learns the connections of another director.
    type: dict
    suboptions: *daemon
seealso:
  - module: linuxha.lvs.ipvs_info
  - module: linuxha.lvs.ipvs_service
"""

EXAMPLES = r"""
- name: Idle TCP connections are kept for an hour
  linuxha.lvs.ipvs_config:
    timeouts:
      tcp: 3600

- name: A director that can take over and hand over established connections
  linuxha.lvs.ipvs_config:
    sync_master:
      mcast_interface: eth1
      syncid: 51
    sync_backup:
      mcast_interface: eth1
      syncid: 51

- name: No synchronisation
  linuxha.lvs.ipvs_config:
    sync_master:
      state: absent
    sync_backup:
      state: absent
"""

RETURN = r"""
commands:
  description:
    - What was changed, or in check mode would be, as commands of C(ipvsadm), for which a timeout of 0 means unchanged.
  returned: success
  type: list
  elements: str
  sample:
    - ipvsadm --set 3600 0 0
    - ipvsadm --stop-daemon master
timeouts:
  description: The seconds after which an idle connection goes, after the task, or as they would be in check mode.
  returned: success
  type: dict
  sample: {"tcp": 3600, "tcp_fin": 120, "udp": 300}
daemons:
  description: The synchronisation daemons that run after the task, or would run in check mode.
  returned: success
  type: list
  elements: dict
  sample:
    - {"state": "master", "mcast_interface": "eth1", "syncid": 51, "sync_maxlen": 1472, "mcast_group": "224.0.0.81",
       "mcast_port": 8848, "mcast_ttl": 1}
"""

import ipaddress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.linuxha.lvs.plugins.module_utils import _checks as checks
from ansible_collections.linuxha.lvs.plugins.module_utils import _ipvs_module as shared
from ansible_collections.linuxha.lvs.plugins.module_utils import _ipvs_objects as objects
from ansible_collections.linuxha.lvs.plugins.module_utils import _ipvs_options as options
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.problem import Problem
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel import interfaces, netns
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel import ipvs_types as types
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.ipvs import Ipvs

DAEMON_SPEC: dict[str, Any] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "mcast_interface": {"type": "str", "aliases": ["interface"]},
    "syncid": {"type": "int", "default": 0, "aliases": ["id"]},
    "sync_maxlen": {"type": "int", "aliases": ["maxlen"]},
    "mcast_group": {"type": "str", "default": "224.0.0.81", "aliases": ["group"]},
    "mcast_port": {"type": "int", "default": 8848, "aliases": ["port"]},
    "mcast_ttl": {"type": "int", "default": 1, "aliases": ["ttl"]},
}
TIMEOUTS: dict[str, Any] = {
    "tcp": {"type": "int"},
    "tcp_fin": {"type": "int", "aliases": ["tcpfin"]},
    "udp": {"type": "int"},
}
DAEMONS = {"sync_master": types.STATE_MASTER, "sync_backup": types.STATE_BACKUP}
WORDS = {types.STATE_MASTER: "master", types.STATE_BACKUP: "backup"}

# The kernel takes INT_MAX / HZ seconds, and HZ is 1000 at most.
TIMEOUT_MOST = 0x7FFFFFFF // 1000
# IFNAMSIZ in linux/if.h, with the closing NUL
INTERFACE_SIZE = 16
# What the kernel would clamp sync_maxlen to (start_sync_thread in ip_vs_sync.c): a datagram without its headers.
MAXLEN_LEAST = {types.STATE_MASTER: 1, types.STATE_BACKUP: 1024}
MAXLEN_MOST = {4: 0xFFFF - 28, 6: 0xFFFF - 48}


class Config(NamedTuple):
    """What the task concerns: timeouts, and the daemons that run by their state."""

    timeouts: types.Timeouts
    daemons: dict[int, types.Daemon]


def read_task(params: dict[str, Any]) -> tuple[dict[str, int], dict[int, types.Daemon | None]]:
    """The timeouts given, and each daemon the task names, None for absent. Raises ValueError with all problems."""
    problems = options.common_problems(params)
    given = params["timeouts"] or {}
    timeouts = {name: given[name] for name in TIMEOUTS if given.get(name) is not None}
    for name, value in timeouts.items():
        checks.in_range(f"timeouts.{name}", value, 1, TIMEOUT_MOST, problems)
    daemons: dict[int, types.Daemon | None] = {}
    for where, state in DAEMONS.items():
        daemon = params[where]
        if daemon is not None:
            daemons[state] = read_daemon(state, daemon, where, problems) if daemon["state"] == "present" else None
    if problems:
        raise checks.refusal(problems)
    return timeouts, daemons


def read_daemon(state: int, given: dict[str, Any], where: str, problems: list[Problem]) -> types.Daemon:
    """A daemon that is to run; sync_maxlen 0 is the kernel's choice."""
    interface = given["mcast_interface"] or ""
    if not interface:
        problems.append(Problem(f"{where}.mcast_interface", "missing", "name the interface to synchronise over"))
    elif len(interface.encode()) >= INTERFACE_SIZE:
        what = f"{interface} is longer than {INTERFACE_SIZE - 1} characters"
        problems.append(Problem(f"{where}.mcast_interface", what, "no interface has such a name"))
    group = options.read_address(given["mcast_group"], f"{where}.mcast_group", problems)
    if group and not ipaddress.ip_address(group).is_multicast:
        what = f"{group} is no multicast group"
        problems.append(Problem(f"{where}.mcast_group", what, "write one of 224.0.0.0/4 or ff00::/8"))
    most = MAXLEN_MOST[6 if ":" in group else 4]
    checks.in_range(f"{where}.syncid", given["syncid"], 0, 255, problems)
    checks.in_range(f"{where}.sync_maxlen", given["sync_maxlen"], MAXLEN_LEAST[state], most, problems)
    checks.in_range(f"{where}.mcast_port", given["mcast_port"], 1, 0xFFFF, problems)
    checks.in_range(f"{where}.mcast_ttl", given["mcast_ttl"], 1, 255, problems)
    return types.Daemon(
        state,
        interface,
        given["syncid"],
        given["sync_maxlen"] or 0,
        group,
        given["mcast_port"],
        given["mcast_ttl"],
    )


def like(wanted: types.Daemon, have: types.Daemon | None) -> types.Daemon:
    """The wanted daemon with what the task leaves to the kernel as the running one has it."""
    if have is None:
        return wanted
    if not wanted.sync_maxlen:
        wanted = replace(wanted, sync_maxlen=have.sync_maxlen)
    if not have.mcast_group:
        # A kernel before 4.3 has only these, and does not tell them.
        wanted = replace(wanted, sync_maxlen=0, mcast_group="", mcast_port=0, mcast_ttl=0)
    return wanted


def config_after(before: Config, timeouts: Mapping[str, int], daemons: Mapping[int, types.Daemon | None]) -> Config:
    """What the task makes of it."""
    after = dict(before.daemons)
    for state, wanted in daemons.items():
        if wanted is None:
            after.pop(state, None)
        else:
            after[state] = like(wanted, before.daemons.get(state))
    return Config(replace(before.timeouts, **timeouts), after)


def set_words(timeouts: types.Timeouts) -> str:
    """ipvsadm's option."""
    return f"--set {timeouts.tcp} {timeouts.tcp_fin} {timeouts.udp}"


def daemon_words(daemon: types.Daemon) -> str:
    """ipvsadm's options that start it."""
    words = [f"--start-daemon {WORDS[daemon.state]} --mcast-interface {daemon.mcast_ifn} --syncid {daemon.sync_id}"]
    words += [
        f"{option} {value}"
        for option, value in (
            ("--sync-maxlen", daemon.sync_maxlen),
            ("--mcast-group", daemon.mcast_group),
            ("--mcast-port", daemon.mcast_port),
            ("--mcast-ttl", daemon.mcast_ttl),
        )
        if value
    ]
    return " ".join(words)


def timeouts_to_set(before: Config, after: Config) -> types.Timeouts | None:
    """What differs, 0 for what does not; None if nothing does."""
    to_set = types.Timeouts(
        *(
            0 if getattr(after.timeouts, name) == getattr(before.timeouts, name) else getattr(after.timeouts, name)
            for name in TIMEOUTS
        )
    )
    return to_set if any((to_set.tcp, to_set.tcp_fin, to_set.udp)) else None


def differing(before: Config, after: Config) -> list[int]:
    """The states of the daemons that differ."""
    return [state for state in DAEMONS.values() if before.daemons.get(state) != after.daemons.get(state)]


def commands(before: Config, after: Config) -> list[str]:
    """The change with ipvsadm."""
    to_do: list[str] = []
    for state in differing(before, after):
        if state in before.daemons:
            to_do.append(f"ipvsadm --stop-daemon {WORDS[state]}")
        if state in after.daemons:
            to_do.append(f"ipvsadm {daemon_words(after.daemons[state])}")
    to_set = timeouts_to_set(before, after)
    return [*to_do, f"ipvsadm {set_words(to_set)}"] if to_set else to_do


def read_config(ipvs: Ipvs) -> Config:
    """What the kernel has."""
    return Config(ipvs.timeouts(), {daemon.state: daemon for daemon in ipvs.daemons()})


def apply(ipvs: Ipvs, before: Config, after: Config) -> None:
    """Make it so. Raises KernelError."""
    for state in differing(before, after):
        if state in before.daemons:
            ipvs.stop_daemon(state)
        if state in after.daemons:
            ipvs.start_daemon(after.daemons[state])
    to_set = timeouts_to_set(before, after)
    if to_set:
        ipvs.set_timeouts(to_set)


def take_back(ipvs: Ipvs, before: Config) -> str:
    """Make it what it was; a sentence on whether that succeeded."""
    try:
        now = read_config(ipvs)
        if now == before:
            return "Nothing was changed."
        apply(ipvs, now, before)
        left = commands(read_config(ipvs), before)
    except KernelError as error:
        return f"Taking back what was done before failed too: {error}. Read it with linuxha.lvs.ipvs_info."
    if left:
        return "Taking back what was done before left differences; these would mend them: " + "; ".join(left)
    return "What was done before is taken back: all is as it was."


def shown(config: Config, states: Iterable[int]) -> list[str]:
    """The lines of the diff: what the task concerns."""
    return [set_words(config.timeouts), *(daemon_words(config.daemons[s]) for s in states if s in config.daemons)]


def run(module: AnsibleModule) -> dict[str, Any]:
    """Compare, apply unless in check mode, and return the result."""
    timeouts, daemons = read_task(module.params)
    with shared.open_ipvs(module.params) as ipvs:
        require_interfaces(module.params["netns"], daemons.values())
        before = read_config(ipvs)
        now = after = config_after(before, timeouts, daemons)
        to_do = commands(before, after)
        if to_do and not module.check_mode:
            try:
                apply(ipvs, before, after)
                now = read_config(ipvs)
            except KernelError as error:
                raise shared.NotDone(f"{error}\n{take_back(ipvs, before)}") from error
    result = shared.outcome(module, to_do, lambda: shown(before, daemons), lambda: shown(after, daemons))
    return {
        **result,
        "timeouts": objects.timeouts(now.timeouts),
        "daemons": [objects.daemon(now.daemons[state]) for state in DAEMONS.values() if state in now.daemons],
    }


def require_interfaces(namespace: str | None, daemons: Iterable[types.Daemon | None]) -> None:
    """Raise KernelError for an interface that the kernel would refuse, in check mode too."""
    with netns.inside(namespace):
        for daemon in daemons:
            if daemon is not None:
                interfaces.require_interface(daemon.mcast_ifn)


def main() -> None:
    daemon = {"type": "dict", "options": DAEMON_SPEC}
    module = AnsibleModule(
        argument_spec={
            **options.COMMON_SPEC,
            "timeouts": {"type": "dict", "options": TIMEOUTS, "aliases": ["lvs_timeouts"]},
            "sync_master": daemon,
            "sync_backup": daemon,
        },
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except (shared.NotDone, KernelError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
