#!/usr/bin/python
# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: ipvs_info
short_description: Read the kernel's IPVS table
version_added: 0.1.0
author: The linuxha.lvs developers (@linuxha)
description:
  - Returns the virtual services of IPVS with their real servers, counters and rates, the timeouts and the
    synchronisation daemons, as C(ipvsadm -L) shows them and under its names. Changes nothing.
  - Fails when the kernel has no IPVS (module C(ip_vs)).
extends_documentation_fragment:
  - linuxha.lvs.attributes
attributes:
  check_mode:
    support: full
    details: Reads only.
  diff_mode:
    support: N/A
    details: Changes nothing.
  platform:
    support: full
    platforms: linux
options: {}
"""

EXAMPLES = r"""
- name: Read the table
  linuxha.lvs.ipvs_info:
  register: ipvs

- name: Every service has a real server that takes connections
  ansible.builtin.assert:
    that: item.servers | selectattr('weight', 'gt', 0) | length > 0
  loop: "{{ ipvs.services }}"
"""

RETURN = r"""
available:
  description: Whether the kernel has IPVS; V(false) only in a failed result.
  returned: always
  type: bool
version:
  description: The version of the IPVS core.
  returned: success
  type: str
  sample: 1.2.1
size:
  description: The number of buckets of the connection table.
  returned: success
  type: int
  sample: 4096
timeouts:
  description: The seconds after which an idle connection entry goes.
  returned: success
  type: dict
  sample: {"tcp": 900, "tcp_fin": 120, "udp": 300}
daemons:
  description: The synchronisation daemons that run.
  returned: success
  type: list
  elements: dict
  sample:
    - {"state": "master", "mcast_interface": "eth0", "syncid": 51, "sync_maxlen": 1472, "mcast_group": "224.0.0.81",
       "mcast_port": 8848, "mcast_ttl": 1}
services:
  description: The virtual services.
  returned: success
  type: list
  elements: dict
  contains:
    family:
      description: V(inet) or V(inet6).
      type: str
      returned: success
    protocol:
      description: V(tcp), V(udp) or V(sctp); V(null) for a service of a firewall mark.
      type: str
      returned: success
    address:
      description: The virtual IP; V(null) for a service of a firewall mark.
      type: str
      returned: success
    port:
      description: The port, V(0) for all; V(null) for a service of a firewall mark.
      type: int
      returned: success
    fwmark:
      description: The firewall mark; V(null) for a service of an address.
      type: int
      returned: success
    scheduler:
      description: The scheduling algorithm.
      type: str
      returned: success
    sched_flags:
      description: Flags of the scheduler, such as V(mh-port).
      type: list
      elements: str
      returned: success
    persistent:
      description: Seconds for which a client stays with its real server, V(0) when it does not.
      type: int
      returned: success
    netmask:
      description: The granularity of persistence, V(255.255.255.255), or a prefix length for IPv6.
      type: str
      returned: success
    pe:
      description: The persistence engine, V(null) without one.
      type: str
      returned: success
    ops:
      description: Whether each packet is scheduled on its own.
      type: bool
      returned: success
    stats:
      description: Counters since the last zeroing (C(conns), C(inpkts), C(outpkts), C(inbytes), C(outbytes)).
      type: dict
      returned: success
    rates:
      description: Estimates for each second (C(cps), C(inpps), C(outpps), C(inbps), C(outbps)).
      type: dict
      returned: success
    servers:
      description:
        - The real servers, each with C(family), C(address), C(port), C(forward) (V(route), V(tunnel), V(masq), V(local)
          or V(bypass)), C(weight), C(u_threshold), C(l_threshold), C(active_conn), C(inactive_conn), C(persist_conn),
          C(tun_type), C(tun_port) (V(null) unless C(forward) is V(tunnel)), C(stats) and C(rates).
      type: list
      elements: dict
      returned: success
      sample:
        - family: inet
          address: 192.168.1.129
          port: 80
          forward: route
          weight: 1
          u_threshold: 0
          l_threshold: 0
          active_conn: 0
          inactive_conn: 3
          persist_conn: 0
          tun_type: null
          tun_port: null
          stats: {"conns": 3, "inpkts": 15, "outpkts": 0, "inbytes": 900, "outbytes": 0}
          rates: {"cps": 0, "inpps": 0, "outpps": 0, "inbps": 0, "outbps": 0}
