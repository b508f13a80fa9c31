# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that opens TCP connections at a steady rate: steady_client.py ADDRESS PORT INTERVAL_S TIMEOUT_S.

It runs until standard input ends, then prints a JSON list: for each attempt [Unix time of its start, seconds it took,
why it failed or ""]. Only the handshake counts: a connection that is established is reset at once. An attempt that
takes longer than TIMEOUT_S has failed; below one second, that is one whose first SYN was lost.
"""

from __future__ import annotations

import errno
import json
import select
import socket
import struct
import sys
import time

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: no TIME_WAIT that would use up the ports


def begun(address: str, port: int) -> socket.socket | str:
    """A connection on its way, or why not."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    code = sock.connect_ex((address, port))
    if code in (0, errno.EINPROGRESS):
        return sock
    sock.close()
    return errno.errorcode[code]


def main() -> None:
    address, port, interval_s, timeout_s = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    attempts: list[tuple[float, float, str]] = []
    pending: dict[int, tuple[socket.socket, float]] = {}
    epoll = select.epoll()
    epoll.register(sys.stdin, select.EPOLLIN)

    def ended(descriptor: int, why: str) -> None:
        sock, start = pending.pop(descriptor)
        epoll.unregister(sock)
        sock.close()
        attempts.append((start, time.time() - start, why))

    due, more = time.monotonic(), True
    while more or pending:
        for descriptor, _events in epoll.poll(min(max(0.0, due - time.monotonic()), 0.1)):
            if descriptor == sys.stdin.fileno():
                more = False
                epoll.unregister(sys.stdin)
                continue
            code = pending[descriptor][0].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            ended(descriptor, errno.errorcode[code] if code else "")
        while more and due <= time.monotonic():
            due += interval_s
            start, sock = time.time(), begun(address, port)
            if isinstance(sock, str):
                attempts.append((start, 0.0, sock))
            else:
                pending[sock.fileno()] = (sock, start)
                epoll.register(sock, select.EPOLLOUT)
        for descriptor in [one for one, (_sock, start) in pending.items() if time.time() - start > timeout_s]:
            ended(descriptor, "timeout")
        if not more:
            due = time.monotonic() + 0.01
    json.dump(sorted(attempts), sys.stdout)


if __name__ == "__main__":
    main()
