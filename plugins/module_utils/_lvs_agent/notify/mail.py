# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notification mail (``smtp_alert``): keepalived's subjects and texts, sent by a short process of its own.

Name servers and mail servers may take minutes, so that nothing of it happens in the supervisor: :mod:`.send_mail` runs
without capabilities, and is ended when it takes too long.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass

from ..spawn import NEVER, SECOND, Command, Finished, Spawner
from .transition import Notice

_log = logging.getLogger(__name__)
_MOST_WAITING = 500
_AT_ONCE = 50
_ATTEMPTS = 3
_RETRY_AFTER = (10 * SECOND, 60 * SECOND)
_MASTER = "=> VRRP Instance is now owning VRRP VIPs <="
_NO_MASTER = "=> VRRP Instance is no longer owning VRRP VIPs <="
_UNSENT = "unsent "  # as send_mail writes it, whose smtplib is not for this process
_START = "import runpy, sys; sys.path.insert(0, sys.argv[1]); runpy.run_module(sys.argv[2], run_name='__main__')"


@dataclass(frozen=True)
class MailPlan:
    """Where mail goes. ``server`` is a name or an address; ``timeout_s`` is for each step of the conversation.

    ``router_id`` is in the subject; without a server or receivers nothing is sent. ``tls`` is "starttls" (RFC 3207),
    "implicit" (RFC 8314) or "", ``tls_ca_file`` "" for the system's authorities. ``user`` "" for no login.
    """

    server: str
    port: int
    sender: str
    receivers: tuple[str, ...]
    helo: str
    router_id: str
    timeout_s: int = 30
    no_email_faults: bool = False
    tls: str = ""
    tls_ca_file: str = ""
    user: str = ""
    password_file: str = ""


@dataclass(frozen=True)
class Mail:
    """A subject and a text."""

    subject: str
    text: str


@dataclass(frozen=True)
class MailResult:
    """How the sending of some mails ended; ``how`` in words."""

    subjects: tuple[str, ...]
    ok: bool
    how: str
    attempts: int


def of_notice(notice: Notice, plan: MailPlan) -> Mail | None:
    """keepalived's mail about a change; None where it sends none (measured: at a stop, among others)."""
    if notice.state == "DELETED":
        event, text = "Deleted", "=> VRRP Deleted at reload <="
    elif notice.state in ("MASTER", "BACKUP", "FAULT"):
        event = f"Entering {notice.state} state"
        text = _MASTER if notice.state == "MASTER" else _NO_MASTER
        if notice.group:
            text = f"=> All VRRP group instances are now in {notice.state} state <="
    else:
        return None
    if plan.no_email_faults and notice.state == "FAULT":
        return None
    kind = "Group" if notice.group else "Instance"
    return Mail(f"[{plan.router_id}] VRRP {kind} {notice.name} - {event}", text)


class MailQueue:
    """All mail; a source of the supervisor's loop, beside its spawner. One process sends at a time, all that waits."""

    def __init__(self, spawner: Spawner, record: Callable[[MailResult], None]) -> None:
        self._spawner = spawner
        self._record = record
        self._plan: MailPlan | None = None
        self._waiting: deque[Mail] = deque()
        self._sending: tuple[Mail, ...] = ()
        self._attempts = 0
        self._runs = False
        self._next_ns = 0

    def configure(self, plan: MailPlan | None) -> None:
        """Send like this from now on; None: not at all."""
        self._plan = plan

    def push(self, notice: Notice, now_ns: int) -> None:
        """Send the mail about a change."""
        mail = of_notice(notice, self._plan) if self._plan is not None else None
        if mail is not None:
            self.add(mail)

    @property
    def plan(self) -> MailPlan | None:
        """Where mail goes; None: nowhere."""
        return self._plan

    def add(self, mail: Mail) -> None:
        """Send this one too."""
        self._waiting.append(mail)
        if len(self._waiting) > _MOST_WAITING:
            lost = self._waiting.popleft()
            self._record(MailResult((lost.subject,), False, f"left out: {_MOST_WAITING} mails wait", 0))

    def waiting(self) -> list[str]:
        """What is not sent yet, in words."""
        number = len(self._sending) + len(self._waiting)
        return [f"mail of {number} changes"] if number else []

    def idle(self) -> bool:
        """Nothing is being sent and nothing waits."""
        return not self._sending and not self._waiting

    def fileno(self) -> int:
        """None: the spawner has it."""
        return -1

    def deadline_ns(self) -> int:
        """When to send."""
        return NEVER if self._runs or self.idle() else self._next_ns

    def handle(self, now_ns: int) -> None:
        """Start a process that sends; what is tried again may reach somebody twice, but is not lost."""
        if self.deadline_ns() > now_ns:
            return
        if self._plan is None:
            self._waiting.clear()
            self._sending = ()
            return
        if not self._sending:
            self._sending = tuple(self._waiting.popleft() for _each in range(min(_AT_ONCE, len(self._waiting))))
            self._attempts = 0
        self._attempts += 1
        order = {**asdict(self._plan), "mails": [asdict(mail) for mail in self._sending]}
        # each of name resolution, connection and the words of each mail has its time
        limit = self._plan.timeout_s * SECOND * 4
        try:
            self._spawner.start(_command(), now_ns, limit, self._ended, stdin=json.dumps(order).encode())
        except OSError as error:
            self._failed(f"could not be started: {error.strerror}", now_ns)
        else:
            self._runs = True

    def _ended(self, end: Finished) -> None:
        self._runs = False
        if end.ok:
            self._done(True, end.output.strip() or "sent")
            return
        lines = end.output.strip().splitlines()
        self._forget_sent(lines)
        self._failed(lines[-1][:300] if lines and not end.timed_out else f"the sender {end}", end.ended_ns)

    def _forget_sent(self, lines: list[str]) -> None:
        """Those that the server took are not sent again with the others."""
        if not lines or not lines[0].startswith(_UNSENT):
            return
        left = {int(number) for number in lines[0].split()[1:]}
        sent = [mail.subject for number, mail in enumerate(self._sending) if number not in left]
        if sent:
            self._sending = tuple(mail for number, mail in enumerate(self._sending) if number in left)
            self._record(MailResult(tuple(sent), True, "sent", self._attempts))

    def _failed(self, how: str, now_ns: int) -> None:
        if self._attempts < _ATTEMPTS:
            self._next_ns = now_ns + _RETRY_AFTER[self._attempts - 1]
            _log.warning("mail could not be sent, trying again later: %s", how)
        else:
            self._done(False, how)

    def _done(self, ok: bool, how: str) -> None:
        subjects = tuple(mail.subject for mail in self._sending)
        self._sending, self._next_ns = (), 0
        _log.log(logging.INFO if ok else logging.ERROR, "mail of %d changes: %s", len(subjects), how)
        self._record(MailResult(subjects, ok, how, self._attempts))


def _command() -> Command:
    """This Python with :mod:`.send_mail`, from the directory or archive we come from."""
    module = f"{__name__.rpartition('.')[0]}.send_mail"
    root = os.path.abspath(__file__)
    for _level in module.split("."):
        root = os.path.dirname(root)
    argv = (sys.executable, "-I", "-c", _START, root, module)
    return Command(argv, sys.executable, os.geteuid(), os.getegid(), privileged=False)
