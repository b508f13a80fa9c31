# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""ipvsadm's words, and the kernel's list of connections; whole lines are compared in test_ipvs_captures.py."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from _lvs_agent.kernel import ipvs_conn, ipvs_types, ipvsadm
from _lvs_agent.kernel.ipvs_conn import Connection
from _lvs_agent.kernel.ipvs_types import Destination, Service, ServiceKey

KEY = ServiceKey(socket.AF_INET, socket.IPPROTO_TCP, "192.0.2.1", 80)


def test_each_table_of_names_has_its_reverse() -> None:
    for names, numbers in (
        (ipvsadm.PROTOCOLS, ipvsadm.PROTOCOL_NUMBERS),
        (ipvsadm.FORWARD, ipvsadm.FORWARD_NUMBERS),
        (ipvsadm.TUN_TYPES, ipvsadm.TUN_TYPE_NUMBERS),
        (ipvsadm.TUN_FLAGS, ipvsadm.TUN_FLAG_NUMBERS),
        (ipvsadm.STATES, ipvsadm.STATE_NUMBERS),
    ):
        assert {number: name for name, number in numbers.items()} == names


@pytest.mark.parametrize("sched_name", ["sh", "mh", "rr"])
@pytest.mark.parametrize("flags", range(0, 0x40, 8))
def test_scheduler_flags_come_back(sched_name: str, flags: int) -> None:
    names = ipvsadm.sched_flag_names(sched_name, flags | ipvs_types.SVC_F_PERSISTENT)
    assert ipvsadm.sched_flag_bits(sched_name, names) == flags


def test_scheduler_flags_of_ipvsadm() -> None:
    assert ipvsadm.sched_flag_names("sh", 0x18) == ["sh-fallback", "sh-port"]
    assert ipvsadm.sched_flag_names("mh", 0x30) == ["mh-port", "flag-3"]
    assert ipvsadm.sched_flag_bits("mh", ["flag-1", "mh-port"]) == 0x18
    with pytest.raises(ValueError, match="no flag of scheduler mh; did you mean mh-port"):
        ipvsadm.sched_flag_bits("mh", ["sh-port"])


def test_what_ipvsadm_has_no_option_for_is_told_apart() -> None:
    lines = {
        method: ipvsadm.server_line(KEY, Destination(socket.AF_INET, "10.0.0.1", 80, method, 1))
        for method in (*ipvsadm.FORWARD, 6)
    }
    assert len(set(lines.values())) == len(lines)
    assert lines[ipvs_types.FWD_LOCALNODE].endswith("-r 10.0.0.1:80 --forward-local -w 1")
    assert lines[6].endswith("--forward-6 -w 1")
    assert ipvsadm.service_line(Service(ServiceKey(socket.AF_INET, 7, "192.0.2.1", 0), "rr")) == (
        "-A --protocol-7 192.0.2.1:0 -s rr"
    )
    odd = Destination(socket.AF_INET, "10.0.0.1", 80, ipvs_types.FWD_TUNNEL, 1, tun_type=9, tun_flags=9)
    assert ipvsadm.server_line(KEY, odd).endswith("-i -w 1 --tun-type 9 --tun-9")


def test_a_default_netmask_is_not_told() -> None:
    for netmask in ("", "255.255.255.255"):
        assert ipvsadm.service_line(Service(KEY, "rr", netmask=netmask)) == "-A -t 192.0.2.1:80 -s rr"


def test_names_in_errors() -> None:
    assert str(Destination(socket.AF_INET6, "2001:db8::1", 80, 3, 1).key) == "real server [2001:db8::1]:80"
    assert str(Destination(socket.AF_INET, "10.0.0.1", 80, 3, 1).key) == "real server 10.0.0.1:80"


# As ip_vs_conn_seq_show prints them.
CONNECTIONS = """\
Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
TCP C0A80107 D431 C0A80164 0050 C0A80181 0050 ESTABLISHED     899
UDP C0A80107 13C4 C0A80164 13C4 0A090909 13C4 UDP              60 sip call-id with blanks@192.168.1.7
IP  C0A80107 0000 00000007 0000 C0A80181 0000 NONE            299
TCP fd00:0000:0000:0000:0000:0000:0000:0007 D431 fd00:0000:0000:0000:0000:0000:0000:0100 01BB \
fd00:0000:0000:0000:0000:0000:0000:0128 01BB FIN_WAIT        119
TCP fd00:0000:0000:0000:0000:0000:0000:0007 D431 fd00:0000:0000:0000:0000:0000:0000:0100 01BB 0A090909 01BB SYN_RECV 3
half a li
"""


def test_connections() -> None:
    assert ipvs_conn.parse(CONNECTIONS.splitlines()) == [
        Connection("tcp", "192.168.1.7", 54321, "192.168.1.100", 80, "192.168.1.129", 80, "ESTABLISHED", 899, "", ""),
        Connection(
            "udp",
            "192.168.1.7",
            5060,
            "192.168.1.100",
            5060,
            "10.9.9.9",
            5060,
            "UDP",
            60,
            "sip",
            "call-id with blanks@192.168.1.7",
        ),
        Connection("ip", "192.168.1.7", 0, "0.0.0.7", 0, "192.168.1.129", 0, "NONE", 299, "", ""),
        Connection("tcp", "fd00::7", 54321, "fd00::100", 443, "fd00::128", 443, "FIN_WAIT", 119, "", ""),
        Connection("tcp", "fd00::7", 54321, "fd00::100", 443, "10.9.9.9", 443, "SYN_RECV", 3, "", ""),
    ]


@pytest.mark.parametrize(
    "client,servers",
    [
        ("192.168.1.7", ["192.168.1.129", "10.9.9.9", "192.168.1.129"]),
        ("fd00:0::7", ["fd00::128", "10.9.9.9"]),
        ("::1", []),
    ],
)
def test_connections_of_one_client(
    client: str, servers: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ip_vs_conn"
    file.write_text(CONNECTIONS)
    monkeypatch.setattr(ipvs_conn, "_PATH", str(file))
    assert [entry.server for entry in ipvs_conn.connections(client=client)] == servers
    assert len(ipvs_conn.connections()) == 5


def test_udp_flows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "ip_vs_conn"
    template = "UDP C0A80107 0000 C0A80164 13C4 0A090909 13C4 ASSURED        299\n"
    file.write_text(CONNECTIONS + template)
    monkeypatch.setattr(ipvs_conn, "_PATH", str(file))
    assert ipvs_conn.udp_flows() == {("10.9.9.9", 5060): 1}
    file.write_text(CONNECTIONS.splitlines()[2] + "\n" + template * 1000)
    seconds = iter(range(100))
    assert ipvs_conn.udp_flows(within_s=9, clock=lambda: next(seconds)) == {("10.9.9.9", 5060): 1}
    with pytest.raises(ipvs_conn.TooLong):
        ipvs_conn.udp_flows(within_s=2, clock=lambda: next(seconds))


def test_without_ip_vs_there_is_no_list_of_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ipvs_conn, "_PATH", "/nonexistent/ip_vs_conn")
    with pytest.raises(ipvs_conn.ConnectionsUnreadable, match="modprobe ip_vs"):
        ipvs_conn.connections()
