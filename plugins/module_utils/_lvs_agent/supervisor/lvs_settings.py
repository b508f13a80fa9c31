# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a file says for the LVS process, as bytes that the supervisor passes on unopened.

Tens of thousands of real servers would make the supervisor large and slow; packed they are a megabyte. Each virtual
server is packed apart, so that of a change only what it changes is opened and looked at.
"""

from __future__ import annotations

import gc
import pickle
import zlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..lvs.plan import LvsPlan, VirtualServerPlan
from .scheduling import Scheduling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..health.plan import CheckPlan

    Parts = Mapping[bytes, tuple[VirtualServerPlan, tuple[CheckPlan, ...]]]
    """Virtual servers with their checks, by what they were opened from."""

_QUICK = 1


@dataclass(frozen=True)
class LvsSettings:
    """The table that is wanted, what is checked, the ``umask`` of MISC_CHECK's programs, and how the process runs.

    ``vips`` are those of all VRRP instances, packed: no check comes from one.
    """

    plan: LvsPlan
    checks: tuple[CheckPlan, ...]
    umask: int
    scheduling: Scheduling = field(default_factory=Scheduling)
    vips: frozenset[bytes] = frozenset()


def pack(settings: LvsSettings) -> bytes:
    """For another process of the same program. Each check is of one of the virtual servers."""
    checks: dict[str, list[CheckPlan]] = {one.name: [] for one in settings.plan.virtual_servers}
    for check in settings.checks:
        checks[check.id.service].append(check)
    parts = [_squeezed((one, tuple(checks[one.name]))) for one in settings.plan.virtual_servers]
    rest = replace(settings, plan=replace(settings.plan, virtual_servers=()), checks=())
    return pickle.dumps((rest, parts), pickle.HIGHEST_PROTOCOL)


def unpack(packed: bytes, known: Parts | None = None) -> tuple[LvsSettings, Parts]:
    """What :func:`pack` packed, b"" for nothing to do; and its parts. Those in ``known`` are the very same objects."""
    if not packed:
        return LvsSettings(LvsPlan(), (), 0o022), {}
    known = known or {}
    was_on = gc.isenabled()
    # plans have no cycles: the collector would walk them again and again while they come, and at times for ever after
    gc.disable()
    try:
        rest, squeezed = pickle.loads(packed)  # noqa: S301 - from our own reader
        parts: Parts = {one: known.get(one) or pickle.loads(zlib.decompress(one)) for one in squeezed}  # noqa: S301
        gc.freeze()
    finally:
        if was_on:
            gc.enable()
    plan = replace(rest.plan, virtual_servers=tuple([virtual for virtual, _checks in parts.values()]))
    checks = tuple([check for _virtual, own in parts.values() for check in own])
    return replace(rest, plan=plan, checks=checks), parts


def _squeezed(part: object) -> bytes:
    return zlib.compress(pickle.dumps(part, pickle.HIGHEST_PROTOCOL), _QUICK)
