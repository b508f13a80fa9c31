# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control socket: a Unix socket where ``lvsctl`` and other programs of this host ask and tell the daemon.

It never disturbs the daemon: nothing waits, and the number of clients, the length of what they say, the time they
take to say it and to read their answer, and the answers that wait to be read are bounded. Who may connect is decided by
the socket file's owner, group and mode; one user of that group cannot keep root and the others out. When there is no
room, the client that has said nothing for the longest time makes it.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import selectors
import socket
import struct
import time
from typing import TYPE_CHECKING, Any, Union

from .protocol import LONGEST_ANSWER, LONGEST_REQUEST, Refused, pack_refusal, pack_result, parse_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from .protocol import Request

_log = logging.getLogger(__name__)
_NEVER = 1 << 63
_SECOND = 1_000_000_000
_MOST_CLIENTS = 256
_ACCEPTED_AT_ONCE = 32
_BACKLOG = 128
_MOST_OF_A_USER = 16
_MOST_UNREAD = 2 * LONGEST_ANSWER
_READ = 4096
_IDLE_NS = 60 * _SECOND
_SLOW_NS = 10 * _SECOND
_ANSWER_NS = 60 * _SECOND  # for one that is read, but slowly
_AGAIN_NS = _SECOND  # until accept(2) is tried again without descriptors or memory
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_UCRED = struct.Struct("=iII")  # struct ucred: pid, uid, gid (unix(7))
_MODE = 0o660

Answer = Union[dict[str, Any], Refused]


