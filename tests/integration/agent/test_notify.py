# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notification for real: scripts in their order, FIFOs with and without readers, mail to a server of this test."""

from __future__ import annotations

import functools
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from agent_loop import Source, run_until

from _lvs_agent.notify import queue as queue_module
from _lvs_agent.notify.fifo import FifoPlan, NotifyFifo
from _lvs_agent.notify.mail import MailPlan, MailQueue, MailResult
from _lvs_agent.notify.notifier import Notifier, Recorded
from _lvs_agent.notify.queue import NotifyQueue, NotifyResult
from _lvs_agent.notify.transition import Notice
from _lvs_agent.script_commands import Commands
from _lvs_agent.spawn import Spawner
from _lvs_agent.vrrp.actions import State
from _lvs_agent.vrrp.instance import Instance
from _lvs_agent.vrrp.messages import LowerPriorityAdvert, PriorityChanged, Transitioned
from _lvs_agent.vrrp.plan import InstancePlan, NotifyWords, Plan

pytestmark = pytest.mark.root

SECOND = 1_000_000_000
COMMANDS = Commands("root", True)


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    one = Spawner()
    yield one
    one.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.touch()
    return path


def script(log: Path, text: str = "") -> str:
    """A script that writes its arguments down, and takes a moment for it."""
    path = log.parent / "script"
    path.write_text(f'#!/bin/sh\necho "begin $*" >>{log}\nsleep 0.0$(($$ % 7))\n{text}\necho "end $*" >>{log}\n')
    path.chmod(0o755)
    return str(path)


def holds(path: Path, text: str) -> bool:
    return path.exists() and text in path.read_text()


def now() -> int:
    return time.monotonic_ns()


class Recorder:
    def __init__(self) -> None:
        self.results: list[Any] = []

    def __call__(self, result: Recorded) -> None:
        self.results.append(result)


def test_a_burst_keeps_its_order_and_loses_nothing(spawner: Spawner, log: Path) -> None:
    path = script(log)
    words = NotifyWords(notify=f"{path} all", notify_master=f"{path} 'to master'", notify_fault=f"{path} fault")
    recorder = Recorder()
    queue = NotifyQueue(spawner, recorder)
    queue.configure(COMMANDS)
    states = ["FAULT", "BACKUP", "MASTER"] * 5
    for state in states:
        queue.push(Notice(False, "V", state, 150), words, now())
    run_until([spawner, queue], queue.idle, 30)
    expected: list[str] = []
    for state in states:
        first = {"FAULT": "fault", "MASTER": "to master"}.get(state)
        for words_of_one in ([first] if first else []) + [f"all INSTANCE V {state} 150"]:
            expected += [f"begin {words_of_one}", f"end {words_of_one}"]
    assert log.read_text().splitlines() == expected
    assert [result.ok for result in recorder.results] == [True] * 25


def test_instances_do_not_wait_for_each_other(spawner: Spawner, log: Path) -> None:
    path = script(log, "sleep 1")
    queue = NotifyQueue(spawner, Recorder())
    queue.configure(COMMANDS)
    begun = time.monotonic()
    for number in range(30):
        queue.push(Notice(False, f"V{number}", "MASTER", 1), NotifyWords(notify=path), now())
    run_until([spawner, queue], queue.idle, 30)
    assert time.monotonic() - begun < 15  # not 30


