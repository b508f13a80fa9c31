# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control socket with real clients: good ones, slow ones, those who say nonsense; and nobody waits."""

from __future__ import annotations

import json
import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from _lvs_agent.control import client
from _lvs_agent.control.protocol import LONGEST_REQUEST, Refused, Request, pack_request, parse_answer, parse_request
from _lvs_agent.control.socket import ControlSocket
from _lvs_agent.supervisor.loop import Loop

SECOND = 1_000_000_000


class Server:
    """A control socket in a loop of its own thread. The verb ``late`` is answered by ``release``."""

    def __init__(self, path: str, **parameters: Any) -> None:
        self.path = path
        self.offset_ns = 0
        self.late: list[Callable[[Any], None]] = []
        self.said: list[tuple[Request, str]] = []
        self.loop = Loop(clock=lambda: time.monotonic_ns() + self.offset_ns)
        self.socket = ControlSocket(path, -1, self.answer, clock=self.loop._clock, **parameters)
        self.loop.add(self.socket)
        self._wake, self._waker = os.pipe()
        self._ended = False
        self.turns = 0
        self.loop.add(self)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def fileno(self) -> int:
        return self._wake

    def deadline_ns(self) -> int:
        return 1 << 63

    def handle(self, now_ns: int) -> None:
        said = os.read(self._wake, 1)
        for reply in self.late if said in (b"r", b"R") else ():
            reply({"late": "x" * 5_000_000 if said == b"R" else True})

    def answer(self, request: Request, who: str, reply: Callable[[Any], None]) -> None:
        self.said.append((request, who))
        if request.verb == "late":
            self.late.append(reply)
        elif request.verb == "large":
            reply({"text": "x" * 5_000_000})
        elif request.verb == "bug":
            raise RuntimeError("a mistake")
        elif request.verb == "no":
            raise Refused("no", "this is not done", "do something else")
        else:
            reply({"verb": request.verb, **request.arguments})

    def release(self, *, large: bool = False) -> None:
        os.write(self._waker, b"R" if large else b"r")

    def later(self, span_ns: int) -> None:
        """Its clock jumps ahead."""
        self.offset_ns += span_ns
        os.write(self._waker, b"t")

    def end(self) -> None:
        self._ended = True
        os.write(self._waker, b"e")
        self._thread.join(10)
        self.socket.close()
        self.loop.close()
        os.close(self._wake)
        os.close(self._waker)

    def _run(self) -> None:
        while not self._ended:
            self.turns += 1
            self.loop.turn()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    one = Server(str(tmp_path / "control.sock"), most_clients=4)
    yield one
    one.end()


def connected(server: Server) -> socket.socket:
    one = socket.socket(socket.AF_UNIX)
    # blocking: it waits for room in the backlog
    one.connect(server.path)
    one.settimeout(10)
    return one


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def line(connection: socket.socket, found: bytes = b"") -> Any:
    while not found.endswith(b"\n"):
        chunk = connection.recv(1 << 16)
        if not chunk:
            break
        found += chunk
    return json.loads(found) if found else None


def test_who_asks_gets_an_answer(server: Server) -> None:
    assert client.ask(server.path, "status", {"number": 3}, 10) == {"verb": "status", "number": 3}
    request, who = server.said[0]
    assert request == Request("status", {"number": 3})
    assert f"(process {os.getpid()})" in who
    assert os.stat(server.path).st_mode & 0o777 == 0o660


def test_several_requests_in_one_packet_are_answered_in_order(server: Server) -> None:
    with connected(server) as one:
        one.sendall(b"".join(pack_request(verb, {}) for verb in ("a", "b", "c")))
        one.shutdown(socket.SHUT_WR)
        with one.makefile("rb") as answers:
            assert [parse_answer(answer)["verb"] for answer in answers] == ["a", "b", "c"]


def test_a_late_answer_keeps_nobody_waiting(server: Server) -> None:
    with connected(server) as one:
        one.sendall(pack_request("late", {}))
        assert client.ask(server.path, "status", {}, 10) == {"verb": "status"}
        server.release()
        assert line(one)["result"] == {"late": True}


