# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPVS messages against what ipvsadm sent a kernel, and what that kernel answered (tests/support/capture_ipvs.py)."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from _lvs_agent.kernel import ipvs_numbers as n
from _lvs_agent.kernel import ipvs_pack, ipvs_parse, ipvs_types
from _lvs_agent.kernel.genl import pack_genl, parse_genl
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
    TUN_IPIP,
    Daemon,
    Destination,
    Service,
    ServiceKey,
    Timeouts,
)
from _lvs_agent.kernel.ipvsadm import server_line, service_line
from _lvs_agent.kernel.netlink import parse_attrs

CAPTURED: dict[str, Any] = json.loads(Path(__file__).with_name("captures").joinpath("ipvs.json").read_text())
V4, V6 = socket.AF_INET, socket.AF_INET6

WEB = ServiceKey(V4, socket.IPPROTO_TCP, "192.168.1.100", 80)
SIP = ServiceKey(V4, socket.IPPROTO_UDP, "192.168.1.100", 5060)
SCTP = ServiceKey(V4, socket.IPPROTO_SCTP, "192.168.1.100", 7777)
WEB6 = ServiceKey(V6, socket.IPPROTO_TCP, "fd00::100", 443)
MARK = ServiceKey(V4, fwmark=7)
MARK6 = ServiceKey(V6, fwmark=8)


def tunnel(last: int, kind: int, port: int = 0, flags: int = 0) -> AddServer:
    server = Destination(V6, f"fd00::{last}", 443, FWD_TUNNEL, 1, tun_type=kind, tun_port=port, tun_flags=flags)
    return AddServer(WEB6, server)


CHANGES: list[Change] = [
    AddService(Service(WEB, "rr")),
    AddServer(WEB, Destination(V4, "192.168.1.129", 80, FWD_DROUTE, 1)),
    AddServer(WEB, Destination(V4, "192.168.1.130", 80, FWD_DROUTE, 0, 2000, 1000)),
    AddService(Service(SIP, "wlc", SVC_F_PERSISTENT | SVC_F_ONEPACKET, 77, "255.255.255.0", "sip")),
    AddServer(SIP, Destination(V4, "10.9.9.9", 5061, FWD_MASQ, 5)),
    AddService(Service(SCTP, "wlc")),
    AddService(Service(WEB6, "mh", SVC_F_PERSISTENT | SVC_F_SCHED1 | SVC_F_SCHED2, 300, "64")),
    tunnel(128, TUN_IPIP),
    tunnel(129, TUN_GUE, 5600),
    tunnel(130, TUN_GUE, 5601, TUN_F_CSUM),
    tunnel(131, TUN_GUE, 5602, TUN_F_REMCSUM),
    tunnel(132, TUN_GRE, flags=TUN_F_CSUM),
    AddService(Service(MARK, "sh", SVC_F_SCHED2)),
    AddService(Service(MARK6, "rr")),
    AddServer(MARK6, Destination(V6, "fd00::129", 443, FWD_DROUTE, 2147483647)),
    EditService(Service(WEB, "wlc", SVC_F_PERSISTENT, 10)),
    EditServer(WEB, Destination(V4, "192.168.1.129", 80, FWD_MASQ, 7, 9, 8)),
    ZeroService(WEB),
    DeleteServer(WEB, Destination(V4, "192.168.1.129", 80, FWD_MASQ, 7).key),
    DeleteServer(WEB6, Destination(V6, "fd00::129", 443, FWD_TUNNEL, 1).key),
    DeleteService(MARK6),
    DeleteService(WEB6),
]
MASTER = Daemon(STATE_MASTER, "d0", 51, 1400, "224.0.1.81", 9000, 3)
BACKUP = Daemon(STATE_BACKUP, "d0", 52, mcast_group="ff02::51")


def tree(payload: bytes) -> tuple[int, dict[int, Any]]:
    """The command and the attributes; those of a service, a server or a daemon by their kind in turn."""
    nested = (n.CMD_ATTR_SERVICE, n.CMD_ATTR_DEST, n.CMD_ATTR_DAEMON) if payload[0] != n.CMD_SET_CONFIG else ()
    return payload[0], {
        kind: parse_attrs(content) if kind in nested else content for kind, content in parse_genl(payload).items()
    }


def request(line: str) -> tuple[int, dict[int, Any]]:
    return tree(bytes.fromhex(CAPTURED["requests"][line]))


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_change_is_what_ipvsadm_sends_for_its_line(change: Change) -> None:
    (payload,) = ipvs_pack.pack_changes([change])
    command, ours = tree(payload)
    theirs_command, theirs = request(str(change))
    assert command == theirs_command
    assert set(ours) == set(theirs)
    # ipvsadm sends more of what only identifies an object than the kernel reads.
    for kind in ours:
        assert ours[kind].items() <= theirs[kind].items()
    described = {n.CMD_NEW_SERVICE: 1, n.CMD_SET_SERVICE: 1, n.CMD_NEW_DEST: 2, n.CMD_SET_DEST: 2}.get(command)
    if described:
        assert ours[described] == theirs[described]


