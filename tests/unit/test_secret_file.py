# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Password files: the first line, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from _lvs_agent.secret_file import BadSecret, read


@pytest.mark.parametrize(
    "content, password",
    [
        (b"s3cret", "s3cret"),
        (b"s3cret\n", "s3cret"),
        (b"s3cret\r\nsecond line\n", "s3cret"),
        (b" with blanks \n", " with blanks "),
        ("Grüße".encode(), "Grüße"),
    ],
)
@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640])
def test_the_first_line(tmp_path: Path, content: bytes, password: str, mode: int) -> None:
    (tmp_path / "password").write_bytes(content)
    (tmp_path / "password").chmod(mode)
    assert read(str(tmp_path / "password")) == password


@pytest.mark.parametrize(
    "content, mode, what",
    [
        (b"s3cret", 0o644, "its mode is 0644: all users may read or write it; chmod o= it"),
        (b"s3cret", 0o602, "its mode is 0602: all users may read or write it; chmod o= it"),
        (b"", 0o600, "its first line is empty"),
        (b"\nsecond", 0o600, "its first line is empty"),
        (b"x" * 1025, 0o600, "its first line has more than 1024 bytes"),
        (b"\xff\xfe", 0o600, "its first line is no UTF-8"),
        (b"a\0b", 0o600, "its first line has control characters"),
        (b"a\rb", 0o600, "its first line has control characters"),
    ],
)
def test_what_is_no_password(tmp_path: Path, content: bytes, mode: int, what: str) -> None:
    (tmp_path / "password").write_bytes(content)
    (tmp_path / "password").chmod(mode)
    with pytest.raises(BadSecret) as refused:
        read(str(tmp_path / "password"))
    assert str(refused.value) == what


def test_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    cases = {
        tmp_path / "missing": "it cannot be read: No such file or directory",
        tmp_path: "it is no regular file",
        tmp_path / "fifo": "it is no regular file",
        Path("/dev/zero"): "it is no regular file",
    }
    for path, what in cases.items():
        with pytest.raises(BadSecret, match=what):
            read(str(path))
    with pytest.raises(BadSecret, match="cannot be read"):
        read("a\0b")
