# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file and the machine that is to run it: interfaces, networks, scripts, and who may change them."""

from __future__ import annotations

import errno
import os
import pwd
import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from _lvs_agent import this_host
from _lvs_agent.conf.check_local import problems
from _lvs_agent.conf.director import Director
from _lvs_agent.conf.machine import Interface
from _lvs_agent.conf.read import read_text
from _lvs_agent.conf.script import Account, Component

INTERFACES: Mapping[str, Interface] = MappingProxyType(
    {
        "lo": Interface(["127.0.0.1/8"]),
        "ens33": Interface(["192.0.2.1/24", "192.0.2.99/32", "fe80::1/64", "2001:db8::1/64"]),
        "ens37": Interface(),
    }
)
DIRECTORY, FILE = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755

TEXT = """\
global_defs {
    script_user nobody
}
vrrp_script chk {
    script "/opt/check.sh a"
    user root
}
vrrp_instance VI_1 {
    interface ens33
    virtual_router_id 51
    virtual_ipaddress {
        192.0.2.100/24
    }
}
"""


def told(
    text: str = TEXT,
    parts: list[Component] | None = None,
    interfaces: Mapping[str, Interface] | None = INTERFACES,
) -> list[str]:
    def account(user: str, group: str) -> Account | None:
        return {"root": Account(0, 0), "nobody": Account(65534, 65534)}.get(user) if group != "nogroup" else None

    good = [Component("/", DIRECTORY), Component("/opt", DIRECTORY), Component("/opt/check.sh", FILE)]
    parsed = read_text(text, "f")
    director = Director("", {}, parsed.configuration)
    found = problems(director, interfaces, account, lambda name: good if parts is None else parts)
    return [str(parsed.places.with_position(one)) for one in found]


def test_all_is_well() -> None:
    assert told() == []


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("interface ens33", "interface ens3", "f:9:15: vrrp_instance[VI_1].interface: this machine has no"),
        ("interface ens33", "interface ens33\n track_interface {\n lo\n ens38\n}", "no interface ens38; did you"),
        ("100/24", "100/24 dev ens39", "f:12:9: vrrp_instance[VI_1].virtual_ipaddress[0]: this machine has no interf"),
        ("192.0.2.100/24", "192.0.3.100/24", "the VIP 192.0.3.100 is in no network of ens33, which has 192.0.2.0/24"),
        ("192.0.2.100/24", "192.0.2.100/24 dev ens37", "is in no network of ens37, which has no IPv4 address"),
        ("script_user nobody", "dynamic_interfaces\n}\nvrrp_instance V {\n interface ens9", "warning: vrrp"),
        ("user root", "user rot", "f:5:12: vrrp_script[chk].script: this machine has no user rot"),
        ("user root", "user root nogroup", "no user root or no group nogroup"),
    ],
)
def test_what_the_machine_lacks(old: str, new: str, message: str) -> None:
    found = told(TEXT.replace(old, new))
    assert any(message in one for one in found), found


@pytest.mark.parametrize(
    "old, new",
    [
        ("100/24", "100/24 dev vrrp.51"),
        ("interface ens33", "interface ens33\n use_vmac vr51\n virtual_ipaddress_excluded {\n 192.0.2.5 dev vr51\n}"),
        ("192.0.2.100/24", "fe80::100/64"),
        ("192.0.2.100/24", "2001:db8::100/64"),
    ],
)
def test_what_need_not_be_there(old: str, new: str) -> None:
    assert told(TEXT.replace(old, new)) == []


def test_a_vip_of_its_own_proves_no_network() -> None:
    # the master holds the VIP: 192.0.2.99/32 would hold any address that is mistyped alike
    there = Interface(["192.0.2.99/24", "198.51.100.1/24"])
    (found,) = told(TEXT.replace("192.0.2.100/24", "192.0.2.99"), interfaces={"ens33": there})
    assert "is in no network of ens33, which has 198.51.100.0/24" in found


def test_nobody_knows_the_interfaces() -> None:
    (found,) = told(interfaces=None)
    assert found.startswith("warning: the interfaces of this machine are not known: the kernel did not list them; run")


DOWN = {**INTERFACES, "ens37": Interface(trouble="has no carrier")}
PRIMARY = {**INTERFACES, "ens33": INTERFACES["ens33"]._replace(trouble="is down")}
EXCLUDED = "virtual_ipaddress_excluded {\n 198.51.100.1/24 dev ens37"