def test_a_large_answer_arrives_whole(server: Server) -> None:
    assert len(client.ask(server.path, "large", {}, 10)["text"]) == 5_000_000


@pytest.mark.parametrize(
    "said, code",
    [
        (b"hello\n", "bad_request"),
        (b"[" * 10_000 + b"\n", "bad_request"),
        (b"\xff\n", "bad_request"),
        (b'{"version": 1}\n', "bad_request"),
        (b'{"version": 2, "verb": "status"}\n', "bad_version"),
        (b'{"version": 1, "verb": "status", "arguments": []}\n', "bad_request"),
        (b"x" * (LONGEST_REQUEST + 5000), "bad_request"),
        (pack_request("no", {}), "no"),
        (pack_request("bug", {}), "internal"),
    ],
)
def test_what_is_wrong_is_told_and_the_next_is_served(server: Server, said: bytes, code: str) -> None:
    with connected(server) as one:
        one.sendall(said)
        answer = line(one)
        assert (answer["version"], answer["ok"], answer["error"]["code"]) == (1, False, code)
    assert client.ask(server.path, "status", {}, 10) == {"verb": "status"}


def test_more_clients_than_there_is_room_for_wait(server: Server) -> None:
    busy = [connected(server) for _number in range(4)]
    for one in busy:
        one.sendall(pack_request("late", {}))
    wait_until(lambda: len(server.late) == 4)
    with connected(server) as fifth:
        fifth.sendall(pack_request("status", {}))
        fifth.settimeout(0.2)
        with pytest.raises(TimeoutError):
            fifth.recv(1)
        fifth.settimeout(10)
        server.release()
        assert line(fifth)["ok"]
    for one in busy:
        one.close()


def test_who_is_idle_for_the_longest_time_makes_room(server: Server) -> None:
    first, second, third, last = (connected(server) for _number in range(4))
    for one in (first, second, third, last, first):
        one.sendall(pack_request("status", {}))
        assert line(one)["ok"]
    with connected(server) as fifth:
        fifth.sendall(pack_request("status", {}))
        assert line(fifth)["ok"]
        assert second.recv(1) == b""
        first.sendall(pack_request("status", {}))
        assert line(first)["ok"]
    for one in (first, second, third, last):
        one.close()


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """With the daemon's own limits; all clients are root's."""
    monkeypatch.setattr("_lvs_agent.control.socket._who", lambda _connection: (0, "root (process 2)"))
    made = Server(str(tmp_path / "control.sock"))
    yield made
    made.end()


@pytest.mark.parametrize("number", [161, 300])
def test_idle_connections_of_root_leave_nobody_without_an_answer(daemon: Server, number: int) -> None:
    idle = [connected(daemon) for _number in range(number)]
    assert client.ask(daemon.path, "status", {}, 10) == {"verb": "status"}
    for one in idle:
        one.close()


def test_root_is_never_limited(daemon: Server) -> None:
    """A user of the group may have 16 connections; root's drains and followers are as many as they are."""
    busy = [connected(daemon) for _number in range(100)]
    for one in busy:
        one.sendall(pack_request("late", {}))
    wait_until(lambda: len(daemon.late) == 100)
    assert client.ask(daemon.path, "status", {}, 10) == {"verb": "status"}
    daemon.release()
    assert all(line(one)["ok"] for one in busy)
    for one in busy:
        one.close()


def test_who_says_nothing_or_does_not_read_is_left(server: Server) -> None:
    with connected(server) as idle, connected(server) as slow:
        slow.sendall(pack_request("large", {}))
        assert slow.recv(1) == b"{"
        server.later(61 * SECOND)
        assert idle.recv(1) == b""
        server.later(61 * SECOND)
        with slow.makefile("rb") as rest:
            assert not rest.read().endswith(b"\n")


