# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from _lab import xstate

CPUINFO = "processor\t: 0\nmodel name\t: one\nflags\t\t: fpu sse avx512f{}\nbugs\t\t: amx_tile\n"

# A process that is traced, and gets the first 2,696 bytes of its extended registers back, as a guest's kernel does it.
TRACER = """
import ctypes, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
child = os.fork()
if not child:
    libc.ptrace(0, 0, None, None)
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(7)
os.waitpid(child, 0)
registers = ctypes.create_string_buffer(2696)
part = Iovec(ctypes.addressof(registers), len(registers))
for request in (0x4204, 0x4205, 7):
    data = None if request == 7 else ctypes.addressof(part)
    if libc.ptrace(request, child, None if request == 7 else 0x202, data):
        os.kill(child, signal.SIGKILL)
        sys.exit(os.strerror(ctypes.get_errno()))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

# A process that stops four times with a value in xmm15, and ends with the number of the first stop after which it did
# not have the value that its tracer, the same program, was to write.
TRACED = """
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
static unsigned char registers[2][4096];
static struct iovec parts[2] = { { registers[0], 2696 }, { registers[1], 2696 } };
static int stop(unsigned long before, unsigned long after)
{
    __asm__ volatile("movq %1, %%xmm15; int3; movq %%xmm15, %0" : "=r"(before) : "r"(before) : "xmm15");
    return before != after;
}
static int traced(void)
{
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    if (stop(1, 1)) return 1; /* read, written as it was */
    if (stop(2, 1)) return 2; /* written as it was at the stop before */
    if (stop(3, 99)) return 3; /* read, written otherwise */
    if (stop(4, 4)) return 4;
    return 0;
}
static void get(int pid, int part) { parts[part].iov_len = 2696; ptrace(PTRACE_GETREGSET, pid, 0x202, &parts[part]); }
static void set(int pid, int part) { ptrace(PTRACE_SETREGSET, pid, 0x202, &parts[part]); }
int main(void)
{
    int status, pid = fork();
    char general[512], info[128];
    if (!pid)
        _exit(traced());
    waitpid(pid, &status, 0);
    get(pid, 0);
    ptrace(PTRACE_GETREGS, pid, 0, general);
    ptrace(PTRACE_GETSIGINFO, pid, 0, info);
    ptrace(PTRACE_SETREGS, pid, 0, general);
    set(pid, 0);
    ptrace(PTRACE_CONT, pid, 0, 0);
    waitpid(pid, &status, 0);
    set(pid, 0);
    ptrace(PTRACE_CONT, pid, 0, 0);
    waitpid(pid, &status, 0);
    get(pid, 1);
    memset(registers[1] + 160 + 15 * 16, 0, 16); /* XMM15 of the area of FXSAVE */
    registers[1][160 + 15 * 16] = 99;
    set(pid, 1);
    ptrace(PTRACE_CONT, pid, 0, 0);
    waitpid(pid, &status, 0);
    get(pid, 0);
    set(pid, 0);
    set(pid, 0);
    ptrace(PTRACE_CONT, pid, 0, 0);
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}
"""
# Loaded after the library: tells of each PTRACE_SETREGSET that reaches the kernel.
COUNTER = """
#include <sys/syscall.h>
#include <unistd.h>
long ptrace(long request, long pid, void *address, void *data)
{
    if (request == 0x4205)
        write(1, "set\\n", 4);
    return syscall(SYS_ptrace, request, pid, address, data);
}
"""


@pytest.mark.parametrize("flags, expected", [(" amx_bf16 amx_tile", True), (" amx_bf16", False), ("", False)])
def test_needed_by_a_processor_with_amx(flags: str, expected: bool) -> None:
    assert xstate.needed(CPUINFO.format(flags)) is expected


def test_needed_on_a_machine_that_tells_no_flags() -> None:
    assert not xstate.needed("")


def test_nothing_where_it_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xstate, "needed", lambda: False)
    assert xstate.environment() == {}


@pytest.mark.host
def test_the_kernel_takes_what_a_guest_gives_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    amx = xstate.needed()
    monkeypatch.setattr(xstate, "needed", lambda: True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    environment = {**os.environ, **xstate.environment()}
    library = Path(environment["LD_PRELOAD"])
    without = subprocess.run([sys.executable, "-c", TRACER], capture_output=True, text=True, check=False)
    assert (without.returncode, without.stderr.strip()) == ((1, "Bad address") if amx else (7, ""))
    assert subprocess.run([sys.executable, "-c", TRACER], env=environment, check=False).returncode == 7
    assert xstate.environment() == {"LD_PRELOAD": str(library)}
    assert list((tmp_path / "linuxha-lvs").iterdir()) == [library]


@pytest.mark.host
@pytest.mark.skipif(xstate.needed(), reason="without the library nothing is written on a processor with AMX")
def test_the_values_written_are_right_without_the_library(tmp_path: Path) -> None:
    assert subprocess.run([compiled(tmp_path, "traced", TRACED)], check=False).returncode == 0


@pytest.mark.host
def test_only_what_is_there_already_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xstate, "needed", lambda: True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    libraries = f"{xstate.environment()['LD_PRELOAD']}:{compiled(tmp_path, 'counter.so', COUNTER, '-shared', '-fPIC')}"
    said = subprocess.run(
        [compiled(tmp_path, "traced", TRACED)],
        env={**os.environ, "LD_PRELOAD": libraries}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout == "set\n" * 2  # at the second and third stop


def compiled(directory: Path, name: str, source: str, *options: str) -> Path:
    program = directory / name
    subprocess.run(["gcc", "-O1", "-w", *options, "-x", "c", "-o", program, "-"], input=source, text=True, check=True)
    return program
