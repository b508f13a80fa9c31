# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written: keepalived's words, its quoting, its defaults, and nothing it would misread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _lvs_agent.conf.lexer import escaped_words
from _lvs_agent.conf.problem import BadValue, ConfigurationError
from _lvs_agent.conf.quoting import quote, quote_escaped, split
from _lvs_agent.conf.render import render_variables

INSTANCE: dict[str, Any] = {
    "name": "VI_1",
    "interface": "ens33",
    "virtual_router_id": 51,
    "priority": 100,
    "virtual_ipaddress": ["192.0.2.100"],
}
SERVER: dict[str, Any] = {"ip": "192.0.2.100", "port": 80, "real_server": [{"ip": "192.0.2.11", "port": 80}]}


def written(**variables: Any) -> str:
    return render_variables({f"director_{name}": value for name, value in variables.items()}, "a")


def test_a_whole_file() -> None:
    text = written(
        global_defs={"router_id": "the first one"},
        vrrp_instances=[{**INSTANCE, "authentication": {"auth_type": "PASS", "auth_pass": 1111}}],
        host_vrrp_instances={"VI_1": {"priority": 50, "state": "BACKUP"}},
        virtual_servers=[SERVER],
    )
    assert (
        text
        == """\
global_defs {
    router_id "the first one"
}

vrrp_instance VI_1 {
    state BACKUP
    interface ens33
    virtual_router_id 51
    priority 50
    authentication {
        auth_type PASS
        auth_pass 1111
    }
    virtual_ipaddress {
        192.0.2.100
    }
}

virtual_server 192.0.2.100 80 {
    lb_algo wlc
    lb_kind NAT
    protocol TCP
    real_server 192.0.2.11 80 {
    }
}
"""
    )


def test_nothing_makes_an_empty_file() -> None:
    assert written() == ""


@pytest.mark.parametrize(
    "words, line",
    [
        ({"router_id": "plain-1.example_x"}, "router_id plain-1.example_x"),
        ({"router_id": "LVS#01"}, 'router_id "LVS#01"'),
        ({"router_id": "LVS!01"}, 'router_id "LVS!01"'),
        ({"router_id": "a{b}"}, 'router_id "a{b}"'),
        ({"router_id": "it's"}, "router_id it's"),
        ({"router_id": "@a"}, 'router_id "@a"'),
        ({"router_id": "back\\slash"}, 'router_id "back\\slash"'),
        ({"router_id": 7}, "router_id 7"),
        ({"lvs_id": "old"}, "router_id old"),
        ({"vrrp_garp_interval": 0.001}, "vrrp_garp_interval 0.001"),
        ({"vrrp_garp_interval": "1e-3"}, "vrrp_garp_interval 0.001"),
        ({"vrrp_garp_master_delay": 10.0}, "vrrp_garp_master_delay 10"),
        ({"vrrp_garp_interval": 0}, ""),
        ({"vrrp_garp_extra_if": 0}, ""),
        ({"vrrp_garp_extra_if": "all 100"}, "vrrp_garp_extra_if all 100"),
        ({"vrrp_startup_delay": "0"}, ""),
        ({"vrrp_iptables": "keepalived"}, ""),
        ({"vrrp_strict": True}, "vrrp_strict"),
        ({"vrrp_strict": "no"}, ""),
        ({"smtp_alert": False}, "smtp_alert false"),
        ({"nftables": True}, "nftables"),
        ({"nftables": "table1"}, "nftables table1"),
        ({"nftables": False}, ""),
        ({"notification_email": []}, ""),
        ({"startup_script": "/bin/x 'a b' \\d"}, "startup_script \"/bin/x 'a b' \\\\d\""),
        ({"startup_script": '"/bin/x a" root'}, 'startup_script "/bin/x a" root'),
    ],
)
def test_a_word_of_global_defs(words: dict[str, Any], line: str) -> None:
    lines = [one.strip() for one in written(global_defs=words).splitlines()[1:-1]]
    security = ["enable_script_security", "script_user root"] if "startup_script" in words else []
    assert sorted(lines) == sorted([line, *security] if line else security)


@pytest.mark.parametrize(
    "words, present, absent",
    [
        ({"persistence_timeout": 0}, [], ["persistence_timeout"]),
        ({"persistence_timeout": True}, ["    persistence_timeout\n"], []),
        ({"persistence_timeout": 20}, ["persistence_timeout 20"], []),
        ({"lvs_sched": "sh", "lvs_method": "DR"}, ["lb_algo sh", "lb_kind DR"], ["lvs_sched", "lvs_method"]),
        ({"protocol": "udp"}, ["protocol UDP"], []),
        ({"nat_mask": "255.255.255.0"}, [], ["nat_mask"]),
        ({"real_server": [{"ip": "192.0.2.11"}]}, ["real_server 192.0.2.11 80 {"], []),
        ({"real_server": [{"ip": "192.0.2.1-3"}]}, [f"192.0.2.{number} 80" for number in (1, 2, 3)], ["-"]),
        (
            {"real_server": [{"ip": "192.0.2.8/30"}]},
            [f"192.0.2.{number} 80" for number in (8, 9, 10, 11)],
            [],
        ),
        (
            {"real_server": [{"ip": "192.0.2.1", "TCP_CHECK": [{}, {"connect_port": 81}]}]},
            ["TCP_CHECK {\n        }\n        TCP_CHECK {\n            connect_port 81"],
            [],
        ),
        ({"quorum_up": "/bin/true"}, ["enable_script_security", "script_user root"], []),
    ],
)
def test_a_word_of_a_virtual_server(words: dict[str, Any], present: list[str], absent: list[str]) -> None:
    text = written(virtual_servers=[{**SERVER, **words}])
    assert [one for one in present if one not in text] == []
    assert [one for one in absent if one in text] == []


