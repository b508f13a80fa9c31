# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes over the control socket: one JSON object a line, a request and its answer.

    {"version": 1, "verb": "events", "arguments": {"number": 20}}
    {"version": 1, "ok": true, "result": {...}}
    {"version": 1, "ok": false, "error": {"code": "unknown_instance", "what": "...", "instead": "..."}}

A client may send one request after the other; they are answered in order.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

VERSION = 1
#: Bytes of a request's line.
LONGEST_REQUEST = 16_384
#: Bytes of an answer's line; that of 1,000 instances has two million.
LONGEST_ANSWER = 32 << 20
SOCKET = "/run/lvs-agent/control.sock"


class Refused(Exception):
    """A request that is not carried out. ``code`` is for programs; ``what`` is wrong, ``instead`` what to do."""

    def __init__(self, code: str, what: str, instead: str = "") -> None:
        super().__init__(f"{what}; {instead}" if instead else what)
        self.code = code
        self.what = what
        self.instead = instead


class Request(NamedTuple):
    """What a client asks."""

    verb: str
    arguments: dict[str, Any]


def pack_request(verb: str, arguments: dict[str, Any]) -> bytes:
    """A request's line."""
    return _line({"version": VERSION, "verb": verb, "arguments": arguments})


def parse_request(line: bytes) -> Request:
    """The request in a line. Raises Refused."""
    try:
        said: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Refused("bad_request", "the line is not JSON", "send one JSON object a line") from error
    if not isinstance(said, dict) or not isinstance(said.get("verb"), str):
        raise Refused("bad_request", "the line is no request", 'send {"version": 1, "verb": "status"}')
    if said.get("version") != VERSION:
        what = f"version {said.get('version')!r} of the control protocol is not spoken here"
        raise Refused("bad_version", what, f"use version {VERSION}: lvsctl of the version that runs")
    arguments = said.get("arguments", {})
    if not isinstance(arguments, dict):
        raise Refused("bad_request", "arguments are no object", 'send "arguments": {}')
    return Request(said["verb"], arguments)


def pack_result(result: dict[str, Any]) -> bytes:
    """The line of an answer to a request that was carried out."""
    return _line({"version": VERSION, "ok": True, "result": result})


def pack_refusal(refused: Refused) -> bytes:
    """The line of an answer to one that was not."""
    error = {"code": refused.code, "what": refused.what, "instead": refused.instead}
    return _line({"version": VERSION, "ok": False, "error": error})


def parse_answer(line: bytes) -> dict[str, Any]:
    """The result in an answer's line. Raises Refused, also for what is no answer."""
    try:
        said: Any = json.loads(line)
        if said["ok"]:
            return dict(said["result"])
        error = said["error"]
        refused = Refused(str(error["code"]), str(error["what"]), str(error.get("instead", "")))
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise Refused("bad_answer", "the daemon's answer is none", "is it an lvs-agent that listens there?") from error
    raise refused


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