def test_every_captured_line_is_compared() -> None:
    others = {line for line in CAPTURED["requests"] if line.startswith("--") or line in ("-Z", "-C")}
    assert set(map(str, CHANGES)) == set(CAPTURED["requests"]) - others - {
        "-A -u 10.0.0.1:5000 -s rr",
        "-a -u 10.0.0.1:5000 -r 10.0.0.2:5000 -m -w 1",
    }


def test_timeouts_and_daemons_are_what_ipvsadm_sends() -> None:
    ours = tree(pack_genl(n.CMD_SET_CONFIG, 1, ipvs_pack.pack_timeouts(Timeouts(901, 121, 301))))
    assert ours == request("--set 901 121 301")
    master, backup = (line for line in CAPTURED["requests"] if line.startswith("--start-daemon"))
    for daemon, line in ((MASTER, master), (BACKUP, backup)):
        assert tree(pack_genl(n.CMD_NEW_DAEMON, 1, [ipvs_pack.pack_daemon(daemon)])) == request(line)
    for state, name in ((STATE_MASTER, "master"), (STATE_BACKUP, "backup")):
        command, ours_stop = tree(ipvs_pack.pack_stop_daemon(state))
        theirs_command, theirs = request(f"--stop-daemon {name}")
        assert command == theirs_command
        assert ours_stop[n.CMD_ATTR_DAEMON].items() <= theirs[n.CMD_ATTR_DAEMON].items()


def captured_services() -> list[ipvs_types.ServiceEntry]:
    return [ipvs_parse.parse_service(bytes.fromhex(payload)) for payload in CAPTURED["services"]]


def captured_servers(key: ServiceKey) -> list[ipvs_types.DestinationEntry]:
    return [ipvs_parse.parse_destination(bytes.fromhex(payload), key.af) for payload in CAPTURED["servers"][str(key)]]


def test_the_listing_is_what_ipvsadm_saves() -> None:
    lines = []
    for entry in captured_services():
        lines.append(service_line(entry.service))
        lines += [server_line(entry.service.key, each.destination) for each in captured_servers(entry.service.key)]
    # -Sn leaves the thresholds out.
    saved = [re.sub(" -x .*", "", line) for line in lines]
    assert sorted(saved) == sorted(CAPTURED["-Sn"].splitlines())
    table = [str(change) for change in CHANGES if isinstance(change, (AddService, AddServer))]
    assert set(table) <= set(lines)


def test_counters_are_those_that_ipvsadm_shows() -> None:
    (entry,) = (entry for entry in captured_services() if entry.service.key.port == 5000)
    (server,) = captured_servers(entry.service.key)
    lines = CAPTURED["-Ln --stats --exact"].splitlines()
    at = next(position for position, line in enumerate(lines) if line.startswith("UDP  10.0.0.1:5000"))
    for stats, line in ((entry.stats, lines[at]), (server.stats, lines[at + 1])):
        assert list(stats[:5]) == [int(word) for word in line.split()[-5:]]
    assert (server.stats.conns, server.inact_conns, server.active_conns) == (3, 3, 0)


def test_thresholds_are_those_that_ipvsadm_shows() -> None:
    shown = dict(re.findall(r"-> (\S+):80 +(\d+ +\d+)", CAPTURED["-Ln --thresholds"]))
    servers = [entry.destination for entry in captured_servers(WEB)]
    assert {server.addr: [server.u_thresh, server.l_thresh] for server in servers} == {
        addr: [int(word) for word in words.split()] for addr, words in shown.items()
    }
    assert shown["192.168.1.130"].split() == ["2000", "1000"]


def test_daemons_timeouts_and_version_are_those_that_ipvsadm_shows() -> None:
    daemons = [ipvs_parse.parse_daemon(bytes.fromhex(payload)) for payload in CAPTURED["daemons"]]
    names = {STATE_MASTER: "master", STATE_BACKUP: "backup"}
    assert CAPTURED["-L --daemon"].splitlines() == [
        f"{names[daemon.state]} sync daemon (mcast={daemon.mcast_ifn}, syncid={daemon.sync_id}, "
        f"maxlen={daemon.sync_maxlen}, group={daemon.mcast_group}, port={daemon.mcast_port}, ttl={daemon.mcast_ttl})"
        for daemon in daemons
    ]
    assert daemons[0] == MASTER
    timeouts = ipvs_parse.parse_timeouts(bytes.fromhex(CAPTURED["timeouts"]))
    assert CAPTURED["-L --timeout"].split()[-3:] == [str(timeouts.tcp), str(timeouts.tcp_fin), str(timeouts.udp)]
    info = ipvs_parse.parse_info(bytes.fromhex(CAPTURED["info"]))
    version = ".".join(map(str, info.version))
    assert CAPTURED["-Ln --thresholds"].startswith(f"IP Virtual Server version {version} (size={info.conn_tab_size})")


def test_the_usual_layout_is_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The captured servers are read as one struct, and attribute by attribute they are the same."""
    at_once = {key: captured_servers(key) for key in (WEB, SIP, WEB6, MARK6)}
    general = ipvs_parse._general_destination
    monkeypatch.setattr(ipvs_parse, "_general_destination", None)
    assert {key: captured_servers(key) for key in at_once} == at_once
    monkeypatch.setattr(ipvs_parse, "parse_destination", general)
    assert {key: captured_servers(key) for key in at_once} == at_once
    assert sum(map(len, at_once.values())) == 9
