# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One guest as a process: boot, crash, freeze, console. A process group is a whole machine."""

# run_command is a module's, and this is a library: pylint: disable=ansible-bad-function

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable

from . import image, network, xstate
from .errors import LabError
from .plan import Guest, Plan

_SSH_PORT = 22
_STACK = re.compile(r"(\[[ \d.]+\])?\s*\[<[0-9a-f]+>\]")
_START_TIMEOUT_S = 10.0
_NUDGE_S = 0.02

# The machine around the kernel: it switches it on again when it asked for a reboot. Left to itself ("noreboot" is
# what forbids it) the kernel would execute itself with its taps still open, and would find them busy.
# On one processor the kernel and the process it traces hand over three times as fast as across two.
# The kernel misses the signal for a packet now and then (one of a hundred connections stood still, for up to a second)
# and finds it when the next one comes: the machine sends every NIC a frame of a type that nobody knows all the while
# (0x88b5, IEEE 802's for experiments).
_MACHINE = f"""\
#!/usr/bin/python3 -I
import os, socket, subprocess, sys, time
os.sched_setaffinity(0, [%(cpu)d])
frame = b"\\xff" * 6 + b"\\2" + bytes(5) + b"\\x88\\xb5" + bytes(46)
nics = []
for tap in %(taps)r:
    nics.append(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
    nics[-1].bind((tap, 0))
with open("pid", "w") as handle:
    handle.write(str(os.getpid()))
restarting = True
while restarting:
    with open("console.log", "rb") as console:
        console.seek(0, os.SEEK_END)
        kernel = subprocess.Popen([%(kernel)r, *sys.argv[1:], "noreboot"])
        with open("kernel.pid", "w") as handle:
            handle.write(str(kernel.pid))
        while kernel.poll() is None:
            time.sleep({_NUDGE_S})
            for nic in nics:
                try:
                    nic.send(frame)
                except OSError:
                    pass # the cable is pulled
        restarting = b"reboot: Restarting system" in console.read()
"""


def guest_dir(directory: Path, guest: Guest) -> Path:
    """Where one guest's disk, seed, console log and pid are."""
    return directory / "hosts" / guest.name


def pid_of(directory: Path, guest: Guest) -> int | None:
    """Process id of the running guest's machine, None when it is down."""
    groups = _groups(directory, guest)
    return groups[0] if groups else None


def state_of(directory: Path, guest: Guest) -> str:
    """``running``, ``frozen`` or ``down``."""
    states = {_process_state(pid) for pid in _groups(directory, guest)} - {"", "Z"}
    if not states:
        return "down"
    return "frozen" if "T" in states else "running"


