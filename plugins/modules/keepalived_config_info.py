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
attributes:
  check_mode:
    support: full
    details: Reads only.
  diff_mode:
    support: N/A
    details: Changes nothing.
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
    description: Keep keywords that are not known as lines of C(raw), rather than to fail.
    type: bool
    default: false
  check:
    description:
      - Whether what the checks of a site call an error is one here too. Without, only what cannot be read is.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Read the configuration
  linuxha.lvs.keepalived_config_info:
  register: config
  no_log: true

- name: Say what there is to know of it
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
    text:
      description: The file's text.
      type: str
warnings_found:
  description: What is legal and doubtful in it, each a sentence with its place.
  returned: success
  type: list
  elements: str
  sample: ["/etc/keepalived/keepalived.conf:9:5: warning: …"]
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.importer import import_tree
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.parser import parse_file
from ansible_collections.linuxha.lvs.plugins.module_utils._lvs_agent.conf.problem import ERROR


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/etc/keepalived/keepalived.conf"},
            "config_id": {"type": "str"},
            "keep_unknown": {"type": "bool", "default": False},
            "check": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    ids = [module.params["config_id"] or os.uname().nodename.partition(".")[0]]
    tree = parse_file(module.params["path"], ids)
    found = import_tree(ids[0], tree, ids, module.params["keep_unknown"], module.params["check"])
    told = [str(problem) for problem in found.problems]
    if not found.is_good:
        errors = [str(problem) for problem in found.problems if problem.severity == ERROR]
        module.fail_json(msg="\n".join([f"{module.params['path']} has errors; nothing was imported:", *errors]))
    files = [
        {"path": os.path.normpath(name), "text": "".join(f"{line}\n" for line in source.lines)}
        for name, source in tree.sources.items()
    ]
    module.exit_json(changed=False, imported=found.plain(), files=files, warnings_found=told)


if __name__ == "__main__":
    main()
