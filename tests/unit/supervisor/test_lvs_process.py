# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The LVS process with a kernel that is a model, checks that never run, and a supervisor that the test is."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

import pytest

from _lvs_agent.health.attempt import Outcome
from _lvs_agent.health.plan import CheckPlan, Endpoint, TcpCheck, Timing
from _lvs_agent.kernel import sysctl
from _lvs_agent.kernel.errors import KernelError
from _lvs_agent.kernel.ipvs_types import SVC_F_PERSISTENT, DestinationEntry, ServiceEntry, ServiceKey
from _lvs_agent.lvs import messages
from _lvs_agent.lvs.plan import FlushOnStop, LvsPlan, NamePlan
from _lvs_agent.lvs.resolve import Answer, Question
from _lvs_agent.lvs.transitions import Kind
from _lvs_agent.supervisor import lvs_settings
from _lvs_agent.supervisor.channel import Channel
from _lvs_agent.supervisor.lvs_files import LvsFiles
from _lvs_agent.supervisor.lvs_process import LvsProcess
from tests.unit.lvs.plans import KEY, SERVICE, STATS, ModelKernel, check, name, real, virtual

HOUR = 3_600_000_000_000
TIMING = Timing(HOUR, HOUR, HOUR, HOUR, HOUR)


class Kernel(ModelKernel):
    """With what questions need: the whole table, and connections that the test chooses."""

    active = inactive = templates = 0

    def table_of(self, keys: Any) -> dict[ServiceKey, tuple[ServiceEntry, list[DestinationEntry]]]:
        return {
            key: (
                ServiceEntry(one.service, STATS),
                [
                    DestinationEntry(server, self.active, self.inactive, self.templates, STATS)
                    for server in one.servers.values()
                ],
            )
            for key, one in self.table.items()
            if keys is None or key in keys
        }


class Connection:
    """A connection of the process's to the kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def __getattr__(self, word: str) -> Any:
        return getattr(self._kernel, word)

    def table(self, keys: Any = None) -> Any:
        return self._kernel.table_of(keys)

    def daemons(self) -> list[Any]:
        return []


@dataclass
class World:
    """A process, what it was told and what it said."""

    process: LvsProcess
    channel: Channel
    kernel: Kernel
    said: list[Any]

    def tell(self, message: messages.ToLvs) -> list[Any]:
        self.channel.send(message)
        return self.turns()

    def turns(self, until: Callable[[], bool] = lambda: False) -> list[Any]:
        """Let it do all there is to do; what it said of it."""
        self.process._heartbeat_ns = HOUR * 1_000_000
        for _turn in range(30):
            for source in list(self.process._loop._sources):
                source.handle(self.process.clock())
        found = [one for one in self.channel.receive() if not isinstance(one, messages.Heartbeat)]
        self.said += found
        return found

    def checked(self, number: int, *, up: bool, why: str = "") -> list[Any]:
        state = self.process.scheduler._states[check(number)]
        state.verdict.up, state.verdict.has_run = up, True
        state.outcome = Outcome(up, why)
        self.process._checked(check(number), up, state.outcome)
        return self.turns()

    @property
    def weights(self) -> dict[str, int]:
        return {server.addr: server.weight for server in self.kernel.table[KEY].servers.values()}


def plans(*numbers: int) -> tuple[CheckPlan, ...]:
    found = [(check(number), Endpoint(4, bytes([10, 0, 0, number]), 80)) for number in numbers]
    return tuple(CheckPlan(key, TIMING, TcpCheck(endpoint)) for key, endpoint in found)


def configure(*numbers: int, **words: Any) -> messages.Configure:
    plan = LvsPlan((virtual([real(number) for number in numbers]),), **words)
    return messages.Configure(lvs_settings.pack(lvs_settings.LvsSettings(plan, plans(*numbers), 0o22)))


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Starts a process, also after another one, on the same files."""
    begun: list[World] = []

    def start(kernel: Kernel | None = None, boot: str = "boot") -> World:
        kernel = kernel or Kernel()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        files = LvsFiles(str(tmp_path), None, boot)
        process = LvsProcess(Channel(theirs), files, lambda: Connection(kernel))  # type: ignore[arg-type,return-value]
        begun.append(World(process, Channel(ours), kernel, []))
        return begun[-1]

    yield start
    for world in begun:
        world.process.scheduler.close()
        world.process._spawner.close()
        world.process._loop.close()
        world.process._line._selector.close()
        world.process._line._channel.close()
        world.channel.close()


