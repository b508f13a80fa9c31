#!/usr/bin/python
# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: ipvs_real_server
short_description: Add, edit, drain or remove real servers of a virtual service
version_added: 0.2.0
author: The linuxha.lvs developers (@linuxha)
description:
  - Changes single real servers of a virtual service in the kernel's IPVS table, as an operator does with
    C(ipvsadm -a), C(-e) and C(-d), and drains them before maintenance. The other servers are not touched.
  - What a server in the table has and the task does not name stays as it is, unlike with C(ipvsadm -e), which sets
    what is not given to its default, the forwarding method too.
  - To describe a whole service with all its servers use M(linuxha.lvs.ipvs_service).
  - This changes the running kernel only. A table that keepalived or another daemon manages is that daemon's; do not
    change it with this module.
extends_documentation_fragment:
  - linuxha.lvs.attributes
  - linuxha.lvs.ipvs
attributes:
  check_mode:
    support: full
    details:
      - With O(wait) it does not wait, and tells the connections there are now.
      - A service that does not exist is a warning with O(state=present), since a task before may be the one that adds
        it; the servers are then taken for new ones.
  diff_mode:
    support: full
    details: Lines as C(ipvsadm -Sn) prints them, with the thresholds it leaves out.
  idempotent:
    support: full
  platform:
    support: full
    platforms: linux
options:
  service:
    description: The virtual service.
    type: dict
    required: true
    suboptions:
      protocol:
        description: The protocol, V(tcp) when not given. A service of a O(service.fwmark) has none.
        type: str
        choices: [tcp, udp, sctp, TCP, UDP, SCTP]
      address:
        description: The virtual IP address. Either this or O(service.fwmark) names a service.
        type: str
      port:
        description: The port, needed with O(service.address), V(0) for all ports.
        type: int
      fwmark:
        description: The firewall mark.
        type: int
      family:
        description: The address family of a service of a O(service.fwmark), V(inet) when not given.
        type: str
        choices: [inet, inet6]
        aliases: [ip_family]
  address:
    description:
      - The addresses of the real servers, each a single one or several, V(192.0.2.1-10), V(2001:db8::1-a),
        V(192.0.2.250-192.0.3.5) or V(192.0.2.8/29).
    type: list
    elements: str
    required: true
  port:
    description:
      - The port, the service's when not given. With a firewall mark or all ports (V(0)) that is the one the client
        asked for.
      - It is part of a server's identity. Another than the service's works with O(forward=masq) only.
    type: int
  forward:
    description:
      - How packets get there. V(route) is LVS-DR, V(masq) LVS-NAT, V(tunnel) LVS-TUN.
      - V(DR), V(NAT) and V(TUN), or V(gatewaying), V(masquerading) and V(ipip), are other names of these.
      - A new server has V(route) when not given.
    type: str
    choices: [route, masq, tunnel, DR, NAT, TUN, gatewaying, masquerading, ipip]
    aliases: [lb_kind, lvs_method]
  weight:
    description:
      - Its share of new connections, up to V(2147483647). With V(0) it gets none and keeps those it has.
      - A new server has V(1) when not given. So has one that was drained (V(0)), since O(state=present) without a
        weight is how it comes back; IPVS does not keep the weight it had before, so name it if it was not V(1). Any
        other server keeps its weight.
    type: int
  u_threshold:
    description:
      - It gets no new connection while it has this many or more, up to V(2147483647). V(0) for no limit, as a new one
        has.
    type: int
    aliases: [uthreshold]
  l_threshold:
    description:
      - It gets new connections again when it has less than this number. V(0) means three quarters of O(u_threshold).
    type: int
    aliases: [lthreshold]
  tun_type:
    description: The kind of tunnel with O(forward=tunnel). A new server has V(ipip) when not given.
    type: str
    choices: [ipip, gue, gre]
  tun_port:
    description: The UDP port of a tunnel of type V(gue), needed there.
    type: int
  tun_csum:
    description: The checksum within a tunnel of type V(gue) or, without V(remcsum), V(gre).
    type: str
    choices: [nocsum, csum, remcsum]
  state:
    description:
      - V(present) adds servers that are missing and edits those that differ.
      - V(absent) removes servers, whatever connections they have. So that one task can do both, options that describe
        a server are accepted, and not acted on.
      - V(drained) sets their weight to 0 and nothing else. The servers must exist.
    type: str
    choices: [present, absent, drained]
    default: present
  wait:
    description:
      - With O(state=drained), wait until the servers have no active connection, no UDP flow, and no persistence
        template that leads clients to them.
      - UDP flows are over after 300 s of silence, see C(ipvsadm --set). Templates lead nobody there when
        C(net.ipv4.vs.expire_quiescent_template) is 1, see M(linuxha.lvs.sysctl_arp).
    type: bool
    default: false
  wait_timeout:
    description:
      - With O(wait), the most seconds to wait, V(300) when not given. When connections are left then, the task fails;
        the servers keep the weight 0.
    type: float
    aliases: [drain_timeout]
  wait_interval:
    description: With O(wait), the seconds between two looks.
    type: float
    default: 1.0
    aliases: [drain_interval]
