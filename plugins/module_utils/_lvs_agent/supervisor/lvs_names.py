# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The DNS names of real servers (lvs/resolve.py): asked in a process of their own, and put into what is checked.

A resolver may keep its caller waiting for as long as it likes; so one short-lived process asks for all names that are
due, and tells each answer as it comes.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import logging
import os
import socket
from typing import TYPE_CHECKING, Any

from ..lvs.resolve import Answer, Names, Question
from .job import Job
from .loop import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..health.plan import CheckPlan
    from ..lvs.plan import LvsPlan, RealServerPlan
    from ..lvs.resolve import Change, Key
    from .loop import Loop

PROCESS = "lvs-agent-names"
_LIMIT_NS = 20_000_000_000
_AGAIN_NS = 1_000_000_000
_log = logging.getLogger(__name__)


def look_up(question: Question) -> Answer:
    """Ask this host's resolver (getaddrinfo(3)); waits as long as that does."""
    try:
        found = socket.getaddrinfo(question.name, None, question.family, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return Answer((), getattr(error, "strerror", "") or str(error))
    return Answer(tuple(dict.fromkeys(str(one[4][0]) for one in found)))


def _ask_all(questions: Sequence[Question], descriptor: int) -> int:
    for question in questions:
        answer = look_up(question)
        os.write(descriptor, json.dumps([question, answer]).encode() + b"\n")
    return os.EX_OK


def parse(output: bytes) -> dict[Question, Answer]:
    """The answers that came; a line that was cut short is none."""
    found: dict[Question, Answer] = {}
    for line in output.split(b"\n")[:-1]:
        (name, family), (addresses, why) = json.loads(line)
        found[Question(name, family)] = Answer(tuple(addresses), why)
    return found


class Resolver:
    """A source of the LVS process's loop. ``heard`` is told when answers have come, with what changed."""

    def __init__(self, loop: Loop, heard: Callable[[list[Change]], None], clock: Callable[[], int]) -> None:
        self.names = Names()
        self._loop = loop
        self._heard = heard
        self._clock = clock
        self._job: Job | None = None
        self._asked: list[Question] = []
        self._not_before_ns = 0

    def fileno(self) -> int:
        """Nothing but time: the job is a source of its own."""
        return -1

    def deadline_ns(self) -> int:
        """When to ask next."""
        return NEVER if self._job is not None else max(self.names.deadline_ns(), self._not_before_ns)

    def handle(self, now_ns: int) -> None:
        """Ask for what is due."""
        questions = self.names.due(now_ns) if self.deadline_ns() <= now_ns else []
        if not questions:
            return
        self._asked = questions
        try:
            self._job = Job(PROCESS, lambda out: _ask_all(questions, out), now_ns + _LIMIT_NS, self._done)
        except OSError as error:
            self._not_before_ns = now_ns + _AGAIN_NS
            _log.warning("names of real servers cannot be asked for: %s", error.strerror)
            return
        self._loop.add(self._job)

    def _done(self, output: bytes, wrong: str) -> None:
        self._forget()
        if wrong:
            _log.warning("the process that asks for the names of real servers did not finish: %s", wrong)
        self._heard(self.names.answered(self._asked, parse(output), self._clock()))

    def _forget(self) -> None:
        if self._job is not None:
            self._loop.remove(self._job)
            self._job.close()
            self._job = None

    def close(self) -> None:
        """Ask no more."""
        self._forget()


# ---- addresses in plans


def with_addresses(plan: LvsPlan, addresses: Mapping[Key, str]) -> LvsPlan:
    """The same real servers, each where its name is now."""
    if not addresses:
        return plan
    services = {service for service, _server in addresses}
    found = [
        dataclasses.replace(one, servers=tuple([_server(one.name, server, addresses) for server in one.servers]))
        if one.name in services
        else one
        for one in plan.virtual_servers
    ]
    return dataclasses.replace(plan, virtual_servers=tuple(found))


def _server(service: str, server: RealServerPlan, addresses: Mapping[Key, str]) -> RealServerPlan:
    addr = addresses.get((service, server.name), server.destination.addr)
    if addr == server.destination.addr:
        return server
    return server._replace(destination=dataclasses.replace(server.destination, addr=addr))


def checks_at(checks: Sequence[CheckPlan], plan: LvsPlan, addresses: Mapping[Key, str]) -> tuple[CheckPlan, ...]:
    """The same checks. Those of the address as written go to the present one, with another ``connect_ip`` not."""
    if not addresses:
        return tuple(checks)
    written = {one.key: ipaddress.ip_address(one.fallback).packed for one in plan.names}
    return tuple([_check(one, written, addresses) for one in checks])


def _check(one: CheckPlan, written: Mapping[Key, bytes], addresses: Mapping[Key, str]) -> CheckPlan:
    key = (one.id.service, one.id.server)
    endpoint: Any = getattr(one.check, "endpoint", None)
    if key not in addresses or endpoint is None or one.via_vip or endpoint.address != written[key]:
        return one
    there = dataclasses.replace(endpoint, address=ipaddress.ip_address(addresses[key]).packed)
    check: Any = one.check
    return dataclasses.replace(one, check=dataclasses.replace(check, endpoint=there))
