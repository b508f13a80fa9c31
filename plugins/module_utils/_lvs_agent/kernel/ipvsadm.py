# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of ipvsadm(8): its names of the kernel's numbers, and the lines of ``ipvsadm -Sn``; pure.

Each table of names stands beside its reverse. A number without a name is spelled as a number.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from ..spelling import nearest
from . import ipvs_types as types

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
TUN_FLAGS = {0: "nocsum", types.TUN_F_CSUM: "csum", types.TUN_F_REMCSUM: "remcsum"}
STATES = {types.STATE_MASTER: "master", types.STATE_BACKUP: "backup"}

PROTOCOL_NUMBERS = {name: number for number, name in PROTOCOLS.items()}
FORWARD_NUMBERS = {name: number for number, name in FORWARD.items()}
TUN_TYPE_NUMBERS = {name: number for number, name in TUN_TYPES.items()}
TUN_FLAG_NUMBERS = {name: number for number, name in TUN_FLAGS.items()}
STATE_NUMBERS = {name: number for number, name in STATES.items()}

# The schedulers of Linux 6.12; each is the module ip_vs_NAME.
SCHEDULERS = ("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos")

_SCHED_BITS = (types.SVC_F_SCHED1, types.SVC_F_SCHED2, types.SVC_F_SCHED3)
_PLAIN_SCHED_FLAGS = ("flag-1", "flag-2", "flag-3")
# ipvsadm has names for those of two schedulers (ipvsadm(8), --sched-flags)
_SCHED_FLAG_NAMES = {"sh": ("sh-fallback", "sh-port", "flag-3"), "mh": ("mh-fallback", "mh-port", "flag-3")}

_SERVICE_OPTIONS = {socket.IPPROTO_TCP: "-t", socket.IPPROTO_UDP: "-u", socket.IPPROTO_SCTP: "--sctp-service"}
_FORWARD_OPTIONS = {types.FWD_MASQ: "-m", types.FWD_TUNNEL: "-i", types.FWD_DROUTE: "-g"}


def sched_flag_names(sched_name: str, flags: int) -> list[str]:
    """The names of the scheduler's flags that are set in ``Service.flags``, in the order of their bits."""
    names = _SCHED_FLAG_NAMES.get(sched_name, _PLAIN_SCHED_FLAGS)
    return [name for name, bit in zip(names, _SCHED_BITS) if flags & bit]


def sched_flag_bits(sched_name: str, names: Iterable[str]) -> int:
    """The bits of ``Service.flags`` for a scheduler's flags; flag-1 to flag-3 are names for any scheduler's.

    Raises ValueError with a sentence for a name the scheduler does not have.
    """
    own = _SCHED_FLAG_NAMES.get(sched_name, _PLAIN_SCHED_FLAGS)
    known = {**dict(zip(_PLAIN_SCHED_FLAGS, _SCHED_BITS)), **dict(zip(own, _SCHED_BITS))}
    bits = 0
    for name in names:
        if name not in known:
            raise ValueError(f"{name!r} is no flag of scheduler {sched_name}; {nearest(name, known)}")
        bits |= known[name]
    return bits


def place(addr: str, port: int) -> str:
    """ADDRESS:PORT, the address in brackets if it is IPv6."""
    return f"[{addr}]:{port}" if ":" in addr else f"{addr}:{port}"


def full_netmask(af: int) -> str:
    """The netmask under which each client is one for persistence: the default."""
    return "128" if af == socket.AF_INET6 else "255.255.255.255"


def key_words(key: types.ServiceKey) -> str:
    """The option that names a virtual service: "-t 192.0.2.1:80", "-f 7 -6"."""
    if key.fwmark:
        return f"-f {key.fwmark}" + (" -6" if key.af == socket.AF_INET6 else "")
    option = _SERVICE_OPTIONS.get(key.protocol, f"--protocol-{key.protocol}")
    return f"{option} {place(key.addr, key.port)}"


def service_words(service: types.Service) -> str:
    """A virtual service's options, in the order of ``ipvsadm -Sn``."""
    words = [key_words(service.key), "-s", service.sched_name]
    if service.flags & types.SVC_F_PERSISTENT:
        words += ["-p", str(service.timeout)]
    if service.netmask not in ("", full_netmask(service.key.af)):
        words += ["-M", service.netmask]
    if service.pe_name:
        words += ["--pe", service.pe_name]
    if service.flags & types.SVC_F_ONEPACKET:
        words.append("-o")
    flags = sched_flag_names(service.sched_name, service.flags)
    if flags:
        words += ["-b", ",".join(flags)]
    return " ".join(words)


def server_words(key: types.ServiceKey, server: types.Destination) -> str:
    """A real server's options in the order of ``ipvsadm -Sn``, then the thresholds, which it leaves out."""
    words = [key_words(key), "-r", place(server.addr, server.port)]
    words.append(_FORWARD_OPTIONS.get(server.fwd_method) or f"--forward-{_forward_name(server.fwd_method)}")
    words += ["-w", str(server.weight)]
    if server.fwd_method == types.FWD_TUNNEL:
        words += ["--tun-type", TUN_TYPES.get(server.tun_type, str(server.tun_type))]
        if server.tun_type == types.TUN_GUE:
            words += ["--tun-port", str(server.tun_port)]
        if server.tun_type != types.TUN_IPIP:
            words.append(f"--tun-{TUN_FLAGS.get(server.tun_flags, server.tun_flags)}")
    if server.u_thresh or server.l_thresh:
        words += ["-x", str(server.u_thresh), "-y", str(server.l_thresh)]
    return " ".join(words)


def _forward_name(fwd_method: int) -> str:
    """For the methods that ipvsadm has no option for: it shows local as -g, and bypass as (null)."""
    return FORWARD.get(fwd_method, str(fwd_method))


def service_line(service: types.Service) -> str:
    """The line that adds a virtual service: "-A -t 192.0.2.1:80 -s rr"."""
    return f"-A {service_words(service)}"


def server_line(key: types.ServiceKey, server: types.Destination) -> str:
    """The line that adds a real server: "-a -t 192.0.2.1:80 -r 10.0.0.1:80 -g -w 1"."""
    return f"-a {server_words(key, server)}"
