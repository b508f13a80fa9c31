# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""ipvs_real_server and ipvs_info on a kernel that has ip_vs and carries connections; what is true ipvsadm says."""

from __future__ import annotations

from typing import Any

import pytest
from guest_steps import Steps

pytestmark = pytest.mark.root

STEPS = Steps()
NAME = "-t 192.0.2.1:80"
WEB: dict[str, Any] = {"service": {"address": "192.0.2.1", "port": 80}}
ONE: dict[str, Any] = {**WEB, "address": ["198.51.100.1"]}
TABLE = [
    "-A -t 203.0.113.9:80 -s rr",
    "-a -t 203.0.113.9:80 -r 198.51.100.1:80 -m -w 7",
    f"-A {NAME} -s rr",
    f"-a {NAME} -r 198.51.100.1:8080 -m -w 5",
    f"-a {NAME} -r 198.51.100.2:80 -m -w 5",
    f"-a {NAME} -r 198.51.100.3:80 -i -w 5 --tun-type gue --tun-port 6080 --tun-csum",
    f"-a {NAME} -r 198.51.100.4:80 -g -w 0",
]


def call(args: dict[str, Any]) -> list[int]:
    """A task in check mode, the table, the task, the table, the task again."""
    STEPS.restore(TABLE)
    return [
        STEPS.module("ipvs_real_server", args, check=True),
        STEPS.saved(),
        STEPS.module("ipvs_real_server", args),
        STEPS.saved(),
        STEPS.module("ipvs_real_server", args),
    ]


def server(last: int) -> dict[str, Any]:
    return {**WEB, "address": [f"198.51.100.{last}"]}


# A task, and the lines it takes from the table and adds to it.
CASES: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    ("new", server(9), [], [f"-a {NAME} -r 198.51.100.9:80 -g -w 1"]),
    (
        "new ones",
        {**WEB, "address": ["198.51.100.9-10", "198.51.100.20"], "forward": "masq", "port": 81, "weight": 0},
        [],
        [f"-a {NAME} -r 198.51.100.{last}:81 -m -w 0" for last in (9, 10, 20)],
    ),
    ("what is not named stays", {**server(2)}, [], []),
    (
        "weight, and the forwarding stays",
        {**server(2), "weight": 9},
        [f"-a {NAME} -r 198.51.100.2:80 -m -w 5"],
        [f"-a {NAME} -r 198.51.100.2:80 -m -w 9"],
    ),
    (
        "weight, and the tunnel stays",
        {**server(3), "weight": 9},
        [TABLE[5]],
        [f"-a {NAME} -r 198.51.100.3:80 -i -w 9 --tun-type gue --tun-port 6080 --tun-csum"],
    ),
    (
        "another tunnel",
        {**server(3), "tun_type": "gre"},
        [TABLE[5]],
        [f"-a {NAME} -r 198.51.100.3:80 -i -w 5 --tun-type gre --tun-nocsum"],
    ),
    (
        "no tunnel",
        {**server(3), "forward": "masq"},
        [TABLE[5]],
        [f"-a {NAME} -r 198.51.100.3:80 -m -w 5"],
    ),
    (
        "back after drained",
        server(4),
        [f"-a {NAME} -r 198.51.100.4:80 -g -w 0"],
        [f"-a {NAME} -r 198.51.100.4:80 -g -w 1"],
    ),
    ("drained on purpose", {**server(4), "weight": 0}, [], []),
    (
        "drained",
        {**WEB, "address": ["198.51.100.2-4"], "state": "drained"},
        [f"-a {NAME} -r 198.51.100.2:80 -m -w 5", TABLE[5]],
        [f"-a {NAME} -r 198.51.100.2:80 -m -w 0", TABLE[5].replace("-w 5", "-w 0")],
    ),
    (
        "drained, another port",
        {**server(1), "port": 8080, "state": "drained"},
        [f"-a {NAME} -r 198.51.100.1:8080 -m -w 5"],
        [f"-a {NAME} -r 198.51.100.1:8080 -m -w 0"],
    ),
    (
        "absent",
        {**WEB, "address": ["198.51.100.3-9"], "state": "absent"},
        [f"-a {NAME} -r 198.51.100.4:80 -g -w 0", TABLE[5]],
        [],
    ),
    ("absent, no such service", {"service": {"fwmark": 9}, "address": ["198.51.100.3"], "state": "absent"}, [], []),
]
CALLS = [call(args) for _id, args, _less, _more in CASES]

