# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services, real servers and daemons of IPVS as the modules return them: under ipvsadm's names, without counters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.linuxha.lvs.plugins.module_utils._ipvs_options import FAMILY_NAMES
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel import ipvs_types as types
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel import ipvsadm

if TYPE_CHECKING:
    from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.lvs.table import Table


def server(destination: types.Destination) -> dict[str, Any]:
    """A real server."""
    tunnel = destination.fwd_method == types.FWD_TUNNEL
    return {
        "family": FAMILY_NAMES[destination.af],
        "address": destination.addr,
        "port": destination.port,
        "forward": ipvsadm.FORWARD.get(destination.fwd_method, str(destination.fwd_method)),
        "weight": destination.weight,
        "u_threshold": destination.u_thresh,
        "l_threshold": destination.l_thresh,
        "tun_type": ipvsadm.TUN_TYPES.get(destination.tun_type, str(destination.tun_type)) if tunnel else None,
        "tun_port": destination.tun_port if tunnel else None,
        "tun_csum": ipvsadm.TUN_FLAGS.get(destination.tun_flags, str(destination.tun_flags)) if tunnel else None,
    }


def service(this: types.Service) -> dict[str, Any]:
    """A virtual service, without its real servers."""
    key, marked = this.key, bool(this.key.fwmark)
    return {
        "family": FAMILY_NAMES[key.af],
        "protocol": None if marked else ipvsadm.PROTOCOLS.get(key.protocol, str(key.protocol)),
        "address": None if marked else key.addr,
        "port": None if marked else key.port,
        "fwmark": key.fwmark if marked else None,
        "scheduler": this.sched_name,
        "sched_flags": ipvsadm.sched_flag_names(this.sched_name, this.flags),
        "persistent": this.timeout if this.flags & types.SVC_F_PERSISTENT else 0,
        "netmask": this.netmask,
        "pe": this.pe_name or None,
        "ops": bool(this.flags & types.SVC_F_ONEPACKET),
    }


def services(table: Table) -> list[dict[str, Any]]:
    """All services of a table, with their real servers."""
    return [
        {**service(virtual.service), "servers": [server(one) for one in virtual.servers.values()]}
        for virtual in table.values()
    ]


def timeouts(these: types.Timeouts) -> dict[str, int]:
    """The seconds after which an idle connection goes."""
    return {"tcp": these.tcp, "tcp_fin": these.tcp_fin, "udp": these.udp}


def daemon(this: types.Daemon) -> dict[str, Any]:
    """A synchronisation daemon."""
    return {
        "state": ipvsadm.STATES.get(this.state, str(this.state)),
        "mcast_interface": this.mcast_ifn,
        "syncid": this.sync_id,
        "sync_maxlen": this.sync_maxlen,
        "mcast_group": this.mcast_group,
        "mcast_port": this.mcast_port,
        "mcast_ttl": this.mcast_ttl,
    }
