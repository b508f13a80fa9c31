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
    synchronisation daemons, as C(ipvsadm -L) shows them and under its names, and on demand the connections of one
    client.
  - Fails when the kernel has no IPVS (module C(ip_vs)).
extends_documentation_fragment:
  - linuxha.lvs.attributes
  - linuxha.lvs.attributes.info_module
  - linuxha.lvs.ipvs
attributes:
  platform:
    support: full
    platforms: linux
options:
  service:
    description:
      - Return this virtual service only, which spares reading the servers of all others. All when not given.
      - If it does not exist, RV(services) is empty.
    type: dict
    version_added: 0.2.0
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
  connections_of:
    description: Also return the connections of the client with this address, to whatever service.
    type: str
    version_added: 0.2.0
seealso:
  - module: linuxha.lvs.ipvs_service
  - module: linuxha.lvs.ipvs_real_server
"""

EXAMPLES = r"""
- name: Read the table
  linuxha.lvs.ipvs_info:
  register: ipvs

- name: Every service has a real server that takes connections
  ansible.builtin.assert:
    that: item.servers | selectattr('weight', 'gt', 0) | length > 0
  loop: "{{ ipvs.services }}"

- name: To which real server does this client go, and for how long is it kept?
  linuxha.lvs.ipvs_info:
    service:
      address: 192.0.2.1
      port: 443
    connections_of: 203.0.113.7
  register: ipvs
"""

RETURN = r"""
available:
  description: Whether the kernel has IPVS; V(false) only in a failed result.
  returned: success, or when the kernel does not answer
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
          C(tun_type), C(tun_port), C(tun_csum) (V(null) unless C(forward) is V(tunnel)), C(stats) and C(rates).
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
          tun_csum: null
          stats: {"conns": 3, "inpkts": 15, "outpkts": 0, "inbytes": 900, "outbytes": 0}
          rates: {"cps": 0, "inpps": 0, "outpps": 0, "inbps": 0, "outbps": 0}
connections:
  description:
    - The client's connections, as C(ipvsadm -Lnc) shows them. One with client port V(0) is a template, which leads the
      client's next connections to the same real server.
  returned: O(connections_of) is given
  type: list
  elements: dict
  contains:
    protocol:
      description: V(tcp), V(udp), V(sctp), or V(ip) for a template of a firewall mark.
      type: str
      returned: success
    client:
      description: The client's address.
      type: str
      returned: success
    client_port:
      description: Its port.
      type: int
      returned: success
    virtual:
      description: The virtual IP.
      type: str
      returned: success
    virtual_port:
      description: The virtual service's port.
      type: int
      returned: success
    server:
      description: The real server's address.
      type: str
      returned: success
    server_port:
      description: Its port.
      type: int
      returned: success
    state:
      description: The state, such as V(ESTABLISHED), V(FIN_WAIT) or V(UDP).
      type: str
      returned: success
    expires_s:
      description: The seconds after which the entry goes if nothing more comes.
      type: int
      returned: success
    pe_name:
      description: The persistence engine, empty without one.
      type: str
      returned: success
    pe_data:
      description: What the persistence engine knows the client by.
      type: str
      returned: success
"""

from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.linuxha.lvs.plugins.module_utils import _checks as checks
from ansible_collections.linuxha.lvs.plugins.module_utils import _ipvs_module as shared
from ansible_collections.linuxha.lvs.plugins.module_utils import _ipvs_objects as objects
from ansible_collections.linuxha.lvs.plugins.module_utils import _ipvs_options as options
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel import ipvs_conn
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.errors import KernelError
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.ipvs import Ipvs, IpvsUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel import ipvs_types as types

RATES = ("cps", "inpps", "outpps", "inbps", "outbps")


def counters(stats: types.Stats) -> dict[str, dict[str, int]]:
    """The two dicts of counters and rates."""
    return {
        "stats": {name: getattr(stats, name) for name in shared.COUNTERS},
        "rates": {name: getattr(stats, name) for name in RATES},
    }


def server(entry: types.DestinationEntry) -> dict[str, Any]:
    """One real server with its connections and counters."""
    return {
        **objects.server(entry.destination),
        "active_conn": entry.active_conns,
        "inactive_conn": entry.inact_conns,
        "persist_conn": entry.persist_conns,
        **counters(entry.stats),
    }


def service(entry: types.ServiceEntry, servers: Iterable[types.DestinationEntry]) -> dict[str, Any]:
    """One virtual service with its counters and real servers."""
    return {
        **objects.service(entry.service),
        **counters(entry.stats),
        "servers": [server(destination) for destination in servers],
    }


def read_task(params: dict[str, Any]) -> tuple[list[types.ServiceKey] | None, str | None]:
    """The services and the client that are asked for, None for all and none. Raises ValueError."""
    problems = options.common_problems(params)
    keys = client = None
    if params["service"] is not None:
        key = options.read_key(params["service"], "service", problems)
        keys = [key] if key else []
    if params["connections_of"] is not None:
        client = options.read_address(params["connections_of"], "connections_of", problems)
    if problems:
        raise checks.refusal(problems)
    return keys, client


def read(ipvs: Ipvs, keys: list[types.ServiceKey] | None) -> dict[str, Any]:
    """The result but for the connections."""
    info = ipvs.info()
    return {
        "available": True,
        "version": ".".join(map(str, info.version)),
        "size": info.conn_tab_size,
        "timeouts": objects.timeouts(ipvs.timeouts()),
        "daemons": [objects.daemon(entry) for entry in ipvs.daemons()],
        "services": [service(entry, servers) for entry, servers in ipvs.table(keys).values()],
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **options.COMMON_SPEC,
            "service": {"type": "dict", "options": options.KEY_SPEC},
            "connections_of": {"type": "str"},
        },
        supports_check_mode=True,
    )
    try:
        keys, client = read_task(module.params)
        with shared.open_ipvs(module.params) as ipvs:
            result = read(ipvs, keys)
        if client:
            found = ipvs_conn.connections(module.params["netns"], client)
            result["connections"] = [connection._asdict() for connection in found]
    except KernelError as error:
        module.fail_json(msg=str(error), available=not isinstance(error, IpvsUnavailable))
    except ValueError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