BAD: list[tuple[str, dict[str, Any], list[str]]] = [
    ("no service", {**server(1), "service": {"address": "192.0.2.1", "port": 81}}, ["192.0.2.1:81", NAME]),
    ("drain what is not there", {**server(1), "state": "drained"}, ["198.51.100.1:80", "198.51.100.1:8080, 198.51"]),
    ("drain with a weight", {**server(2), "state": "drained", "weight": 0}, ["weight: state drained sets"]),
    ("wait for nothing", {**server(2), "wait": True}, ["wait: there is nothing to wait for with state present"]),
    ("times", {**server(2), "wait_timeout": 0, "wait_interval": -1}, ["wait_timeout: 0.0", "wait_interval: -1.0"]),
    ("DR port", {**server(9), "port": 81}, ["port: with route the real server gets the packet as it is, for port 80"]),
    ("thresholds", {**server(2), "l_threshold": 5}, ["l_threshold: 5 without a u_threshold"]),
    ("tunnel option", {**server(2), "tun_port": 5}, ["tun_port with forward masq has no meaning"]),
    ("twice", {**WEB, "address": ["198.51.100.2", "198.51.100.1-3"]}, ["address[1]: 198.51.100.2 is listed twice"]),
    ("IPv6", {**WEB, "address": ["2001:db8::1-3"]}, ["2001:db8::1 is IPv6 and the service is IPv4"]),
    ("weight", {**WEB, "address": ["198.51.100.1-99"], "weight": -1}, ["weight: -1 is out of range"]),
    ("service", {**ONE, "service": {}}, ["service: no virtual service is named"]),
]
STEPS.restore(TABLE)
REFUSED = [(STEPS.module("ipvs_real_server", args), STEPS.saved()) for _id, args, _words in BAD]
ASSUMED = STEPS.module("ipvs_real_server", {**ONE, "service": {"fwmark": 7}}, check=True)
OTHER_PORT = STEPS.module("ipvs_real_server", {**ONE, "state": "absent"})

# A thousand servers of two tasks.
STEPS.restore([f"-A {NAME} -s rr"])
MANY = {**WEB, "address": ["10.1.0.0-10.1.3.231"], "forward": "masq"}
THOUSAND = [
    STEPS.module("ipvs_real_server", MANY),
    STEPS.saved(),
    STEPS.module("ipvs_real_server", MANY),
    STEPS.module("ipvs_real_server", {**WEB, "address": MANY["address"], "state": "drained"}),
    STEPS.saved(),
]

# A connection that its client holds for a time, in Python's own words.
LISTEN = """
import socket, sys, time
server = socket.create_server((sys.argv[1], 8080))
print("listening", flush=True)
held = server.accept()
time.sleep(600)
"""
HOLD = """
import socket, sys, time
connection = socket.create_connection(("10.0.0.1", 80), 10, ("10.0.0.3", 0))
print("connected", flush=True)
time.sleep(float(sys.argv[1]))
connection.close()
time.sleep(600)
"""
VIP = "-t 10.0.0.1:80"
LIVE: dict[str, Any] = {"service": {"address": "10.0.0.1", "port": 80}, "address": ["10.0.0.2"], "port": 8080}
STEPS.restore([f"-A {VIP} -s rr", f"-a {VIP} -r 10.0.0.2:8080 -m -w 4"])
STEPS.start("python3", "-c", LISTEN, "10.0.0.2")
STEPS.start("python3", "-c", HOLD, "600")
WAIT = {**LIVE, "state": "drained", "wait": True, "wait_timeout": 1.5, "wait_interval": 0.2}
IN_VAIN = [
    STEPS.module("ipvs_real_server", WAIT, check=True),
    STEPS.saved(),
    STEPS.module("ipvs_real_server", WAIT),
    STEPS.run("ipvsadm", "-Ln"),
]
CLIENT = [
    STEPS.module("ipvs_info", {"connections_of": "10.0.0.3"}),
    STEPS.run("ipvsadm", "-Lnc"),
    STEPS.module("ipvs_info", {"connections_of": "10.0.0.4", "service": {"fwmark": 1}}),
    STEPS.module("ipvs_info", {"service": {"address": "10.0.0.1", "port": 80}}),
    STEPS.module("ipvs_info", {"connections_of": "10.0.0.0-9", "service": {"fwmark": 0}}),
]
# Another server, since the kernel would count the connection that is held for the same one when it is added again.
STEPS.restore([f"-A {VIP} -s rr -p 60", f"-a {VIP} -r 10.0.0.4:8080 -m -w 4"])
STEPS.start("python3", "-c", LISTEN, "10.0.0.4")
STEPS.start("python3", "-c", HOLD, "3")
DRAINED = [
    STEPS.module("ipvs_real_server", {**WAIT, "address": ["10.0.0.4"], "wait_timeout": 8}),
    STEPS.run("ipvsadm", "-Ln"),
    STEPS.run("ipvsadm", "-Ln", "--persistent-conn"),
]
STEPS.run("sysctl", "-q", "-w", "net.ipv4.vs.expire_quiescent_template=1")
QUIESCENT = STEPS.module("ipvs_real_server", {**WAIT, "address": ["10.0.0.4"]})

