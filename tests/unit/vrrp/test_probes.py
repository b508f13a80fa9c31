# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as an answer to our question who has a VIP."""

from __future__ import annotations

import pytest

from _lvs_agent.kernel import arp, ndisc
from _lvs_agent.vrrp import probes
from _lvs_agent.vrrp.alarms import NEVER

OURS, OTHER = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
VIP, VIP6 = "192.0.2.100", "2001:db8::100"
MS = 1_000_000


class Wire:
    """One that hears what a test says."""

    mac = OURS

    def __init__(self, interface: str, ethertype: int, _only: bytes) -> None:
        self.interface = interface
        self.ethertype = ethertype
        self.sent: list[bytes] = []
        self.frames: list[bytes] = []

    def send(self, frame: bytes) -> None:
        self.sent.append(frame)

    def receive(self) -> bytes | None:
        return self.frames.pop(0) if self.frames else None

    def close(self) -> None:
        self.frames.clear()


class Asking:
    """Two instances that ask, for a VIP of each family and for the same one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(probes, "Wire", Wire)
        self.wires: list[Wire] = []
        self.probes = probes.Probes(self.wires.append, self.wires.remove)  # type: ignore[arg-type]
        self.probes.start("one", [("eth0", VIP), ("eth0", VIP6)], 100 * MS, 0)
        self.probes.start("two", [("eth0", VIP)], 100 * MS, 0)

    def hears(self, frame: bytes) -> set[tuple[object, str]]:
        wire = self.wires[0] if arp.parse(frame) else self.wires[1]
        wire.frames.append(frame)
        return set(self.probes.heard(wire, {OURS}))  # type: ignore[arg-type]


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Asking:
    return Asking(monkeypatch)


def test_who_uses_it_has_it(asking: Asking) -> None:
    found = f"{OTHER.hex(':')} ({VIP})"
    assert asking.hears(arp.pack_gratuitous(OTHER, VIP)) == {("one", found), ("two", found)}
    found = f"{OTHER.hex(':')} ({VIP6})"
    assert asking.hears(ndisc.pack_unsolicited_advertisement(OTHER, VIP6)) == {("one", found)}
    assert asking.hears(arp.pack_gratuitous(OURS, VIP)) == set()
    assert asking.hears(arp.pack_gratuitous(OTHER, "192.0.2.101")) == set()


def test_another_director_that_starts_at_the_same_time_asks_too(asking: Asking) -> None:
    assert asking.hears(arp.pack_probe(OTHER, VIP)) == set()
    assert asking.hears(ndisc.pack_probe(OTHER, VIP6)) == set()


def test_they_ask_twice_and_wait_once_more(asking: Asking) -> None:
    for now in (0, 50 * MS, 100 * MS, 150 * MS):
        asking.probes.turn(now)
    assert [len(wire.sent) for wire in asking.wires] == [4, 2]
    asking.probes.stop("one")
    assert asking.hears(arp.pack_gratuitous(OTHER, VIP)) == {("two", f"{OTHER.hex(':')} ({VIP})")}
    assert len(asking.wires) == 1
    asking.probes.turn(200 * MS)
    assert (asking.wires, asking.probes.due) == ([], NEVER)
