# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in another network namespace (setns(2), ip-netns(8)): a socket opened inside stays there."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from ..spelling import closest
from .errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIRECTORY = "/run/netns"
_OWN = "/proc/thread-self/ns/net"
_CLONE_NEWNET = 0x40000000


class NamespaceError(KernelError):
    """A network namespace could not be entered."""


class NamespaceNotFound(NamespaceError):
    """There is no network namespace of that name; the advice lists those that exist and the nearest spelling."""


def namespace_names() -> list[str]:
    """The names of the network namespaces as ``ip netns`` lists them, sorted."""
    try:
        return sorted(os.listdir(_DIRECTORY))
    except FileNotFoundError:
        return []


def namespace_path(netns: str) -> str:
    """The file that holds a namespace: a name's is under /run/netns, an absolute path is itself.

    Raises NamespaceError for what is neither.
    """
    if netns.startswith("/"):
        return netns
    if "/" in netns or "\0" in netns or netns in ("", ".", ".."):
        raise NamespaceError(
            errno.EINVAL, f"network namespace {netns!r}", "use a name that `ip netns` lists, or an absolute path"
        )
    return f"{_DIRECTORY}/{netns}"


@contextlib.contextmanager
def inside(netns: str | None) -> Iterator[None]:
    """This thread in the namespace of that name or path, and back in its own at the end, whatever happens.

    None is the thread's own namespace, and costs nothing. Raises NamespaceError; entering needs CAP_SYS_ADMIN.
    """
    if netns is None:
        yield
        return
    subject = f"network namespace {netns}"
    own = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(netns, subject)
        try:
            yield
        finally:
            _setns(own)
    finally:
        os.close(own)


def _enter(netns: str, subject: str) -> None:
    path = namespace_path(netns)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NamespaceNotFound(errno.ENOENT, subject, _missing(netns)) from error
    except OSError as error:
        raise NamespaceError(error.errno or errno.EIO, subject, f"{path} cannot be opened; this needs root") from error
    try:
        _setns(descriptor)
    except OSError as error:
        advice = "entering it needs root (CAP_SYS_ADMIN)"
        if error.errno == errno.EINVAL:
            advice = f"{path} is no network namespace (one that was deleted, or another file)"
        raise NamespaceError(error.errno or errno.EIO, subject, advice) from error
    finally:
        os.close(descriptor)


def _missing(netns: str) -> str:
    names = namespace_names()
    if not names:
        return "there are none on this host; `ip netns add` makes one"
    near = closest(netns.rpartition("/")[2], names)
    hint = f"; did you mean {near}?" if near else ""
    return f"there are only {', '.join(names)}{hint}"


def _setns(descriptor: int) -> None:
    """setns(2), which Python has since 3.12."""
    known = getattr(os, "setns", None)
    if known is not None:
        known(descriptor, _CLONE_NEWNET)
        return
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
