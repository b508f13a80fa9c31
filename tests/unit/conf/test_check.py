# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""One mistake at a time in a good site: the message names the place, the mistake and the remedy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from _lvs_agent.conf.check import site_problems
from _lvs_agent.conf.problem import Problem, merged
from _lvs_agent.spelling import nearest

Change = Callable[[dict[str, Any], dict[str, Any]], Any]


def good() -> tuple[dict[str, Any], dict[str, Any]]:
    """Two directors that share their group's variables, and a real server."""
    group: dict[str, Any] = {
        "director_vrrp_scripts": [{"name": "chk", "script": "/bin/true", "weight": -60}],
        "director_vrrp_instances": [
            {
                "name": "VI_1",
                "interface": "ens33",
                "virtual_router_id": 51,
                "advert_int": 1,
                "virtual_ipaddress": ["192.0.2.100/24", "192.0.2.101/24"],
                "track_script": ["chk"],
            },
            {
                "name": "VI_2",
                "interface": "ens33",
                "virtual_router_id": 52,
                "virtual_ipaddress": ["192.0.2.102"],
            },
        ],
        "director_virtual_servers": [
            {
                "ip": "192.0.2.100",
                "port": 80,
                "lb_algo": "rr",
                "lb_kind": "DR",
                "delay_loop": 6,
                "real_server": [
                    {"ip": "192.0.2.11", "port": 80, "TCP_CHECK": {"connect_timeout": 3}},
                    {"ip": "192.0.2.12", "HTTP_GET": {"url": [{"path": "/"}]}},
                ],
            }
        ],
    }
    own = {
        "a": {"VI_1": {"priority": 150, "state": "MASTER"}, "VI_2": {"priority": 150}},
        "b": {"VI_1": {"priority": 100}, "VI_2": {"priority": 100}},
    }
    directors = {
        host: {**group, "director_address": f"192.0.2.{number}", "director_host_vrrp_instances": own[host]}
        for number, host in enumerate(("a", "b"), 1)
    }
    reals = {"web": {"real_server_mode": "DR", "real_server_vips": ["192.0.2.100/24"]}}
    return directors, {"web": reals["web"]}


