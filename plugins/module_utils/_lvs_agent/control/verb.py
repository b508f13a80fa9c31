# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A verb of the control socket: what ``lvsctl`` asks, what the daemon answers, and how that is shown.

Adding one: a module with a subclass of :class:`Verb`, and its line in :mod:`.verbs`.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Protocol, Union

from .protocol import SOCKET, Refused

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence

    from ..lvs.messages import ToLvs
    from ..vrrp.messages import Status
    from .events import Events

    Answer = Union[dict[str, Any], Refused]
    Reply = Callable[[Answer], None]

GOOD = 0
WRONG = 1
NOT_RUNNING = 3
DENIED = 4
BAD_CONFIGURATION = 5
WAIT_SECONDS = 10
EXIT_STATUS = """
Exit status: 0, all is well; 1, something is wrong, or the daemon refused; 2, wrong usage; 3, the daemon does not run or
does not answer; 4, you may not use its socket; 5, the configuration has errors."""


class Daemon(Protocol):
    """What verbs know of the daemon. A ``reply`` is called once, now or later."""

    events: Events

    def overview(self) -> dict[str, Any]:
        """The daemon itself, as plain values for JSON."""

    def ask_vrrp(self, reply: Callable[[Status | None], None]) -> None:
        """The VRRP process's status; None when it does not answer in time."""

    def reload(self, who: str, reply: Reply, *, allow_empty: bool = ...) -> None:
        """Read the configuration again; ``allow_empty``: one without anything to serve is taken, too."""

    def ask_lvs(self, make: Callable[[int], ToLvs], reply: Reply, limit_ns: int = ...) -> None:
        """A question to the LVS process, whose number ``make`` gets. Raises Refused."""

    def order_lvs(self, make: Callable[[int], ToLvs], what: str, who: str, reply: Reply, limit_ns: int) -> None:
        """The same for an order, which is written down. Raises Refused."""

    def read_lvs(self, done: Callable[[bytes | None, Sequence[str]], None]) -> None:
        """What the file says now for the LVS process, None and the errors when it has some."""

    def hand_over(self, name: str | None, who: str, reply: Reply) -> None:
        """Give mastership of an instance, of a sync group, or of all away. Raises Refused."""

    def release(self, name: str | None, who: str) -> dict[str, Any]:
        """Forget a hand-over. Raises Refused."""


class Verb:
    """One verb. ``lvsctl`` runs it like any other of its verbs."""

    NAME = ""
    HELP = ""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """The options all verbs of the daemon have."""
        parser.add_argument("--socket", metavar="PATH", default=SOCKET, help="the control socket; %(default)s")
        parser.add_argument(
            "--wait", metavar="SECONDS", type=_seconds, default=WAIT_SECONDS, help="for the answer; %(default)s"
        )
        parser.add_argument("--json", action="store_true", help="one JSON object, for programs")

    def arguments(self, options: argparse.Namespace) -> dict[str, Any]:
        """The request's arguments."""
        del options
        return {}

    def answer(self, daemon: Daemon, arguments: dict[str, Any], who: str, reply: Reply) -> None:
        """In the daemon: call ``reply`` once, or raise Refused. ``who`` asked."""
        raise NotImplementedError

    def show(self, result: dict[str, Any]) -> Iterable[str]:
        """The result as lines for people."""
        raise NotImplementedError

    def exit_status(self, result: dict[str, Any]) -> int:
        """Whether all is well."""
        del result
        return GOOD

    def run(self, options: argparse.Namespace) -> int:
        """In ``lvsctl``: ask, show, and the exit status."""
        from . import client  # the daemon has verbs too, and never asks

        try:
            result = client.ask(options.socket, self.NAME, self.arguments(options), options.wait)
        except client.Unreachable as error:
            _complain(options, self.NAME, error.code, error.what, error.instead)
            return DENIED if error.code == "denied" else NOT_RUNNING
        except Refused as refused:
            _complain(options, self.NAME, refused.code, refused.what, refused.instead)
            return WRONG
        if options.json:
            sys.stdout.write(json.dumps(result, indent=1) + "\n")
        else:
            sys.stdout.writelines(f"{line}\n" for line in self.show(result))
        return self.exit_status(result)


def text_argument(arguments: dict[str, Any], key: str) -> str | None:
    """An optional text of a request. Raises Refused."""
    value = arguments.get(key)
    if value is not None and not isinstance(value, str):
        raise Refused("bad_argument", f"{key} is no text", "leave it out, or give a name")
    return value


def number_argument(arguments: dict[str, Any], key: str, default: int, most: int) -> int:
    """An optional number from 1 to ``most``. Raises Refused."""
    value = arguments.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise Refused("bad_argument", f"{key} is {value!r}", f"give a number from 1 to {most}")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 3600:
        from argparse import ArgumentTypeError

        raise ArgumentTypeError("a number of seconds above 0, at most 3600")
    return value


def _complain(options: argparse.Namespace, name: str, code: str, what: str, instead: str) -> None:
    if options.json:
        sys.stdout.write(json.dumps({"error": {"code": code, "what": what, "instead": instead}}, indent=1) + "\n")
    advice = f"; {instead}" if instead else ""
    sys.stderr.write(f"lvsctl {name}: {what}{advice}\n")
