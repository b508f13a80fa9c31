# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the guest of test_ipvs.py: each step does something with our IPVS and says what ipvsadm then shows.

Prints a JSON object: step -> its answers. What they should be stands in the test.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from _lvs_agent.kernel.errors import KernelError
from _lvs_agent.kernel.ipvs import ChangeRefused, Ipvs
from _lvs_agent.kernel.ipvs_change import (
    AddServer,
    AddService,
    Change,
    DeleteServer,
    DeleteService,
    EditServer,
    EditService,
    ZeroService,
)
from _lvs_agent.kernel.ipvs_conn import connections
from _lvs_agent.kernel.ipvs_pack import pack_service_key
from _lvs_agent.kernel.ipvs_types import (
    FWD_DROUTE,
    FWD_MASQ,
    FWD_TUNNEL,
    STATE_BACKUP,
    STATE_MASTER,
    SVC_F_ONEPACKET,
    SVC_F_PERSISTENT,
    SVC_F_SCHED1,
    SVC_F_SCHED2,
    TUN_F_CSUM,
    TUN_F_REMCSUM,
    TUN_GRE,
    TUN_GUE,
    Daemon,
    Destination,
    Service,
    ServiceKey,
    Timeouts,
)
from _lvs_agent.kernel.ipvsadm import server_line, service_line
from _lvs_agent.kernel.netlink import NetlinkError

V4, V6 = socket.AF_INET, socket.AF_INET6
TCP, UDP, SCTP = socket.IPPROTO_TCP, socket.IPPROTO_UDP, socket.IPPROTO_SCTP

WEB = ServiceKey(V4, TCP, "192.0.2.1", 80)
SIP = ServiceKey(V4, UDP, "192.0.2.1", 5060)
ALL = ServiceKey(V4, SCTP, "192.0.2.1", 0)
WEB6 = ServiceKey(V6, TCP, "2001:db8::1", 443)
DNS6 = ServiceKey(V6, UDP, "2001:db8::1", 53)
MARK = ServiceKey(V4, fwmark=7)
MARK6 = ServiceKey(V6, fwmark=4294967295)
LOCAL = ServiceKey(V4, UDP, "10.0.0.1", 5000)
PERSISTENT_LOCAL = ServiceKey(V6, UDP, "fd00::1", 5000)


def server(addr: str, port: int, method: int, weight: int = 1, **more: int) -> Destination:
    return Destination(V6 if ":" in addr else V4, addr, port, method, weight, **more)


