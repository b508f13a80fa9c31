# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""ipvs_service on a kernel that has ip_vs; what is true is what ipvsadm says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from guest_steps import Steps

pytestmark = pytest.mark.root

STEPS = Steps()
OTHER = ["-A -t 203.0.113.9:80 -s rr", "-a -t 203.0.113.9:80 -r 198.51.100.9:80 -m -w 7"]
WEB: dict[str, Any] = {"address": "192.0.2.1", "port": 80}
SIX: dict[str, Any] = {"address": "2001:DB8::1", "port": 443}
NAME, NAME6 = "-t 192.0.2.1:80", "-t [2001:db8::1]:443"


@dataclass
class Life:
    """A service from its first task to its last, beside one that is nobody's: what ipvsadm saved after each task."""

    id: str
    first: dict[str, Any]
    first_lines: list[str]
    second: dict[str, Any]
    second_lines: list[str]
    steps: dict[str, int] = field(default_factory=dict)

    def plan(self) -> Life:
        add = self.steps
        STEPS.restore(OTHER)
        add["first, check"] = STEPS.module("ipvs_service", self.first, check=True)
        add["saved before"] = STEPS.saved()
        add["first"] = STEPS.module("ipvs_service", self.first)
        add["saved first"] = STEPS.saved()
        add["again, check"] = STEPS.module("ipvs_service", self.first, check=True)
        add["again"] = STEPS.module("ipvs_service", self.first)
        add["second, check"] = STEPS.module("ipvs_service", self.second, check=True)
        add["saved unchanged"] = STEPS.saved()
        add["second"] = STEPS.module("ipvs_service", self.second)
        add["saved second"] = STEPS.saved()
        gone = {**self.second, "state": "absent"}
        add["absent, check"] = STEPS.module("ipvs_service", gone, check=True)
        add["absent"] = STEPS.module("ipvs_service", gone)
        add["saved absent"] = STEPS.saved()
        add["absent again"] = STEPS.module("ipvs_service", gone)
        return self


def life(id: str, first: dict[str, Any], lines: list[str], second: dict[str, Any], then: list[str]) -> Life:  # noqa: A002
    return Life(id, first, lines, second, then).plan()


def servers(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"real_servers": list(entries), "purge_real_servers": True}


