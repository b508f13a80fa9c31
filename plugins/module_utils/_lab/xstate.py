# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What User Mode Linux lacks on a processor with AMX, whose registers are larger than it knows.

Linux takes a process's extended registers from ptrace(2) only as a whole (arch/x86/kernel/fpu/regset.c,
xstateregs_set), 11,008 bytes with AMX; the kernel 6.1 of a guest has room for 2,696, all up to AVX-512 and PKRU, and
loses its first process: "ptrace set fp regs failed, errno = 14". A library that is loaded before libc's makes the rest
up as zeros, which is what a guest that never used AMX has there.

The kernel of a guest reads and writes all registers of a process at each of its system calls, mostly the same values.
The library leaves out a PTRACE_SETREGSET of what the PTRACE_GETREGSET just before returned. That is valid because:

1. The process is in a ptrace-stop from the one to the other: it runs only after a request that resumes it (ptrace(2)),
   and every request but those two and PTRACE_GETREGS, PTRACE_SETREGS and PTRACE_GETSIGINFO, which neither resume it
   nor touch the extended registers, makes the library forget what it read.
2. A stopped process has its registers changed by its tracer only, and a guest's kernel has one thread that traces.
3. A new process with the same id is no exception: it is not traced without a request (PTRACE_SETOPTIONS) in between.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from .commands import run
from .paths import cache_root

# NT_X86_XSTATE of elf.h and the requests of ptrace(2). No header is included and nothing linked, so that the compiler
# alone is enough.
_SOURCE = """\
struct iovec { void *base; __SIZE_TYPE__ length; };
void *dlsym(void *handle, const char *symbol);
enum { GETREGS = 12, SETREGS = 13, GETSIGINFO = 0x4202, GETREGSET = 0x4204, SETREGSET = 0x4205, XSTATE = 0x202 };
static char whole[65536], read[65536];
static __SIZE_TYPE__ read_length; /* 0: forgotten */
static long read_pid;
static long (*libc)(long, long, void *, void *);

static long get(long pid, struct iovec *part)
{
    long result = libc(GETREGSET, pid, (void *)XSTATE, part);
    read_pid = pid;
    read_length = result || part->length > sizeof read ? 0 : part->length;
    __builtin_memcpy(read, part->base, read_length);
    return result;
}

static long set(long pid, struct iovec *part)
{
    struct iovec all = { whole, sizeof whole };
    if (read_length && pid == read_pid && part->length == read_length &&
        !__builtin_memcmp(read, part->base, read_length))
        return 0;
    read_length = 0;
    __builtin_memcpy(whole, part->base, part->length);
    return libc(SETREGSET, pid, (void *)XSTATE, &all);
}

long ptrace(long request, long pid, void *address, void *data)
{
    struct iovec *part = data;
    if (!libc)
        libc = dlsym((void *)-1, "ptrace"); /* RTLD_NEXT */
    if (request == GETREGSET && address == (void *)XSTATE)
        return get(pid, part);
    if (request == SETREGSET && address == (void *)XSTATE && part->length <= sizeof whole)
        return set(pid, part);
    if (request != GETREGS && request != SETREGS && request != GETSIGINFO)
        read_length = 0;
    return libc(request, pid, address, data);
}
"""


def needed(cpuinfo: str | None = None) -> bool:
    """Whether this processor, by the text of /proc/cpuinfo, has registers that a guest's kernel has no room for."""
    text = Path("/proc/cpuinfo").read_text() if cpuinfo is None else cpuinfo
    flags = next((line.split() for line in text.splitlines() if line.startswith("flags")), [])
    return "amx_tile" in flags


def environment() -> dict[str, str]:
    """What a guest's kernel needs in its environment on this processor. LabError when the compiler is missing."""
    return {"LD_PRELOAD": str(_library())} if needed() else {}


def _library() -> Path:
    """The library, compiled if it is not in the cache."""
    key = hashlib.sha256(_SOURCE.encode()).hexdigest()[:12]
    library = cache_root() / f"xstate-{key}.so"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as directory:
            source, made = Path(directory, "xstate.c"), Path(directory, library.name)
            source.write_text(_SOURCE)
            run(["gcc", "-shared", "-fPIC", "-O2", "-nostdlib", "-o", str(made), str(source)])
            os.replace(made, library)  # two labs may boot at once
    return library
