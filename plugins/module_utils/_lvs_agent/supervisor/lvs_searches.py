# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes that search pages for regular expressions (health/search.py), one for each of two lanes.

A search that is not over within 10 ms of CPU time is done again in the slow lane, where it may take 0.1 s, and so are
the next ones of the same server and page; those that were quick the last time come first. So hundreds of pathological
patterns keep each other waiting, and nobody else. A process that was killed is replaced when there is something to
search. The question is written into a file in memory (memfd_create(2)) that both have, so that nothing ever waits for
room in a socket.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import signal
import socket
import struct
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, NamedTuple

from ..health import search
from ..health.search import Answer, Limits, Question, Search
from . import process
from .loop import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from .loop import Loop

PROCESS = "lvs-agent-regex"
QUICK = Limits(0.1, 0.01)
SLOW = Limits(1.0, 0.1)
_SECOND = 1_000_000_000
# The limits are CPU time: on a host that is too busy a process may get none for long.
_WALL_NS = 10 * _SECOND
_AGAIN_NS = _SECOND // 10
_MOST_KNOWN = 65536
_LENGTH = struct.Struct("=I")
_REPLY = struct.Struct("=cd")
_COMPILED, _MATCH, _NO_MATCH, _NO_MEMORY = b"c", b"1", b"0", b"m"
_log = logging.getLogger(__name__)


class _Reply(NamedTuple):
    """``answer`` is None when the process was ended by its limit. ``seconds`` of CPU time that the search took."""

    answer: Answer | None
    seconds: float = 0.0
    compiled: bool = False


class _Worker:
    """One process; a source of the loop, for one search at a time. ``told`` gets the reply, and whether it lives on."""

    def __init__(self, limits: Limits, told: Callable[[_Reply, bool, int], None]) -> None:
        """Raises OSError."""
        self._told = told
        self._due = NEVER
        self._compiled = False
        self._file = os.memfd_create("regex", os.MFD_CLOEXEC)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._socket = ours
        try:
            keep = [theirs.fileno(), self._file]
            self._process = process.fork(PROCESS, lambda: _child(theirs, self._file, limits), keep)
        except OSError:
            ours.close()
            os.close(self._file)
            raise
        finally:
            theirs.close()

    def fileno(self) -> int:
        """Readable when it has answered, or ended."""
        return self._socket.fileno()

    def deadline_ns(self) -> int:
        """When a search has taken too long, whatever its CPU time."""
        return self._due

    def search(self, question: Question, now_ns: int) -> None:
        """Search; it must not be searching. Raises OSError."""
        content = pickle.dumps(tuple(question), pickle.HIGHEST_PROTOCOL)
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, content, 0)
        self._compiled = False
        self._due = now_ns + _WALL_NS
        with contextlib.suppress(OSError):  # one that has ended is noticed by handle()
            self._socket.send(_LENGTH.pack(len(content)), socket.MSG_NOSIGNAL)

    def handle(self, now_ns: int) -> None:
        """Tell the answer, or that there is none."""
        while True:
            try:
                data = self._socket.recv(_REPLY.size)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self._tell(self._end(), False, now_ns)
                return
            kind, seconds = _REPLY.unpack(data)
            if kind == _COMPILED:
                self._compiled = True
                continue
            if kind == _NO_MEMORY:
                reply = _Reply(Answer(None, "the regular expression needs too much memory; write a simpler one"))
            else:
                reply = _Reply(Answer(kind == _MATCH), seconds, True)
            self._tell(reply, True, now_ns)
            return
        if now_ns >= self._due:
            self._process.kill()
            self._due = NEVER

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._socket.close()
        os.close(self._file)
        self._process.wait()

    def _tell(self, reply: _Reply, lives: bool, now_ns: int) -> None:
        self._due = NEVER
        self._told(reply, lives, now_ns)

    def _end(self) -> _Reply:
        """How it ended: SIGPROF is the limit's; it is dead or about to be, its end of the socket is closed."""
        self._process.kill()
        status = self._process.wait()
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF:
            return _Reply(None, compiled=self._compiled)
        how = process.told(status)
        return _Reply(Answer(None, f"the process that searches for the regular expression ended: {how}"))


