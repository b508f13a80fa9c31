#!/usr/bin/python
# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: ipvs_service
short_description: Virtual services of the kernel's IPVS table, with their real servers
version_added: 0.2.0
author: The linuxha.lvs developers (@linuxha)
description:
  - Adds, edits and removes virtual services and, if they are listed, their real servers, any number of them in one
    call. It needs no C(ipvsadm) on the target; the options have its words, and those of C(keepalived.conf) as aliases.
  - A task describes a service and each real server it lists completely. An option that is not given means the default
    said there, not what the table has, so that the result depends on the task alone. Real servers that are not listed
    stay as they are unless O(purge_real_servers), and so do all services the task does not name.
  - Additions and edits are carried out before deletions. When the kernel refuses one of the changes, those before it
    are taken back and the task fails.
  - This changes the running kernel only. A table that keepalived or another daemon manages is that daemon's; do not
    change it with this module.
extends_documentation_fragment:
  - linuxha.lvs.attributes
  - linuxha.lvs.ipvs
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Lines as C(ipvsadm -Sn) prints them, with the thresholds it leaves out. Counters are not shown.
  idempotent:
    support: partial
    details: With O(zero), counters that grew since are a change again.
  platform:
    support: full
    platforms: linux
options:
  services:
    description:
      - Several services. What one of them does not give is taken from the option of the same name beside this one, so
        that what they have in common is written once.
      - One service is given without this list.
    type: list
    elements: dict
    suboptions: &service
      protocol:
        description: The protocol, V(tcp) when not given. A service of a O(fwmark) has none.
        type: str
        choices: [tcp, udp, sctp, TCP, UDP, SCTP]
      address:
        description:
          - The virtual IP address, IPv4 or IPv6. Either this or O(fwmark) names a service.
          - With O(state=present) it must be one to which a client can connect, no multicast address and not V(0.0.0.0).
        type: str
      port:
        description:
          - The port, needed with O(address). V(0) stands for all ports, and needs O(persistent).
        type: int
      fwmark:
        description:
          - The firewall mark, from V(1) to V(4294967295), of a service that takes all packets so marked, whatever
            their address, protocol and port.
        type: int
      family:
        description: The address family of a service of a O(fwmark), V(inet) when not given.
        type: str
        choices: [inet, inet6]
        aliases: [ip_family]
      scheduler:
        description:
          - How a real server is chosen for a new connection, V(wlc) when not given. One of V(rr) (round robin),
            V(wrr) (by weight), V(lc) (least connections), V(wlc) (the same by weight), V(lblc) and V(lblcr) (by
            locality), V(dh) and V(sh) (hash of the destination's or source's address), V(sed) (shortest expected
            delay), V(nq) (never queue), V(fo) (failover by weight), V(ovf) (overflow by weight), V(mh) (Maglev hash),
            V(twos) (the better of two at random).
          - Each is the kernel module C(ip_vs_NAME), which the kernel loads.
        type: str
        aliases: [lb_algo, lvs_sched]
      sched_flags:
        description:
          - Flags of the scheduler. V(sh) has V(sh-fallback) and V(sh-port), V(mh) has V(mh-fallback) and V(mh-port);
            V(flag-1), V(flag-2) and V(flag-3) are the plain names any scheduler's have.
          - None when not given.
        type: list
        elements: str
      persistent:
        description:
          - The seconds for which a client stays with its real server, up to V(2678400). V(0), the default, for none.
        type: int
        aliases: [persistence_timeout]
      netmask:
        description:
          - Clients of one network of this size are one client for persistence. A mask V(255.255.255.0) or a prefix
            length V(24) for IPv4, a prefix length for IPv6. Each address is one client when not given.
        type: str
        aliases: [persistence_granularity]
      pe:
        description: The persistence engine, which knows a client by more than its address. None when not given.
        type: str
        choices: [sip]
        aliases: [persistence_engine]
      ops:
        description:
          - Schedule each packet on its own, for UDP services whose packets do not belong together, such as DNS.
          - V(false) when not given.
        type: bool
      real_servers:
        description:
          - The real servers. Those the service has are left alone when this is not given.
        type: list
        elements: dict
        aliases: [real_server]
        suboptions:
          address:
            description:
              - The address, or several that have all other options in common, V(192.0.2.1-10), V(2001:db8::1-a),
                V(192.0.2.250-192.0.3.5) or V(192.0.2.8/29).
              - An IPv6 server of an IPv4 service, or the reverse, needs O(real_servers[].forward=tunnel).
            type: str
            required: true
          port:
            description:
              - The port, the service's when not given. With a O(fwmark) or all ports (V(0)) that is the one the client
                asked for.
              - Another than the service's works with O(real_servers[].forward=masq) only.
            type: int
          forward:
            description:
              - How packets get there, V(route) when not given. V(route) is LVS-DR, V(masq) LVS-NAT, V(tunnel) LVS-TUN.
              - V(DR), V(NAT) and V(TUN), or V(gatewaying), V(masquerading) and V(ipip), are other names of these.
              - A server whose address is the director's own is served locally whatever this says.
            type: str
            choices: [route, masq, tunnel, DR, NAT, TUN, gatewaying, masquerading, ipip]
            aliases: [lb_kind, lvs_method]
          weight:
            description:
              - Its share of new connections, V(1) when not given, up to V(2147483647). With V(0) it gets none and
                keeps those it has.
            type: int
          u_threshold:
            description:
              - It gets no new connection while it has this many or more, up to V(2147483647). V(0), the default, for
                no limit.
            type: int
            aliases: [uthreshold]
          l_threshold:
            description:
              - It gets new connections again when it has less than this number. V(0), the default, means three
                quarters of O(real_servers[].u_threshold).
            type: int
            aliases: [lthreshold]
          tun_type:
            description: The kind of tunnel with O(real_servers[].forward=tunnel), V(ipip) when not given.
            type: str
            choices: [ipip, gue, gre]
          tun_port:
            description: The UDP port of a tunnel of type V(gue), needed there.
            type: int
          tun_csum:
            description:
              - The checksum within a tunnel of type V(gue) or, without V(remcsum), V(gre). V(nocsum) when not given.
            type: str
            choices: [nocsum, csum, remcsum]
  <<: *service
  purge_real_servers:
    description:
      - Remove the real servers that O(real_servers) does not list. Needs O(real_servers); an empty list removes all.
      - What becomes of their connections is said by the setting C(net.ipv4.vs.expire_nodest_conn). To let them end
        first, use M(linuxha.lvs.ipvs_real_server) with C(state=drained).
    type: bool
    default: false
  zero:
    description: Also let the counters of the services and their servers start from zero. A change if one is not zero.
    type: bool
    default: false
  state:
    description:
      - V(present) makes the services what the task says.
      - V(absent) removes them with all their real servers. So that one task can do both, options that describe a
        service and its real servers are accepted, and not acted on.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: linuxha.lvs.ipvs_real_server
  - module: linuxha.lvs.ipvs_config
  - module: linuxha.lvs.ipvs_info
