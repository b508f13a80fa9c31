# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deciding halves of the modules: what a task asks for, compared with what a host has."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel import ipvs_types as types
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel import kmod, sysctl
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.addresses import Address
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.iproute2 import Interface
from ansible_collections.linuxha.lvs.plugins.modules import host_info, ipvs_info, sysctl_arp, vrrp_vip

VIP = "192.168.1.100"


def group(*interfaces: str, **values: Any) -> dict[str, Any]:
    return {**dict.fromkeys(sysctl_arp.NAMES), "interfaces": list(interfaces), **values}


def named(*groups: dict[str, Any], ip_forward: bool | None = None, state: str = "present") -> dict[Any, str]:
    host_wide = {**dict.fromkeys(sysctl_arp.HOST_WIDE), "ip_forward": ip_forward}
    task = {"settings": list(groups), **host_wide, "state": state}
    settings = sysctl_arp.named_settings(task)
    return {"/".join(key[3:]) or key[2]: value for key, value in settings.items()}


class TestSysctlArp:
    def test_written_in_the_order_that_holds(self) -> None:
        asked = named(
            group("ens33", "default", send_redirects=False), group("all", send_redirects=True), ip_forward=True
        )
        assert list(asked.items()) == [
            ("ip_forward", "1"),
            ("all/send_redirects", "1"),
            ("default/send_redirects", "0"),
            ("ens33/send_redirects", "0"),
        ]

    def test_the_same_twice_is_fine_and_two_values_are_not(self) -> None:
        assert named(group("all", "all", arp_ignore=1), group("all", arp_ignore=1)) == {"all/arp_ignore": "1"}
        with pytest.raises(ValueError, match="arp_ignore of all twice, as 1 and as 2"):
            named(group("all", arp_ignore=1), group("all", arp_ignore=2))

    def test_a_group_without_values(self) -> None:
        with pytest.raises(ValueError, match="ens37: give at least one of arp_ignore"):
            named(group("ens37"))
        assert list(named(group("ens37"), state="absent")) == [f"ens37/{name}" for name in sysctl_arp.NAMES]

    def test_an_exclusive_file_loses_what_is_of_its_kinds_and_not_named(self) -> None:
        saved = ["net.ipv4.conf.ens37.arp_ignore", "net.ipv4.conf.all.arp_ignore", "net.ipv4.ip_forward"]
        others = ["kernel.panic", "net.ipv4.conf.all.log_martians", "net.ipv6.conf.ens37.forwarding"]
        keys = [tuple(name.split(".")) for name in (*saved, *others)]
        wanted = {sysctl.conf_key("all", "arp_ignore"): "1"}
        for exclusive, state, gone in (
            (False, "present", []),
            (True, "present", [keys[0], keys[2]]),
            (False, "absent", [keys[1]]),
            (True, "absent", keys[:3]),
        ):
            changes = sysctl_arp.file_changes({"exclusive": exclusive, "state": state}, wanted, keys)
            assert sorted(key for key, value in changes.items() if value is None) == sorted(gone)
            assert (wanted.items() <= changes.items()) == (state == "present")

    def test_a_setting_of_ipvs_that_a_task_before_may_bring(self, monkeypatch: pytest.MonkeyPatch) -> None:
        key = sysctl.ipvs_key("expire_nodest_conn")
        monkeypatch.setattr(sysctl, "exists", lambda _key: False)
        monkeypatch.setattr(kmod, "available_modules", lambda: {"ip_vs"})
        assert sysctl_arp.running_value(key) == ""
        monkeypatch.setattr(kmod, "available_modules", set)
        monkeypatch.setattr(sysctl, "path_of", lambda _key: "/proc/sys/net/ipv4/vs/nothing")
        with pytest.raises(sysctl.SysctlError, match="IPVS is not loaded"):
            sysctl_arp.running_value(key)

    def test_a_setting_that_cannot_be_written(self, monkeypatch: pytest.MonkeyPatch) -> None:
        key = sysctl.conf_key("all", "arp_ignore")
        monkeypatch.setattr(os, "access", lambda _path, _mode: False)
        sysctl_arp.require_settable({key: "1"}, {key: "1"})
        with pytest.raises(ValueError, match="/proc/sys/net/ipv4/conf/all/arp_ignore cannot be written"):
            sysctl_arp.require_settable({key: "1"}, {key: "0"})

    def test_absent_does_not_look_at_values(self) -> None:
        assert list(named(group("ens37", arp_ignore=3), state="absent")) == ["ens37/arp_ignore"]


def task(**changes: Any) -> dict[str, Any]:
    defaults = {
        "interface": "ens37",
        "addresses": [VIP],
        "label": None,
        "scope": "global",
        "noprefixroute": False,
        "host_route": False,
        "link_up": True,
        "announce": 0,
        "state": "present",
    }
    return {**defaults, **changes}


