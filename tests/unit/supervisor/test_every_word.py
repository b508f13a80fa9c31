# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""No word is ignored silently: each one changes what the daemon does, or the daemon says that it does not.

A file is read with and without each word of the schema. A word that somebody adds to the schema and nobody uses makes
no difference, and fails here; so does an option of a line (an address, a route, a rule).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from _lvs_agent import cli
from _lvs_agent.conf import syntax, syntax_routes
from _lvs_agent.conf.schema import VARIABLES
from _lvs_agent.conf.words import CHOICE, FLAG, INT, NUMBER, RAW, REFUSED, SUPPORTED, SWITCH, Block, Word
from _lvs_agent.supervisor import reader

#: Blocks of health checks and IPVS, which are tried in test_every_word_of_lvs.py.
OTHER_BLOCKS = ("SSL", "virtual_server", "virtual_server_group", "bfd_instance")
#: Words of global_defs for health checks and IPVS, which are tried there too.
OF_HEALTH_CHECKS = (
    "checker_log_all_failures",
    "checker_priority",
    "checker_rt_priority",
    "checker_rlimit_rttime",
    "checker_no_swap",
    "checker_cpu_affinity",
    "lvs_flush",
    "lvs_flush_on_stop",
    "lvs_notify_fifo",
    "lvs_notify_fifo_script",
    "lvs_sync_daemon",
    "lvs_timeouts",
    "no_checker_emails",
    "rs_init_notifies",
    "smtp_alert_checker",
)
#: What they do is done while the file is read, whoever reads it.
OF_READING = {"include_check"}
#: What is so without the word, too.
DEFAULTS = {"preempt", "accept", "track_src_ip"}


Capture = pytest.CaptureFixture[str]


@dataclass
class Case:
    """A file: words of each block by name; of a block that there are more of, of the first one."""

    words: dict[str, dict[str, str]] = field(default_factory=dict)

    def text(self) -> str:
        base: dict[str, dict[str, str]] = {
            "": {},
            "global_defs": {},
            "vrrp_script S": {"script": "script /bin/true"},
            "vrrp_track_process P": {"process": "process init"},
            "track_file F": {"file": "file /run/f"},
            "vrrp_sync_group G": {"group": "group {\n V\n W\n }"},
            "vrrp_instance V": instance(51, "10.0.0.100/24"),
            "vrrp_instance W": instance(52, "10.0.0.101/24"),
        }
        base["vrrp_instance V"].update(
            tracks="track_script {\n S\n }\n track_process {\n P\n }\n track_file {\n F\n }"
        )
        for block, words in self.words.items():
            base.setdefault(block, {}).update(words)
        found = list(base.pop("").values())
        for block, words in base.items():
            found += [f"{block} {{", *(f" {line}" for line in words.values() if line), "}"]
        return "\n".join(found) + "\n"


def instance(vrid: int, vip: str) -> dict[str, str]:
    return {
        "interface": "interface eth0",
        "virtual_router_id": f"virtual_router_id {vrid}",
        "priority": "priority 100",
        "virtual_ipaddress": f"virtual_ipaddress {{\n {vip}\n }}",
    }


def listed(word: str, line: str) -> str:
    return f"{word} {{\n {line}\n }}"


