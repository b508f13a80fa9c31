# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give free memory back to the kernel."""

from __future__ import annotations

import ctypes
import gc


def trim() -> None:
    """Collect garbage, then release free pages of the heap: malloc_trim(3), of glibc only.

    Importing the daemon leaves 0.8 MB of them, which a process that locks its memory would keep for ever.
    """
    gc.collect()
    release = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if release is not None:
        release(0)