def _groups(directory: Path, guest: Guest) -> list[int]:
    """The guest's process groups that live: its machine's and its kernel's, which makes a session of its own.

    The command line is compared as well: after a crash an id may belong to a stranger.
    """
    found = []
    for file in ("pid", "kernel.pid"):
        try:
            pid = int((guest_dir(directory, guest) / file).read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            continue
        if _umid(directory, guest).encode() in command:
            found.append(pid)
    return found


def _process_state(pid: int) -> str:
    """The state's letter in proc(5), empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def boot(directory: Path, plan: Plan, guest: Guest, base: Path) -> None:
    """Start the guest's kernel, detached from this process; its first disk is a copy-on-write file over `base`.

    The kernel is the one that the image was built with (image.py), whatever this machine has by now.
    """
    place = guest_dir(directory, guest)
    uml_dir = place / "uml"
    shutil.rmtree(uml_dir, ignore_errors=True)
    uml_dir.mkdir(parents=True)
    machine = place / "machine"
    cpus = sorted(os.sched_getaffinity(0))
    taps = [port.tap for port in guest.ports]
    kernel = str(image.program_path(base))
    machine.write_text(_MACHINE % {"kernel": kernel, "cpu": cpus[guest.index % len(cpus)], "taps": taps})
    machine.chmod(0o755)
    nics = [
        f"vec{number}:transport=tap,ifname={port.tap},mac={port.mac}" for number, port in enumerate(guest.ports)
    ]
    argv = [
        *("ip", "netns", "exec", plan.namespace, "setsid", "--fork", str(machine)),
        _umid(directory, guest),
        f"uml_dir={uml_dir}",
        f"mem={plan.memory_mb}M",
        f"ubd0={place / 'disk.cow'},{base}",
        f"ubd1r={place / 'seed.tar'}",
        *image.command_line(base),
        *("root=/dev/ubda", "rw", "quiet", "net.ifnames=0", "con=null", "con0=null,fd:1"),
        *nics,
    ]
    (place / "pid").unlink(missing_ok=True)
    with open(place / "console.log", "ab") as console:
        subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            check=False,
            cwd=place,
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": str(place),
                "TMPDIR": _memory_dir(plan, place),
                **xstate.environment(),
            },
        )
    deadline = time.monotonic() + _START_TIMEOUT_S
    while pid_of(directory, guest) is None:
        if time.monotonic() > deadline:
            raise LabError(f"host {guest.name} did not start{console_tail(directory, guest)}")
        time.sleep(0.02)


def kill(directory: Path, guest: Guest) -> bool:
    """Power off as a pulled plug does: SIGKILL to every process. False when it was down already."""
    groups = _groups(directory, guest)
    if not groups:
        return False
    for group in groups:  # the machine first, so that it restarts nothing
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it ended by itself a moment ago
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if state_of(directory, guest) == "down":
            return True
        time.sleep(0.01)
    raise LabError(f"host {guest.name} did not end within 10 s of SIGKILL")


def set_frozen(directory: Path, guest: Guest, frozen: bool) -> None:
    """Stop the guest's kernel (SIGSTOP) or let it go on (SIGCONT).

    Only the kernel's own process: it would take a stop of the processes it traces for their fault, and panic.
    """
    groups = _groups(directory, guest)
    if not groups:
        raise LabError(f"host {guest.name} is down; boot it first")
    os.kill(groups[-1], signal.SIGSTOP if frozen else signal.SIGCONT)


def wait_until_up(
    directory: Path, plan: Plan, guests: list[Guest], timeout_s: float, progress: Callable[[str], None]
) -> None:
    """Return when every guest's sshd has greeted. LabError shows the console's end of the one that did not."""
    waiting = list(guests)
    started = time.monotonic()
    while waiting:
        for guest in list(waiting):
            if _greets(plan, guest):
                waiting.remove(guest)
                progress(f"{guest.name} is up after {time.monotonic() - started:.0f} s")
            elif pid_of(directory, guest) is None or state_of(directory, guest) == "down":
                raise LabError(f"host {guest.name} ended while booting{console_tail(directory, guest)}")
        if waiting and time.monotonic() - started > timeout_s:
            names = ", ".join(guest.name for guest in waiting)
            raise LabError(
                f"no answer from {names} within {timeout_s:.0f} s{console_tail(directory, waiting[0])}"
            )
        time.sleep(0.2)


def console_tail(directory: Path, guest: Guest, lines: int = 15) -> str:
    """The last lines of the guest's console, indented, with where the rest is."""
    log = guest_dir(directory, guest) / "console.log"
    try:
        text = log.read_text(errors="replace").replace("\r", "")
    except OSError:
        text = ""
    # Without a panic's stack, which pushes its reason out of sight.
    tail = [line for line in text.splitlines() if line.strip() and not _STACK.match(line)][-lines:]
    return f"; the last lines of its console ({log}):\n  " + ("\n  ".join(tail) or "(empty)")


def _greets(plan: Plan, guest: Guest) -> bool:
    address = guest.management_address.partition("/")[0]
    with network.socket_in(plan.namespace) as probe:
        probe.settimeout(1)
        try:
            probe.connect((address, _SSH_PORT))
            return probe.recv(4) == b"SSH-"
        except OSError:
            return False


def _umid(directory: Path, guest: Guest) -> str:
    return f"umid={directory.name}.{guest.name}"


def _memory_dir(plan: Plan, place: Path) -> str:
    """A directory for the file that is the guest's memory: /dev/shm unless it is too small for the lab."""
    needed = plan.memory_mb * len(plan.guests) * 2**20
    try:
        usage = os.statvfs("/dev/shm")
        if usage.f_blocks * usage.f_frsize >= needed:
            return "/dev/shm"
    except OSError:
        pass
    return str(place)
