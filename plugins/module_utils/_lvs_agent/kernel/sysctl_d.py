# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that keep kernel settings over a reboot: sysctl.d(5), sysctl.conf(5).

Settings are named as in ``sysctl``. Files are read at boot by systemd-sysctl(8), and by ``sysctl --system``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from .sysctl import IP_FORWARD, IPV6_FORWARD, same

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .sysctl import Key

# Of two files with one name, that in the earlier directory counts; all are applied in the order of their names.
DIRECTORIES = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")
# Debian 12 links it into /etc/sysctl.d as 99-sysctl.conf; `sysctl --system` applies it last, linked or not.
LAST_FILE = "/etc/sysctl.conf"

_FILE_HEADER = "# Kernel settings kept by the Ansible collection linuxha.lvs; see sysctl.d(5).\n"


class Line(NamedTuple):
    """A line of a file that sets something."""

    path: str
    number: int
    key: Key
    value: str

    def __str__(self) -> str:
        return f"{self.path} line {self.number} says {spell(self.key)} = {self.value}"


def spell(key: Key) -> str:
    """The name in a sysctl.d file: with dots, or with slashes when a part has a dot of its own."""
    return ("/" if any("." in part for part in key) else ".").join(key)


def parse_name(name: str) -> Key:
    """A name in a sysctl.d file. The first separator decides; after a dot, a slash stands for a dot (sysctl.d(5))."""
    if name.find("/") != -1 and not -1 < name.find(".") < name.find("/"):
        return tuple(name.split("/"))
    return tuple(part.replace("/", ".") for part in name.split("."))


def _parse_line(line: str) -> tuple[Key, str] | None:
    """Key and value, or None for a comment, an empty line or anything else that sets nothing."""
    text = line.strip()
    if not text or text[0] in "#;" or "=" not in text:
        return None
    name, value = text.split("=", 1)
    return parse_name(name.strip().lstrip("-")), value.strip()


def parse_file(text: str) -> dict[Key, str]:
    """What a sysctl.d file sets; of a setting given twice the last counts."""
    return {line.key: line.value for line in parse_lines("", text)}


def parse_lines(path: str, text: str) -> list[Line]:
    """The lines of a sysctl.d file that set something, in order."""
    numbered = ((number, _parse_line(line)) for number, line in enumerate(text.splitlines(), 1))
    return [Line(path, number, *setting) for number, setting in numbered if setting]


def merge_file(text: str, changes: Mapping[Key, str | None]) -> str:
    """The file's new text with these settings, None meaning removed; all other lines stay as they are.

    New forwarding settings come first, because the kernel resets others with them (ip-sysctl.rst, ip_forward). A file
    left without any setting becomes "", for the caller to remove.
    """
    lines: list[str] = []
    pending = {key: value for key, value in changes.items() if value is not None}
    for line in text.splitlines():
        setting = _parse_line(line)
        if setting is None or setting[0] not in changes:
            lines.append(line)
        elif setting[0] in pending:
            value = pending.pop(setting[0])
            lines.append(line if setting[1] == value else f"{spell(setting[0])} = {value}")
    first = next((place for place, line in enumerate(lines) if _parse_line(line)), len(lines))
    for forwarding in (IPV6_FORWARD, IP_FORWARD):
        if forwarding in pending:
            lines.insert(first, f"{spell(forwarding)} = {pending.pop(forwarding)}")
    lines += [f"{spell(key)} = {value}" for key, value in pending.items()]
    if not any(map(_parse_line, lines)):
        return ""
    return ("" if text else _FILE_HEADER) + "".join(f"{line}\n" for line in lines)


def order(names: Mapping[str, Iterable[str]]) -> list[str]:
    """The paths of the files that count, in the order they are applied, from each directory's file names."""
    chosen: dict[str, str] = {}
    for directory in DIRECTORIES:
        for name in names.get(directory, ()):
            if name.endswith(".conf"):
                chosen.setdefault(name, f"{directory}/{name}")
    return [path for _name, path in sorted(chosen.items())]


def around(path: str) -> tuple[list[str], list[str] | None]:
    """The files that are applied at boot before and after this one, in order; no "after" when nothing applies it.

    The file itself need not be there yet. Raises OSError for a directory that cannot be listed.
    """
    names: dict[str, set[str]] = {}
    for directory in DIRECTORIES:
        try:
            names[directory] = set(os.listdir(directory))
        except FileNotFoundError:
            continue
    path = os.path.abspath(path)
    names.setdefault(os.path.dirname(path), set()).add(os.path.basename(path))
    files = order(names)
    if os.path.exists(LAST_FILE) and os.path.realpath(LAST_FILE) != os.path.realpath(files[-1] if files else ""):
        files.append(LAST_FILE)
    places = [place for place, file in enumerate(files) if os.path.realpath(file) == os.path.realpath(path)]
    if not places:
        return files, None
    return files[: places[-1]], files[places[-1] + 1 :]


def read_lines(paths: Iterable[str]) -> list[Line]:
    """The settings of several files, in order. Raises OSError, but not for a file that has just gone."""
    lines: list[Line] = []
    # The name of a link's target is what the reader has to edit.
    for path in map(os.path.realpath, paths):
        try:
            # Comments may be in any encoding.
            with open(path, encoding="utf-8", errors="replace") as file:
                lines += parse_lines(path, file.read())
        except FileNotFoundError:
            continue
    return lines


def contradictions(wanted: Mapping[Key, str], later: Iterable[Line]) -> list[Line]:
    """The lines that undo wanted settings when they are applied after them.

    Of several lines for a setting the last counts. Patterns (``net.ipv4.conf.*.rp_filter``) do not: they leave alone
    what is set by its name (sysctl.d(5)).
    """
    last = {same(line.key): line for line in later}
    return [line for key, line in last.items() if key in wanted and line.value != wanted[key]]