ONE = {"address": "198.51.100.1"}
LIVES = [
    life("scheduler", {**WEB}, [f"-A {NAME} -s wlc"], {**WEB, "scheduler": "rr"}, [f"-A {NAME} -s rr"]),
    life(
        "sched_flags",
        {**WEB, "scheduler": "sh", "sched_flags": ["sh-port"]},
        [f"-A {NAME} -s sh -b sh-port"],
        {**WEB, "scheduler": "mh", "sched_flags": ["mh-fallback", "flag-2"]},
        [f"-A {NAME} -s mh -b mh-fallback,mh-port"],
    ),
    life(
        "persistent",
        {**WEB, "persistent": 300, "netmask": "255.255.255.0"},
        [f"-A {NAME} -s wlc -p 300 -M 255.255.255.0"],
        {**WEB, "persistent": 60},
        [f"-A {NAME} -s wlc -p 60"],
    ),
    life(
        "persistence goes",
        {**WEB, "persistent": 300, "netmask": "20"},
        [f"-A {NAME} -s wlc -p 300 -M 255.255.240.0"],
        {**WEB},
        [f"-A {NAME} -s wlc"],
    ),
    life(
        "IPv6, netmask",
        {**SIX, "scheduler": "rr", "persistent": 300, "netmask": "64"},
        [f"-A {NAME6} -s rr -p 300 -M 64"],
        {**SIX, "scheduler": "rr", "persistent": 300},
        [f"-A {NAME6} -s rr -p 300"],
    ),
    life(
        "all ports",
        {**WEB, "port": 0, "persistent": 10, **servers({**ONE, "forward": "masq"})},
        ["-A -t 192.0.2.1:0 -s wlc -p 10", "-a -t 192.0.2.1:0 -r 198.51.100.1:0 -m -w 1"],
        {**WEB, "port": 0, "persistent": 10, **servers({**ONE, "forward": "masq", "port": 8080})},
        ["-A -t 192.0.2.1:0 -s wlc -p 10", "-a -t 192.0.2.1:0 -r 198.51.100.1:8080 -m -w 1"],
    ),
    life(
        "UDP, pe and ops",
        {**WEB, "protocol": "udp", "port": 5060, "persistent": 60, "pe": "sip", "ops": True},
        ["-A -u 192.0.2.1:5060 -s wlc -p 60 --pe sip -o"],
        {**WEB, "protocol": "udp", "port": 5060, "persistent": 60},
        ["-A -u 192.0.2.1:5060 -s wlc -p 60"],
    ),
    life(
        "SCTP",
        {**WEB, "protocol": "sctp", **servers(ONE)},
        ["-A --sctp-service 192.0.2.1:80 -s wlc", "-a --sctp-service 192.0.2.1:80 -r 198.51.100.1:80 -g -w 1"],
        {**WEB, "protocol": "sctp", **servers()},
        ["-A --sctp-service 192.0.2.1:80 -s wlc"],
    ),
    life(
        "firewall mark",
        {"fwmark": 2147483647, "scheduler": "rr", **servers({**ONE, "forward": "masq", "port": 81})},
        ["-A -f 2147483647 -s rr", "-a -f 2147483647 -r 198.51.100.1:81 -m -w 1"],
        {"fwmark": 2147483647, "scheduler": "rr", "ops": True, **servers(ONE)},
        ["-A -f 2147483647 -s rr -o", "-a -f 2147483647 -r 198.51.100.1:0 -g -w 1"],
    ),
    life(
        "firewall mark, IPv6",
        {"fwmark": 7, "family": "inet6", "scheduler": "rr", **servers({"address": "2001:db8::9-b"})},
        ["-A -f 7 -6 -s rr", *(f"-a -f 7 -6 -r [2001:db8::{x}]:0 -g -w 1" for x in "9ab")],
        {"fwmark": 7, "family": "inet6", "scheduler": "rr", **servers({"address": "2001:db8::a"})},
        ["-A -f 7 -6 -s rr", "-a -f 7 -6 -r [2001:db8::a]:0 -g -w 1"],
    ),
    life(
        "weight, ranges",
        {**WEB, **servers({"address": "198.51.100.254-198.51.101.1", "weight": 0}, {**ONE, "weight": 2147483647})},
        [
            f"-A {NAME} -s wlc",
            *(f"-a {NAME} -r 198.51.{last}:80 -g -w 0" for last in ("100.254", "100.255", "101.0", "101.1")),
            f"-a {NAME} -r 198.51.100.1:80 -g -w 2147483647",
        ],
        {**WEB, **servers({"address": "198.51.101.0/31"}, {**ONE, "weight": 5})},
        [
            f"-A {NAME} -s wlc",
            *(f"-a {NAME} -r 198.51.101.{last}:80 -g -w 1" for last in (0, 1)),
            f"-a {NAME} -r 198.51.100.1:80 -g -w 5",
        ],
    ),
    life(
        "forward",
        {**WEB, **servers({**ONE, "forward": "masq", "port": 8080}, {"address": "198.51.100.2"})},
        [
            f"-A {NAME} -s wlc",
            f"-a {NAME} -r 198.51.100.1:8080 -m -w 1",
            f"-a {NAME} -r 198.51.100.2:80 -g -w 1",
        ],
        {**WEB, **servers({**ONE, "forward": "route"}, {"address": "198.51.100.2", "forward": "tunnel"})},
        [
            f"-A {NAME} -s wlc",
            f"-a {NAME} -r 198.51.100.1:80 -g -w 1",
            f"-a {NAME} -r 198.51.100.2:80 -i -w 1 --tun-type ipip",
        ],
    ),
    life(
        "tunnels",
        {
            **WEB,
            **servers(
                {"address": "198.51.100.1", "forward": "tunnel", "tun_type": "gue", "tun_port": 6080},
                {"address": "198.51.100.2", "forward": "tunnel", "tun_type": "gre", "tun_csum": "csum"},
                {"address": "2001:db8::2", "forward": "tunnel"},
            ),
        },
        [
            f"-A {NAME} -s wlc",
            f"-a {NAME} -r 198.51.100.1:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum",
            f"-a {NAME} -r 198.51.100.2:80 -i -w 1 --tun-type gre --tun-csum",
            f"-a {NAME} -r [2001:db8::2]:80 -i -w 1 --tun-type ipip",
        ],
        {
            **WEB,
            **servers(
                {
                    "address": "198.51.100.1",
                    "forward": "tunnel",
                    "tun_type": "gue",
                    "tun_port": 6081,
                    "tun_csum": "remcsum",
                },
                {"address": "198.51.100.2", "forward": "tunnel", "tun_type": "gre"},
            ),
        },
        [
            f"-A {NAME} -s wlc",
            f"-a {NAME} -r 198.51.100.1:80 -i -w 1 --tun-type gue --tun-port 6081 --tun-remcsum",
            f"-a {NAME} -r 198.51.100.2:80 -i -w 1 --tun-type gre --tun-nocsum",
        ],
    ),
    life(
        "services",
        {"address": "192.0.2.1", **servers(ONE), "services": [{"port": 80}, {"port": 81, "real_servers": []}]},
        [f"-A {NAME} -s wlc", f"-a {NAME} -r 198.51.100.1:80 -g -w 1", "-A -t 192.0.2.1:81 -s wlc"],
        {
            "scheduler": "rr",
            "address": "192.0.2.1",
            "services": [{"port": 80}, {"port": 81, "scheduler": "mh"}, {"fwmark": 3}, {**SIX, "protocol": "udp"}],
        },
        [
            f"-A {NAME} -s rr",
            f"-a {NAME} -r 198.51.100.1:80 -g -w 1",
            "-A -t 192.0.2.1:81 -s mh",
            "-A -f 3 -s rr",
            "-A -u [2001:db8::1]:443 -s rr",
        ],
    ),
]

