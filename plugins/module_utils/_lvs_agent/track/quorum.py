# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes a ``vrrp_track_process`` means, and when they are enough; pure (keepalived.conf(5))."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..spawn import NEVER

_COMM = 15  # the kernel keeps that many characters of a process's name (TASK_COMM_LEN)


@dataclass(frozen=True)
class ProcessPlan:
    """One ``vrrp_track_process``: ``words`` are the program and its parameters; ``param_match`` may be ""."""

    name: str
    words: tuple[str, ...]
    param_match: str = ""
    full_command: bool = False
    quorum: int = 1
    quorum_max: int = 65536
    fork_delay_ns: int = 0
    terminate_delay_ns: int = 0

    @property
    def by_name(self) -> bool:
        """The process's name decides, not its command line."""
        return not (self.full_command or self.param_match or len(self.words) > 1)

    def matches(self, comm: str, words: Sequence[str]) -> bool:
        """Whether it means a process with this name and command line."""
        if self.by_name:
            return comm == self.words[0][:_COMM]
        if not words or words[0] != self.words[0]:
            return False
        if self.param_match == "partial" and len(self.words) > 1:
            return tuple(words[: len(self.words)]) == self.words
        if self.param_match == "initial" and len(self.words) > 1:
            same = len(words) == len(self.words) and tuple(words[:-1]) == self.words[:-1]
            return same and words[-1].startswith(self.words[-1])
        return tuple(words) == self.words


@dataclass
class Quorum:
    """Whether the processes are enough and not too many. ``due_ns``: when a change will count; NEVER.

    What a new process changed counts after ``fork_delay``, what the end of one did after ``terminate_delay``; what is
    undone before never counts. The first count of all counts at once.
    """

    plan: ProcessPlan
    count: int = 0
    up: bool | None = None
    due_ns: int = NEVER

    def counted(self, count: int, now_ns: int) -> bool:
        """There are this many now; whether ``up`` changed."""
        more, self.count = count > self.count, count
        enough = self.plan.quorum <= count <= self.plan.quorum_max
        if enough is self.up:
            self.due_ns = NEVER
            return False
        if self.up is None:
            self.up = enough
            return True
        if self.due_ns == NEVER:
            self.due_ns = now_ns + (self.plan.fork_delay_ns if more else self.plan.terminate_delay_ns)
        return self.passed(now_ns)

    def passed(self, now_ns: int) -> bool:
        """It is later now; whether ``up`` changed."""
        if now_ns < self.due_ns:
            return False
        self.up, self.due_ns = not self.up, NEVER
        return True