seealso:
  - module: linuxha.lvs.ipvs_service
  - module: linuxha.lvs.ipvs_info
"""

EXAMPLES = r"""
- name: Two more real servers
  linuxha.lvs.ipvs_real_server:
    service:
      address: 192.0.2.1
      port: 80
    address: [198.51.100.3, 198.51.100.4]
    forward: masq

- name: Before maintenance, no new connections, and at most ten minutes for those there are
  linuxha.lvs.ipvs_real_server:
    service:
      address: 192.0.2.1
      port: 80
    address: [198.51.100.3]
    state: drained
    wait: true
    wait_timeout: 600
  register: drained

- name: After maintenance, the weight it had
  linuxha.lvs.ipvs_real_server:
    service:
      address: 192.0.2.1
      port: 80
    address: [198.51.100.3]
    weight: "{{ drained.servers[0].weight_before }}"

- name: A whole rack is taken away
  linuxha.lvs.ipvs_real_server:
    service:
      fwmark: 7
    address: [198.51.100.11-20]
    state: absent
"""

RETURN = r"""
commands:
  description: What was changed, or in check mode would be, as commands of ipvsadm.
  returned: success
  type: list
  elements: str
  sample:
    - ipvsadm -e -t 192.0.2.1:80 -r 198.51.100.3:80 -m -w 0
