# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What User Mode Linux lacks on a processor with AMX, whose registers are larger than it knows.

Linux takes a process's extended registers from ptrace(2) only as a whole (arch/x86/kernel/fpu/regset.c,
xstateregs_set), 11,008 bytes with AMX; the kernel 6.1 of a guest has room for 2,696, all up to AVX-512 and PKRU, and
loses its first process: "ptrace set fp regs failed, errno = 14". A library that is loaded before libc's makes the rest
up as zeros, which is what a guest that never used AMX has there.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from .commands import run
from .paths import cache_root

# NT_X86_XSTATE of elf.h and PTRACE_SETREGSET of ptrace(2). No header is included and nothing linked, so that the
# compiler alone is enough.
_SOURCE = """\
struct iovec { void *base; __SIZE_TYPE__ length; };
void *dlsym(void *handle, const char *symbol);
static char whole[65536];

long ptrace(long request, long pid, void *address, void *data)
{
    static long (*libc)(long, long, void *, void *);
    struct iovec *part = data, all = { whole, sizeof whole };
    if (!libc)
        libc = dlsym((void *)-1, "ptrace"); /* RTLD_NEXT */
    if (request != 0x4205 || address != (void *)0x202 || part->length > sizeof whole)
        return libc(request, pid, address, data);
    __builtin_memcpy(whole, part->base, part->length);
    return libc(request, pid, address, &all);
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