def test_a_firewall_mark_has_no_port_and_its_checks_do() -> None:
    reals = [{"ip": "192.0.2.11", "port": 80, "TCP_CHECK": {}, "PING_CHECK": {}}]
    text = written(virtual_servers=[{"fwmark": 3, "lb_kind": "DR", "protocol": "TCP", "real_server": reals}])
    assert "virtual_server fwmark 3 {" in text
    assert "real_server 192.0.2.11 {" in text
    assert text.count("connect_port 80") == 1
    assert "protocol" not in text


def test_with_nat_a_port_is_the_one_that_packets_get() -> None:
    reals = [{"ip": "192.0.2.11", "port": 80, "TCP_CHECK": {}}, {"ip": "192.0.2.12", "port": 80, "lvs_method": "DR"}]
    text = written(virtual_servers=[{"fwmark": 3, "real_server": reals}])
    assert "real_server 192.0.2.11 80 {" in text
    assert "real_server 192.0.2.12 {" in text
    assert text.count("connect_port 80") == 1


@pytest.mark.parametrize("explicit", [{"enable_script_security": False}, {"script_user": "nobody nogroup"}])
def test_a_site_can_say_how_scripts_run(explicit: dict[str, Any]) -> None:
    text = written(global_defs=explicit, vrrp_scripts=[{"name": "chk", "script": "/bin/true"}])
    assert ("enable_script_security" in text) == ("script_user" in explicit)
    assert ("script_user nobody nogroup" in text) == ("script_user" in explicit)


def test_the_sync_daemon_of_an_instance_is_written_globally() -> None:
    text = written(vrrp_instances=[{**INSTANCE, "lvs_sync_daemon_inteface": "ens37"}])
    assert "lvs_sync_daemon ens37 VI_1" in text
    assert "lvs_sync_daemon_in" not in text


@pytest.mark.parametrize(
    "text", ["a\nb", "a\rb", "a\x00b", 'a"b', "}", "{x", "} x", "$_RANDOM", "x${_PWD}", "a\u2028b", "a\\", ""]
)
def test_what_keepalived_would_misread_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="router_id"):
        written(global_defs={"router_id": text})


@pytest.mark.parametrize(
    "line",
    ["192.0.2.1 }", "192.0.2.1 {", "192.0.2.1\n}", "192.0.2.1 # x", "include /etc/passwd", '192.0.2.1 "', ""],
)
def test_a_line_cannot_leave_its_block(line: str) -> None:
    with pytest.raises(ConfigurationError, match="virtual_ipaddress"):
        written(vrrp_instances=[{**INSTANCE, "virtual_ipaddress": [line]}])


@pytest.mark.parametrize("name", ["@a", "include", "a\nb", '"'])
def test_a_name_cannot_be_a_command(name: str) -> None:
    with pytest.raises(ConfigurationError):
        written(vrrp_instances=[{**INSTANCE, "name": name}])


def test_all_reasons_come_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        written(vrrp_instances=[{**INSTANCE, "virtual_router_id": 0, "priority": 0}])
    assert [problem.where.rpartition(".")[2] for problem in caught.value.problems] == [
        "virtual_router_id",
        "priority",
    ]


PRINTABLE = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1)


@given(st.lists(PRINTABLE, min_size=1))
def test_what_is_quoted_splits_into_the_same_words(texts: list[str]) -> None:
    words = []
    for text in texts:
        try:
            words.append((text, quote(text)))
        except BadValue:
            continue
    assert split(" ".join(quoted for _text, quoted in words)) == [text for text, _quoted in words]


@given(PRINTABLE)
def test_an_escaped_word_is_read_back(text: str) -> None:
    try:
        written_word = quote_escaped(text)
    except BadValue:
        return
    assert escaped_words(written_word) == [text]
    assert len(split(written_word)) == 1


@given(
    st.dictionaries(st.sampled_from(["router_id", "notification_email_from", "smtp_helo_name"]), PRINTABLE)
)
def test_a_rendered_file_has_the_words_it_was_given(words: dict[str, str]) -> None:
    try:
        lines = written(global_defs=words).splitlines()[1:-1]
    except ConfigurationError:
        return
    assert dict(split(line) for line in lines) == words


@pytest.mark.parametrize(
    "text", ["a b", "a#b", "it's", "a{b}c", "@a", "$x", "~SEQ(1)", "back\\slash", "é", "x;y", "a  b"]
)
def test_keepalived_takes_what_we_quote(text: str, keepalived_says: Callable[[str], str]) -> None:
    words = {"router_id": text, "notification_email": [text]}
    assert keepalived_says(written(global_defs=words, vrrp_instances=[INSTANCE])) == ""