servers:
  description:
    - The servers of the task as they are after it, at the end of O(wait) if it was set, or would be in check mode.
    - Empty with O(state=absent).
    - The keys are those of RV(linuxha.lvs.ipvs_info#module:services[].servers) but for counters, and those below.
  returned: success, or when servers did not drain in time
  type: list
  elements: dict
  contains:
    address:
      description: The real server's address.
      type: str
      returned: success
    port:
      description: Its port.
      type: int
      returned: success
    forward:
      description: How packets get there.
      type: str
      returned: success
    weight:
      description: Its weight.
      type: int
      returned: success
    weight_before:
      description: The weight it had when the task started, V(0) if it was drained already, V(null) if it is new.
      type: int
      returned: success
    active_conn:
      description: Established connections.
      type: int
      returned: O(state=drained)
    inactive_conn:
      description: Connections in any other state, which are about to end or to begin; for UDP all of them.
      type: int
      returned: O(state=drained)
    persist_conn:
      description: Persistence templates of this server, whether they still lead clients to it or not.
      type: int
      returned: O(state=drained)
    left:
      description: The same, by what it means for a drain.
      type: dict
      returned: O(state=drained)
      contains:
        active:
          description: Established connections. They are waited for.
          type: int
          returned: success
        inactive:
          description: Connections of TCP and SCTP that begin or end.
          type: int
          returned: success
        udp:
          description: UDP flows. They are waited for.
          type: int
          returned: success
        templates:
          description: Persistence templates that lead clients to this server. They are waited for.
          type: int
          returned: success
        ended:
          description: Persistence templates that no longer lead a client to this server.
          type: int
          returned: success
  sample:
    - {"family": "inet", "address": "198.51.100.3", "port": 80, "forward": "masq", "weight": 0, "u_threshold": 0,
       "l_threshold": 0, "tun_type": null, "tun_port": null, "tun_csum": null, "weight_before": 2, "active_conn": 0,
       "inactive_conn": 4, "persist_conn": 0,
       "left": {"active": 0, "inactive": 4, "udp": 0, "templates": 0, "ended": 0}}
"""

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.linuxha.lvs.plugins.module_utils import _checks as checks
from ansible_collections.linuxha.lvs.plugins.module_utils import _ipvs_module as shared
from ansible_collections.linuxha.lvs.plugins.module_utils import _ipvs_objects as objects
from ansible_collections.linuxha.lvs.plugins.module_utils import _ipvs_options as options
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.problem import Problem
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel import ipvs_conn, ipvsadm, netns
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel import ipvs_types as types
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.errors import KernelError
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.lvs import drained, templates
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.lvs.reconcile import changes
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.lvs.table import VirtualService, from_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.ipvs import Ipvs
    from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.lvs.drained import Left
    from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.lvs.table import Table

    Servers = Mapping[types.DestinationKey, types.Destination]

# Of a list in a message.
SHOWN = 10
WAIT_SECONDS = 300.0


class Task(NamedTuple):
    """What is asked for: the service and the identities of the servers."""

    key: types.ServiceKey
    names: list[types.DestinationKey]


def read_task(params: dict[str, Any]) -> Task:
    """What can be read without the table. Raises ValueError that tells all problems."""
    problems = state_problems(params)
    key = options.read_key(params["service"], "service", problems)
    checks.in_range("port", params["port"], 0, 0xFFFF, problems)
    port = params["port"] if params["port"] is not None or key is None else key.port
    names: dict[types.DestinationKey, None] = {}
    for position, text in enumerate(params["address"]):
        for family, address in options.read_addresses(text, f"address[{position}]", problems):
            server = types.DestinationKey(family, address, port)
            if server in names:
                problems.append(Problem(f"address[{position}]", f"{address} is listed twice"))
            names[server] = None
    if problems or key is None:
        raise checks.refusal(problems)
    return Task(key, list(names))


def state_problems(params: dict[str, Any]) -> list[Problem]:
    """Options that do not go with the state, and times that are none."""
    state = params["state"]
    problems: list[Problem] = options.common_problems(params)
    checks.seconds("wait_interval", params["wait_interval"], problems)
    if params["wait_timeout"] is not None:
        checks.seconds("wait_timeout", params["wait_timeout"], problems)
        if not params["wait"]:
            problems.append(Problem("wait_timeout", "nothing is waited for", "write state: drained and wait: true"))
    if params["wait"] and state != "drained":
        problems.append(Problem("wait", f"there is nothing to wait for with state {state}", "use state: drained"))
    if state == "drained":
        for name in options.SERVER_SPEC:
            if name != "port" and params[name] is not None:
                problems.append(Problem(name, "state drained sets the weight 0 and nothing else", "leave it out"))
    return problems


def whole_options(params: dict[str, Any], have: types.Destination | None) -> dict[str, Any]:
    """The task's options for one server, and what the server has where the task says nothing."""
    given = {name: params[name] for name in options.SERVER_SPEC}
    if have is None:
        return given
    kept: dict[str, Any] = {
        "forward": ipvsadm.FORWARD[have.fwd_method],
        "weight": have.weight or 1,
        "u_threshold": have.u_thresh,
        "l_threshold": have.l_thresh,
    }
    if have.fwd_method == types.FWD_TUNNEL and given["forward"] in (None, "tunnel"):
        kept["tun_type"] = ipvsadm.TUN_TYPES[have.tun_type]
        if given["tun_type"] in (None, kept["tun_type"]):
            kept["tun_port"] = have.tun_port or None
            kept["tun_csum"] = ipvsadm.TUN_FLAGS.get(have.tun_flags)
    return {**given, **{name: value for name, value in kept.items() if given[name] is None}}


def wanted_servers(params: dict[str, Any], task: Task, have: Servers) -> list[types.Destination]:
    """What the named servers are to be, for state present. Raises ValueError that tells all problems."""
    problems: list[Problem] = []
    servers = [
        server
        for name in task.names
        for server in options.read_server(task.key, name.addr, whole_options(params, have.get(name)), "", problems)
    ]
    if problems:
        raise checks.refusal(problems)
    return servers


def drained_servers(task: Task, have: Servers) -> list[types.Destination]:
    """What the named servers are to be, for state drained. Raises ValueError for one that does not exist."""
    for name in task.names:
        if name not in have:
            # One of the same address first: most often it is the port that is wrong.
            near = sorted(have, key=lambda other: other.addr != name.addr)
            has = listing(map(place, near)) or "none at all"
            raise ValueError(f"{task.key} has no real server {place(name)} that could be drained; it has {has}")
    return [replace(have[name], weight=0) for name in task.names]


def place(name: types.DestinationKey) -> str:
    """A server's address and port."""
    return str(ipvsadm.place(name.addr, name.port))


def listing(words: Iterable[str]) -> str:
    """The first of them, and how many there are beyond."""
    words = list(words)
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more


def left_on(
    task: Task,
    entries: Iterable[types.DestinationEntry],
    udp_flows: Callable[[], Mapping[tuple[str, int], int]],
    *,
    templates_end: bool,
) -> dict[types.DestinationKey, Left]:
    """What is left on each of the named servers; nothing on one that is gone."""
    found = dict.fromkeys(task.names, drained.NOTHING)
    flows: Mapping[tuple[str, int], int] | None = None
    for entry in entries:
        server = entry.destination
        if server.key not in found:
            continue
        tally = drained.tally(task.key, entry)
        if tally.marked and flows is None:
            flows = udp_flows()
        marked = drained.flows_to(flows, server.addr, server.port)
        found[server.key] = drained.left(tally, templates_end=templates_end, marked_udp=marked)
    return found


def wait_until_idle(
    look: Callable[[], Iterable[Left]],
    timeout_s: float,
    interval_s: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Look until nothing is left on the servers that is waited for. Whether that was in time."""
    deadline = clock() + timeout_s
    while any(one.waited_for for one in look()):
        left = deadline - clock()
        if left <= 0:
            return False
        sleep(min(interval_s, left))
    return True


def connections(entry: types.DestinationEntry | None, left: Left) -> dict[str, Any]:
    """What the result tells of a drained server's connections; ``entry`` is None when it is gone."""
    return {
        "active_conn": entry.active_conns if entry else 0,
        "inactive_conn": entry.inact_conns if entry else 0,
        "persist_conn": entry.persist_conns if entry else 0,
        "left": drained.to_json(left),
    }


def shown_servers(before: Servers, after: Iterable[types.Destination]) -> list[dict[str, Any]]:
    """The result's list of servers."""
    return [
        {**objects.server(one), "weight_before": before[one.key].weight if one.key in before else None}
        for one in after
    ]


def warn_of_persistence(module: AnsibleModule, service: types.Service, wanted: Iterable[types.Destination]) -> None:
    """Say it when clients come back to a server of weight 0."""
    if not service.flags & types.SVC_F_PERSISTENT or all(server.weight for server in wanted):
        return
    with netns.inside(module.params["netns"]):
        if not templates.end_when_drained():
            name = ".".join(templates.EXPIRE_QUIESCENT_TEMPLATE)
            module.warn(
                f"{service.key} is persistent and {name} is 0: clients that have a server of weight 0 "
                f"come back to it, each time for {service.timeout} s more; set it to 1 to send them elsewhere"
            )


def find_service(module: AnsibleModule, ipvs: Ipvs, key: types.ServiceKey, table: Table) -> VirtualService | None:
    """The service, or None if there is none and that may be so. Raises ValueError."""
    state = module.params["state"]
    if key in table or state == "absent":
        return table.get(key)
    existing = listing(ipvsadm.key_words(entry.service.key) for entry in ipvs.services())
    missing = f"{key} does not exist; IPVS has {existing or 'no service'}"
    if state == "drained" or not module.check_mode:
        raise ValueError(f"{missing}; linuxha.lvs.ipvs_service adds one")
    module.warn(f"{missing}; without a task before this one that adds it, this task would fail")
    return None


def warn_of_other_ports(module: AnsibleModule, task: Task, have: Servers) -> None:
    """A server that is to go and is not there, but its address is: perhaps the port is the wrong one."""
    missing = {name.addr for name in task.names if name not in have}
    others = [place(name) for name in have if name.addr in missing and name not in task.names]
    if others:
        module.warn(f"{task.key} keeps {listing(others)}: a server's port is part of its identity, give port")


def drain(
    module: AnsibleModule, ipvs: Ipvs, task: Task, have: Servers, wanted: Sequence[types.Destination]
) -> dict[str, Any]:
    """Wait if that is asked for; what the result tells of it."""
    params = module.params

    def look(entries: Iterable[types.DestinationEntry]) -> dict[types.DestinationKey, Left]:
        with netns.inside(params["netns"]):
            templates_end = templates.end_when_drained()
        return left_on(task, entries, lambda: ipvs_conn.udp_flows(params["netns"]), templates_end=templates_end)

    idle, timeout_s = True, params["wait_timeout"] or WAIT_SECONDS
    if params["wait"] and not module.check_mode:
        idle = wait_until_idle(
            lambda: look(ipvs.destinations(task.key)).values(), timeout_s, params["wait_interval"]
        )
    entries = {entry.destination.key: entry for entry in ipvs.destinations(task.key)}
    found = look(entries.values())
    # One that went away meanwhile is still in the result, drained for good.
    servers = [
        {**shown, **connections(entries.get(one.key), found[one.key])}
        for one, shown in zip(wanted, shown_servers(have, wanted))
    ]
    if idle:
        return {"servers": servers}
    left = listing(f"{place(name)} {drained.listing(one) or 'nothing'}" for name, one in found.items())
    message = (
        f"not drained in {timeout_s:g} s, and the weight stays 0; left on the real servers of {task.key}: {left}"
    )
    return {"servers": servers, "msg": message}


def run(module: AnsibleModule) -> dict[str, Any]:
    """Compare, apply unless in check mode, and return the result; with ``msg`` it is one of a failure."""
    params = module.params
    task = read_task(params)
    with shared.open_ipvs(params) as ipvs:
        table = from_entries(ipvs.table([task.key]))
        virtual = find_service(module, ipvs, task.key, table) or VirtualService(types.Service(task.key, ""))
        have = virtual.servers
        after = dict(have)
        if params["state"] == "absent":
            wanted = []
            warn_of_other_ports(module, task, have)
            for name in task.names:
                after.pop(name, None)
        else:
            drains = params["state"] == "drained"
            wanted = drained_servers(task, have) if drains else wanted_servers(params, task, have)
            after.update({server.key: server for server in wanted})
        to_do = changes({task.key: virtual}, {task.key: VirtualService(virtual.service, after)})
        shared.carry_out(module, ipvs, table, to_do, [task.key])
        warn_of_persistence(module, virtual.service, wanted)
        result = shared.outcome(module, shared.commands(to_do), lambda: lines(task, have), lambda: lines(task, after))
        if params["state"] == "drained":
            result.update(drain(module, ipvs, task, have, wanted))
        else:
            result["servers"] = shown_servers(have, wanted)
    return dict(result)


def lines(task: Task, servers: Servers) -> list[str]:
    """The named ones in the words of ``ipvsadm -Sn``."""
    return [ipvsadm.server_line(task.key, servers[name]) for name in task.names if name in servers]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **options.COMMON_SPEC,
            "service": {"type": "dict", "required": True, "options": options.KEY_SPEC},
            "address": {"type": "list", "elements": "str", "required": True},
            **options.SERVER_SPEC,
            "state": {"type": "str", "choices": ["present", "absent", "drained"], "default": "present"},
            "wait": {"type": "bool", "default": False},
            "wait_timeout": {"type": "float", "aliases": ["drain_timeout"]},
            "wait_interval": {"type": "float", "default": 1.0, "aliases": ["drain_interval"]},
        },
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except (shared.NotDone, KernelError, ValueError) as error:
        module.fail_json(msg=str(error))
    if "msg" in result:
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