# One client of UDP that goes on until it is told to end, and one of TCP that has ended, behind a firewall mark.
MARKED = """
import os, socket, time
web = socket.socket()
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for client in web, udp:
    client.setsockopt(socket.SOL_SOCKET, 36, 7)  # SO_MARK
    client.bind(("10.0.0.3", 0))
server = socket.create_server(("10.0.0.2", 8081))
web.connect(("10.0.0.1", 8081))
server.accept()[0].close()
web.close()
udp.connect(("10.0.0.1", 8081))
while not os.path.exists("/run/over"):
    udp.send(b"x")
    print("sent", flush=True)
    time.sleep(0.2)
"""
STEPS.restore(["-A -f 7 -s rr", "-a -f 7 -r 10.0.0.2:8081 -m -w 1"])
STEPS.run("ipvsadm", "--set", "0", "0", "3")
STEPS.start("python3", "-c", MARKED)
OF_MARK = {**WAIT, "service": {"fwmark": 7}, "port": 8081}
FLOWS = [STEPS.module("ipvs_real_server", OF_MARK), STEPS.run("ipvsadm", "-Lnc")]
STEPS.run("touch", "/run/over")
FLOWS += [STEPS.module("ipvs_real_server", {**OF_MARK, "wait_timeout": 30}), STEPS.run("ipvsadm", "-Lnc")]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The answer of each step."""
    return STEPS.boot(
        tmp_path_factory.mktemp("real_server"),
        "for last in 1 2 3 4; do ip address add 10.0.0.$last/24 dev lo; done\nsysctl -q -w net.ipv4.vs.conntrack=0",
    )


def table(text: str) -> list[str]:
    return sorted(text.splitlines())


def warnings(result: dict[str, Any]) -> str:
    """All that a result warns of: in words, or in the newer ansible-core's events."""
    return str(result.get("warnings", ""))


@pytest.mark.parametrize(
    "case, steps", [pytest.param(case, steps, id=case[0]) for case, steps in zip(CASES, CALLS, strict=True)]
)
def test_only_what_is_named_changes(
    said: list[Any], case: tuple[str, dict[str, Any], list[str], list[str]], steps: list[int]
) -> None:
    check, unchanged, result, saved, again = (said[number] for number in steps)
    _id, _args, less, more = case
    assert "msg" not in result, result["msg"]
    assert result["changed"] == check["changed"] == bool(less or more)
    assert [{**one, "weight_before": None} for one in check["servers"]] == [
        {**one, "weight_before": None} for one in result["servers"]
    ]
    # What "back after drained" puts back is the same the second time; what is drained is drained.
    assert not again["changed"]
    assert result["commands"] == check["commands"]
    assert result["diff"] == check["diff"]
    assert table(unchanged) == sorted(TABLE)
    assert table(saved) == sorted([*(line for line in TABLE if line not in less), *more])
    before, after = (set(table(result["diff"][side])) for side in ("before", "after"))
    assert (before - after, after - before) == (set(less), set(more))


@pytest.mark.parametrize(
    "case, steps", [pytest.param(case, steps, id=case[0]) for case, steps in zip(BAD, REFUSED, strict=True)]
)
def test_one_clear_message_and_nothing_changed(
    said: list[Any], case: tuple[str, dict[str, Any], list[str]], steps: tuple[int, int]
) -> None:
    result, saved = (said[number] for number in steps)
    assert result["failed"]
    assert [word for word in case[2] if word not in result["msg"]] == [], result["msg"]
    assert table(saved) == sorted(TABLE)


def test_a_problem_of_many_servers_is_told_once(said: list[Any]) -> None:
    numbers = dict(zip((case[0] for case in BAD), REFUSED, strict=True))
    assert said[numbers["weight"][0]]["msg"].count("out of range") == 1


def test_check_mode_before_the_service_is_there(said: list[Any]) -> None:
    assert said[ASSUMED]["changed"]
    assert "firewall mark 7 does not exist" in warnings(said[ASSUMED])


