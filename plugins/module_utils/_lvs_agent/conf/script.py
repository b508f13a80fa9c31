# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines: their words and users, and whether the path of a program is one to run.

Pure: the caller says what the machine has. A path is judged as keepalived's script security does it
(keepalived.conf(5), "SCRIPTS"; its check of each part of the path), with the part and the permission named.
"""

from __future__ import annotations

import stat
import typing as t

from .lexer import escaped_words
from .quoting import split

DEFAULT_USER = "keepalived_script"  # keepalived takes it when it exists, else root


class Account(t.NamedTuple):
    """A user and a group, by number."""

    uid: int
    gid: int


class Component(t.NamedTuple):
    """One part of a path: the path up to it, and its mode (as in stat(2)) and owners; no mode, it is not there."""

    path: str
    mode: int | None
    uid: int = 0
    gid: int = 0


class CommandLine(t.NamedTuple):
    """A program with its arguments, and the user and group to run it, "" where the line has none."""

    words: list[str]
    user: str
    group: str


def command_line(said: str, owner: str = "") -> CommandLine:
    """The value of a script's keyword, taken apart; ``owner`` is the user, and optionally group, of a line without.

    Raises :class:`.problem.BadValue` for quotes that do not end and for a line without a word.
    """
    words = escaped_words(said)
    if said.startswith('"') and words:
        owner = " ".join(words[1:]) or owner
        words = escaped_words(words[0])
    user, group = ([*split(owner), "", ""])[:2]
    return CommandLine(words, user, group)


def fault(parts: t.Sequence[Component], runs_as: Account) -> tuple[str, str] | None:
    """Why the command cannot be run: (what, instead)."""
    last = parts[-1]
    if last.mode is None:
        return f"{last.path} does not exist on this machine", "install it, or correct the path"
    if not stat.S_ISREG(last.mode):
        return f"{last.path} is not a file", "write the path of a program"
    for part in parts:
        if not _may_execute(part, runs_as):
            bits = f"its mode is {stat.S_IMODE(part.mode or 0):04o}, its owner {part.uid}, its group {part.gid}"
            verb = "run" if part is last else "enter"
            return f"user {runs_as.uid} may not {verb} {part.path}: {bits}", f"chmod a+x {part.path}"
    return None


def _may_execute(part: Component, runs_as: Account) -> bool:
    mode = part.mode or 0
    if runs_as.uid == 0:
        return stat.S_ISDIR(mode) or bool(mode & 0o111)
    if part.uid == runs_as.uid:
        return bool(mode & stat.S_IXUSR)
    return bool(mode & (stat.S_IXGRP if part.gid == runs_as.gid else stat.S_IXOTH))


def unsafe(part: Component) -> str:
    """Who but root can change this part of a path, as keepalived's script security sees it; "" for nobody."""
    mode = part.mode or 0
    if part.uid:
        return f"{part.path} belongs to user {part.uid}"
    if _is_sticky(mode):
        return ""
    if mode & stat.S_IWGRP and part.gid and not mode & stat.S_IWOTH:
        return f"group {part.gid} may write {part.path} (mode {stat.S_IMODE(mode):04o})"
    return open_to_all(part)


def open_to_all(part: Component) -> str:
    """Whether everybody can change this part of a path; "" when not. No user is to run such a program."""
    mode = part.mode or 0
    if mode & stat.S_IWOTH and not _is_sticky(mode):
        return f"{part.path} is writable by everybody (mode {stat.S_IMODE(mode):04o})"
    return ""


def _is_sticky(mode: int) -> bool:
    """In a sticky directory everybody has only their own files."""
    return stat.S_ISDIR(mode) and bool(mode & stat.S_ISVTX)