# Thresholds, counters and what the task does not name: what ipvsadm shows elsewhere than in -S.
STEPS.restore(OTHER)
LIMITED = {**WEB, "real_servers": [{**ONE, "u_threshold": 20, "l_threshold": 10}]}
THRESHOLDS = [
    STEPS.module("ipvs_service", LIMITED),
    STEPS.run("ipvsadm", "-Ln", "--thresholds"),
    STEPS.module("ipvs_service", LIMITED),
    STEPS.module("ipvs_service", {**WEB, "real_servers": [{**ONE, "u_threshold": 30}]}),
    STEPS.run("ipvsadm", "-Ln", "--thresholds"),
]
STEPS.restore([*OTHER, f"-A {NAME} -s rr -p 60", f"-a {NAME} -r 198.51.100.1:80 -g -w 5"])
KEPT = [STEPS.module("ipvs_service", {**WEB, "real_servers": [{"address": "198.51.100.2"}]}), STEPS.saved()]
ALONE = [STEPS.module("ipvs_service", {**WEB, "scheduler": "rr"}), STEPS.saved()]

STEPS.restore(["-A -u 10.0.0.1:5000 -s rr", "-a -u 10.0.0.1:5000 -r 10.0.0.2:5000 -m -w 1"])
COUNTED = {"protocol": "udp", "address": "10.0.0.1", "port": 5000, "scheduler": "rr", "zero": True}
ZERO = [
    STEPS.module("ipvs_service", COUNTED),
    STEPS.run("bash", "-c", "echo >/dev/udp/10.0.0.1/5000"),
    # The kernel adds its counters up every two seconds.
    STEPS.run("bash", "-c", "for try in {1..40}; do ipvsadm -Ln --stats | grep -q 5000.*1 && break; sleep 0.2; done"),
    STEPS.run("ipvsadm", "-Ln", "--stats", "--exact"),
    STEPS.module("ipvs_service", COUNTED, check=True),
    STEPS.module("ipvs_service", COUNTED),
    STEPS.run("ipvsadm", "-Ln", "--stats", "--exact"),
    STEPS.module("ipvs_service", COUNTED),
]

# The guest has loaded some schedulers and cannot load others: `lblc` is refused after `rr` was added.
STEPS.restore([*OTHER, f"-A {NAME} -s rr", f"-a {NAME} -r 198.51.100.1:80 -g -w 5"])
HALF = {
    "real_servers": [{"address": "198.51.100.7-8", "weight": 3}],
    "purge_real_servers": True,
    "services": [{**WEB, "scheduler": "mh"}, {**WEB, "port": 81}, {**WEB, "port": 82, "scheduler": "lblc"}],
}
TAKEN_BACK = [STEPS.saved(), STEPS.module("ipvs_service", HALF), STEPS.saved()]
STEPS.run("ipvsadm", "--start-daemon", "master", "--mcast-interface", "d0")
MIXED = {**WEB, "real_servers": [{"address": "2001:db8::5", "forward": "tunnel"}]}
MIXED_FAMILY = [STEPS.module("ipvs_service", MIXED), STEPS.saved()]
STEPS.run("ipvsadm", "--stop-daemon", "master")

