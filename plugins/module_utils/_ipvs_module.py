# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the ipvs modules change the kernel's table: all of a task, or nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel import kmod
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.errors import KernelError
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.ipvs import Ipvs
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.ipvs_change import AddService, EditService
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.lvs.reconcile import changes
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.lvs.table import from_entries
from ansible_collections.linuxha.lvs.plugins.module_utils._module import text_diff

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from ansible.module_utils.basic import AnsibleModule
    from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.ipvs_change import Change
    from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.kernel.ipvs_types import ServiceKey
    from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.lvs.table import Table


# Of a service or a server, in the names of its Stats.
COUNTERS = ("conns", "inpkts", "outpkts", "inbytes", "outbytes")


class NotDone(Exception):
    """The kernel refused a change; the message says what, and whether what was done before it is taken back."""


def open_ipvs(params: dict[str, Any]) -> Ipvs:
    """The IPVS a task means. Raises KernelError."""
    return Ipvs(params["netns"], params["timeout"])


def carry_out(
    module: AnsibleModule, ipvs: Ipvs, before: Table, to_do: Sequence[Change], keys: Collection[ServiceKey]
) -> None:
    """Apply the changes, or in check mode say what can be known to fail.

    ``before`` is the table of ``keys``, the services concerned. Raises NotDone, ValueError.
    """
    if module.check_mode:
        require_schedulers(to_do)
    elif to_do:
        try:
            ipvs.apply(to_do)
        except KernelError as error:
            raise NotDone(f"{error}\n{_take_back(ipvs, before, keys)}") from error


def _take_back(ipvs: Ipvs, before: Table, keys: Collection[ServiceKey]) -> str:
    """Make the table what it was; a sentence on whether that succeeded."""
    try:
        undo = changes(from_entries(ipvs.table(keys)), before)
        if not undo:
            return "Nothing was changed."
        ipvs.apply(undo)
        left = changes(from_entries(ipvs.table(keys)), before)
    except KernelError as error:
        return f"Taking back what was done before failed too: {error}. Read the table with linuxha.lvs.ipvs_info."
    if left:
        return "Taking back what was done before left differences; these would mend them: " + "; ".join(commands(left))
    return "What was done before is taken back: the table is as it was."


def require_schedulers(to_do: Sequence[Change]) -> None:
    """Raise ValueError for a scheduler or persistence engine the running kernel is known not to have."""
    services = [change.service for change in to_do if isinstance(change, (AddService, EditService))]
    needed = {f"ip_vs_{service.sched_name}": f"scheduler {service.sched_name}" for service in services}
    for service in services:
        if service.pe_name:
            needed[f"ip_vs_pe_{service.pe_name}"] = f"persistence engine {service.pe_name}"
    directory = kmod.module_directory()
    # Without a list of modules (a container, a kernel without modules) nothing is known.
    if not needed or not (directory / "modules.dep").exists():
        return
    available = kmod.available_modules()
    missing = [f"{what} (module {name})" for name, what in needed.items() if name not in available]
    if missing:
        raise ValueError(f"the running kernel has no {', no '.join(missing)}; its modules are in {directory}")


def commands(to_do: Sequence[Change]) -> list[str]:
    """The same with ipvsadm."""
    return [f"ipvsadm {change}" for change in to_do]


def outcome(
    module: AnsibleModule, to_do: Sequence[str], before: Callable[[], list[str]], after: Callable[[], list[str]]
) -> dict[str, Any]:
    """A result: ``to_do`` are commands of ipvsadm; ``before`` and ``after`` make the lines of the diff.

    The diff is left out unless Ansible asks for one: with a thousand real servers it would be most of the result.
    """
    result: dict[str, Any] = {"changed": bool(to_do), "commands": list(to_do)}
    if module._diff:
        old, new = ("".join(f"{line}\n" for line in lines()) for lines in (before, after))
        result["diff"] = text_diff("ipvsadm", old, new)
    return result