def test_what_fails_is_recorded_and_the_next_runs(spawner: Spawner, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "_RETRY_AFTER", SECOND // 20)
    recorder = Recorder()
    queue = NotifyQueue(spawner, recorder)
    queue.configure(Commands("root", True, notify_timeout=1, notify_retry=2))
    path = script(log, "echo broken >&2; exit 4")
    open_to_all = log.parent / "open"
    open_to_all.write_text("#!/bin/sh\n")
    open_to_all.chmod(0o777)
    queue.push(Notice(False, "V", "MASTER", 1), NotifyWords(notify_master=path, notify=str(open_to_all)), now())
    run_until([spawner, queue], queue.idle, 30)
    broken, refused = recorder.results
    assert (broken.ok, broken.how, broken.output, broken.attempts) == (
        False,
        "it ended with exit status 4",
        "broken\n",
        3,
    )
    assert f"{open_to_all} is writable by everybody (mode 0777)" in refused.how
    # no retry for a state that is over
    queue.push(Notice(False, "V", "FAULT", 1), NotifyWords(notify=path), now())
    queue.push(Notice(False, "V", "BACKUP", 1), NotifyWords(notify="/bin/sleep 100"), now())
    run_until([spawner, queue], queue.idle, 30)
    # sleep gets keepalived's arguments behind its own, and fails
    assert [result.attempts for result in recorder.results[2:]] == [1, 3]


def test_one_that_hangs_is_ended(spawner: Spawner) -> None:
    recorder = Recorder()
    queue = NotifyQueue(spawner, recorder)
    queue.configure(Commands("root", notify_timeout=1))
    queue.push(Notice(False, "V", "MASTER", 1), NotifyWords(notify_master="/bin/sleep 100"), now())
    run_until([spawner, queue], queue.idle)
    (result,) = recorder.results
    assert "did not end within 1.0 s" in result.how


def test_a_fifo_that_nobody_reads(spawner: Spawner, tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    fifo = NotifyFifo(FifoPlan(str(path)), spawner, now())
    mode = path.stat().st_mode
    assert stat.S_ISFIFO(mode)
    assert stat.S_IMODE(mode) == 0o600
    lines = [f'INSTANCE "V{number}" MASTER 100\n' for number in range(12_000)]
    begun = time.monotonic()
    for line in lines:
        fifo.write(line, now())
    assert time.monotonic() - begun < 5
    assert fifo.lost == 0
    got: list[bytes] = []

    def read() -> None:
        handle = os.open(path, os.O_RDONLY)
        while sum(map(len, got)) < sum(map(len, lines)):
            got.append(os.read(handle, 65536))
        os.close(handle)

    reader = threading.Thread(target=read)
    reader.start()
    run_until([fifo], lambda: not reader.is_alive())
    reader.join()
    assert b"".join(got).decode() == "".join(lines)
    for line in lines * 2:
        fifo.write(line, now())
    assert fifo.lost > 10_000
    fifo.close(now())
    assert not path.exists()


def test_the_reader_of_a_fifo_is_started_again(
    spawner: Spawner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("_lvs_agent.notify.fifo._FIRST_RESTART", SECOND // 10)
    path, log = tmp_path / "fifo", tmp_path / "log"
    reader = tmp_path / "reader"
    reader.write_text(f'#!/bin/sh\nread line <"$2"\necho "$1 $line" >>{log}\n')
    reader.chmod(0o755)
    fifo = NotifyFifo(FifoPlan(str(path), None, COMMANDS.command(str(reader), "", "x", str(path))), spawner, now())
    for number in range(2):
        fifo.write(f"line {number}\n", now())
        expected = f"x line {number}"
        run_until([spawner, fifo], functools.partial(holds, log, expected))
    fifo.close(now())
    run_until([spawner], lambda: not spawner.running())


def test_a_file_in_its_place_is_refused(spawner: Spawner, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    with pytest.raises(OSError, match="is not a FIFO"):
        NotifyFifo(FifoPlan(str(path)), spawner, now())
    assert path.read_text() == "mine"


class MailServer:
    """Enough of SMTP to take mail, but for ``unwanted`` ones; ``deaf``: it accepts connections and says nothing."""

    def __init__(self, deaf: bool = False, refuse: bytes = b"", unwanted: bytes = b"") -> None:
        self.deaf, self.refuse, self.unwanted = deaf, refuse, unwanted
        self.mails: list[bytes] = []
        self.said: list[bytes] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.socket.getsockname()[1])
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _peer = self.socket.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb", 0) as file:
                if self.deaf:
                    connection.recv(1)
                else:
                    self._talk(file)

    def _talk(self, file: Any) -> None:
        file.write(b"220 here\r\n")
        for line in file:
            self.said.append(line.strip())
            if line.upper().startswith(b"DATA"):
                file.write(b"354 go on\r\n")
                mail = b""
                for part in iter(file.readline, b".\r\n"):
                    mail += part
                if self.unwanted and self.unwanted in mail:
                    file.write(b"554 5.7.1 we do not want that\r\n")
                    continue
                self.mails.append(mail)
            elif self.refuse and line.startswith(b"rcpt") and self.refuse in line:
                file.write(b"550 5.1.1 nobody of that name\r\n")
                continue
            file.write(b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 ok\r\n")

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


@pytest.fixture
def mail_server() -> Iterator[Callable[..., MailServer]]:
    made: list[MailServer] = []

    def make(**words: Any) -> MailServer:
        made.append(MailServer(**words))
        return made[-1]

    yield make
    for one in made:
        one.close()


def mail_plan(port: int, server: str = "127.0.0.1", **more: Any) -> MailPlan:
    receivers = ("a@example.com", "b@example.com")
    return MailPlan(server, port, "k@example.com", receivers, "helo.example", "Räuter", **more)


def test_mail(spawner: Spawner, mail_server: Callable[..., MailServer]) -> None:
    server = mail_server()
    recorder = Recorder()
    mails = MailQueue(spawner, recorder)
    mails.configure(mail_plan(server.port))
    for state in ("BACKUP", "MASTER"):
        mails.push(Notice(False, "V1", state, 1), now())
    longest = run_until([spawner, mails], mails.idle)
    assert longest < 0.5
    (result,) = recorder.results
    assert result.ok, result.how
    assert b"ehlo helo.example" in server.said
    assert [line for line in server.said if line.startswith(b"rcpt")][:2] == [
        b"rcpt TO:<a@example.com>",
        b"rcpt TO:<b@example.com>",
    ]
    mail = message_from_bytes(server.mails[1])
    assert mail["From"] == "k@example.com"
    assert mail["To"] == "a@example.com, b@example.com"
    assert str(mail["Date"]).startswith(time.strftime("%a, %d %b %Y"))
    assert "Entering" in str(mail["Subject"])
    assert "=> VRRP Instance is now owning VRRP VIPs <=" in str(mail.get_payload())


@pytest.mark.parametrize(
    "server, port, words",
    [
        ("127.0.0.1", 1, ["127.0.0.1 port 1", "Connection refused"]),
        ("no-such-host.invalid", 25, ["no-such-host.invalid port 25"]),
    ],
)
def test_mail_that_cannot_be_sent(
    spawner: Spawner, monkeypatch: pytest.MonkeyPatch, server: str, port: int, words: list[str]
) -> None:
    monkeypatch.setattr("_lvs_agent.notify.mail._RETRY_AFTER", (SECOND // 10,) * 2)
    recorder = Recorder()
    mails = MailQueue(spawner, recorder)
    mails.configure(mail_plan(port, server, timeout_s=5))
    mails.push(Notice(False, "V1", "MASTER", 1), now())
    assert run_until([spawner, mails], mails.idle, 60) < 0.5
    (result,) = recorder.results
    assert isinstance(result, MailResult)
    assert (result.ok, result.attempts) == (False, 3)
    assert all(word in result.how for word in words), result.how


def test_a_mail_server_that_says_nothing_delays_nobody(
    spawner: Spawner, monkeypatch: pytest.MonkeyPatch, mail_server: Callable[..., MailServer]
) -> None:
    monkeypatch.setattr("_lvs_agent.notify.mail._ATTEMPTS", 1)
    recorder = Recorder()
    mails = MailQueue(spawner, recorder)
    mails.configure(mail_plan(mail_server(deaf=True).port, timeout_s=1))
    for _each in range(600):
        mails.push(Notice(False, "V1", "MASTER", 1), now())
    assert [result.how for result in recorder.results] == ["left out: 500 mails wait"] * 100
    recorder.results.clear()
    assert run_until([spawner, mails], lambda: recorder.results) < 0.5
    assert not recorder.results[0].ok
    assert "timed out" in recorder.results[0].how


def test_a_receiver_that_is_refused(spawner: Spawner, mail_server: Callable[..., MailServer]) -> None:
    server = mail_server(refuse=b"a@example.com")
    recorder = Recorder()
    mails = MailQueue(spawner, recorder)
    mails.configure(mail_plan(server.port))
    mails.push(Notice(True, "G", "FAULT", 1), now())
    run_until([spawner, mails], mails.idle)
    assert recorder.results[0].how.endswith("; a@example.com was refused")
    assert len(server.mails) == 1


def test_a_mail_that_is_refused_does_not_keep_back_those_behind_it(
    spawner: Spawner, monkeypatch: pytest.MonkeyPatch, mail_server: Callable[..., MailServer]
) -> None:
    monkeypatch.setattr("_lvs_agent.notify.mail._RETRY_AFTER", (SECOND // 10,) * 2)
    server = mail_server(unwanted=b"VRRP Instance V2 ")
    recorder = Recorder()
    mails = MailQueue(spawner, recorder)
    mails.configure(mail_plan(server.port))
    for name in ("V1", "V2", "V3"):
        mails.push(Notice(False, name, "MASTER", 1), now())
    run_until([spawner, mails], mails.idle)
    sent, left = recorder.results
    assert (sent.ok, len(sent.subjects), left.ok, len(left.subjects), left.attempts) == (True, 2, False, 1, 3)
    assert "V2" in left.subjects[0]
    assert "554 5.7.1 we do not want that" in left.how
    # each once
    assert len(server.mails) == 2


def test_everybody_is_told(spawner: Spawner, log: Path, mail_server: Callable[..., MailServer]) -> None:
    server = mail_server()
    path = script(log)
    fifo = log.parent / "fifo"
    words = NotifyWords(
        notify=path,
        notify_master_rx_lower_pri=f"{path} lower",
        smtp_alert=True,
        notify_priority_changes=True,
    )
    instance = Instance("V 1", 1, bytes(4), (), priority=150)
    plan = Plan((InstancePlan(instance, 4, "eth0", notify=words),))
    recorder = Recorder()
    notifier = Notifier(spawner, recorder)
    notifier.configure(plan, COMMANDS, mail_plan(server.port), [FifoPlan(str(fifo))], now())
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)

    def become(state: State, **more: Any) -> None:
        notifier.transition(Transitioned("V 1", state, State.BACKUP, "", 150, now(), 0, **more), now())

    become(State.BACKUP)
    become(State.MASTER)
    notifier.priority_changed(PriorityChanged("V 1", 130, 150, State.MASTER, (), now()), now())
    notifier.lower_priority_advert(LowerPriorityAdvert("V 1", "192.0.2.2", now()), now())
    become(State.HANDOVER)
    # the words of what a reload removed are those of before
    notifier.configure(Plan(), COMMANDS, mail_plan(server.port), [FifoPlan(str(fifo))], now())
    become(State.INIT, removed=True)
    sources: list[Source] = [spawner, notifier]
    run_until(sources, notifier.idle, 20)
    assert os.read(reader, 65536).decode().splitlines() == [
        'INSTANCE "V 1" BACKUP 150',
        'INSTANCE "V 1" MASTER 150',
        'INSTANCE "V 1" MASTER_PRIORITY 130',
        'INSTANCE "V 1" MASTER_RX_LOWER_PRI 130',
        'INSTANCE "V 1" FAULT 150',
    ]
    os.close(reader)
    assert [line for line in log.read_text().splitlines() if line.startswith("begin")] == [
        "begin INSTANCE V 1 BACKUP 150",
        "begin INSTANCE V 1 MASTER 150",
        "begin lower",
        "begin INSTANCE V 1 FAULT 150",
    ]
    assert len(server.mails) == 3
    assert {type(result) for result in recorder.results} == {NotifyResult, MailResult}
    notifier.close(now())
    assert not fifo.exists()
