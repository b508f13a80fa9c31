# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a configuration: defaults, inheritance, groups and errors. The table it leads to is compared with
keepalived's in tests/integration/uml/test_lvs.py."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from _lvs_agent.conf.problem import ConfigurationError
from _lvs_agent.conf.read import file_problems, read_text
from _lvs_agent.conf.settle import settle
from _lvs_agent.health import from_conf as health_conf
from _lvs_agent.kernel.ipvs_types import (
    FWD_DROUTE,
    FWD_MASQ,
    FWD_TUNNEL,
    SVC_F_ONEPACKET,
    SVC_F_PERSISTENT,
    SVC_F_SCHED2,
    TUN_F_CSUM,
    TUN_GUE,
    Timeouts,
)
from _lvs_agent.lvs import from_conf, sorry
from _lvs_agent.lvs.plan import Floor, FlushOnStop, LvsPlan, RealServerPlan, SyncDaemonPlan, VirtualServerPlan
from _lvs_agent.script_commands import Commands

SECOND = 1_000_000_000


def plan(text: str, *, checked: bool = True) -> LvsPlan:
    parsed = read_text(text, ids=["lvs_agent"])
    errors = [str(one) for one in file_problems(parsed) if one.severity == "error"]
    assert not (checked and errors), errors
    settled = settle(parsed.configuration)
    checks = health_conf.plans(settled, Commands(), "host") + sorry.checks(settled, Commands())
    found = from_conf.plan(settled, checks)
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301 - our own
    return found


def only(words: str = "", real: str = "", said: str = "", where: str = "192.0.2.1 80") -> VirtualServerPlan:
    """The plan of one virtual server with these words."""
    protocol = "" if "fwmark" in where else "protocol TCP"
    (found,) = plan(
        f"global_defs {{\n enable_script_security\n script_user root\n {said}\n}}\n"
        f"virtual_server {where} {{\n lb_algo wlc\n lb_kind NAT\n {protocol}\n {words}\n"
        f" real_server 10.0.0.1 80 {{\n {real}\n }}\n}}\n"
    ).virtual_servers
    return found


def test_defaults() -> None:
    found = only()
    (service,) = found.services
    assert (found.name, service.sched_name, service.flags, service.timeout, service.pe_name) == (
        "TCP 192.0.2.1:80",
        "wlc",
        0,
        0,
        "",
    )
    assert (found.quorum, found.hysteresis, found.floor, found.omega, found.holders) == (1, 0, Floor(), False, ())
    assert (found.sorry, found.quorum_up, found.quorum_down, found.smtp_alert) == (None, "", "", False)
    (server,) = found.servers
    assert server == RealServerPlan("10.0.0.1:80", server.destination)
    destination = server.destination
    assert (destination.fwd_method, destination.weight, destination.u_thresh, destination.l_thresh) == (
        FWD_MASQ,
        1,
        0,
        0,
    )


# (words of the virtual server, of the real server, of global_defs, field of the real server's plan, its value)
INHERITED: list[tuple[str, str, str, str, Any]] = [
    ("weight 7", "", "", "weight", 7),
    ("weight 7", "weight 3", "", "weight", 3),
    ("", "lvs_method DR", "", "fwd_method", FWD_DROUTE),
    ("", "lvs_method TUN type gue port 77 csum", "", "tun_type", TUN_GUE),
    ("", "lvs_method TUN type gue port 77 csum", "", "tun_port", 77),
    ("", "lvs_method TUN type gue port 77 csum", "", "tun_flags", TUN_F_CSUM),
    ("", "uthreshold 5\n lthreshold 2", "", "u_thresh", 5),
    ("inhibit_on_failure", "", "", "inhibit", True),
    ("inhibit_on_failure", "inhibit_on_failure false", "", "inhibit", False),
    ("@lvs_agent slow_start 2.5", "", "", "slow_start_ns", 2_500_000_000),
    ("@lvs_agent slow_start 2.5", "@lvs_agent slow_start 0", "", "slow_start_ns", 0),
    ("", 'notify_up "/bin/true 1"', "", "notify_up", "/bin/true 1"),
    ("", "", "smtp_alert false", "smtp_alert", False),
    ("", "", "smtp_alert false\n smtp_alert_checker true", "smtp_alert", True),
    ("smtp_alert false", "", "", "smtp_alert", True),
    ("", "smtp_alert false", "", "smtp_alert", False),
]


