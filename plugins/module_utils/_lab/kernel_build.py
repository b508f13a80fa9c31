# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the fast kernel from Debian sid's source, once for a machine: `make lab-kernel`."""

# run_command is a module's, and this is a library: pylint: disable=ansible-bad-function

from __future__ import annotations

import fcntl
import gzip
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Callable

from . import kernel, kernel_config
from .commands import run
from .errors import LabError

BUILD_SPACE_MB = 4000
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SUITE = "sid"
_PROGRESS_S = 30.0
_ERROR_LINES = 20

# An apt of its own: this machine's sources, lists and packages stay as they are, its proxy settings count.
# Update hooks of this machine's configuration are for its own lists.
_APT_CONF = """\
#clear APT::Update;
APT::Sandbox::User "root";
APT::Architecture "amd64";
APT::Architectures "amd64";
Dir::State "{apt}/state";
Dir::State::status "/dev/null";
Dir::Cache "{apt}/cache";
Dir::Etc::sourcelist "{apt}/sources.list";
Dir::Etc::sourceparts "-";
"""


def build(progress: Callable[[str], None]) -> bool:
    """Build the fast kernel unless it is there. True when it was built. One builder at a time, whole or not at all.

    An exception, KeyboardInterrupt and SystemExit too, ends the compiler and removes what was made.
    """
    target = kernel.fast_dir()
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("another process is building it: waiting")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            return False
        for left_over in target.parent.glob("building-*"):  # of a builder that was killed
            shutil.rmtree(left_over)
        _check_space(target.parent)
        work = Path(tempfile.mkdtemp(prefix="building-", dir=target.parent))
        try:
            source, package = _fetch(work, progress)
            made = _compile(_unpack(source, work, progress), package, work, progress)
            made.rename(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return True


def _check_space(directory: Path) -> None:
    free_mb = shutil.disk_usage(directory).free // 2**20
    if free_mb < BUILD_SPACE_MB:
        raise LabError(
            f"out of disk: building the kernel needs {BUILD_SPACE_MB} MB in {directory}, {free_mb} MB are free; "
            "make room there or set XDG_CACHE_HOME to a larger disk"
        )


def _fetch(work: Path, progress: Callable[[str], None]) -> tuple[Path, Path]:
    """Files of the packages linux-source and user-mode-linux, verified with the archive's key."""
    apt = work / "apt"
    for directory in ("state/lists/partial", "cache/archives/partial"):
        (apt / directory).mkdir(parents=True)
    (apt / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {archive()} {_SUITE} main\n")
    (apt / "apt.conf").write_text(_APT_CONF.format(apt=apt))
    options = ["-q", "-c", str(apt / "apt.conf")]
    progress(f"package lists of Debian {_SUITE}")
    run(["apt-get", *options, "-o", "APT::Update::Error-Mode=any", "update"])
    source = source_package(run(["apt-cache", *options, "show", "linux-source"]))
    progress(f"downloading {source} and user-mode-linux of Debian {_SUITE} (200 MB)")
    run(["apt-get", *options, "download", source, "user-mode-linux"], cwd=work)
    return next(work.glob(f"{source}_*.deb")), next(work.glob("user-mode-linux_*.deb"))


def archive() -> str:
    """The Debian archive this machine's own apt uses. LabError when it has none."""
    for line in run(["apt-get", "indextargets", "--format", "$(SITE) $(LABEL)", "Created-By: Packages"]).splitlines():
        site, _space, label = line.partition(" ")
        if label == "Debian":
            return site
    raise LabError("this machine's apt knows no Debian archive: run apt-get update, or mend /etc/apt/sources.list")


def source_package(records: str) -> str:
    """The package that linux-source, shown by ``apt-cache show``, stands for, such as "linux-source-7.2"."""
    found = re.search(r"^Depends:.*?\b(linux-source-[\d.]+)", records, re.MULTILINE)
    if not found:
        raise LabError(f"Debian {_SUITE} has no package linux-source that names its version")
    return found[1]


def _unpack(source: Path, work: Path, progress: Callable[[str], None]) -> Path:
    progress("unpacking the source (about 20 s)")
    run(["dpkg-deb", "-x", str(source), str(work / "package")])
    source.unlink()
    tree = work / "source"
    tree.mkdir()
    archive_file = next((work / "package/usr/src").glob("linux-source-*.tar.xz"))
    run(["tar", "-xf", str(archive_file), "-C", str(tree), "--strip-components=1"])
    shutil.rmtree(work / "package")
    return tree


def _compile(tree: Path, package: Path, work: Path, progress: Callable[[str], None]) -> Path:
    """Directory of the kernel made, as _install leaves it."""
    run(["dpkg-deb", "-x", str(package), str(work / "uml")])
    with gzip.open(work / "uml/usr/share/doc/user-mode-linux/config.gz", "rt") as packaged:
        (tree / ".config").write_text(kernel_config.configuration(packaged.read()))
    run([*_make(tree), "olddefconfig"])
    kernel_config.check((tree / ".config").read_text())
    jobs = len(os.sched_getaffinity(0))
    progress(f"compiling, {jobs} jobs at the lowest priority")
    run_make([*_make(tree), f"-j{jobs}", "linux", "modules"], progress)
    progress("installing the modules")
    return _install(tree, work / "made")


def _make(tree: Path) -> list[str]:
    return ["nice", "-n", "19", "make", "-C", str(tree), "ARCH=um"]


def _install(tree: Path, made: Path) -> Path:
    """`made` with the compiled kernel: `linux`, `config`, `modules/VERSION`."""
    run([*_make(tree), f"INSTALL_MOD_PATH={made}", "INSTALL_MOD_STRIP=1", "modules_install"])
    for link in (made / "lib/modules").glob("*/build"):  # to the source
        link.unlink()
    (made / "lib/modules").rename(made / "modules")
    (made / "lib").rmdir()
    shutil.copy(tree / ".config", made / "config")
    run(["strip", "-o", str(made / "linux"), str(tree / "linux")])
    return made


def run_make(argv: Sequence[str], progress: Callable[[str], None]) -> None:
    """Run make(1) and tell how many files it has compiled. LabError carries its last lines when it fails.

    Whatever ends this function ends make, which ends its compilers (GNU make's manual, "Interrupts").
    """
    compiled, told_s = 0, time.monotonic()
    tail: deque[str] = deque(maxlen=_ERROR_LINES)
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        try:
            for line in process.stdout or ():
                tail.append(line.rstrip())
                compiled += line.lstrip().startswith("CC ")
                if time.monotonic() - told_s >= _PROGRESS_S:
                    told_s = time.monotonic()
                    progress(f"compiled {compiled} files")
        except BaseException:
            process.terminate()
            raise
        status = process.wait()
    if status != 0:
        raise LabError(f"{' '.join(argv)} ended with {status}:\n  " + "\n  ".join(tail))