TUNNEL = server("2001:db8::10", 443, FWD_TUNNEL)
EVERYTHING: list[Change] = [
    AddService(Service(WEB, "rr")),
    AddServer(WEB, server("10.0.0.1", 80, FWD_DROUTE)),
    AddServer(WEB, server("10.0.0.2", 80, FWD_DROUTE, 0)),
    AddServer(WEB, server("10.0.0.3", 8080, FWD_MASQ, 2147483647, u_thresh=2147483647, l_thresh=1000)),
    AddServer(WEB, server("10.0.0.4", 80, FWD_TUNNEL, 10, u_thresh=5)),
    AddService(Service(SIP, "wlc", SVC_F_PERSISTENT | SVC_F_ONEPACKET, 77, "255.255.255.0", "sip")),
    AddServer(SIP, server("10.0.0.1", 5060, FWD_MASQ)),
    AddService(Service(ALL, "wlc", SVC_F_PERSISTENT, 300)),
    AddServer(ALL, server("10.0.0.1", 0, FWD_DROUTE)),
    AddService(Service(WEB6, "mh", SVC_F_PERSISTENT | SVC_F_SCHED1 | SVC_F_SCHED2, 300, "64")),
    AddServer(WEB6, TUNNEL),
    AddServer(WEB6, replace(TUNNEL, addr="2001:db8::11", tun_type=TUN_GUE, tun_port=5600)),
    AddServer(WEB6, replace(TUNNEL, addr="2001:db8::12", tun_type=TUN_GUE, tun_port=5601, tun_flags=TUN_F_CSUM)),
    AddServer(WEB6, replace(TUNNEL, addr="2001:db8::13", tun_type=TUN_GUE, tun_port=65535, tun_flags=TUN_F_REMCSUM)),
    AddServer(WEB6, replace(TUNNEL, addr="2001:db8::14", tun_type=TUN_GRE)),
    AddServer(WEB6, replace(TUNNEL, addr="2001:db8::15", tun_type=TUN_GRE, tun_flags=TUN_F_CSUM)),
    AddServer(WEB6, server("10.0.0.9", 443, FWD_TUNNEL, 3)),
    AddService(Service(DNS6, "sh", SVC_F_ONEPACKET | SVC_F_SCHED1)),
    AddServer(DNS6, server("2001:db8::10", 5353, FWD_MASQ)),
    AddService(Service(MARK, "sh", SVC_F_SCHED2)),
    AddServer(MARK, server("10.0.0.1", 80, FWD_DROUTE, 9)),
    AddService(Service(MARK6, "rr", SVC_F_PERSISTENT, 50, "128")),
    AddServer(MARK6, server("2001:db8::10", 0, FWD_DROUTE)),
]
EDITS: list[Change] = [
    EditService(Service(WEB, "wlc", SVC_F_PERSISTENT, 60, "255.255.0.0")),
    EditServer(WEB, server("10.0.0.1", 80, FWD_MASQ, 7, u_thresh=9, l_thresh=8)),
    EditServer(WEB, server("10.0.0.4", 80, FWD_DROUTE, 0)),
    EditService(Service(SIP, "rr")),
    EditService(Service(WEB6, "mh", SVC_F_SCHED2)),
    EditServer(WEB6, replace(TUNNEL, tun_type=TUN_GUE, tun_port=77)),
    EditServer(WEB6, replace(TUNNEL, addr="2001:db8::12", weight=4)),
    EditServer(WEB6, server("10.0.0.9", 443, FWD_TUNNEL, 0)),
    EditService(Service(MARK, "wlc")),
]
DELETIONS: list[Change] = [
    DeleteServer(WEB, server("10.0.0.3", 8080, 0).key),
    DeleteServer(WEB6, server("10.0.0.9", 443, 0).key),
    DeleteServer(WEB6, server("2001:db8::13", 443, 0).key),
    DeleteService(SIP),
    DeleteService(DNS6),
    DeleteServer(MARK, server("10.0.0.1", 80, 0).key),
    DeleteService(MARK6),
]


def run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def saved(*prefix: str) -> list[str]:
    return run(*prefix, "ipvsadm", "-Sn").splitlines()


def own_lines(ipvs: Ipvs) -> list[str]:
    """The same table as our reading of it spells it."""
    lines = []
    for key, (entry, servers) in ipvs.table().items():
        lines.append(service_line(entry.service))
        lines += [server_line(key, each.destination) for each in servers]
    return lines


def refused(act: Callable[[], object]) -> dict[str, Any]:
    """The error that an act must end with."""
    try:
        act()
    except KernelError as error:
        told: dict[str, Any] = {
            "type": type(error).__name__,
            "errno": errno.errorcode.get(error.errno or 0, ""),
            "text": str(error),
        }
        if isinstance(error, ChangeRefused):
            told.update(change=str(error.change), others=error.others)
        return told
    raise SystemExit("no error")


def table(ipvs: Ipvs, changes: list[Change]) -> dict[str, Any]:
    ipvs.apply(changes)
    return {"changes": list(map(str, changes)), "-Sn": saved(), "thresholds": thresholds(), "ours": own_lines(ipvs)}


def thresholds() -> str:
    return run("ipvsadm", "-Ln", "--thresholds")


def refused_in_the_middle(ipvs: Ipvs) -> dict[str, Any]:
    before = saved()
    changes: list[Change] = [
        AddServer(WEB, server("10.0.0.20", 80, FWD_DROUTE)),
        AddServer(WEB, server("10.0.0.1", 80, FWD_DROUTE)),
        AddServer(WEB, server("10.0.0.21", 80, FWD_DROUTE)),
        DeleteServer(WEB, server("10.0.0.99", 80, 0).key),
    ]
    error = refused(lambda: ipvs.apply(changes))
    after = saved()
    ipvs.apply([DeleteServer(WEB, server(f"10.0.0.{last}", 80, 0).key) for last in (20, 21)])
    return {**error, "new": sorted(set(after) - set(before)), "gone": sorted(set(before) - set(after))}


