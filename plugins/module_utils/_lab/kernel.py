# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which User Mode Linux kernel the hosts boot: the one of Debian's package, or the faster one of `make lab-kernel`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from . import kernel_config
from .errors import LabError
from .paths import cache_root

PACKAGE_PROGRAM = Path("/usr/bin/linux.uml")
PACKAGE_MODULES = Path("/usr/lib/uml/modules")
VARIABLE = "LAB_KERNEL"


class Kernel(NamedTuple):
    """A kernel that runs as a process. `modules`: its directory of modules, named after the kernel's version;
    `words`: what its command line needs."""

    program: Path
    modules: Path
    words: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """What `uname -r` prints in a guest, such as "6.1.176"."""
        return self.modules.name

    @property
    def identity(self) -> str:
        """Text that changes with the kernel."""
        status = self.program.stat()
        return f"{self.version} {status.st_size} {int(status.st_mtime)} {' '.join(self.words)}"


def find(kind: str) -> Kernel:
    """The kernel called `package` or `fast`. LabError when it is not on this machine."""
    if kind == "package":
        return Kernel(PACKAGE_PROGRAM, _newest(PACKAGE_MODULES, "install Debian's package user-mode-linux"))
    if kind == "fast":
        directory = fast_dir()
        modules = _newest(directory / "modules", f"run `make lab-kernel`, or set {VARIABLE} (lab_kernel) to package")
        # User processes are then stopped by a seccomp filter instead of ptrace(2), arch/um/kernel/skas/process.c.
        return Kernel(directory / "linux", modules, ("seccomp=on",))
    raise LabError(f"unknown kernel {kind!r}: set {VARIABLE} (lab_kernel) to package or fast")


def chosen() -> Kernel:
    """The kernel that the environment's LAB_KERNEL names, by default the package's."""
    return find(os.environ.get(VARIABLE) or "package")


def fast_dir() -> Path:
    """Where the fast kernel of this configuration is or will be: `linux`, `config` and `modules/VERSION`."""
    return kernels_dir() / kernel_config.key()


def kernels_dir() -> Path:
    """Directory of all kernels that were built here, one sub-directory a configuration."""
    return cache_root() / "kernels"


def _newest(directory: Path, cure: str) -> Path:
    versions = sorted(directory.iterdir()) if directory.is_dir() else []
    if not versions:
        raise LabError(f"no kernel modules in {directory}: {cure}")
    return versions[-1]