@pytest.mark.parametrize(
    "words, where",
    [
        (f"{EXCLUDED}\n}}", "virtual_ipaddress_excluded[0]"),
        (f"{EXCLUDED} no_track\n}}", ""),
        ("virtual_routes {\n 10.0.0.0/8 via 192.0.2.9 dev ens37\n}", "virtual_routes[0]"),
        ("virtual_routes {\n 10.0.0.0/8 via 192.0.2.9 dev ens37 no_track\n}", ""),
        ("virtual_routes {\n 10.0.0.0/8 nexthop via 192.0.2.9 dev ens33 nexthop dev ens37\n}", ""),
        ("virtual_rules {\n iif ens37 table 9 preference 9\n}", "virtual_rules[0]"),
        ("track_interface {\n ens37\n}", "track_interface[0]"),
        ("track_interface {\n ens37 weight 10\n}", ""),
    ],
)
def test_an_interface_that_is_of_no_use(words: str, where: str) -> None:
    found = told(TEXT.replace("interface ens33", f"interface ens33\n {words}"), interfaces=DOWN)
    assert len(found) == bool(where), found
    assert not where or f".{where}: interface ens37 has no carrier: the instance is in FAULT until it is up" in found[0]


def test_its_own_interface_is_down() -> None:
    (found,) = told(interfaces=PRIMARY)
    assert "vrrp_instance[VI_1].interface: interface ens33 is down: the instance is in FAULT until it is up" in found
    assert told(TEXT.replace("interface ens33", "interface ens33\n dont_track_primary"), interfaces=PRIMARY) == []


PEER = "unicast_peer {\n 192.0.2.2\n}"


@pytest.mark.parametrize(
    "words, message",
    [
        (f"unicast_src_ip 192.0.2.7\n {PEER}", "unicast_src_ip: this machine does not have 192.0.2.7: the instance"),
        (f"unicast_src_ip 192.0.2.1\n {PEER}", ""),
        ("mcast_src_ip 192.0.2.7", "mcast_src_ip: this machine does not have 192.0.2.7"),
        ("mcast_src_ip 127.0.0.1", ""),
        ("mcast_src_ip fe80::1", ""),
        ("mcast_src_ip fe80::7", "this machine does not have fe80::7"),
        ("mcast_src_ip fe80::7\n use_vmac", ""),
    ],
)
def test_the_source_of_the_adverts(words: str, message: str) -> None:
    text = TEXT.replace("interface ens33", f"interface ens33\n {words}")
    if "fe80" in words:
        text = text.replace("192.0.2.100/24", "2001:db8::100/64")
    found = told(text)
    assert len(found) == bool(message), found
    assert not message or message in found[0]


@pytest.mark.parametrize(
    "vip, addresses, kind",
    [("192.0.2.100", ["fe80::1/64", "192.0.2.100/24"], "IPv4"), ("2001:db8::5", ["2001:db8::1/64"], "IPv6 link-local")],
)
def test_no_address_for_the_adverts(vip: str, addresses: list[str], kind: str) -> None:
    there = {"ens33": Interface(addresses)}
    found = [one for one in told(TEXT.replace("192.0.2.100/24", vip), interfaces=there) if "in no network" not in one]
    (said,) = found
    assert f"interface: ens33 has no {kind} address that is no VIP: adverts have no address to come from" in said


def test_a_vip_that_is_the_machines_own_address() -> None:
    own = {**INTERFACES, "ens33": INTERFACES["ens33"]._replace(own={"192.0.2.99/32"})}
    (found,) = told(TEXT.replace("192.0.2.100/24", "192.0.2.99/24"), interfaces=own)
    assert found.startswith("f:12:9: vrrp_instance[VI_1].virtual_ipaddress[0]: the VIP 192.0.2.99 is an address of")
    # of one that runs
    assert told(TEXT.replace("192.0.2.100/24", "192.0.2.99/24")) == []


