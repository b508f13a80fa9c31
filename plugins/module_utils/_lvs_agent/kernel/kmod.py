# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the running kernel has a module: loaded, built in, or to be loaded (modules.dep(5), modprobe(8))."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_PROC_MODULES = Path("/proc/modules")


def module_directory() -> Path:
    """Where the running kernel's modules are."""
    return Path("/lib/modules") / os.uname().release


def available_modules() -> set[str]:
    """The names of all modules of the running kernel, in the spelling of parse_names."""
    directory = module_directory()
    found: set[str] = set()
    for path in (_PROC_MODULES, directory / "modules.builtin", directory / "modules.dep"):
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            # A kernel without modules has no such file, and a container none of its host's.
            continue
        found |= parse_names(text.splitlines())
    return found


def normal_name(name: str) -> str:
    """A module's name as the kernel spells it: dashes and underscores are the same."""
    return name.replace("-", "_")


def parse_names(lines: Iterable[str]) -> set[str]:
    """The modules at the start of each line of /proc/modules (a name), modules.builtin or modules.dep (a path)."""
    found = set()
    for line in lines:
        first = line.split(maxsplit=1)[0].rstrip(":") if line.strip() else ""
        if first:
            found.add(normal_name(first.rsplit("/", 1)[-1].split(".ko", 1)[0]))
    return found
