# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A password that is in a file of its own, so that it is in no configuration, no diff and no log."""

from __future__ import annotations

import os
import stat

_MOST = 1024  # bytes
_OTHERS = stat.S_IROTH | stat.S_IWOTH


class BadSecret(Exception):
    """``what`` is wrong with the file, without its name; ``instead`` what to do."""

    def __init__(self, what: str, instead: str = "") -> None:
        Exception.__init__(self, f"{what}; {instead}" if instead else what)
        self.what = what
        self.instead = instead


def read(path: str) -> str:
    """The first line of a file that others may not read. Raises BadSecret."""
    try:
        # a FIFO without a writer must not keep us
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise BadSecret(f"it cannot be read: {getattr(error, 'strerror', None) or error}") from error
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise BadSecret("it is no regular file")
        if mode & _OTHERS:
            raise BadSecret(f"its mode is {stat.S_IMODE(mode):04o}: all users may read or write it", "chmod o= it")
        data = os.read(descriptor, _MOST + 1)
    except OSError as error:
        raise BadSecret(f"it cannot be read: {error.strerror}") from error
    finally:
        os.close(descriptor)
    line = data.partition(b"\n")[0].rstrip(b"\r")
    if not line or len(line) > _MOST:
        raise BadSecret("its first line is empty" if not line else f"its first line has more than {_MOST} bytes")
    try:
        said = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadSecret("its first line is no UTF-8") from error
    if not said.isprintable():
        raise BadSecret("its first line has control characters")
    return said
