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
from .last_adverts import LastAdverts
from .loop import Loop
from .messages import Configure, Ready

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from .messages import ToVrrp, VrrpChannel
    from .plan import Plan

# of what is left to say when it ends
_LAST_WORDS_SECONDS = 0.5


def run(channel: VrrpChannel, adverts: int | None = None, first: Sequence[ToVrrp] = ()) -> int:
    """Be the VRRP process until told to end; the exit status. Needs CAP_NET_ADMIN and CAP_NET_RAW.

    ``adverts`` is the descriptor of the file of :mod:`.last_adverts`. ``first`` is what to do at once: to go on where a
    process was that was killed, which must not wait for the supervisor. Raises NetlinkError when the kernel does not
    tell its interfaces and addresses at the start.
    """
    gc.disable()
    for message in first:
        if isinstance(message, Configure):
            # at once, for the supervisor is busy with its own start
            real_time(message.plan)
    # first the events, then the state they change
    events = RouteEvents()
    host = Host(RouteSocket(), events)
    problem = memory.lock()
    known = LastAdverts(adverts)
    cpus = os.sched_getaffinity(0)
    loop = Loop(
        channel,
        host,
        scheduled=lambda plan: [*([problem] if problem else []), *schedule(plan, cpus)],
        adverts=known,
    )
    if first:
        for message in first:
            loop.orders.told(message, loop.clock())
    else:
        gc.collect()
        gc.freeze()
        loop.tell(Ready())
    loop.run()
    _last_words(channel)
    return 0


def schedule(plan: Plan, cpus: Collection[int]) -> list[str]:
    """SCHED_RR, CPU affinity and RLIMIT_RTTIME as the plan says; what went wrong, in words.

    ``cpus``: the process's own before any plan. It has them again, and no limit, when the plan does not name them.
    """
    problems = real_time(plan)
    try:
        os.sched_setaffinity(0, plan.cpus or cpus)
    except (OSError, ValueError, OverflowError) as error:
        problems.append(f"vrrp_cpu_affinity {' '.join(map(str, plan.cpus))}: {error}")
    limit = plan.rlimit_rttime_us
    try:
        _soft, most = resource.getrlimit(resource.RLIMIT_RTTIME)
        resource.setrlimit(resource.RLIMIT_RTTIME, (limit or most, most))
    except (OSError, ValueError, OverflowError) as error:
        problems.append(f"vrrp_rlimit_rttime {limit}: {error}")
    return problems


def real_time(plan: Plan) -> list[str]:
    """SCHED_RR alone; what went wrong, in words."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(plan.rt_priority))
    except OSError as error:
        why = f"no real-time scheduling ({error.strerror})"
        return [f"{why}: give it CAP_SYS_NICE, or a loaded host may cost a failover"]
    return []


def _last_words(channel: VrrpChannel) -> None:
    """Wait a moment for what is queued; the supervisor may be gone."""
    end = time.monotonic() + _LAST_WORDS_SECONDS
    while not channel.flush():
        left = end - time.monotonic()
        if left <= 0:
            return
        select.select([], [channel.fileno()], [], left)
