# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When each master has sent its last advert: a file in the runtime directory that the VRRP process has mapped.

A store into memory is all that an advert costs, and what was stored is there after SIGKILL. So the process after a
crash knows to the microsecond how long its backups have waited, and whether it was still master.

A store into a page that the file system has no room for is a SIGBUS (mmap(2)), so the room is allocated before.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
from typing import TYPE_CHECKING

from .plan import Identity

if TYPE_CHECKING:
    from collections.abc import Collection

# whose it is, then CLOCK_MONOTONIC in nanoseconds, 0 while it is not master
_KEY = struct.Struct("=BB16s46s")
_TIME = struct.Struct("=Q")
_SLOT = _KEY.size + _TIME.size
_WORDS = _SLOT // _TIME.size
_LONGEST = 16 << 20


class LastAdverts:
    """The VRRP process's side. ``descriptor`` of the file; None keeps it to oneself.

    ``problem`` says why it is kept to oneself although there is a file, which is empty then.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = -1 if descriptor is None else descriptor
        self._places: dict[Identity, int] = {}
        self.problem = ""
        size = max(mmap.PAGESIZE, os.fstat(descriptor).st_size if descriptor is not None else 0)
        try:
            self._map(size)
        except OSError as error:
            self.problem = f"when adverts are sent cannot be noted: {error.strerror}; a crash would cost a fail-over"
            self._keep_to_oneself(size)

    def configure(self, identities: Collection[Identity]) -> None:
        """Have a place for each of these, and for nobody else; what is known of them stays. Raises OSError."""
        known = {}
        for place in range(0, len(self._memory) - _SLOT + 1, _SLOT):
            known[bytes(self._memory[place : place + _KEY.size])] = _time_at(self._memory, place)
        size = -(-len(identities) * _SLOT // mmap.PAGESIZE) * mmap.PAGESIZE
        if size > len(self._memory):
            self._map(size)
        self._places = {}
        content = bytearray(len(self._memory))
        for number, identity in enumerate(identities):
            key = _key(identity)
            content[number * _SLOT : (number + 1) * _SLOT] = key + _TIME.pack(known.get(key, 0))
            self._places[identity] = (number + 1) * _WORDS - 1
        self._memory[:] = bytes(content)

    def sent(self, identity: Identity, now: int) -> None:
        """It is master, and has sent an advert."""
        place = self._places.get(identity)
        if place is not None:
            self._words[place] = now

    def no_master(self, identity: Identity) -> None:
        """It is master no longer."""
        self.sent(identity, 0)

    def _keep_to_oneself(self, size: int) -> None:
        """Go on with what the file says, in memory of our own: nobody must take old times for the last ones."""
        known = os.pread(self._descriptor, size, 0)
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
        self._descriptor = -1
        self._map(size)
        self._memory[: len(known)] = known

    def _map(self, size: int) -> None:
        if self._descriptor >= 0:
            os.posix_fallocate(self._descriptor, 0, size)
        # one that is replaced goes when nobody refers to it
        self._memory = mmap.mmap(self._descriptor, size)
        self._words = memoryview(self._memory).cast("Q")


def last_adverts(descriptor: int) -> dict[Identity, int]:
    """When each instance has sent its last advert, 0 for one that was not master. Raises OSError.

    Times are CLOCK_MONOTONIC in nanoseconds; whoever asks knows that the file is of this boot.
    """
    content = os.pread(descriptor, _LONGEST, 0)
    found: dict[Identity, int] = {}
    for place in range(0, len(content) - _SLOT + 1, _SLOT):
        vrid, family, interface, source = _KEY.unpack_from(content, place)
        if vrid:
            names = (name.rstrip(b"\0").decode("utf-8", "replace") for name in (interface, source))
            found[Identity(vrid, family, *names)] = _time_at(content, place)
    return found


def _key(identity: Identity) -> bytes:
    return _KEY.pack(identity.vrid, identity.family, identity.interface.encode(), identity.source.encode())


def _time_at(content: bytes | mmap.mmap, place: int) -> int:
    return int(_TIME.unpack_from(content, place + _KEY.size)[0])