UNICAST = {"unicast_peer": listed("unicast_peer", "10.0.0.9"), "version": "version 3"}
MAIL = {
    "notification_email": listed("notification_email", "a@example.org"),
    "smtp_server": "smtp_server 10.0.0.25",
}
#: What a word needs around it to mean something.
CONTEXT: dict[str, dict[str, dict[str, str]]] = {
    "vrrp_instance V": {
        "unicast_src_ip": UNICAST,
        "unicast_ttl": UNICAST,
        "check_unicast_src": UNICAST,
        "old_unicast_checksum": UNICAST,
        "unicast_fault_no_peer": {"unicast_peer": "unicast_peer {\n }"},
        "vmac_xmit_base": {"use_vmac": "use_vmac"},
        "use_vmac_addr": {
            "use_vmac": "use_vmac",
            "virtual_ipaddress_excluded": listed("virtual_ipaddress_excluded", "10.1.0.1/24 dev eth1"),
        },
        "garp_extra_if": {
            "virtual_ipaddress_excluded": listed("virtual_ipaddress_excluded", "10.1.0.1/24 dev eth1"),
        },
        "state": {"priority": ""},
        "authentication": {"version": "version 2"},
        "vrf": {"interface": "", "unicast_peer": listed("unicast_peer", "10.0.0.9")},
        "track_src_ip": {"mcast_src_ip": "mcast_src_ip 10.0.0.1"},
        "notify_priority_changes": {"notify": "notify /bin/true"},
        "no_virtual_ipaddress": {"virtual_ipaddress": ""},
    },
    "global_defs": {
        "startup_script_timeout": {"startup_script": "startup_script /bin/true"},
        "shutdown_script_timeout": {"shutdown_script": "shutdown_script /bin/true"},
        "notify_fifo_script": {"notify_fifo": "notify_fifo /run/f"},
        "vrrp_notify_fifo_script": {"vrrp_notify_fifo": "vrrp_notify_fifo /run/f"},
        "notification_email_from": MAIL,
        "smtp_helo_name": MAIL,
        "smtp_connect_timeout": MAIL,
        "router_id": MAIL,
        "no_email_faults": MAIL,
        "notification_email": {"smtp_server": "smtp_server 10.0.0.25"},
        "smtp_server": {"notification_email": listed("notification_email", "a@example.org")},
    },
}
#: What the word has beside it in other blocks.
BESIDE: dict[str, dict[str, dict[str, str]]] = {
    "vmac_prefix": {"vrrp_instance V": {"use_vmac": "use_vmac"}},
    "vmac_addr_prefix": {
        "vrrp_instance V": {
            "use_vmac": "use_vmac",
            "use_vmac_addr": "use_vmac_addr",
            "virtual_ipaddress_excluded": listed("virtual_ipaddress_excluded", "10.1.0.1/24 dev eth1"),
        }
    },
    "vrrp_garp_extra_if": {
        "vrrp_instance V": {
            "virtual_ipaddress_excluded": listed("virtual_ipaddress_excluded", "10.1.0.1/24 dev eth1"),
        }
    },
    "v3_checksum_as_v2": {"vrrp_instance V": {"version": "version 3"}},
    "vrrp_mcast_group6": {"vrrp_instance V": {"virtual_ipaddress": listed("virtual_ipaddress", "fe80::100/64")}},
    "default_interface": {"": {"static_ipaddress": listed("static_ipaddress", "10.2.0.1/24")}},
    "iproute_etc_dir": {"": {"static_rules": listed("static_rules", "from 10.0.0.0/8 table site preference 5")}},
    "iproute_usr_dir": {"": {"static_rules": listed("static_rules", "from 10.0.0.0/8 table site preference 5")}},
    "track_script": {"vrrp_sync_group G": {"sync_group_tracking_weight": "sync_group_tracking_weight"}},
    "track_file": {"vrrp_sync_group G": {"sync_group_tracking_weight": "sync_group_tracking_weight"}},
    "sync_group_tracking_weight": {"vrrp_instance V": {"track_script": listed("track_script", "S weight 7")}},
}
SAMPLES = {
    "notification_email": listed("notification_email", "a@example.org"),
    "smtp_server": "smtp_server 10.0.0.25",
    "script_user": "script_user nobody",
    "vrrp_mcast_group6": "vrrp_mcast_group6 ff02::99",
    "vrrp_mcast_group4": "vrrp_mcast_group4 224.0.0.99",
    "vrrp_garp_extra_if": "vrrp_garp_extra_if all 100",
    "garp_extra_if": "garp_extra_if all 100",
    "umask": "umask 077",
    "vrrp_rx_bufs_policy": "vrrp_rx_bufs_policy MTU",
    "weight": "weight 5",
    "init_file": "init_file 7",
    "process": "process cron",
    "track_script": listed("track_script", "S weight 7"),
    "track_process": listed("track_process", "P weight 7"),
    "track_file": listed("track_file", "F weight 7"),
    "track_interface": listed("track_interface", "eth1"),
    "track_bfd": listed("track_bfd", "B"),
    "authentication": "authentication {\n auth_type PASS\n auth_pass x\n }",
    "virtual_ipaddress": listed("virtual_ipaddress", "10.0.0.200/24"),
    "virtual_ipaddress_excluded": listed("virtual_ipaddress_excluded", "10.0.0.201/24"),
    "virtual_routes": listed("virtual_routes", "10.9.0.0/16 via 10.0.0.9 dev eth0"),
    "static_routes": listed("static_routes", "10.9.0.0/16 via 10.0.0.9 dev eth0"),
    "virtual_rules": listed("virtual_rules", "from 10.9.0.0/16 table 9 preference 9"),
    "static_rules": listed("static_rules", "from 10.9.0.0/16 table 9 preference 9"),
    "static_ipaddress": listed("static_ipaddress", "10.2.0.1/24 dev eth1"),
    "interface_up_down_delays": listed("interface_up_down_delays", "eth0 1.5 1"),
    "linkbeat_interfaces": listed("linkbeat_interfaces", "eth0 MII"),
    "mcast_src_ip": "mcast_src_ip 10.0.0.1",
    "mcast_dst_ip": "mcast_dst_ip 224.0.0.99",
    "unicast_src_ip": "unicast_src_ip 10.0.0.1",
    "unicast_peer": listed("unicast_peer", "10.0.0.9"),
    "state": "state MASTER",
    "strict_mode": "strict_mode true",
    "higher_prio_send_advert": "higher_prio_send_advert false",
    "vrrp_higher_prio_send_advert": "vrrp_higher_prio_send_advert false",
    "group": listed("group", "V"),
    "interfaces": listed("interfaces", "eth0"),
    "iproute_etc_dir": "iproute_etc_dir DIRECTORY",
    "iproute_usr_dir": "iproute_usr_dir DIRECTORY",
    "use_vmac": "use_vmac",
    "auth_hmac": "auth_hmac {\n key 1 x\n }",
    "advert_int": "advert_int 7",
    "enable_script_security": "enable_script_security false",
    "vrrp_notify_priority_changes": "vrrp_notify_priority_changes true",
}


