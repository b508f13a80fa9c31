# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The channel between the supervisor and a child: pickled messages over a pair of SEQPACKET sockets.

Neither end ever waits. The socket pair is made before the fork and has no name, so only the two ends can write to it,
and unpickling is safe.
"""

from __future__ import annotations

import pickle
import socket
from collections import deque
from typing import TYPE_CHECKING, Any

from ..vrrp import messages
from ..vrrp.messages import ChannelClosed

if TYPE_CHECKING:
    from collections.abc import Callable

# A packet must fit into the default of net.core.wmem_default, 212992 bytes, several times.
_PIECE = 60_000
_MORE = b"+"
_LAST = b"."
_LONGEST = 64 << 20
# An end that is not read must not fill the memory: what can be told again later is dropped first.
_SOFT_LIMIT = 1 << 20
_HARD_LIMIT = _LONGEST
_AT_ONCE = 256  # packets; the rest waits for the next turn of the loop

#: Of the VRRP process: each of these tells what no later message tells again.
KEPT = (
    messages.Ready,
    messages.Configured,
    messages.Borrowed,
    messages.Transitioned,
    messages.AlarmRaised,
    messages.AlarmGone,
)


def dumps(message: object) -> bytes:
    """A message as bytes, for those who also store it."""
    return pickle.dumps(message, pickle.HIGHEST_PROTOCOL)


class Channel:
    """One end. ``dropped``: messages that found no room; ``undecodable``: those of a program of another version.

    ``droppable`` tells of a message whether it may be dropped when the other end reads too slowly; by default none is.
    """

    def __init__(self, sock: socket.socket, droppable: Callable[[object], bool] | None = None) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.dropped = 0
        self.undecodable = 0
        self._droppable = droppable
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._parts: list[bytes] = []
        self._gone = False

    def fileno(self) -> int:
        """The socket's descriptor; readable when ``receive`` has something."""
        return self.sock.fileno()

    @property
    def wants_write(self) -> bool:
        """Whether something is queued, so that ``flush`` is to be called when the socket is writable."""
        return bool(self._queue)

    def send(self, message: object) -> None:
        """Queue a message, and send what the other end takes now. What finds no room is dropped and counted."""
        data = dumps(message)
        limit = _SOFT_LIMIT if self._droppable is not None and self._droppable(message) else _HARD_LIMIT
        if self._gone or self._queued + len(data) > limit:
            self.dropped += 1
            return
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            self._queue.append((_LAST if start + _PIECE >= len(data) else _MORE) + piece)
        self._queued += len(data)
        self.flush()

    def flush(self) -> bool:
        """Send more of the queue; whether it is empty now."""
        while self._queue:
            try:
                self.sock.send(self._queue[0], socket.MSG_NOSIGNAL)
            except (BlockingIOError, InterruptedError):
                return False
            except OSError:
                # receive() tells, after what was sent before the end
                self._gone = True
                self._queue.clear()
                self._queued = 0
                return True
            self._queued -= len(self._queue.popleft()) - 1
        return True

    def receive(self) -> list[Any]:
        """What has arrived, in order, often nothing. Raises ChannelClosed after the last message."""
        found: list[Any] = []
        for _packet in range(_AT_ONCE):
            try:
                packet = self._receive_packet()
            except (BlockingIOError, InterruptedError):
                break
            if not packet:
                if found:
                    break  # the end can be read again
                raise ChannelClosed
            self._parts.append(packet[1:])
            if packet[:1] == _LAST:
                self._take(found)
            elif len(self._parts) * _PIECE > _LONGEST:
                self._parts.clear()
                self.undecodable += 1
        return found

    def close(self) -> None:
        """Close this end."""
        self.sock.close()

    def _receive_packet(self) -> bytes:
        try:
            return self.sock.recv(_PIECE + 1)
        except ConnectionResetError:
            # the other end closed with something unread; what it sent before can still be read
            try:
                return self.sock.recv(_PIECE + 1)
            except ConnectionResetError:
                return b""

    def _take(self, found: list[Any]) -> None:
        data = b"".join(self._parts)
        self._parts.clear()
        try:
            found.append(pickle.loads(data))  # noqa: S301 - from our own child or parent
        except (pickle.UnpicklingError, ImportError, AttributeError, TypeError, ValueError, LookupError, EOFError):
            self.undecodable += 1


def pair(kept: tuple[type, ...] = KEPT) -> tuple[Channel, Channel]:
    """The supervisor's end and the child's; what is not ``kept`` may be dropped when it is read too slowly."""
    parents, childs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Channel(parents), Channel(childs, droppable=lambda message: not isinstance(message, kept))
