# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of virtual servers that do nothing without another one beside them: warnings only."""

from __future__ import annotations

import typing as t

from . import address, check_localnode, model
from .director import Director
from .merge import blocks, fields
from .problem import WARNING, Problem
from .schema_lvs import CHECKS
from .words import Block

#: block -> a word that others need -> those others
_NEEDED: t.Mapping[str, t.Mapping[str, tuple[str, ...]]] = {
    "url": {"regex": ("regex_no_match", "regex_options", "regex_min_offset", "regex_max_offset")},
    "UDP_CHECK": {"require_reply": ("min_reply_length", "max_reply_length")},
    "real_server": {"uthreshold": ("lthreshold",)},
    "virtual_server": {"sorry_server": ("sorry_server_lvs_method",)},
    "global_defs": {"lvs_notify_fifo": ("lvs_notify_fifo_script",)},
}


def problems(director: Director) -> list[Problem]:
    """All findings in one director's configuration."""
    found = _alone(director, "global_defs", fields(director.configuration["global_defs"]), "global_defs")
    held = {at for instance in director.configuration["vrrp_instance"] for at in model.all_vips(instance)}
    for where, server, reals in director.pools:
        found += _alone(director, "virtual_server", server, where)
        found += _suspended(director, server, where, held)
        for path, real in reals:
            found += _alone(director, "real_server", real, path)
            for word in CHECKS:
                for check in blocks(real.get(word.name)) if word.name in real else ():
                    found += _check(director, word.block, check, f"{path}.{word.name}")
    return found + check_localnode.unheld(director)


def _alone(director: Director, block: str, said: t.Mapping[str, t.Any], where: str) -> list[Problem]:
    return [
        director.problem(f"{where}.{word}", f"without {needed} it does nothing", f"add {needed}, or remove it", WARNING)
        for needed, words in _NEEDED.get(block, {}).items()
        if said.get(needed) in (None, False)
        for word in words
        if said.get(word) not in (None, False)
    ]


def _check(director: Director, block: Block | None, check: t.Mapping[str, t.Any], where: str) -> list[Problem]:
    found = _alone(director, block.name if block is not None else "", check, where)
    for url in blocks(check.get("url")):
        found += _alone(director, "url", url, f"{where}.url")
    if check.get("bind_if") is not None:
        ends = (address.try_parse(check.get(word)) for word in ("bindto", "connect_ip"))
        if not any(at is not None and at.is_link_local for at in ends):
            what = "it is for a link-local bindto or connect_ip, and does nothing without"
            found.append(director.problem(f"{where}.bind_if", what, "remove it, or write bindto", WARNING))
    return found


def _suspended(
    director: Director, server: t.Mapping[str, t.Any], where: str, held: set[address.Address]
) -> list[Problem]:
    if not model.is_on(server.get("ha_suspend")):
        return []
    at = address.try_parse(server.get("ip"))
    if server.get("group") is not None or (at is not None and at in held):
        return []
    what = "no vrrp_instance holds its address, so its checks are never suspended"
    return [director.problem(f"{where}.ha_suspend", what, "remove it", WARNING)]