@pytest.mark.parametrize("words, real, said, field, value", INHERITED)
def test_a_word_and_who_it_is_inherited_from(*, words: str, real: str, said: str, field: str, value: Any) -> None:
    (server,) = only(words, real, said).servers
    assert getattr(server if hasattr(server, field) else server.destination, field) == value


OWN: list[tuple[str, str, Any]] = [
    ("quorum 1\n", "quorum", 1),
    ("weight 4\n quorum 3\n hysteresis 2", "hysteresis", 2),
    ("omega", "omega", True),
    ("smtp_alert", "smtp_alert", True),
    ('quorum_up "/bin/true"', "quorum_up", "/bin/true"),
    ("@lvs_agent depool_floor 1", "floor", Floor(1)),
    ("@lvs_agent depool_floor 30%", "floor", Floor(30, True)),
    ("@lvs_agent keep_other_servers", "keep_others", True),
    ("@lvs_agent lvs_master_only true", "served_by", ((),)),  # no instance holds it
    ("@lvs_agent lvs_master_only false", "served_by", ()),
]


@pytest.mark.parametrize("words, field, value", OWN)
def test_words_of_a_virtual_server(words: str, field: str, value: Any) -> None:
    assert getattr(only(words), field) == value


# (words, where, flags, timeout, netmask) of the service
SERVICES = [
    ("persistence_timeout", "192.0.2.1 80", SVC_F_PERSISTENT, 360, "255.255.255.255"),
    ("persistence_timeout 5\n persistence_granularity 255.0.0.0", "192.0.2.1 80", SVC_F_PERSISTENT, 5, "255.0.0.0"),
    ("persistence_granularity 255.0.0.0", "192.0.2.1 80", SVC_F_PERSISTENT, 360, "255.0.0.0"),
    ("ops", "fwmark 3", SVC_F_ONEPACKET, 0, "255.255.255.255"),
    ("flag-2", "192.0.2.1 80", SVC_F_SCHED2, 0, "255.255.255.255"),
]


@pytest.mark.parametrize("words, where, flags, timeout, netmask", SERVICES)
def test_the_service(*, words: str, where: str, flags: int, timeout: int, netmask: str) -> None:
    (service,) = only(words, where=where).services
    assert (service.flags, service.timeout, service.netmask) == (flags, timeout, netmask)


def test_checks_belong_to_their_server() -> None:
    text = "alpha\n TCP_CHECK {\n }\n TCP_CHECK {\n alpha false\n connect_port 81\n }\n PING_CHECK {\n }"
    (server,) = only(real=text).servers
    assert [str(one) for one in server.checks] == [
        "TCP_CHECK of 10.0.0.1:80 of TCP 192.0.2.1:80",
        "TCP_CHECK 2 of 10.0.0.1:80 of TCP 192.0.2.1:80",
        "PING_CHECK of 10.0.0.1:80 of TCP 192.0.2.1:80",
    ]
    assert server.alpha == (server.checks[0], server.checks[2])
    (server,) = only(real="TCP_CHECK {\n }", where="fwmark 5").servers
    assert [one.server for one in server.checks] == [server.name]


GROUP = """
virtual_server_group G {
 192.0.2.1-3 80
 192.0.2.8/30 443
 fwmark 7
}
vrrp_instance V {
 interface eth0
 virtual_router_id 51
 priority 100
 virtual_ipaddress {
 192.0.2.2
 }
 virtual_ipaddress_excluded {
 2001:db8::2
 }
}
"""


def test_a_group_is_several_services_of_one_pool() -> None:
    words = "lb_kind DR\n protocol TCP\n sorry_server 10.0.0.9 80"
    text = f"{words}\n real_server 10.0.0.1-3 80 {{\n weight 2\n }}\n"
    (found,) = plan(f"{GROUP}virtual_server group G {{\n {text}}}\n", checked=False).virtual_servers
    assert found.name == "TCP group G"
    assert [(one.key.addr, one.key.port, one.key.fwmark) for one in found.services] == [
        *((f"192.0.2.{last}", 80, 0) for last in (1, 2, 3)),
        *((f"192.0.2.{last}", 443, 0) for last in (8, 9, 10, 11)),
        ("", 0, 7),
    ]
    assert [server.name for server in found.servers] == [f"10.0.0.{last}:80" for last in (1, 2, 3)]
    assert found.sorry is not None
    assert (found.sorry.name, found.sorry.destination.fwd_method) == ("10.0.0.9:80", FWD_DROUTE)


