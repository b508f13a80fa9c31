# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other end of the control socket: ask the daemon one thing."""

from __future__ import annotations

import grp
import os
import socket
import time
from typing import Any

from .protocol import LONGEST_ANSWER, pack_request, parse_answer

_READ = 1 << 16
_FULL_SECONDS = 0.01


class Unreachable(Exception):
    """No answer. ``code`` is "not_running", "denied" or "no_answer"; ``what`` is wrong, ``instead`` what to do."""

    def __init__(self, code: str, what: str, instead: str) -> None:
        super().__init__(f"{what}; {instead}")
        self.code = code
        self.what = what
        self.instead = instead


def ask(path: str, verb: str, arguments: dict[str, Any], wait_seconds: float) -> dict[str, Any]:
    """The daemon's result. Raises protocol.Refused, and Unreachable when there is no answer within the time."""
    end = time.monotonic() + wait_seconds
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.settimeout(wait_seconds)
            _connect(connection, path, end)
            connection.sendall(pack_request(verb, arguments))
            line = _line(connection, end)
        except PermissionError as error:
            raise Unreachable("denied", f"{path}: you may not connect", _who_may(path)) from error
        except FileNotFoundError as error:
            raise Unreachable("not_running", f"{path} is not there: lvs-agent does not run", _START) from error
        except ConnectionRefusedError as error:
            what = f"nobody listens at {path}: lvs-agent has died, or is about to start"
            raise Unreachable("not_running", what, _START) from error
        except (TimeoutError, socket.timeout) as error:
            what = f"lvs-agent did not answer within {wait_seconds:g} s"
            raise Unreachable("no_answer", what, "give --wait, or look into `journalctl -u lvs-agent`") from error
        except OSError as error:
            raise Unreachable("not_running", f"{path}: {error.strerror or error}", _START) from error
    if not line.endswith(b"\n"):
        what = "lvs-agent closed the connection before it answered"
        raise Unreachable("no_answer", what, "ask again; `journalctl -u lvs-agent` says why it ended")
    return parse_answer(line)


_START = "look at `systemctl status lvs-agent`, start it, or name another --socket"


def _connect(connection: socket.socket, path: str, end: float) -> None:
    """Connect; others may stand in front of us."""
    while True:
        try:
            connection.connect(path)
        except BlockingIOError as error:
            if time.monotonic() >= end:
                raise TimeoutError from error
            time.sleep(_FULL_SECONDS)
        else:
            return


def _line(connection: socket.socket, end: float) -> bytes:
    found = bytearray()
    while not found.endswith(b"\n") and len(found) <= LONGEST_ANSWER:
        connection.settimeout(max(0.001, end - time.monotonic()))
        chunk = connection.recv(_READ)
        if not chunk:
            break
        found += chunk
    return bytes(found)


def _who_may(path: str) -> str:
    """What to do about a socket one may not use."""
    try:
        number = os.stat(path).st_gid
        group = grp.getgrgid(number).gr_name
    except (OSError, KeyError):
        return "ask as root"
    return "ask as root" if number == 0 else f"ask as root, or as a member of the group {group}"
