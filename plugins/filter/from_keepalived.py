# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``from_keepalived``; what it does is in ``_lvs_agent/conf``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

from ansible.errors import AnsibleFilterError
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf import inventory
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.importer import Imported, import_tree
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.parser import parse_text
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.problem import BadValue
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.site import split


def from_keepalived(
    files: Mapping[str, str | Mapping[str, Any]],
    addresses: Mapping[str, str] | None = None,
    keep_unknown: bool = False,
) -> dict[str, Any]:
    """A site's directors and their files -> its inventory variables."""
    texts: Any = files  # Ansible gives anything
    if not isinstance(texts, Mapping) or {isinstance(one, (str, Mapping)) for one in texts.values()} != {True}:
        raise AnsibleFilterError("from_keepalived takes a mapping from a director's name to the text of its file")
    directors = [_imported(str(name), given, keep_unknown) for name, given in files.items()]
    problems = [str(problem) for one in directors if not one.is_good for problem in one.problems]
    if problems:
        raise AnsibleFilterError("\n".join(["from_keepalived: there are errors:", *problems]))
    site = split(directors)
    try:
        texts = inventory.files(site, addresses)
    except BadValue as bad:
        raise AnsibleFilterError(f"from_keepalived: {bad}") from bad
    return {"group": site.group, "hosts": site.hosts, "notes": site.notes, "files": texts}


def _imported(name: str, given: str | Mapping[str, Any], keep_unknown: bool) -> Imported:
    if isinstance(given, Mapping):
        return Imported.from_plain(name, given)
    ids = [name.partition(".")[0]]
    return import_tree(name, parse_text(given, name, ids, {}, alone=True), ids, keep_unknown)


class FilterModule:
    """Filters for a site that runs keepalived already."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name -> function."""
        return {"from_keepalived": from_keepalived}
