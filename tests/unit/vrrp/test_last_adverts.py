# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of last adverts: what a process that was killed has left."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from _lvs_agent.vrrp.last_adverts import LastAdverts, last_adverts
from _lvs_agent.vrrp.plan import Identity

ONE, TWO = Identity(51, 4, "ens33", ""), Identity(255, 6, "a23456789012345", "fe80:1111:2222:3333:4444:5555:6666:7777")
MANY = [Identity(vrid, 4, "eth0", "") for vrid in range(1, 256)]


@pytest.fixture
def record(tmp_path: Path) -> Iterator[int]:
    with (tmp_path / "adverts").open("w+b") as file:
        yield file.fileno()


def test_what_was_sent_is_there_without_a_word_to_the_kernel(record: int) -> None:
    assert last_adverts(record) == {}
    writer = LastAdverts(record)
    writer.configure([ONE, TWO])
    assert last_adverts(record) == {ONE: 0, TWO: 0}
    writer.sent(TWO, 2**62)
    writer.sent(ONE, 7)
    writer.sent(MANY[0], 7)
    assert last_adverts(record) == {ONE: 7, TWO: 2**62}
    writer.no_master(TWO)
    assert last_adverts(record) == {ONE: 7, TWO: 0}


def test_the_next_process_and_a_reload_keep_what_is_known(record: int) -> None:
    first = LastAdverts(record)
    first.configure([TWO, ONE])
    first.sent(ONE, 5)
    second = LastAdverts(record)
    assert last_adverts(record) == {ONE: 5, TWO: 0}
    # more than the file had room for
    second.configure([*MANY, ONE])
    assert last_adverts(record) == {**dict.fromkeys(MANY, 0), ONE: 5}
    second.sent(MANY[-1], 6)
    second.configure([MANY[-1]])
    assert last_adverts(record) == {MANY[-1]: 6}


def test_one_that_cannot_grow_goes_on_with_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "adverts"
    path.write_bytes(bytes(mmap.PAGESIZE))
    with path.open("r+b") as file:
        writer = LastAdverts(file.fileno())
        writer.configure([ONE])
        with path.open("rb") as readable:
            os.dup2(readable.fileno(), file.fileno())
        with pytest.raises(OSError, match="Bad file descriptor"):
            writer.configure(MANY)
        writer.sent(ONE, 3)
    with path.open("rb") as file:
        assert last_adverts(file.fileno()) == {ONE: 3}


def test_garbage_is_no_instance_and_no_error(record: int, tmp_path: Path) -> None:
    (tmp_path / "adverts").write_bytes(b"\xff" * 100 + b"\0" * 900)
    assert len(last_adverts(record)) <= 2
    LastAdverts(record).configure([ONE])
    assert last_adverts(record) == {ONE: 0}
    with pytest.raises(OSError, match="Bad file"):
        last_adverts(-1)


def test_nobody_needs_a_file() -> None:
    alone = LastAdverts()
    alone.configure(MANY)
    alone.sent(MANY[3], 1)


@pytest.mark.host
def test_a_full_file_system_is_no_sigbus(tmp_path: Path) -> None:
    """A page that is mapped and not allocated kills the process that writes to it."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            status = _on_a_full_file_system(tmp_path)
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _on_a_full_file_system(where: Path) -> int:
    """0 when all is as it should be; in a process of its own, with mounts of its own."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(where)]
    if _unshare_mounts() or subprocess.run(mount, check=False).returncode:
        return 2
    small, none = (os.open(where / name, os.O_RDWR | os.O_CREAT) for name in ("small", "none"))
    writer = LastAdverts(small)
    writer.configure([ONE])
    writer.sent(ONE, 3)
    with suppress(OSError), (where / "full").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    try:
        writer.configure([*MANY, ONE])
    except OSError as error:
        if error.errno != errno.ENOSPC:
            return 3
    writer.sent(ONE, 4)
    if last_adverts(small) != {ONE: 4}:
        return 4
    # a sparse file, as a version before left it
    os.ftruncate(none, 8192)
    other = LastAdverts(none)
    other.configure(MANY)
    other.sent(MANY[200], 5)
    return 0 if "No space left" in other.problem and last_adverts(none) == {} else 5


def _unshare_mounts() -> int:
    libc = ctypes.CDLL(None)
    clone_newns, private = 0x20000, 0x40000 | 0x4000  # MS_PRIVATE, MS_REC
    return int(libc.unshare(clone_newns) or libc.mount(b"none", b"/", None, private, None))