def happened(found: list[Any]) -> list[tuple[Kind, str, str]]:
    told = [one for one in found if isinstance(one, messages.Happened)]
    return [(one.transition.kind, one.transition.server, one.cause) for one in told]


def answer(found: list[Any]) -> messages.Answer:
    (one,) = [one for one in found if isinstance(one, messages.Answer)]
    return one


def test_from_a_configuration_to_the_table(begin: Callable[..., World]) -> None:
    world = begin()
    found = world.tell(configure(1, 2))
    assert messages.Configured(1, 2) in found
    assert world.weights == {"10.0.0.1": 1, "10.0.0.2": 1}
    found = world.checked(2, up=False, why="connection refused")
    assert happened(found) == [(Kind.SERVER_DOWN, name(2), "TCP_CHECK: connection refused")]
    assert world.weights == {"10.0.0.1": 1}


def test_the_next_process_goes_on_and_tells_nothing_twice(begin: Callable[..., World]) -> None:
    first = begin()
    first.tell(configure(1, 2))
    first.checked(1, up=True)
    first.checked(2, up=False, why="no")
    first.process._keep()
    before = list(first.kernel.changes)
    second = begin(first.kernel)
    assert happened(second.tell(configure(1, 2))) == []
    assert second.kernel.changes == before


def test_a_process_that_is_killed_at_once_leaves_dead_servers_dead(
    begin: Callable[..., World], tmp_path: Path
) -> None:
    """What was found since ``_keep`` is known too, and so is what comes after a line that was cut short."""
    first = begin()
    first.tell(configure(1, 2, 3, 4))
    first.checked(2, up=False, why="no")
    second = begin(first.kernel)
    second.tell(configure(1, 2, 3, 4))
    assert second.weights.keys() == {"10.0.0.1", "10.0.0.3", "10.0.0.4"}
    second.process._keep()
    second.checked(3, up=False, why="no")
    with (tmp_path / "lvs-checks.jsonl").open("a") as file:
        file.write('["TCP 192.0.2')
    third = begin(first.kernel)
    third.tell(configure(1, 2, 3, 4))
    third.checked(4, up=False, why="no")
    third.checked(2, up=True)
    fourth = begin(first.kernel)
    fourth.tell(configure(1, 2, 3, 4))
    assert fourth.weights.keys() == {"10.0.0.1", "10.0.0.2"}
    of_another_boot = begin(first.kernel, boot="another")
    of_another_boot.tell(configure(1, 2, 3, 4))
    assert len(of_another_boot.weights) == 4


def test_without_room_for_what_is_known_checks_go_on(begin: Callable[..., World], tmp_path: Path) -> None:
    world = begin()
    world.tell(configure(1, 2))
    (tmp_path / "lvs-checks.jsonl").mkdir()
    world.checked(2, up=False, why="no")
    assert world.weights == {"10.0.0.1": 1}


def test_of_another_boot_nothing_is_known(begin: Callable[..., World]) -> None:
    first = begin()
    first.tell(configure(1, 2))
    first.checked(2, up=False, why="no")
    first.process._keep()
    second = begin(boot="another")
    second.tell(configure(1, 2))
    assert second.weights == {"10.0.0.1": 1, "10.0.0.2": 1}


def test_what_a_reload_takes_out_goes_and_others_stay(begin: Callable[..., World]) -> None:
    kernel = Kernel()
    foreign = ServiceKey(socket.AF_INET, socket.IPPROTO_TCP, "203.0.113.1", 80)
    world = begin(kernel)
    world.tell(configure(1))
    kernel.table[foreign] = replace(kernel.table[KEY], service=replace(kernel.table[KEY].service, key=foreign))
    world.tell(messages.Configure(b""))
    assert set(kernel.table) == {foreign}


def test_a_drain_is_kept_over_processes(begin: Callable[..., World]) -> None:
    first = begin()
    first.tell(configure(1, 2))
    assert answer(first.tell(messages.OrderDrain(7, name(1)))) == messages.Answer(
        7,
        {
            "done": True,
            "waited": False,
            "drained": [f"{name(1)} of {SERVICE}"],
            "connections": 0,
            "left": {"active": 0, "inactive": 0, "udp": 0, "templates": 0, "ended": 0},
            "said": "no connection is left",
        },
    )
    second = begin(first.kernel, boot="another")
    second.tell(configure(1, 2))
    assert second.weights == {"10.0.0.1": 0, "10.0.0.2": 1}
    second.tell(messages.OrderUndrain(8, name(1)))
    assert second.weights == {"10.0.0.1": 1, "10.0.0.2": 1}


