# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An HTTP answer, read as it comes (RFC 9112): bytes in, in pieces of any size; pure.

What a server may send is bounded. A body ends as the answer says, or with the connection.
"""

from __future__ import annotations

import re
from typing import Any

try:
    # Python's own: hashlib loads OpenSSL, some megabytes
    from _md5 import md5
except ImportError:
    from hashlib import md5

#: Bytes of the status line and the headers together, of interim answers too.
MOST_HEADERS = 65536
#: Bytes of a page that are kept, for a regular expression; without a digest no more of it is read.
MOST_KEPT = 128 << 10
#: Bytes of a page that are read for a digest.
MOST_BODY = 16 << 20
_MOST_CHUNK_LINE = 1024
_STATUS = re.compile(rb"HTTP/1\.[0-9] +([1-5][0-9]{2})(?: |\Z)")
_BEGINNING = b"HTTP/1."
_END_OF_HEADERS = re.compile(rb"\n\r?\n")
_LENGTH = re.compile(rb"[0-9]{1,18}\Z")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;|\Z)")
_SWITCHING = 101
_WITHOUT_BODY = (_SWITCHING, 204, 304)  # RFC 9112 section 6.3
_MOST_SHOWN = 40


class BadAnswer(Exception):
    """This is no HTTP, or no end of it; ``str()`` says what came."""


class Answer:
    """``done`` when it is complete, or as much of it as anybody looks at.

    ``status`` is 0 until the headers are complete. ``body`` is the first MOST_KEPT bytes of the page when ``keep``,
    ``length`` how many have come. Without ``body`` it is the answer to HEAD.
    """

    def __init__(self, digest: bool = False, keep: bool = False, body: bool = True) -> None:
        self.status = 0
        self.done = False
        self.length = 0
        self.body = bytearray()
        self._keep = keep
        self._bodiless = not body
        self._digest: Any = md5() if digest else None
        self._raw: Any = None
        self._head = bytearray()
        self._searched = 0
        self._interim = 0  # bytes of interim answers
        self._left: int | None = None  # of the body; None until the connection ends
        self._chunks: Chunks | None = None

    def feed(self, data: bytes) -> None:
        """Some more bytes. Raises BadAnswer."""
        if self.done:
            return
        if not self.status:
            self._head += data
            self._read_head()
        elif self._chunks is not None:
            if self._raw is not None:
                self._raw.update(data)
            self._take(self._chunks.feed(data))
            if self._chunks.done:
                self.done = True
        else:
            self._take_plain(data)

    def end(self) -> None:
        """The connection has ended. Raises BadAnswer when the answer has not."""
        if self.done:
            return
        if not self.status:
            came = f"after {shown(self._head)}" if self._head else "before anything came"
            raise BadAnswer(f"the connection was closed {came}")
        if self._chunks is not None:
            raise BadAnswer("the connection was closed before the last chunk of the page")
        if self._left is not None:
            raise BadAnswer(f"the connection was closed {self._left} bytes before the end of the page")
        self.done = True

    def has_digest(self, digest: bytes) -> bool:
        """Whether the page has this MD5. keepalived counts a page in chunks with their sizes, which is good too."""
        return any(one is not None and one.digest() == digest for one in (self._digest, self._raw))

    def hexdigest(self) -> str:
        """The MD5 of the page."""
        return str(self._digest.hexdigest()) if self._digest is not None else ""

    def _read_head(self) -> None:
        """Read status and headers, if they are complete; interim answers (1xx) are passed over."""
        while not self.status:
            match = _END_OF_HEADERS.search(self._head, max(0, self._searched - 2))
            size = match.end() if match is not None else len(self._head)
            if self._interim + size > MOST_HEADERS:
                raise BadAnswer(f"more than {MOST_HEADERS} bytes of headers came")
            if match is None:
                self._searched = size
                _begins_as_http(self._head)
                return
            head = bytes(self._head[:size])
            del self._head[:size]
            self._searched = 0
            self._interim += size
            status = _status(head)
            if status >= 200 or status == _SWITCHING:
                self.status = status
                self._frame(_headers(head))

    def _frame(self, headers: dict[bytes, bytes]) -> None:
        """How the body ends, and the first of it."""
        rest = bytes(self._head)
        self._head.clear()
        if self._bodiless or self.status in _WITHOUT_BODY:
            self.done = True
            return
        coding = headers.get(b"transfer-encoding", b"")
        if coding.lower().rpartition(b",")[2].strip() == b"chunked":
            self._chunks = Chunks()
            self._raw = md5() if self._digest is not None else None
        elif not coding and b"content-length" in headers:
            self._left = _content_length(headers[b"content-length"])
        self.feed(rest)

    def _take_plain(self, data: bytes) -> None:
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        self._take(data)
        if self._left == 0:
            self.done = True

    def _take(self, data: bytes) -> None:
        """Some of the page."""
        self.length += len(data)
        if self._keep and len(self.body) < MOST_KEPT:
            self.body += data[: MOST_KEPT - len(self.body)]
        if self._digest is None:
            self.done = self.length >= MOST_KEPT
            return
        if self.length > MOST_BODY:
            raise BadAnswer(f"the page is longer than {MOST_BODY} bytes")
        self._digest.update(data)


class Chunks:
    """The chunks of a body (RFC 9112 section 7.1); ``done`` after the last one and its trailers."""

    def __init__(self) -> None:
        self.done = False
        self._buffer = bytearray()
        self._left = 0  # bytes of the present chunk that have not come
        self._between = False  # the end of line behind a chunk is to come
        self._trailers = -1  # their bytes so far; -1 while there are chunks

    def feed(self, data: bytes) -> bytes:
        """Some more bytes; what there is of the page in them. Raises BadAnswer."""
        self._buffer += data
        page = bytearray()
        while self._buffer and not self.done:
            if self._left:
                piece = self._buffer[: self._left]
                del self._buffer[: len(piece)]
                self._left -= len(piece)
                self._between = not self._left
                page += piece
                continue
            line = self._line()
            if line is None:
                break
            self._read(line)
        return bytes(page)

    def _line(self) -> bytes | None:
        """The next line without its end; None when it is not complete."""
        end = self._buffer.find(b"\n")
        if max(end, len(self._buffer) if end < 0 else 0) > _MOST_CHUNK_LINE:
            raise BadAnswer(f"a chunk of the page begins with {shown(self._buffer)}")
        if end < 0:
            return None
        line = bytes(self._buffer[:end]).rstrip(b"\r")
        del self._buffer[: end + 1]
        return line

    def _read(self, line: bytes) -> None:
        if self._trailers >= 0:
            self._trailers += len(line) + 1
            if self._trailers > MOST_HEADERS:
                raise BadAnswer(f"more than {MOST_HEADERS} bytes of trailers came")
            self.done = not line
            return
        if self._between and not line:
            self._between = False
            return
        match = _CHUNK.match(line)
        if self._between or match is None:
            raise BadAnswer(f"a chunk of the page begins with {shown(line)}")
        self._left = int(match[1], 16)
        if not self._left:
            self._trailers = 0


def shown(data: bytes | bytearray) -> str:
    """The beginning of what a server sent, for people."""
    more = "..." if len(data) > _MOST_SHOWN else ""
    return ascii(bytes(data[:_MOST_SHOWN]))[1:] + more


def _begins_as_http(head: bytearray) -> None:
    if head[: len(_BEGINNING)] != _BEGINNING[: len(head)]:
        raise BadAnswer(f"it does not speak HTTP: {shown(head)} came")


def _status(head: bytes) -> int:
    line = head.partition(b"\n")[0].rstrip(b"\r")
    match = _STATUS.match(line)
    if match is None:
        raise BadAnswer(f"it does not speak HTTP: {shown(line)} came")
    return int(match[1])


def _headers(head: bytes) -> dict[bytes, bytes]:
    """Name in small letters -> value; those of the same name in one list, with commas (RFC 9110 section 5.3)."""
    found: dict[bytes, bytes] = {}
    for line in head.split(b"\n")[1:]:
        name, colon, value = line.partition(b":")
        name = name.strip().lower()
        if colon:
            found[name] = found[name] + b", " + value.strip() if name in found else value.strip()
    return found


def _content_length(said: bytes) -> int:
    values = {one.strip() for one in said.split(b",")}
    value = values.pop()
    if values or _LENGTH.match(value) is None:
        raise BadAnswer(f"its Content-Length is {shown(said)}")
    return int(value)
