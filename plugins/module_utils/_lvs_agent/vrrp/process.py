# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VRRP process: real-time scheduling, locked memory, a still garbage collector, and the loop.

It never forks, resolves no name, opens no file on a disk and imports nothing once it runs. When it ends because it was
told to leave, or because its supervisor is gone, every address stays where it is.
"""

from __future__ import annotations

import gc
import os
import resource
import select
import time
from typing import TYPE_CHECKING

from ..kernel.route import RouteEvents, RouteSocket
from . import memory
from .host import Host
from .loop import Loop
from .messages import Ready

if TYPE_CHECKING:
    from .messages import VrrpChannel
    from .plan import Plan

# of what is left to say when it ends
_LAST_WORDS_SECONDS = 0.5


def run(channel: VrrpChannel) -> int:
    """Be the VRRP process until told to end; the exit status. Needs CAP_NET_ADMIN and CAP_NET_RAW.

    Raises NetlinkError when the kernel does not tell its interfaces and addresses at the start.
    """
    # first the events, then the state they change
    events = RouteEvents()
    host = Host(RouteSocket(), events)
    problem = memory.lock()
    loop = Loop(channel, host, scheduled=lambda plan: [*([problem] if problem else []), *schedule(plan)])
    gc.collect()
    gc.freeze()
    gc.disable()
    loop.tell(Ready())
    loop.run()
    _last_words(channel)
    return 0


def schedule(plan: Plan) -> list[str]:
    """SCHED_RR, CPU affinity and RLIMIT_RTTIME as the plan says; what went wrong, in words."""
    problems: list[str] = []
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(plan.rt_priority))
    except OSError as error:
        problems.append(
            f"no real-time scheduling ({error.strerror}): give it CAP_SYS_NICE, or a loaded host may cost a failover"
        )
    try:
        if plan.cpus:
            os.sched_setaffinity(0, plan.cpus)
    except OSError as error:
        problems.append(f"vrrp_cpu_affinity {' '.join(map(str, plan.cpus))}: {error.strerror}")
    if plan.rlimit_rttime_us:
        limit = plan.rlimit_rttime_us
        try:
            resource.setrlimit(resource.RLIMIT_RTTIME, (limit, resource.RLIM_INFINITY))
        except (OSError, ValueError) as error:
            problems.append(f"vrrp_rlimit_rttime {limit}: {error}")
    return problems


def _last_words(channel: VrrpChannel) -> None:
    """Wait a moment for what is queued; the supervisor may be gone."""
    end = time.monotonic() + _LAST_WORDS_SECONDS
    while not channel.flush():
        left = end - time.monotonic()
        if left <= 0:
            return
        select.select([], [channel.fileno()], [], left)