def test_a_server_that_stays_for_its_other_port_is_told(said: list[Any]) -> None:
    assert not said[OTHER_PORT]["changed"]
    assert "keeps 198.51.100.1:8080" in warnings(said[OTHER_PORT])


def test_a_thousand_servers(said: list[Any]) -> None:
    added, saved, again, drained, saved_drained = (said[number] for number in THOUSAND)
    assert len(added["commands"]) == len(drained["commands"]) == len(table(saved)) - 1 == 1000
    assert not again["changed"]
    assert sum(line.endswith("-m -w 0") for line in table(saved_drained)) == 1000


def test_a_connection_that_stays_is_waited_for_in_vain(said: list[Any]) -> None:
    check, saved, result, listed = (said[number] for number in IN_VAIN)
    left = {"active": 1, "inactive": 0, "udp": 0, "templates": 0, "ended": 0}
    counted: dict[str, Any] = {"address": "10.0.0.2", "port": 8080, "active_conn": 1}
    counted |= {"inactive_conn": 0, "persist_conn": 0}
    counted |= {"family": "inet", "forward": "masq", "weight": 0, "u_threshold": 0, "l_threshold": 0, "left": left}
    counted |= dict.fromkeys(("tun_type", "tun_port", "tun_csum"))
    assert check["servers"] == [{**counted, "weight_before": 4}]
    assert f"-a {VIP} -r 10.0.0.2:8080 -m -w 4" in table(saved)
    assert result["failed"]
    assert "not drained in 1.5 s" in result["msg"]
    assert result["msg"].endswith("real servers of virtual service tcp 10.0.0.1:80: 10.0.0.2:8080 1 connection")
    assert result["servers"] == [{**counted, "weight_before": 4}]
    # Weight, active and inactive connections.
    assert listed.splitlines()[-1].split()[-3:] == ["0", "1", "0"]


def test_connections_of_one_client(said: list[Any]) -> None:
    info, listed, nobody, one, bad = (said[number] for number in CLIENT)
    (connection,) = info["connections"]
    (line,) = [line.split() for line in listed.splitlines() if "10.0.0.3" in line]
    assert line[2] == connection["state"] == "ESTABLISHED"
    assert line[3] == f"{connection['client']}:{connection['client_port']}"
    assert line[4] == f"{connection['virtual']}:{connection['virtual_port']}" == "10.0.0.1:80"
    assert line[5] == f"{connection['server']}:{connection['server_port']}" == "10.0.0.2:8080"
    assert (nobody["connections"], nobody["services"]) == ([], [])
    assert [service["servers"][0]["active_conn"] for service in one["services"]] == [1]
    assert "service.fwmark: 0 is out of range" in bad["msg"]
    assert "connections_of: 10.0.0.0-9 is more than one address" in bad["msg"]


def test_a_connection_that_ends_is_waited_for_and_so_is_a_template(said: list[Any]) -> None:
    result, listed, persistent = (said[number] for number in DRAINED)
    assert result["msg"].endswith(": 10.0.0.4:8080 1 persistence template")
    (left,) = result["servers"]
    assert (left["weight_before"], left["active_conn"]) == (4, 0)
    weight, active, _inactive = listed.splitlines()[-1].split()[-3:]
    assert (weight, active) == ("0", "0")
    assert left["persist_conn"] == int(persistent.splitlines()[-1].split()[3]) == 1


def test_persistence_brings_clients_back_and_that_is_told(said: list[Any]) -> None:
    assert "net.ipv4.vs.expire_quiescent_template is 0" in warnings(said[DRAINED[0]])
    assert not said[QUIESCENT]["changed"]
    assert warnings(said[QUIESCENT]) == ""
    assert "msg" not in said[QUIESCENT], said[QUIESCENT]["msg"]
    (left,) = said[QUIESCENT]["servers"]
    assert (left["persist_conn"], left["left"]["templates"], left["left"]["ended"]) == (1, 0, 1)


def test_udp_flows_are_waited_for(said: list[Any]) -> None:
    vain, before, result, after = (said[number] for number in FLOWS)
    assert vain["msg"].endswith(": 10.0.0.2:8081 1 UDP flow")
    (left,) = vain["servers"]
    assert left["left"] == {"active": 0, "inactive": 1, "udp": 1, "templates": 0, "ended": 0}
    assert "msg" not in result, result["msg"]
    listed = [[line.split()[0] for line in text.splitlines() if "10.0.0.2:8081" in line] for text in (before, after)]
    assert [sorted(each) for each in listed] == [["TCP", "UDP"], ["TCP"]]
