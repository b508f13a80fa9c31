# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP_GET and SSL_GET: all pages of a check, one after the other, in each run.

keepalived asks for one page every ``delay_loop``; here a failure of any page is seen by the next run, and at start and
recovery there is no delay between pages, ``fast_recovery`` or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import sockets
from .attempt import ERROR, READ, WRITE, NotNow, Outcome, Tools
from .http_answer import MOST_KEPT, Answer, BadAnswer
from .plan import HttpCheck, Timing, UrlPlan
from .search import Answer as Found
from .search import Question, Search
from .tcp import Connecting

if TYPE_CHECKING:
    from .tls import Session

_READ = 65536
_AGENT = "lvs-agent"
_SEARCH_AGAIN_NS = 1_000_000_000


class HttpAttempt(Connecting):
    """One run. Each page has a connection of its own, as with keepalived."""

    __slots__ = ("_answer", "_at", "_check", "_got", "_out", "_search", "_tls", "_tools")

    def __init__(self, check: HttpCheck, timing: Timing, tools: Tools) -> None:
        Connecting.__init__(self, check.endpoint, timing.timeout_ns, tools)
        self._check = check
        self._tools = tools
        self._search: Search | None = None
        self._at = 0  # which page
        self._answer: Answer | None = None
        self._tls: Session | None = None
        self._out = b""  # bytes still to be sent
        self._got = 0  # bytes that came for this page

    def connected(self, now_ns: int) -> None:
        """Connected: say what we want."""
        url = self._url
        self._answer = Answer(bool(url.digest), bool(url.regex), body=url.method != "HEAD")
        self._got = 0
        self._again(now_ns)
        if self._check.tls is None:
            self._out = request(self._check, url)
            self._write()
            return
        # only who has an SSL_GET needs it
        from . import tls

        try:
            self._tls = tls.Session(self._check.tls, url.server_name, sockets.text(self._check.endpoint.address))
            self._tls_step()
        except tls.TlsFailure as failed:
            self._bad(str(failed))

    def ready(self, now_ns: int, events: int) -> None:
        """The next step, whichever it is."""
        if self._answer is None:
            Connecting.ready(self, now_ns, events)
            return
        self._again(now_ns)
        if self._out and events & (WRITE | ERROR):
            self._write()
        if self.outcome is None and events & ~WRITE:
            self._read(now_ns)

    def waiting_for(self) -> str:
        """What it is waiting for."""
        if self._answer is None:
            return "not connected"
        if self._search is not None:
            return "the search for the regular expression is not over"
        if self._tls is not None and not self._tls.established:
            return "connected, " + ("TLS handshake not over" if self._got else "nothing came of a TLS handshake")
        if self._out:
            return "connected, the request is not sent"
        if not self._answer.status:
            return f"connected, {self._got} bytes came" if self._got else "connected, nothing came"
        return f"status {self._answer.status}, {self._answer.length} bytes of the page came"

    @property
    def _url(self) -> UrlPlan:
        return self._check.urls[self._at]

    def _again(self, now_ns: int) -> None:
        """The time-out is for each step."""
        self.deadline_ns = now_ns + self._timeout_ns

    def _bad(self, why: str) -> None:
        """It failed; which page, when there are several."""
        self._over(f"{self._url.path}: {why}" if len(self._check.urls) > 1 else why)

    def expired(self, now_ns: int) -> None:
        """Nothing happened in time. Raises NotNow when that was because of searches of other checks."""
        if self._search is not None and not self._search.begun:
            raise NotNow("the regular expressions of other checks take too long; write simpler ones", _SEARCH_AGAIN_NS)
        Connecting.expired(self, now_ns)
        if self.outcome is not None:
            self._bad(self.outcome.why)

    def _write(self) -> None:
        """Send what there is to send, as far as the kernel takes it."""
        try:
            sent = self._sock.send(self._out) if self._sock is not None else 0
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._bad(f"{sockets.said(error)} when the request was sent")
            return
        self._out = self._out[sent:]
        self.events = READ | WRITE if self._out else READ

    def _read(self, now_ns: int) -> None:
        try:
            data = self._sock.recv(_READ) if self._sock is not None else b""
        except BlockingIOError:
            return
        except OSError as error:
            self._bad(f"{sockets.said(error)}: {self.waiting_for()}")
            return
        self._got += len(data)
        try:
            self._received(data)
        except BadAnswer as bad:
            self._bad(str(bad))
        if self._answer is not None and self._answer.done and self.outcome is None:
            self._judge(self._answer, now_ns)

    def _received(self, data: bytes) -> None:
        """Bytes of the wire; b"" at their end. Raises BadAnswer."""
        answer = self._answer
        if answer is None:
            return
        if self._tls is None:
            if data:
                answer.feed(data)
            else:
                answer.end()
            return
        from . import tls

        self._tls.received(data)
        try:
            self._tls_step()
        except tls.TlsFailure as failed:
            self._bad(str(failed))

    def _tls_step(self) -> None:
        """Handshake, request, answer: whatever can be done now. Raises TlsFailure and BadAnswer."""
        session, answer = self._tls, self._answer
        if session is None or answer is None:
            return
        try:
            if not session.established:
                if not session.advance():
                    return
                session.send(request(self._check, self._url))
            while not answer.done:
                data = session.read()
                if data:
                    answer.feed(data)
                    continue
                if session.ended:
                    answer.end()
                break
            if answer.done and self._check.tls is not None and self._check.tls.compliant:
                session.close()
        finally:
            # an alert too, when it failed
            self._out += session.outgoing()
            if self._out and self.outcome is None:
                self._write()

    def close(self) -> None:
        """Close the connection, and wait for no search."""
        if self._search is not None and self._tools.searches is not None:
            self._tools.searches.forget(self._search)
            self._search = None
        Connecting.close(self)

    def _judge(self, answer: Answer, now_ns: int) -> None:
        """The page is here: is it good?"""
        url = self._url
        why = judged(url, answer)
        if why:
            self._bad(why)
        elif url.regex:
            self._search_for(url, answer, now_ns)
        else:
            self._next(now_ns)

    def _search_for(self, url: UrlPlan, answer: Answer, now_ns: int) -> None:
        """Have the page searched for the regular expression; the connection is not needed for that."""
        searches = self._tools.searches
        if searches is None:
            self._bad("regular expressions are not searched for here")
            return
        self._tools.leave(self.fd)
        self.close()
        self._again(now_ns)
        endpoint = self._check.endpoint
        question = Question(url.regex, url.regex_flags, bytes(answer.body), url.min_offset, url.max_offset)
        self._search = searches.begin((endpoint.address, endpoint.port, url.path), question, self._found)

    def _found(self, found: Found, now_ns: int) -> None:
        """The search is over."""
        self._search = None
        why = found.why or (searched(self._url, self._answer, found) if self._answer is not None else "")
        if why:
            self._bad(why)
        else:
            self._next(now_ns)
        self._tools.look(self)

    def _next(self, now_ns: int) -> None:
        """The page is good: ask for the next one."""
        if self._at + 1 == len(self._check.urls):
            self.outcome = Outcome(True)
            return
        if self.fd >= 0:
            self._tools.leave(self.fd)
            self.close()
        self._at += 1
        self._answer, self._tls, self._out = None, None, b""
        self.events = WRITE
        self.start(now_ns)
        if self.outcome is not None:
            self._bad(self.outcome.why)


