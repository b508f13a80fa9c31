# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors of IPVS, and what to do about each: what the kernel's bare errno means for the object at hand.

Source of the meanings: ip_vs_genl_set_cmd and what it calls in net/netfilter/ipvs/ip_vs_ctl.c, and ip_vs_sync.c.
"""

from __future__ import annotations

import errno
import socket

from ..spelling import nearest
from . import ipvs_types as types
from .errors import KernelError
from .ipvs_change import AddServer, AddService, Change, DeleteServer, EditServer, EditService
from .ipvsadm import SCHEDULERS, STATES
from .netlink import NetlinkError

_READ_AGAIN = "read the table again"


class IpvsUnavailable(KernelError):
    """The kernel has no IPVS: the module ip_vs is not loaded, does not exist for this kernel, or went meanwhile."""


class ChangeRefused(NetlinkError):
    """The kernel refused a change of the table; ``change`` is the first one, ``others`` the number of further ones.

    The kernel went on with the later changes of the same datagram, and none of the following was sent: what is true
    now, reading the table tells.
    """

    def __init__(self, errno: int, change: Change, advice: str, others: int = 0) -> None:
        more = f"; {others} more {'changes were' if others > 1 else 'change was'} refused" if others else ""
        super().__init__(errno, f"ipvsadm {change}", advice + more)
        self.change = change
        self.others = others


def unavailable() -> IpvsUnavailable:
    """There is no family IPVS."""
    return IpvsUnavailable(
        errno.ENOENT,
        "IPVS",
        "its kernel module is not loaded: run `modprobe ip_vs`, and list it in /etc/modules-load.d",
    )


def went_away() -> IpvsUnavailable:
    """There was a family IPVS when the connection was opened."""
    return IpvsUnavailable(
        errno.ENOENT,
        "IPVS",
        "its kernel module was unloaded meanwhile, and the whole table with it: run `modprobe ip_vs`, connect again",
    )


def change_advice(change: Change, code: int, explanation: str) -> str:
    """What to do about a refused change; the kernel's own explanation comes first if it sent one."""
    advice = _change_advice(change, code)
    return f"{explanation}; {advice}" if explanation and advice else explanation or advice or _NO_REASON


_NO_REASON = "the kernel refused it and gave no reason"

_OF_ANY_CHANGE = {
    errno.EPERM: "this needs root (CAP_NET_ADMIN)",
    errno.ESRCH: f"there is no such virtual service, or no longer: {_READ_AGAIN}",
    errno.EAFNOSUPPORT: "the address family is neither IPv4 nor IPv6, or IPv6 is disabled in this kernel",
    errno.ENOMEM: "the kernel is out of memory",
}


def _change_advice(change: Change, code: int) -> str:
    if isinstance(change, (AddService, EditService)):
        own = _service_advice(change.service, code)
    elif isinstance(change, (AddServer, EditServer, DeleteServer)):
        own = _server_advice(change, code)
    else:
        own = ""
    return own or _OF_ANY_CHANGE.get(code, "")


def _service_advice(service: types.Service, code: int) -> str:
    if code == errno.EEXIST:
        return f"this virtual service is there already, perhaps since a moment ago: {_READ_AGAIN}"
    if code == errno.ENOENT:
        return _missing_module(service)
    if code == errno.EINVAL and service.key.af == socket.AF_INET6:
        return "the netmask of an IPv6 service is a prefix length from 1 to 128"
    return ""


def _missing_module(service: types.Service) -> str:
    """Both answer ENOENT: a scheduler, or a persistence engine, that the kernel can neither find nor load."""
    if service.sched_name not in SCHEDULERS:
        return f"there is no scheduler {service.sched_name}; {nearest(service.sched_name, SCHEDULERS)}"
    modules = [f"ip_vs_{service.sched_name}"]
    if service.pe_name:
        modules.append(f"ip_vs_pe_{service.pe_name}")
    return f"the kernel does not find a module: run {' and '.join(f'`modprobe {name}`' for name in modules)}"


def _server_advice(change: AddServer | EditServer | DeleteServer, code: int) -> str:
    if code == errno.EEXIST:
        return f"the virtual service has this real server already, perhaps since a moment ago: {_READ_AGAIN}"
    if code == errno.ENOENT:
        return f"the virtual service has no such real server, or no longer: {_READ_AGAIN}"
    if isinstance(change, DeleteServer):
        return ""
    if code == errno.ERANGE:
        return "the weight is above 2147483647, or the lower threshold above the upper one"
    if code == errno.EINVAL:
        return _server_invalid(change.key, change.server)
    return ""


def _server_invalid(key: types.ServiceKey, server: types.Destination) -> str:
    if server.u_thresh > types.THRESHOLD_MOST:
        return f"the upper threshold is above {types.THRESHOLD_MOST}: write a lower one, or 0 for no limit"
    if server.af != key.af and server.fwd_method != types.FWD_TUNNEL:
        return "a real server of the other address family is reached by tunnel only"
    if server.af != key.af:
        return "a real server of the other address family excludes synchronisation daemons: stop them"
    if server.fwd_method == types.FWD_TUNNEL and server.tun_type == types.TUN_GUE and not server.tun_port:
        return "a GUE tunnel needs a port"
    # The kernel knows no kind of any address in a network namespace that never had one itself (inet_addr_type).
    return "its address must be a unicast one, and this network namespace must have an IP address itself"


def daemon_advice(daemon: types.Daemon, code: int) -> str:
    """What to do about a synchronisation daemon that does not start, "" for what has no advice of its own."""
    state = STATES.get(daemon.state, str(daemon.state))
    return {
        errno.EPERM: "this needs root (CAP_NET_ADMIN)",
        errno.EEXIST: f"a {state} daemon runs already: stop it first",
        errno.EADDRNOTAVAIL: f"interface {daemon.mcast_ifn} has no address: a daemon sends from the interface's own",
        errno.ENETDOWN: f"bring interface {daemon.mcast_ifn} up",
        errno.EINVAL: _daemon_invalid(daemon),
    }.get(code, "")


def _daemon_invalid(daemon: types.Daemon) -> str:
    import ipaddress

    if daemon.state not in STATES:
        return "the state is neither master nor backup"
    if daemon.mcast_group and not ipaddress.ip_address(daemon.mcast_group).is_multicast:
        return f"the group {daemon.mcast_group} is no multicast address"
    return "a real server has another address family than its virtual service, which excludes synchronisation"


def stop_advice(state: int, code: int) -> str:
    """What to do about a synchronisation daemon that does not stop."""
    if code == errno.ESRCH:
        return f"no {STATES.get(state, str(state))} daemon runs"
    return _OF_ANY_CHANGE.get(code, _NO_REASON)
