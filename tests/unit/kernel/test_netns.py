# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of network namespaces; entering them is tested in tests/integration/uml."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from _lvs_agent.kernel import netns


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(netns, "_DIRECTORY", str(tmp_path / "netns"))
    return tmp_path / "netns"


def test_the_file_of_a_namespace(directory: Path) -> None:
    assert netns.namespace_path("left") == str(directory / "left")
    assert netns.namespace_path("/proc/1/ns/net") == "/proc/1/ns/net"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../etc", "a\0b"])
def test_what_is_neither_a_name_nor_a_path(name: str) -> None:
    with pytest.raises(netns.NamespaceError, match="absolute path"):
        netns.namespace_path(name)


def test_a_missing_namespace(directory: Path) -> None:
    with pytest.raises(netns.NamespaceNotFound, match="there are none") as caught, netns.inside("left"):
        pass
    assert caught.value.errno == errno.ENOENT
    directory.mkdir()
    for name in ("right", "left"):
        (directory / name).touch()
    with pytest.raises(netns.NamespaceNotFound, match="only left, right; did you mean left"), netns.inside("leff"):
        pass


def test_another_file_is_no_namespace(directory: Path) -> None:
    directory.mkdir()
    (directory / "left").touch()
    with pytest.raises(netns.NamespaceError, match=r"no network namespace|CAP_SYS_ADMIN"), netns.inside("left"):
        pass


class Broken(Exception):
    """What goes wrong inside a namespace."""


def test_the_thread_comes_back_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """With os.setns, which Python has since 3.12; without it the tests in tests/integration/uml tell the same."""
    entered: list[tuple[str, int]] = []

    def setns(descriptor: int, kind: int) -> None:
        entered.append((os.readlink(f"/proc/self/fd/{descriptor}"), kind))

    def break_inside() -> None:
        with netns.inside("/proc/self/ns/net"):
            assert len(entered) == 1
            raise Broken

    monkeypatch.setattr(os, "setns", setns, raising=False)
    with pytest.raises(Broken):
        break_inside()
    assert entered == [(os.readlink("/proc/thread-self/ns/net"), 0x40000000)] * 2


def test_no_namespace_is_this_one() -> None:
    before = os.readlink("/proc/thread-self/ns/net")
    with netns.inside(None):
        assert os.readlink("/proc/thread-self/ns/net") == before
