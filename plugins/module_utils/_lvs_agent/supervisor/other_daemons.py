# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another VRRP daemon on this host: a keepalived that was forgotten, or a second lvs-agent with other directories.

A host does not hear its own multicast, so that both become master of the same virtual router. Their raw sockets tell of
them. One whose configuration names none of our virtual routers does no harm.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from ..kernel import raw_sockets
from ..vrrp.actions import AlarmKind
from ..vrrp.messages import AlarmGone, AlarmRaised

if TYPE_CHECKING:
    from ..kernel.raw_sockets import Process
    from ..vrrp.plan import Plan
    from .journal import Journal

# A process of ours that ends or begins is gone, or known, at the second look.
_LOOK_NS = 2_000_000_000
# of keepalived and of lvs-agent, when the command line has none
_DAEMONS, _DEFAULT_FILE = ("keepalived", "lvs-agent"), "/etc/keepalived/keepalived.conf"
_LONGEST_FILE = 1 << 20
_FILE_OPTIONS = ("-f", "--use-file", "--file")
_VRID = re.compile(r"^\s*(?:@\S+\s+)?virtual_router_id\s+(\d+)\s*(?:[#!].*)?$", re.MULTILINE)
# what is in other files, or made of parameters, is not seen
_ELSEWHERE = re.compile(r"^\s*(?:@\S+\s+)?include|^[^#!\n]*(?:\$|~SEQ|~LST)", re.MULTILINE)
_UNSEEN = "a process that cannot be seen from here"

Look = Callable[[Collection[int]], "list[Process] | None"]


def strangers(own: Collection[int]) -> list[Process] | None:
    """Who else speaks VRRP here, besides the processes ``own``; None in the list's place when nobody can be named."""
    sockets = raw_sockets.inodes(raw_sockets.VRRP)
    if not sockets:
        return []
    sockets.difference_update(inode for pid in own for inode in raw_sockets.inodes_of(pid))
    if not sockets:
        return []
    return raw_sockets.owners(sockets) or None


class OtherDaemons:
    """A source of the supervisor's loop. ``plan`` is what is in force, ``own`` are the processes that speak for us."""

    def __init__(
        self,
        journal: Journal,
        plan: Callable[[], Plan | None],
        own: Callable[[], Collection[int]],
        look: Look = strangers,
    ) -> None:
        self._journal = journal
        self._plan = plan
        self._own = own
        self._look = look
        self._due = 0
        self._seen: Mapping[str, str] = {}
        self._raised: dict[str, str] = {}

    def fileno(self) -> int:
        """Nothing tells: /proc has to be looked at."""
        return -1

    def deadline_ns(self) -> int:
        """When to look again."""
        return self._due

    def handle(self, now_ns: int) -> None:
        """Look, and raise an alarm for whom is seen for the second time."""
        if now_ns < self._due:
            return
        self._due = now_ns + _LOOK_NS
        found = self._found()
        for source, detail in found.items():
            if source in self._seen and source not in self._raised:
                self._raised[source] = detail
                self._journal.heard(AlarmRaised("", AlarmKind.OTHER_DAEMON.value, source, detail, now_ns))
        for source in [source for source in self._raised if source not in found]:
            del self._raised[source]
            self._journal.heard(AlarmGone("", AlarmKind.OTHER_DAEMON.value, source, now_ns))
        self._seen = found

    def problems(self) -> Iterable[str]:
        """What an operator has to know now."""
        return self._raised.values()

    def _found(self) -> Mapping[str, str]:
        """Name and number of each -> what is wrong with it."""
        plan = self._plan()
        vrids = {one.instance.vrid for one in plan.instances} if plan is not None else set()
        others = self._look(self._own()) if vrids else []
        if others is None:
            return {"": _detail(_UNSEEN, vrids, None)}
        found: dict[str, str] = {}
        for process in others:
            theirs = configured(process)
            if theirs is None or theirs & vrids:
                detail = _detail(f"{process.name} (process {process.pid})", vrids, theirs)
                found[f"{process.name} {process.pid}"] = detail
        return found


def configured(process: Process, proc: str = "/proc") -> set[int] | None:
    """The virtual_router_ids of another daemon's file, None when that cannot be known."""
    path = _file(process)
    if not path:
        return None
    try:
        place = os.path.join(f"{proc}/{process.pid}/{'root' if path.startswith('/') else 'cwd'}", path.lstrip("/"))
        with open(place, encoding="utf-8", errors="replace") as file:
            text = file.read(_LONGEST_FILE + 1)
    except OSError:
        return None
    if len(text) > _LONGEST_FILE or _ELSEWHERE.search(text):
        return None
    return {int(number) for number in _VRID.findall(text)}


def _file(process: Process) -> str:
    """What its command line has for a file."""
    words = process.words
    for number, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in _FILE_OPTIONS:
            return value if equals else "".join(words[number + 1 : number + 2])
        if word.startswith("-f") and not word.startswith("--"):
            return word[2:]
    return _DEFAULT_FILE if process.name.startswith(_DAEMONS) else ""


def _detail(who: str, ours: Collection[int], theirs: Collection[int] | None) -> str:
    common = sorted(set(ours) & set(theirs)) if theirs is not None else []
    named = f" with virtual_router_id {', '.join(map(str, common))}" if common else ""
    return f"{who} speaks VRRP on this host{named}, as lvs-agent does: both would be master; stop one of them"
