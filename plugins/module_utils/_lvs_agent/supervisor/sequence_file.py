# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The highest sequence numbers of signed adverts (vrrp/ah.py), over restarts and boots: against replay.

The file ``ah.json`` in the state directory is there as long as some instance has ``auth_type AH``. Numbers above what
the clock gives are left out: either clock was wrong, and a router must not be deaf to its peer for years.
"""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any

from ..vrrp.ah import first_sequence
from ..vrrp.messages import SequencesHeard
from ..vrrp.plan import Identity
from .files import replace

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "ah.json"
_LONGEST = 1 << 20
_MOST = 512  # instances, the latest ones
# Between a peer's clock and ours.
_DIFFERENCE_SECONDS = 86400
_log = logging.getLogger(__name__)


class SequenceFile:
    """What was heard, by identity; read when it is made. ``clock``: seconds since 1970."""

    def __init__(self, path: str, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._failed = False
        try:
            with open(path, "rb") as file:
                content = json.loads(file.read(_LONGEST))
            most = first_sequence(int(clock()) + _DIFFERENCE_SECONDS)
            self._heard = dict(_row(one, most) for one in content)
        except FileNotFoundError:
            self._heard = {}
        except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
            _log.warning("%s: %s; signed adverts from before this start are accepted", path, error)
            self._heard = {}

    def heard(self) -> tuple[SequencesHeard, ...]:
        """All of it, for a VRRP process."""
        return tuple(SequencesHeard(identity, tuple(numbers.items())) for identity, numbers in self._heard.items())

    def add(self, message: SequencesHeard) -> None:
        """And this. An error is logged once."""
        known = self._heard.pop(message.identity, {})
        self._heard[message.identity] = {**known, **dict(message.numbers)}
        while len(self._heard) > _MOST:
            del self._heard[next(iter(self._heard))]
        rows = [[*identity, {one.hex(): n for one, n in numbers.items()}] for identity, numbers in self._heard.items()]
        try:
            replace(self._path, json.dumps(rows).encode() + b"\n", 0o600)
        except OSError as error:
            if not self._failed:
                _log.error("%s: %s; signed adverts can be replayed after a restart", self._path, error.strerror)
            self._failed = True
        else:
            self._failed = False


def _row(row: Any, most: int) -> tuple[Identity, dict[bytes, int]]:
    vrid, family, interface, source, numbers = row
    found = {bytes.fromhex(one): int(number) for one, number in numbers.items()}
    identity = Identity(int(vrid), int(family), str(interface), str(source))
    return identity, {one: number for one, number in found.items() if 0 < number <= most}
