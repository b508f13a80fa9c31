# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two directors' files: which instances belong together, and each way in which they can disagree."""

from __future__ import annotations

import pytest

from _lvs_agent.conf.compare import compare
from _lvs_agent.conf.read import file_problems, read_text

ONE = """\
global_defs {
    router_id lvs01
    enable_script_security
    lvs_sync_daemon eth0 VI_1 id 5
}
vrrp_script chk {
    script /bin/true
    weight -60
}
vrrp_instance VI_1 {
    state MASTER
    interface eth0
    virtual_router_id 51
    priority 150
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass 1111
    }
    virtual_ipaddress {
        192.0.2.99
        192.0.2.100/24 dev eth0
    }
    track_script {
        chk
    }
}
vrrp_instance VI_2 {
    interface eth0
    virtual_router_id 52
    priority 150
    unicast_src_ip 192.0.2.1
    unicast_peer {
        192.0.2.2
    }
    virtual_ipaddress {
        192.0.2.101
    }
}
virtual_server 192.0.2.100 80 {
    delay_loop 6
    lb_algo wlc
    lb_kind DR
    protocol TCP
    real_server 192.0.2.11 80 {
        weight 100
    }
    real_server 192.0.2.12 80 {
        weight 100
    }
}
virtual_server fwmark 7 {
    delay_loop 6
    lb_algo wlc
    lb_kind DR
    real_server 192.0.2.11 80 {
        weight 100
    }
}
"""
TWO = (
    ONE.replace("lvs01", "lvs02")
    .replace("MASTER", "BACKUP")
    .replace("priority 150", "priority 100")
    .replace("unicast_src_ip 192.0.2.1", "unicast_src_ip 192.0.2.2")
    .replace("        192.0.2.2\n", "        192.0.2.1\n")
)
OTHER_NAMES = TWO.replace("eth0", "eth1").replace("VI_1", "VI_CACHE").replace("VI_2", "VI_MAIL")


def between(one: str, two: str) -> list[str]:
    files = {"one": read_text(one, "one"), "two": read_text(two, "two")}
    found = compare(files)
    return [f"{one} [{', '.join(map(str, one.beside))}]" for one in found]


@pytest.mark.parametrize("two", [TWO, OTHER_NAMES], ids=["same names", "other names and interfaces"])
def test_a_pair_that_agrees(two: str) -> None:
    assert file_problems(read_text(ONE)) == []
    assert file_problems(read_text(two)) == []
    assert between(ONE, two) == []


DISAGREEMENTS = {
    "VIP": (
        "192.0.2.100/24",
        "192.0.2.200/24",
        "one:22:9: vrrp_instance[VI_1].virtual_ipaddress: 192.0.2.100 is on one only; 192.0.2.200 is on two only; ",
    ),
    "VIP less": ("        192.0.2.99\n", "", "one:21:9: vrrp_instance[VI_1].virtual_ipaddress: 192.0.2.99 is on one"),
    "priority": ("priority 100", "priority 150", "one:14:14: warning: vrrp_instance[VI_1].priority: priority 150 on"),
    "priority by default": ("    priority 100\n", "    priority 150\n", "[two:14:14]"),
    "password": ("auth_pass 1111", "auth_pass 2222", "auth_pass: the passwords of the directors differ"),
    "authentication": ("auth_type PASS", "auth_type AH", "one:16:5: vrrp_instance[VI_1].authentication: one has PASS;"),
    "interval": ("advert_int 1", "advert_int 2", "advert_int: one has 1 s; two has 2 s; they must be the same"),
    "version": ("virtual_router_id 51", "virtual_router_id 51\n version 3", "version: one has 2; two has 3"),
    "unicast": ("    unicast_peer {\n        192.0.2.1\n    }\n", "", "one has unicast; two has multicast"),
    "peers": ("        192.0.2.1\n", "        192.0.2.3\n", "one (192.0.2.1) is not in it; list every other director"),
    "group": ("router_id lvs02", "router_id x\n vrrp_mcast_group4 224.0.0.19", "0.0.18; two has 224.0.0.19"),
    "both master": ("BACKUP", "MASTER", "more than one director starts VI_1 as MASTER"),
    "VRID": ("virtual_router_id 51", "virtual_router_id 53", "virtual_router_id: one has 51; two has 53; they must"),
    "weight below the gap": ("priority 100", "priority 80", "one:25:9: warning: vrrp_instance[VI_1].track_script: the"),
    "no such virtual server": ("fwmark 7", "fwmark 8", "the virtual server fwmark 7 inet is not in two; after a fail"),
    "algorithm": ("lb_algo wlc", "lb_algo rr", "lb_algo: one has wlc; two has rr; after a failover"),
    "method": ("lb_kind DR", "lb_kind NAT", "lb_kind: one has DR; two has NAT"),
    "real server": (
        "192.0.2.12 80",
        "192.0.2.21 80",
        "is on one only; 192.0.2.21:80 is on two only; list the same on all directors [two:48:5]",
    ),
    "weight": ("weight 100", "weight 50", "one:46:16: warning: virtual_server[192.0.2.100:80].real_server[192.0.2.11:"),
    "sync id": ("id 5", "id 6", "one:4:21: global_defs.lvs_sync_daemon: one has id 5; two has id 6; they hear each"),
    "no sync daemon": ("    lvs_sync_daemon eth0 VI_1 id 5\n", "", "two has no sync daemon; connections break when"),
}


@pytest.mark.parametrize("old, new, message", DISAGREEMENTS.values(), ids=list(DISAGREEMENTS))
def test_a_disagreement_is_found(old: str, new: str, message: str) -> None:
    assert old in TWO
    found = between(ONE, TWO.replace(old, new, 1))
    assert any(message in one for one in found), found
    # and from the other side
    assert between(TWO.replace(old, new, 1), ONE)


def test_an_instance_without_a_second_director() -> None:
    begin, end = TWO.index("vrrp_instance VI_2"), TWO.index("virtual_server 192")
    (told,) = between(ONE, TWO[:begin] + TWO[end:])
    assert told.startswith("one:30:23: warning: vrrp_instance[VI_2].virtual_router_id: VRID 52 is not in two; its VIPs")


def test_one_number_on_two_interfaces() -> None:
    def router(name: str, interface: str, vip: str) -> str:
        return (
            f"vrrp_instance {name} {{\n interface {interface}\n virtual_router_id 7\n priority %d\n"
            f" virtual_ipaddress {{\n {vip}\n }}\n}}\n"
        )

    inner, outer = router("IN", "eth1", "192.0.2.1"), router("OUT", "eth0", "198.51.100.1")
    assert between((inner + outer) % (9, 9), (outer + inner) % (8, 8)) == []
    # the interfaces have other names there: then the instances' names tell
    assert between((inner + outer) % (9, 9), (outer + inner).replace("eth", "ens") % (8, 8)) == []


def test_swapped_numbers_are_found_by_the_vips() -> None:
    swapped = OTHER_NAMES.replace("_id 51", "_id X").replace("_id 52", "_id 51").replace("_id X", "_id 52")
    found = between(ONE, swapped)
    assert any("192.0.2.101 is on two only" in one for one in found), found


def test_three_directors() -> None:
    texts = {"a": ONE, "b": TWO, "c": TWO.replace("priority 100", "priority 50").replace("192.0.2.99", "192.0.2.98")}
    found = [str(one) for one in compare({name: read_text(text, name) for name, text in texts.items()})]
    assert any("192.0.2.98 is on c only; 192.0.2.99 is on a and b only" in one for one in found), found
