# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Searching a page for a regular expression in another process, which the kernel kills when it takes too long.

A backtracking engine takes minutes for ``[a-z]+ [0-9]`` on 128 KiB of letters, and cannot be interrupted. Here is what
is asked, what comes back, and what the process that searches does; :mod:`..supervisor.lvs_searches` keeps it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Hashable
from typing import NamedTuple, Protocol

from . import regex

#: Bytes that a search may need, beside what its process has.
MEMORY = 64 << 20


class Question(NamedTuple):
    """Does a match start at one of the bytes ``low`` to ``high`` (None: any behind) of ``body``?"""

    pattern: str
    options: int
    body: bytes
    low: int
    high: int | None


class Answer(NamedTuple):
    """``matches`` is None when the search was ended, and ``why`` says why."""

    matches: bool | None
    why: str = ""


class Search:
    """One on its way. ``begun``: a process is at it; before that it waits for other searches."""

    __slots__ = ("begun", "done", "question", "whose")

    def __init__(self, whose: Hashable, question: Question, done: Callable[[Answer, int], None]) -> None:
        self.whose = whose
        self.question = question
        self.done: Callable[[Answer, int], None] | None = done
        self.begun = False


class Searches(Protocol):
    """Who has searches carried out."""

    def begin(self, whose: Hashable, question: Question, done: Callable[[Answer, int], None]) -> Search:
        """Search; ``done(answer, now_ns)`` is called later, once. ``whose``: the server and the page, which tells those
        that have been slow before from the others.
        """

    def forget(self, search: Search) -> None:
        """Nobody waits for it any more: ``done`` is not called."""


class Limits(NamedTuple):
    """CPU time in seconds, for compiling a pattern and for one search."""

    compile: float
    search: float


def answer(question: Question, limits: Limits, compiled: Callable[[], None]) -> bool:
    """Whether it matches. A search beyond its limit ends this process, by SIGPROF. Raises MemoryError.

    ``compiled`` is called between compiling and searching.
    """
    try:
        return _answer(question, limits, compiled)
    except MemoryError:
        # what other patterns have left here
        regex.compiled.cache_clear()
    return _answer(question, limits, compiled)


def _answer(question: Question, limits: Limits, compiled: Callable[[], None]) -> bool:
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    try:
        signal.setitimer(signal.ITIMER_PROF, limits.compile)
        regex.compiled(question.pattern, question.options)
        compiled()
        signal.setitimer(signal.ITIMER_PROF, limits.search)
        return regex.found(*question)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
