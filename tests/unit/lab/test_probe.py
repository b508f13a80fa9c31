# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client that measures outages, against a server on loopback whose faults are counted, not timed."""

from __future__ import annotations

import inspect
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from _lab import probe
from _lab.probe import Attempt, Outage, answers, outages, parse

INTERVAL_S = 0.01


def attempt(start_s: float, answer: str | None) -> Attempt:
    return Attempt(start_s, 0.001, answer, "" if answer else "timeout")


class TestArithmetic:
    def test_an_outage_lasts_from_the_first_failure_to_the_next_success(self) -> None:
        run = [attempt(1.0, "a"), attempt(2.0, None), attempt(3.0, None), attempt(5.0, "b"), attempt(6.0, "a")]
        (found,) = outages(run)
        assert found == Outage(2.0, 5.0, 2)
        assert found.length_s == 3.0

    def test_the_order_of_the_starts_counts(self) -> None:
        # an attempt that timed out ends after later ones that were answered
        run = [attempt(3.0, "a"), attempt(1.0, "a"), attempt(2.0, None)]
        assert outages(run) == [Outage(2.0, 3.0, 1)]

    def test_each_run_of_failures_is_an_outage(self) -> None:
        run = [attempt(float(second), None if second in (1, 4, 5) else "a") for second in range(8)]
        assert outages(run) == [Outage(1.0, 2.0, 1), Outage(4.0, 6.0, 2)]

    def test_an_outage_without_an_end(self) -> None:
        assert outages([attempt(1.0, "a"), attempt(2.0, None), attempt(3.0, None)]) == [Outage(2.0, 3.0, 2)]
        assert outages([attempt(1.0, None)]) == [Outage(1.0, 1.0, 1)]

    def test_no_outage(self) -> None:
        assert outages([]) == []
        assert outages([attempt(1.0, "a"), attempt(2.0, "b")]) == []

    def test_two_attempts_of_one_moment(self) -> None:
        assert outages([attempt(1.0, None), attempt(1.0, "a")]) == [Outage(1.0, 1.0, 1)]

    def test_answers(self) -> None:
        run = [attempt(1.0, "web02"), attempt(2.0, None), attempt(3.0, "web01"), attempt(4.0, "web02")]
        assert list(answers(run).items()) == [("web01", 1), ("web02", 2)]

    def test_what_the_script_wrote(self) -> None:
        text = '[1.5, 0.25, "web01", ""]\n[2.5, 0.5, null, "timeout"]\n'
        assert parse(text) == [Attempt(1.5, 0.25, "web01", ""), Attempt(2.5, 0.5, None, "timeout")]


Answer = Callable[[int, socket.socket], None]


@contextmanager
def served(answer: Answer) -> Iterator[int]:
    """The port of a server that hands each connection, with its number from 0, to `answer`, and then closes it."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:

        def serve() -> None:
            for number in range(1_000_000):
                connection, _address = listener.accept()
                with connection:
                    if not connection.recv(4096):
                        return  # the test's last word
                    answer(number, connection)

        server = threading.Thread(target=serve)
        server.start()
        port = listener.getsockname()[1]
        try:
            yield port
        finally:
            socket.create_connection(("127.0.0.1", port)).close()
            server.join()


def named(number: int, connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n")
    connection.sendall(b"web%02d\n" % (number % 2 + 1))


def away_for_a_moment(number: int, connection: socket.socket) -> None:
    if not 5 <= number < 9:
        named(number, connection)


class TestProbe:
    def test_it_sees_who_answers(self) -> None:
        with served(named) as port:
            attempts = probe.probe("127.0.0.1", port, INTERVAL_S, 20 * INTERVAL_S, 5.0)
        assert answers(attempts) == {"web01": 10, "web02": 10}
        assert outages(attempts) == []

    def test_it_sees_a_server_that_is_away_for_a_moment(self) -> None:
        with served(away_for_a_moment) as port:
            attempts = probe.probe("127.0.0.1", port, INTERVAL_S, 20 * INTERVAL_S, 5.0)
        assert [number for number, one in enumerate(attempts) if one.answer is None] == [5, 6, 7, 8]
        assert outages(attempts) == [Outage(attempts[5].start_s, attempts[9].start_s, 4)]

    def test_it_starts_no_attempt_early(self) -> None:
        before_s = time.time()
        with served(named) as port:
            attempts = probe.probe("127.0.0.1", port, INTERVAL_S, 10 * INTERVAL_S, 5.0)
        assert len(attempts) == 10
        # a millisecond for the two clocks, which need not run alike
        assert all(one.start_s > before_s + number * INTERVAL_S - 0.001 for number, one in enumerate(attempts))

    def test_a_server_that_says_nothing(self) -> None:
        measured = threading.Event()

        def silent(_number: int, _connection: socket.socket) -> None:
            measured.wait()

        with served(silent) as port:
            try:
                attempts = probe.probe("127.0.0.1", port, INTERVAL_S, 3 * INTERVAL_S, 0.1)
            finally:
                measured.set()
        assert [one.error for one in attempts] == ["timeout"] * 3
        assert all(one.took_s > 0.1 for one in attempts)

    def test_a_server_that_refuses(self) -> None:
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            attempts = probe.probe("127.0.0.1", deaf.getsockname()[1], INTERVAL_S, 3 * INTERVAL_S, 5.0)
        assert [(one.answer, one.error) for one in attempts] == [(None, "ECONNREFUSED")] * 3

    def test_an_address_that_cannot_be_asked(self) -> None:
        attempts = probe.probe("255.255.255.255", 80, INTERVAL_S, 3 * INTERVAL_S, 5.0)
        assert [(one.answer, one.error) for one in attempts] == [(None, "ENETUNREACH")] * 3

    @pytest.mark.parametrize(
        "words, error",
        [(b"HTTP/1.1 503 Busy\r\n\r\nweb01\n", "HTTP/1.1 503 Busy"), (b"web01\n", "web01\n"), (b"", "no answer")],
    )
    def test_an_answer_that_is_none(self, words: bytes, error: str) -> None:
        with served(lambda _number, connection: connection.sendall(words)) as port:
            (only,) = probe.probe("127.0.0.1", port, INTERVAL_S, INTERVAL_S, 5.0)
        assert (only.answer, only.error) == (None, error)

    def test_it_runs_from_its_source_alone_until_its_input_ends(self) -> None:
        def script(duration_s: float) -> subprocess.Popen[str]:
            words = ["127.0.0.1", str(port), "0.01", str(duration_s), "5"]
            return subprocess.Popen(
                [sys.executable, "-I", "-c", inspect.getsource(probe), *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

        with served(named) as port:
            with script(0.04) as done:
                assert done.stdout is not None
                assert answers(parse(done.stdout.read())) == {"web01": 2, "web02": 2}
            with script(600) as ended:
                assert ended.stderr is not None
                assert ended.stderr.readline() == "ready\n"
                said, _errors = ended.communicate(timeout=60)
        assert outages(parse(said)) == []