class _Lane:
    """Searches one after the other; a source of the loop, for another try at a process that could not be started."""

    def __init__(self, loop: Loop, limits: Limits, told: Callable[[Search, _Reply, int], None]) -> None:
        self._first: deque[Search] = deque()
        self._queue: deque[Search] = deque()
        self._loop = loop
        self._limits = limits
        self._told = told
        self._worker: _Worker | None = None
        self._current: Search | None = None
        self._again_ns = NEVER
        self._failed = ""

    def fileno(self) -> int:
        """The process is a source of its own."""
        return -1

    def deadline_ns(self) -> int:
        """When to try again."""
        return self._again_ns

    def handle(self, now_ns: int) -> None:
        """Search for what comes next."""
        self._again_ns = NEVER
        while self._current is None and (self._first or self._queue):
            one = (self._first or self._queue).popleft()
            if one.done is None:
                continue
            try:
                self._worker = self._worker or self._started()
                self._worker.search(one.question, now_ns)
            except OSError as error:
                self._first.appendleft(one)
                self._again_ns = now_ns + _AGAIN_NS
                if self._failed != str(error):
                    self._failed = str(error)
                    _log.error("regular expressions of health checks cannot be searched for: %s", error.strerror)
                return
            self._failed = ""
            self._current, one.begun = one, True

    def add(self, one: Search, now_ns: int, *, first: bool = False) -> None:
        """Search for it, after those that wait; ``first``: only after those that are to be the first too."""
        (self._first if first else self._queue).append(one)
        self.handle(now_ns)

    def close(self) -> None:
        """End what runs."""
        self._first.clear()
        self._queue.clear()
        self._again_ns = NEVER
        self._drop()

    def _started(self) -> _Worker:
        made = _Worker(self._limits, self._replied)
        self._loop.add(made)
        return made

    def _drop(self) -> None:
        worker, self._worker, self._current = self._worker, None, None
        if worker is not None:
            self._loop.remove(worker)
            worker.close()

    def _replied(self, reply: _Reply, lives: bool, now_ns: int) -> None:
        one, self._current = self._current, None
        if not lives:
            self._drop()
        if one is not None:
            one.begun = False
            self._told(one, reply, now_ns)
        self.handle(now_ns)


class LvsSearches:
    """Both lanes (:class:`..health.search.Searches`)."""

    def __init__(self, loop: Loop, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._quick = _Lane(loop, QUICK, self._quick_replied)
        self._slow = _Lane(loop, SLOW, self._slow_replied)
        self._was_slow: OrderedDict[Hashable, bool] = OrderedDict()
        for lane in (self._quick, self._slow):
            loop.add(lane)

    def begin(self, whose: Hashable, question: Question, done: Callable[[Answer, int], None]) -> Search:
        """Search; ``done`` is called by the loop later."""
        made = Search((whose, question.pattern, question.options), question, done)
        was_slow = self._was_slow.get(made.whose)
        (self._slow if was_slow else self._quick).add(made, self._clock(), first=was_slow is False)
        return made

    def forget(self, search: Search) -> None:
        """Nobody waits for it any more. One that a process is at goes on to its end, or its limit."""
        search.done = None

    def close(self) -> None:
        """End what runs."""
        for lane in (self._quick, self._slow):
            lane.close()

    def _quick_replied(self, one: Search, reply: _Reply, now_ns: int) -> None:
        if reply.answer is not None and reply.answer.matches is not None:
            self._remember(one, slow=False)
            _tell(one, reply.answer, now_ns)
            return
        self._remember(one, slow=True)
        self._slow.add(one, now_ns)

    def _slow_replied(self, one: Search, reply: _Reply, now_ns: int) -> None:
        if reply.answer is not None:
            if reply.answer.matches is not None and reply.seconds < QUICK.search / 2:
                self._remember(one, slow=False)
            _tell(one, reply.answer, now_ns)
        elif reply.compiled:
            what = f"the regular expression took more than {SLOW.search:g} s; write a simpler one"
            _tell(one, Answer(None, what), now_ns)
        else:
            what = f"compiling the regular expression took more than {SLOW.compile:g} s; write a simpler one"
            _tell(one, Answer(None, what), now_ns)

    def _remember(self, one: Search, *, slow: bool) -> None:
        self._was_slow[one.whose] = slow
        if len(self._was_slow) > _MOST_KNOWN:
            self._was_slow.popitem(last=False)


def _tell(one: Search, answer: Answer, now_ns: int) -> None:
    done, one.done = one.done, None
    if done is not None:
        done(answer, now_ns)


def _child(sock: socket.socket, file: int, limits: Limits) -> int:
    try:
        return _serve(sock, file, limits)
    except (BrokenPipeError, ConnectionResetError):
        # the LVS process was killed meanwhile
        return os.EX_IOERR


def _serve(sock: socket.socket, file: int, limits: Limits) -> int:
    """What the process does, until its end of the socket is closed."""
    process.limit_data(search.MEMORY)
    while True:
        data = sock.recv(_LENGTH.size)
        if not data:
            return os.EX_OK
        question = Question(*pickle.loads(os.pread(file, _LENGTH.unpack(data)[0], 0)))  # noqa: S301 - our parent's
        begun = 0.0

        def compiled() -> None:
            nonlocal begun
            sock.send(_REPLY.pack(_COMPILED, 0.0))
            begun = time.process_time()

        try:
            kind = _MATCH if search.answer(question, limits, compiled) else _NO_MATCH
        except MemoryError:
            kind = _NO_MEMORY
        sock.send(_REPLY.pack(kind, time.process_time() - begun))