"""

EXAMPLES = r"""
- name: A web service with two real servers behind LVS-DR, and no others
  linuxha.lvs.ipvs_service:
    address: 192.0.2.1
    port: 80
    scheduler: rr
    real_servers:
      - address: 198.51.100.1-2
    purge_real_servers: true

- name: HTTP and HTTPS with the same servers, each client on one of them for five minutes
  linuxha.lvs.ipvs_service:
    address: 192.0.2.2
    scheduler: wrr
    persistent: 300
    netmask: "24"
    real_servers:
      - address: 198.51.100.1
        weight: 2
      - address: 198.51.100.2
    services:
      - port: 80
      - port: 443

- name: DNS over IPv6, each query on its own, to servers with another port
  linuxha.lvs.ipvs_service:
    protocol: udp
    address: 2001:db8::53
    port: 53
    ops: true
    real_servers:
      - address: 2001:db8:1::1-a
        port: 5353
        forward: masq

- name: All that the firewall marks with 7, by a hash that survives changes of the servers, through GUE tunnels
  linuxha.lvs.ipvs_service:
    fwmark: 7
    scheduler: mh
    sched_flags: [mh-port]
    real_servers:
      - address: 198.51.100.11-20
        forward: tunnel
        tun_type: gue
        tun_port: 6080

- name: A service that is given up
  linuxha.lvs.ipvs_service:
    address: 192.0.2.1
    port: 80
    state: absent
"""

RETURN = r"""
commands:
  description: What was changed, or in check mode would be, as commands of ipvsadm.
  returned: success
  type: list
  elements: str
  sample:
    - ipvsadm -A -t 192.0.2.1:80 -s rr
    - ipvsadm -a -t 192.0.2.1:80 -r 198.51.100.1:80 -g -w 1
