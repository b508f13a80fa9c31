# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running the tools the lab is made of (ip, bridge, ssh-keygen, debootstrap) without a shell."""

# run_command is a module's, and this is a library: pylint: disable=ansible-bad-function

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .errors import LabError

#: command -> Debian package that brings it
TOOLS = {
    "linux.uml": "user-mode-linux",
    "debootstrap": "debootstrap",
    "mkfs.ext4": "e2fsprogs",
    "ip": "iproute2",
    "bridge": "iproute2",
    "ethtool": "ethtool",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "nc": "netcat-openbsd",
    "apt-ftparchive": "apt-utils",
    "sysctl": "procps",
    "tcpdump": "tcpdump",
}
#: what a processor with AMX needs besides (xstate.py)
AMX_TOOLS = {"gcc": "gcc"}

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def missing_packages(amx: bool) -> list[str]:
    """Debian packages to install before a lab can run, sorted. ``amx``: on a processor that has it."""
    tools = {**TOOLS, **AMX_TOOLS} if amx else TOOLS
    return sorted({package for tool, package in tools.items() if shutil.which(tool, path=_PATH) is None})


def run(argv: Sequence[str], stdin: str = "", check: bool = True, cwd: Path | None = None) -> str:
    """Run a tool and return its standard output. LabError carries its last words when it fails, or is not there."""
    try:
        process = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd,
            env={"PATH": _PATH, "LC_ALL": "C", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"},
        )
    except FileNotFoundError:
        package = {**TOOLS, **AMX_TOOLS}.get(argv[0], argv[0])
        raise LabError(f"{argv[0]} is not installed: apt-get install {package}") from None
    if check and process.returncode != 0:
        words = (process.stderr.strip() or process.stdout.strip()).splitlines()[-8:]
        raise LabError(f"{' '.join(argv)} ended with {process.returncode}:\n  " + "\n  ".join(words))
    return process.stdout
