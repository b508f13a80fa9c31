# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an instance's adverts tell beside the priority, and what is wrong with them: alarms, never a reason to drop.

Two routers that disagree about the addresses or the interval go on electing one master (keepalived up to 2.3.2 drops
such adverts, and has two); an operator must hear of it.
"""

from __future__ import annotations

from .actions import Action, AlarmKind
from .alarms import Alarms
from .counters import Counters
from .errors import PacketError, Reason
from .instance import CENTISECOND, OWNER, Instance
from .ip import text
from .limit import Limit
from .packet import Advert

_KIND_OF_REASON = {
    Reason.AUTH_TYPE: AlarmKind.AUTHENTICATION,
    Reason.AUTH_TYPE_MISMATCH: AlarmKind.AUTHENTICATION,
    Reason.AUTH_FAILURE: AlarmKind.AUTHENTICATION,
    Reason.ADVERT_INTERVAL: AlarmKind.INTERVAL_DIFFERS,
    Reason.VERSION: AlarmKind.STRANGER,
    Reason.SOURCE: AlarmKind.STRANGER,
}
# a normal change of master has two of these, when the loser answers the winner's first advert
_RETURNS_OF_TWO_MASTERS = 3
# Adverts looked at in an interval when they differ from the last good one: a flood of forged ones, each with 255
# addresses to compare, must not delay what other instances have to send.
_LOOKS = 16


class Watch:
    """Looks at each advert of one instance; ``fine`` is the last one nothing was wrong with while no alarm was on."""

    def __init__(self, alarms: Alarms, counters: Counters) -> None:
        self._alarms = alarms
        self._counters = counters
        self.fine: Advert | None = None
        self._other_master = b""
        self._changed_ns = 0
        self._returns = 0
        self._looks = Limit(_LOOKS)

    def reset(self) -> None:
        """Look at the next advert again: the parameters have changed."""
        self.fine = None

    def content(self, now: int, instance: Instance, advert: Advert) -> list[Action]:
        """Alarms over addresses, interval and source; in a flood of adverts some are looked at."""
        if advert is self.fine or not self._looks.allows(now, instance.advert_int // _LOOKS):
            return []
        actions = self._addresses(now, instance, advert)
        interval, source = instance.advert_int, advert.source
        if advert.version == 3 and advert.interval_cs * CENTISECOND != interval:
            detail = f"{text(source)} says advert_int {advert.interval_cs / 100:g} s, here it is {interval / 1e9:g} s"
            actions += self._alarms.seen(now, AlarmKind.INTERVAL_DIFFERS, source, detail, interval)
        if instance.unicast_peers and all(source != peer.address for peer in instance.unicast_peers):
            detail = f"{text(source)} is no unicast_peer"
            actions += self._alarms.seen(now, AlarmKind.STRANGER, source, detail, interval)
        if source == instance.source:
            detail = f"an advert came from our own address {text(source)}: another host has it, or a loop"
            actions += self._alarms.seen(now, AlarmKind.SAME_SOURCE, source, detail, interval)
        elif advert.priority == OWNER and instance.owner:
            detail = f"{text(source)} has priority 255, too: only one can own the addresses"
            actions += self._alarms.seen(now, AlarmKind.OWNER_CONFLICT, source, detail, interval)
        # what is wrong must be seen again and again, or its alarm would go off
        self.fine = None if self._alarms.active() else advert
        return actions

    def _addresses(self, now: int, instance: Instance, advert: Advert) -> list[Action]:
        if advert.addresses == instance.addresses:
            return []
        ours, theirs = frozenset(instance.addresses), frozenset(advert.addresses)
        if ours == theirs:
            return []
        self._counters.addr_list_err += 1
        kind = AlarmKind.VIP_LIST_DIFFERS if ours & theirs or not ours or not theirs else AlarmKind.STRANGER
        only_theirs = ", ".join(sorted(map(text, theirs - ours))) or "nothing"
        only_ours = ", ".join(sorted(map(text, ours - theirs))) or "nothing"
        detail = f"virtual_ipaddress differs: only {text(advert.source)} has {only_theirs}, only here is {only_ours}"
        return self._alarms.seen(now, kind, advert.source, detail, instance.advert_int)

    def another_master(self, now: int, former: bytes, source: bytes, down: int, interval: int) -> list[Action]:
        """A backup heard ``source`` after ``former``; two that alternate are two masters.

        ``down`` is the master down interval: changes further apart than three of them are different stories.
        """
        if now - self._changed_ns > 3 * down:
            self._returns = 0
        self._changed_ns = now
        if source == self._other_master:
            self._returns += 1
        self._other_master = former
        if self._returns < _RETURNS_OF_TWO_MASTERS:
            return []
        detail = f"{text(former)} and {text(source)} both send adverts"
        return self._alarms.seen(now, AlarmKind.TWO_MASTERS, min(former, source), detail, interval)

    def rejected(self, now: int, instance: Instance, error: PacketError) -> list[Action]:
        """Count a packet that was dropped; an alarm if its sender and we disagree about the configuration."""
        errors = self._counters.errors
        errors[error.reason] = errors.get(error.reason, 0) + 1
        kind = _KIND_OF_REASON.get(error.reason)
        if kind is None or not self._looks.allows(now, instance.advert_int // _LOOKS):
            return []
        detail = f"dropped an advert from {text(error.source)}: {error}"
        return self._alarms.seen(now, kind, error.source, detail, instance.advert_int)