@pytest.mark.parametrize(
    "where, real, holders",
    [("192.0.2.2 80", "10.0.0.1", ("V",)), ("2001:db8::2 80", "fd00::1", ("V",)), ("192.0.2.3 80", "10.0.0.1", ())],
)
def test_who_holds_the_address_of_ha_suspend(where: str, real: str, holders: tuple[str, ...]) -> None:
    words = f"protocol TCP\n real_server {real} 80 {{\n }}\n"
    (found,) = plan(f"{GROUP}virtual_server {where} {{\n ha_suspend\n {words}}}\n").virtual_servers
    assert found.holders == holders
    (found,) = plan(f"{GROUP}virtual_server {where} {{\n {words}}}\n").virtual_servers
    assert found.holders == ()


@pytest.mark.parametrize(
    "words, where, server",
    [
        ("10.0.0.1 90", "192.0.2.1 80", "10.0.0.1:90"),
        ("10.0.0.1", "192.0.2.1 80", "10.0.0.1:80"),
        ("10.0.0.1 80", "fwmark 3", "10.0.0.1:80"),
    ],
)
def test_the_check_of_a_sorry_server(words: str, where: str, server: str) -> None:
    text = "sorry_server {}\n delay_loop 7\n @lvs_agent sorry_server_check TCP_CHECK\n alpha"
    found = only(text.format(words), "TCP_CHECK {\n }", where=where)
    assert found.sorry is not None
    (check,) = found.sorry.checks
    assert (check.service, check.server, check.kind) == (found.name, f"sorry server {server}", "TCP_CHECK")
    assert len(found.servers[0].checks) == 1
    assert only("sorry_server 10.0.0.9", where=where).sorry not in (None, found.sorry)


def test_families() -> None:
    tunnel = only("lb_kind TUN\n sorry_server 10.0.0.9", where="2001:db8::1 80")
    assert [server.destination.fwd_method for server in tunnel.servers] == [FWD_TUNNEL]
    assert only(where="fwmark 3").services[0].key.af == 2
    assert only("ip_family inet6\n lb_kind TUN", where="fwmark 3").services[0].key.af == 10


SERVER = "lb_kind NAT\n protocol TCP\n real_server 10.0.0.1 80 {\n }\n"
WRONG = [
    (
        f"virtual_server_group G {{\n 192.0.2.1-3 80\n 192.0.2.2 80\n}}\nvirtual_server group G {{\n {SERVER}}}\n",
        (
            "virtual_server[group G]: virtual service tcp 192.0.2.2:80 is in its group twice, the second time by "
            "192.0.2.2 80; write it once"
        ),
    ),
    (
        (
            f"virtual_server_group G {{\n 192.0.2.1-3 80\n}}\nvirtual_server group G {{\n {SERVER}}}\n"
            f"virtual_server 192.0.2.3 80 {{\n {SERVER}}}\n"
        ),
        (
            "virtual_server[192.0.2.3:80]: virtual service tcp 192.0.2.3:80 is in TCP group G and in TCP 192.0.2.3:80; "
            "write it once"
        ),
    ),
    (
        f"virtual_server_group G {{\n 2001:db8::1 80\n}}\nvirtual_server group G {{\n {SERVER}}}\n",
        (
            "virtual_server[group G].real_server[10.0.0.1:80]: a real server of another address family than its "
            "virtual server is reached by tunnel only; write lb_kind TUN, or its other address"
        ),
    ),
    (
        "virtual_server_group G {\n 2001:db8::1 80\n 192.0.2.1 80\n}\nvirtual_server group G {\n"
        " persistence_granularity 64\n" + SERVER.replace("NAT", "TUN") + "}\n",
        "virtual_server[group G]: persistence_granularity 64 is for the other address family; write a netmask",
    ),
    (
        "virtual_server fwmark 3 {\n lb_kind DR\n real_server 10.0.0.1 80 {\n }\n real_server 10.0.0.1 81 {\n }\n}\n",
        (
            "virtual_server[fwmark 3].real_server[10.0.0.1]: the real server 10.0.0.1 is in this pool twice; "
            "write it once; with DR and TUN its port counts for nothing"
        ),
    ),
    (
        (
            "virtual_server_group G {\n 192.0.2.1 80\n 192.0.2.1 81\n}\nvirtual_server group G {\n lb_kind DR\n"
            " protocol TCP\n real_server 10.0.0.1 80 {\n }\n real_server 10.0.0.1 81 {\n }\n}\n"
        ),
        (
            "virtual_server[group G].real_server[10.0.0.1:81]: the real server 10.0.0.1:81 is in this pool twice; "
            "write it once; with DR and TUN its port counts for nothing"
        ),
    ),
    (
        f"virtual_server 192.0.2.1 80 {{\n sorry_server fd00::9\n {SERVER}}}\n",
        (
            "virtual_server[192.0.2.1:80]: the sorry server has another address family than its virtual server; write "
            "sorry_server_lvs_method TUN, or its other address"
        ),
    ),
]


