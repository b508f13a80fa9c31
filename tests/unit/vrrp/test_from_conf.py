# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a configuration: keepalived's words, its defaults, and from whom an unset word is inherited."""

from __future__ import annotations

import pickle
import socket
from dataclasses import replace
from typing import Any

import pytest

from _lvs_agent.conf.problem import ConfigurationError
from _lvs_agent.conf.read import file_problems, read_text
from _lvs_agent.conf.settle import settle
from _lvs_agent.vrrp import from_conf
from _lvs_agent.vrrp.instance import SECOND, Peer, auth_data
from _lvs_agent.vrrp.packet import AUTH_AH, AUTH_NONE, AUTH_PASS, ChecksumForm
from _lvs_agent.vrrp.plan import Hop, Identity, InstancePlan, Plan, Track, TrackKind

MS = SECOND // 1000


def packed(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def plan(text: str) -> Plan:
    parsed = read_text(text)
    assert not [str(one) for one in file_problems(parsed) if one.severity == "error"]
    found = from_conf.plan(settle(parsed.configuration))
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301 - our own
    return found


def only(
    words: str = "", said: str = "", *, vips: str = "10.0.0.100/24", priority: str = "priority 100"
) -> InstancePlan:
    """The plan of one instance with these words."""
    (found,) = plan(
        f"global_defs {{\n{said}\n}}\n"
        f"vrrp_instance V {{\n interface eth0\n virtual_router_id 51\n {priority}\n {words}\n"
        f" virtual_ipaddress {{\n {vips}\n }}\n}}\n"
    ).instances
    return found


def test_defaults() -> None:
    found = only()
    instance = found.instance
    assert (instance.version, instance.advert_int, instance.priority) == (2, SECOND, 100)
    assert (instance.nopreempt, instance.preempt_delay, instance.startup_delay) == (False, 0, 0)
    assert (instance.garp_master_delay, instance.garp_master_repeat) == (5 * SECOND, 5)
    assert (instance.garp_lower_prio_delay, instance.garp_lower_prio_repeat) == (5 * SECOND, 5)
    assert (instance.garp_master_refresh, instance.garp_master_refresh_repeat) == (0, 1)
    assert (instance.down_timer_adverts, instance.auth_type, instance.source) == (3, AUTH_NONE, b"")
    assert instance.higher_prio_send_advert
    assert not instance.lower_prio_no_advert
    assert not instance.check_unicast_src
    assert replace(instance, source=bytes(4)).destinations == (packed("224.0.0.18"),)
    assert found.identity == Identity(51, 4, "eth0", "")
    assert found.track_primary
    assert found.vmac is None


# (words of the instance, words of global_defs, field of Instance, its value)
INHERITED: list[tuple[str, str, str, Any]] = [
    ("advert_int 0.25\n version 3", "", "advert_int", 250 * MS),
    ("advert_int 3", "", "advert_int", 3 * SECOND),
    ("", "vrrp_version 3", "version", 3),
    ("version 2", "vrrp_version 3", "version", 2),
    ("nopreempt", "", "nopreempt", True),
    ("preempt_delay 1.5", "", "preempt_delay", 1500 * MS),
    ("", "vrrp_startup_delay 2.5", "startup_delay", 2500 * MS),
    ("garp_master_delay 7", "", "garp_master_delay", 7 * SECOND),
    ("", "vrrp_garp_master_delay 7", "garp_master_delay", 7 * SECOND),
    ("", "vrrp_garp_master_delay 7", "garp_lower_prio_delay", 7 * SECOND),
    ("", "vrrp_garp_master_delay 7\n vrrp_garp_lower_prio_delay 2", "garp_lower_prio_delay", 2 * SECOND),
    ("garp_lower_prio_delay 1", "vrrp_garp_lower_prio_delay 2", "garp_lower_prio_delay", SECOND),
    ("", "vrrp_garp_master_repeat 3", "garp_lower_prio_repeat", 3),
    ("garp_master_repeat 2", "vrrp_garp_master_repeat 3", "garp_master_repeat", 2),
    ("", "vrrp_garp_lower_prio_repeat 0", "garp_lower_prio_repeat", 0),
    ("", "vrrp_garp_master_refresh 60", "garp_master_refresh", 60 * SECOND),
    ("garp_master_refresh_repeat 4", "", "garp_master_refresh_repeat", 4),
    ("", "vrrp_min_garp", "garp_master_repeat", 1),
    ("", "vrrp_min_garp", "garp_master_delay", 0),
    ("garp_master_repeat 6", "vrrp_min_garp", "garp_master_repeat", 6),
    ("down_timer_adverts 5", "", "down_timer_adverts", 5),
    ("", "vrrp_down_timer_adverts 4", "down_timer_adverts", 4),
    ("", "vrrp_lower_prio_no_advert true", "lower_prio_no_advert", True),
    ("lower_prio_no_advert false", "vrrp_lower_prio_no_advert true", "lower_prio_no_advert", False),
    ("", "vrrp_higher_prio_send_advert false", "higher_prio_send_advert", False),
    ("higher_prio_send_advert", "vrrp_higher_prio_send_advert false", "higher_prio_send_advert", True),
    ("mcast_src_ip 10.0.0.7", "", "source", packed("10.0.0.7")),
    ("mcast_dst_ip 224.0.0.19", "vrrp_mcast_group4 224.0.0.20", "multicast_group", packed("224.0.0.19")),
    ("", "vrrp_mcast_group4 224.0.0.20", "multicast_group", packed("224.0.0.20")),
    ("", "vrrp_mcast_group6 ff02::13", "multicast_group", b""),
    ("authentication {\n auth_type PASS\n auth_pass abc\n}", "", "auth_type", AUTH_PASS),
    ("authentication {\n auth_type PASS\n auth_pass abc\n}", "", "auth_data", auth_data("abc")),
    ("authentication {\n auth_type AH\n auth_pass abc\n}", "", "auth_type", AUTH_AH),
    ("version 3", "v3_checksum_as_v2", "checksum_form", ChecksumForm.MESSAGE),
]


@pytest.mark.parametrize("words, said, field, value", INHERITED)
def test_a_word_and_who_it_is_inherited_from(words: str, said: str, field: str, value: Any) -> None:
    assert getattr(only(words, said).instance, field) == value


@pytest.mark.parametrize(
    "words, priority", [("state MASTER", 255), ("state BACKUP", 100), ("", 100), ("priority 7", 7)]
)
def test_priority(words: str, priority: int) -> None:
    assert only(priority=words).instance.priority == priority


def test_unicast() -> None:
    found = only(
        "unicast_src_ip 10.0.0.1\n unicast_ttl 9\n check_unicast_src\n"
        "unicast_peer {\n 10.0.0.2 min_ttl 3\n 10.0.0.3 min_ttl 4 max_ttl 5\n }"
    )
    instance = found.instance
    assert instance.source == packed("10.0.0.1")
    assert instance.unicast_peers == (Peer(packed("10.0.0.2"), 3, 255), Peer(packed("10.0.0.3"), 4, 5))
    assert (instance.unicast_ttl, instance.check_unicast_src) == (9, True)
    assert found.identity == Identity(51, 4, "eth0", "10.0.0.1")


def test_ipv6() -> None:
    found = only("mcast_src_ip fe80::7", "vrrp_mcast_group6 ff02::13", vips="fe80::100/64\n 2001:db8::1/64")
    assert (found.family, found.instance.version) == (6, 3)
    assert found.instance.source == packed("fe80::7")
    assert found.instance.destinations == (packed("ff02::13"),)
    assert found.instance.addresses == (packed("fe80::100"), packed("2001:db8::1"))


def test_an_ipv6_vip_is_deprecated_unless_the_site_says_otherwise() -> None:
    found = only(
        vips="fe80::1\n 2001:db8::1\n 2001:db8::2/64\n 2001:db8::3/128 preferred_lft forever\n"
        " 2001:db8::4/64 preferred_lft 60"
    )
    assert [one.preferred_lft for one in found.vips] == [0, 0, 0, None, 60]
    assert [one.preferred_lft for one in only(vips="10.0.0.100").vips] == [None]


def test_addresses() -> None:
    found = only(
        "virtual_ipaddress_excluded {\n 2001:db8::9/64 home\n 10.0.9.9\n}",
        vips="10.0.0.100/24 dev eth1 label eth1:v scope link brd +\n"
        "10.0.0.101/24 brd 10.0.0.7 noprefixroute no_track preferred_lft 0\n 10.0.0.102 peer 10.0.0.103/30 brd -",
    )
    assert found.instance.addresses == tuple(packed(f"10.0.0.{last}") for last in (100, 101, 102))
    one, two, three = found.vips
    assert (one.interface, one.prefixlen, one.label, one.scope) == ("eth1", 24, "eth1:v", 253)
    assert one.broadcast == packed("10.0.0.255")
    assert (two.interface, two.broadcast, two.noprefixroute, two.tracked) == ("eth0", packed("10.0.0.7"), True, False)
    assert (one.preferred_lft, two.preferred_lft) == (None, 0)
    assert (three.peer, three.prefixlen, three.broadcast) == (packed("10.0.0.103"), 30, b"")
    assert [(held.address, held.prefixlen, held.home) for held in found.excluded] == [
        (packed("2001:db8::9"), 64, True),
        (packed("10.0.9.9"), 32, False),
    ]


def test_vmac() -> None:
    found = only("use_vmac", vips="10.0.0.100/24\n 10.0.0.101/24 dev eth1\n 10.0.0.102/24 dev eth1 use_vmac")
    assert found.vmac is not None
    assert (found.vmac.name, found.vmac.mac.hex(":")) == ("vrrp.51", "00:00:5e:00:01:33")
    assert [held.on_vmac for held in found.vips] == [True, False, False]
    assert [held.own_vmac for held in found.vips] == ["", "", "vrrp1.51"]
    assert [(one.name, one.base) for one in found.more_vmacs] == [("vrrp1.51", "eth1")]
    named = only("use_vmac mac0 00:00:5e:00:01:07\n vmac_xmit_base").vmac
    assert named is not None
    assert (named.name, named.mac.hex(":"), named.xmit_base) == ("mac0", "00:00:5e:00:01:07", True)
    six = only("use_vmac\n vmac_xmit_base", "vmac_prefix v", vips="fe80::1/64").vmac
    assert six is not None
    assert (six.name, six.mac.hex(":")) == ("v6.51", "00:00:5e:00:02:33")


def test_routes_and_rules() -> None:
    found = only(
        "virtual_routes {\n src 10.0.0.100 to 192.0.2.0/24 via 10.0.0.1 dev eth1 table 7 metric 3 mtu lock 1400\n"
        " default6 via 2001:db8::1\n unreachable 198.51.100.0/24 no_track\n"
        " 203.0.113.0/24 nexthop via 10.0.0.2 weight 3 nexthop via 10.0.0.3 dev eth2 onlink\n}\n"
        "virtual_rules {\n from 10.0.0.0/8 to 192.0.2.1 table main priority 9 fwmark 0x10/0xf0\n"
        " not from 2001:db8::/32 iif eth0 blackhole\n}"
    )
    one, six, unreachable, many = found.routes
    assert (one.destination, one.prefixlen, one.source) == (packed("192.0.2.0"), 24, packed("10.0.0.100"))
    assert one.hops == (Hop(packed("10.0.0.1"), "eth1"),)
    assert (one.table, one.metric, one.metrics, one.lock) == (7, 3, ((2, 1400),), 4)
    assert (six.family, six.destination) == (6, b"")
    assert (unreachable.kind, unreachable.hops, unreachable.tracked) == (7, (), False)
    assert many.hops == (Hop(packed("10.0.0.2"), weight=3), Hop(packed("10.0.0.3"), "eth2", onlink=True))
    rule, other = found.rules
    assert (rule.source, rule.source_prefixlen) == (packed("10.0.0.0"), 8)
    assert (rule.destination, rule.destination_prefixlen) == (packed("192.0.2.1"), 32)
    assert (rule.table, rule.priority, dict(rule.attributes)) == (
        254,
        9,
        {10: b"\x10\0\0\0", 16: b"\xf0\0\0\0"},
    )
    assert (other.family, other.invert, other.action, other.attributes) == (6, True, 6, ((3, b"eth0\0"),))


@pytest.mark.parametrize(
    "words, what",
    [
        ("virtual_routes {\n 192.0.2.0/24 via 10.0.0.1 table site\n}", "'site' is not the name of a routing table"),
        ("virtual_routes {\n 192.0.2.0/24 via 10.0.0.1 encap ip id 7\n}", "does not support encap"),
        ("virtual_routes {\n 192.0.2.0/24 via 10.0.0.1 expires 7\n}", "expires is for IPv6"),
        ("virtual_rules {\n from 10.0.0.1 realms home table 3\n}", "'home' is not the name of a realm"),
        ("virtual_rules {\n from 10.0.0.1 goto 7 priority 7\n}", "goto leads backwards"),
        ("virtual_routes {\n 2001:db8::/64 via fe80::1 tos 8\n}", "tos is for IPv4"),
    ],
)
def test_what_it_cannot_do_is_an_error(words: str, what: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        only(words)
    where = f"vrrp_instance[V].{words.partition(' ')[0]}[0]"
    assert [problem.where for problem in raised.value.problems] == [where]
    assert what in str(raised.value)


TRACKED = """
global_defs {
 script_user root
 enable_script_security
}
vrrp_script heavy {
 script "/bin/true"
 weight -7 reverse
}
vrrp_script plain {
 script "/bin/true"
}
track_file number {
 file /run/number
}
vrrp_track_process web {
 process nginx
 weight 3
}
vrrp_sync_group G {
 group {
  V
  W
 }
 track_script {
  plain
 }
 notify_fault "/bin/fault now" nobody
 sync_group_tracking_weight
}
vrrp_instance V {
 interface eth0
 virtual_router_id 51
 priority 100
 virtual_ipaddress {
  10.0.0.100/24
 }
 track_interface {
  eth1
  eth2 weight 9 reverse
 }
 track_script {
  heavy
  plain weight 5
 }
 track_file {
  number weight 2
 }
 track_process {
  web
 }
 notify_master /bin/master
 notify "/bin/any with words" nobody nogroup
 smtp_alert
}
vrrp_instance W {
 interface eth0
 virtual_router_id 52
 priority 100
 track_file {
  number
 }
 virtual_ipaddress {
  10.0.0.101/24
 }
}
"""


def test_tracking_groups_and_notification() -> None:
    found = plan(TRACKED)
    v, w = found.instances
    assert set(v.tracks) == {
        Track(TrackKind.INTERFACE, "eth1"),
        Track(TrackKind.INTERFACE, "eth2", 9, True),
        Track(TrackKind.SCRIPT, "heavy", -7, True),
        Track(TrackKind.SCRIPT, "plain", 5),
        Track(TrackKind.FILE, "number", 2),
        Track(TrackKind.PROCESS, "web", 3),
    }
    assert w.tracks == (Track(TrackKind.FILE, "number", 1),)
    (group,) = found.groups
    assert (group.name, group.members, group.tracks) == ("G", ("V", "W"), (Track(TrackKind.SCRIPT, "plain"),))
    assert group.notify.notify_fault == '"/bin/fault now" nobody'
    assert (v.notify.notify_master, v.notify.notify) == ("/bin/master", '"/bin/any with words" nobody nogroup')
    assert (v.notify.smtp_alert, w.notify.smtp_alert) == (True, False)


def test_the_process() -> None:
    found = plan(
        "global_defs {\n vrrp_garp_interval 0.002\n vrrp_gna_interval 0.003\n vrrp_rt_priority 11\n"
        " vrrp_rlimit_rttime 6000000\n vrrp_cpu_affinity 0 1\n log_unknown_vrids\n}\n"
    )
    assert (found.garp_interval, found.gna_interval) == (2 * MS, 3 * MS)
    assert (found.rt_priority, found.rlimit_rttime_us, found.cpus) == (11, 6000000, (0, 1))
    assert found.log_unknown_vrids
    assert plan("") == Plan()


WEIGHTS = """
vrrp_script none {
 script "/bin/true"
}
vrrp_script five {
 script "/bin/true"
 weight 5
}
vrrp_track_file usual {
 file /x
}
vrrp_track_file four {
 file /x
 weight 4
}
vrrp_track_process usual {
 process x
}
%(group)s
vrrp_instance A {
 interface eth0
 virtual_router_id 1
 priority %(priority)s
 track_script {
  none
  five
 }
 track_interface {
  eth1 weight 7
  eth2
 }
 track_file {
  usual
  four
 }
 track_process {
  usual
 }
 virtual_ipaddress {
  192.0.2.1
 }
}
vrrp_instance B {
 interface eth0
 virtual_router_id 2
 track_script {
  none weight 9
  five weight 0
 }
 virtual_ipaddress {
  192.0.2.2
 }
}
"""
GROUP_AB = "vrrp_sync_group G {\n group {\n A\n B\n }\n%s}\n"


def weights_of(**given: str) -> list[list[str]]:
    found = plan(WEIGHTS % {"group": "", "priority": "100", **given}).instances
    return [[f"{one.kind.value} {one.name} {one.weight}" for one in each.tracks] for each in found]


def test_what_keepalived_makes_of_weights_where_nothing_may_change_the_priority() -> None:
    free = [
        *("script none 0", "script five 5", "process usual 0", "file usual 1", "file four 4"),
        *("interface eth1 7", "interface eth2 0"),
    ]
    both = [free, ["script none 9", "script five 0"]]
    assert weights_of() == both
    assert weights_of(group=GROUP_AB % " sync_group_tracking_weight\n") == both
    kept = ["script none 0", "process usual 0", "file usual 0"]
    member = [[*kept, "interface eth1 7", "interface eth2 0"], ["script five 0"]]
    assert weights_of(group=GROUP_AB % "") == member
    owner = [*kept, "interface eth2 0"]
    assert weights_of(priority="255") == [owner, both[1]]
    assert weights_of(priority="255", group=GROUP_AB % "") == [owner, member[1]]
