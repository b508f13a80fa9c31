# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must survive the daemon's end, but not the host's: who was master, and when that was known last.

/run/lvs-agent/state.json is replaced at each transition, and each time the VRRP process says that it is alive. A
daemon that starts reads it: an instance that was master a moment ago goes on where it was. How long a moment may be
depends on the instance, and is decided by the VRRP process (:class:`..vrrp.messages.Resume`).
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from typing import TYPE_CHECKING, Any

from ..vrrp.actions import State
from ..vrrp.last_adverts import last_adverts
from ..vrrp.messages import Resume, TrackResult
from ..vrrp.plan import Identity, TrackKind
from .files import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..vrrp.messages import Address

_log = logging.getLogger(__name__)
_VERSION = 1
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_LONGEST = 16 << 20


@dataclasses.dataclass(frozen=True)
class Saved:
    """What a file says: the boot it was written in, when the VRRP process was last known to be alive, the states.

    ``alive_ns`` is CLOCK_MONOTONIC, so it means something in the same boot only. ``results`` are the last ones of
    what is tracked: a master is resumed with them, rather than to be in FAULT until each script has ended once.
    ``told``: the state that was notified last, of each instance and each group (True), by name. ``addresses`` and
    ``borrowed`` are what may be left in the kernel, see :mod:`.owned`.
    """

    boot_id: str
    alive_ns: int
    states: Mapping[Identity, State]
    results: tuple[TrackResult, ...] = ()
    told: Mapping[tuple[bool, str], State] = dataclasses.field(default_factory=dict)
    addresses: tuple[Address, ...] = ()
    borrowed: tuple[tuple[str, str], ...] = ()


def boot_id() -> str:
    """The kernel's name of this boot (random(4))."""
    with open(_BOOT_ID, encoding="ascii") as file:
        return file.read().strip()


def resumes(states: Mapping[Identity, State], alive_ns: int, adverts: int) -> tuple[Resume, ...]:
    """Who was master in a process that was alive then, and recorded its adverts in the file ``adverts``.

    The states were told before the process ended, and perhaps not all of them; the record it wrote itself, so what that
    knows counts. One in the middle of a hand-over had resigned already.
    """
    try:
        sent = last_adverts(adverts)
    except OSError:
        sent = {}
    known = [Resume(identity, alive_ns, time) for identity, time in sent.items() if time]
    told = [one for one, state in states.items() if state is State.MASTER and one not in sent]
    return (*known, *(Resume(one, alive_ns) for one in told))


class _Rows:
    """JSON of who is in which state. It is made at each transition, and of hundreds of rows one has changed."""

    def __init__(self) -> None:
        self._rows: list[tuple[object, State, str]] = []
        self.text = "[]"

    def put(self, states: Mapping[Identity, State] | Mapping[tuple[bool, str], State]) -> None:
        known = iter(self._rows)
        self._rows = []
        for who, state in states.items():
            row = next(known, None)
            if row is None or row[0] is not who or row[1] is not state:
                row = (who, state, json.dumps([*who, state.value]))
            self._rows.append(row)
        self.text = f"[{', '.join(text for _who, _state, text in self._rows)}]"