"""

import socket
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel import ipvs_types as types
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.errors import KernelError
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.ipvs import Ipvs, IpvsUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

PROTOCOLS = {socket.IPPROTO_TCP: "tcp", socket.IPPROTO_UDP: "udp", socket.IPPROTO_SCTP: "sctp"}
FORWARD = {
    types.FWD_MASQ: "masq",
    types.FWD_LOCALNODE: "local",
    types.FWD_TUNNEL: "tunnel",
    types.FWD_DROUTE: "route",
    types.FWD_BYPASS: "bypass",
}
TUN_TYPES = {types.TUN_IPIP: "ipip", types.TUN_GUE: "gue", types.TUN_GRE: "gre"}
STATES = {types.STATE_MASTER: "master", types.STATE_BACKUP: "backup"}
SCHED_FLAGS = (types.SVC_F_SCHED1, types.SVC_F_SCHED2, types.SVC_F_SCHED3)
# ipvsadm has names for those of two schedulers (ipvsadm(8), --sched-flags)
SCHED_FLAG_NAMES = {"sh": ("sh-fallback", "sh-port"), "mh": ("mh-fallback", "mh-port")}
STATS = ("conns", "inpkts", "outpkts", "inbytes", "outbytes")
RATES = ("cps", "inpps", "outpps", "inbps", "outbps")


def family_name(family: int) -> str:
    """``inet`` or ``inet6``."""
    return "inet6" if family == socket.AF_INET6 else "inet"


def counters(stats: types.Stats) -> dict[str, dict[str, int]]:
    """The two dicts of counters and rates."""
    return {
        "stats": {name: getattr(stats, name) for name in STATS},
        "rates": {name: getattr(stats, name) for name in RATES},
    }


def sched_flags(sched_name: str, flags: int) -> list[str]:
    """ipvsadm's names of the scheduler's flags that are set."""
    names = {**dict(enumerate(("flag-1", "flag-2", "flag-3"))), **dict(enumerate(SCHED_FLAG_NAMES.get(sched_name, ())))}
    return [names[position] for position, bit in enumerate(SCHED_FLAGS) if flags & bit]


def server(entry: types.DestinationEntry) -> dict[str, Any]:
    """One real server in ipvsadm's words."""
    destination = entry.destination
    tunnel = destination.fwd_method == types.FWD_TUNNEL
    return {
        "family": family_name(destination.af),
        "address": destination.addr,
        "port": destination.port,
        "forward": FORWARD.get(destination.fwd_method, str(destination.fwd_method)),
        "weight": destination.weight,
        "u_threshold": destination.u_thresh,
        "l_threshold": destination.l_thresh,
        "active_conn": entry.active_conns,
        "inactive_conn": entry.inact_conns,
        "persist_conn": entry.persist_conns,
        "tun_type": TUN_TYPES.get(destination.tun_type, str(destination.tun_type)) if tunnel else None,
        "tun_port": destination.tun_port if tunnel else None,
        **counters(entry.stats),
    }


def service(entry: types.ServiceEntry, servers: Iterable[types.DestinationEntry]) -> dict[str, Any]:
    """One virtual service in ipvsadm's words."""
    this, key = entry.service, entry.service.key
    marked = bool(key.fwmark)
    return {
        "family": family_name(key.af),
        "protocol": None if marked else PROTOCOLS.get(key.protocol, str(key.protocol)),
        "address": None if marked else key.addr,
        "port": None if marked else key.port,
        "fwmark": key.fwmark if marked else None,
        "scheduler": this.sched_name,
        "sched_flags": sched_flags(this.sched_name, this.flags),
        "persistent": this.timeout if this.flags & types.SVC_F_PERSISTENT else 0,
        "netmask": this.netmask,
        "pe": this.pe_name or None,
        "ops": bool(this.flags & types.SVC_F_ONEPACKET),
        **counters(entry.stats),
        "servers": [server(destination) for destination in servers],
    }


def daemon(this: types.Daemon) -> dict[str, Any]:
    """One synchronisation daemon in ipvsadm's words."""
    return {
        "state": STATES.get(this.state, str(this.state)),
        "mcast_interface": this.mcast_ifn,
        "syncid": this.sync_id,
        "sync_maxlen": this.sync_maxlen,
        "mcast_group": this.mcast_group,
        "mcast_port": this.mcast_port,
        "mcast_ttl": this.mcast_ttl,
    }


def read(ipvs: Ipvs) -> dict[str, Any]:
    """The whole result."""
    info, timeouts = ipvs.info(), ipvs.timeouts()
    return {
        "available": True,
        "version": ".".join(map(str, info.version)),
        "size": info.conn_tab_size,
        "timeouts": {"tcp": timeouts.tcp, "tcp_fin": timeouts.tcp_fin, "udp": timeouts.udp},
        "daemons": [daemon(entry) for entry in ipvs.daemons()],
        "services": [service(entry, ipvs.destinations(entry.service.key)) for entry in ipvs.services()],
    }


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    try:
        with Ipvs() as ipvs:
            result = read(ipvs)
    except KernelError as error:
        module.fail_json(msg=str(error), available=not isinstance(error, IpvsUnavailable))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