BAD: list[tuple[str, dict[str, Any], list[str]]] = [
    ("scheduler", {**WEB, "scheduler": "wlcc"}, ["scheduler: 'wlcc'", "did you mean wlc?"]),
    ("flag", {**WEB, "scheduler": "mh", "sched_flags": ["mh-prot"]}, ["sched_flags", "'mh-prot'", "mh-port"]),
    ("flag of another", {**WEB, "scheduler": "mh", "sched_flags": ["sh-port"]}, ["'sh-port'", "scheduler mh"]),
    ("nothing", {}, ["no virtual service is named", "address and port, or fwmark"]),
    ("no port", {"address": "192.0.2.1"}, ["port: missing"]),
    ("port 0", {**WEB, "port": 0}, ["port: 0, all ports, works with persistence only"]),
    ("port", {**WEB, "port": 65536}, ["port: 65536 is out of range", "0 to 65535"]),
    ("fwmark and port", {"fwmark": 7, "port": 80}, ["port: a service is named by its address or by fwmark 7"]),
    ("fwmark 0", {"fwmark": 0}, ["fwmark: 0 is out of range; write a whole number from 1 to 4294967295"]),
    ("address", {**WEB, "address": "192.0.2.300"}, ["'192.0.2.300' is not an IP address", "300 is above 255"]),
    ("address range", {**WEB, "address": "192.0.2.1-3"}, ["192.0.2.1-3 is more than one address"]),
    ("any address", {**WEB, "address": "0.0.0.0"}, ["address: 0.0.0.0 cannot be a virtual IP: it is the unspecified"]),
    ("multicast VIP", {**WEB, "address": "224.0.0.18"}, ["224.0.0.18 cannot be a virtual IP: it is a multicast"]),
    ("multicast VIP 6", {**SIX, "address": "ff02::12"}, ["ff02::12 cannot be a virtual IP: it is a multicast address"]),
    ("zone", {**WEB, "address": "fe80::1%lo"}, ["fe80::1%lo names a zone"]),
    ("family", {**WEB, "family": "inet6"}, ["192.0.2.1 is IPv4 and the family is inet6"]),
    ("netmask alone", {**WEB, "netmask": "24"}, ["netmask: 24 counts only for a persistent service"]),
    ("netmask", {**WEB, "persistent": 1, "netmask": "255.0.255.0"}, ["netmask: '255.0.255.0' is no netmask for IPv4"]),
    ("netmask 6", {**SIX, "persistent": 1, "netmask": "0"}, ["netmask: '0' is no netmask for IPv6", "1 to 128"]),
    ("persistent", {**WEB, "persistent": 2678401}, ["persistent: 2678401 is out of range"]),
    ("pe", {**WEB, "persistent": 1, "pe": "sip"}, ["pe: sip reads UDP only"]),
    ("pe alone", {**WEB, "protocol": "udp", "pe": "sip"}, ["pe: sip counts only for a persistent service"]),
    ("ops", {**WEB, "ops": True}, ["ops: one-packet scheduling is for UDP only"]),
    (
        "DR port",
        {**WEB, "real_servers": [{**ONE, "port": 8080}]},
        ["real_servers[0].port: with route the real server gets the packet as it is, for port 80; 8080 is ignored"],
    ),
    ("TUN port", {**WEB, "real_servers": [{**ONE, "port": 8080, "forward": "tunnel"}]}, ["with tunnel", "8080"]),
    ("NAT port 0", {**WEB, "real_servers": [{**ONE, "port": 0, "forward": "masq"}]}, ["real_servers[0].port: 0 means"]),
    ("weight", {**WEB, "real_servers": [{**ONE, "weight": -1}]}, ["real_servers[0].weight: -1", "0 to 2147483647"]),
    ("weight, high", {**WEB, "real_servers": [{**ONE, "weight": 2147483648}]}, ["weight: 2147483648 is out of range"]),
    ("threshold", {**WEB, "real_servers": [{**ONE, "u_threshold": 2147483648}]}, ["u_threshold: 2147483648 is out of"]),
    ("IPv6 in IPv4", {**WEB, "real_servers": [{"address": "2001:db8::2"}]}, ["IPv6 and the service is IPv4", "tunnel"]),
    ("IPv4 in IPv6", {**SIX, "real_servers": [{**ONE, "forward": "masq"}]}, ["IPv4 and the service is IPv6"]),
    ("multicast", {**WEB, "real_servers": [{"address": "224.0.0.5"}]}, ["224.0.0.5 cannot be a host's address"]),
    ("broadcast", {**WEB, "real_servers": [{"address": "255.255.255.255"}]}, ["255.255.255.255 cannot be"]),
    ("link-local", {**SIX, "real_servers": [{"address": "fe80::5"}]}, ["fe80::5 cannot be a host's address"]),
    ("range", {**WEB, "real_servers": [{"address": "198.51.100.9-3"}]}, ["does not end above its start"]),
    ("thresholds", {**WEB, "real_servers": [{**ONE, "u_threshold": 5, "l_threshold": 6}]}, ["6 is above u_threshold"]),
    ("l_threshold", {**WEB, "real_servers": [{**ONE, "l_threshold": 6}]}, ["l_threshold: 6 without a u_threshold"]),
    ("tun_type", {**WEB, "real_servers": [{**ONE, "tun_type": "gue"}]}, ["tun_type with forward route has no meaning"]),
    ("tun_port", {**WEB, "real_servers": [{**ONE, "forward": "tunnel", "tun_port": 5}]}, ["of type ipip has no port"]),
    ("gue", {**WEB, "real_servers": [{**ONE, "forward": "tunnel", "tun_type": "gue"}]}, ["tun_port: missing"]),
    (
        "checksum",
        {**WEB, "real_servers": [{**ONE, "forward": "tunnel", "tun_type": "gre", "tun_csum": "remcsum"}]},
        ["tun_csum: remcsum is not for tunnels of type gre", "nocsum, csum"],
    ),
    ("twice", {**WEB, "real_servers": [ONE, {"address": "198.51.100.0/30"}]}, ["198.51.100.1:80 is listed twice"]),
    ("services twice", {"services": [WEB, WEB]}, ["services[1]: virtual service tcp 192.0.2.1:80 is listed twice"]),
    ("purge", {**WEB, "purge_real_servers": True}, ["real_servers: missing, and purge_real_servers is set"]),
    ("zero", {**WEB, "zero": True, "state": "absent"}, ["zero: an absent service has no counters"]),
    ("timeout", {**WEB, "timeout": 0}, ["timeout: 0.0 is out of range"]),
    ("timeouts that are none", {**WEB, "timeout": "inf", "scheduler": "x"}, ["timeout: inf is out of range", "'x'"]),
    ("timeout, nan", {**WEB, "timeout": "nan"}, ["timeout: nan is out of range"]),
    ("netns", {**WEB, "netns": "customr"}, ["network namespace customr", "customer"]),
    (
        "several",
        {"services": [{**WEB, "scheduler": "r"}, {**WEB, "port": 81, "real_servers": [{**ONE, "weight": -1}]}]},
        ["services[0].scheduler: 'r'", "services[1].real_servers[0].weight: -1", "Nothing was changed."],
    ),
]
# keepalived's names, and a real server that is this host.
THEIRS = {
    "protocol": "TCP",
    "address": "192.0.2.77",
    "port": 80,
    "lb_algo": "sh",
    "persistence_timeout": 50,
    "real_server": [{"address": "198.51.100.1", "lb_kind": "NAT"}, {"address": "10.0.0.1", "lb_kind": "DR"}],
}
RETURNED = [
    STEPS.module("ipvs_service", THEIRS),
    STEPS.module("ipvs_info", {"service": {"protocol": "TCP", "address": "192.0.2.77", "port": 80}}),
    STEPS.module("ipvs_service", THEIRS),
]
STEPS.restore(OTHER)
STEPS.run("ip", "netns", "add", "customer")
REFUSED = [
    (STEPS.module("ipvs_service", arguments), STEPS.module("ipvs_service", arguments, check=True), STEPS.saved())
    for _id, arguments, _words in BAD
]

