# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a virtual server's decision rests on from one time to the next, as frozen values, and as JSON for a restart."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class ServerState(NamedTuple):
    """One real server.

    ``up`` is what its checks say, ``told`` what people and scripts were told (None: nothing yet). ``pooled``: it
    counts as serving; ``held``: although it is down, by the depool floor. ``serving``: it has a weight, or would have
    if the configured one were not 0. ``dynamic`` is what its checks add to its weight. ``ramp_ns`` is when its weight
    began to grow, 0 for never (CLOCK_MONOTONIC).
    """

    up: bool = True
    told: bool | None = True
    pooled: bool = True
    held: bool = False
    drained: bool = False
    serving: bool = True
    dynamic: int = 0
    ramp_ns: int = 0


_USUAL = ServerState()
_KINDS: tuple[type | tuple[type, ...], ...] = (bool, (bool, type(None)), bool, bool, bool, bool, int, int)


@dataclass(frozen=True)
class ServiceState:
    """One virtual server: its real servers by name, its quorum, the pool's ``weight``; ``sorry``: that one serves."""

    servers: Mapping[str, ServerState]
    quorum: bool
    weight: int
    sorry: bool = False


def to_json(states: Mapping[str, ServiceState]) -> dict[str, Any]:
    """For a file; of the servers only those that are not simply up, which are few."""
    return {
        name: {
            "quorum": state.quorum,
            "weight": state.weight,
            "sorry": state.sorry,
            "names": _digest(state.servers),
            "servers": {server: list(one) for server, one in state.servers.items() if one != _USUAL},
        }
        for name, state in states.items()
    }


def parse(content: Any, names: Mapping[str, Iterable[str]]) -> dict[str, ServiceState]:
    """What ``to_json`` gave, for the virtual servers in ``names``, each with the names of its real servers now.

    When those are others than then, the ones that are not in the file are new. Raises ValueError for anything else.
    """
    if not isinstance(content, dict):
        raise ValueError("the states are no mapping")  # noqa: TRY004 - a file's content is a value
    return {name: _service(content[name], list(servers)) for name, servers in names.items() if name in content}


def _service(content: Any, names: list[str]) -> ServiceState:
    kinds = {"quorum": bool, "weight": int, "sorry": bool, "names": int, "servers": dict}
    if not isinstance(content, dict) or any(not isinstance(content.get(key), kind) for key, kind in kinds.items()):
        raise ValueError(f"{content!r:.200} is no state of a virtual server")
    servers = dict.fromkeys(names, _USUAL) if content["names"] == _digest(names) else {}
    servers.update({name: _server(one) for name, one in content["servers"].items()})
    return ServiceState(servers, content["quorum"], content["weight"], content["sorry"])


def _server(content: Any) -> ServerState:
    if (
        not isinstance(content, list)
        or len(content) != len(_KINDS)
        or not all(isinstance(item, kind) for item, kind in zip(content, _KINDS))
    ):
        raise ValueError(f"{content!r:.200} is no state of a real server")
    return ServerState(*content)


def _digest(names: Iterable[str]) -> int:
    """Whether two sets of names are the same, near enough."""
    return zlib.crc32("\n".join(sorted(names)).encode())