@pytest.mark.parametrize("text, problem", WRONG)
def test_what_is_wrong(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        plan(text, checked=False)
    assert [str(one) for one in wrong.value.problems] == [problem]


def test_global_words() -> None:
    assert plan("") == LvsPlan()
    found = plan(
        "global_defs {\n lvs_sync_daemon eth1 V maxlen 900 port 99 ttl 2 group 224.0.0.9\n lvs_flush\n"
        " lvs_timeouts tcp 5 udp 6\n lvs_flush_on_stop VS\n rs_init_notifies\n}\n" + GROUP
    )
    assert found.sync_daemon == SyncDaemonPlan("eth1", "V", 51, 900, 99, 2, "224.0.0.9")
    assert (found.timeouts, found.flush, found.init_notifies) == (Timeouts(5, 0, 6), True, True)
    assert found.flush_on_stop is FlushOnStop.OURS
    found = plan("global_defs {\n lvs_sync_daemon eth1 inst V id 7\n lvs_flush_on_stop\n}\n" + GROUP)
    assert found.sync_daemon == SyncDaemonPlan("eth1", "V", 7)
    assert found.flush_on_stop is FlushOnStop.EVERYTHING
    found = plan("global_defs {\n lvs_sync_daemon eth1 id 7\n}\n")
    assert found.sync_daemon == SyncDaemonPlan("eth1", "", 7)


INSTANCES = "".join(
    f"vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n priority 100\n"
    f" virtual_ipaddress {{\n {vip}\n }}\n}}\n"
    for name, vrid, vip in (("A", 51, "192.0.2.1/32"), ("B", 52, "192.0.2.2/32"))
)
VIPS_AND_MARK = "virtual_server_group G {\n 192.0.2.1-3 80\n fwmark 5\n}\n"


@pytest.mark.parametrize(
    "where, protocol, served_by",
    [
        ("192.0.2.1 80", "protocol TCP", (("A",),)),
        ("fwmark 5", "", (("A", "B"),)),
        ("group G", "protocol TCP", (("A",), ("B",), (), ("A", "B"))),
    ],
)
def test_whom_services_follow_with_lvs_master_only(where: str, protocol: str, served_by: Any) -> None:
    for said, word, expected in (
        ("", "@lvs_agent lvs_master_only true", served_by),
        ("global_defs {\n @lvs_agent lvs_master_only true\n}\n", "", served_by),
        ("global_defs {\n @lvs_agent lvs_master_only true\n}\n", "@lvs_agent lvs_master_only false", ()),
        ("", "", ()),
    ):
        words = f"lb_algo rr\n lb_kind DR\n {protocol}\n {word}\n real_server 10.0.0.1 80 {{\n TCP_CHECK {{\n }}\n }}\n"
        text = f"{said}{INSTANCES}{VIPS_AND_MARK}virtual_server {where} {{\n {words}}}\n"
        assert plan(text, checked=False).virtual_servers[0].served_by == expected
