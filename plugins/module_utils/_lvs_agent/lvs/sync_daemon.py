# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's connection synchronisation daemons, which follow a VRRP instance; and its timeouts.

A master sends its connections, a backup takes them (ipvsadm(8), --start-daemon). Somebody else's daemons are left alone
when the configuration has none.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from ..kernel.errors import KernelError
from ..kernel.ipvs_types import STATE_BACKUP, STATE_MASTER, Daemon, Timeouts
from .plan import SyncDaemonPlan

_log = logging.getLogger(__name__)

_LEAST_OF_BACKUP = 1024  # bytes of a message that a backup must be ready for


class Kernel(Protocol):
    """The kernel: :class:`..kernel.ipvs.Ipvs`, or a model of it."""

    def daemons(self) -> list[Daemon]:
        """Those that run."""

    def start_daemon(self, daemon: Daemon) -> None:
        """Start one."""

    def stop_daemon(self, state: int) -> None:
        """Stop one."""

    def timeouts(self) -> Timeouts:
        """Those that hold."""

    def set_timeouts(self, timeouts: Timeouts) -> None:
        """Set those that are not 0."""


def wanted(plan: SyncDaemonPlan | None, masters: Collection[str]) -> tuple[Daemon, ...]:
    """The daemons for these instances being master; without an instance both, as keepalived 2.2.7 has it."""
    if plan is None:
        return ()
    states = [STATE_MASTER if plan.instance in masters else STATE_BACKUP] if plan.instance else None
    return tuple(
        Daemon(state, plan.interface, plan.sync_id, plan.maxlen, plan.group, plan.port, plan.ttl)
        for state in states or (STATE_MASTER, STATE_BACKUP)
    )


def orders(
    have: Iterable[Daemon], want: Sequence[Daemon], ours: Collection[int] = ()
) -> tuple[list[int], list[Daemon]]:
    """Which states to stop, then which daemons to start.

    Without any that is wanted, only those of the states in ``ours`` are stopped.
    """
    running = {daemon.state: daemon for daemon in have}
    right = [one for one in want if one.state in running and _is(running[one.state], one)]
    stop = [state for state in running if state not in {one.state for one in right} and (want or state in ours)]
    return stop, [one for one in want if one not in right]


def _is(running: Daemon, want: Daemon) -> bool:
    """What is left to the kernel is whatever the kernel chose."""
    said = [
        (running.mcast_ifn, want.mcast_ifn),
        (running.sync_maxlen, _maxlen(want)),
        (running.mcast_group, want.mcast_group),
        (running.mcast_port, want.mcast_port),
        (running.mcast_ttl, want.mcast_ttl),
    ]
    return running.sync_id == want.sync_id and all(one == other for one, other in said if other)


def _maxlen(want: Daemon) -> int:
    """What the kernel makes of it (start_sync_thread in ip_vs_sync.c)."""
    if not want.sync_maxlen:
        return 0
    headers = 48 if ":" in want.mcast_group else 28
    return min(max(want.sync_maxlen, _LEAST_OF_BACKUP if want.state == STATE_BACKUP else 1), 65535 - headers)


class SyncDaemons:
    """Starts and stops them; an error is logged once, and :meth:`apply` called again tries again."""

    def __init__(self) -> None:
        self.error = ""
        self._ours: set[int] = set()

    @property
    def running(self) -> bool:
        """Whether some run that we started."""
        return bool(self._ours)

    def apply(self, kernel: Kernel, want: Sequence[Daemon]) -> bool:
        """Make these run and no others; whether they do now."""
        try:
            stop, start = orders(kernel.daemons(), want, self._ours)
            for state in stop:
                kernel.stop_daemon(state)
                self._ours.discard(state)
            for daemon in start:
                kernel.start_daemon(daemon)
            self._ours.update(one.state for one in want)
        except KernelError as error:
            if self.error != str(error):
                _log.error("%s; trying again", error)
            self.error = str(error)
            return False
        self.error = ""
        return True


def set_timeouts(kernel: Kernel, timeouts: Timeouts | None) -> bool:
    """``lvs_timeouts``; whether they had to be set. Raises KernelError."""
    if timeouts is None:
        return False
    have = kernel.timeouts()
    said = [(timeouts.tcp, have.tcp), (timeouts.tcp_fin, have.tcp_fin), (timeouts.udp, have.udp)]
    if all(want in (0, now) for want, now in said):
        return False
    kernel.set_timeouts(timeouts)
    return True
