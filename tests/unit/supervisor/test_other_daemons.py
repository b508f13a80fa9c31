# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another VRRP daemon beside ours; a test in a namespace has a real keepalived, and a second daemon of ours."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection
from pathlib import Path

import pytest

from _lvs_agent.control.events import Events
from _lvs_agent.kernel import raw_sockets
from _lvs_agent.kernel.raw_sockets import Process
from _lvs_agent.supervisor.journal import Journal
from _lvs_agent.supervisor.other_daemons import OtherDaemons, configured
from _lvs_agent.vrrp.instance import Instance
from _lvs_agent.vrrp.plan import InstancePlan, Plan

PLAN = Plan(tuple(InstancePlan(Instance(f"V{vrid}", vrid, b"", ()), 4, "eth0") for vrid in (51, 52)))
SECOND = 1_000_000_000
INSTANCE = "vrrp_instance V {{\n interface eth0\n {}\n}}\n"


class Host:
    """What is found; and a clock that goes from look to look."""

    def __init__(self, tmp_path: Path) -> None:
        self.found: list[Process] | None = []
        self.journal = Journal(Events(str(tmp_path)))
        self.others = OtherDaemons(self.journal, lambda: PLAN, lambda: [7], self.look)
        self.now = 0

    def look(self, own: Collection[int]) -> list[Process] | None:
        assert own == [7]
        return self.found

    def looked(self, times: int = 1) -> list[str]:
        for _time in range(times):
            self.now = max(self.now, self.others.deadline_ns())
            self.others.handle(self.now)
        assert list(self.others.problems()) == list(self.journal.alarms.values())
        return list(self.journal.alarms.values())

    def close(self) -> None:
        self.journal.events.close()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def process(*words: str, name: str = "keepalived") -> Process:
    return Process(os.getpid(), name, words)


def test_whom_is_seen_twice_is_named_until_it_goes(host: Host) -> None:
    host.found = [Process(9, "vrrpd", ("vrrpd",))]
    assert host.looked() == []
    (said,) = host.looked()
    assert said == (
        "vrrpd (process 9) speaks VRRP on this host, as lvs-agent does: both would be master; stop one of them"
    )
    assert host.looked(3) == [said]
    host.found = []
    assert host.looked() == []
    host.close()


def test_one_that_cannot_be_seen_has_no_name(host: Host) -> None:
    host.found = None
    (said,) = host.looked(2)
    assert said.startswith("a process that cannot be seen from here speaks VRRP on this host")
    host.close()


@pytest.mark.parametrize(
    "text, wanted",
    [
        (INSTANCE.format("virtual_router_id 51"), {51}),
        (INSTANCE.format("virtual_router_id 77 # not 51") + INSTANCE.format("@a virtual_router_id 52"), {52, 77}),
        (INSTANCE.format("#virtual_router_id 51"), set()),
        (INSTANCE.format("virtual_router_id 77") + "include /etc/more.conf\n", None),
        ("$ID=51\n" + INSTANCE.format("virtual_router_id $ID"), None),
        ("# costs 5 $\n" + INSTANCE.format("virtual_router_id 77"), {77}),
        ("x" * (1 << 21), None),
    ],
)
def test_the_virtual_routers_of_the_other_one(text: str, wanted: set[int] | None, tmp_path: Path) -> None:
    file = tmp_path / "k.conf"
    file.write_text(text)
    for words in (("-f", str(file)), (f"--use-file={file}",), (f"-f{file}",)):
        assert configured(process("keepalived", *words)) == wanted
    assert configured(process("vrrpd", name="vrrpd")) is None
    assert configured(process("lvs-agent", "run", "--file", str(tmp_path / "no"), name="lvs-agent-vrrp")) is None


def test_one_for_other_virtual_routers_does_no_harm(host: Host, tmp_path: Path) -> None:
    file = tmp_path / "k.conf"
    file.write_text(INSTANCE.format("virtual_router_id 77"))
    host.found = [process("keepalived", "-f", str(file))]
    assert host.looked(3) == []
    file.write_text(INSTANCE.format("virtual_router_id 52"))
    (said,) = host.looked(2)
    assert " with virtual_router_id 52, " in said
    host.close()


def test_whose_a_socket_is(tmp_path: Path) -> None:
    with socket.socket() as one:
        inode = os.fstat(one.fileno()).st_ino
        assert inode in set(raw_sockets.inodes_of(os.getpid()))
        assert os.getpid() in {found.pid for found in raw_sockets.owners({inode})}
    assert list(raw_sockets.inodes_of(1 << 30)) == []
    net = tmp_path / "self/net"
    net.mkdir(parents=True)
    line = "150: {}:{} 0:0 07 00000000:00000000 00:00000000 00000000 0 0 {} 2 0 0\n"
    (net / "raw").write_text("head\n" + line.format("0" * 8, "0070", 7) + line.format("0" * 8, "0001", 8))
    (net / "raw6").write_text("head\n" + line.format("0" * 32, "0033", 9))
    assert raw_sockets.inodes((112, 51), str(tmp_path)) == {7, 9}
