# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two directors cut apart from each other, but not from a client, and healed: the client finds the winner."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Callable

import pytest

from tests.integration.netns.conftest import Host
from tests.integration.netns.wire import Agent, Keepalived, Site, site, vips, wait_until

pytestmark = [pytest.mark.root, pytest.mark.measured]

VIP, VRID = "10.0.0.100", 51
BOTH, WINNER = [True, True], [True, False]
#: what the role director says when a site says nothing
ROLES_WORD = "vrrp_higher_prio_send_advert true"


def configuration(priority: int, more: str = "") -> str:
    return (
        f"global_defs {{\n vrrp_garp_master_delay 1\n {more}\n}}\n"
        f"vrrp_instance V {{\n interface eth0\n virtual_router_id {VRID}\n priority {priority}\n advert_int 1\n"
        f" virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n"
    )


class Split:
    """a is the winner, b the loser; the client is on the wire between them."""

    def __init__(
        self, where: Site, directory: Path, loser: type[Agent | Keepalived], stack: ExitStack, more: str
    ) -> None:
        self.site = where
        self.client = where.witness.host
        self.client.run("ip", "address", "add", "10.0.0.9/24", "dev", "br0")
        for name, priority in (("a", 200), ("b", 100)):
            (directory / f"{name}.conf").write_text(configuration(priority, more if name == "b" else ""))
        winner = Agent(where.a, directory / "a.conf")
        stack.callback(winner.close)
        wait_until(lambda: self.holders() == WINNER, "a is master")
        other = loser(where.b, directory / "b.conf")
        stack.callback(other.close)
        wait_until(lambda: self.answers("10.0.0.2"), "b is there")

    def holders(self) -> list[bool]:
        return [VIP in vips(host) for host in (self.site.a, self.site.b)]

    def answers(self, address: str) -> bool:
        return ", 0% packet loss" in self.client.run("sh", "-c", f"ping -c 1 -W 1 {address} || true")

    def neighbour(self) -> str:
        """Where the client sends what is for the VIP."""
        (entry,) = self.client.ip("neighbour", "show", VIP, "dev", "br0")
        return str(entry.get("lladdr"))

    def cut(self, apart: bool) -> None:
        """The directors' ports: each reaches the bridge, but not the other one."""
        for port in ("p10", "p20"):
            self.client.run("bridge", "link", "set", "dev", port, "isolated", "on" if apart else "off")

    def heal_so_that_the_loser_hears_first(self) -> float:
        """When b has just sent: a's next advert comes before b's, whose timer ran out 0.609 s after one of a's."""
        since = time.time()

        def sent() -> bool:
            return any(seen.source == "10.0.0.2" for seen in self.site.witness.of(VRID, since))

        wait_until(sent, "an advert of b")
        self.cut(apart=False)
        return time.time()

    def adverts_of_b(self, since: float) -> int:
        return sum(seen.source == "10.0.0.2" for seen in self.site.witness.of(VRID, since))


def mac(host: Host) -> str:
    return str(host.ip("link", "show", "dev", "eth0")[0]["address"])


Start = Callable[..., Split]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A pair that has been cut apart for long enough that both are masters, and the client is with the loser."""
    with ExitStack() as stack:

        def begin(loser: type[Agent | Keepalived], more: str = "") -> Split:
            split = Split(stack.enter_context(site()), tmp_path, loser, stack, more)
            assert split.answers(VIP)
            assert split.neighbour() == mac(split.site.a)
            wait_until(lambda: len(split.site.witness.garps) >= 10, "its second round, which would help later")
            split.cut(apart=True)
            wait_until(lambda: split.holders() == BOTH, "both are master")
            wait_until(lambda: split.neighbour() == mac(split.site.b), "b has announced")
            return split

        yield begin


@pytest.mark.parametrize("loser, more", [(Keepalived, ROLES_WORD), (Agent, "")], ids=["keepalived", "agent"])
def test_the_winner_announces_once_more(start: Start, loser: type[Agent | Keepalived], more: str) -> None:
    split = start(loser, more)
    healed = split.heal_so_that_the_loser_hears_first()
    wait_until(lambda: split.holders() == WINNER, "b has given way")
    wait_until(lambda: split.neighbour() == mac(split.site.a), "a has announced", seconds=2)
    assert split.answers(VIP)
    assert split.adverts_of_b(healed) == 1


def test_a_keepalived_that_was_not_told_to_answer_is_why_the_role_tells_it(start: Start) -> None:
    split = start(Keepalived)
    healed = split.heal_so_that_the_loser_hears_first()
    wait_until(lambda: split.holders() == WINNER, "b has given way")
    time.sleep(1)
    assert split.adverts_of_b(healed) == 0
    assert split.neighbour() == mac(split.site.b)
