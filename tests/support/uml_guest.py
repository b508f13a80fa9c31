# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel with modules of its own, for what this machine's kernel lacks: IPVS first of all.

The kernel is Debian's user-mode-linux, or with LAB_KERNEL=fast the one of `make lab-kernel`: a process that boots
in seconds with this machine's files as its root, read-only. It needs no image, network or namespace, and is root in
its own world only.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path

from _lab import kernel, xstate

CHECKOUT = Path(__file__).resolve().parents[2]
DEBIAN_PYTHON = "/usr/bin/python3"
HANGS_S = 900  # a guest that hangs; how quick it is, is the machine's business
IPVS_MODULES = ("ip_vs", "ip_vs_rr", "ip_vs_wlc", "ip_vs_sh", "ip_vs_mh", "ip_vs_pe_sip")

# /run and /mnt are the guest's own and empty; all else is this machine's and cannot be written.
PRELUDE = """\
#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 TMPDIR=/mnt MODPROBE_OPTIONS="-d /mnt"
export PYTHONPATH={pythonpath} PYTHONDONTWRITEBYTECODE=1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /mnt
mount -t tmpfs tmpfs /run
modules=/mnt/lib/modules/$(uname -r)
mkdir -p $modules
cp -rs {kernel_modules}/. $modules
depmod -b /mnt $(uname -r)
for module in {modules}; do modprobe $module; done
ip link set lo up
# part NAME COMMAND...: what the command prints, both streams, is the part of that name
part() {{ echo "@@ $1"; shift; "$@" 2>&1; }}
"""

END = """
echo "@@ end"
echo o >/proc/sysrq-trigger
sleep 10
"""


def processor() -> str:
    """A guest's: its kernel and the process it traces hand over twice as fast on one. A worker of xdist has its own."""
    there = sorted(os.sched_getaffinity(0))
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    return str(there[int(worker[2:]) % len(there)])


def run(
    script: str,
    directory: Path,
    *,
    modules: Sequence[str] = IPVS_MODULES,
    pythonpath: Sequence[Path] = (CHECKOUT / "plugins/module_utils",),
    memory_mb: int = 192,
) -> dict[str, str]:
    """Boot a guest, run a bash script in it, and return what it printed in each part it named.

    ``directory`` is an empty one of the test's own. Fails when the script did not come to its end.
    """
    init, log = directory / "init", directory / "log"
    booted = kernel.chosen()
    prelude = PRELUDE.format(
        pythonpath=":".join(map(str, pythonpath)), modules=" ".join(modules), kernel_modules=booted.modules
    )
    init.write_text(prelude + script + END)
    init.chmod(0o755)
    # The kernel's own messages would stand between those of the script: only a panic is shown.
    words = [*booted.words, f"umid=lvs-{uuid.uuid4().hex[:8]}", f"mem={memory_mb}M", "loglevel=1", "con=null"]
    words += ["con0=null,fd:1", "rootfstype=hostfs", "rootflags=/", "ro"]
    with log.open("wb") as output:
        guest = subprocess.Popen(
            ["taskset", "-c", processor(), str(booted.program), *words, f"init={init}"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "HOME": str(directory), **xstate.environment()},
        )
        try:
            guest.wait(HANGS_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            if guest.poll() is None:
                os.killpg(guest.pid, signal.SIGKILL)
                guest.wait()
    text = log.read_text(errors="replace").replace("\r", "")
    assert "@@ end" in text, text
    return dict(part.split("\n", 1) for part in re.split("^@@ ", text, flags=re.MULTILINE)[1:])
