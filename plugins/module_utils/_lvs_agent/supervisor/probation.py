# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new configuration is on probation: when the VRRP process dies of it, the last one that worked returns; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .reader import Settings

_SECOND = 1_000_000_000
# As long as a process has to live with a configuration; a backup with advert_int 1 becomes master in 3.6 s.
_PROBATION_NS = 30 * _SECOND
# A first death may have been chance: the next process is given the same configuration.
_MOST_DEATHS = 2


class Probation:
    """``worked`` is the last configuration that a VRRP process has lived with, None while there is none."""

    def __init__(self) -> None:
        self.worked: Settings | None = None
        self._trial: Settings | None = None
        self._deaths = 0
        self._since_ns: int | None = None

    def begin(self, settings: Settings) -> None:
        """A process is given this one. One that was carried out, and of which none has died, has worked."""
        if self._trial is not None and self._since_ns is not None and not self._deaths:
            self.worked = self._trial
        self._trial = settings
        self._deaths = 0
        self._since_ns = None

    def carried_out(self, now_ns: int) -> None:
        """A process has carried it out."""
        self._since_ns = now_ns

    def alive(self, now_ns: int) -> None:
        """The process lives."""
        if self._trial is not None and self._since_ns is not None and now_ns - self._since_ns >= _PROBATION_NS:
            self.worked, self._trial = self._trial, None

    def died(self) -> Settings | None:
        """The process died by itself: the configuration to go back to, None to try the same one again."""
        self._since_ns = None
        if self._trial is None:
            return None
        self._deaths += 1
        if self._deaths < _MOST_DEATHS or self.worked is None:
            return None
        self._trial = None
        return self.worked
