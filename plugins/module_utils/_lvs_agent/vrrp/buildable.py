# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether everything that an instance needs can be written into messages to the kernel; pure.

The checks of the configuration find these things first. What they overlook must be a fault of one instance, found
before it is master, and no exception on the way to the kernel.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any

from ..kernel.route_messages import pack_address, pack_route, pack_rule
from . import holdings
from .plan import InstancePlan

#: What encoding raises for values that do not fit.
ERRORS = (struct.error, ValueError, OverflowError)
_ANY_INDEX = 1


def fault(plan: InstancePlan) -> str:
    """Why it cannot be built, "" when it can."""
    names = {holdings.interface_of(plan, one) for one in (*plan.vips, *plan.excluded)}
    names.update(hop.interface for route in plan.routes for hop in route.hops)
    index = dict.fromkeys(names, _ANY_INDEX)
    try:
        held = holdings.of_plan(plan, index)
    except ERRORS as error:
        return f"what it holds cannot be built: {error}"
    packed: tuple[tuple[str, Callable[[Any], bytes], Iterable[Any]], ...] = (
        ("VIP", pack_address, held.addresses),
        ("virtual route", pack_route, held.routes),
        ("virtual rule", pack_rule, held.rules),
    )
    for kind, pack, things in packed:
        for number, thing in enumerate(things, 1):
            try:
                pack(thing)
            except ERRORS as error:
                return f"its {kind} number {number} cannot be built: {error}"
    return ""