class ControlSocket:
    """The listening socket at ``path`` and its clients; a source of the supervisor's loop.

    ``answer(request, who, reply)`` is called for each request; it calls ``reply`` once, now or later, with the result
    or a Refused, or raises one. ``who`` is the client's user and process in words. ``group`` is a number, -1 for the
    daemon's own. Raises OSError.
    """

    def __init__(
        self,
        path: str,
        group: int,
        answer: Callable[[Request, str, Callable[[Answer], None]], None],
        most_clients: int = _MOST_CLIENTS,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.path = path
        self._answer = answer
        self._most_clients = most_clients
        self._clock = clock
        self._again_ns = _NEVER  # when to accept again
        self._exhausted = ""
        self._clients: dict[int, _Client] = {}
        self._socket = _listen(path, group)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._accepting = True

    def fileno(self) -> int:
        """Readable when a client connects, says something, or can be told more."""
        return self._selector.fileno()

    def deadline_ns(self) -> int:
        """When the first client has taken too long, or there may be descriptors again."""
        return min((self._again_ns, *(client.deadline_ns for client in self._clients.values())))

    def handle(self, now_ns: int) -> None:
        """Accept, read, answer, write, and end those who take too long."""
        if now_ns >= self._again_ns:
            self._again_ns = _NEVER
            self._room()
        ready = self._selector.select(0)
        # who has said something is not the one that makes room for others
        for key, events in ready:
            if key.fileobj is not self._socket:
                self._serve(key.data, events, now_ns)
        if any(key.fileobj is self._socket for key, _events in ready):
            # some at once: who floods the socket must not keep those behind waiting
            for _client in range(_ACCEPTED_AT_ONCE):
                if not self._accept(now_ns):
                    break
        for client in [one for one in self._clients.values() if one.deadline_ns <= now_ns]:
            self._end(client)

    def close(self) -> None:
        """End all clients and remove the socket file."""
        for client in list(self._clients.values()):
            self._end(client)
        self._selector.close()
        self._socket.close()
        with contextlib.suppress(OSError):
            os.unlink(self.path)

    def _accept(self, now_ns: int) -> bool:
        """One client; whether there may be another one, and room for it."""
        try:
            connection, _address = self._socket.accept()
        except OSError as error:
            # it went away again, or we are out of descriptors: those who wait are served later
            if error.errno in _EXHAUSTED:
                self._wait_for_descriptors(error, now_ns)
            return False
        self._exhausted = ""
        connection.setblocking(False)
        uid, who = _who(connection)
        if uid and sum(one.uid == uid for one in self._clients.values()) >= _MOST_OF_A_USER:
            connection.close()
            return True
        client = _Client(connection, uid, who, now_ns, now_ns + _IDLE_NS)
        self._clients[connection.fileno()] = client
        self._selector.register(connection, selectors.EVENT_READ, client)
        there_is_room = self._make_room(now_ns)
        self._room()
        return self._accepting and there_is_room

    def _make_room(self, now_ns: int) -> bool:
        """If there is one client too many, end the one that has been idle for the longest time; whether one could be.

        One that was accepted in this turn may have said something that was not read yet: it is one too many until the
        next turn.
        """
        if len(self._clients) <= self._most_clients:
            return True
        idle = [one for one in self._clients.values() if one.idle and one.accepted_ns < now_ns]
        if idle:
            self._end(min(idle, key=lambda one: one.deadline_ns))
        return bool(idle)

    def _wait_for_descriptors(self, error: OSError, now_ns: int) -> None:
        """The listening socket stays readable: to look at it again at once would keep the loop busy."""
        self._again_ns = now_ns + _AGAIN_NS
        self._room()
        if self._exhausted != error.strerror:
            self._exhausted = error.strerror or ""
            _log.error("%s: no client is accepted: %s; once more every second", self.path, error.strerror)

    def _room(self) -> None:
        """While all clients are busy, those beyond the limit wait in the socket's backlog."""
        room = len(self._clients) < self._most_clients or any(one.idle for one in self._clients.values())
        accepting = room and self._again_ns == _NEVER
        if accepting != self._accepting:
            self._accepting = accepting
            if accepting:
                self._selector.register(self._socket, selectors.EVENT_READ)
            else:
                self._selector.unregister(self._socket)

    def _serve(self, client: _Client, events: int, now_ns: int) -> None:
        try:
            if events & selectors.EVENT_READ:
                client.read()
            self._answer_next(client)
            self._write(client, now_ns)
        except OSError:
            self._end(client)

    def _answer_next(self, client: _Client) -> None:
        """One request at a time: the next when the answer to the one before is on its way."""
        line = client.next_line()
        if line is None:
            return
        client.waiting = True
        client.deadline_ns = _NEVER  # it is our turn

        def reply(answer: Answer) -> None:
            now_ns = self._clock()  # the answer's time counts, not the request's
            if client.waiting and not client.ended:
                client.waiting = False
                unread = sum(len(one.output) for one in self._clients.values())
                client.output += _packed(answer, _MOST_UNREAD - unread)
                client.deadline_ns = now_ns + _SLOW_NS
                client.answer_ns = now_ns + _ANSWER_NS
                self._want(client)

        try:
            self._answer(parse_request(line), client.who, reply)
        except Refused as refused:
            reply(refused)
        except Exception:  # noqa: BLE001 - a verb's mistake is one client's, not the daemon's
            _log.exception("a request of %s failed; this is a bug, please report it", client.who)
            reply(Refused("internal", "the request failed in the daemon", "its log says why"))

    def _write(self, client: _Client, now_ns: int) -> None:
        if client.output:
            with contextlib.suppress(BlockingIOError):
                sent = client.connection.send(client.output, socket.MSG_NOSIGNAL)
                del client.output[:sent]
                client.deadline_ns = min(now_ns + _SLOW_NS, client.answer_ns) if client.output else now_ns + _IDLE_NS
        if client.over:
            self._end(client)
            return
        self._want(client)
        # it may be idle now
        self._room()

    def _want(self, client: _Client) -> None:
        """What to wait for. Who has a request unanswered, or an answer unread, is not read from."""
        busy = client.waiting or bool(client.output)
        events = selectors.EVENT_WRITE if client.output or (not busy and client.has_line) else 0
        if not busy and not client.at_end:
            events |= selectors.EVENT_READ
        client.wanted = self._watch(client, events)

    def _watch(self, client: _Client, events: int) -> int:
        if events != client.wanted:
            if not client.wanted:
                self._selector.register(client.connection, events, client)
            elif not events:
                self._selector.unregister(client.connection)
            else:
                self._selector.modify(client.connection, events, client)
        return events

    def _end(self, client: _Client) -> None:
        if client.ended:
            return
        client.ended = True
        client.wanted = self._watch(client, 0)
        del self._clients[client.connection.fileno()]
        client.connection.close()
        self._room()


class _Client:
    """A connection: what it has said and not been answered, and what it has not read."""

    def __init__(self, connection: socket.socket, uid: int, who: str, accepted_ns: int, deadline_ns: int) -> None:
        self.connection = connection
        self.uid = uid
        self.who = who
        self.accepted_ns = accepted_ns
        self.deadline_ns = deadline_ns
        self.answer_ns = _NEVER
        self.output = bytearray()
        self.waiting = False
        self.at_end = False
        self.ended = False
        self.wanted = selectors.EVENT_READ
        self._input = bytearray()

    @property
    def has_line(self) -> bool:
        """Whether a request waits to be answered."""
        return b"\n" in self._input

    @property
    def idle(self) -> bool:
        """Whether it has no request under way, and no answer to read."""
        return not (self.waiting or self.output or self.has_line)

    @property
    def over(self) -> bool:
        """Whether it has said all it will, and read all it gets."""
        return self.at_end and not (self.output or self.waiting or self.has_line)

    def read(self) -> None:
        """Take what it says; no more than a line at a time."""
        with contextlib.suppress(BlockingIOError):
            chunk = self.connection.recv(_READ)
            self.at_end = not chunk
            self._input += chunk

    def next_line(self) -> bytes | None:
        """The next request to answer now; a line that is too long is answered, and is the last."""
        if self.waiting or self.output:
            return None
        line, end, rest = self._input.partition(b"\n")
        if end:
            self._input = rest
            return bytes(line)
        if len(self._input) > LONGEST_REQUEST:
            self._input.clear()
            self.at_end = True
            return b"?"
        return None


def _packed(answer: Answer, room: int) -> bytes:
    if isinstance(answer, Refused):
        return pack_refusal(answer)
    line = pack_result(answer)
    if len(line) > LONGEST_ANSWER:
        return pack_refusal(Refused("too_long", f"the answer has {len(line)} bytes", "ask for less"))
    if len(line) > room:
        return pack_refusal(Refused("busy", "too many clients do not read their answers", "ask again in a moment"))
    return line


def _listen(path: str, group: int) -> socket.socket:
    """Listen at ``path``. The file appears with its mode and group, and replaces one that was left over."""
    draft = f"{path}.{os.getpid()}"
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    former = os.umask(0o177)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        listening.bind(draft)
        if group >= 0:
            os.chown(draft, -1, group)
        os.chmod(draft, _MODE)
        listening.listen(_BACKLOG)
        os.replace(draft, path)
    except OSError:
        listening.close()
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise
    finally:
        os.umask(former)
    return listening


def _who(connection: socket.socket) -> tuple[int, str]:
    """The user and process at the other end (SO_PEERCRED), also in words; names would ask a directory service."""
    pid, uid, _gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return uid, f"{'root' if uid == 0 else f'user {uid}'} (process {pid})"