def instance(group: dict[str, Any], number: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = group["director_vrrp_instances"][number]
    return found


def server(group: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = group["director_virtual_servers"][0]
    return found


def real(group: dict[str, Any], number: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = server(group)["real_server"][number]
    return found


def own(director: dict[str, Any], name: str = "VI_1") -> dict[str, Any]:
    found: dict[str, Any] = director["director_host_vrrp_instances"][name]
    return found


def test_the_good_site_is_good() -> None:
    assert site_problems(*good()) == []


# what is changed in the variables of the director a (the group's lists are shared with b) -> the message
MISTAKES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "VRID too big": (
        lambda a: instance(a).update(virtual_router_id=300),
        "director_vrrp_instances[VI_1].virtual_router_id (a, b): 300 is out of range; write a whole",
    ),
    "VRID no number": (lambda a: instance(a).update(virtual_router_id="x"), "'x' is not a whole number"),
    "VRID of a wrong type": (
        lambda a: instance(a).update(virtual_router_id=True),
        "it is true; write a whole number",
    ),
    "VRID empty": (
        lambda a: instance(a).update(virtual_router_id=None),
        "virtual_router_id (a, b): it is nothing",
    ),
    "VRID twice": (
        lambda a: instance(a, 1).update(virtual_router_id=51),
        "director_vrrp_instances[VI_2].virtual_router_id (a, b): VRID 51 is already used by VI_1 on",
    ),
    "priority": (
        lambda a: own(a).update(priority=256),
        "director_host_vrrp_instances[VI_1].priority (a): 256 is out of range",
    ),
    "equal priorities": (
        lambda a: own(a).update(priority=100),
        "director_host_vrrp_instances[VI_1].priority (a, b): priority 100 on every one of them",
    ),
    "fraction in v2": (
        lambda a: instance(a).update(advert_int=0.5),
        "director_vrrp_instances[VI_1].advert_int (a, b): 0.5 s is not a whole number of seconds, and VRRPv2",
    ),
    "fraction in explicit v2": (
        lambda a: instance(a).update(advert_int="1.5", version=2),
        "1.5 s is not a whole",
    ),
    "fine fraction in v3": (
        lambda a: instance(a).update(advert_int=0.125, version=3),
        "not a multiple of 0.01 s",
    ),
    "long interval in v3": (lambda a: instance(a).update(advert_int=41, version=3), "41 s is above 40.95 s"),
    "no interface": (
        lambda a: instance(a).pop("interface"),
        "director_vrrp_instances[VI_1].interface (a, b): it is missing",
    ),
    "no priority": (
        lambda a: own(a).pop("priority"),
        "director_vrrp_instances[VI_1].priority (a): it is missing; write a whole number from 1 to 255,",
    ),
    "no VRID": (lambda a: instance(a).pop("virtual_router_id"), "virtual_router_id (a, b): it is missing"),
    "no VIP": (lambda a: instance(a).pop("virtual_ipaddress"), "virtual_ipaddress (a, b): it is missing"),
    "empty VIP list": (
        lambda a: instance(a).update(virtual_ipaddress=[]),
        "virtual_ipaddress (a, b): the list is empty",
    ),
    "no name": (lambda a: instance(a).pop("name"), "director_vrrp_instances[0].name (a, b): it is missing"),
    "name twice": (lambda a: instance(a, 1).update(name="VI_1"), "the name VI_1 is used twice"),
    "unknown word": (
        lambda a: instance(a).update(virtual_ipadress=[]),
        "vrrp_instance has no word 'virtual_ipadress'; did you mean virtual_ipaddress?",
    ),
    "unknown deep word": (
        lambda a: real(a)["TCP_CHECK"].update(conect_port=80),
        "real_server[192.0.2.11:80].TCP_CHECK.conect_port (a, b): TCP_CHECK has no word 'conect_port'; did",
    ),
    "unknown url word": (
        lambda a: real(a, 1)["HTTP_GET"]["url"][0].update(stat=200),
        "real_server[192.0.2.12].HTTP_GET.url[0].stat (a, b): url has no word 'stat'; did you mean status?",
    ),
    "unknown check": (lambda a: real(a).update(TCP_CHEK={}), "did you mean TCP_CHECK?"),
    "unknown global": (lambda a: a.update(director_global_defs={"router": 1}), "did you mean router_id?"),
    "unknown own global": (
        lambda a: a.update(director_host_global_defs={"smtp_sever": "x"}),
        "director_host_global_defs.smtp_sever (a): global_defs has no word 'smtp_sever'; did you mean smtp_",
    ),
    "unknown variable": (
        lambda a: a.update(director_vrrp_instance=[]),
        "director_vrrp_instance (a): the role has no such variable; did you mean director_vrrp_instances?",
    ),
    "unknown engine": (
        lambda a: a.update(director_engine="nginx"),
        "director_engine (a): nginx is not known",
    ),
    "both spellings": (
        lambda a: real(a)["TCP_CHECK"].update(retry=1, nb_get_retry=2),
        "TCP_CHECK.nb_get_retry (a, b): it is the same word as retry",
    ),
    "list for a mapping": (
        lambda a: real(a).update(TCP_CHECK="yes"),
        "it is 'yes'; write a list of TCP_CHECK blocks",
    ),
    "mapping for a list": (
        lambda a: a.update(director_vrrp_instances={}),
        "director_vrrp_instances (a): it is a mapping",
    ),
    "text for a block": (
        lambda a: a["director_vrrp_instances"].append("VI_9"),
        "it is 'VI_9'; write a mapping",
    ),
    "text for lines": (
        lambda a: instance(a).update(virtual_ipaddress="192.0.2.100"),
        "write a list, one line for each",
    ),
    "bad address": (
        lambda a: instance(a).update(virtual_ipaddress=["192.168.1.300"]),
        "virtual_ipaddress[0] (a, b): '192.168.1.300' is not an IP address: its part 300 is above 255",
    ),
    "own address": (
        lambda a: instance(a).update(virtual_ipaddress=["192.0.2.1/24"]),
        "192.0.2.1 is this director's own address, so it cannot be a VIP",
    ),
    "short address": (lambda a: real(a).update(ip="192.0.2"), "it has 3 parts, an IPv4 address has 4"),
    "leading zero": (lambda a: real(a).update(ip="192.0.2.011"), "its part 011 has a leading zero"),
    "bad prefix": (lambda a: instance(a).update(virtual_ipaddress=["192.0.2.100/33"]), "prefix length 33"),
    "netmask": (
        lambda a: instance(a).update(virtual_ipaddress=["192.0.2.1/255.255.255.0"]),
        "no prefix length after",
    ),
    "VIP option": (
        lambda a: instance(a).update(virtual_ipaddress=["192.0.2.100 lable x"]),
        "did you mean label?",
    ),
    "VIP label": (
        lambda a: instance(a).update(virtual_ipaddress=["192.0.2.100 label ens33:1234567890"]),
        "longer than 15 characters",
    ),
    "VIP injection": (
        lambda a: instance(a).update(virtual_ipaddress=["192.0.2.100 }"]),
        "brace (}) outside quotes",
    ),
    "VIP twice in a list": (
        lambda a: instance(a)["virtual_ipaddress"].append("192.0.2.100/32"),
        "director_vrrp_instances[VI_1].virtual_ipaddress (a, b): the VIP 192.0.2.100 is twice here",
    ),
    "VIP in two instances": (
        lambda a: instance(a, 1).update(virtual_ipaddress=["192.0.2.101"]),
        "director_vrrp_instances[VI_2].virtual_ipaddress (a, b): the VIP 192.0.2.101 is in VI_1 too",
    ),
    "IPv6 VIP twice": (
        lambda a: instance(a).update(virtual_ipaddress=["2001:db8::1", "2001:DB8:0:0::1/64"]),
        "the VIP 2001:db8::1 is twice here",
    ),
    "two families": (
        lambda a: instance(a)["virtual_ipaddress"].append("2001:db8::1"),
        "it mixes IPv4 and IPv6",
    ),
    "source of another family": (
        lambda a: own(a).update(mcast_src_ip="2001:db8::2"),
        "director_host_vrrp_instances[VI_1].mcast_src_ip (a): it is IPv6, the instance's addresses are IPv4",
    ),
    "kind of password": (
        lambda a: instance(a).update(authentication={"auth_type": "pass", "auth_pass": "1"}),
        "authentication.auth_type (a, b): 'pass' is not known; did you mean PASS?",
    ),
    "no password": (
        lambda a: instance(a).update(authentication={"auth_type": "AH"}),
        "auth_pass (a, b): it is missing",
    ),
    "password in v3": (
        lambda a: instance(a).update(version=3, authentication={"auth_type": "PASS", "auth_pass": "1"}),
        "VRRPv3 (and IPv6 with it) has no authentication",
    ),
    "passwords differ": (
        lambda a: (
            instance(a).update(authentication={"auth_type": "PASS", "auth_pass": "secret1"}),
            own(a).update(authentication={"auth_pass": "secret2"}),
        ),
        "the passwords of the directors differ",
    ),
    "unknown instance": (
        lambda a: a["director_host_vrrp_instances"].update(VI1={}),
        "director_host_vrrp_instances[VI1] (a): director_vrrp_instances has no instance of this",
    ),
    "VRIDs differ": (
        lambda a: own(a).update(virtual_router_id=53),
        "virtual_router_id (a, b): a has 53; b has 51; they must be the same",
    ),
    "intervals differ": (
        lambda a: own(a).update(advert_int=2),
        "advert_int (a, b): a has 2 s; b has 1 s; they must be the same",
    ),
    "VIPs differ": (
        lambda a: own(a).update(virtual_ipaddress=["192.0.2.100", "192.0.2.110"]),
        "virtual_ipaddress (a, b): 192.0.2.101 is on b only; 192.0.2.110 is on a only; the list must be the same",
    ),
    "versions differ": (lambda a: own(a).update(version=3), "version (a, b): a has 3; b has 2"),
    "owner as backup": (
        lambda a: own(a, "VI_2").update(priority=255, state="BACKUP"),
        "director_host_vrrp_instances[VI_2].state (a): priority 255 is the owner of the address",
    ),
    "nopreempt as master": (
        lambda a: instance(a).update(nopreempt=True),
        "state (a): nopreempt does not work with state",
    ),
    "loopback": (lambda a: instance(a).update(interface="lo"), "VRRP cannot run on the loopback interface"),
    "unknown script": (
        lambda a: instance(a).update(track_script=["chek weight 5"]),
        "track_script (a, b): there is no vrrp_script chek; did you mean chk?",
    ),
    "unknown group member": (
        lambda a: a.update(director_vrrp_sync_groups=[{"name": "G", "group": ["VI_2", "VI_3"]}]),
        "director_vrrp_sync_groups[G].group (a): there is no vrrp_instance VI_3; did you mean VI_2?",
    ),
    "group of one": (
        lambda a: a.update(director_vrrp_sync_groups=[{"name": "G", "group": ["VI_1"], "smtp_alert": True}]),
        "keepalived refuses a group of one instance",
    ),
    "two sync daemons": (
        lambda a: [one.update(lvs_sync_daemon_interface="ens33") for one in a["director_vrrp_instances"]],
        "the kernel runs one sync daemon",
    ),
    "peer is itself": (
        lambda a: own(a).update(unicast_src_ip="192.0.2.1", unicast_peer=["192.0.2.1"]),
        "192.0.2.1 is this director itself",
    ),
    "unicast word": (
        lambda a: own(a).update(unicast_src_ip="192.0.2.1"),
        "unicast_src_ip (a): there is no unicast_peer",
    ),
    "DR with another port": (
        lambda a: real(a).update(port=8080),
        "real_server[192.0.2.11:8080].port (a, b): with DR the real server gets the packet as it is, for",
    ),
    "TUN with another port": (
        lambda a: (server(a).update(lb_kind="TUN"), real(a).update(port=81)),
        "with TUN the real",
    ),
    "sorry server's port": (
        lambda a: server(a).update(sorry_server="192.0.2.9 81"),
        "sorry_server (a, b): with DR",
    ),
    "scheduler": (
        lambda a: server(a).update(lb_algo="rrr"),
        "lb_algo (a, b): 'rrr' is not known; did you mean rr?",
    ),
    "forwarding": (
        lambda a: server(a).update(lb_kind="dr"),
        "lb_kind (a, b): 'dr' is not a forwarding method; did you mean",
    ),
    "scheduler's flag": (lambda a: server(a).update({"sh-port": True}), "sh-port (a, b): lb_algo is rr"),
    "one-packet TCP": (lambda a: server(a).update(ops=True), "one-packet scheduling is for UDP"),
    "no identity": (
        lambda a: (server(a).pop("ip"), server(a).pop("port")),
        "it has no ip, no fwmark and no group",
    ),
    "two identities": (lambda a: server(a).update(fwmark=1), "it has ip and fwmark"),
    "unknown server group": (
        lambda a: (server(a).pop("ip"), server(a).pop("port"), server(a).update(group="G")),
        "there is no virtual_server_group G",
    ),
    "no port": (lambda a: server(a).pop("port"), "a virtual server without port takes all ports"),
    "virtual server twice": (
        lambda a: a["director_virtual_servers"].append({**server(a), "ip": "192.0.2.100", "protocol": "tcp"}),
        "there is another virtual server 192.0.2.100 80 TCP",
    ),
    "real server twice": (
        lambda a: real(a, 1).update(ip="192.0.2.11"),
        "the real server 192.0.2.11 is in this pool twice",
    ),
    "real server in a range": (
        lambda a: real(a, 1).update(ip="192.0.2.10-15"),
        "192.0.2.11 is in this pool twice",
    ),
    "range": (lambda a: real(a).update(ip="192.0.2.9-5"), "does not end above its start"),
    "no real server": (lambda a: server(a).update(real_server=[]), "real_server (a, b): the list is empty"),
    "family of a real server": (lambda a: real(a).update(ip="2001:db8::5"), "it is IPv6, the VIP is IPv4"),
    "source of a check": (
        lambda a: real(a).update(TCP_CHECK={"bindto": "2001:db8::5"}),
        "TCP_CHECK.bindto (a, b): it is IPv6, the address to check is IPv4",
    ),
    "source of a mail check's host": (
        lambda a: real(a).update(SMTP_CHECK={"host": [{"connect_ip": "2001:db8::2", "bindto": "192.0.2.3"}]}),
        "SMTP_CHECK.host.bindto (a, b): it is IPv4, the address to check is IPv6",
    ),
    "all weights 0": (
        lambda a: [one.update(weight=0) for one in server(a)["real_server"]],
        "every weight is 0",
    ),
    "quorum": (lambda a: server(a).update(quorum=5), "5 is above the weight of all servers together, 2"),
    "hysteresis": (lambda a: server(a).update(quorum=2, hysteresis=2), "2 is not below the quorum, 2"),
    "check of no sorry server": (
        lambda a: server(a).update(sorry_server_check="PING_CHECK"),
        "sorry_server_check (a, b): there is no sorry_server; remove it",
    ),
    "depool_floor": (
        lambda a: server(a).update(depool_floor=3),
        "depool_floor (a, b): 3 is above the number of real servers, 2; write at most 2, or 100%",
    ),
    "persistence": (
        lambda a: server(a).update(persistence_timeout=-1),
        "write a whole number from 1 to 2678400, or 0 for off",
    ),
    "no URL": (lambda a: real(a, 1).update(HTTP_GET={}), "HTTP_GET.url (a, b): it is missing"),
    "status": (
        lambda a: real(a, 1)["HTTP_GET"]["url"][0].update(status_code="200,201"),
        "not an HTTP status code",
    ),
    "digest": (
        lambda a: real(a, 1)["HTTP_GET"]["url"][0].update(digest="abc"),
        "write 32 hexadecimal digits",
    ),
    "refused word": (
        lambda a: instance(a).update(linkbeat_use_polling=True),
        "keepalived calls it deprecated",
    ),
    "line break": (
        lambda a: a.update(director_global_defs={"router_id": "a\n}"}),
        "it contains a line break",
    ),
    "double quote": (
        lambda a: a.update(director_global_defs={"router_id": 'a"b'}),
        'it contains a double quote (")',
    ),
    "address of a director": (
        lambda a: a.update(director_address="lvs01"),
        "director_address (a): lvs01 is not an IP",
    ),
}


@pytest.mark.parametrize("change, message", MISTAKES.values(), ids=list(MISTAKES))
def test_a_mistake_is_named(change: Callable[[dict[str, Any]], Any], message: str) -> None:
    directors, reals = good()
    change(directors["a"])
    errors = [str(one) for one in site_problems(directors, reals) if one.severity == "error"]
    assert any(message in error for error in errors), errors


WARNINGS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "floor below the quorum": (
        lambda a: server(a).update(depool_floor="50%", quorum=2, sorry_server="192.0.2.9"),
        "the servers it keeps may have a weight of 1 together; below 2 the sorry server replaces them",
    ),
    "slow start of weight 1": (
        lambda a: real(a).update(slow_start=5),
        "a weight of 1 has nowhere to grow from; write weight 10 or the like for its servers",
    ),
    "VIP of nobody": (
        lambda a: server(a).update(ip="192.0.2.103"),
        "no vrrp_instance holds 192.0.2.103; did you mean",
    ),
    "owner with a weight": (
        lambda a: (own(a).update(priority=255), own(a).pop("state")),
        "chk has a weight and is not tracked: priority 255 never changes; write weight 0",
    ),
    "weight in a group": (
        lambda a: a.update(director_vrrp_sync_groups=[{"name": "G", "group": ["VI_1", "VI_2"]}]),
        "chk has a weight and is not tracked: it is a member of the sync group G; write weight 0, track it in the",
    ),
    "gone word": (
        lambda a: a.update(director_global_defs={"vrrp_iptables": True}),
        "vrrp_iptables (a): it has no effect",
    ),
    "source that is a VIP": (
        lambda a: instance(a).update(mcast_src_ip="192.0.2.102"),
        "192.0.2.102 is a VIP of VI_2, and moves to another host",
    ),
    "long password": (
        lambda a: instance(a).update(authentication={"auth_type": "PASS", "auth_pass": "123456789"}),
        "authentication.auth_pass (a, b): it has 9 bytes, and the first 8 are used; write 8 characters or fewer",
    ),
    "own interface": (
        lambda a: instance(a).update(track_interface=["ens33"]),
        "the instance's own interface",
    ),
    "weak script": (
        lambda a: instance(a).update(track_script=["chk weight -50"]),
        "the weight -50 of chk is not above the gap of the priorities, 150 - 100; its",
    ),
    "two masters": (
        lambda a: instance(a).update(state="MASTER"),
        "more than one director starts VI_1 as MASTER",
    ),
}


@pytest.mark.parametrize("change, message", WARNINGS.values(), ids=list(WARNINGS))
def test_a_danger_is_a_warning(change: Callable[[dict[str, Any]], Any], message: str) -> None:
    directors, reals = good()
    change(directors["a"])
    assert any(one.severity == "warning" and message in str(one) for one in site_problems(directors, reals))


# one mistake is one sentence, without those that only follow from it
ALONE: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "port above all": (lambda a: server(a).update(port=65536), "65536 is out of range"),
    "port as a word": (lambda a: server(a).update(port="http"), "'http' is not a whole number"),
    "small method": (lambda a: server(a).update(lb_kind="dr"), "'dr' is not a forwarding method; did you mean DR?"),
}