def refused_altogether(ipvs: Ipvs) -> dict[str, Any]:
    """As many refusals as a datagram can have, and a socket that is as good as before."""
    many: list[Change] = [AddServer(WEB, server(f"10.5.{i >> 8}.{i & 255}", 80, FWD_DROUTE)) for i in range(3000)]
    ipvs.apply(many)
    error = refused(lambda: ipvs.apply(many))
    servers = len(ipvs.destinations(WEB))
    ipvs.apply([DeleteServer(change.key, change.server.key) for change in many if isinstance(change, AddServer)])
    return {**error, "servers": servers, "left": len(ipvs.destinations(WEB))}


def errors(ipvs: Ipvs) -> dict[str, Any]:
    return {
        "scheduler": refused(lambda: ipvs.apply([AddService(Service(replace(WEB, port=81), "wrx"))])),
        "module": refused(lambda: ipvs.apply([AddService(Service(replace(WEB, port=81), "lblc"))])),
        "there": refused(lambda: ipvs.apply([AddService(Service(WEB, "rr"))])),
        "gone": refused(lambda: ipvs.apply([EditService(Service(replace(WEB, port=81), "rr"))])),
        "server gone": refused(lambda: ipvs.apply([EditServer(WEB, server("10.9.9.9", 80, FWD_MASQ))])),
        "family": refused(lambda: ipvs.apply([AddServer(WEB, server("2001:db8::1", 80, FWD_MASQ))])),
        "multicast": refused(lambda: ipvs.apply([AddServer(WEB, server("224.0.0.1", 80, FWD_MASQ))])),
        "thresholds": refused(
            lambda: ipvs.apply([AddServer(WEB, server("10.9.9.9", 80, FWD_MASQ, u_thresh=1, l_thresh=2))])
        ),
        "gue": refused(lambda: ipvs.apply([AddServer(WEB, server("10.9.9.9", 80, FWD_TUNNEL, tun_type=TUN_GUE))])),
        "prefix": refused(lambda: ipvs.apply([AddService(Service(replace(WEB6, port=81), "rr", 1, 9, "129"))])),
        "dump": [len(ipvs.destinations(replace(WEB, port=81))), len(ipvs.services())],
    }


def send(address: str, source: str, count: int) -> None:
    family = V6 if ":" in address else V4
    for _packet in range(count):
        with socket.socket(family, socket.SOCK_DGRAM) as client:
            client.bind((source, 0))
            client.sendto(b"packet", (address, 5000))


def counted(words: str, count: int) -> list[str]:
    """The last two words of ipvsadm's lines once the kernel has added up that many connections."""
    until = time.monotonic() + 20
    while True:
        lines = run("ipvsadm", "-Ln", "--stats", "--exact", *words.split()).splitlines()[-2:]
        if all(int(line.split()[-5]) == count for line in lines):
            return [" ".join(line.split()[-5:]) for line in lines]
        if time.monotonic() > until:
            raise SystemExit("\n".join(lines))
        time.sleep(0.2)


def counters(ipvs: Ipvs) -> dict[str, Any]:
    """What is counted, and zeroed: one service, then all."""
    ipvs.apply(
        [
            AddService(Service(LOCAL, "rr")),
            AddServer(LOCAL, server("10.0.0.2", 5000, FWD_MASQ)),
            AddService(Service(PERSISTENT_LOCAL, "rr", SVC_F_PERSISTENT, 300)),
            AddServer(PERSISTENT_LOCAL, server("fd00::2", 5000, FWD_MASQ)),
        ]
    )
    send("10.0.0.1", "10.0.0.3", 3)
    send("fd00::1", "fd00::3", 2)
    answers: dict[str, Any] = {"v4": counted("-u 10.0.0.1:5000", 3), "v6": counted("-u [fd00::1]:5000", 2)}
    ((entry, (only,)),) = ipvs.table({LOCAL}).values()
    answers["ours"] = [" ".join(map(str, stats[:5])) for stats in (entry.stats, only.stats)]
    answers["inactive"] = only.inact_conns
    answers["-Lcn"] = run("ipvsadm", "-Lcn").splitlines()[2:]
    answers["connections"] = [list(entry) for entry in connections()]
    answers["of one client"] = len(connections(client="10.0.0.3"))
    ipvs.apply([ZeroService(LOCAL)])
    answers["one zeroed"] = [counted("-u 10.0.0.1:5000", 0), counted("-u [fd00::1]:5000", 2)]
    ipvs.zero()
    answers["all zeroed"] = counted("-u [fd00::1]:5000", 0)
    return answers