def request(check: HttpCheck, url: UrlPlan) -> bytes:
    """What is sent, with keepalived's headers."""
    host = url.host
    if not host:
        text = sockets.text(check.endpoint.address)
        host = f"[{text}]:{check.endpoint.port}" if check.endpoint.family == 6 else f"{text}:{check.endpoint.port}"
    close = ("Connection: close",) if check.protocol != "1.0" else ()
    version = "1.1" if check.protocol == "1.1" else "1.0"
    agent = () if any(_is(line, "user-agent") for line in url.headers) else (f"User-Agent: {_AGENT}",)
    own = [*agent, *close, f"Host: {host}"]
    if url.method == "POST":
        own.append("Content-Length: 0")
    if url.authorization:
        own.append(f"Authorization: {url.authorization}")
    lines = [f"{url.method} {url.path} HTTP/{version}", *own, *url.headers, "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def _is(header: str, name: str) -> bool:
    return header.partition(":")[0].lower() == name


def judged(url: UrlPlan, answer: Answer) -> str:
    """What is wrong with a page before it is searched, "" for nothing."""
    if not any(low <= answer.status <= high for low, high in url.statuses):
        expected = " ".join(str(low) if low == high else f"{low}-{high}" for low, high in url.statuses)
        return f"status {answer.status}, expected {expected}"
    if url.digest and not answer.has_digest(url.digest):
        return f"the page's MD5 is {answer.hexdigest()}, expected {url.digest.hex()}"
    return ""


def searched(url: UrlPlan, answer: Answer, found: Found) -> str:
    """What is wrong with a page after it was searched, "" for nothing."""
    if found.matches is not url.regex_no_match:
        return ""
    kept = len(answer.body)
    where = f" in its first {kept} bytes, which are all that is searched" if kept >= MOST_KEPT else ""
    return f"the page {'matches' if found.matches else 'does not match'} {url.regex}{where}"