@pytest.mark.parametrize("change, message", ALONE.values(), ids=list(ALONE))
def test_a_mistake_is_told_once(change: Callable[[dict[str, Any]], Any], message: str) -> None:
    directors, reals = good()
    change(directors["a"])
    (found,) = [str(one) for one in site_problems(directors, reals) if one.severity == "error"]
    assert message in found


def test_a_priority_out_of_range_is_no_priority_that_is_shared() -> None:
    directors, reals = good()
    for one in directors.values():
        one["director_host_vrrp_instances"] = {name: {"priority": 0} for name in ("VI_1", "VI_2")}
    found = [str(one) for one in site_problems(directors, reals) if one.severity == "error"]
    assert found
    assert all("0 is out of range" in one for one in found)


def test_passwords_that_differ_behind_their_eighth_byte_are_the_same() -> None:
    directors, reals = good()
    for number, one in enumerate(directors.values()):
        instance(one).update(authentication={"auth_type": "PASS", "auth_pass": f"12345678{number}"})
    assert [str(one) for one in site_problems(directors, reals) if one.severity == "error"] == []


REAL_SERVER_MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "mode": ({"real_server_mode": "dr"}, "real_server_mode (web): 'dr' is not known; did you mean DR?"),
    "other mode": (
        {"real_server_mode": "TUN"},
        "real_server_mode (web): it is TUN, the directors' virtual servers use DR",
    ),
    "unknown VIP": (
        {"real_server_vips": ["192.0.2.109"]},
        "real_server_vips[0] (web): no director has the VIP 192.0.2.109; did you mean 192.0.2.10",
    ),
    "bad VIP": ({"real_server_vips": ["192.0.2.300"]}, "its part 300 is above 255"),
    "VIP twice": (
        {"real_server_vips": ["192.0.2.100", "192.0.2.100/32"]},
        "192.0.2.100 is in the list twice",
    ),
    "VIPs as text": ({"real_server_vips": "192.0.2.100"}, "write a list of addresses"),
    "no gateway": ({"real_server_mode": "NAT"}, "real_server_gateway (web): it is missing"),
    "bad gateway": ({"real_server_gateway": "gw"}, "real_server_gateway (web): 'gw' is not an IP address"),
}


