# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the weight of a server that came up grows; pure.

The way is made in steps: each is one change of the kernel's table.
"""

from __future__ import annotations

STEPS = 20


def weight(full: int, since_ns: int, length_ns: int, now_ns: int) -> tuple[int, int]:
    """The weight now, and when it grows next (0 when it is the full one).

    It begins with 1 and reaches ``full`` after ``length_ns``; with a full weight of 0 or 1 there is nothing to grow.
    """
    elapsed = max(0, now_ns - since_ns)
    steps = min(full, STEPS)
    if steps <= 1 or elapsed >= length_ns:
        return full, 0
    step = elapsed * steps // length_ns
    return max(1, full * step // steps), since_ns - (-(step + 1) * length_ns // steps)
