# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which address a real server with a DNS name (``resolve``) has now; pure, the clock and chance are passed in.

A real server is called what the file calls it, by the address written there; that address is the fallback until its
name has been answered once. After that the last good answer counts: no failure takes an address away. Of several
addresses the present one is kept while it is among them, else it is the first one that no other real server of the
same virtual server has; so several real servers may share a name.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from .plan import NamePlan

NEVER = 1 << 63
_JITTER = 0.1  # of the refresh interval
_TOGETHER_NS = 1_000_000_000  # what is due so soon is asked along
_LEAST_V6 = 1 << 48
_MOST = 64  # addresses of an answer

Key = tuple[str, str]
"""Virtual server and real server, by name."""


class Question(NamedTuple):
    """A name, and AF_INET or AF_INET6."""

    name: str
    family: int


class Answer(NamedTuple):
    """All its addresses, in normal form; or ``why`` there is none, in words."""

    addresses: tuple[str, ...] = ()
    why: str = ""


class Change(NamedTuple):
    """What an answer changed, for people. ``good``: it is no failure."""

    good: bool
    text: str


@dataclass
class _Named:
    plan: NamePlan
    address: str
    due_ns: int = 0
    why: str = ""


def usable(addresses: Iterable[str], family: int) -> tuple[str, ...]:
    """Those that a real server can have, sorted as numbers; a bounded number of them."""
    found: set[ipaddress.IPv4Address | ipaddress.IPv6Address] = set()
    for said in addresses:
        try:
            at = ipaddress.ip_address(said)
        except ValueError:
            continue
        # an IPv4 address in IPv6's clothes, or ::1, is no real server's
        right = at.version == 4 if family == socket.AF_INET else at.version == 6 and int(at) >= _LEAST_V6
        if right and not (at.is_unspecified or at.is_multicast or at.is_link_local):
            found.add(at)
    return tuple([str(at) for at in sorted(found, key=int)[:_MOST]])


class Names:
    """All real servers that have a name."""

    def __init__(self, random: Random | None = None) -> None:
        self._random = random or Random()
        self._named: dict[Key, _Named] = {}

    def configure(self, plans: Iterable[NamePlan], known: Mapping[Key, tuple[str, str]], now_ns: int) -> None:
        """These from now on; ``known`` are name and address from before a restart. Those that stay keep theirs."""
        before, self._named = self._named, {}
        for plan in plans:
            old = before.get(plan.key)
            if old is not None and (old.plan.name, old.plan.family) == (plan.name, plan.family):
                due_ns = min(old.due_ns, now_ns + plan.refresh_ns)
                self._named[plan.key] = _Named(plan, old.address, due_ns, old.why)
                continue
            name, address = known.get(plan.key, ("", ""))
            last = usable([address], plan.family) if name == plan.name else ()
            self._named[plan.key] = _Named(plan, last[0] if last else plan.fallback, now_ns)

    def addresses(self) -> dict[Key, str]:
        """What each has now."""
        return {key: one.address for key, one in self._named.items()}

    def known(self) -> dict[Key, tuple[str, str]]:
        """Names and addresses to keep for a restart."""
        return {key: (one.plan.name, one.address) for key, one in self._named.items()}

    def why(self, key: Key) -> str:
        """Why its last answer was none, "" when it was one."""
        return self._named[key].why if key in self._named else ""

    def deadline_ns(self) -> int:
        """When to ask next."""
        return min((one.due_ns for one in self._named.values()), default=NEVER)

    def due(self, now_ns: int) -> list[Question]:
        """What to ask now, each once; those that had no answer last time come last, as they may take all the time."""
        found: dict[Question, bool] = {}
        for one in self._named.values():
            if one.due_ns <= now_ns + _TOGETHER_NS:
                question = Question(one.plan.name, one.plan.family)
                found[question] = found.get(question, False) or bool(one.why)
        return sorted(found, key=lambda question: (found[question], question))

    def answered(self, asked: Iterable[Question], answers: Mapping[Question, Answer], now_ns: int) -> list[Change]:
        """What came of it. A question without an answer has failed."""
        questions = set(asked)
        changes: list[Change] = []
        for one in self._named.values():
            question = Question(one.plan.name, one.plan.family)
            if question not in questions:
                continue
            spread = 1 + _JITTER * (2 * self._random.random() - 1)
            one.due_ns = now_ns + int(one.plan.refresh_ns * spread)
            changes += self._heard(one, answers.get(question, Answer((), "no answer in time")))
        return changes

    def _heard(self, one: _Named, answer: Answer) -> list[Change]:
        plan = one.plan
        of = f"real server {plan.server} of {plan.service}"
        addresses = usable(answer.addresses, plan.family)
        free = [at for at in addresses if at == one.address or at not in self._taken(one)]
        why = "" if free else answer.why or ("all its addresses are in use" if addresses else "no usable address")
        changes: list[Change] = []
        if why and why != one.why:
            changes.append(Change(False, f"{plan.name} is not resolved: {why}; {of} stays {one.address}"))
        if one.why and not why:
            changes.append(Change(True, f"{plan.name} is resolved again"))
        one.why = why
        if free and one.address not in free:
            changes.append(Change(True, f"{plan.name} is {free[0]} now, no longer {one.address}: {of}"))
            one.address = free[0]
        return changes

    def _taken(self, one: _Named) -> set[str]:
        """The addresses of the others in its virtual server, at the same port."""
        plan = one.plan
        named = {
            other.address
            for other in self._named.values()
            if other is not one and (other.plan.service, other.plan.port) == (plan.service, plan.port)
        }
        return named.union(plan.others)
