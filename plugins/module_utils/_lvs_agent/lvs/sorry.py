# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of sorry servers, for ``sorry_server_check``; keepalived has none, and sends clients to a dead one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..conf import address
from ..conf.quoting import split
from ..health import from_conf as health_conf
from ..health.plan import CheckPlan
from ..script_commands import Commands

Words = Mapping[str, Any]

_OWN_WORDS = ("check_via_vip", "real_server")  # of a virtual server, that mean its real servers alone


def checks(configuration: Words, commands: Commands) -> list[CheckPlan]:
    """Those of a settled configuration, with the timers of their virtual servers. Raises ConfigurationError."""
    virtual = [_as_real_server(one) for one in configuration["virtual_server"] if one.get("sorry_server_check")]
    found = health_conf.plans({**configuration, "virtual_server": virtual}, commands)
    return [replace(one, id=one.id._replace(server=server_key(one.id.server))) for one in found]


def server_key(name: str) -> str:
    """The sorry server among the real servers of its virtual server, of which it may be one too."""
    return f"sorry server {name}"


def _as_real_server(virtual: Words) -> Words:
    words = split(str(virtual["sorry_server"]))
    real: dict[str, Any] = {"ip": str(address.parse(words[0])), str(virtual["sorry_server_check"]): [{}]}
    port = words[1] if len(words) > 1 else virtual.get("port")
    if port is not None:
        real["port"] = port
    others = {word: value for word, value in virtual.items() if word not in _OWN_WORDS}
    return {**others, "real_server": [real]}
