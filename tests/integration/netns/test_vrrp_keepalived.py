# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our VRRP process and keepalived as a pair: each kind of advert, each of the two as master, stopped and crashed.

One story is played, with two virtual routers of each kind at once; the tests ask what tcpdump and ip saw of it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.integration.netns.wire import Agent, Keepalived, Site, Witness, site, vips, wait_until

pytestmark = pytest.mark.root

HIGH, LOW = 150, 100
#: Nothing is early; late is what a loaded machine of two cores makes of it.
LATE_S = 0.5
#: keepalived's own timers are not ours to judge
KEEPALIVED_EARLY_S = 0.005


class Kind(NamedTuple):
    """A kind of advert; ours is the master of its first virtual router, keepalived of the second one."""

    name: str
    vrids: tuple[int, int]
    words: str
    version: int
    interval: float
    ipv6: bool = False
    unicast: bool = False

    def vip(self, vrid: int) -> str:
        return f"2001:db8::{vrid}" if self.ipv6 else f"10.0.0.{vrid}"

    def skew(self, priority: int) -> float:
        return (256 - priority) / 256 * (1 if self.version == 2 else self.interval)

    def down(self, priority: int) -> float:
        return 3 * self.interval + self.skew(priority)


def _secret(kind: str) -> str:
    return f"authentication {{\n auth_type {kind}\n auth_pass s3cret\n }}"


KINDS = (
    Kind("v2", (51, 52), "version 2", 2, 1),
    Kind("v2 PASS", (53, 54), f"version 2\n {_secret('PASS')}", 2, 1),
    Kind("v2 AH", (55, 56), f"version 2\n {_secret('AH')}", 2, 1),
    Kind("v2 unicast", (57, 58), "version 2", 2, 1, unicast=True),
    Kind("v3", (61, 62), "version 3", 3, 0.2),
    Kind("v3 unicast", (63, 64), "version 3", 3, 0.2, unicast=True),
    Kind("v3 IPv6", (65, 66), "version 3", 3, 0.2, ipv6=True),
    Kind("v3 IPv6 unicast", (67, 68), "version 3", 3, 0.2, ipv6=True, unicast=True),
    # keepalived's own idea: RFC 3768 is about IPv4
    Kind("v2 IPv6", (69, 70), "version 2", 2, 1, ipv6=True),
    Kind("v2 IPv6 unicast", (71, 72), "version 2", 2, 1, ipv6=True, unicast=True),
)
ALL = {kind.vip(vrid) for kind in KINDS for vrid in kind.vrids}
OURS = {kind.vip(kind.vrids[0]) for kind in KINDS}
THEIRS = ALL - OURS
by_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def configuration(number: int) -> str:
    """The file of host a (1) or b (2)."""
    blocks = []
    for kind in KINDS:
        for place, vrid in enumerate(kind.vrids, 1):
            address = "fe80::%d" if kind.ipv6 else "10.0.0.%d"
            unicast = f"unicast_src_ip {address % number}\n unicast_peer {{\n {address % (3 - number)}\n }}"
            length = 64 if kind.ipv6 else 24
            blocks.append(
                f"vrrp_instance V{vrid} {{\n interface eth0\n virtual_router_id {vrid}\n"
                f" priority {HIGH if place == number else LOW}\n advert_int {kind.interval}\n {kind.words}\n"
                f" {unicast if kind.unicast else ''}\n virtual_ipaddress {{\n {kind.vip(vrid)}/{length}\n }}\n}}\n"
            )
    return "\n".join(blocks)


class Story(NamedTuple):
    """What was seen. The times are Unix times at which something was done; ``holders`` is (of a, of b) after it."""

    witness: Witness
    times: dict[str, float]
    holders: dict[str, tuple[set[str], set[str]]]
    causes: list[str]
    dropped: int


class Teller:
    """Plays the story."""

    def __init__(self, where: Site) -> None:
        self.site = where
        self.times: dict[str, float] = {}
        self.holders: dict[str, tuple[set[str], set[str]]] = {}

    def did(self, what: str) -> None:
        self.times[what] = time.time()

    def expect(self, what: str, a: set[str] | None, b: set[str] | None) -> None:
        """Wait until the hosts hold that; None for one that is crashed."""

        def holders() -> tuple[set[str], set[str]]:
            return vips(self.site.a), vips(self.site.b)

        def are_there() -> bool:
            found = holders()
            return all(want is None or want == have for want, have in zip((a, b), found))

        wait_until(are_there, what, lambda: str(holders()))
        self.holders[what] = holders()


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    directory = tmp_path_factory.mktemp("pair")
    files: list[Path] = []
    for number in (1, 2):
        files.append(directory / f"{number}.conf")
        files[-1].write_text(configuration(number))
    with site() as where:
        teller = Teller(where)
        ours, theirs = Agent(where.a, files[0]), Keepalived(where.b, files[1])
        try:
            teller.expect("start", OURS, THEIRS)
            teller.did("stop ours")
            assert ours.stop() == 0
            teller.expect("stop ours", set(), ALL)
            ours = Agent(where.a, files[0])
            teller.expect("ours again", OURS, THEIRS)
            teller.did("stop keepalived")
            theirs.stop()
            teller.expect("stop keepalived", ALL, set())
            theirs = Keepalived(where.b, files[1])
            teller.expect("keepalived again", OURS, THEIRS)
            teller.did("crash keepalived")
            theirs.crash()
            where.b.run("ip", "link", "set", "eth0", "down")
            teller.expect("crash keepalived", ALL, None)
            causes = [one["cause"] for one in ours.of_kind("Transitioned", state="MASTER")]
            where.b.run("ip", "link", "set", "eth0", "up")
            where.b.run("ip", "address", "replace", "fe80::2/64", "dev", "eth0", "nodad")
            theirs = Keepalived(where.b, files[1])
            teller.expect("keepalived after its crash", OURS, THEIRS)
            dropped = ours.of_kind("Heartbeat")[-1]["dropped"]
            teller.did("crash ours")
            ours.crash()
            where.a.run("ip", "link", "set", "eth0", "down")
            teller.expect("crash ours", None, ALL)
        finally:
            ours.close()
            theirs.close()
        yield Story(where.witness, teller.times, teller.holders, causes, dropped)


