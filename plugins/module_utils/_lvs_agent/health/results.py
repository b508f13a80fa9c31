# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of all checks, as JSON for a process after this one: all of it, or what has changed since; pure.

Of tens of thousands of checks nearly all are up: only the others are written, and a digest that says whether the checks
are still the same ones, so that one that is not in the file is known to be up.
"""

from __future__ import annotations

import json
import operator
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .attempt import Outcome
from .plan import CheckId, CheckPlan
from .scheduler import Result


class _Said(NamedTuple):
    """A result from a file. ``question`` is what was asked, as a digest."""

    question: int
    state: tuple[bool, bool, int, Outcome, int]


class Digests:
    """By virtual server, what is the same as long as its checks ask the same."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[list[CheckPlan], int]] = {}

    def of(self, plans: Iterable[CheckPlan]) -> dict[str, int]:
        """Those of these checks. What are the very checks of the last time is not looked at again."""
        known, self._known = self._known, {}
        for service, own in _by_service(plans).items():
            before, digest = known.get(service, ((), 0))
            if len(own) != len(before) or not all(map(operator.is_, own, before)):
                digest = _digest(own)
            self._known[service] = (own, digest)
        return {service: digest for service, (_own, digest) in self._known.items()}


def digests(plans: Iterable[CheckPlan]) -> dict[str, int]:
    """The same for once."""
    return Digests().of(plans)


def _by_service(plans: Iterable[CheckPlan]) -> dict[str, list[CheckPlan]]:
    found: dict[str, list[CheckPlan]] = {}
    for plan in plans:
        found.setdefault(plan.id.service, []).append(plan)
    return found


def _digest(plans: Iterable[CheckPlan]) -> int:
    found = 0
    for plan in plans:
        found = zlib.crc32(repr((plan.id, plan.check)).encode(), found)
    return found


def to_json(results: Mapping[CheckId, Result], asked: Mapping[str, int]) -> dict[str, Any]:
    """For a file; ``asked`` are the ``digests`` of what is checked now."""
    found: dict[str, Any] = {service: {"digest": digest, "checks": []} for service, digest in asked.items()}
    for key, result in results.items():
        if key.service in found and not _is_usual(result):
            found[key.service]["checks"].append(_plain(key, result))
    return found


def parse(content: Any, plans: Iterable[CheckPlan]) -> dict[CheckId, Result]:
    """What ``to_json`` gave, for the checks that still ask the same. Raises ValueError for anything else."""
    wanted = list(plans)
    now = digests(wanted)
    if not isinstance(content, dict):
        raise ValueError("the results are no mapping")  # noqa: TRY004 - a file's content is a value
    said: dict[CheckId, _Said] = {}
    same: set[str] = set()
    for service, one in content.items():
        if not isinstance(one, dict) or not isinstance(one.get("checks"), list):
            raise ValueError(f"{one!r:.200} are no results of a virtual server")  # noqa: TRY004
        if one.get("digest") == now.get(service):
            same.add(service)
        for plain in one["checks"]:
            key, one_said = _parsed(service, plain)
            said[key] = one_said
    found: dict[CheckId, Result] = {}
    for plan in wanted:
        known = said.get(plan.id)
        if known is not None and known.question == _question(plan.check):
            found[plan.id] = _result(known, plan)
        elif known is None and plan.id.service in same:
            found[plan.id] = Result(True, True, 0, Outcome(True), 0, 0, False, plan.check)
    return found


def line(key: CheckId, result: Result) -> str:
    """What is known of one check, as a line of a journal that goes on from ``to_json``."""
    return json.dumps([key.service, *_plain(key, result)], separators=(",", ":"))


def applied(
    known: Mapping[CheckId, Result], lines: Iterable[str], plans: Iterable[CheckPlan]
) -> dict[CheckId, Result]:
    """What ``parse`` found with the lines of a journal on top; what is no line, such as one cut short, is left out."""
    found = dict(known)
    by_id: dict[CheckId, CheckPlan] = {}
    for text in lines:
        by_id = by_id or {plan.id: plan for plan in plans}
        try:
            service, *plain = json.loads(text)
            key, said = _parsed(str(service), plain)
        except (ValueError, TypeError, RecursionError):
            continue
        plan = by_id.get(key)
        if plan is not None and said.question == _question(plan.check):
            found[key] = _result(said, plan)
    return found


def _is_usual(result: Result) -> bool:
    return result.up and result.has_run and not result.streak and result.outcome.weight is None


def _result(said: _Said, plan: CheckPlan) -> Result:
    up, has_run, streak, outcome, ended_ns = said.state
    return Result(up, has_run, streak, outcome, ended_ns, 0, False, plan.check)


def _question(check: object) -> int:
    return zlib.crc32(repr(check).encode())


def _plain(key: CheckId, result: Result) -> list[Any]:
    outcome = result.outcome
    state = [result.up, result.has_run, result.streak, outcome.ok, outcome.why, outcome.weight, result.ended_ns]
    return [key.server, key.kind, key.ordinal, _question(result.check), *state]


_KINDS: tuple[type | tuple[type, ...], ...] = (
    *(str, str, int, int),
    *(bool, bool, int, bool, str, (int, type(None)), int),
)


def _parsed(service: str, plain: Any) -> tuple[CheckId, _Said]:
    if (
        not isinstance(plain, list)
        or len(plain) != len(_KINDS)
        or not all(isinstance(item, kind) for item, kind in zip(plain, _KINDS))
    ):
        raise ValueError(f"{plain!r:.200} is no result of a check")
    server, kind, ordinal, question, up, has_run, streak, ok, why, weight, ended_ns = plain
    state = (up, has_run, streak, Outcome(ok, why, weight), ended_ns)
    return CheckId(service, server, kind, ordinal), _Said(question, state)
