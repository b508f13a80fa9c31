# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VRRP's two intervals (RFC 3768 section 6.1, RFC 9568 section 6.1), in whole nanoseconds, rounded up: never early."""

from __future__ import annotations

from .instance import SECOND, Instance


def skew(version: int, priority: int, master_interval: int) -> int:
    """How much later than a router of priority 256 one takes over: (256 - priority)/256 of a second or interval."""
    whole = SECOND if version == 2 else master_interval
    return -(-(256 - priority) * whole // 256)


def master_down(instance: Instance, priority: int, master_interval: int) -> int:
    """How long a backup waits for an advert before the master counts as dead."""
    return instance.down_timer_adverts * master_interval + skew(instance.version, priority, master_interval)
