# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of the module ``agent_program``: it packs lvs-agent, and sends it where it is missing."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.linuxha.lvs.plugins.module_utils import _agent_bundle

LIBRARY = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "module_utils", "_lvs_agent")


class ActionModule(ActionBase):
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        arguments = dict(self._task.args)
        if arguments.pop("bundle", None) is not None:
            return {**result, "failed": True, "msg": "bundle: the program is packed by this task itself; leave it out"}
        packed = None
        if not arguments.get("name"):
            packed = _agent_bundle.bundle(LIBRARY)
            arguments["name"] = packed.name
        result.update(self._ask(arguments, task_vars))
        if result.get("bundle_wanted") and packed is None:
            there = ", ".join(one for one in result["programs"] if one != arguments["name"]) or "none"
            what = f"{arguments['name']} is not on this host, or damaged; there are: {there}"
            return {"failed": True, "msg": f"Nothing was exchanged: {what}"}
        if result.get("bundle_wanted") and packed is not None and not self._task.check_mode:
            result.update(self._ask({**arguments, "bundle": self._send(packed.archive)}, task_vars))
        return result

    def _ask(self, arguments: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        found: dict[str, Any] = self._execute_module(
            module_name="linuxha.lvs.agent_program", module_args=arguments, task_vars=task_vars
        )
        return found

    def _send(self, archive: bytes) -> str:
        """Copy the archive to the target, where become's user can read it; its path there."""
        if self._connection._shell.tmpdir is None:
            self._make_tmp_path()
        target: str = self._connection._shell.join_path(self._connection._shell.tmpdir, "lvs-agent.zip")
        with tempfile.NamedTemporaryFile() as local:
            local.write(archive)
            local.flush()
            self._transfer_file(local.name, target)
        self._fixup_perms2((self._connection._shell.tmpdir, target))
        return target