def test_a_drain_waits_for_connections(begin: Callable[..., World]) -> None:
    world = begin()
    world.tell(configure(1, 2))
    world.kernel.active = 2
    (told,) = world.tell(messages.OrderDrain(7, "10.0.0.1", wait=True, timeout_ns=HOUR))
    assert told.transition.kind is Kind.SERVER_DRAINED
    world.kernel.active = 0
    result = answer(world.turns()).result
    assert (result["done"], result["waited"]) == (True, True)


def of_service(key: ServiceKey) -> messages.Configure:
    """Two real servers behind another service than TCP."""
    plain = virtual([real(1), real(2)])
    plan = replace(plain, services=(replace(plain.services[0], key=key),))
    return messages.Configure(lvs_settings.pack(lvs_settings.LvsSettings(LvsPlan((plan,)), plans(1, 2), 0o22)))


Flows = Optional[dict[tuple[str, int], int]]
Counted = tuple[int, int, int]
UDP = replace(KEY, protocol=socket.IPPROTO_UDP)
MARK = ServiceKey(socket.AF_INET, fwmark=7)


@pytest.mark.parametrize(
    "key, flows, found, left, said",
    [
        (KEY, {}, (2, 3, 0), (2, 3, 0), "2 connections are left after the time given; no new ones come; 3 inactive"),
        (UDP, {}, (0, 1, 0), (0, 0, 1), "1 UDP flow is left after the time given; no new ones come"),
        (MARK, {("10.0.0.1", 53): 2, ("10.0.0.2", 53): 9}, (0, 5, 0), (0, 3, 2), "2 UDP flows are left after"),
        (MARK, None, (0, 5, 0), (0, 0, 5), "5 UDP flows are left after"),
        (KEY, {}, (1, 0, 2), (1, 0, 0), "1 connection, 2 persistence templates are left after the time given; the cl"),
    ],
)
def test_what_a_drain_waits_for(
    begin: Callable[..., World], key: ServiceKey, flows: Flows, *, found: Counted, left: Counted, said: str
) -> None:
    world = begin()
    world.process.udp_flows = lambda: flows  # type: ignore[method-assign]
    world.tell(of_service(key))
    world.kernel.active, world.kernel.inactive, world.kernel.templates = found
    result = answer(world.tell(messages.OrderDrain(7, "10.0.0.1", wait=True, timeout_ns=1))).result
    assert result["said"].startswith(said)
    assert (result["done"], result["connections"]) == (False, left[0] + left[2])
    assert result["left"] == {**dict(zip(("active", "inactive", "udp"), left)), "templates": found[2], "ended": 0}
    (service,) = answer(world.tell(messages.AskServers(1))).result["virtual_servers"]
    assert (service["servers"][0]["state"], service["servers"][0]["drain"]["left"]) == ("timed out", result["left"])
    # what is no UDP flow goes by itself, and is not waited for
    world.kernel.active = world.kernel.templates = 0
    world.process.udp_flows = dict  # type: ignore[method-assign]
    world.kernel.inactive = 0 if key == UDP else 4
    result = answer(world.tell(messages.OrderDrain(8, "10.0.0.1", wait=True, timeout_ns=HOUR))).result
    assert result["done"]
    assert result["said"] == f"no connection is left{'' if key == UDP else '; 4 inactive ones left to expire'}"


def test_templates_that_lead_nobody_are_not_waited_for(begin: Callable[..., World]) -> None:
    world = begin()
    world.process.templates_end = lambda: True  # type: ignore[method-assign]
    world.tell(configure(1, 2))
    world.kernel.templates = 1
    result = answer(world.tell(messages.OrderDrain(7, "10.0.0.1", wait=True, timeout_ns=HOUR))).result
    assert (result["done"], result["left"]["ended"]) == (True, 1)
    assert result["said"] == "no connection is left; 1 persistence template leads no client here any more"


def test_a_kernel_that_fails_ends_the_wait(begin: Callable[..., World]) -> None:
    world = begin()
    world.tell(configure(1, 2))
    world.kernel.active = 1
    world.tell(messages.OrderDrain(7, "10.0.0.1", wait=True, timeout_ns=HOUR))

    def failing(_keys: Any) -> Any:
        raise KernelError(errno.ENOENT, "IPVS", "its kernel module was unloaded")

    world.kernel.table_of = failing  # type: ignore[method-assign,assignment]
    refused = answer(world.turns()).refused
    assert refused is not None
    assert (refused[0], "unloaded" in refused[1]) == ("kernel", True)
    assert world.process._operator.deadline_ns() >= HOUR


