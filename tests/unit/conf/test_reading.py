# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole file: what it means, what is wrong with it, and where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from _lvs_agent.conf.problem import Position
from _lvs_agent.conf.read import KEEPALIVED, Parsed, file_problems, read_text
from _lvs_agent.conf.render import render

SITE = """\
global_defs {
    router_id "the first"
    notification_email {
        a@example.com "Night watch <b@example.com>"
        c@example.com
    }
    enable_script_security
    script_user root
}
vrrp_script chk {
    script "/bin/true 'a b' \\042c\\042"
    weight -20 reverse
    rise 2
}
vrrp_instance VI_1 { # one
    state MASTER
    interface ens33
    virtual_router_id 51
    priority 100
    advert_int 1
    @lb02 priority 50
    authentication {
        auth_type PASS
        auth_pass "a b"
    }
    virtual_ipaddress {
        192.0.2.100/24 dev ens33 label ens33:1
    }
    virtual_ipaddress { 192.0.2.101 }
    smtp_alert
    notify_master "/bin/true \\"x\\"" root root
    track_script {
        chk weight -10
    }
}
virtual_server 192.0.2.100 80 {
    delay_loop 6.5
    lb_algo rr
    lb_kind DR
    protocol TCP
    @lvs_agent depool_floor 30%
    real_server 192.0.2.11 80 {
        inhibit_on_failure no
        HTTP_GET {
            url {
                path /
                status_code 200 301-302
            }
            url {
                path /b
            }
            @lvs_agent rise 3
            retry 2
        }
        TCP_CHECK
        {
            connect_timeout 0.5
        }
    }
    real_server 192.0.2.12 80 {
    }
}
"""


def written(body: str = "", block: str = "vrrp_instance") -> str:
    """A good file with one more line in one of its blocks."""
    parts = {"global_defs": "", "vrrp_instance": "", "virtual_server": "", "real_server": "", "top": ""}
    parts[block] = body
    return """\
global_defs {{
 {global_defs}
}}
vrrp_instance VI_1 {{
 interface ens33
 virtual_router_id 51
 priority 100
 virtual_ipaddress {{
  192.0.2.100
 }}
 {vrrp_instance}
}}
virtual_server 192.0.2.100 80 {{ delay_loop 6
 lb_kind DR
 lb_algo rr
 protocol TCP
 {virtual_server}
 real_server 192.0.2.11 80 {{
  weight 1
  {real_server}
 }}
}}
{top}
""".format(**parts)


def told(text: str, **options: Any) -> list[str]:
    return [str(problem) for problem in file_problems(read_text(text, **options))]


def at(parsed: Parsed, where: str) -> str:
    return str(parsed.places.of(where))


def test_a_file_becomes_what_variables_make() -> None:
    parsed = read_text(SITE, ids=["lb02"])
    (warning,) = [str(problem) for problem in file_problems(parsed)]
    assert warning.startswith("keepalived.conf:21:11: warning: vrrp_instance[VI_1].priority: priority is here twice")
    configuration = {key: value for key, value in parsed.configuration.items() if value}
    assert configuration == {
        "global_defs": {
            "router_id": "the first",
            "notification_email": ["a@example.com", "Night watch <b@example.com>", "c@example.com"],
            "enable_script_security": True,
            "script_user": "root",
        },
        "vrrp_script": [{"name": "chk", "script": "/bin/true 'a b' \"c\"", "weight": "-20 reverse", "rise": 2}],
        "vrrp_instance": [
            {
                "name": "VI_1",
                "state": "MASTER",
                "interface": "ens33",
                "virtual_router_id": 51,
                "priority": 50,
                "advert_int": 1,
                "authentication": {"auth_type": "PASS", "auth_pass": "a b"},
                "virtual_ipaddress": ["192.0.2.100/24 dev ens33 label ens33:1", "192.0.2.101"],
                "smtp_alert": True,
                "notify_master": '"/bin/true \\042x\\042" root root',
                "track_script": ["chk weight -10"],
            }
        ],
        "virtual_server": [
            {
                "ip": "192.0.2.100",
                "port": 80,
                "delay_loop": 6.5,
                "lb_algo": "rr",
                "lb_kind": "DR",
                "protocol": "TCP",
                "depool_floor": "30%",
                "real_server": [
                    {
                        "ip": "192.0.2.11",
                        "port": 80,
                        "inhibit_on_failure": False,
                        "HTTP_GET": [
                            {
                                "url": [{"path": "/", "status_code": "200 301-302"}, {"path": "/b"}],
                                "rise": 3,
                                "retry": 2,
                            }
                        ],
                        "TCP_CHECK": [{"connect_timeout": 0.5}],
                    },
                    {"ip": "192.0.2.12", "port": 80},
                ],
            }
        ],
    }


