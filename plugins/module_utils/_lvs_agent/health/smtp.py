# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SMTP_CHECK: a mail server that greets, takes HELO, and says good-bye."""

from __future__ import annotations

from . import sockets
from .attempt import READ, Outcome, Tools
from .plan import SmtpCheck, Timing
from .smtp_dialogue import Dialogue
from .tcp import Connecting

_READ = 4096


class SmtpAttempt(Connecting):
    """One conversation."""

    __slots__ = ("_connected", "_dialogue")

    def __init__(self, check: SmtpCheck, timing: Timing, tools: Tools) -> None:
        Connecting.__init__(self, check.endpoint, timing.timeout_ns, tools)
        self._connected = False
        self._dialogue = Dialogue(check.helo_name)

    def connected(self, now_ns: int) -> None:
        """It has to speak first."""
        self._connected = True
        self.events = READ
        self.deadline_ns = now_ns + self._timeout_ns

    def ready(self, now_ns: int, events: int) -> None:
        """Connected, or something to read."""
        if not self._connected:
            Connecting.ready(self, now_ns, events)
            return
        self.deadline_ns = now_ns + self._timeout_ns
        try:
            self._hear()
        except BlockingIOError:
            return
        except OSError as error:
            self._over(f"{sockets.said(error)}: {self.waiting_for()}")

    def waiting_for(self) -> str:
        """What it is waiting for."""
        return f"connected, {self._dialogue.waiting_for()}" if self._connected else "not connected"

    def _hear(self) -> None:
        if self._sock is None:
            return
        data = self._sock.recv(_READ)
        if data:
            reply = self._dialogue.feed(data)
            if reply:
                # a few bytes, in a connection with nothing else on its way
                self._sock.send(reply)
        else:
            self._dialogue.end()
        if self._dialogue.done:
            self.outcome = Outcome(not self._dialogue.why, self._dialogue.why)