NETNS = [
    STEPS.module("ipvs_service", {**WEB, "netns": "customer"}),
    STEPS.module("ipvs_service", {**WEB, "netns": "/run/netns/customer"}),
    STEPS.run("ip", "netns", "exec", "customer", "ipvsadm", "-Sn"),
    STEPS.saved(),
]
STEPS.run("ip", "netns", "delete", "customer")

MODULES: list[tuple[str, dict[str, Any]]] = [
    ("ipvs_service", WEB),
    ("ipvs_real_server", {"service": WEB, "address": ["198.51.100.1"]}),
    ("ipvs_info", {}),
    ("ipvs_config", {"timeouts": {"tcp": 5}}),
]
UNPRIVILEGED = [STEPS.module(name, arguments, user=65534) for name, arguments in MODULES]
STEPS.run("ipvsadm", "-C")
# A namespace is gone only after a grace period of the kernel, and holds the module until then.
UNLOAD = "for try in {1..50}; do modprobe -r ip_vs_{rr,wlc,sh,mh,pe_sip} ip_vs && break; sleep 0.2; done"
STEPS.run("bash", "-c", UNLOAD)
WITHOUT = [STEPS.module(name, arguments, check=check) for name, arguments in MODULES for check in (False, True)]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The answer of each step."""
    return STEPS.boot(
        tmp_path_factory.mktemp("service"),
        "ip address add 10.0.0.1/24 dev lo; ip address add 10.0.0.2/24 dev lo\n"
        "ip link add d0 type dummy; ip link set d0 up; ip address add 10.1.0.1/24 dev d0",
    )


def table(text: str) -> list[str]:
    return sorted(text.splitlines())


@pytest.mark.parametrize("this", LIVES, ids=lambda this: this.id)
def test_set_again_changed_and_removed(said: list[Any], this: Life) -> None:
    answers = {name: said[number] for name, number in this.steps.items()}
    results = {name: result for name, result in answers.items() if isinstance(result, dict)}
    assert {name: result.get("msg") for name, result in results.items() if "msg" in result} == {}
    assert {name: result["changed"] for name, result in results.items()} == {
        name: "again" not in name for name in results
    }
    assert table(answers["saved before"]) == table(answers["saved absent"]) == sorted(OTHER)
    assert table(answers["saved first"]) == table(answers["saved unchanged"]) == sorted([*OTHER, *this.first_lines])
    assert table(answers["saved second"]) == sorted([*OTHER, *this.second_lines])


@pytest.mark.parametrize("this", LIVES, ids=lambda this: this.id)
def test_check_mode_says_what_is_done_and_the_diff_is_the_tables(said: list[Any], this: Life) -> None:
    answers = {name: said[number] for name, number in this.steps.items()}
    for name in ("first", "second", "absent"):
        for key in ("commands", "diff", "services"):
            assert answers[f"{name}, check"][key] == answers[name][key]
    assert table(answers["first"]["diff"]["before"]) == []
    assert table(answers["first"]["diff"]["after"]) == sorted(this.first_lines)
    assert table(answers["second"]["diff"]["after"]) == sorted(this.second_lines)
    assert table(answers["again"]["diff"]["before"]) == table(answers["again"]["diff"]["after"])
    assert table(answers["absent"]["diff"]["after"]) == []
    assert answers["again"]["commands"] == []


@pytest.fixture(scope="module")
def replayed(said: list[Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The table after ipvsadm itself has run the commands of each life's second task."""
    steps = Steps()
    numbers = {}
    for this in LIVES:
        lines = [*said[this.steps["first"]]["commands"], *said[this.steps["second"]]["commands"]]
        numbers[this.id] = steps.restore(lines), steps.saved()
    answers = steps.boot(tmp_path_factory.mktemp("replayed"))
    assert [answers[restored] for restored, _saved in numbers.values()] == [""] * len(LIVES)
    return {id: answers[saved] for id, (_restored, saved) in numbers.items()}  # noqa: A001


