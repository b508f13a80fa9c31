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


@pytest.mark.parametrize("flags, expected", [(" amx_bf16 amx_tile", True), (" amx_bf16", False), ("", False)])
def test_needed_by_a_processor_with_amx(flags: str, expected: bool) -> None:
    assert xstate.needed(CPUINFO.format(flags)) is expected


def test_needed_on_a_machine_that_tells_no_flags() -> None:
    assert not xstate.needed("")


def test_nothing_where_it_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xstate, "needed", lambda: False)
    assert xstate.environment() == {}


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
