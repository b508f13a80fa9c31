# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a file says for the LVS process, as bytes that the supervisor passes on unopened.

Tens of thousands of real servers would make the supervisor large and slow; packed they are a megabyte.
"""

from __future__ import annotations

import gc
import pickle
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..lvs.plan import LvsPlan
from .scheduling import Scheduling

if TYPE_CHECKING:
    from ..health.plan import CheckPlan

_QUICK = 1


@dataclass(frozen=True)
class LvsSettings:
    """The table that is wanted, what is checked, the ``umask`` of MISC_CHECK's programs, and how the process runs."""

    plan: LvsPlan
    checks: tuple[CheckPlan, ...]
    umask: int
    scheduling: Scheduling = field(default_factory=Scheduling)


def pack(settings: LvsSettings) -> bytes:
    """For another process of the same program."""
    return zlib.compress(pickle.dumps(settings, pickle.HIGHEST_PROTOCOL), _QUICK)


def unpack(packed: bytes) -> LvsSettings:
    """What :func:`pack` packed; b"" for nothing to do."""
    if not packed:
        return LvsSettings(LvsPlan(), (), 0o022)
    was_on = gc.isenabled()
    # plans have no cycles: the collector would walk them again and again while they come, and at times for ever after
    gc.disable()
    try:
        found: LvsSettings = pickle.loads(zlib.decompress(packed))  # noqa: S301 - from our own reader
        gc.freeze()
    finally:
        if was_on:
            gc.enable()
    return found
