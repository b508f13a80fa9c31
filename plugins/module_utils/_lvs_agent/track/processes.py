# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracked processes (``vrrp_track_process``): found in /proc once a second, their ends told at once by pidfds.

keepalived hears of every fork, exec and exit on the host through the proc connector. We need not: what a failover
waits for is the end of a process, and a pidfd (pidfd_open(2)) tells that of those that matter, without a capability.
A look at /proc reads new processes only, for they may be about to exec, and of the others some in turn.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable, Iterable

from ..spawn import NEVER, SECOND
from ..vrrp.messages import TrackResult
from ..vrrp.plan import TrackKind
from .quorum import ProcessPlan, Quorum

_YOUNG = 3  # looks at a process before it is known
_TURNS = 16  # looks until every known one was read again
_LONGEST = 65536  # bytes of a command line
_AT_ONCE = 100  # processes read in one turn of the loop
_SOON = SECOND // 200


class TrackProcesses:
    """All tracked processes; a source of the supervisor's loop."""

    def __init__(self, report: Callable[[TrackResult, str], None], proc: str = "/proc") -> None:
        self._report = report
        self._proc = proc
        self._epoll = select.epoll()
        self._quorums: dict[str, Quorum] = {}
        self._seen: dict[int, int] = {}  # pid -> looks so far
        self._matches: dict[int, frozenset[str]] = {}  # pid -> what tracks it
        self._pidfds: dict[int, int] = {}  # pidfd -> pid
        self._to_read: list[int] = []
        self._turn = 0
        self._look_ns = NEVER  # the next look at /proc
        self._next_ns = NEVER  # that, or the rest of this one

    def configure(self, plans: Iterable[ProcessPlan], now_ns: int) -> None:
        """Track these from now on; what is known of one that stays as it was remains."""
        wanted = {plan.name: plan for plan in plans}
        for name in self._quorums.keys() - wanted.keys():
            del self._quorums[name]
        for name, plan in wanted.items():
            old = self._quorums.get(name)
            if old is None or old.plan != plan:
                self._quorums[name] = Quorum(plan, up=old.up if old else None, count=old.count if old else 0)
        self._forget_all()
        self._next_ns = NEVER
        if wanted:
            # all of it at once, for instances wait for the first count
            self._list(now_ns)
            self._read(len(self._to_read))
            self._next_ns = self._look_ns
            self._count(now_ns)

    def fileno(self) -> int:
        """Readable when a tracked process has ended."""
        return self._epoll.fileno()

    def deadline_ns(self) -> int:
        """When to look for new ones, or when a delay is over."""
        return min([self._next_ns, *(quorum.due_ns for quorum in self._quorums.values())])

    def handle(self, now_ns: int) -> None:
        """See which ended, look for new ones."""
        for number, _event in self._epoll.poll(0):
            self._ended(number)
        if self._quorums and self._next_ns <= now_ns:
            if not self._to_read:
                self._list(now_ns)
            self._read(_AT_ONCE)
            self._next_ns = now_ns + _SOON if self._to_read else self._look_ns
        self._count(now_ns)

    def results(self) -> list[TrackResult]:
        """Everything that is known, for a VRRP process that begins."""
        return [_message(quorum) for quorum in self._quorums.values()]

    def close(self) -> None:
        """Look no longer."""
        self._forget_all()
        self._epoll.close()

    def _list(self, now_ns: int) -> None:
        """Note which processes to read in this look."""
        self._look_ns = now_ns + SECOND
        self._turn += 1
        pids = {int(name) for name in os.listdir(self._proc) if name.isdigit()}
        for gone in self._seen.keys() - pids:
            del self._seen[gone]
        self._to_read = [pid for pid in pids if self._seen.get(pid, 0) < _YOUNG or (pid + self._turn) % _TURNS == 0]

    def _read(self, most: int) -> None:
        now, self._to_read = self._to_read[:most], self._to_read[most:]
        command_lines = any(not quorum.plan.by_name for quorum in self._quorums.values())
        for pid in now:
            self._seen[pid] = self._seen.get(pid, 0) + 1
            comm, words = self._look(pid, command_lines)
            found = frozenset(name for name, quorum in self._quorums.items() if quorum.plan.matches(comm, words))
            if found and pid not in self._matches:
                self._follow(pid, found)
            elif pid in self._matches:
                # it has exec'ed, or given itself another name
                self._matches[pid] = found

    def _follow(self, pid: int, found: frozenset[str]) -> None:
        try:
            number = os.pidfd_open(pid)
        except OSError:
            return  # it has ended just now
        self._matches[pid] = found
        self._pidfds[number] = pid
        self._epoll.register(number, select.EPOLLIN)

    def _ended(self, number: int) -> None:
        pid = self._pidfds.pop(number)
        self._epoll.unregister(number)
        os.close(number)
        del self._matches[pid]
        self._seen.pop(pid, None)

    def _forget_all(self) -> None:
        for number in list(self._pidfds):
            self._ended(number)
        self._seen.clear()
        self._to_read = []

    def _count(self, now_ns: int) -> None:
        counts = dict.fromkeys(self._quorums, 0)
        for names in self._matches.values():
            for name in names & counts.keys():
                counts[name] += 1
        for name, quorum in self._quorums.items():
            if quorum.counted(counts[name], now_ns):
                plan = quorum.plan
                most = f" to {plan.quorum_max}" if plan.quorum_max <= 65535 else ""
                self._report(_message(quorum), f"{quorum.count} processes, {plan.quorum}{most} are wanted")

    def _look(self, pid: int, command_line: bool) -> tuple[str, list[str]]:
        """A process's name and its command line, as far as anybody wants it; nothing for one that has ended."""
        stat = self._content(pid, "stat")
        name, _sign, rest = stat.partition(b"(")[2].rpartition(b")")
        if rest[1:2] in (b"", b"Z", b"X"):
            return "", []
        words = self._content(pid, "cmdline").split(b"\0")[:-1] if command_line else []
        return os.fsdecode(name), [os.fsdecode(word) for word in words]

    def _content(self, pid: int, name: str) -> bytes:
        with contextlib.suppress(OSError), open(f"{self._proc}/{pid}/{name}", "rb", buffering=0) as file:
            return file.read(_LONGEST) or b""
        return b""


def _message(quorum: Quorum) -> TrackResult:
    return TrackResult(TrackKind.PROCESS, quorum.plan.name, quorum.up)
