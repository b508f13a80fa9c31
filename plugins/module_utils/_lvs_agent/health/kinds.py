# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which class makes the attempts of which check; a kind is imported when the first such check is configured."""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib import import_module
from typing import Any, Callable, cast

from .attempt import Attempt, Tools
from .plan import Timing

Maker = Callable[[Any, Timing, Tools], Attempt]

_KINDS = {
    "TcpCheck": ("tcp", "TcpAttempt"),
    "HttpCheck": ("http", "HttpAttempt"),
    "SmtpCheck": ("smtp", "SmtpAttempt"),
    "DnsCheck": ("dns", "DnsAttempt"),
    "UdpCheck": ("udp", "UdpAttempt"),
    "PingCheck": ("ping", "PingAttempt"),
    "MiscCheck": ("misc", "MiscAttempt"),
    "FileCheck": ("file", "FileAttempt"),
}


def maker(kind: type) -> Maker:
    """What makes an attempt of a check of this class."""
    return _maker(kind.__name__)


def read_files_again() -> None:
    """Certificates and keys may have been exchanged since they were read."""
    tls = sys.modules.get(f"{__package__}.tls")
    if tls is not None:
        tls.context.cache_clear()


@lru_cache(maxsize=len(_KINDS))
def _maker(kind: str) -> Maker:
    module, name = _KINDS[kind]
    return cast(Maker, getattr(import_module(f".{module}", __package__), name))