services:
  description:
    - The services of the task, with all their real servers, as they are after the task, or would be in check mode.
    - Empty with O(state=absent).
    - The keys are those of RV(linuxha.lvs.ipvs_info#module:services) but for counters and connections.
  returned: success
  type: list
  elements: dict
  sample:
    - family: inet
      protocol: tcp
      address: 192.0.2.1
      port: 80
      fwmark: null
      scheduler: rr
      sched_flags: []
      persistent: 0
      netmask: 255.255.255.255
      pe: null
      ops: false
      servers:
        - family: inet
          address: 198.51.100.1
          port: 80
          forward: route
          weight: 1
          u_threshold: 0
          l_threshold: 0
          tun_type: null
          tun_port: null
          tun_csum: null
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.linuxha.lvs.plugins.module_utils import _checks as checks
from ansible_collections.linuxha.lvs.plugins.module_utils import _ipvs_module as shared
from ansible_collections.linuxha.lvs.plugins.module_utils import _ipvs_objects as objects
from ansible_collections.linuxha.lvs.plugins.module_utils import _ipvs_options as options
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.problem import Problem
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.errors import KernelError
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.ipvs_change import ZeroService
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.lvs.reconcile import changes
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.lvs.table import (
    from_entries,
    lines,
    virtual_service,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.ipvs_types import (
        Destination,
        DestinationEntry,
        Service,
        ServiceEntry,
        ServiceKey,
    )
    from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.lvs.table import Table

SPEC: dict[str, Any] = {
    **options.KEY_SPEC,
    **options.SERVICE_SPEC,
    "real_servers": {
        "type": "list",
        "elements": "dict",
        "aliases": ["real_server"],
        "options": {"address": {"type": "str", "required": True}, **options.SERVER_SPEC},
    },
}
IDENTITY = ("protocol", "address", "port")


class Wanted(NamedTuple):
    """One service of the task; ``servers`` is None when the task does not list any."""

    service: Service
    servers: list[Destination] | None


def described(params: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The path within the task and the options of each service."""
    if params["services"] is None:
        yield "", params
        return
    for position, entry in enumerate(params["services"]):
        whole = {name: params[name] if entry[name] is None else entry[name] for name in SPEC}
        # A service's own way of naming it replaces the common one.
        if entry["fwmark"] is not None:
            whole.update({name: entry[name] for name in IDENTITY})
        elif entry["address"] is not None:
            whole["fwmark"] = None
        yield f"services[{position}]", whole


def read_task(params: dict[str, Any]) -> dict[ServiceKey, Wanted | None]:
    """What each service the task names is to be, None for absent. Raises ValueError that tells all problems."""
    problems = options.common_problems(params)
    wanted: dict[ServiceKey, Wanted | None] = {}
    places: dict[ServiceKey, str] = {}
    if params["zero"] and params["state"] == "absent":
        problems.append(Problem("zero", "an absent service has no counters", "leave out zero"))
    for where, entry in described(params):
        key = options.read_key(entry, where, problems)
        if key is None:
            continue
        if key in wanted:
            problems.append(Problem(where, f"{key} is listed twice", f"the first is {places[key]}"))
        places[key] = where
        wanted[key] = None
        if params["state"] == "present":
            wanted[key] = read_wanted(key, entry, where, problems, purge=params["purge_real_servers"])
    if problems:
        raise checks.refusal(problems)
    return wanted


def read_wanted(
    key: ServiceKey, entry: dict[str, Any], where: str, problems: list[Problem], *, purge: bool
) -> Wanted:
    """One service that is to be present."""
    place = checks.at(where, "real_servers")
    servers = None
    if entry["real_servers"] is not None:
        servers = options.read_servers(key, entry["real_servers"], place, problems)
    elif purge:
        problems.append(Problem(place, "missing, and purge_real_servers is set", "[] removes all real servers"))
    return Wanted(options.read_service(key, entry, where, problems), servers)


def table_after(before: Table, wanted: dict[ServiceKey, Wanted | None], *, purge: bool) -> Table:
    """The table of the services concerned as the task wants it."""
    after: Table = {}
    for key, want in wanted.items():
        if want is None:
            continue
        kept = {} if purge or key not in before else dict(before[key].servers)
        kept.update({server.key: server for server in want.servers or ()})
        after[key] = virtual_service(want.service, kept.values())
    return after


def has_counted(entry: ServiceEntry, servers: Sequence[DestinationEntry]) -> bool:
    """Whether a counter of the service or of a server is not zero."""
    counted = (entry.stats, *(one.stats for one in servers))
    return any(getattr(stats, name) for stats in counted for name in shared.COUNTERS)


def run(module: AnsibleModule) -> dict[str, Any]:
    """Compare, apply unless in check mode, and return the result."""
    params = module.params
    wanted = read_task(params)
    with shared.open_ipvs(params) as ipvs:
        entries = ipvs.table(wanted)
        before = from_entries(entries)
        after = table_after(before, wanted, purge=params["purge_real_servers"])
        to_do = changes(before, after)
        if params["zero"]:
            to_do += [ZeroService(key) for key, entry in entries.items() if has_counted(*entry)]
        shared.carry_out(module, ipvs, before, to_do, wanted)
    result = shared.outcome(module, shared.commands(to_do), lambda: lines(before), lambda: lines(after))
    return {**result, "services": objects.services(after)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **options.COMMON_SPEC,
            **SPEC,
            "services": {"type": "list", "elements": "dict", "options": SPEC},
            "purge_real_servers": {"type": "bool", "default": False},
            "zero": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
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
