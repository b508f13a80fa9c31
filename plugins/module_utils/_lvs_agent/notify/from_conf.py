# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The global words of notification in a settled configuration, with keepalived's defaults."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from .. import secret_file
from ..conf import model
from ..conf.quoting import split
from ..script_commands import Commands, RefusedCommand
from .fifo import FifoPlan
from .mail import MailPlan

Words = Mapping[str, Any]
_PORTS = {"": 25, "starttls": 587, "implicit": 465}  # RFC 5321, 6409 and 8314
# each with whose changes are written to it: VRRP's, LVS's
_FIFOS = {"notify_fifo": (True, True), "vrrp_notify_fifo": (True, False), "lvs_notify_fifo": (False, True)}


def mail(configuration: Words, hostname: str) -> MailPlan | None:
    """Where mail goes; None without a server or receivers."""
    said = configuration["global_defs"]
    receivers = tuple(str(one) for one in said.get("notification_email") or ())
    server = str(said.get("smtp_server", "")).split()
    if not receivers or not server:
        return None
    tls = str(said.get("smtp_tls", ""))
    return MailPlan(
        server=server[0],
        port=int(server[1]) if server[1:] else _PORTS[tls],
        sender=str(said.get("notification_email_from", f"keepalived@{hostname}")),
        receivers=receivers,
        helo=str(said.get("smtp_helo_name", hostname)),
        router_id=str(said.get("router_id", hostname)),
        timeout_s=model.whole(said.get("smtp_connect_timeout")) or 30,
        no_email_faults=model.is_on(said.get("no_email_faults")),
        tls=tls,
        tls_ca_file=str(said.get("smtp_tls_ca_file", "")),
        user=str(said.get("smtp_user", "")),
        password_file=str(said.get("smtp_password_file", "")),
    )


def mail_problems(plan: MailPlan | None) -> list[str]:
    """Why no mail could be sent from this host, in words: its files are read when there is something to send."""
    if plan is None:
        return []
    problems: list[str] = []
    if plan.password_file:
        try:
            secret_file.read(plan.password_file)
        except secret_file.BadSecret as bad:
            problems.append(f"mail cannot be sent: smtp_password_file {plan.password_file}: {bad}")
    if plan.tls_ca_file and not os.access(plan.tls_ca_file, os.R_OK):
        problems.append(f"mail cannot be sent: smtp_tls_ca_file {plan.tls_ca_file} cannot be read")
    return problems


def fifos(configuration: Words, commands: Commands) -> tuple[list[FifoPlan], list[str]]:
    """The FIFOs that changes are written to, and what is wrong with them or their scripts, in words."""
    said = configuration["global_defs"]
    found: list[FifoPlan] = []
    problems: list[str] = []
    for word, (vrrp, lvs) in _FIFOS.items():
        path, user, group = ([*split(str(said.get(word, ""))), "", "", ""])[:3]
        if not path:
            continue
        owner = commands.account(user, group) if user else None
        if user and owner is None:
            problems.append(f"{word} {path}: this machine has no user {user}" + (f" or group {group}" if group else ""))
        reader = said.get(f"{word}_script")
        command = None
        if reader:
            try:
                command = commands.command(str(reader), "", path)
            except RefusedCommand as refused:
                problems.append(f"{word}_script {reader} is not run: {refused}")
        found.append(FifoPlan(path, owner, command, vrrp, lvs))
    return found, problems
