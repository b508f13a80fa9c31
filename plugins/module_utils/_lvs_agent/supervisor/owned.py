# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What VRRP processes may have left in the kernel: addresses of their plans, and settings that they have changed.

A process that dies cannot remove a VIP that the next configuration no longer has; the one after it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..vrrp.holdings import places_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..vrrp.messages import Address
    from ..vrrp.plan import Plan
    from .state_file import StateFile

# (path below /proc/sys, value before)
Borrowed = tuple[tuple[str, str], ...]


class Owned:
    """Kept in the file, too, which was read before; ``borrowed`` is what was said last of settings."""

    def __init__(self, file: StateFile) -> None:
        self._file = file
        # what the daemon before this one had
        addresses, self.borrowed = file.left
        self._addresses = self._carried_out = frozenset(addresses)

    def planned(self, plan: Plan) -> None:
        """From now on these may be there, too."""
        self._addresses |= places_of(plan)
        # with the first state: until then the file says who was master before, and must go on doing so
        self._write(now=False)

    def carried_out(self, plan: Plan, own: Iterable[Address] = ()) -> None:
        """Only these are there because of us; ``own`` are the host's own, whatever the plan says."""
        self._carried_out = places_of(plan).difference(own)
        if self._addresses != self._carried_out:
            self._addresses = self._carried_out
            self._write()

    @property
    def former(self) -> tuple[Address, ...]:
        """What processes so far may have added: not what is planned since."""
        return tuple(sorted(self._carried_out))

    def borrow(self, borrowed: Borrowed) -> None:
        """These settings are changed now."""
        self.borrowed = borrowed
        self._write()

    def leftovers(self, plan: Plan) -> tuple[Address, ...]:
        """What a process before may have left and this plan does not have."""
        return tuple(sorted(self._addresses - places_of(plan)))

    def _write(self, *, now: bool = True) -> None:
        self._file.owned(sorted(self._addresses), self.borrowed, write=now)
