# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon's log: lines on standard error, for systemd's journal with a priority in front (sd-daemon(3))."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

#: logging's numbers -> those of syslog(3), at most the given level each
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG = 7


def priority(level: int) -> int:
    """syslog's number of a level of logging."""
    return next((number for least, number in _PRIORITIES if level >= least), _DEBUG)


class SdFormatter(logging.Formatter):
    """``<6>text``: a priority for each line, since the journal takes a line for a message."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's text, all its lines with the priority."""
        prefix = f"<{priority(record.levelno)}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines() or [""])


def set_up(level: int, stream: TextIO | None = None) -> None:
    """Log to ``stream``, standard error by default: with priorities, or for people when it is a terminal."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    if stream.isatty():
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    else:
        handler.setFormatter(SdFormatter("%(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # a log that cannot be written must not print tracebacks into itself
    logging.raiseExceptions = False
