# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the supervisor and the LVS process say to each other, as plain values that can be pickled.

All times named ``monotonic_ns`` are CLOCK_MONOTONIC, which all processes of a host share.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Union

from .transitions import Transition

# ---- from the supervisor


@dataclass(frozen=True)
class Configure:
    """Do this from now on. ``settings`` is what :func:`..supervisor.lvs_settings.pack` made."""

    settings: bytes


@dataclass(frozen=True)
class Masters:
    """The VRRP instances that are master here, by name."""

    names: frozenset[str]


@dataclass(frozen=True)
class Ask:
    """A question of the operator's, to be answered by an Answer with the same number."""

    number: int


@dataclass(frozen=True)
class AskServers(Ask):
    """All that is known of the virtual servers, or of the one that ``service`` names."""

    service: str = ""


@dataclass(frozen=True)
class AskDiff(Ask):
    """What would change in the kernel's table with these settings; b"" means those in force: what has drifted."""

    settings: bytes = b""


@dataclass(frozen=True)
class OrderDrain(Ask):
    """Drain a real server, in one virtual server or in all (""). With ``wait`` answer when no client is left.

    ``timeout_ns`` is the most to wait, 0 without end. ``force``: even if no other server is left to serve.
    """

    server: str = ""
    service: str = ""
    wait: bool = False
    timeout_ns: int = 0
    force: bool = False


@dataclass(frozen=True)
class OrderUndrain(Ask):
    """Take a drain back."""

    server: str = ""
    service: str = ""


@dataclass(frozen=True)
class Leave:
    """Exit, and leave everything as it is: another process goes on."""


@dataclass(frozen=True)
class Stop:
    """The daemon ends: do what ``lvs_flush_on_stop`` and ``omega`` say, then exit."""


ToLvs = Union[Configure, Masters, AskServers, AskDiff, OrderDrain, OrderUndrain, Leave, Stop]


# ---- from the LVS process


@dataclass(frozen=True)
class Ready:
    """All is imported; waiting for Configure."""


@dataclass(frozen=True)
class Configured:
    """A Configure is carried out; ``problems`` are what could not be done, in words."""

    virtual_servers: int
    real_servers: int
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Happened:
    """A real server or a quorum changed; ``cause`` says why, "" where the transition says it all."""

    transition: Transition
    cause: str
    monotonic_ns: int
    real_ns: int


@dataclass(frozen=True)
class Drift:
    """What somebody else changed in our part of the kernel's table was put back, ``number`` changes in all."""

    service: str
    lines: tuple[str, ...]
    number: int


@dataclass(frozen=True)
class Remark:
    """A line for the log and the events; ``level`` is one of logging's numbers."""

    level: int
    text: str


@dataclass(frozen=True)
class Heartbeat:
    """Once a second: the loop turns. ``summary`` is what ``lvsctl status`` shows, as plain values."""

    monotonic_ns: int
    summary: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """To the question of that number: plain values for JSON, or (code, what, instead) of a refusal."""

    number: int
    result: dict[str, Any] = field(default_factory=dict)
    refused: tuple[str, str, str] | None = None


FromLvs = Union[Ready, Configured, Happened, Drift, Remark, Heartbeat, Answer]

#: Each of these tells what no later message tells again.
KEPT = (Ready, Configured, Happened, Drift, Answer)
