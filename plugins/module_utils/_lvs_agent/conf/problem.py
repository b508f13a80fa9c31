# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checker reports: one plain value a finding, with a sentence for people."""

from __future__ import annotations

import dataclasses
import typing as t

ERROR = "error"
WARNING = "warning"


@dataclasses.dataclass(frozen=True, order=True)
class Position:
    """A place in a file: its name as the reader was given it, line and column from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class BadValue(ValueError):
    """A value keepalived would refuse or misread. ``what`` is wrong; ``instead`` is what to write.

    ``word`` is the place in the line of the word that is wrong, 0 is the keyword; None when nobody knows.
    """

    def __init__(self, what: str, instead: str = "", word: int | None = None) -> None:
        super().__init__(f"{what}; {instead}" if instead else what)
        self.what = what
        self.instead = instead
        self.word = word


class ConfigurationError(ValueError):
    """A configuration that cannot be rendered; ``problems`` are all reasons, at least one."""

    def __init__(self, problems: t.Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = list(problems)


@dataclasses.dataclass(frozen=True)
class Problem:
    """One finding.

    ``where`` is the variable's path, as in ``director_vrrp_instances[VI_1].priority``, or the block's path in a
    file, as in ``vrrp_instance[VI_1].priority``, with the ``position`` there; ``hosts`` are the hosts that have
    it, in order, none when the place alone says it; ``severity`` is "error" or "warning"; ``beside`` are the
    places in other files that it is about too.
    """

    where: str
    what: str
    instead: str = ""
    severity: str = ERROR
    hosts: tuple[str, ...] = ()
    position: Position | None = None
    beside: tuple[Position, ...] = ()

    def __str__(self) -> str:
        place = f"{self.where} ({', '.join(self.hosts)})" if self.hosts else self.where
        advice = f"; {self.instead}" if self.instead else ""
        told = f"{'warning: ' if self.severity == WARNING else ''}{place}{': ' if place else ''}{self.what}{advice}"
        return told if self.position is None else f"{self.position}: {told}"


def merged(problems: t.Iterable[Problem]) -> list[Problem]:
    """The same finding on several hosts becomes one, with all their names; errors come before warnings."""
    hosts: dict[tuple[str, str, str, str], list[str]] = {}
    for problem in problems:
        seen = hosts.setdefault((problem.where, problem.what, problem.instead, problem.severity), [])
        seen += [host for host in problem.hosts if host not in seen]
    whole = [Problem(*key, hosts=tuple(names)) for key, names in hosts.items()]
    return sorted(whole, key=lambda problem: problem.severity != ERROR)
