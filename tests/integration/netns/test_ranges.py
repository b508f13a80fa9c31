# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ends of ranges: what the check passes the kernel takes, and adverts have as many VIPs as keepalived's."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from _lvs_agent.conf import syntax, syntax_routes
from _lvs_agent.conf.schema_global import GLOBAL_DEFS
from _lvs_agent.conf.schema_vrrp import VRRP_INSTANCE
from _lvs_agent.conf.words import INT, NUMBER, SUPPORTED, Block
from tests.integration.netns.conftest import Host
from tests.integration.netns.wire import LIBRARY, Agent, Keepalived, Site, site, vips, wait_until

HERE = Path(__file__).parent
pytestmark = pytest.mark.root

NUMBERS = (
    *("-1", "0", "1", "2", "3", "4", "5", "253", "254", "255", "256", "257", "65534", "65535", "65536", "2147483647"),
    *("2147483648", "4294967294", "4294967295", "4294967296", "18446744073709551615", "18446744073709551616", "0x10"),
    *("008", "²", "٢٤", "1_0"),
)
#: What a line begins with; IPv6 for what is for IPv6 only.
ROUTE4, ROUTE6 = "10.9.0.0/16 via 10.0.0.9 dev eth0", "2001:db8:9::/48 via fe80::9 dev eth0"
RULE4, RULE6 = "to 10.9.0.0/16 preference 4", "to 2001:db8:9::/48 preference 4"
FORMS = {
    **dict.fromkeys(("fwmark", "realms"), ("{}/1", "1/{}")),
    **dict.fromkeys(("sport", "dport", "uidrange"), ("{}-5", "5-{}", "1-{}")),
    **dict.fromkeys(("rtt", "rttvar", "rto_min"), ("{}ms", "{}s")),
    **dict.fromkeys(("mtu", "hoplimit"), ("lock {}",)),
}


@pytest.fixture
def wire() -> Iterator[Site]:
    with site() as where:
        yield where


#: What names something of a host, which no number does.
NAMES = ("dev", "oif", "iif", "src", "label", "via", "gw", "or", "as", "vrf", "peer", "congctl", "track_group")


def lines(number: str) -> Iterator[tuple[str, str]]:
    """(block, line) with a number after each keyword."""
    for host, network in (("10.7.0.100", "10.9.0.0"), ("2001:db8::100", "2001:db8:9::")):
        yield "virtual_ipaddress", f"{host}/{number}"
        yield "virtual_routes", f"{network}/{number} dev eth0"
        yield "virtual_rules", f"to {network}/{number} table 9 preference 4"
    addresses = ("10.7.0.100/24", "2001:db8::100/64")
    yield from optional("virtual_ipaddress", addresses, syntax.VIP_VALUES, number)
    yield from optional("virtual_routes", (ROUTE4, ROUTE6), syntax_routes.ROUTE_VALUES, number)
    yield from optional("virtual_rules", (f"{RULE4} table 9", f"{RULE6} table 9"), syntax_routes.RULE_VALUES, number)
    yield from optional("virtual_rules", (RULE4, RULE6), ("table", "lookup", "goto"), number)
    hops = "nexthop via 10.0.0.8 dev eth0 weight {} nexthop via 10.0.0.9 dev eth0 weight 1"
    yield "virtual_routes", f"10.9.0.0/16 {hops.format(number)}"
    yield "virtual_routes", f"10.9.0.0/16 dev eth0 scope {number}"


def optional(word: str, begins: Sequence[str], options: Sequence[str], number: str) -> Iterator[tuple[str, str]]:
    for option in options:
        for form in ("{}", *FORMS.get(option, ())) if option not in NAMES else ():
            for line in begins:
                yield word, f"{line} {option} {form.format(number)}"


#: A refusal that is of the gateway on this host, not of the number.
OF_THE_GATEWAY = re.compile(r"invalid gateway|can not have a gateway")


