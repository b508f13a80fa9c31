# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What SMTP_CHECK says and hears (RFC 5321): bytes in, in pieces of any size, bytes out; pure.

As in keepalived: 220, HELO, 250, QUIT, 221. Answers of several lines, which keepalived 2.2.7 takes for bad ones, are
good.
"""

from __future__ import annotations

import re

from .http_answer import shown

#: Bytes of one answer with all its lines.
MOST_BYTES = 16384
# RFC 5321 section 4.2: the code, and a hyphen on all lines but the last
_LINE = re.compile(rb"([2-5][0-9]{2})(?:([- ])[^\r\n]*)?\r?\Z")


class Dialogue:
    """One conversation. ``why`` is what went wrong, "" while nothing did; ``done`` when it is over."""

    def __init__(self, helo_name: str) -> None:
        self.done = False
        self.why = ""
        helo = b"HELO " + helo_name.encode("utf-8", "surrogateescape") + b"\r\n"
        # what it has to answer, to what, and what we say then
        self._steps = [(220, "the greeting", helo), (250, "HELO", b"QUIT\r\n"), (221, "QUIT", b"")]
        self._buffer = bytearray()
        self._code = b""  # of the lines before, in an answer of several
        self._bytes = 0  # of the present answer

    def feed(self, data: bytes) -> bytes:
        """Some more bytes; what to say to them."""
        self._buffer += data
        said = b""
        while not self.done:
            end = self._buffer.find(b"\n")
            if self._bytes + (end if end >= 0 else len(self._buffer)) > MOST_BYTES:
                self._fail(f"more than {MOST_BYTES} bytes came as {self._what()}")
            if end < 0 or self.done:
                break
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._bytes += end + 1
            said += self._line(line)
        return said

    def end(self) -> None:
        """The connection has ended."""
        if not self.done:
            self._fail(f"the connection was closed before {self._what()} came")

    def waiting_for(self) -> str:
        """What has to come."""
        return "" if self.done else f"{self._what()} did not come"

    def _what(self) -> str:
        what = self._steps[0][1]
        return what if what == "the greeting" else f"the answer to {what}"

    def _line(self, line: bytes) -> bytes:
        """One line of an answer; what we say to the last of them."""
        expected, what, reply = self._steps[0]
        match = _LINE.match(line)
        if match is None or (self._code and match[1] != self._code):
            self._fail(f"it does not speak SMTP: {shown(line)} came as {self._what()}")
            return b""
        if int(match[1]) != expected:
            self._fail(f"{shown(line.rstrip())} came as {self._what()}, expected {expected}")
            return b""
        if match[2] == b"-":
            self._code = match[1]
            return b""
        self._code, self._bytes = b"", 0
        del self._steps[0]
        self.done = not self._steps
        if self._buffer and not self.done:
            # it cannot know what we are going to say
            self._fail(f"it answered before it was asked: {shown(self._buffer)} came after {what}")
            return b""
        return reply

    def _fail(self, why: str) -> None:
        self.why, self.done = why, True
