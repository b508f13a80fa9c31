# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the writer knows of one virtual service, and what becomes of that; pure, the clock is passed in."""

from __future__ import annotations

from dataclasses import dataclass

from .table import VirtualService

_FIRST_RETRY_NS, _LAST_RETRY_NS = 500_000_000, 30_000_000_000


def longer(delay_ns: int) -> int:
    """The wait after a failure, by the one before; 0 for none."""
    return min(2 * delay_ns, _LAST_RETRY_NS) or _FIRST_RETRY_NS


@dataclass
class ServiceRecord:
    """One service, as long as it is wanted or ours.

    ``have`` is what the kernel has, without others' real servers that stay; None: it is not there, or not read yet.
    ``digest`` belongs to what was read, and is None for what was written since. ``synced``: the kernel had it as it was
    wanted, so that a difference is somebody else's doing; ``drifted``: there is one, and it is not put back yet.
    After a refusal it is not written before ``retry_ns``; 0 without one. ``refusal`` is the last one in words.
    """

    have: VirtualService | None = None
    digest: tuple[int, int] | None = None
    synced: bool = False
    drifted: bool = False
    retry_ns: int = 0
    delay_ns: int = 0
    refusal: str = ""

    def forget(self) -> None:
        """It has to be read again."""
        self.have = self.digest = None

    def wanted_otherwise(self) -> None:
        """What is written next is our change, not a repair, and may be what the kernel takes."""
        self.drifted = False
        self.retry_ns = self.delay_ns = 0

    def differs(self) -> None:
        """Somebody else changed it: a drift if it was as wanted before."""
        self.drifted = self.drifted or self.synced

    def settle(self) -> None:
        """The kernel has what is wanted."""
        self.synced, self.drifted = True, False
        self.retry_ns = self.delay_ns = 0
        self.refusal = ""

    def written(self, virtual: VirtualService) -> None:
        """The kernel took this."""
        self.have, self.digest = virtual, None
        self.settle()

    def refused(self, words: str, now_ns: int) -> bool:
        """The kernel did not take it: it waits, each time twice as long. Whether it says something new."""
        self.delay_ns = longer(self.delay_ns)
        self.retry_ns = now_ns + self.delay_ns
        is_news = self.refusal != words
        self.refusal = words
        return is_news
