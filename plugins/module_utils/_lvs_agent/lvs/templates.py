# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``net.ipv4.vs.expire_quiescent_template``, which ends persistence towards real servers of weight 0.

It is 0 when IPVS is loaded: a client with a persistence template then goes on to a server that is drained, or that is
down with ``inhibit_on_failure``, and each connection renews the template (Documentation/networking/ipvs-sysctl.rst).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ..kernel import sysctl
from ..kernel.ipvs_types import SVC_F_PERSISTENT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .plan import VirtualServerPlan

_log = logging.getLogger(__name__)

EXPIRE_QUIESCENT_TEMPLATE = sysctl.ipvs_key("expire_quiescent_template")


def end_when_drained() -> bool:
    """Whether templates of this network namespace end so. Where the setting cannot be read they do not."""
    try:
        return sysctl.read(EXPIRE_QUIESCENT_TEMPLATE) != "0"
    except sysctl.SysctlError:
        return False


class TemplateExpiry:
    """Sets it where a virtual service is persistent: once for each configuration, so that an operator may undo it.

    It stays set when the daemon ends, as drains do.
    """

    def __init__(self) -> None:
        self._is_due = False
        self._error = ""

    def configure(self, virtual_servers: Iterable[VirtualServerPlan]) -> None:
        """These virtual servers from now on."""
        self._is_due = any(
            service.flags & SVC_F_PERSISTENT for virtual in virtual_servers for service in virtual.services
        )

    def follow(self) -> None:
        """Set it, if that is still to be done. A failure is logged once and tried again at the next call."""
        if not self._is_due:
            return
        name = ".".join(EXPIRE_QUIESCENT_TEMPLATE)
        try:
            if sysctl.read(EXPIRE_QUIESCENT_TEMPLATE) == "0":
                sysctl.write(EXPIRE_QUIESCENT_TEMPLATE, "1")
                _log.info("%s is 1 now: persistent clients leave real servers of weight 0", name)
        except sysctl.SysctlError as error:
            if self._error != str(error):
                _log.warning("%s; persistent clients keep going to real servers of weight 0; trying again", error)
            self._error = str(error)
            return
        self._is_due, self._error = False, ""
