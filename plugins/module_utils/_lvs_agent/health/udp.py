# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""UDP_CHECK: a datagram is taken without an ICMP error, and answered if that is asked for.

As keepalived 2.2.7: with ``require_reply`` the first answer decides; without, an answer is success whatever it is, and
so is silence until the time is over.
"""

from __future__ import annotations

from .attempt import Outcome, Tools
from .datagram import UP, Asking
from .plan import Timing, UdpCheck

_RANDOM_BYTES = 64
_SHOWN = 16  # bytes of an answer, for people


def judge(check: UdpCheck, data: bytes) -> Outcome:
    """What an answer means; of a longer one than is good, one byte more will do."""
    if not check.require_reply:
        return UP
    if len(data) < check.min_reply:
        return Outcome(False, f"the answer has {len(data)} bytes; the fewest are {check.min_reply}")
    if len(data) > check.max_reply:
        return Outcome(False, f"the answer has more than {check.max_reply} bytes")
    for place, (got, wanted, mask) in enumerate(zip(data, check.reply, check.mask)):
        if (got ^ wanted) & mask:
            return Outcome(False, f"byte {place} of the answer is {got:02x}; it begins with {data[:_SHOWN].hex(' ')}")
    return UP


class UdpAttempt(Asking):
    """One UDP_CHECK."""

    __slots__ = ("_check", "_payload", "room")

    def __init__(self, check: UdpCheck, timing: Timing, tools: Tools) -> None:
        Asking.__init__(self, check.endpoint, timing.timeout_ns, tools)
        self._check = check
        self.room = check.max_reply + 1
        self._payload = check.payload or tools.random.getrandbits(8 * _RANDOM_BYTES).to_bytes(_RANDOM_BYTES, "big")

    def request(self) -> bytes:
        """The payload."""
        return self._payload

    def judge(self, data: bytes) -> Outcome:
        """Whether it is a good answer."""
        return judge(self._check, data)

    def expired(self, now_ns: int) -> None:
        """Nobody complained, which is enough if no answer is asked for."""
        if self._check.require_reply:
            Asking.expired(self, now_ns)
        else:
            self.outcome = UP
