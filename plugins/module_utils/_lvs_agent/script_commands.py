# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a command line of keepalived.conf to a program that may be run, or the reason why it may not.

The user is the line's own, else ``script_user``, else keepalived_script where it exists, else our own. A path that
everybody can write is refused for any user; one that others than root can write, for root with
``enable_script_security``, as in keepalived, which also checks once, when it reads its configuration.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import this_host
from .conf.problem import BadValue
from .conf.script import DEFAULT_USER, Account, Component, command_line, fault, open_to_all, unsafe
from .spawn import Command

_NEEDED = {"CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7}  # capabilities(7): to become another user, and to end it


class RefusedCommand(Exception):
    """A command that is not run; ``str()`` says what is wrong and what to do."""


@dataclass(frozen=True)
class Commands:
    """How the command lines of one configuration are run; its global words, ``notify_timeout`` in seconds."""

    script_user: str = ""
    enable_script_security: bool = False
    set_supplementary_groups: bool = False
    notify_timeout: int = 60
    notify_retry: int = 0
    account: Callable[[str, str], Account | None] = this_host.account
    components: Callable[[str], Sequence[Component]] = this_host.command

    def command(self, said: str, owner: str = "", *arguments: str) -> Command:
        """The program of a script's keyword; ``owner`` is its block's ``user``. Raises RefusedCommand."""
        try:
            line = command_line(said, owner or self.script_user)
        except BadValue as bad:
            raise RefusedCommand(str(bad)) from bad
        if not line.words:
            raise RefusedCommand("it has no words; write the path of a program")
        runs_as = self._runs_as(line.user, line.group)
        program = self._program(line.words[0], runs_as)
        try:
            entry = pwd.getpwuid(runs_as.uid)
            name, home = entry.pw_name, entry.pw_dir
        except KeyError:
            name, home = str(runs_as.uid), "/"
        argv = (*line.words, *arguments)
        return Command(argv, program, runs_as.uid, runs_as.gid, name, home, self.set_supplementary_groups)

    def _runs_as(self, user: str, group: str) -> Account:
        own = Account(os.geteuid(), os.getegid())
        found = self.account(user or DEFAULT_USER, group)
        if found is None and user:
            what = f"user {user}" + (f" or no group {group}" if group else "")
            raise RefusedCommand(f"this machine has no {what}; make the user, or write another")
        found = found or own
        if found != own and not _may_become_others():
            raise RefusedCommand(
                f"it is to run as user {found.uid}, group {found.gid}, but lvs-agent runs as user {own.uid}, group "
                f"{own.gid}, and may not become another; write that as script_user, or give its unit "
                f"{', '.join(_NEEDED)}"
            )
        return found

    def _program(self, word: str, runs_as: Account) -> str:
        """The path of the program, links followed. Raises RefusedCommand."""
        parts = self.components(word)
        if not parts:
            raise RefusedCommand(f"there is no command {word} on this machine; write its whole path")
        wrong = fault(parts, runs_as)
        if wrong:
            raise RefusedCommand("; ".join(wrong))
        reasons = [one for one in map(open_to_all, parts) if one]
        if not reasons and runs_as.uid == 0 and self.enable_script_security:
            reasons = [f"it runs as root, and {one}" for one in map(unsafe, parts) if one]
        if reasons:
            raise RefusedCommand(f"{reasons[0]}; take that permission away")
        return parts[-1].path


def _may_become_others() -> bool:
    """Whether we have the capabilities for that."""
    needed = sum(1 << number for number in _NEEDED.values())
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        effective = next(line for line in file if line.startswith("CapEff:"))
    return int(effective.split()[1], 16) & needed == needed