def test_what_was_read_is_written_again(keepalived_says: Callable[[str], str]) -> None:
    parsed = read_text(SITE)
    text = render(parsed.configuration)
    assert read_text(text).configuration == parsed.configuration
    assert "@lvs_agent rise 3" in text
    assert keepalived_says(text) == keepalived_says(SITE) == ""


@pytest.mark.parametrize(
    "where, place",
    [
        ("global_defs.router_id", "2:15"),
        ("director_global_defs.notification_email[1]", "5:9"),
        ("director_vrrp_instances[VI_1]", "15:1"),
        ("vrrp_instance[VI_1].name", "15:15"),
        ("director_host_vrrp_instances[VI_1].virtual_router_id", "18:23"),
        ("vrrp_instance[VI_1].authentication.auth_pass", "24:19"),
        ("vrrp_instance[VI_1].virtual_ipaddress[1]", "29:25"),
        ("vrrp_instance[VI_1].unicast_src_ip", "15:1"),
        ("director_virtual_servers[192.0.2.100:80].port", "36:28"),
        ("director_virtual_servers[192.0.2.100:80].depool_floor", "41:29"),
        ("virtual_server[192.0.2.100:80].real_server[192.0.2.11:80].HTTP_GET", "44:9"),
        ("virtual_server[192.0.2.100:80].real_server[192.0.2.11:80].HTTP_GET[0].url[1].path", "50:22"),
        ("virtual_server[192.0.2.100:80].real_server[192.0.2.11:80].TCP_CHECK.connect_timeout", "57:29"),
        ("virtual_server[192.0.2.100:80].real_server[192.0.2.12:80]", "60:5"),
        ("director_engine", "None"),
    ],
)
def test_every_path_has_its_place(where: str, place: str) -> None:
    found = read_text(SITE).places.of(where)
    assert str(found).removeprefix("keepalived.conf:") == place