def test_who_reads_too_slowly_is_left(server: Server) -> None:
    with connected(server) as slow:
        slow.sendall(pack_request("large", {}))
        for _nine_seconds in range(6):
            assert len(slow.recv(1 << 18)) > 0
            assert client.ask(server.path, "status", {}, 10) == {"verb": "status"}
            server.later(9 * SECOND)
        server.later(9 * SECOND)
        with slow.makefile("rb") as rest:
            assert not rest.read().endswith(b"\n")


def test_what_nobody_reads_is_bounded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("_lvs_agent.control.socket._MOST_UNREAD", 6_000_000)
    with connected(server) as slow, connected(server) as other:
        slow.sendall(pack_request("large", {}))
        assert slow.recv(1) == b"{"
        other.sendall(pack_request("large", {}))
        assert line(other)["error"]["code"] == "busy"


def test_one_user_does_not_keep_the_others_out(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("_lvs_agent.control.socket._MOST_OF_A_USER", 2)
    monkeypatch.setattr("_lvs_agent.control.socket._who", lambda _connection: (1000, "user 1000 (process 1)"))
    held = [connected(server), connected(server)]
    for _more in range(100):
        with connected(server) as one:
            assert one.recv(1) == b""
    monkeypatch.setattr("_lvs_agent.control.socket._who", lambda _connection: (0, "root (process 2)"))
    assert client.ask(server.path, "status", {}, 10) == {"verb": "status"}
    for one in held:
        one.close()


def test_the_time_to_read_an_answer_counts_from_the_answer(server: Server) -> None:
    """Not from the request: a drain may take minutes, and what reads 5 MB takes some time too."""
    with connected(server) as one:
        one.sendall(pack_request("late", {}))
        wait_until(lambda: bool(server.late))
        server.later(300 * SECOND)
        server.release(large=True)
        assert one.recv(1) == b"{"
        server.later(SECOND)
        time.sleep(0.1)
        assert len(line(one, b"{")["result"]["late"]) == 5_000_000


def test_without_descriptors_it_waits_and_does_not_spin(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    used = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(10)
        lowest = os.open("/dev/null", os.O_RDONLY)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, used[1]))
        try:
            turns = server.turns
            one.connect(server.path)
            one.sendall(pack_request("status", {}))
            wait_until(lambda: "no client is accepted: Too many open files" in caplog.text)
            time.sleep(0.3)
            assert server.turns < turns + 20
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, used)
        server.later(2 * SECOND)
        assert line(one)["ok"]


def test_who_goes_away_before_the_answer_harms_nobody(server: Server) -> None:
    with connected(server) as one:
        one.sendall(pack_request("late", {}))
    with connected(server) as one:
        one.sendall(pack_request("large", {}))
    server.release()
    assert client.ask(server.path, "status", {}, 10) == {"verb": "status"}


class TestNoDaemon:
    def asked(self, path: Path) -> client.Unreachable:
        with pytest.raises(client.Unreachable) as caught:
            client.ask(str(path), "status", {}, 0.3)
        return caught.value

    def test_the_socket_is_not_there(self, tmp_path: Path) -> None:
        assert self.asked(tmp_path / "no").code == "not_running"

    def test_nobody_listens(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(tmp_path / "left"))
        assert self.asked(tmp_path / "left").code == "not_running"

    def test_it_does_not_answer(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(tmp_path / "mute"))
            one.listen()
            assert self.asked(tmp_path / "mute").code == "no_answer"

    def test_a_left_over_socket_is_replaced(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(tmp_path / "control.sock"))
        server = Server(str(tmp_path / "control.sock"))
        try:
            assert client.ask(server.path, "status", {}, 10)
            assert [one.name for one in tmp_path.iterdir()] == ["control.sock"]
        finally:
            server.end()
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "said", [b"", b"{}", b"[]\n", b'{"ok": true}', b'{"ok": false, "error": []}', b"\xff", b"[" * 9999]
)
def test_an_answer_that_is_none_is_refused(said: bytes) -> None:
    with pytest.raises(Refused, match="the daemon's answer is none"):
        parse_answer(said)


def test_a_request_without_arguments_has_none() -> None:
    assert parse_request(b'{"version": 1, "verb": "status"}') == Request("status", {})
