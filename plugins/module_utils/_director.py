# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the modules for a director ask its lvs-agent: the options that they share, and errors with advice for a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.control.protocol import SOCKET

if TYPE_CHECKING:
    from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.control.client import Unreachable
    from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.control.protocol import Refused


def socket_spec(timeout_s: float) -> dict[str, Any]:
    """The options ``socket`` and ``timeout``."""
    return {"socket": {"type": "path", "default": SOCKET}, "timeout": {"type": "float", "default": timeout_s}}


# The daemon and its client give advice for lvsctl; a task has other options.
ADVICE = {
    "last_server": "let another one serve first, or write force: true",
    "no_answer": "look into the log of the unit lvs-agent, or raise timeout",
    "not_running": "start the unit lvs-agent, or name its socket in the option socket",
    "no_virtual_servers": "there is nothing to drain on this director",
    "lvs_silent": "read status and events with linuxha.lvs.director_info",
    "bad_version": "install the version of lvs-agent that this collection has, with the role agent",
}


def message(error: Refused | Unreachable) -> str:
    """What is wrong and what to do about it, in a task."""
    advice = ADVICE.get(error.code, error.instead)
    return f"{error.what}; {advice}" if advice else error.what
