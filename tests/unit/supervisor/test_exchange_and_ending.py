# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an upgrade and the end of the daemon wait for, and for how long; without a process."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from _lvs_agent.supervisor import upgrade
from _lvs_agent.supervisor.channel import Channel, pair
from _lvs_agent.supervisor.ending import Ending
from _lvs_agent.supervisor.exchange import Exchange
from _lvs_agent.supervisor.loop import NEVER
from _lvs_agent.supervisor.sd_notify import SdNotify

SECOND = 1_000_000_000


class FakePart:
    """Busy until it is told otherwise; ``calls`` is what it was told."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.on_its_way: list[str] = []
        self.last_ns = 0

    def waiting(self) -> list[str]:
        return self.on_its_way

    def busy(self) -> bool:
        return bool(self.on_its_way)

    def hand_over(self) -> None:
        self.calls.append("hand over")

    def stop(self, now_ns: int) -> None:
        self.calls.append("stop")

    def after(self, now_ns: int) -> int:
        self.calls.append("after")
        return self.last_ns


def fake_part() -> Any:
    return FakePart()


class FakeChild:
    pid = 7

    def __init__(self, channel: Channel) -> None:
        self.channel = channel


class Upgrade:
    """An exchange; ``calls`` is what happened, in order, with the part's own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, channel: Channel) -> None:
        self.part = fake_part()
        self.calls: list[str] = self.part.calls
        self.children: dict[str, Any] = {"vrrp": FakeChild(channel)}
        monkeypatch.setattr(upgrade, "become", self._become)
        self.exchange = Exchange(
            [self.part],
            {},
            3,
            children=lambda: self.children,
            last_words=lambda: self.calls.append("last words"),
            restore=lambda: self.calls.append("restore"),
        )

    def _become(self, *_arguments: Any) -> None:
        self.calls.append("become")
        raise OSError(8, "Exec format error")

    def begin(self) -> None:
        self.exchange.begin(0, self.calls.append)


NOT_EXECUTED = ["last words", "hand over", "become", "restore", "it could not be executed: Exec format error"]


class TestExchange:
    @pytest.fixture
    def one(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Upgrade]:
        ours, theirs = pair()
        yield Upgrade(monkeypatch, ours)
        ours.close()
        theirs.close()

    def test_at_once_when_nothing_is_on_its_way_and_what_fails_is_as_before(self, one: Upgrade) -> None:
        one.begin()
        one.exchange.handle(one.exchange.deadline_ns())
        assert one.calls == NOT_EXECUTED
        assert one.exchange.deadline_ns() == NEVER

    def test_when_what_was_on_its_way_has_arrived(self, one: Upgrade) -> None:
        one.part.on_its_way = ["notify of VI"]
        one.begin()
        for _turn in range(20):
            one.exchange.handle(one.exchange.deadline_ns())
        assert one.calls == []
        assert 0 < one.exchange.deadline_ns() < 2 * SECOND
        one.part.on_its_way = []
        one.exchange.handle(one.exchange.deadline_ns())
        assert one.calls == NOT_EXECUTED

    def test_not_for_ever_and_what_is_lost_is_told(self, one: Upgrade, caplog: pytest.LogCaptureFixture) -> None:
        one.part.on_its_way = [f"notify of V{number}" for number in range(12)]
        one.begin()
        one.exchange.handle(9 * SECOND)
        assert one.calls == []
        one.exchange.handle(10 * SECOND)
        assert one.calls == NOT_EXECUTED
        assert "what has not begun is lost: notify of V0, notify of V1, " in caplog.text
        assert "notify of V9 and 2 more" in caplog.text

    def test_without_a_process_to_hand_over(self, one: Upgrade) -> None:
        one.children.clear()
        one.begin()
        one.exchange.handle(0)
        assert one.calls == ["there is no VRRP process to hand over"]

    def test_the_daemon_ends_instead(self, one: Upgrade) -> None:
        one.part.on_its_way = ["mail of 3 changes"]
        one.begin()
        one.exchange.stop()
        assert one.exchange.deadline_ns() == NEVER


def test_children_come_along(monkeypatch: pytest.MonkeyPatch) -> None:
    said: dict[str, str] = {}
    inheritable: list[bool] = []

    def execve(_program: str, _arguments: list[str], environment: dict[str, str]) -> None:
        said.update(environment)
        inheritable.extend(one.get_inheritable() for one in (ours.sock, lock))
        raise OSError(8, "Exec format error")

    ours, theirs = pair()
    lock = socket.socket()
    child: Any = FakeChild(ours)
    monkeypatch.setattr("os.execve", execve)
    with pytest.raises(OSError, match="Exec format error"):
        upgrade.become(["/bin/x"], {"A": "b"}, {"lvs-agent-vrrp": child}, lock.fileno())
    assert inheritable == [True, True]
    assert not ours.sock.get_inheritable()
    environment = dict(said)
    found = upgrade.inherited(environment)
    assert environment == {"A": "b"}
    assert found is not None
    process, channel = found.children["lvs-agent-vrrp"]
    assert (found.lock, process.pid, channel.fileno()) == (lock.fileno(), 7, ours.fileno())
    ours.sock.detach()
    channel.close()
    theirs.close()
    lock.close()


@pytest.mark.parametrize("said", ["", "x", "1000000", "LOCK a:b", "LOCK a:1:1000000"])
def test_a_variable_that_nobody_of_us_has_set(said: str) -> None:
    with socket.socket() as lock:
        said = said.replace("LOCK", str(lock.fileno()))
        assert upgrade.inherited({"LVS_AGENT_TAKE_OVER": said}) is None


class TestEnding:
    @pytest.fixture
    def over(self) -> list[str]:
        return []

    def ending(self, part: Any, over: list[str]) -> Ending:
        return Ending([part], SdNotify(""), lambda: over.append("over"))

    def test_told_first_then_the_last_things(self, over: list[str]) -> None:
        part = FakePart()
        part.last_ns = 30 * SECOND
        ending = self.ending(part, over)
        assert ending.deadline_ns() == NEVER
        part.on_its_way = ["notify_stop of VI"]
        ending.begin(0)
        ending.begin(0)
        ending.handle(SECOND)
        assert part.calls == ["stop"]
        part.on_its_way = []
        ending.handle(2 * SECOND)
        assert (part.calls, over) == (["stop", "after"], [])
        part.on_its_way = ["shutdown_script"]
        ending.handle(31 * SECOND)
        assert over == []
        part.on_its_way = []
        ending.handle(31 * SECOND)
        assert over == ["over"]
        assert ending.deadline_ns() == NEVER

    def test_nobody_is_waited_for_for_ever(self, over: list[str]) -> None:
        part = FakePart()
        part.last_ns = SECOND
        part.on_its_way = ["notify_stop of VI"]
        ending = self.ending(part, over)
        ending.begin(0)
        now = 0
        while not over:
            now = max(now + 1, ending.deadline_ns())
            ending.handle(now)
        assert part.calls == ["stop", "after"]
        assert 11 * SECOND <= now <= 11 * SECOND + SECOND // 2
