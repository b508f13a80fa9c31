# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Announcements: which frame goes out when, with intervals of interfaces and of garp_groups."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from _lvs_agent.kernel.ethernet import EthernetError
from _lvs_agent.vrrp.alarms import NEVER
from _lvs_agent.vrrp.announcer import Announcer, Frame
from _lvs_agent.vrrp.plan import GarpGroup

Sent = list[tuple[int, str, bytes]]


class Wires:
    def __init__(self) -> None:
        self.now = 0
        self.sent: Sent = []

    def open(self, interface: str) -> Any:
        wires = self

        class Wire:
            def send(self, data: bytes) -> None:
                wires.sent.append((wires.now, interface, data))

        return Wire()


@pytest.fixture
def wires() -> Wires:
    return Wires()


def played(announcer: Announcer, wires: Wires) -> Sent:
    while announcer.due != NEVER:
        wires.now = max(wires.now, announcer.due)
        announcer.turn(wires.now)
    return wires.sent


def arps(*interfaces: str) -> list[Frame]:
    return [Frame(interface, b"4", False) for interface in interfaces]


def test_interfaces_of_a_group_wait_for_each_other_and_others_do_not(wires: Wires) -> None:
    announcer = Announcer(wires.open)
    announcer.configure(10, 0, [GarpGroup(("eth0", "eth1"), garp_interval=100)])
    announcer.add("V", arps("eth0", "eth1", "eth2"), 2, 0)
    sent = played(announcer, wires)
    assert [at for at, interface, _data in sent if interface != "eth2"] == [0, 100, 200, 300]
    assert [at for at, interface, _data in sent if interface == "eth2"] == [0, 10]


def test_a_group_inherits_what_it_does_not_say(wires: Wires) -> None:
    announcer = Announcer(wires.open)
    announcer.configure(10, 20, [GarpGroup(("eth0",), gna_interval=50)])
    announcer.add("V", [Frame("eth0", b"4", False), Frame("eth0", b"6", True)], 2, 0)
    assert [(at, data) for at, _interface, data in played(announcer, wires)] == [
        (0, b"4"),
        (10, b"6"),
        (60, b"4"),
        (70, b"6"),
    ]


def test_more_frames_do_not_replace_those_that_wait(wires: Wires) -> None:
    announcer = Announcer(wires.open)
    announcer.configure(10, 0, [])
    announcer.add("V", arps("eth0"), 2, 0)
    announcer.add_more("V", arps("eth0"), 0)
    assert len(played(announcer, wires)) == 3
    announcer.add("V", arps("eth0"), 5, wires.now)
    announcer.forget("V")
    assert announcer.due == NEVER


def test_who_announces_again_before_the_end_goes_on_where_it_was(wires: Wires) -> None:
    announcer = Announcer(wires.open)
    announcer.configure(10, 0, [])
    frames = [Frame(interface, bytes((number,)), False) for interface in ("eth0", "eth1") for number in range(5)]
    for round_ in range(4):
        announcer.add("V", frames, 3, round_ * 30)
        for wires.now in range(round_ * 30, round_ * 30 + 30, 10):
            announcer.turn(wires.now)
    for interface in ("eth0", "eth1"):
        assert [data[0] for _at, name, data in wires.sent if name == interface] == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]


def test_an_interface_that_takes_nothing_does_not_keep_back_the_others(wires: Wires) -> None:
    def open_wire(interface: str) -> Any:
        if interface == "eth0":
            raise EthernetError(errno.ENETDOWN, "interface eth0", "bring it up first")
        return wires.open(interface)

    announcer = Announcer(open_wire)
    announcer.configure(0, 0, [GarpGroup(("eth0", "eth1"), garp_interval=100)])
    announcer.add("V", arps("eth0", "eth1", "eth2"), 2, 0)
    sent = played(announcer, wires)
    assert sorted(interface for _at, interface, _data in sent) == ["eth1", "eth1", "eth2", "eth2"]
    assert (announcer.sent, announcer.failed) == (4, 2)
