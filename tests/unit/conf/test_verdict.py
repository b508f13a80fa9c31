# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""keepalived -t as the judge: what it complains of we complain of, apart from docs/keepalived-differences.md."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from _lvs_agent.conf.read import KEEPALIVED, file_problems, read_text
from _lvs_agent.conf.schema import BLOCK_OF
from _lvs_agent.conf.words import Block

PAGE = Path(__file__).parents[3] / "docs/keepalived-differences.md"
SAMPLES = sorted(Path("/usr/share/doc/keepalived/samples").glob("keepalived.conf.*"))
MAN = Path("/usr/share/man/man5/keepalived.conf.5.gz")
Ask = Callable[[Sequence[str]], list[str]]


def tables() -> tuple[list[str], list[str]]:
    """The messages of the two tables: keepalived's, ours."""
    parts = PAGE.read_text(encoding="utf-8").split("\n## ")[1:]
    found = [re.findall(r"^\| `(.+?)` \|", part, re.MULTILINE) for part in parts]
    last = max(os.sched_getaffinity(0) | {(os.cpu_count() or 1) - 1})
    return [one.replace("CPUS", str(last)) for one in found[0]], found[1]


# --- what is judged


def samples() -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in SAMPLES}


def examples() -> dict[str, str]:
    """The examples of the man page's chapters on conditions, parameters, sequences and lists, made whole."""
    page = gzip.decompress(MAN.read_bytes()).decode()
    page = page[page.index(".SH Conditional configuration") : page.index(".SH KERNEL SETTINGS")]
    page = re.sub(r"\\f[BR]", "", page).replace("\\e", "\\").replace("\\\\", "\\")
    shown = [re.split(r"\n *(?:will|would) produce", one)[0] for one in re.findall(r"\.nf\n(.*?)\.fi", page, re.DOTALL)]
    condition, parameter, priority, instance, servers, sequence, sequences = shown
    rest = "virtual_router_id 7\n interface eth0\n"
    vip = "virtual_ipaddress {\n192.0.2.1\n}"
    vips = f"vrrp_instance V {{\n {rest} virtual_ipaddress {{\n%s\n}}\n}}\n"
    lists = re.findall(r"^ +(~LST.*)$", page, re.MULTILINE)
    return {
        "condition": re.sub(r"\.\.\.\n", "", condition.replace("VRRP {\n        ...", f"VRRP {{\n {rest} {vip}")),
        "condition in another": condition.replace("...", ""),
        "parameter": parameter.replace("${ADDRESS_BASE}.100/32", vips % "${ADDRESS_BASE}.100/32", 1).rpartition(
            "    $ADDRESS_BASE_SUB=10"
        )[0],
        "priority": priority.split("$IF_MAIN")[0].replace("...\n", "").replace(
            "priority ", f"{rest}{vip}\npriority "
        ),
        "instances": instance,
        "servers": servers,
        "sequence": vips % re.sub(r"\bip_address ", "", sequence.split("\n\n")[0]),
        "sequences": sequences.replace("(IF,0,7)", "(IF,0,0)").replace("(NUM,0,31)", "(NUM,0,1)").replace(
            "(ID,1,254)", "(ID,1,2)"
        ),
        **{f"list {number}": vips % one for number, one in enumerate(lists)},
    }


GOOD = """\
global_defs {
 enable_script_security
 script_user root
 %(global_defs)s
}
vrrp_script chk {
 script "/bin/true"
 %(vrrp_script)s
}
vrrp_sync_group G {
 group {
  VI_1
  VI_2
 }
 %(vrrp_sync_group)s
}
vrrp_instance VI_1 {
 interface ens33
 virtual_router_id 51
 priority 100
 virtual_ipaddress {
  192.0.2.100
 }
 %(vrrp_instance)s
}
vrrp_instance VI_2 {
 interface ens33
 virtual_router_id 52
 priority 100
 virtual_ipaddress {
  192.0.2.101
 }
}
virtual_server 192.0.2.100 80 {
 delay_loop 6
 lb_kind DR
 lb_algo rr
 protocol TCP
 %(virtual_server)s
 real_server 192.0.2.11 80 {
  weight 1
  %(real_server)s
 }
}
"""
PLACES = ("global_defs", "vrrp_script", "vrrp_sync_group", "vrrp_instance", "virtual_server", "real_server")
VALUES = ("", "0", "-1", "65537", "x", "1.5", "192.0.2.1", "192.0.2.0/24", "2001:db8::1", "no", "{\n}", "a b c", "100%")


def good(place: str = "", line: str = "") -> str:
    return GOOD % {one: line if one == place else "" for one in PLACES}