def test_what_the_check_passes_the_kernel_takes(wire: Site) -> None:
    asked = [line for number in NUMBERS for line in lines(number)]
    done = subprocess.run(
        wire.a.command(sys.executable, "-W", "error", str(HERE / "run_ranges.py"), str(LIBRARY)),
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert not done.returncode, done.stderr
    found = dict(zip(asked, json.loads(done.stdout)))
    refused = {
        line: problems
        for line, (errors, problems) in found.items()
        if not errors and any(not OF_THE_GATEWAY.search(one) for one in problems)
    }
    assert not refused, "\n".join(f"{line}: {problems}" for line, problems in refused.items())
    # and it is not that everything is an error
    for keyword in ("mtu", "hoplimit", "weight", "table", "metric", "tos", "scope", "fwmark", "sport", "tunnel-id"):
        good = [line for line, (errors, _problems) in found.items() if f" {keyword} " in line[1] and not errors]
        bad = [line for line, (errors, _problems) in found.items() if f" {keyword} " in line[1] and errors]
        assert good, keyword
        assert bad, keyword


def many(number: int, version: int, family: int, count: int) -> str:
    """The file of host a (1, the master) or b (2) with so many VIPs."""
    own = [f"10.0.{1 + place // 250}.{1 + place % 250}" for place in range(count)]
    if family == 6:
        own = [f"2001:db8::{place + 1:x}" for place in range(count)]
    listed = "\n".join(f"  {one}" for one in own)
    return (
        f"vrrp_instance V {{\n interface eth0\n virtual_router_id 51\n priority {250 - 100 * number}\n"
        f" version {version}\n advert_int 2\n virtual_ipaddress {{\n{listed}\n }}\n}}\n"
    )


#: (version, family, VIPs, how many of them are in an advert, MTU)
CAPACITIES = {
    "v2": (2, 4, 256, 255, 1500),
    "v3-ipv6": (3, 6, 100, 89, 1500),
    "v3-ipv6-jumbo": (3, 6, 255, 255, 9000),
}


@pytest.mark.parametrize("kind", CAPACITIES)
def test_adverts_have_as_many_vips_as_keepalived(wire: Site, tmp_path: Path, kind: str) -> None:
    """keepalived 2.2.7 drops an advert whose list differs from its own, and takes over: it must stay a backup."""
    version, family, count, most, mtu = CAPACITIES[kind]
    for host, interfaces in ((wire.witness.host, ("p10", "p20", "br0")), (wire.a, ("eth0",)), (wire.b, ("eth0",))):
        for interface in interfaces:
            host.run("ip", "link", "set", interface, "mtu", str(mtu))
    for number in (1, 2):
        tmp_path.joinpath(f"{number}.conf").write_text(many(number, version, family, count))
    ours, theirs = Agent(wire.a, tmp_path / "1.conf"), Keepalived(wire.b, tmp_path / "2.conf")
    try:
        ours.wait_for("Transitioned", state="MASTER", name="V")
        time.sleep(5)
        assert {seen.source for seen in wire.witness.of(51)} == {"fe80::1" if family == 6 else "10.0.0.1"}
        assert len(shown(wire.a)) == count
        assert not shown(wire.b)
        told = [one["text"] for one in ours.of_kind("Remark") if "no room" in one["text"]]
        assert len(told) == (count > most)
        assert all(f"for {count - most} VIPs" in one for one in told)
        # and the other way round: it becomes master with the same adverts, and we are its backup
        assert ours.stop() == 0
        wait_until(lambda: len(shown(wire.b)) == count, "keepalived is master")
        # on a loaded machine it adds and announces them for seconds, and its adverts are late meanwhile
        wait_until(lambda: len(wire.witness.of(51, time.time() - 9)) >= 4, "one every 2 s", seconds=60)
        ours = Agent(wire.a, tmp_path / "2.conf")
        ours.wait_for("Transitioned", state="BACKUP", name="V")
        wait_until(lambda: ours.counters()["advert_rcvd"] >= 2, "we hear it")
        assert not ours.of_kind("Transitioned", state="MASTER")
        assert not ours.of_kind("AlarmRaised")
    finally:
        ours.close()
        theirs.close()


def shown(host: Host) -> set[str]:
    """The VIPs that a host holds."""
    return {address for address in vips(host) if address.startswith(("10.0.1.", "10.0.2.", "2001:db8:"))}


#: Words that say who the instance is, and those that only delay what is waited for here.
LEFT_OUT = (
    *("virtual_router_id", "version", "vrrp_version", "unicast_ttl", "vrrp_delay_after_boot", "vrrp_startup_delay"),
    *("advert_int", "down_timer_adverts", "vrrp_down_timer_adverts", "preempt_delay", "priority"),
)


def numbers_of(block: Block, begin: str, end: str) -> str:
    """A line for each number of a block that the VRRP process has a use for, at one of its ends."""
    found = ""
    for word in block.words:
        used = word.kind in (INT, NUMBER) and word.status == SUPPORTED and not word.own and word.name not in LEFT_OUT
        if used and word.name.startswith(begin):
            found += f" {word.name} {f'{getattr(word, end):.6f}'.rstrip('0').rstrip('.')}\n"
    return found


@pytest.mark.parametrize("end", ["low", "high"])
def test_the_process_lives_with_every_number_at_its_end(wire: Site, tmp_path: Path, end: str) -> None:
    own, everywhere = numbers_of(VRRP_INSTANCE, "", end), numbers_of(GLOBAL_DEFS, "vrrp_", end)
    file = tmp_path / "a.conf"
    instances = "".join(
        f"vrrp_instance V{vrid} {{\n interface eth0\n virtual_router_id {vrid}\n advert_int 0.2\n version 3\n"
        f" priority 100\n virtual_ipaddress {{\n 10.0.1.{vrid}\n }}\n{own if vrid == 1 else ''}\n}}\n"
        for vrid in range(1, 51)
    )
    file.write_text(f"global_defs {{\n{everywhere}}}\n{instances}")
    agent = Agent(wire.a, file)
    try:
        for vrid in (1, 2, 50):
            agent.wait_for("Transitioned", state="MASTER", name=f"V{vrid}")
        time.sleep(1)
        assert len(agent.status()["instances"]) == 50
        agent.tell("configure", str(file))
        agent.wait_for("Configured", 2)
        assert agent.stop() == 0
    finally:
        agent.close()
