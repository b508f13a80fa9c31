# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two hosts of an inventory that are one machine: mostly an address that was copied."""

from __future__ import annotations

import typing as t

from .problem import Problem

HostVariables = t.Mapping[str, t.Mapping[str, t.Any]]
_LOCAL = ("local", "community.docker.docker", "docker", "podman", "lxc")  # the machine is not ansible_host's
_SSH_PORT = 22


def problems(hosts: HostVariables) -> list[Problem]:
    """Hosts of one group with the same ``ansible_host`` and ``ansible_port``."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, variables in hosts.items():
        at = str(variables.get("ansible_host") or name).lower()
        if variables.get("ansible_connection", "ssh") not in _LOCAL:
            found.setdefault((at, str(variables.get("ansible_port") or _SSH_PORT)), []).append(str(name))
    return [
        Problem(
            "ansible_host",
            f"{at} is the address of {' and '.join(names)}, so they are one machine",
            "write each host's own",
            hosts=tuple(names),
        )
        for (at, _port), names in found.items()
        if len(names) > 1
    ]