def settings(ipvs: Ipvs) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for name, timeouts in (("all", Timeouts(901, 121, 301)), ("one", Timeouts(0, 50, 0))):
        ipvs.set_timeouts(timeouts)
        answers[name] = run("ipvsadm", "-L", "--timeout").split()[-3:]
    answers["too long"] = refused(lambda: ipvs.set_timeouts(Timeouts(0, 0, 0x7FFFFFFF)))
    return answers


def daemons(ipvs: Ipvs) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    master = Daemon(STATE_MASTER, "d0", 51, 1400, "224.0.1.81", 9000, 3)
    answers["mixed"] = refused(lambda: ipvs.start_daemon(master))
    # Real servers of the other family exclude synchronisation.
    ipvs.apply([DeleteServer(WEB6, server("10.0.0.9", 443, 0).key)])
    ipvs.start_daemon(master)
    ipvs.start_daemon(Daemon(STATE_BACKUP, "d0", 255, mcast_group="ff02::51"))
    answers["both"] = run("ipvsadm", "-L", "--daemon").splitlines()
    answers["ours"] = ipvs.daemons()[0] == master
    answers["again"] = refused(lambda: ipvs.start_daemon(master))
    ipvs.stop_daemon(STATE_BACKUP)
    answers["one"] = run("ipvsadm", "-L", "--daemon").splitlines()
    answers["not there"] = refused(lambda: ipvs.stop_daemon(STATE_BACKUP))
    ipvs.stop_daemon(STATE_MASTER)
    answers["interface"] = refused(lambda: ipvs.start_daemon(replace(master, mcast_ifn="d1")))
    ipvs.start_daemon(Daemon(STATE_MASTER, "d0", 1))
    answers["defaults"] = run("ipvsadm", "-L", "--daemon").splitlines()
    ipvs.stop_daemon(STATE_MASTER)
    answers["none"] = run("ipvsadm", "-L", "--daemon").splitlines()
    ipvs.apply([AddServer(WEB6, server("10.0.0.9", 443, FWD_TUNNEL, 3))])
    return answers


def abandoned_dump(ipvs: Ipvs) -> dict[str, Any]:
    """A listing that nobody read to its end does not spoil the next one."""
    changes: list[Change] = [AddServer(WEB, server(f"10.6.{i >> 8}.{i & 255}", 80, FWD_DROUTE)) for i in range(2000)]
    ipvs.apply(changes)
    wanted = len(ipvs.destinations(WEB))

    def fail(_payload: bytes) -> None:
        raise NetlinkError(errno.EIO, "a reader", "that gave up")

    error = refused(lambda: ipvs._list(8, [pack_service_key(WEB)], "servers", fail))
    again = len(ipvs.destinations(WEB))
    ipvs.apply([DeleteServer(WEB, change.server.key) for change in changes if isinstance(change, AddServer)])
    return {"error": error["errno"], "wanted": wanted, "again": again}