@pytest.mark.parametrize("this", LIVES, ids=lambda this: this.id)
def test_the_commands_are_ipvsadms(replayed: dict[str, str], this: Life) -> None:
    assert table(replayed[this.id]) == sorted(this.second_lines)


def test_the_services_returned_are_what_the_kernel_has(said: list[Any]) -> None:
    done, info, again = (said[number] for number in RETURNED)
    assert "msg" not in done, done["msg"]
    (service,), (expected,) = done["services"], info["services"]
    names = set(service["servers"][0])
    for entry in (expected, *expected["servers"]):
        for counter in ("stats", "rates"):
            del entry[counter]
    servers = {one["address"]: {name: one[name] for name in names} for one in expected.pop("servers")}
    assert {one["address"]: one for one in service.pop("servers")} == servers
    assert service == expected
    assert (service["scheduler"], service["persistent"]) == ("sh", 50)
    assert sorted(one["forward"] for one in servers.values()) == ["masq", "route"]
    assert not again["changed"]


def test_thresholds(said: list[Any]) -> None:
    first, shown, again, second, shown_then = (said[number] for number in THRESHOLDS)
    assert [first["changed"], again["changed"], second["changed"]] == [True, False, True]
    assert "-x 20 -y 10" in first["diff"]["after"]
    uppers = [line.split()[2:4] for line in (shown + shown_then).splitlines() if "198.51.100.1:80" in line]
    assert uppers == [["20", "10"], ["30", "0"]]