# a line in a block of the good file -> the message; keepalived -t complains of each of them too
COMPLAINTS = {
    ("vrrp_instance", "virtual_ruoter_id 5"): "11:2: vrrp_instance[VI_1]: there is no word 'virtual_ruoter_id' "
    "in vrrp_instance; did you mean virtual_router_id?",
    ("vrrp_instance", "priority 300"): "11:11: vrrp_instance[VI_1].priority: 300 is out of range; write a whole",
    ("vrrp_instance", "priority 10.0"): "11:11: vrrp_instance[VI_1].priority: '10.0' is not a whole number",
    ("vrrp_instance", "priority 0x10"): "'0x10' is not a whole number",
    ("vrrp_instance", "priority"): "11:2: vrrp_instance[VI_1].priority: it has no value; write a whole number from 1",
    ("vrrp_instance", "advert_int 1e0"): "'1e0' is not a number",
    ("vrrp_instance", "state master"): "11:8: vrrp_instance[VI_1].state: 'master' is not known; did you mean MASTER?",
    ("vrrp_instance", "smtp_alert maybe"): "'maybe' is neither true nor false",
    ("vrrp_instance", "smtp_alert TRUE"): "'TRUE' is neither true nor false",
    ("vrrp_instance", "virtual_ipaddress { 192.0.2.2 192.0.2.3 }"): "11:32: vrrp_instance[VI_1].virtual_ipaddress: "
    "'192.0.2.3' is not an option of a virtual address",
    ("vrrp_instance", "virtual_ipaddress { 192.0.2.300 }"): "its part 300 is above 255",
    (
        "vrrp_instance",
        "track_interface { ens33 eth0 }",
    ): "11:20: vrrp_instance[VI_1].track_interface: after 'ens33' there is 'eth0'",
    ("vrrp_instance", "track_file { nosuch }"): "11:15: vrrp_instance[VI_1].track_file: there is no track_file nosuch",
    ("vrrp_instance", "track_script { nosuch }"): "there is no vrrp_script nosuch",
    ("vrrp_instance", "global_tracking"): "global_tracking",
    ("vrrp_instance", "garp_group { garp_interval 1 }"): "11:2: vrrp_instance[VI_1]: garp_group does not belong into "
    "vrrp_instance; is the } of vrrp_instance missing before it?",
    ("vrrp_instance", "lb_algo rr"): "lb_algo does not belong into vrrp_instance; it is a word of virtual_server",
    ("vrrp_instance", "rise 3"): "rise does not belong into vrrp_instance; it is a word of vrrp_script",
    (
        "vrrp_instance",
        "virtual_routes { 192.0.2.0/24 vai 192.0.2.1 dev ens33 }",
    ): "'vai' is not a word of a route; did you mean via?",
    (
        "vrrp_instance",
        "authentication {\n auth_type PASS\n }",
    ): "11:2: vrrp_instance[VI_1].authentication: auth_pass is missing",
    ("vrrp_instance", "include"): "include has no file name",
    (
        "global_defs",
        "lvs_id x",
    ): "2:2: warning: global_defs.router_id: lvs_id is an old spelling that keepalived 2.2.7 refuses; write router_id",
    (
        "global_defs",
        "instance x",
    ): "2:2: global_defs.instance: instance cannot be used here; keepalived reads it outside",
    ("global_defs", "notification_email a@b"): "notification_email has no list",
    ("global_defs", "vrrp_garp_extra_if all x"): "'all x' is not a number of seconds",
    (
        "virtual_server",
        "real_server 192.0.2.12:80 {\n }",
    ): "17:14: virtual_server[192.0.2.100:80].real_server[[192.0.2.12:80]]: '192.0.2.12:80' is not an IP address",
    ("virtual_server", "real_server 192.0.2.12 80"): "real_server has no block; add its words between",
    ("virtual_server", "delay_loop 0"): "0 is out of range",
    ("virtual_server", "persistence_timeout x"): "'x' is not a whole number",
    ("virtual_server", "lb_algo RR"): "'RR' is not known; did you mean rr?",
    ("virtual_server", "protocol tcpp"): "'tcpp' is not known",
    (
        "virtual_server",
        "sorry_server nowhere 80",
    ): "17:15: virtual_server[192.0.2.100:80].sorry_server: 'nowhere' is not an IP address",
    ("virtual_server", "nb_get_retry 3"): "nb_get_retry is an old spelling that keepalived 2.2.7 refuses; write retry",
    ("real_server", "weight -1"): "-1 is out of range",
    ("real_server", "TCP_CHECK {\n nb_get_retry 3\n }"): "nb_get_retry is an old spelling",
    (
        "real_server",
        "TCP_CHECK {\n conect_port 3\n }",
    ): "21:2: virtual_server[192.0.2.100:80].real_server[192.0.2.11:80]"
    ".TCP_CHECK[0]: there is no word 'conect_port' in TCP_CHECK; did you mean connect_port?",
    ("real_server", "FILE_CHECK {\n track_file nosuch\n }"): "there is no track_file nosuch",
    ("real_server", "rise 3"): "keepalived has no rise; write @lvs_agent rise",
    (
        "top",
        "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 5\n virtual_ipaddress { 192.0.2.9 }\n}",
    ): "23:15: vrrp_instance[VI_1]: the name VI_1 is used twice, first at keepalived.conf:4:1",
    ("top", "vrrp_instance {\n}"): "this vrrp_instance has no name",
    ("top", "vrrp_instance a b {\n}"): "23:17: vrrp_instance[a]: 'b' is too much before the block",
    ("top", "vrrp_intsance V {\n}"): "there is no word 'vrrp_intsance' outside all blocks; did you mean vrrp_instance?",
    ("top", "vrrp_script s {\n}"): "23:1: vrrp_script[s]: script is missing; write script and a command line",
    (
        "top",
        "track_group G {\n group { nosuch }\n}\nstatic_ipaddress { 192.0.2.8/24 dev ens33 track_group H }",
    ): "there is no track_group H",
    (
        "top",
        "interface_up_down_delays {\n eth0 256\n}",
    ): "24:7: interface_up_down_delays: '256' is not a number of seconds",
    ("top", "linkbeat_interfaces { eth0 foo }"): "'foo' is no way to poll a link",
}


@pytest.mark.parametrize("part, message", COMPLAINTS.items(), ids=[f"{block} {line}" for block, line in COMPLAINTS])
def test_a_mistake_is_named_where_it_stands(part: tuple[str, str], message: str) -> None:
    block, line = part
    found = told(written(line, block))
    assert any(message in one for one in found), found


def test_keepalived_complains_of_the_same(keepalived_says_each: Callable[[list[str]], list[str]]) -> None:
    said = keepalived_says_each([written(line, block) for block, line in COMPLAINTS])
    assert [part for part, one in zip(COMPLAINTS, said) if not one] == []