class TestVrrpVip:
    @pytest.mark.parametrize(
        "name, value",
        [
            ("announce", -1),
            ("announce", 101),
            ("announce", 10**12),
            ("conflict_probes", 0),
            ("conflict_probes", 21),
            ("dad_timeout", float("nan")),
            ("conflict_spacing", float("inf")),
        ],
    )
    def test_numbers(self, name: str, value: float) -> None:
        good = {"announce": 100, "conflict_probes": 20, "dad_timeout": 60, "conflict_spacing": 0.1}
        vrrp_vip.require_numbers(good)
        with pytest.raises(ValueError, match=f"^{name} is a "):
            vrrp_vip.require_numbers({**good, name: value})

    def test_normal_form(self) -> None:
        asked = task(addresses=[f"{VIP}/24", "2001:DB8::1"], label="ens37:9", scope="link", noprefixroute=True)
        assert vrrp_vip.wanted_addresses(asked) == [
            Address(VIP, 24, "ens37:9", "link", True),
            Address("2001:db8::1", 128, "", "global", True),
        ]

    @pytest.mark.parametrize(
        "changes, message",
        [
            ({"label": "ens33:9"}, "must be ens37 or start with ens37:"),
            ({"label": "ens37:0123456789"}, "longer than 15"),
            ({"label": "ens37:9", "addresses": ["fd00::1"]}, "label ens37:9 is for IPv4, and all addresses are IPv6"),
            ({"scope": "link", "addresses": ["fd00::1"]}, "scope link is for IPv4, and all addresses are IPv6"),
            ({"addresses": [VIP, f"{VIP}/24"]}, "listed twice"),
            ({"addresses": ["192.168.1.300"]}, "is not an address"),
            ({"addresses": ["fe80::1%ens37"]}, "names a zone"),
            ({"addresses": ["127.0.0.2"]}, "127.0.0.2 cannot be a virtual IP: it is a loopback address"),
            ({"addresses": ["::1"]}, "loopback"),
            ({"addresses": ["224.0.0.18"]}, "cannot be"),
            ({"addresses": ["0.0.0.0"]}, "cannot be"),
            ({"addresses": ["::ffff:192.168.1.100"]}, "write 192.168.1.100"),
            ({"addresses": ["255.255.255.255"]}, "broadcast"),
        ],
    )
    def test_refused(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            vrrp_vip.wanted_addresses(task(**changes))

    def test_records_come_back_and_others_are_refused(self) -> None:
        record = vrrp_vip.Record("ens37", [VIP], [])
        assert vrrp_vip.parse_record("f", vrrp_vip.render_record(record)) == record
        assert vrrp_vip.parse_record("f", "") == vrrp_vip.Record()
        for text in ("[1]", "{", '{"else": 1}', '{"addresses": 5}', '"ens37"'):
            with pytest.raises(ValueError, match="not a record"):
                vrrp_vip.parse_record("f", text)

    @pytest.mark.parametrize(
        "failed, words",
        [
            ({"fd00::1": "dadfailed"}, ["another host", "ens37 has fd00::1 (dadfailed)", "removed again"]),
            ({"fd00::1": "tentative"}, ["fd00::1 is still tentative after 2.5 s", "carrier", "dad_timeout"]),
            (
                {"fd00::1": "absent", "fd00::2": "tentative"},
                ["fd00::2 is still tentative", "; another program has just removed fd00::1 from ens37"],
            ),
        ],
    )
    def test_what_is_said_of_a_failed_detection(self, failed: dict[str, str], words: list[str]) -> None:
        said = vrrp_vip.detection_message({"interface": "ens37", "dad_timeout": 2.5}, failed)
        assert all(word in said for word in words), said

    def test_plan_concerns_only_what_is_named(self) -> None:
        own, old = Address("192.168.1.129", 24, "ens37"), Address("192.168.1.99", 24, "ens37")
        wanted = Address(VIP, 24, "ens37")
        plan = vrrp_vip.plan_interface(
            Interface("ens37", False, "ether", [own, old]),
            {"192.168.1.99", "192.168.1.7"},
            [wanted],
            {VIP},
            vrrp_vip.Record("ens37", ["192.168.1.99"], ["192.168.1.99"]),
            up=True,
            nodad=True,
        )
        assert plan.before == vrrp_vip.State(False, [old], {"192.168.1.99"})
        assert plan.after == vrrp_vip.State(True, [wanted], {VIP})
        assert plan.addresses == ([old], [wanted])


STATS = types.Stats(*range(10))


class TestIpvsInfo:
    def test_service_in_ipvsadms_words(self) -> None:
        key = types.ServiceKey(socket.AF_INET, 6, VIP, 80)
        flags = types.SVC_F_PERSISTENT | types.SVC_F_SCHED1 | types.SVC_F_SCHED3
        service = types.Service(key, "mh", flags, 300, "255.255.255.255")
        destination = types.Destination(socket.AF_INET, "192.168.1.129", 80, types.FWD_DROUTE, 1)
        shown = ipvs_info.service(
            types.ServiceEntry(service, STATS), [types.DestinationEntry(destination, 1, 2, 3, STATS)]
        )
        assert shown["sched_flags"] == ["mh-fallback", "flag-3"]
        assert (shown["protocol"], shown["address"], shown["port"], shown["fwmark"]) == ("tcp", VIP, 80, None)
        assert (shown["persistent"], shown["ops"], shown["pe"]) == (300, False, None)
        assert shown["rates"]["cps"] == 5
        (server,) = shown["servers"]
        assert (server["forward"], server["tun_type"], server["inactive_conn"]) == ("route", None, 2)

    def test_firewall_mark_service(self) -> None:
        service = types.Service(types.ServiceKey(socket.AF_INET6, fwmark=7), "rr", 0, 300, "128")
        shown = ipvs_info.service(types.ServiceEntry(service, STATS), [])
        assert (shown["family"], shown["protocol"], shown["address"], shown["fwmark"]) == ("inet6", None, None, 7)
        # The kernel keeps a timeout that means nothing without the flag.
        assert shown["persistent"] == 0

    def test_tunnel(self) -> None:
        destination = types.Destination(socket.AF_INET, VIP, 80, types.FWD_TUNNEL, 1, 0, 0, types.TUN_GUE, 5600)
        shown = ipvs_info.server(types.DestinationEntry(destination, 0, 0, 0, STATS))
        assert (shown["forward"], shown["tun_type"], shown["tun_port"]) == ("tunnel", "gue", 5600)


HELD = {
    "ens33": Interface("ens33", True, "ether", [Address("192.168.1.129", 24, "ens33")]),
    "ens37": Interface("ens37", True, "ether", []),
}


class TestHostInfo:
    def test_interfaces_are_named_once(self) -> None:
        (problem,) = host_info.interface_problems(HELD, ["ens33", "ens3", "ens3"])
        assert "ens3 here, only ens33, ens37; did you mean" in problem

    @pytest.mark.parametrize(
        "name, text, words",
        [
            ("ens33", "192.168.1.129", None),
            ("ens33", "192.168.1.129/24", None),
            ("ens33", "192.168.1.129/25", "/24 on ens33"),
            ("ens37", "192.168.1.129", "/24 on ens33"),
            ("ens37", "192.168.1.7", "no address"),
            ("ens33", "192.168.1.7", "it has 192.168.1.129/24"),
            ("ens33", "192.168.1.700", "is not an address"),
        ],
    )
    def test_addresses(self, name: str, text: str, words: str | None) -> None:
        problem = host_info.address_problem(HELD, name, text)
        assert problem is None if words is None else problem is not None and words in problem

    @pytest.mark.parametrize(
        "address",
        [
            pytest.param(Address(VIP, 24), id="a virtual IP that is to stay"),
            pytest.param(Address("192.168.1.101", 24, noprefixroute=True), id="a former one, without a route"),
            pytest.param(Address("192.168.1.101", 32), id="a former one, alone"),
            pytest.param(Address("fe80::1", 64, scope="link"), id="IPv6 asks no ARP"),
        ],
    )
    def test_a_nic_that_holds_virtual_ips_only(self, address: Address) -> None:
        interface = Interface("ens37", True, "ether", [address])
        assert host_info.own_address_problem(interface, [f"{VIP}/32"]) is None

    def test_a_nic_with_the_hosts_own_address_cannot_hold_virtual_ips(self) -> None:
        addresses = [Address(VIP, 24), Address("192.168.1.130", 24), Address("10.0.0.1", 8)]
        problem = host_info.own_address_problem(Interface("ens37", True, "ether", addresses), [VIP])
        assert problem is not None
        assert "ens37 has the host's own address 192.168.1.130/24, 10.0.0.1/8," in problem
        assert "put the virtual IP on lo" in problem

    @pytest.mark.parametrize("arp, vips", [(True, [VIP]), (False, [VIP, "2001:db8::100/64"])])
    def test_an_interface_that_answers_for_no_virtual_ip(self, arp: bool, vips: list[str]) -> None:
        assert host_info.neighbour_problem(Interface("ens37", True, "ether", [], arp=arp), vips) is None

    def test_a_nic_answers_for_every_ipv6_address(self) -> None:
        interface = Interface("ens37", True, "ether", [])
        problem = host_info.neighbour_problem(interface, [VIP, "2001:db8::100/64", "2001:db8::101"])
        assert problem is not None
        assert "interface ens37 would answer neighbour solicitations" in problem
        assert " 2001:db8::100/64, 2001:db8::101, " in problem
        assert "put the virtual IP on lo" in problem

    def test_kernel_modules(self) -> None:
        (problem,) = host_info.module_problems({"ip_vs"}, ["ip-vs", "ip_vs_rr"], "/lib/modules/6.1.0")
        assert "ip_vs_rr" in problem
        assert "/lib/modules/6.1.0" in problem
