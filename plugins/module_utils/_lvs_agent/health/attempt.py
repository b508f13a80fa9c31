# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of a check: what :mod:`.scheduler` needs to know of it, whatever its kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import NamedTuple, Protocol

from ..spawn import Spawner
from .plan import Endpoint
from .search import Searches
from .sources import Source

#: The bits of ``Attempt.events``, those of epoll(7); the last two come unasked.
READ, WRITE, ERROR, HANGUP = 0x001, 0x004, 0x008, 0x010


class Outcome(NamedTuple):
    """How it went. ``why`` is for people: what was expected and what came; "" where there is nothing to say.

    ``weight`` is what MISC_CHECK and FILE_CHECK with ``dynamic`` make of the server's weight, as they define it; None
    where the weight is not theirs to change.
    """

    ok: bool
    why: str = ""
    weight: int | None = None


class NotNow(Exception):
    """A run cannot begin now, for a reason of this host's that ``str()`` tells: it is tried again ``after_ns``."""

    def __init__(self, why: str, after_ns: int) -> None:
        super().__init__(why)
        self.after_ns = after_ns


@dataclass(frozen=True)
class Tools:
    """What attempts share. ``look(attempt)``: to be called by one whose outcome came by another way than a call of the
    loop's, such as the end of a program; the loop then looks at it. ``leave(fd)``: to be called before an attempt that
    goes on with another descriptor closes this one. ``source_of(endpoint)`` is where it comes from. ``searches``: for
    pages and regular expressions, None for nobody.
    """

    spawner: Spawner | None
    random: Random
    look: Callable[[Attempt], None]
    leave: Callable[[int], None]
    source_of: Callable[[Endpoint], Source]
    searches: Searches | None = None


class Attempt(Protocol):
    """A run that was made, as ``Kind(check, timing, tools)`` of the kind's module, and begins with ``start``.

    Used once. After each call the loop looks at ``outcome``, which is None until the run is over; then at ``fd`` (-1
    for none), ``events`` (of the descriptor: READ, WRITE) and ``deadline_ns`` (NEVER for none), any of which may have
    changed. Times are CLOCK_MONOTONIC. ``start`` and ``expired`` may raise NotNow. Beyond that a call raises nothing
    it can foresee: what goes wrong is an outcome (and the loop takes an exception for a failed check). The outer
    deadline of the plan is the loop's business: then it asks ``waiting_for`` and calls ``close``.
    """

    fd: int
    events: int
    deadline_ns: int
    outcome: Outcome | None

    def start(self, now_ns: int) -> None:
        """Begin. Called once."""

    def ready(self, now_ns: int, events: int) -> None:
        """The descriptor is ready for ``events``: some of those asked for, or ERROR or HANGUP."""

    def expired(self, now_ns: int) -> None:
        """``deadline_ns`` has come."""

    def waiting_for(self) -> str:
        """What it is waiting for now, for "no answer within 3 s: connected, nothing came"; "" with an outcome."""

    def close(self) -> None:
        """Give back what it holds; at any time, more than once."""