def words() -> dict[str, str]:
    """Every keyword with one value, another one for the next keyword."""
    found: dict[str, str] = {}
    servers = BLOCK_OF["virtual_server"].find("real_server")
    assert servers is not None
    assert servers.block is not None

    def collect(block: Block, place: str, around: str) -> None:
        for spelling, word in block.index().items():
            # keepalived makes the directories of the two
            if not word.key and not word.own and not word.since and "_dir" not in spelling:
                value = VALUES[(len(found) * 5 + 3) % len(VALUES)]
                found[f"{block.name}: {spelling} {value}"] = good(place, around % f"{spelling} {value}")

    for place in PLACES[:-1]:
        collect(BLOCK_OF[place], place, "%s")
    collect(servers.block, "real_server", "%s")
    url = "url {\n path /\n}\n"
    needed = {"HTTP_GET": url, "SSL_GET": url, "MISC_CHECK": "misc_path /bin/true\n"}
    for word in servers.block.words:
        if word.block is not None:
            collect(word.block, "real_server", f"{word.name} {{\n{needed.get(word.name, '')}%s\n}}")
    return found


# one for each row of the tables that no other file has
DIFFERENT = (
    ("global_defs", "smtp_server no-such-host.invalid"),
    ("global_defs", "smtp_server 65536"),
    ("global_defs", "smtp_helo_name"),
    ("global_defs", "startup_script /bin/true no_such_user"),
    ("global_defs", "shutdown_script /bin/true no_such_user"),
    ("global_defs", "vrrp_cpu_affinity 4000"),
    ("global_defs", "vrrp_netlink_cmd_rcv_bufs 0"),
    ("global_defs", "vrrp_rlimit_rttime 10000"),
    ("global_defs", "lvs_sync_daemon 192.0.2.0/24"),
    ("vrrp_script", "user no_such_user"),
    ("vrrp_instance", "track_interface {\n eth9\n}"),
    ("vrrp_instance", "use_vmac ens33"),
    ("vrrp_instance", "virtual_ipaddress {\n}"),
    ("vrrp_instance", "virtual_routes {\n 10.9.0.0/16 dev ens33 tos 255\n}"),
    ("vrrp_instance", "virtual_routes {\n 10.9.0.1/16 dev ens33\n}"),
    ("vrrp_instance", "virtual_routes {\n 10.9.0.0/16 dev ens33 scope 255\n}"),
    ("virtual_server", "persistence_granularity 7"),
    ("virtual_server", "persistence_engine tcp"),
    ("virtual_server", "persistence_timeout 9\n inhibit_on_failure"),
    ("real_server", "MISC_CHECK {\n misc_path /bin/true\n user no_such_user\n }"),
    ("real_server", "DNS_CHECK {\n name a.example.com\n }"),
    ("real_server", "HTTP_GET {\n url {\n path /\n regex_min_offset x\n }\n }"),
)
NO_PRIORITY = "priority 100", "state MASTER"
NO_DELAY = "delay_loop 6\n", "@x x\n"
NO_USER = "script_user root", "script_user no_such_user"
NO_HOLDER = "virtual_server 192.0.2.100", "virtual_server 192.0.2.109"
LONG_PREFIX = " 192.0.2.101\n", " 2001:db8::1/64\n"


def differences() -> dict[str, str]:
    checked = good("real_server", "TCP_CHECK {\n }")
    changes = (NO_PRIORITY, NO_DELAY, NO_USER, NO_HOLDER, LONG_PREFIX)
    found = {f"different: {place}: {line}": good(place, line) for place, line in DIFFERENT}
    return {**found, **{f"different: {new}": checked.replace(old, new, 1) for old, new in changes}}


LATE = {
    "track_script": 'vrrp_script late {\n script "/bin/true"\n}\n',
    "track_file": "vrrp_track_file late {\n file /etc/hostname\n}\n",
    "track_process": "vrrp_track_process late {\n process sshd\n}\n",
    "track_bfd": "bfd_instance late {\n neighbor_ip 192.0.2.9\n source_ip 192.0.2.8\n}\n",
}


def orders() -> dict[str, str]:
    """A block before and behind the line that names it, and a port where a firewall mark leaves none."""
    found: dict[str, str] = {}
    uses = [
        *[(place, word, f"{word} {{\n late\n}}") for place in ("vrrp_instance", "vrrp_sync_group") for word in LATE],
        ("real_server", "track_file", "FILE_CHECK {\n track_file late\n}"),
        ("real_server", "track_bfd", "BFD_CHECK {\n name late\n}"),
    ]
    for place, word, line in uses:
        text = good(place, line)
        found[f"order: {word} of {place} before"] = LATE[word] + text
        found[f"order: {word} of {place} behind"] = text + LATE[word]
    by_mark = good("real_server", "TCP_CHECK {\n connect_port 80\n}").replace("192.0.2.100 80 {", "fwmark 3 {")
    by_mark = by_mark.replace(" protocol TCP\n", "")
    found["order: mark and port"] = by_mark
    found["order: mark and port, NAT"] = by_mark.replace("lb_kind DR", "lb_kind NAT")
    found["order: mark"] = by_mark.replace("192.0.2.11 80 {", "192.0.2.11 {")
    return found


