#!/usr/bin/python
# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: keepalived_config_info
short_description: Read the keepalived.conf of a running director, with all it includes
version_added: 0.2.0
author: The linuxha.lvs developers (@linuxha)
description:
  - Reads the configuration where it is in use, so that includes, conditional lines and parameters are taken as the
    daemon takes them.
  - The filter P(linuxha.lvs.from_keepalived#filter) makes a site's variables of what several directors return.
  - The result holds the passwords of the configuration; set C(no_log) on the task.
extends_documentation_fragment:
  - linuxha.lvs.attributes
  - linuxha.lvs.attributes.info_module
attributes:
  platform:
    support: full
    platforms: linux
options:
  path:
    description: The file.
    type: path
    default: /etc/keepalived/keepalived.conf
  config_id:
    description:
      - The name for which lines C(@NAME) are meant, as C(keepalived --config-id).
      - By default the first part of the host's name, as keepalived has it.
    type: str
  keep_unknown:
    description: Keep unknown keywords as lines of C(raw) instead of failing.
    type: bool
    default: false
  check:
    description:
      - Whether errors that the checks of a site find fail the task. With V(false), only what cannot be read does.
    type: bool
    default: true
  engine:
    description:
      - The daemon that is to run the file. With V(agent), what lvs-agent does not do is an error too, and so is what
        this host lacks for it, such as an interface. The findings are those of C(lvs-agent check --local).
    type: str
    choices: [keepalived, agent]
    default: keepalived
"""

EXAMPLES = r"""
- name: Read the configuration
  linuxha.lvs.keepalived_config_info:
  register: config
  no_log: true

- name: Show its warnings
  ansible.builtin.debug:
    msg: "{{ config.warnings_found }}"
"""

RETURN = r"""
imported:
  description: The configuration with its comments, for the filter P(linuxha.lvs.from_keepalived#filter).
  returned: success
  type: dict
files:
  description: The files that were read, in order.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Path on the director.
      type: str
      returned: success
    text:
      description: The file's text.
      type: str
      returned: success
virtual_addresses:
  description: The addresses that VRRP moves, those of C(virtual_ipaddress_excluded) too, without prefix lengths.
  returned: success
  type: list
  elements: str
  sample: ["192.168.1.100"]
master_down_s:
  description: The longest time after which a backup may take over from a master that says nothing, in seconds.
  returned: success
  type: float
  sample: 4.0
warnings_found:
  description: What is legal and doubtful in it, each a sentence with its place.
  returned: success
  type: list
  elements: str
  sample: ["/etc/keepalived/keepalived.conf:9:5: warning: …"]
"""

import os
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent import cli_check
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf import model
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.importer import import_tree
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.parser import parse_file
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.problem import ERROR, Problem
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.read import AGENT, file_problems, read_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def agents_problems(path: str, ids: list[str]) -> list[Problem]:
    """What lvs-agent on this host would say of the file."""
    parsed = read_file(path, ids=ids, engine=AGENT)
    found = file_problems(parsed)
    return [*found, *cli_check.refused(parsed, found, local=True), *cli_check.lacking(parsed)]


def errors(problems: Iterable[Problem]) -> list[str]:
    return [str(problem) for problem in problems if problem.severity == ERROR]


def virtual_addresses(configuration: Mapping[str, Any]) -> list[str]:
    """What VRRP moves, sorted."""
    found = {one for instance in configuration["vrrp_instance"] for one in model.all_vips(instance)}
    return [str(one) for one in sorted(found, key=lambda one: (one.version, int(one)))]


def master_down_s(configuration: Mapping[str, Any]) -> float:
    """The longest master_down_interval of a backup of any priority (RFC 3768, 6.1)."""
    return float(4 * max((model.interval(one) for one in configuration["vrrp_instance"]), default=1))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/etc/keepalived/keepalived.conf"},
            "config_id": {"type": "str"},
            "keep_unknown": {"type": "bool", "default": False},
            "check": {"type": "bool", "default": True},
            "engine": {"type": "str", "choices": ["keepalived", "agent"], "default": "keepalived"},
        },
        supports_check_mode=True,
    )
    path = module.params["path"]
    ids = [module.params["config_id"] or os.uname().nodename.partition(".")[0]]
    tree = parse_file(path, ids)
    found = import_tree(ids[0], tree, ids, module.params["keep_unknown"], module.params["check"])
    problems = agents_problems(path, ids) if module.params["engine"] == "agent" else found.problems
    wrong = errors(problems) or errors(found.problems)
    if wrong:
        module.fail_json(msg="\n".join([f"{path} has errors:", *wrong]))
    files = [
        {"path": os.path.normpath(name), "text": "".join(f"{line}\n" for line in source.lines)}
        for name, source in tree.sources.items()
    ]
    module.exit_json(
        changed=False,
        imported=found.plain(),
        files=files,
        virtual_addresses=virtual_addresses(found.configuration),
        master_down_s=master_down_s(found.configuration),
        warnings_found=[str(problem) for problem in problems],
    )


if __name__ == "__main__":
    main()