# what keepalived swallows and we tell
SWALLOWED = {
    (
        "vrrp_instance",
        "priority 100 200",
    ): "11:15: vrrp_instance[VI_1].priority: '200' is too much: priority has one value",
    ("vrrp_instance", "nopreempt false"): "nopreempt stands alone; keepalived sets it whatever follows",
    ("vrrp_instance", "nopreempt maybe"): "'maybe' is neither true nor false",
    ("vrrp_instance", "notify /bin/true a b c"): "11:23: vrrp_instance[VI_1].notify: 'c' is too much behind notify",
    ("vrrp_instance", "authentication x {\n auth_type PASS\n auth_pass y\n }"): "'x' is too much before the block",
    ("vrrp_instance", "lvs_sync_daemon_inteface eth0"): "write lvs_sync_daemon_interface",
    ("vrrp_instance", "debug 3"): "warning: vrrp_instance[VI_1].debug: debug has no effect in lvs-agent",
    ("vrrp_instance", "@lvs_agent priority 3"): "priority is keepalived's own word, and keepalived does not read lines",
    ("vrrp_instance", "virtual_routes {\n @lvs_agent 192.0.2.0/24 dev ens33\n }"): "a list has no lines of @lvs_agent",
    (
        "vrrp_instance",
        "@lvs_agent slow_start 3",
    ): "slow_start does not belong into vrrp_instance; it is a word of virtual_server and real_server",
    ("global_defs", "reload_file"): "lvs-agent does not support reload_file; reload by a timer unit or by lvsctl",
    ("global_defs", "enable_dbus"): "warning: global_defs.enable_dbus: enable_dbus has no effect in lvs-agent",
    (
        "real_server",
        "@lvs_agent rise 0",
    ): "20:19: virtual_server[192.0.2.100:80].real_server[192.0.2.11:80].rise: 0 is out of",
    ("real_server", "@lvs_agent rice 3"): "there is no word 'rice' in real_server; did you mean rise?",
    (
        "virtual_server",
        "real_server 192.0.2.12-14 80 {\n }",
    ): "'192.0.2.12-14' is a range; write a real_server for each",
    ("virtual_server", "@lvs_agent depool_floor 101%"): "'101%' is neither a number of servers nor a percentage",
    ("top", "bfd_instance B {\n neighbor_ip 192.0.2.9\n}"): "lvs-agent does not support bfd_instance",
}


@pytest.mark.parametrize("part, message", SWALLOWED.items(), ids=[f"{block} {line}" for block, line in SWALLOWED])
def test_nothing_is_silently_ignored(part: tuple[str, str], message: str) -> None:
    block, line = part
    found = told(written(line, block))
    assert any(message in one for one in found), found


def test_an_engine_is_told_of_its_own_part_only() -> None:
    text = written("enable_dbus\n reload_file", "global_defs")
    assert told(text, engine=KEEPALIVED) == []
    assert len(told(text)) == 2


def test_the_good_file_is_good(keepalived_says: Callable[[str], str]) -> None:
    assert told(written()) == []
    assert keepalived_says(written()) == ""


@pytest.mark.parametrize(
    "line, message",
    [
        ("protocol TCP", "13:1: virtual_server[192.0.2.100:80]: it has no protocol, and keepalived takes UDP then"),
        ("lb_algo rr", "13:1: warning: virtual_server[192.0.2.100:80]: it has no lb_algo, and wlc is taken"),
        ("lb_kind DR", "13:1: warning: virtual_server[192.0.2.100:80]: it has no lb_kind, and NAT is taken"),
    ],
)
def test_what_keepalived_fills_in(line: str, message: str, keepalived_says: Callable[[str], str]) -> None:
    text = written().replace(f" {line}\n", "")
    found = told(text)
    assert any(message in one for one in found), found
    assert keepalived_says(text) != ""


def test_blocks_are_joined_and_single_values_counted_last() -> None:
    parsed = read_text("global_defs {\n router_id a\n}\nglobal_defs {\n router_id b\n vrrp_strict\n}\nuse_pid_dir\n")
    assert parsed.configuration["global_defs"] == {"router_id": "b", "vrrp_strict": True}
    assert parsed.configuration["top_level"] == {"use_pid_dir": True}
    assert at(parsed, "global_defs.router_id") == "keepalived.conf:5:12"
    assert at(parsed, "top_level.use_pid_dir") == "keepalived.conf:8:1"
    assert "router_id is here twice" in str(parsed.problems[0])


def test_the_same_warning_comes_once() -> None:
    checks = "TCP_CHECK {\n nb_get_retry 3\n }\n" * 5
    found = told(written(checks, "real_server"))
    assert len(found) == 1
    assert "(and 4 more times below)" in found[0]


def test_a_value_from_a_parameter_is_shown_where_it_is_used() -> None:
    found = told("$PRIORITY=300\n" + written("priority $PRIORITY"))
    assert [one for one in found if ":12:11: vrrp_instance[VI_1].priority: 300 is out of range" in one]


def test_a_secret_is_not_told() -> None:
    found = told(written("authentication {\n auth_type PASS\n auth_pass geheim geheim2\n }"))
    assert found
    assert not any("geheim" in one for one in found)


def test_a_position_is_a_plain_value() -> None:
    assert str(Position("a", 1, 2)) == "a:1:2"
    assert Position("a", 1, 2) < Position("a", 2, 1)