@pytest.mark.parametrize("variables, message", REAL_SERVER_MISTAKES.values(), ids=list(REAL_SERVER_MISTAKES))
def test_a_mistake_of_a_real_server_is_named(variables: dict[str, Any], message: str) -> None:
    directors, _reals = good()
    errors = [str(one) for one in site_problems(directors, {"web": variables}) if one.severity == "error"]
    assert any(message in error for error in errors), errors


def test_all_mistakes_at_once_and_each_once() -> None:
    directors, reals = good()
    instance(directors["a"]).update(virtual_router_id=300, advert_int=0.5)
    real(directors["a"]).update(port=8080)
    assert [one.where.rpartition(".")[2] for one in site_problems(directors, reals)] == [
        "virtual_router_id",
        "advert_int",
        "port",
    ]


def test_a_director_alone_is_a_warning() -> None:
    directors, reals = good()
    del directors["b"]
    assert [one.severity for one in site_problems(directors, reals)] == ["warning"]


def test_a_password_is_never_shown() -> None:
    directors, reals = good()
    instance(directors["a"]).update(authentication={"auth_type": "PASS", "auth_pass": 'hunter2"secret'})
    said = "\n".join(str(one) for one in site_problems(directors, reals))
    assert "auth_pass" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "variables", [{}, {"director_vrrp_instances": None}, {"director_vrrp_instances": [None, 1, []]}]
)
def test_nonsense_is_a_problem_not_a_crash(variables: dict[str, Any]) -> None:
    assert site_problems({"a": variables, "b": variables}, {"c": {}}) != []


def test_the_same_problem_on_two_hosts_is_one() -> None:
    both = merged(
        [
            Problem("x", "bad", hosts=("a",)),
            Problem("y", "odd", severity="warning"),
            Problem("x", "bad", hosts=("b",)),
        ]
    )
    assert [str(one) for one in both] == ["x (a, b): bad", "warning: y: odd"]


@pytest.mark.parametrize(
    "wrong, advice",
    [("PASSS", "did you mean PASS?"), ("zzz", "it can be AH, PASS")],
)
def test_advice(wrong: str, advice: str) -> None:
    assert nearest(wrong, ["PASS", "AH"]) == advice


def test_a_second_interface_needs_no_source_address() -> None:
    """The preflight finds it on the host."""
    directors, reals = good()
    instance(directors["a"], 1).update(interface="ens37")
    assert site_problems(directors, reals) == []