def source(kind: Kind, number: int) -> str:
    return f"fe80::{number}" if kind.ipv6 else f"10.0.0.{number}"


def gap(story: Story, kind: Kind, vrid: int, what: str, successor: int) -> float:
    """Seconds from the last advert of who left to the first one of its successor."""
    adverts = story.witness.of(vrid)
    first = next(
        seen for seen in adverts if seen.source == source(kind, successor) and seen.at > story.times[what]
    )
    return first.at - max(seen.at for seen in adverts if seen.source != first.source and seen.at < first.at)


@by_kind
def test_exactly_one_holds_each_vip(story: Story, kind: Kind) -> None:
    for what in ("start", "stop ours", "ours again", "stop keepalived", "keepalived again"):
        for vrid in kind.vrids:
            a, b = story.holders[what]
            assert (kind.vip(vrid) in a) + (kind.vip(vrid) in b) == 1, (what, vrid)


@by_kind
def test_our_stop_is_a_hand_over(story: Story, kind: Kind) -> None:
    vrid = kind.vrids[0]
    resigned = [seen for seen in story.witness.of(vrid) if seen.source == source(kind, 1) and seen.priority == 0]
    assert resigned, "no advert of priority 0"
    first = min(
        seen.at
        for seen in story.witness.of(vrid, resigned[0].at)
        if seen.source == source(kind, 2) and seen.priority == LOW
    )
    band = kind.skew(LOW)
    assert band - KEEPALIVED_EARLY_S <= first - resigned[0].at <= band + LATE_S


@by_kind
def test_we_take_over_after_its_stop(story: Story, kind: Kind) -> None:
    vrid = kind.vrids[1]
    after = story.times["stop keepalived"]
    last = min(seen.at for seen in story.witness.of(vrid, after) if seen.priority == 0)
    first = min(seen.at for seen in story.witness.of(vrid, last) if seen.source == source(kind, 1))
    assert kind.skew(LOW) <= first - last <= kind.skew(LOW) + LATE_S


@by_kind
def test_we_take_over_after_its_crash(story: Story, kind: Kind) -> None:
    found = gap(story, kind, kind.vrids[1], "crash keepalived", 1)
    assert kind.down(LOW) <= found <= kind.down(LOW) + LATE_S


@by_kind
def test_it_takes_over_after_our_crash(story: Story, kind: Kind) -> None:
    found = gap(story, kind, kind.vrids[0], "crash ours", 2)
    assert kind.down(LOW) - KEEPALIVED_EARLY_S <= found <= kind.down(LOW) + LATE_S


@by_kind
def test_nobody_else_ever_sent(story: Story, kind: Kind) -> None:
    for vrid in kind.vrids:
        assert {seen.source for seen in story.witness.of(vrid)} == {source(kind, 1), source(kind, 2)}
        wanted = {source(kind, 1), source(kind, 2)} if kind.unicast else {"ff02::12" if kind.ipv6 else "224.0.0.18"}
        assert {seen.destination for seen in story.witness.of(vrid)} == wanted


def test_every_change_has_a_cause(story: Story) -> None:
    assert all(story.causes)
    assert sum("resigned" in cause for cause in story.causes) == len(KINDS)
    matches = [re.match(r".*no advert from \S+ for ([0-9.]+) s", cause) for cause in story.causes]
    silences = [float(match[1]) for match in matches if match is not None]
    # each crash; keepalived itself may stand still for longer than three of its fast adverts on a busy machine
    fast = [kind for kind in KINDS if kind.interval < 1]
    assert sum(silence > max(kind.down(LOW) for kind in fast) + 1 for silence in silences) == len(KINDS) - len(fast)
    assert len(silences) >= len(KINDS)
    assert min(silences) >= min(kind.down(LOW) for kind in fast) - 0.001  # it is told in milliseconds
    assert story.dropped == 0