@pytest.mark.parametrize(
    "parts, message",
    [
        ([], "there is no command /opt/check.sh on this machine; write its whole path"),
        ([Component("/opt/check.sh", None)], "/opt/check.sh does not exist on this machine"),
        ([Component("/opt/check.sh", DIRECTORY)], "/opt/check.sh is not a file"),
        ([Component("/opt/check.sh", stat.S_IFREG | 0o644)], "user 0 may not run /opt/check.sh: its mode is 0644"),
        (
            [Component("/opt", DIRECTORY, 1000), Component("/opt/check.sh", FILE)],
            "warning: vrrp_script[chk].script: /opt/check.sh runs as root, and others can change it: /opt bel",
        ),
        ([Component("/opt/check.sh", FILE | 0o020, 0, 50)], "group 50 may write /opt/check.sh (mode 0775)"),
        ([Component("/opt/check.sh", FILE | 0o002)], "writable by everybody (mode 0757)"),
    ],
)
def test_a_script_that_will_not_run_or_is_not_safe(parts: list[Component], message: str) -> None:
    found = told(parts=parts)
    assert any(message in one for one in found), found


def test_script_security_makes_it_an_error() -> None:
    parts = [Component("/opt/check.sh", FILE | 0o020, 0, 50)]
    (found,) = told(TEXT.replace("script_user", "enable_script_security\n script_user"), parts)
    assert found.startswith("f:6:12: vrrp_script[chk].script: ")
    assert "keepalived disables it" in found


@pytest.mark.parametrize("mode", [stat.S_IFDIR | 0o1777, stat.S_IFDIR | 0o775])
def test_what_only_root_can_change(mode: int) -> None:
    assert told(parts=[Component("/opt", mode), Component("/opt/check.sh", FILE)]) == []


def test_another_user_needs_its_own_permissions() -> None:
    text = TEXT.replace("    user root\n", "")
    parts = [Component("/opt", stat.S_IFDIR | 0o750), Component("/opt/check.sh", FILE)]
    (found,) = told(text, parts)
    assert "user 65534 may not enter /opt: its mode is 0750, its owner 0, its group 0; chmod a+x /opt" in found
    assert told(text) == []


WHERE = {
    "global_defs {": "global_defs {\n notify_fifo_script /no",
    "vrrp_script chk {": "vrrp_sync_group G {\n group {\n VI_1\n }\n notify /no\n}\nvrrp_script chk {",
    "interface ens33": 'interface ens33\n notify_master "/no a" root',
    "vrrp_instance VI_1 {": """virtual_server 192.0.2.100 80 {
 quorum_up /no
 real_server 192.0.2.11 80 {
  notify_up /no
  MISC_CHECK {
   misc_path /no
  }
 }
}
vrrp_instance VI_1 {""",
}


@pytest.mark.parametrize("old, new", WHERE.items())
def test_every_command_is_looked_at(old: str, new: str) -> None:
    found = told(TEXT.replace(old, new), [Component("/no", None)])
    assert len([one for one in found if "/no does not exist" in one]) == new.count("/no") + 1, found


# --- the machine itself


def test_this_machine_has_its_loopback() -> None:
    found = this_host.interfaces()
    assert found is not None
    assert "127.0.0.1/8" in found["lo"].addresses
    assert found["lo"].trouble == ""


def test_a_machine_that_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_self: object) -> None:
        raise OSError(errno.EAFNOSUPPORT, "no netlink here")

    monkeypatch.setattr("_lvs_agent.kernel.route.RouteSocket.__init__", refused)
    assert this_host.interfaces() is None


def test_accounts() -> None:
    assert this_host.account("root", "") == Account(0, 0)
    assert this_host.account("0", "0") == Account(0, 0)
    assert this_host.account("no such user", "") is None
    assert this_host.account("root", "no such group") is None
    assert this_host.account("9" * 30, "") is None


def test_a_command_and_its_parts(tmp_path: Path) -> None:
    program = tmp_path / "real/check"
    program.parent.mkdir()
    program.touch(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    found = this_host.command(str(tmp_path / "link/check"))
    assert [one.path for one in found][:2] == ["/", "/tmp"]
    assert found[-2:] == [
        Component(str(program.parent), program.parent.stat().st_mode, os.getuid(), os.getgid()),
        Component(str(program), stat.S_IFREG | 0o700, os.getuid(), pwd.getpwuid(os.getuid()).pw_gid),
    ]
    assert this_host.command(str(tmp_path / "no/check"))[-1] == Component(str(tmp_path / "no"), None)
    assert this_host.command("true")[-1].path.endswith("/true") or this_host.command("true")[-1].mode
    assert this_host.command("no-such-command") == []
