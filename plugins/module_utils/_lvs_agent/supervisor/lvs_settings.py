# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a file says for the LVS process, as bytes that the supervisor passes on unopened.

Tens of thousands of real servers would make the supervisor large and slow; packed they are a megabyte.
"""

from __future__ import annotations

import dataclasses
import pickle
import zlib
from typing import TYPE_CHECKING

from ..lvs.plan import LvsPlan

if TYPE_CHECKING:
    from ..health.plan import CheckPlan

_QUICK = 1


@dataclasses.dataclass(frozen=True)
class LvsSettings:
    """The table that is wanted, what is checked, and the ``umask`` of MISC_CHECK's programs."""

    plan: LvsPlan
    checks: tuple[CheckPlan, ...]
    umask: int


def pack(settings: LvsSettings) -> bytes:
    """For another process of the same program."""
    return zlib.compress(pickle.dumps(settings, pickle.HIGHEST_PROTOCOL), _QUICK)


def unpack(packed: bytes) -> LvsSettings:
    """What :func:`pack` packed; b"" for nothing to do."""
    if not packed:
        return LvsSettings(LvsPlan(), (), 0o022)
    found: LvsSettings = pickle.loads(zlib.decompress(packed))  # noqa: S301 - from our own reader
    return found
