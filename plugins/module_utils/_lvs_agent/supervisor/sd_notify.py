# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the daemon tells systemd: sd_notify(3), sd_watchdog_enabled(3). Without systemd nothing happens."""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING

from .loop import NEVER

if TYPE_CHECKING:
    from collections.abc import Mapping

_log = logging.getLogger(__name__)
_LONGEST_STATUS = 200


class SdNotify:
    """Notifications to the socket of NOTIFY_SOCKET ("" for nobody). It is a source of the loop, for the watchdog.

    ``watchdog_ns``: how often systemd wants to hear of us, 0 for never; half of that is how often it does.
    """

    def __init__(self, address: str, watchdog_ns: int = 0) -> None:
        self._socket: socket.socket | None = None
        self._watchdog_ns = watchdog_ns
        self._due = 0 if watchdog_ns else NEVER
        if address:
            # "@" stands for the zero byte of an abstract address
            self._address = "\0" + address[1:] if address.startswith("@") else address
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    def fileno(self) -> int:
        """Nothing is ever received."""
        return -1

    def deadline_ns(self) -> int:
        """When the watchdog is to be fed."""
        return self._due

    def handle(self, now_ns: int) -> None:
        """The loop turns: feed the watchdog when it is time."""
        if now_ns >= self._due:
            self._due = now_ns + self._watchdog_ns // 2
            self.tell("WATCHDOG=1")

    def ready(self, status: str) -> None:
        """Start, or a reload, is done."""
        self.tell("READY=1", f"MAINPID={os.getpid()}", _status(status))

    def reloading(self, now_ns: int) -> None:
        """A reload begins; Type=notify-reload wants to know when (CLOCK_MONOTONIC)."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={now_ns // 1000}")

    def stopping(self, status: str) -> None:
        """The stop begins."""
        self.tell("STOPPING=1", _status(status))

    def status(self, status: str) -> None:
        """A line for people, which ``systemctl status`` shows."""
        self.tell(_status(status))

    def extend_timeout(self, span_ns: int) -> None:
        """Starting, reloading or stopping may take this much longer."""
        self.tell(f"EXTEND_TIMEOUT_USEC={span_ns // 1000}")

    def tell(self, *lines: str) -> None:
        """Send lines; what cannot be sent is lost, for the daemon must go on."""
        if self._socket is None:
            return
        try:
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            _log.debug("systemd's notification socket: %s", error)

    def close(self) -> None:
        """Tell nothing any more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def from_environment(environment: Mapping[str, str], pid: int) -> SdNotify:
    """As systemd says in NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; ``pid`` is the process's own."""
    usec = environment.get("WATCHDOG_USEC", "")
    meant = environment.get("WATCHDOG_PID", str(pid)) == str(pid)
    return SdNotify(environment.get("NOTIFY_SOCKET", ""), int(usec) * 1000 if usec.isdigit() and meant else 0)


def _status(text: str) -> str:
    return "STATUS=" + " ".join(text.split())[:_LONGEST_STATUS]
