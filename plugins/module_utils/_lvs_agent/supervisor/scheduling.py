# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the kernel treats the LVS process: the words ``checker_*`` of ``global_defs`` (keepalived.conf(5)).

Without any of them it is an ordinary process. Programs of MISC_CHECK get no real-time priority and no negative nice
value (sched(7), SCHED_RESET_ON_FORK), and no locked memory.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
import resource
from collections.abc import Callable, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Scheduling:
    """``rt_priority`` and ``rlimit_rttime_us`` are 0, and ``cpus`` empty, for as it began."""

    nice: int = 0
    rt_priority: int = 0
    rlimit_rttime_us: int = 0
    cpus: tuple[int, ...] = ()
    no_swap: bool = False


def from_conf(said: Mapping[str, Any]) -> Scheduling:
    """What the settled ``global_defs`` say."""
    from ..conf import check_limits, model

    limit = model.whole(said.get("checker_rlimit_rttime")) or 0
    return Scheduling(
        nice=model.whole(said.get("checker_priority")) or 0,
        rt_priority=model.whole(said.get("checker_rt_priority")) or 0,
        rlimit_rttime_us=check_limits.used("checker_rlimit_rttime", limit),
        cpus=tuple(int(cpu) for cpu in str(said.get("checker_cpu_affinity", "")).split()),
        no_swap=model.is_on(said.get("checker_no_swap")),
    )


class Scheduled:
    """This process, as it is scheduled now. Only what changes is done."""

    def __init__(self) -> None:
        self._now = Scheduling()
        self._first_cpus: set[int] = set()

    def become(self, wanted: Scheduling) -> list[str]:
        """What the kernel refused, in words; it is tried again when the words change."""
        before, self._now = self._now, wanted
        steps: tuple[tuple[bool, str, Callable[[Scheduling], None]], ...] = (
            (before.cpus != wanted.cpus, f"checker_cpu_affinity {' '.join(map(str, wanted.cpus))}", self._affinity),
            (
                before.rlimit_rttime_us != wanted.rlimit_rttime_us,
                f"checker_rlimit_rttime {wanted.rlimit_rttime_us}",
                _limit,
            ),
            (before.nice != wanted.nice, f"checker_priority {wanted.nice}", _nice),
            (
                (before.nice < 0, before.rt_priority) != (wanted.nice < 0, wanted.rt_priority),
                f"checker_rt_priority {wanted.rt_priority}",
                _policy,
            ),
            (before.no_swap != wanted.no_swap, "checker_no_swap", _lock),
        )
        problems: list[str] = []
        for differs, said, step in steps:
            try:
                if differs:
                    step(wanted)
            except (OSError, ValueError) as error:
                problems.append(f"{said}: {getattr(error, 'strerror', None) or error}")
        return problems

    def _affinity(self, wanted: Scheduling) -> None:
        self._first_cpus = self._first_cpus or os.sched_getaffinity(0)
        os.sched_setaffinity(0, wanted.cpus or self._first_cpus)


def _limit(wanted: Scheduling) -> None:
    _soft, most = resource.getrlimit(resource.RLIMIT_RTTIME)
    resource.setrlimit(resource.RLIMIT_RTTIME, (wanted.rlimit_rttime_us or most, most))


def _nice(wanted: Scheduling) -> None:
    os.setpriority(os.PRIO_PROCESS, 0, wanted.nice)


def _policy(wanted: Scheduling) -> None:
    policy = os.SCHED_RR if wanted.rt_priority else os.SCHED_OTHER
    if wanted.rt_priority or wanted.nice < 0:
        policy |= os.SCHED_RESET_ON_FORK
    os.sched_setscheduler(0, policy, os.sched_param(wanted.rt_priority))


def _lock(wanted: Scheduling) -> None:
    if not wanted.no_swap:
        ctypes.CDLL(None).munlockall()
        return
    from ..vrrp import memory

    why = memory.lock()
    if why:
        raise ValueError(why)
