# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DNS_CHECK: a name server answers a question, with RCODE 0 (RFC 1035).

As keepalived 2.2.7: an answer without records is good too, one with TC set likewise; what is too short, has another
identifier or is no answer is ignored until the time is over. Beyond that the answer must repeat the question, if it
has one (RFC 5452 section 9.1).
"""

from __future__ import annotations

import struct

from .attempt import Outcome, Tools
from .datagram import UP, Asking
from .plan import DnsCheck, Timing

_HEADER = struct.Struct("!6H")
_QUESTION = struct.Struct("!HH")
_IN = 1
_RECURSION_DESIRED = 0x0100
_IS_ANSWER = 0x8000
_RCODE = 0x000F
_LONGEST_LABEL, _LONGEST_NAME = 63, 255  # RFC 1035 section 2.3.4
# RFC 1035 section 4.1.1, RFC 2136 section 2.2
_RCODES = {
    1: "FORMERR",
    2: "SERVFAIL",
    3: "NXDOMAIN",
    4: "NOTIMP",
    5: "REFUSED",
    6: "YXDOMAIN",
    7: "YXRRSET",
    8: "NXRRSET",
    9: "NOTAUTH",
    10: "NOTZONE",
}


class BadName(ValueError):
    """A name that no DNS message can have; ``str()`` says why."""


def question(name: str, qtype: int) -> bytes:
    """The question section: a name, "." for the root, with or without its last dot. Raises BadName."""
    bare = name[:-1] if name.endswith(".") else name
    wire = bytearray()
    for label in bare.encode(errors="surrogateescape").split(b".") if bare else ():
        if not label:
            raise BadName(f"{name} has an empty label")
        if len(label) > _LONGEST_LABEL:
            raise BadName(f"{name} has a label of {len(label)} bytes; the longest is {_LONGEST_LABEL}")
        wire.append(len(label))
        wire += label
    wire.append(0)
    if len(wire) > _LONGEST_NAME:
        raise BadName(f"{name} is too long: {len(wire)} bytes in a message; the longest is {_LONGEST_NAME}")
    return bytes(wire) + _QUESTION.pack(qtype, _IN)


def query(ident: int, asked: bytes) -> bytes:
    """A message with one question, and recursion desired."""
    return _HEADER.pack(ident, _RECURSION_DESIRED, 1, 0, 0, 0) + asked


def judge(data: bytes, ident: int, asked: bytes) -> Outcome | None:
    """What a datagram says about a server that was asked; None when it is not its answer."""
    if len(data) < _HEADER.size:
        return None
    got, flags, questions, _answers, _authorities, _more = _HEADER.unpack_from(data)
    if got != ident or not flags & _IS_ANSWER:
        return None
    repeated = data[_HEADER.size : _HEADER.size + len(asked)]
    # letters of either case are equal (RFC 4343); what bytes.lower() takes for letters in type and class are none
    if questions and repeated.lower() != asked.lower():
        return None
    rcode = flags & _RCODE
    return Outcome(False, f"the answer is {_RCODES.get(rcode, f'RCODE {rcode}')}") if rcode else UP


class DnsAttempt(Asking):
    """One DNS_CHECK."""

    __slots__ = ("_asked", "_check", "_ident")
    room = _HEADER.size + _LONGEST_NAME + _QUESTION.size

    def __init__(self, check: DnsCheck, timing: Timing, tools: Tools) -> None:
        Asking.__init__(self, check.endpoint, timing.timeout_ns, tools)
        self._check = check
        self._ident = tools.random.getrandbits(16)
        self._asked = b""

    def start(self, now_ns: int) -> None:
        """Ask."""
        try:
            self._asked = question(self._check.name, self._check.qtype)
        except BadName as bad:
            self.over(str(bad))
            return
        Asking.start(self, now_ns)

    def request(self) -> bytes:
        """The query."""
        return query(self._ident, self._asked)

    def judge(self, data: bytes) -> Outcome | None:
        """Whether it is the answer, and a good one."""
        return judge(data, self._ident, self._asked)
