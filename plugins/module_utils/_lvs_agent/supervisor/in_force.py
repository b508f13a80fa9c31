# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration in force, kept in the runtime directory: a daemon that was killed goes on with it at once.

Reading the file again takes longer than a backup waits. The file, ``in-force``, is pickled, so it is read only when
nobody but us can have written it, in this boot, and by this very program.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import pickle
import stat
import sys
from typing import TYPE_CHECKING

from ..version import program
from . import upgrade
from .files import replace

if TYPE_CHECKING:
    from ..vrrp.plan import Plan
    from .reader import Settings

_log = logging.getLogger(__name__)
_LONGEST = 64 << 20
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_WRITABLE = stat.S_IWGRP | stat.S_IWOTH


class Taken:
    """What was in force: ``plan``, and all the rest when it is asked for, as that needs more to be imported."""

    def __init__(self, content: bytes) -> None:
        """Raises what unpickling may raise."""
        self._file = io.BytesIO(content)
        self.plan: Plan = pickle.load(self._file)  # noqa: S301 - ours, see InForce

    def settings(self) -> Settings | None:
        """All of it, with the plan; None when it cannot be read."""
        try:
            found: Settings = pickle.load(self._file)  # noqa: S301 - ours, see InForce
        except Exception as error:  # noqa: BLE001 - then it is read from the file that people write
            _log.warning("what was in force cannot be read: %r", error)
            return None
        return found


class InForce:
    """The file ``in-force`` in ``directory``."""

    def __init__(self, directory: str, this_boot: str) -> None:
        self._directory = directory
        self._path = os.path.join(directory, "in-force")
        who = _this_program()
        self._header = f"{this_boot} {who}\n".encode() if who else b""

    def write(self, settings: Settings) -> None:
        """These are in force now. Without the file a crash costs more time, so an error is a warning."""
        if not self._header:
            return
        protocol = pickle.HIGHEST_PROTOCOL
        content = self._header + pickle.dumps(settings.plan, protocol) + pickle.dumps(settings, protocol)
        if len(content) > _LONGEST:
            self.remove()
            return
        try:
            replace(self._path, content, 0o600)
        except OSError as error:
            _log.warning("%s: %s; a crash of the daemon may cost its VIPs a fail-over", self._path, error.strerror)
            self.remove()

    def take(self) -> Taken | None:
        """What was in force when the daemon before us was killed, if this program wrote it in this boot.

        The file is removed, and written again when the settings are at work: what we cannot live with is tried once.
        """
        content = self._read()
        if content is None:
            return None
        self.remove()
        if not self._header or not content.startswith(self._header):
            return None
        try:
            return Taken(content[len(self._header) :])
        except Exception as error:  # noqa: BLE001 - then it is read from the file that people write
            _log.warning("%s is of no use: %r", self._path, error)
            return None

    def remove(self) -> None:
        """Nothing is in force any more."""
        with contextlib.suppress(OSError):
            os.unlink(self._path)

    def _read(self) -> bytes | None:
        """What is in it, None when there is none, or when anybody else may have written it."""
        ours = (os.geteuid(), 0)
        try:
            place = os.stat(self._directory)
            handle = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        with open(handle, "rb") as file:
            status = os.fstat(handle)
            private = stat.S_ISREG(status.st_mode) and not status.st_mode & _OTHERS and status.st_uid == ours[0]
            if not private or place.st_uid not in ours or place.st_mode & _WRITABLE:
                _log.warning("%s is not used: somebody else may have written it", self._path)
                return None
            return file.read(_LONGEST + 1) if status.st_size <= _LONGEST else None


def _this_program() -> str:
    """What wrote the file, and can read it; "" for a program that is not one file, nor an installed directory."""
    found = upgrade.this_program()
    return f"{program()} {found.real} {found.identity} {sys.hexversion:x}".replace("\n", " ") if found else ""
