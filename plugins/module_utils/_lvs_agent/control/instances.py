# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VRRP process's status as plain values for JSON: names with units, times as text."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..vrrp.messages import InstanceStatus, Status

_SECOND = 1_000_000_000


def plain(status: Status, now_ns: int | None = None, real_seconds: float | None = None) -> dict[str, Any]:
    """Instances and groups. ``now_ns`` is CLOCK_MONOTONIC and ``real_seconds`` since 1970, by default now."""
    now_ns = time.monotonic_ns() if now_ns is None else now_ns
    real_seconds = time.time() if real_seconds is None else real_seconds
    return {
        "instances": [_instance(one, now_ns, real_seconds) for one in status.instances],
        "groups": [
            {"name": name, "state": state.value, "members": list(members)} for name, state, members in status.groups
        ],
        "process": status.counters,
    }


def wrong(instance: dict[str, Any]) -> list[str]:
    """What is wrong with an instance, in words."""
    found = [str(fault) for fault in instance["faults"]]
    if instance["state"] == "FAULT" and not found:
        found.append(str(instance["cause"]))
    found += [f"{alarm['kind']}{' ' if alarm['source'] else ''}{alarm['source']}" for alarm in instance["alarms"]]
    if instance["missing_vips"]:
        found.append(f"missing {', '.join(instance['missing_vips'])}")
    return found


def _instance(one: InstanceStatus, now_ns: int, real_seconds: float) -> dict[str, Any]:
    in_state = max(0, now_ns - one.since_ns) / _SECOND
    since = time.gmtime(real_seconds - in_state)
    return {
        "name": one.name,
        "virtual_router_id": one.identity.vrid,
        "family": one.identity.family,
        "interface": one.identity.interface,
        "version": one.version,
        "state": one.state.value,
        "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", since),
        "seconds_in_state": round(in_state, 3),
        "cause": one.cause,
        "priority": one.priority,
        "base_priority": one.base_priority,
        "advert_int_ms": one.advert_int / 1e6,
        "source": one.source,
        "master": one.master,
        "master_priority": one.master_priority,
        "handed_over": one.held,
        "faults": list(one.faults),
        "vips": list(one.vips),
        "missing_vips": list(one.missing),
        "alarms": [{"kind": kind, "source": source} for kind, source in one.alarms],
        "counters": one.counters,
    }
