# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory that never waits for a disk, and is not more than that takes.

Everything the process may read is brought in once and locked: the code of Python and its modules, also what has never
run yet, and whatever the supervisor had when it forked. What is only read stays one copy for both processes.

A plain mlockall(2) would give this process its own copy of every page it could write, 14 MB of Python's objects that
it hardly changes; so pages are locked as they come (MCL_ONFAULT), and are brought in for reading (MADV_POPULATE_READ,
Linux 5.14). What we give up: the first write to such a page costs a page of memory and a copy of 4 KiB, in
microseconds, from reserves that the kernel keeps for real-time processes too, and never a disk. What a plain one gives
up is the memory of the host: twice as much for each process. Older kernels get the plain one.
"""

from __future__ import annotations

import ctypes
import os

_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4  # linux/mman.h
_MADV_POPULATE_READ = 22


def lock() -> str:
    """Lock what there is and what comes; what went wrong in words, or "". Needs CAP_IPC_LOCK."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    wrong = libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT)
    if not wrong and not _bring_in(libc):
        wrong = libc.mlockall(_MCL_CURRENT | _MCL_FUTURE)
    if wrong:
        why = os.strerror(ctypes.get_errno())
        return f"the memory could not be locked ({why}): give it CAP_IPC_LOCK, or swapping may cost a failover"
    return ""


def _bring_in(libc: ctypes.CDLL) -> bool:
    """Read every page; False when the kernel cannot do that. The kernel's own pages are there anyway, and refuse."""
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    done = False
    for line in lines:
        area, permissions = line.split(maxsplit=2)[:2]
        if permissions.startswith("r"):
            start, end = (int(number, 16) for number in area.split("-"))
            done |= libc.madvise(start, end - start, _MADV_POPULATE_READ) == 0
    return done