def weights() -> dict[str, str]:
    """Something with a weight, tracked by a member of a sync group, or by the owner of an address."""
    lines = {
        "track_script": "chk weight 5",
        "track_interface": "ens37 weight 5",
        "track_file": "late",
        "track_process": "late weight 5",
        "track_bfd": "late weight 5",
    }
    found: dict[str, str] = {}
    for word, line in lines.items():
        text = LATE.get(word, "") + good("vrrp_instance", f"{word} {{\n {line}\n}}")
        found[f"weight: {word} of a member"] = text
        alone = re.sub(r"vrrp_sync_group G .*?^}\n", "", text, flags=re.DOTALL | re.MULTILINE)
        found[f"weight: {word} of an owner"] = alone.replace("priority 100", "priority 255", 1)
        found[f"weight: {word} of an owner and member"] = text.replace("priority 100", "priority 255", 1)
        found[f"weight: {word} of an owner, in its block"] = found[f"weight: {word} of an owner"].replace(
            line, line.replace(" weight 5", "")
        )
        found[f"weight: {word} alone"] = alone
        leave = text.replace(" group {\n", " sync_group_tracking_weight\n group {\n")
        found[f"weight: {word} that the group allows"] = leave
    return found


def mistakes() -> Iterator[tuple[str, str]]:
    """The samples with one line gone, twice, mistyped, or with another value, by turns."""
    changes: tuple[tuple[str, Callable[[str], str]], ...] = (
        ("gone", lambda line: ""),
        ("mistyped", lambda line: re.sub(r"([a-z]{2})([a-z])", r"\1", line, count=1)),
        ("another value", lambda line: re.sub(r"\s[0-9]\S*$", " 4294967297", line)),
        ("no value", lambda line: re.sub(r"(\w)\s+[^{\s]+$", r"\1", line)),
        ("twice", lambda line: f"{line}\n{line}"),
    )
    for name, text in samples().items():
        lines = text.split("\n")
        for number, line in enumerate(lines):
            kind, change = changes[number % len(changes)]
            changed = change(line)
            if number % 4 == 0 and changed != line and line.strip()[:1] not in ("", "#", "!"):
                yield f"{name}: line {number + 1} {kind}", "\n".join([*lines[:number], changed, *lines[number + 1 :]])


def judged() -> dict[str, str]:
    return {**samples(), **examples(), **words(), **differences(), **orders(), **weights(), **dict(mistakes())}


# --- who says what


class Verdict(NamedTuple):
    """What keepalived said, and what we found."""

    theirs: list[str]
    ours: list[str]

    def beyond(self, other: Verdict) -> Verdict:
        """What the other one does not have; lines and other numbers do not count."""

        def without(said: list[str], known: list[str]) -> list[str]:
            plain = {re.sub(r"\d+", "", line) for line in known}
            return [line for line in said if re.sub(r"\d+", "", line) not in plain]

        return Verdict(without(self.theirs, other.theirs), without(self.ours, other.ours))


@pytest.fixture
def verdicts(keepalived_says_each: Ask) -> dict[str, Verdict]:
    """Of every file; of a changed sample only what was not said of the sample itself."""
    name = subprocess.run(["uname", "-n"], capture_output=True, text=True, check=True).stdout
    texts = judged()
    found: dict[str, Verdict] = {}
    for title, said in zip(texts, keepalived_says_each(list(texts.values()))):
        theirs = [line for line in said.splitlines() if "(exit status" not in line]
        problems = file_problems(read_text(texts[title], ids=[name.split(".")[0].strip()], engine=KEEPALIVED))
        verdict = Verdict(theirs, [f"{one.what}; {one.instead}" for one in problems])
        sample, colon, _rest = title.partition(": line ")
        found[title] = verdict.beyond(found[sample]) if colon else verdict
    return found


def test_the_verdict_is_keepaliveds(verdicts: dict[str, Verdict]) -> None:
    theirs_only, ours_only = tables()
    unused = {*theirs_only, *ours_only}
    wrong: list[str] = []
    for title, (theirs, ours) in verdicts.items():
        odd = [line for line in theirs if not any(part in line for part in theirs_only)]
        own = [line for line in ours if not any(part in line for part in ours_only)]
        if (odd and not ours) or (own and not theirs):
            wrong.append(f"{title}: keepalived {theirs}, we {ours}")
        if theirs and not ours:
            unused -= {part for part in theirs_only if any(part in line for line in theirs)}
        if ours and not theirs:
            unused -= {part for part in ours_only if any(part in line for line in ours)}
    assert not wrong, "\n".join(wrong)
    assert not unused, sorted(unused)


@pytest.mark.host
def test_there_is_much_to_judge() -> None:
    assert len(samples()) > 20
    assert len(examples()) > 8
    assert len(words()) > 400
    assert len(list(mistakes())) > 100


def test_what_comes_too_late_for_keepalived_is_named() -> None:
    for title, text in orders().items():
        said = [one.what for one in file_problems(read_text(text, engine=KEEPALIVED))]
        late = [one for one in said if one.startswith("keepalived ignores late, whose ")]
        assert len(late) == title.endswith("behind"), (title, said)
        assert not any("keepalived ignores" in one.what for one in file_problems(read_text(text))), title


def test_the_base_is_good(keepalived_says_each: Ask) -> None:
    assert keepalived_says_each([good()]) == [""]
    assert file_problems(read_text(good())) == []
