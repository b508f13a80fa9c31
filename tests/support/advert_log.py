# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""All adverts on a bridge with the kernel's time of each: one clock, however late the reader comes."""

from __future__ import annotations

import socket
import struct
import threading
import time
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from _lvs_agent.kernel.netns import inside

_ETH_P_IP = 0x0800
_SO_TIMESTAMPNS = 35
_SO_RCVBUFFORCE = 33
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_TIMESPEC = struct.Struct("qq")
_BUFFER_BYTES = 64 << 20
_VRRP = 112
_PAUSE_S = 0.05


class Advert(NamedTuple):
    """``at_ns`` is Unix time; ``sender`` the last byte of its source address."""

    at_ns: int
    sender: int
    vrid: int
    priority: int


class AdvertLog:
    """What passes a bridge of a network namespace, from now on; IPv4, without options."""

    def __init__(self, netns: str, bridge: str = "br0") -> None:
        with inside(netns):
            self._sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, 0)
            self._sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
            self._sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            self._sock.bind((bridge, _ETH_P_IP))
        self._times = array("q")
        self._what = array("I")
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while not self._end.wait(_PAUSE_S):
            self._drain()

    def _drain(self) -> None:
        with self._lock:
            while True:
                try:
                    data, ancillary, _flags, _sender = self._sock.recvmsg(64, 64)
                except BlockingIOError:
                    return
                if data[0] == 0x45 and data[9] == _VRRP:
                    seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
                    # the time last: who reads meanwhile goes by its number
                    self._what.append(data[15] << 16 | data[21] << 8 | data[22])
                    self._times.append(seconds * 1_000_000_000 + nanoseconds)

    def close(self) -> None:
        """Stop. AssertionError when the kernel had to drop something."""
        self._end.set()
        self._thread.join()
        _seen, dropped = struct.unpack("II", self._sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        self._sock.close()
        assert not dropped, f"the reader missed {dropped} packets"

    @property
    def place(self) -> int:
        """How many there are until now."""
        self._drain()
        return len(self._times)

    def since(self, place: int = 0) -> Iterator[Advert]:
        """All of them from that one on."""
        self._drain()
        for number in range(place, len(self._times)):
            what = self._what[number]
            yield Advert(self._times[number], what >> 16, what >> 8 & 0xFF, what & 0xFF)

    def wait_for(self, senders: dict[int, int], place: int, limit_s: float) -> bool:
        """Until virtual routers (VRID -> sender) were advertised by these since that place; whether they were."""
        wanted, end = set(senders.items()), time.monotonic() + limit_s
        while wanted and time.monotonic() < end:
            time.sleep(_PAUSE_S)
            seen = self.place
            wanted -= {(one.vrid, one.sender) for one in self.since(place) if one.priority}
            place = seen
        return not wanted


def by_vrid(adverts: Iterator[Advert]) -> dict[int, list[Advert]]:
    """In order, for each virtual router."""
    found: dict[int, list[Advert]] = {}
    for one in adverts:
        found.setdefault(one.vrid, []).append(one)
    return found
