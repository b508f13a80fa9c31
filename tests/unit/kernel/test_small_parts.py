# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small pure parts of kernel/: settings' names and files, addresses, frames, names of modules and interfaces."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _lvs_agent.kernel import echo, interfaces, iproute2, kmod, sysctl, sysctl_d
from _lvs_agent.kernel.addresses import Address, plan_addresses, state_of, wanted_address
from _lvs_agent.kernel.errors import InterfaceNotFound

VIP = "192.168.1.100"
INTERFACES = st.from_regex(r"[a-z][a-z0-9.]{0,10}[a-z0-9]", fullmatch=True)
KEYS = st.builds(sysctl.conf_key, INTERFACES, st.sampled_from(["arp_ignore", "arp_announce", "rp_filter"]))


class TestSysctl:
    @pytest.mark.parametrize(
        "text, interface",
        [
            # The three spellings of sysctl.d(5)
            ("net.ipv4.conf.ens37.arp_ignore", "ens37"),
            ("net/ipv4/conf/eth0.100/arp_ignore", "eth0.100"),
            ("net.ipv4.conf.eth0/100.arp_ignore", "eth0.100"),
        ],
    )
    def test_names(self, text: str, interface: str) -> None:
        assert sysctl_d.parse_name(text) == sysctl.conf_key(interface, "arp_ignore")

    @given(KEYS)
    def test_spelled_names_come_back(self, key: tuple[str, ...]) -> None:
        assert sysctl_d.parse_name(sysctl_d.spell(key)) == key

    def test_a_dot_in_an_interface_asks_for_slashes(self) -> None:
        assert sysctl_d.spell(sysctl.conf_key("eth0.100", "rp_filter")) == "net/ipv4/conf/eth0.100/rp_filter"
        assert sysctl_d.spell(sysctl.conf_key("ens37", "rp_filter")) == "net.ipv4.conf.ens37.rp_filter"

    @pytest.mark.parametrize("name", ["..", "a/b", ""])
    def test_no_name_leaves_its_directory(self, name: str) -> None:
        with pytest.raises(ValueError, match="names no setting"):
            sysctl.path_of(sysctl.conf_key(name, "arp_ignore"))

    def test_merge_keeps_what_it_does_not_know(self) -> None:
        text = "# mine\n\nnet.ipv4.conf.all.arp_ignore=2\n; also\n-kernel.panic = 5\nnet/ipv4/conf/all/arp_ignore = 3\n"
        changes = {sysctl.conf_key("all", "arp_ignore"): "1", sysctl.conf_key("ens37", "arp_ignore"): "1"}
        assert sysctl_d.merge_file(text, changes) == (
            "# mine\n\nnet.ipv4.conf.all.arp_ignore = 1\n; also\n-kernel.panic = 5\n"
            "net.ipv4.conf.ens37.arp_ignore = 1\n"
        )

    def test_a_file_without_settings_goes(self) -> None:
        key = sysctl.conf_key("all", "arp_ignore")
        made = sysctl_d.merge_file("", {key: "1"})
        assert made.splitlines()[0].startswith("#")
        assert sysctl_d.merge_file(made, {key: None}) == ""

    @given(st.dictionaries(KEYS, st.sampled_from("012")), st.dictionaries(KEYS, st.sampled_from(["0", "1", None])))
    def test_tasks_share_a_file(self, first: Any, second: Any) -> None:
        text = sysctl_d.merge_file(sysctl_d.merge_file("", first), second)
        merged = {key: value for key, value in {**first, **second}.items() if value is not None}
        assert sysctl_d.parse_file(text) == merged
        assert sysctl_d.merge_file(text, second) == text

    def test_forwarding_comes_first_since_it_resets_others(self) -> None:
        text = "# mine\nnet.ipv4.conf.all.accept_redirects = 0\n"
        merged = sysctl_d.merge_file(text, {sysctl.IP_FORWARD: "1", sysctl.IPV6_FORWARD: "1"})
        assert merged.splitlines() == [
            "# mine",
            "net.ipv4.ip_forward = 1",
            "net.ipv6.conf.all.forwarding = 1",
            "net.ipv4.conf.all.accept_redirects = 0",
        ]

    def test_files_in_the_order_of_sysctl_d(self) -> None:
        names = {
            "/usr/lib/sysctl.d": ["50-default.conf", "99-last.conf", "README"],
            "/etc/sysctl.d": ["99-sysctl.conf", "50-default.conf", "90-ours.conf.bak"],
            "/run/sysctl.d": ["60-run.conf", "99-last.conf"],
        }
        assert sysctl_d.order(names) == [
            "/etc/sysctl.d/50-default.conf",
            "/run/sysctl.d/60-run.conf",
            "/run/sysctl.d/99-last.conf",
            "/etc/sysctl.d/99-sysctl.conf",
        ]

    @pytest.mark.parametrize(
        "text, undoing",
        [
            pytest.param(
                "net.ipv4.conf.ens37.arp_ignore = 0", "f line 1 says net.ipv4.conf.ens37.arp_ignore = 0", id="no"
            ),
            pytest.param(
                "\n-net/ipv4/conf/ens37/arp_ignore=0", "f line 2 says net.ipv4.conf.ens37.arp_ignore = 0", id="-"
            ),
            pytest.param(
                "net.ipv4.conf.all.forwarding=1", "f line 1 says net.ipv4.conf.all.forwarding = 1", id="alias"
            ),
            pytest.param("net.ipv4.conf.ens37.arp_ignore = 8", None, id="the same"),
            pytest.param("net.ipv4.conf.ens37.arp_ignore = 0\nnet.ipv4.conf.ens37.arp_ignore = 8", None, id="mended"),
            pytest.param("# net.ipv4.conf.ens37.arp_ignore = 0", None, id="a comment"),
            pytest.param("net.ipv4.conf.*.arp_ignore = 0\n-net.ipv4.conf.ens37.arp_ignore", None, id="a pattern"),
            pytest.param("net.ipv4.conf.ens33.arp_ignore = 0", None, id="another"),
        ],
    )
    def test_what_a_later_file_undoes(self, text: str, undoing: str | None) -> None:
        wanted = {sysctl.conf_key("ens37", "arp_ignore"): "8", sysctl.IP_FORWARD: "0"}
        found = [str(line) for line in sysctl_d.contradictions(wanted, sysctl_d.parse_lines("f", text))]
        assert found == ([] if undoing is None else [undoing])

    def test_effective_values(self) -> None:
        assert sysctl.effective("arp_ignore", 1, 0) == 1
        assert sysctl.effective("rp_filter", 1, 2) == 2
        assert sysctl.effective("send_redirects", 0, 1) == 1
        assert sysctl.effective("send_redirects", 0, 0) == 0
        assert sysctl.effective("accept_local", 0, 1) == 1
        # A host heeds redirects if either says so, a router if both do.
        assert [sysctl.effective("accept_redirects", 1, own) for own in (0, 1)] == [1, 1]
        assert [sysctl.effective("accept_redirects", 1, own, forwarding=True) for own in (0, 1)] == [0, 1]
        with pytest.raises(KeyError):
            sysctl.effective("forwarding", 1, 1)

    def test_what_cannot_be_read_is_named(self) -> None:
        with pytest.raises(sysctl.SysctlError, match=r"/proc/sys/net/ipv4/conf/no-such/arp_ignore.*no-such exists"):
            sysctl.read(sysctl.conf_key("no-such", "arp_ignore"))


