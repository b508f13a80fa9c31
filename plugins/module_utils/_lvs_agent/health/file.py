# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FILE_CHECK: the number in a file says how a server is (keepalived.conf(5), "Track files").

With weight 0, any number but 0 is a failure. Otherwise the number times the weight is added to the server's weight if
``dynamic`` is said, and a product of -2147483648 or less is a failure. A file that is not there, or holds no number,
counts as 0. It is looked at every second: 6 us.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..spawn import NEVER
from ..track.files import FilePlan, read, write_first
from .attempt import READ, Outcome, Tools
from .plan import FileCheck, Timing

_GREATEST = 2**31 - 1
_FAULT = -(2**31)


def judge(check: FileCheck, number: int) -> Outcome:
    """What a number means."""
    if not check.weight:
        return Outcome(not number, f"{check.path} holds {number}, expected 0" if number else "")
    product = number * check.weight * (-1 if check.reverse else 1)
    if product <= _FAULT:
        return Outcome(False, f"{check.path} holds {number}: times the weight it is {_FAULT} or less")
    return Outcome(True, "", min(product, _GREATEST) if check.dynamic else None)


def prepare(checks: Iterable[FileCheck], known: Iterable[FileCheck]) -> None:
    """Write the first numbers of files that are to have one, and were not among the ``known`` before."""
    begun = {one.name for one in known}
    for check in checks:
        if check.name not in begun:
            begun.add(check.name)
            write_first(FilePlan(check.name, check.path, check.init, check.overwrite))


class FileAttempt:
    """One FILE_CHECK, over as soon as it has begun."""

    __slots__ = ("_check", "deadline_ns", "events", "fd", "outcome")

    def __init__(self, check: FileCheck, timing: Timing, tools: Tools) -> None:
        self._check = check
        self.fd = -1
        self.events = READ
        self.deadline_ns = NEVER
        self.outcome: Outcome | None = None

    def start(self, now_ns: int) -> None:
        """Read the file."""
        number, why = read(self._check.path)
        outcome = judge(self._check, number or 0)
        self.outcome = outcome if outcome.why or not why else outcome._replace(why=f"{self._check.path} {why}")

    def ready(self, now_ns: int, events: int) -> None:
        """It has no descriptor."""

    def expired(self, now_ns: int) -> None:
        """It has no deadline."""

    def waiting_for(self) -> str:
        """Nothing."""
        return ""

    def close(self) -> None:
        """It holds nothing."""
