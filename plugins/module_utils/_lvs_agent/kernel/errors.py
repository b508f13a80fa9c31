# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors of everything under ``kernel/``."""

from __future__ import annotations

import errno as errno_names
import os


class KernelError(OSError):
    """The kernel, or a tool that speaks to it, refused.

    ``errno`` is the number (0 when there is none), ``subject`` the object that was worked on, ``advice`` what
    the reader can do. ``str()`` joins the three into one sentence.
    """

    def __init__(self, errno: int, subject: str, advice: str) -> None:
        super().__init__(errno, os.strerror(errno) if errno else "")
        self.subject = subject
        self.advice = advice

    def __str__(self) -> str:
        if not self.errno:
            return f"{self.subject}: {self.advice}"
        name = errno_names.errorcode.get(self.errno, str(self.errno))
        return f"{self.subject}: {self.strerror} ({name}): {self.advice}"


class InterfaceNotFound(KernelError):
    """There is no interface of that name; the advice lists those that exist and the nearest spelling."""
