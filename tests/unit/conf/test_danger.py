# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keepalived takes without a word: one change of a good file, the warning, and its place."""

from __future__ import annotations

import pytest

from _lvs_agent.conf.read import AGENT, KEEPALIVED, file_problems, read_text

GOOD = """\
vrrp_instance VI_1 {
    state MASTER
    interface eth0
    virtual_router_id 51
    priority 100
    virtual_ipaddress {
        192.0.2.100
    }
}
vrrp_instance VI_6 {
    interface eth0
    virtual_router_id 51
    priority 100
    virtual_ipaddress {
        2001:db8::1/128
        fe80::1
    }
}
virtual_server 192.0.2.100 80 {
    delay_loop 6
    lb_algo rr
    lb_kind DR
    protocol TCP
    persistence_timeout 60
    real_server 192.0.2.11 80 {
        weight 1
        TCP_CHECK {
        }
    }
    real_server 192.0.2.12 80 {
        MISC_CHECK {
            misc_path /bin/true
            delay_loop 3
        }
    }
}
global_defs {
    enable_script_security
}
"""


def told(text: str, engine: str = AGENT) -> list[str]:
    return [str(one) for one in file_problems(read_text(text, engine=engine))]


def test_the_good_file_is_good() -> None:
    assert told(GOOD) == []


@pytest.mark.parametrize(
    "old, new, message",
    [
        (
            "    priority 100\n    virtual_ipaddress {\n        192",
            "    virtual_ipaddress {\n        192",
            ":2:11: warning: vrrp_instance[VI_1].state: it has no priority, so keepalived takes 255",
        ),
        ("    delay_loop 6\n", "", ":19:1: warning: virtual_server[192.0.2.100:80]: it has no delay_loop"),
        (
            "weight 1",
            "weight 0",
            ":24:25: warning: virtual_server[192.0.2.100:80].persistence_timeout: with persistence, clients keep",
        ),
        ("weight 1", "inhibit_on_failure", "of weight 0 or inhibit_on_failure: 192.0.2.11:80; lvs-agent sets"),
        ("protocol TCP", "protocol TCP\n inhibit_on_failure", "inhibit_on_failure: 192.0.2.11:80, 192.0.2.12:80; lvs"),
        ("    enable_script_security\n", "", ": scripts are run without script security"),
        ("persistence_timeout 60", "persistence_timeout 0", ":24:25: warning: virtual_server[192.0.2.100:80].pers"),
        ("lb_kind DR", "lb_kind DR\n sorry_server 2001:db8::9 80", "sorry_server: it is IPv6, the VIP is IPv4"),
        ("TCP_CHECK {", "TCP_CHECK {\n bindto 2001:db8::9", "bindto: it is IPv6, the address to check is IPv4"),
        ("TCP_CHECK {", "DNS_CHECK {\n name a..b\n }\n TCP_CHECK {", "it is no DNS name"),
        ("protocol TCP", "protocol TCP\n persistence_granularity 24", "24 is no netmask; write a netmask such as"),
        ("interface eth0", "interface eth0\n vrf red", "an instance has an interface or a VRF"),
        ("interface eth0", "interface eth0\n unicast_peer {\n }", "the list is empty, and keepalived sends multicast"),
        ("interface eth0", "interface eth0\n virtual_routes {\n default via 192.0.2.1\n }", "its loss is no fault"),
        ("interface eth0", "interface eth0\n virtual_routes {\n default gw 192.0.2.1 dev eth0\n }", "write via"),
        ("interface eth0", "interface eth0\n virtual_rules {\n from 192.0.2.1 table 5\n }", "a rule without a pref"),
        ("global_defs {", "vrrp_sync_group G {\n group {\n VI_1\n }\n}\nglobal_defs {", "group of one instance does"),
        ("global_defs {", "global_defs {\n vrrp_garp_interval 0", "keepalived refuses 0 and keeps its default"),
        ("global_defs {", "global_defs {\n notification_email {\n }", "notification_email: the list is empty"),
    ],
)
def test_a_danger_is_told(old: str, new: str, message: str) -> None:
    changed = GOOD.replace(old, new, 1)
    assert changed != GOOD
    found = told(changed)
    assert any(message in one for one in found), found


def test_a_prefix_length_of_an_ipv6_vip_is_a_danger_with_keepalived_only() -> None:
    changed = GOOD.replace("2001:db8::1/128", "2001:db8::1/64")
    assert told(changed) == []
    (found,) = [one for one in told(changed, KEEPALIVED) if "prefix length" in one]
    assert ":15:9: warning: vrrp_instance[VI_6].virtual_ipaddress[0]: with the prefix length 64 the kernel may" in found


@pytest.mark.parametrize(
    "old, new",
    [
        ("    priority 100", "    priority 255"),
        ("2001:db8::1/128", "2001:db8::1/64 preferred_lft 0"),
        ("2001:db8::1/128", "2001:db8::1"),
        ("    delay_loop 6\n", "    real_server 192.0.2.13 80 {\n    }\n    delay_loop 5\n"),
        ("protocol TCP\n", "protocol TCP\n persistence_granularity 255.255.255.0\n"),
        ("interface eth0", "interface eth0\n virtual_routes {\n default via 192.0.2.1 no_track\n }"),
        ("interface eth0", "interface eth0\n virtual_rules {\n from 192.0.2.1 table 5 preference 7\n }"),
    ],
)
def test_what_is_no_danger(old: str, new: str) -> None:
    assert old in GOOD
    assert told(GOOD.replace(old, new, 1)) == []


@pytest.mark.parametrize(
    "vip, told_of",
    [
        ("192.0.2.0/24", "192.0.2.0 is the address of the network 192.0.2.0/24"),
        ("192.0.2.255/24", "192.0.2.255 is the broadcast address of the network 192.0.2.0/24"),
        ("192.0.2.131/30", "192.0.2.131 is the broadcast address of the network 192.0.2.128/30"),
        ("192.0.2.0/31", ""),
        ("192.0.2.255", ""),
        ("192.0.2.255/32", ""),
        ("192.0.2.255/23", ""),
    ],
)
def test_a_vip_at_an_end_of_its_network(vip: str, told_of: str) -> None:
    found = told(GOOD.replace("192.0.2.100\n    }", f"192.0.2.100\n        {vip}\n    }}"))
    assert len(found) == (1 if told_of else 0)
    if told_of:
        what = f"{told_of}, and no host sends packets there; write an address between the two"
        assert found == [f"keepalived.conf:8:9: warning: vrrp_instance[VI_1].virtual_ipaddress[1]: {what}"]


@pytest.mark.parametrize("nopreempt", [True, False])
@pytest.mark.parametrize(
    "line, weight",
    [("chk", -30), ("chk weight 5", 5), ("chk weight -5 reverse", -5), ("chk weight 0", 0), ("plain", 0)],
)
def test_a_weight_that_moves_nothing(nopreempt: bool, line: str, weight: int) -> None:
    scripts = "vrrp_script chk {\n script /bin/true\n weight -30\n}\nvrrp_script plain {\n script /bin/true\n}\n"
    tracked = f"track_script {{\n {line}\n }}\n{'nopreempt' if nopreempt else 'accept'}\n"
    text = GOOD.replace("state MASTER\n", f"state BACKUP\n{tracked}", 1)
    found = [one for one in told(scripts + text) if "moves nothing" in one]
    assert len(found) == (1 if nopreempt and weight else 0)
    if found:
        assert f"so weight {weight} of chk has no effect; take the weight away" in found[0]