def sample(word: Word) -> str:
    """A line with the word, and a value that is not its default."""
    if word.name in SAMPLES:
        return SAMPLES[word.name]
    own = "@lvs_agent " if word.own else ""
    if word.kind in (INT, NUMBER):
        low = word.low or 0
        return f"{own}{word.name} {next(f'{low + step:g}' for step in (1, 2) if f'{low + step:g}' != word.default)}"
    if word.kind == CHOICE:
        return f"{word.name} {word.choices[-1]}"
    if word.kind == FLAG:
        return word.name
    if word.kind == SWITCH:
        return f"{word.name} true"
    return f"{word.name} /bin/false" if word.kind == "script" else f"{word.name} something"


def places() -> Iterator[tuple[str, Block, Word]]:
    """(head of a block, the block, the word) of everything a file can say that is not left out above."""
    heads = {
        "vrrp_script": "vrrp_script S",
        "vrrp_track_process": "vrrp_track_process P",
        "track_file": "track_file F",
        "vrrp_sync_group": "vrrp_sync_group G",
        "vrrp_instance": "vrrp_instance V",
        "track_group": "track_group T",
        "top_level": "",
    }
    for variable in VARIABLES:
        block = variable.word.block
        if block is None:
            yield "", Block("top_level", ()), variable.word
        elif block.name not in OTHER_BLOCKS:
            for word in block.words:
                if not word.key and word.kind not in (RAW,):
                    yield heads.get(block.name, block.name), block, word


PLACES = [
    (head, word)
    for head, block, word in places()
    if word.name not in OF_HEALTH_CHECKS and word.kind != REFUSED
]


def settings_of(case: Case, path: Path) -> reader.Result:
    path.parent.joinpath("rt_tables").write_text("77 site\n")
    path.write_text(case.text().replace("DIRECTORY", str(path.parent)))
    return reader.read(str(path), "test")


WITHOUT: dict[str, reader.Result] = {}


def without(case: Case, path: Path) -> reader.Result:
    """The same for a file that many words are left out of."""
    text = case.text()
    if text not in WITHOUT:
        WITHOUT[text] = settings_of(case, path)
    return WITHOUT[text]


def with_and_without(head: str, word: Word) -> tuple[Case, Case]:
    around = {block: dict(words) for block, words in BESIDE.get(word.name, {}).items()}
    around.setdefault(head, {}).update(CONTEXT.get(head, {}).get(word.name, {}))
    if head == "track_group T":
        line = "10.2.0.1/24 dev eth1 track_group T"
        around[""] = {"static_ipaddress": listed("static_ipaddress", line)}
    elif head == "garp_group":
        others = {"garp_interval": "garp_interval 3", "interface": "interface eth0"}
        around[head] = {name: line for name, line in others.items() if word.name not in (name, f"{name}s")}
    without = Case({block: dict(words) for block, words in around.items()})
    around[head][word.name] = sample(word)
    return Case(around), without


def assert_checked(file: Path, word: str, capsys: Capture) -> None:
    """lvs-agent check says so, too, with the line."""
    cli.main(["check", "--config-id", "test", str(file)])
    out = capsys.readouterr().out
    assert any(word in line and line.startswith(f"{file}:") for line in out.splitlines()), f"{word}: {out}"


def told(result: reader.Result, word: str) -> bool:
    return any(word in line for line in (*result.errors, *result.warnings))