class TestAddresses:
    def test_normal_form(self) -> None:
        assert wanted_address(VIP, "ens33", "link", True) == Address(VIP, 32, "ens33", "link", True)
        assert wanted_address("2001:DB8:0::1/64", "ens33", "link", False) == Address("2001:db8::1", 64)
        assert wanted_address("fe80::1/64", "", "global", False).scope == "link"

    @pytest.mark.parametrize("text", ["192.168.1.300", "192.168.1.1/33", "224.0.0.18", "0.0.0.0", "ff02::12", "host"])
    def test_what_is_no_address(self, text: str) -> None:
        with pytest.raises(ValueError, match=text.partition("/")[0]):
            wanted_address(text, "", "global", False)

    def test_plan(self) -> None:
        own = Address("192.168.1.129", 24, "ens33")
        old, new = Address(VIP, 24, "ens33"), Address(VIP, 32, "ens33")
        retired = Address("192.168.1.99", 32, "ens33")
        assert plan_addresses([own, old, retired], [new], {"192.168.1.99"}) == ([old, retired], [new])
        assert plan_addresses([own, new], [new], {VIP}) == ([], [])
        # Held twice, with two prefixes: only the wanted one stays.
        assert plan_addresses([old, new], [new]) == ([old], [])

    def test_an_address_that_does_not_serve_is_added_anew(self) -> None:
        wanted = Address("fd00::1", 64)
        for state, useless, replaced in (
            ("dadfailed", ("dadfailed",), True),
            ("tentative", ("dadfailed",), False),
            ("tentative", ("dadfailed", "tentative"), True),
            ("deprecated", ("dadfailed", "tentative"), False),
        ):
            have = Address("fd00::1", 64, state=state)
            expected = ([have], [wanted]) if replaced else ([], [])
            assert plan_addresses([have], [wanted], useless=useless) == expected
            assert str(have) == f"fd00::1/64 scope global {state}"

    @pytest.mark.parametrize(
        "flags, state",
        [(0x80, "preferred"), (0xC0, "tentative"), (0xC8, "dadfailed"), (0xA0, "deprecated"), (0x02, "preferred")],
    )
    def test_states(self, flags: int, state: str) -> None:
        assert state_of(flags) == state

    @given(*[st.sets(st.sampled_from([Address(f"10.0.0.{n}", p) for n in (1, 2, 3) for p in (24, 32)]))] * 2)
    def test_a_plan_leads_there_and_ends(self, current: set[Address], wanted: set[Address]) -> None:
        once = {address.address: address for address in wanted}.values()
        delete, add = plan_addresses(current, once)
        after = (current - set(delete)) | set(add)
        assert set(once) <= after
        assert plan_addresses(after, once) == ([], [])