def test_servers_that_are_not_listed_stay_and_options_do_not(said: list[Any]) -> None:
    changed, saved = said[KEPT[0]], table(said[KEPT[1]])
    assert changed["commands"] == [
        f"ipvsadm -E {NAME} -s wlc",
        f"ipvsadm -a {NAME} -r 198.51.100.2:80 -g -w 1",
    ]
    assert f"-a {NAME} -r 198.51.100.1:80 -g -w 5" in saved
    assert said[ALONE[0]]["commands"] == [f"ipvsadm -E {NAME} -s rr"]
    assert set(saved) - set(table(said[ALONE[1]])) == {f"-A {NAME} -s wlc"}


def test_counters_start_from_zero(said: list[Any]) -> None:
    before, _packet, _waited, counted, check, zeroed, shown, again = (said[number] for number in ZERO)
    assert not before["changed"]
    assert [line.split()[2] for line in counted.splitlines() if "10.0.0" in line] == ["1", "1"]
    for result in (check, zeroed):
        assert result["changed"]
        assert result["commands"] == ["ipvsadm -Z -u 10.0.0.1:5000"]
    assert [line.split()[2:] for line in shown.splitlines() if "10.0.0" in line] == [["0"] * 5] * 2
    assert not again["changed"]


def test_a_refusal_half_way_takes_back_what_was_done(said: list[Any]) -> None:
    before, result, after = (said[number] for number in TAKEN_BACK)
    assert result["failed"]
    assert "ipvsadm -A -t 192.0.2.1:82 -s lblc" in result["msg"]
    assert "modprobe ip_vs_lblc" in result["msg"]
    assert "the table is as it was" in result["msg"]
    assert table(before) == table(after)
    assert f"-a {NAME} -r 198.51.100.1:80 -g -w 5" in table(after)


def test_what_only_the_kernel_can_know_is_refused_by_it(said: list[Any]) -> None:
    result, after = (said[number] for number in MIXED_FAMILY)
    assert "excludes synchronisation daemons" in result["msg"]
    assert table(after) == table(said[TAKEN_BACK[2]])


@pytest.mark.parametrize(
    "case, steps", [pytest.param(case, steps, id=case[0]) for case, steps in zip(BAD, REFUSED, strict=True)]
)
def test_one_clear_message_and_nothing_changed(
    said: list[Any], case: tuple[str, dict[str, Any], list[str]], steps: tuple[int, int, int]
) -> None:
    result, check, saved = (said[number] for number in steps)
    assert result["failed"]
    assert result["msg"] == check["msg"]
    assert [word for word in case[2] if word not in result["msg"]] == [], result["msg"]
    assert table(saved) == sorted(OTHER)


def test_another_network_namespace(said: list[Any]) -> None:
    by_name, by_path, inside, outside = (said[number] for number in NETNS)
    assert (by_name["changed"], by_path["changed"]) == (True, False)
    assert table(inside) == [f"-A {NAME} -s wlc"]
    assert table(outside) == sorted(OTHER)


def test_without_root_one_message(said: list[Any]) -> None:
    for number in UNPRIVILEGED:
        assert said[number]["failed"]
        assert "this needs root (CAP_NET_ADMIN)" in said[number]["msg"]


def test_without_ip_vs_one_message_in_check_mode_too(said: list[Any]) -> None:
    for number in WITHOUT:
        assert said[number]["failed"]
        assert "run `modprobe ip_vs`" in said[number]["msg"]
