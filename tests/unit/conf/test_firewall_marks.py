# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Firewall marks for virtual servers: rules for iptables, and what is wrong with an entry."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from _lvs_agent.conf import check, firewall_marks
from _lvs_agent.conf.problem import BadValue

VIP = "192.0.2.100"


def words(*entries: dict[str, Any]) -> list[str]:
    return [" ".join(rule["rule"]) for rule in firewall_marks.rules({firewall_marks.VARIABLE: list(entries)})]


def test_ports_of_a_vip() -> None:
    entry = {"mark": 1, "destination": VIP, "protocol": "TCP", "destination_ports": [80, "443", "8000-8010"]}
    assert words(entry) == [
        "-d 192.0.2.100/32 -p tcp -m multiport --dports 80,443,8000:8010 -j MARK --set-mark 1"
    ]


def test_all_packets_of_an_interface_to_a_network() -> None:
    entry = {"mark": 4294967295, "destination": "2001:db8::/64", "interface": "eth0"}
    assert firewall_marks.rules({firewall_marks.VARIABLE: [entry]}) == [
        {"ip_version": "ipv6", "rule": ["-i", "eth0", "-d", "2001:db8::/64", "-j", "MARK", "--set-mark", "4294967295"]}
    ]


def test_a_rule_takes_fifteen_ports() -> None:
    entry = {"mark": 1, "destination": VIP, "protocol": "udp", "destination_ports": [*range(1, 15), "100-200", 300]}
    first, second = words(entry)
    assert first.endswith("--dports 1,2,3,4,5,6,7,8,9,10,11,12,13,14 -j MARK --set-mark 1")
    assert second.endswith("--dports 100:200,300 -j MARK --set-mark 1")


@pytest.mark.host
def test_iptables_takes_the_rules() -> None:
    ports = [*range(1, 15), "100-200", 300]
    entries = [
        {"mark": 1, "destination": VIP, "protocol": "udp", "destination_ports": ports},
        {"mark": 2, "destination": "192.0.2.0/24", "interface": "eth0"},
        {"mark": 4294967295, "destination": VIP, "protocol": "sctp"},
    ]
    rules = [f"-A LINUXHA_LVS {one}" for one in words(*entries)]
    text = "\n".join(["*mangle", ":LINUXHA_LVS - [0:0]", *rules, "COMMIT", ""])
    argv = ["unshare", "--net", "/usr/sbin/iptables-restore", "--noflush"]
    asked = subprocess.run(argv, input=text, check=False, capture_output=True, text=True, timeout=30)
    assert (asked.returncode, asked.stderr) == (0, "")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"mark": 0}, "mark 0 is not a mark; write a number from 1 to 4294967295"),
        ({"mark": 2**32}, "mark 4294967296 is not a mark; write a number from 1 to 4294967295"),
        ({"mark": True}, "mark True is not a mark; write a number from 1 to 4294967295"),
        ({"mark": None}, "mark None is not a mark; write a number from 1 to 4294967295"),
        ({"destination": None}, "there is no destination; write the VIP that the packets are sent to"),
        (
            {"destination": "192.0.2.9/24"},
            "192.0.2.9/24 has bits beyond its prefix length; write 192.0.2.0/24 or 192.0.2.9",
        ),
        ({"destination": "192.0.2.300"}, "'192.0.2.300' is not an IP address: its part 300 is above 255"),
        ({"protocol": "icmp"}, "protocol 'icmp' is not known; it can be tcp, udp, sctp, or left out"),
        ({"protocol": None}, "destination_ports without a protocol; write protocol: tcp"),
        ({"destination_ports": [0]}, "'0' is not a port; write a number from 1 to 65535"),
        ({"destination_ports": ["90-80"]}, "the ports 90-80 do not end above their start"),
        ({"interface": "eth0 -j DROP"}, "'eth0 -j DROP' is not the name of an interface"),
        ({"interface": "a" * 16}, f"'{'a' * 16}' is not the name of an interface"),
        (
            {"ports": [80]},
            "there is no option 'ports'; it can be destination, destination_ports, interface, mark, protocol",
        ),
        ({"destinatoin": VIP}, "there is no option 'destinatoin'; did you mean destination?"),
    ],
)
def test_an_entry_that_is_wrong(change: dict[str, Any], message: str) -> None:
    entry = {"mark": 1, "destination": VIP, "protocol": "tcp", "destination_ports": [80], **change}
    with pytest.raises(BadValue) as caught:
        firewall_marks.read(entry)
    assert str(caught.value) == message


def site(marks: list[Any], **server: Any) -> list[str]:
    real_servers = [{"ip": "192.0.2.21", "port": 0, "weight": 1}]
    variables = {
        "director_address": "192.0.2.11",
        "director_firewall_marks": marks,
        "director_virtual_servers": [{"lb_kind": "DR", "lb_algo": "rr", "real_server": real_servers, **server}],
    }
    found = check.site_problems({"lvs01": variables}, {})
    return [str(one) for one in found if one.where.startswith(firewall_marks.VARIABLE)]


def test_marks_and_virtual_servers_belong_together() -> None:
    entry = {"mark": 1, "destination": VIP}
    assert site([entry], fwmark=1) == []
    assert site([], fwmark=1) == []  # something else sets it
    assert site([entry, {**entry, "mark": 3}], fwmark=1) == [
        "director_firewall_marks[1].mark (lvs01): no virtual server has fwmark 3; marks of virtual servers: 1"
    ]
    assert site([{"mark": 1, "destination": "2001:db8::1"}], fwmark=1) == [
        (
            "director_firewall_marks[0].destination (lvs01): 2001:db8::1/128 is IPv6, the real servers of fwmark 1"
            " are not; write a destination of their family"
        )
    ]
    assert site([{**entry, "mark": 2}], fwmark=1)[-1] == (
        "warning: director_firewall_marks (lvs01): nothing sets mark 1, which a virtual server has;"
        " write an entry for it, unless another tool sets it"
    )