class StateFile:
    """The file at ``path``; it is written by one process only.

    ``left`` is what a file that was read says of the kernel in this boot: addresses, and settings.
    """

    def __init__(self, path: str, this_boot: str) -> None:
        self.path = path
        self._boot_id = this_boot
        self._states = _Rows()
        self._results = "[]"
        self._told = _Rows()
        self._owned = '"addresses": [], "settings": []'
        self.left: tuple[tuple[Address, ...], tuple[tuple[str, str], ...]] = ((), ())
        self._alive_ns = 0
        self._failed = False

    def states(
        self, states: Mapping[Identity, State], told: Mapping[tuple[bool, str], State], alive_ns: int
    ) -> None:
        """Write these states, and what was told of them."""
        self._put(states, told)
        self.alive(alive_ns)

    def results(self, results: Iterable[TrackResult]) -> None:
        """Write these results of what is tracked; what is not known is left out."""
        self._put_results(results)
        self.alive(self._alive_ns)

    def owned(
        self, addresses: Iterable[Address], borrowed: Iterable[tuple[str, str]], *, write: bool = True
    ) -> None:
        """Write what may be left in the kernel, now or with what is written next."""
        places = json.dumps([[name, address.hex(), length] for name, address, length in addresses])
        self._owned = f'"addresses": {places}, "settings": {json.dumps(list(borrowed))}'
        if write:
            self.alive(self._alive_ns)

    def alive(self, alive_ns: int) -> None:
        """Write the last states again, with this time. An error is logged once: the daemon goes on without."""
        self._alive_ns = alive_ns
        text = (
            f'{{"version": {_VERSION}, "boot_id": {json.dumps(self._boot_id)}, "alive_ns": {alive_ns}, '
            f'"instances": {self._states.text}, "tracked": {self._results}, "told": {self._told.text}, '
            f"{self._owned}}}\n"
        )
        try:
            replace(self.path, text.encode(), 0o600)
        except OSError as error:
            if not self._failed:
                _log.error("%s: %s; a crash of the daemon would cost its VIPs a fail-over", self.path, error.strerror)
            self._failed = True
        else:
            self._failed = False

    def read(self) -> Saved | None:
        """What is there; None when there is nothing, or what no daemon of this version has written."""
        try:
            with open(self.path, encoding="utf-8") as file:
                saved = parse(file.read(_LONGEST))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            _log.warning("%s is of no use (%s): every instance starts as after a boot", self.path, error)
            return None
        if saved.boot_id == self._boot_id:
            # it stays until something else is known: we may be killed, too
            self.left = (saved.addresses, saved.borrowed)
            self.owned(*self.left, write=False)
            self._put(saved.states, saved.told)
            self._put_results(saved.results)
            self._alive_ns = saved.alive_ns
        return saved

    def _put(self, states: Mapping[Identity, State], told: Mapping[tuple[bool, str], State]) -> None:
        self._told.put(told)
        self._states.put(states)

    def _put_results(self, results: Iterable[TrackResult]) -> None:
        known = [[one.kind.value, one.name, one.up, one.value] for one in results if one.up is not None]
        self._results = json.dumps(known)

    def remove(self) -> None:
        """A planned end: nothing is to be resumed."""
        try:
            os.unlink(self.path)
        except OSError:
            return


def parse(text: str) -> Saved:
    """A file's content. Raises ValueError for what is none."""
    try:
        content: Any = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(content, dict) or content.get("version") != _VERSION:
        raise ValueError(f"not version {_VERSION} of the state file")
    for key, kind in (("alive_ns", int), ("boot_id", str), ("instances", list), ("tracked", list)):
        if not isinstance(content.get(key), kind):
            raise ValueError(f"{key} is missing")  # noqa: TRY004 - a file's content is a value
    states = dict(_state(one) for one in content["instances"])
    results = tuple(_result(one) for one in content["tracked"])
    # what versions before did not write
    told = dict(_told(one) for one in _list(content.get("told", [])))
    addresses = tuple(_address(one) for one in _list(content.get("addresses", [])))
    borrowed = tuple(_setting(one) for one in _list(content.get("settings", [])))
    return Saved(content["boot_id"], content["alive_ns"], states, results, told, addresses, borrowed)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is no list")  # noqa: TRY004 - a file's content is a value
    return value


def _address(one: Any) -> Address:
    kinds = [type(field) for field in one] if isinstance(one, list) else []
    if kinds != [str, str, int]:
        raise ValueError(f"{one!r} is no address")
    return one[0], bytes.fromhex(one[1]), one[2]


def _setting(one: Any) -> tuple[str, str]:
    kinds = [type(field) for field in one] if isinstance(one, list) else []
    if kinds != [str, str]:
        raise ValueError(f"{one!r} is no setting")
    return one[0], one[1]


def _state(one: Any) -> tuple[Identity, State]:
    kinds = [type(field) for field in one] if isinstance(one, list) else []
    if kinds != [int, int, str, str, str]:
        raise ValueError(f"{one!r} is no instance")
    return Identity(*one[:4]), State(one[4])


def _told(one: Any) -> tuple[tuple[bool, str], State]:
    kinds = [type(field) for field in one] if isinstance(one, list) else []
    if kinds != [bool, str, str]:
        raise ValueError(f"{one!r} was told of nobody")
    return (one[0], one[1]), State(one[2])


def _result(one: Any) -> TrackResult:
    kinds = [type(field) for field in one] if isinstance(one, list) else []
    if kinds != [str, str, bool, int]:
        raise ValueError(f"{one!r} is no result")
    return TrackResult(TrackKind(one[0]), *one[1:])