def test_persistence_ends_at_weight_0(
    begin: Callable[..., World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sysctl, "_PROC_SYS", str(tmp_path / "sys"))
    setting = tmp_path / "sys/net/ipv4/vs/expire_quiescent_template"

    def heartbeats() -> None:
        for _second in range(3):
            world.process._heartbeat_ns = 0
            world.process.handle(world.process.clock())

    world = begin()
    world.tell(configure(1, 2))
    heartbeats()
    assert caplog.messages == []
    plain = virtual([real(1), real(2)])
    persistent = replace(plain, services=(replace(plain.services[0], flags=SVC_F_PERSISTENT, timeout=300),))
    changed = lvs_settings.pack(lvs_settings.LvsSettings(LvsPlan((persistent,)), plans(1, 2), 0o22))
    world.tell(messages.Configure(changed))
    heartbeats()
    (message,) = caplog.messages
    assert "IPVS is not loaded" in message
    assert not world.process.templates_end()
    setting.parent.mkdir(parents=True)
    setting.write_text("0\n")
    assert not world.process.templates_end()
    heartbeats()
    assert (setting.read_text(), world.process.templates_end()) == ("1\n", True)
    # set once for each configuration: an operator may undo it
    setting.write_text("0\n")
    heartbeats()
    assert setting.read_text() == "0\n"
    world.tell(messages.Configure(changed))
    heartbeats()
    assert setting.read_text() == "1\n"


def test_a_drain_s_time_is_over(begin: Callable[..., World]) -> None:
    world = begin()
    world.tell(configure(1, 2))
    world.kernel.active = 1
    result = answer(world.tell(messages.OrderDrain(7, "10.0.0.1", wait=True, timeout_ns=1))).result
    assert result["said"] == "1 connection is left after the time given; no new ones come"
    assert result["done"] is False


@pytest.mark.parametrize(
    "order, refused",
    [
        (messages.OrderDrain(1, "10.0.0.2:80"), ("last_server", f"10.0.0.2:80 is the last real server of {SERVICE}")),
        (messages.OrderDrain(1, "10.0.0.7:80"), ("unknown_server", "there is no real_server 10.0.0.7:80")),
        (messages.OrderDrain(1, "10.0.0.2", "192.0.2.9"), ("unknown_service", "there is no virtual_server 192.0.2.9")),
        (messages.OrderUndrain(1, "10.0.0.2"), ("not_drained", "10.0.0.2 is not drained in every virtual server")),
    ],
)
def test_orders_that_are_refused(
    begin: Callable[..., World], order: messages.ToLvs, refused: tuple[str, str]
) -> None:
    world = begin()
    world.tell(configure(1, 2))
    world.checked(1, up=False)
    said = answer(world.tell(order)).refused
    assert said is not None
    assert said[:2] == refused
    assert said[2]


def test_how_servers_are(begin: Callable[..., World]) -> None:
    world = begin()
    world.tell(configure(1, 2))
    world.checked(2, up=False, why="connection refused")
    world.kernel.active = 3
    (service,) = answer(world.tell(messages.AskServers(1, "192.0.2.1:80"))).result["virtual_servers"]
    assert (service["service"], service["scheduler"], service["forwarding"]) == (SERVICE, "wlc", "DR")
    words = ("server", "state", "weight", "in_table", "active")
    states = [tuple(one[word] for word in words) for one in service["servers"]]
    assert states == [(name(1), "up", 1, True, 3), (name(2), "down", 0, False, 0)]
    (said,) = service["servers"][1]["checks"]
    assert (said["check"], said["up"], said["why"]) == ("TCP_CHECK", False, "connection refused")
    assert service["servers"][0]["checks"][0]["why"] == "it has not run yet"


def test_what_a_reload_would_change(begin: Callable[..., World]) -> None:
    world = begin()
    world.tell(configure(1, 2))
    world.checked(2, up=False)
    same = answer(world.tell(messages.AskDiff(1, configure(1, 2).settings))).result
    assert same == {"changes": [], "number": 0}
    other = answer(world.tell(messages.AskDiff(1, configure(2, 3).settings))).result
    assert other["changes"] == [
        "-a -t 192.0.2.1:80 -r 10.0.0.3:80 -g -w 1",
        "-d -t 192.0.2.1:80 -r 10.0.0.1:80",
    ]
    # and nothing of it was done
    assert world.weights == {"10.0.0.1": 1}


@pytest.mark.parametrize("what, left", [(FlushOnStop.NOTHING, {KEY}), (FlushOnStop.OURS, set())])
def test_the_end_of_the_daemon(begin: Callable[..., World], what: FlushOnStop, left: set[ServiceKey]) -> None:
    world = begin()
    world.tell(configure(1, flush_on_stop=what))
    world.tell(messages.Stop())
    assert world.process._finished
    assert set(world.kernel.table) == left


def test_the_supervisor_is_gone(begin: Callable[..., World]) -> None:
    world = begin()
    world.tell(configure(1))
    world.channel.close()
    world.process._line.handle(0)
    assert world.process._finished
    assert set(world.kernel.table) == {KEY}


NAMED = Question("web.example.org", socket.AF_INET)
NAMES = (NamePlan(SERVICE, name(1), NAMED.name, NAMED.family, "10.0.0.1", 80, HOUR, ("10.0.0.2",)),)


def with_names(begin: Callable[..., World], kernel: Kernel | None = None, **words: Any) -> World:
    world = begin(kernel)
    # nobody is asked: the test answers
    world.process.resolver._not_before_ns = HOUR * 1_000_000
    world.tell(configure(1, 2, names=NAMES, **words))
    return world


def answered(world: World, *addresses: str, why: str = "") -> list[Any]:
    answers = {NAMED: Answer(addresses, why)}
    world.process._resolved(world.process.resolver.names.answered([NAMED], answers, world.process.clock()))
    return world.turns()


def asked_at(world: World) -> str:
    endpoint: Any = world.process.scheduler._states[check(1)].plan.check
    return socket.inet_ntoa(endpoint.endpoint.address)


def run_over(world: World, *, up: bool) -> list[Any]:
    """A check ends, as it does when it runs."""
    now_ns = world.process.clock()
    world.process.scheduler._over(world.process.scheduler._states[check(1)], Outcome(up, "" if up else "no"), now_ns)
    world.process._move(now_ns)
    return world.turns()


def test_a_name_moves_a_server_when_its_check_has_been_there(begin: Callable[..., World]) -> None:
    world = with_names(begin)
    run_over(world, up=True)
    told = answered(world, "10.0.0.7")
    assert [one.text for one in told if isinstance(one, messages.Remark)] == [
        f"web.example.org is 10.0.0.7 now, no longer 10.0.0.1: real server 10.0.0.1:80 of {SERVICE}"
    ]
    assert asked_at(world) == "10.0.0.7"
    assert world.weights == {"10.0.0.1": 1, "10.0.0.2": 1}
    begun = len(world.kernel.changes)
    assert happened(run_over(world, up=True)) == []
    assert world.weights == {"10.0.0.7": 1, "10.0.0.2": 1}
    assert [type(one).__name__ for one in world.kernel.changes[begun:]] == ["AddServer", "DeleteServer"]
    servers = answer(world.tell(messages.AskServers(1))).result["virtual_servers"][0]["servers"]
    assert [(one["server"], one["in_table"]) for one in servers] == [(name(1), True), (name(2), True)]
    assert servers[0]["resolve"] == {"name": NAMED.name, "address": "10.0.0.7", "serving": "10.0.0.7", "why": ""}
    # what a reload would do is nothing
    same = configure(1, 2, names=NAMES)
    assert answer(world.tell(messages.AskDiff(2, same.settings))).result["number"] == 0
    world.tell(same)
    assert world.weights == {"10.0.0.7": 1, "10.0.0.2": 1}


def test_a_name_that_leads_to_a_dead_server(begin: Callable[..., World]) -> None:
    world = with_names(begin)
    run_over(world, up=True)
    answered(world, "10.0.0.7")
    run_over(world, up=False)
    assert "10.0.0.7" not in world.weights  # once more, for certainty
    assert happened(run_over(world, up=False)) == [(Kind.SERVER_DOWN, name(1), "TCP_CHECK: no")]
    assert world.weights == {"10.0.0.2": 1}
    run_over(world, up=True)
    assert world.weights == {"10.0.0.7": 1, "10.0.0.2": 1}


def test_a_name_is_where_it_was_after_a_restart_and_without_an_answer(begin: Callable[..., World]) -> None:
    first = with_names(begin)
    answered(first, "10.0.0.7")
    run_over(first, up=True)
    first.process._keep()
    before = list(first.kernel.changes)
    second = with_names(begin, first.kernel)
    assert (second.weights, asked_at(second)) == ({"10.0.0.7": 1, "10.0.0.2": 1}, "10.0.0.7")
    answered(second, why="Temporary failure in name resolution")
    assert second.kernel.changes == before
    # drained by the name the file gives it
    second.tell(messages.OrderDrain(7, name(1)))
    assert second.weights == {"10.0.0.7": 0, "10.0.0.2": 1}