def namespaces(ipvs: Ipvs) -> dict[str, Any]:
    own = os.readlink("/proc/thread-self/ns/net")
    run("ip", "netns", "add", "left")
    run("ip", "netns", "add", "right")
    run("ip", "-n", "left", "link", "add", "only-left", "type", "dummy")
    inside = ("ip", "netns", "exec", "left")
    run("ip", "-n", "left", "link", "set", "lo", "up")
    for last in ("3", "4"):
        run("ip", "-n", "left", "address", "add", f"10.0.0.{last}/24", "dev", "lo")
    with Ipvs(netns="left") as left, Ipvs(netns="/run/netns/right") as right:
        left.apply([AddService(Service(WEB, "rr")), AddServer(WEB, server("10.0.0.1", 80, FWD_DROUTE))])
        answers: dict[str, Any] = {
            "left": saved(*inside),
            "right": [len(right.services()), len(saved("ip", "netns", "exec", "right"))],
            "here": len(ipvs.services()),
            "no address": refused(lambda: right.apply([AddService(Service(WEB, "rr")), EVERYTHING[1]])),
            "interface": refused(lambda: left.start_daemon(Daemon(STATE_MASTER, "only-lef", 1))),
        }
    run(*inside, "ipvsadm", "-A", "-u", "10.0.0.3:5000", "-s", "rr")
    run(*inside, "ipvsadm", "-a", "-u", "10.0.0.3:5000", "-r", "10.0.0.4:5000", "-m")
    run(*inside, "bash", "-c", "echo packet >/dev/udp/10.0.0.3/5000")
    answers["connections"] = [list(entry)[3:8] for entry in connections(netns="left")]
    answers["connections here"] = len(connections(client="10.0.0.3"))
    answers["missing"] = refused(lambda: Ipvs(netns="lefty"))
    answers["no connections"] = refused(lambda: connections(netns="lefty"))
    answers["no namespace"] = refused(lambda: Ipvs(netns="/etc/passwd"))
    answers["stayed"] = os.readlink("/proc/thread-self/ns/net") == own
    run("ip", "netns", "delete", "left")
    run("ip", "netns", "delete", "right")
    return answers


def without_rights() -> dict[str, Any]:
    """The same script as a process without CAP_NET_ADMIN."""
    drop = ("--bounding-set", "-net_admin", "--inh-caps", "-net_admin")
    return dict(json.loads(run("setpriv", *drop, sys.executable, __file__, "--without-rights")))


def refused_without_rights() -> dict[str, Any]:
    with Ipvs() as ipvs:
        return {
            "read": refused(ipvs.services),
            "change": refused(lambda: ipvs.apply([AddService(Service(WEB, "rr"))])),
            "flush": refused(ipvs.flush),
            "daemon": refused(lambda: ipvs.start_daemon(Daemon(STATE_MASTER, "lo", 1))),
        }


def unloaded(ipvs: Ipvs) -> dict[str, Any]:
    """The module goes, and comes back, under a connection; then there is none for a new one."""

    def unload() -> None:
        modules = [line.split()[0] for line in run("lsmod").splitlines() if line.startswith("ip_vs_")]
        run("rmmod", *modules)
        run("rmmod", "ip_vs")

    answers: dict[str, Any] = {}
    edit = EditServer(WEB, server("10.0.0.1", 80, FWD_MASQ))
    unload()
    for name, act in (("read", ipvs.services), ("flush", ipvs.flush), ("change", lambda: ipvs.apply([edit]))):
        answers[name] = refused(act)
    answers["none"] = refused(Ipvs)
    answers["no connections"] = refused(connections)
    run("modprobe", "ip_vs")
    answers["stale"] = refused(ipvs.services)
    with Ipvs() as again:
        answers["again"] = len(again.services())
    return answers


def main() -> None:
    if "--without-rights" in sys.argv:
        print(json.dumps(refused_without_rights()))
        return
    said: dict[str, Any] = {}
    with Ipvs() as ipvs:
        said["everything"] = table(ipvs, EVERYTHING)
        said["middle"] = refused_in_the_middle(ipvs)
        said["altogether"] = refused_altogether(ipvs)
        said["abandoned"] = abandoned_dump(ipvs)
        said["errors"] = errors(ipvs)
        said["settings"] = settings(ipvs)
        said["daemons"] = daemons(ipvs)
        said["edits"] = table(ipvs, EDITS)
        said["deletions"] = table(ipvs, DELETIONS)
        said["counters"] = counters(ipvs)
        said["namespaces"] = namespaces(ipvs)
        said["without rights"] = without_rights()
        ipvs.flush()
        said["flushed"] = saved()
        said["unloaded"] = unloaded(ipvs)
    print(json.dumps(said, indent=1))


if __name__ == "__main__":
    main()