class TestIproute2:
    def test_interface(self) -> None:
        entry = {
            "ifname": "ens37",
            "flags": ["BROADCAST", "UP"],
            "link_type": "ether",
            "address": "02:00:00:00:00:01",
            "addr_info": [
                {"family": "inet", "local": VIP, "prefixlen": 24, "scope": "global", "label": "ens37:9"},
                {"family": "inet6", "local": "fd00::1", "prefixlen": 64, "scope": "global", "noprefixroute": True},
                {"family": "inet6", "local": "fd00::2", "prefixlen": 64, "scope": "global", "tentative": True},
                {},
            ],
        }
        own = [Address(VIP, 24, "ens37:9"), Address("fd00::1", 64, "", "global", True), Address("fd00::2", 64)]
        parsed = iproute2.parse_interface(entry)
        assert parsed == iproute2.Interface("ens37", True, "ether", own, "02:00:00:00:00:01", True)
        assert [address.state for address in parsed.addresses] == ["preferred", "preferred", "tentative"]

    @pytest.mark.parametrize(
        "route, is_one",
        [
            ({"dst": VIP, "protocol": "static"}, True),
            ({"dst": VIP}, True),
            ({"dst": VIP, "gateway": "192.168.1.254"}, False),
            ({"dst": "192.168.1.0/24"}, False),
            ({"dst": "default"}, False),
            ({"dst": "fd00::1", "protocol": "kernel"}, False),
        ],
    )
    def test_host_routes(self, route: dict[str, Any], is_one: bool) -> None:
        assert iproute2.is_host_route(route) == is_one

    @pytest.mark.parametrize("state, resolved", [("REACHABLE", True), ("STALE", True), ("FAILED", False)])
    def test_neighbours(self, state: str, resolved: bool) -> None:
        assert iproute2.parse_resolved({"dst": VIP, "lladdr": "02:00:00:00:00:01", "state": [state]}) == resolved
        assert not iproute2.parse_resolved({"dst": VIP, "state": [state]})


def test_echo_request_is_a_right_one() -> None:
    # The checksum was computed by hand: 0x0800 + 0x1234 + 0x0001 = 0x1a35, its complement 0xe5ca.
    assert echo.pack_echo(socket.AF_INET, 0x1234, 1) == bytes.fromhex("0800e5ca12340001")
    assert echo.pack_echo(socket.AF_INET6, 0x1234, 1) == bytes.fromhex("8000000012340001")


def test_echo_replies_are_told_from_others() -> None:
    ip_header = bytes([0x46]) + bytes(23)  # with one word of options
    assert echo.is_reply(socket.AF_INET, ip_header + bytes.fromhex("0000000012340001"), 0x1234)
    assert not echo.is_reply(socket.AF_INET, ip_header + bytes.fromhex("0000000099990001"), 0x1234)
    assert not echo.is_reply(socket.AF_INET, ip_header + bytes.fromhex("0800000012340001"), 0x1234)
    assert not echo.is_reply(socket.AF_INET, ip_header, 0x1234)
    assert echo.is_reply(socket.AF_INET6, bytes.fromhex("8100000012340001"), 0x1234)


def test_kernel_module_names() -> None:
    lines = [
        "ip_vs 176128 0 - Live 0x0",
        "kernel/net/ipv4/ipip.ko",
        "kernel/net/netfilter/ipvs/ip_vs_rr.ko.xz: kernel/net/netfilter/ipvs/ip_vs.ko.xz",
        "kernel/drivers/net/dummy-two.ko.zst:",
        "",
    ]
    assert kmod.parse_names(lines) == {"ip_vs", "ipip", "ip_vs_rr", "dummy_two"}


def test_missing_interface_names_the_nearest() -> None:
    assert "did you mean ens33?" in interfaces.missing_interface("ens3", ["lo", "ens33"])
    assert "did you mean" not in interfaces.missing_interface("wlan0", ["lo", "ens33"])
    with pytest.raises(InterfaceNotFound, match="only lo"):
        interfaces.require_interface("no-such")