@pytest.mark.parametrize("head, word", PLACES, ids=lambda one: one.name if isinstance(one, Word) else one or "file")
def test_a_word_does_something_or_is_told(head: str, word: Word, tmp_path: Path, capsys: Capture) -> None:
    if word.name in OF_READING | DEFAULTS:
        return
    case, plain = with_and_without(head, word)
    file = tmp_path / "keepalived.conf"
    before, after = without(plain, file), settings_of(case, file)
    if word.status == SUPPORTED and not after.errors:
        assert after.settings != before.settings, f"{word.name} makes no difference\n{case.text()}"
    else:
        assert told(after, word.name), f"nobody says what becomes of {word.name}: {after}\n{case.text()}"
        assert_checked(file, word.name, capsys)


#: An option of a line -> what stands behind it; nothing behind a flag.
VALUES = {
    **dict.fromkeys(("brd", "broadcast"), "10.0.0.255"),
    **dict.fromkeys(("dev", "oif", "iif"), "eth7"),
    **dict.fromkeys(("via", "gw", "or"), "10.0.0.9"),
    **dict.fromkeys(("table", "lookup", "goto"), "77"),
    **dict.fromkeys(("ipproto", "ip_proto"), "udp"),
    "as": "10.0.0.9",
    "congctl": "reno",
    "expires": "60",
    "features": "ecn",
    "from": "10.9.0.0/16",
    "label": "eth0:7",
    "peer": "10.0.0.9",
    "preferred_lft": "60",
    "realms": "3/4",
    "scope": "link",
    "src": "10.0.0.9",
    "to": "10.8.0.0/16",
    "track_group": "T",
    "ttl-propagate": "enabled",
    "type": "blackhole",
    "vrf": "red",
}
#: What is so without the option, or is but another way to say so.
IMPLIED = {"-nodad", "inet", "unicast", "prepend", "default", "nexthop", "inet6"}
IPV6 = {"expires", "pref", "home", "mngtmpaddr"}
LINES: dict[str, tuple[tuple[str, ...], tuple[str, ...], str, str]] = {
    "virtual_ipaddress": (syntax.VIP_VALUES, syntax.VIP_FLAGS, "10.0.0.100/24", "2001:db8::100/64"),
    "virtual_ipaddress_excluded": (syntax.VIP_VALUES, syntax.VIP_FLAGS, "10.0.0.200/24", "2001:db8::200/64"),
    "static_ipaddress": ((*syntax.VIP_VALUES, "track_group"), syntax.VIP_FLAGS, "10.2.0.1/24", "2001:db8::1/64"),
    "virtual_routes": (syntax_routes.ROUTE_VALUES, syntax_routes.ROUTE_FLAGS, "10.9.0.0/16", "2001:db8:9::/48"),
    "static_routes": (syntax_routes.ROUTE_VALUES, syntax_routes.ROUTE_FLAGS, "10.9.0.0/16", "2001:db8:9::/48"),
    "virtual_rules": (syntax_routes.RULE_VALUES, syntax_routes.RULE_FLAGS, "to 10.9.0.0/16", "to 2001:db8:9::/48"),
    "static_rules": (syntax_routes.RULE_VALUES, syntax_routes.RULE_FLAGS, "to 10.9.0.0/16", "to 2001:db8:9::/48"),
}
OPTIONS = [
    (word, option, f"{option} {VALUES.get(option, '7')}" if option in values else option)
    for word, (values, flags, _four, _six) in LINES.items()
    for option in (*values, *flags)
    if option not in IMPLIED
]


@pytest.mark.parametrize("word, option, said", OPTIONS, ids=lambda one: one)
def test_an_option_of_a_line_does_something_or_is_told(
    word: str, option: str, said: str, tmp_path: Path, capsys: Capture
) -> None:
    _values, _flags, four, six = LINES[word]
    plain = six if option in IPV6 else four
    if "rules" in word:
        plain = f"{plain} {'' if option in ('table', 'lookup') else 'table 9'} preference 9"
    if word == "static_ipaddress":
        plain += " dev eth1" if option != "dev" else " dev eth2"
    head = "vrrp_instance V" if word.startswith("virtual") else ""
    found: list[reader.Result] = []
    said = "pref high" if option == "pref" and "routes" in word else said
    for line in (plain, f"{plain} {said}" if option not in ("to", "from") or "rules" in word else said):
        words = {head: {word: listed(word, line)}, "track_group T": {"group": listed("group", "V")}}
        if word == "virtual_ipaddress" and ":" in plain:
            words["vrrp_instance V"]["interface"] = "interface eth0"
        read = settings_of if found else without
        found.append(read(Case(words), tmp_path / "keepalived.conf"))
    before, after = found
    assert not before.errors, before.errors
    if after.errors:
        assert told(after, option), f"nobody says what becomes of {option}: {after.errors}"
        assert_checked(tmp_path / "keepalived.conf", option, capsys)
    else:
        assert after.settings != before.settings, f"{option} makes no difference in {word}"
