#!/usr/bin/python
# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: agent_program
short_description: Install lvs-agent on a director, beside the versions that are there, and choose the current one
version_added: 0.2.0
author: The linuxha.lvs developers (@linuxha)
description:
  - Packs the collection's own lvs-agent on the controller and installs it in a directory of its own, named after its
    version and the digest of what is in it. The same source always has the same name, so a second run changes nothing;
    a file that was changed on the target is noticed, and put right.
  - Then, with O(current), one symbolic link is exchanged at one stroke. Before that the program must say its version,
    accept O(configuration), and run for a moment in a network namespace of its own, so that one that does not work
    never takes the place of one that does.
  - Nothing is started or reloaded; a running lvs-agent becomes the new program when it is told to reload.
  - The role P(linuxha.lvs.agent#role) does all of it.
extends_documentation_fragment:
  - linuxha.lvs.attributes
attributes:
  check_mode:
    support: full
    details: The new program is not on the target then, so it cannot be asked what it thinks of the configuration.
  diff_mode:
    support: full
    details: Shows the programs that are there, and the one that runs.
  idempotent:
    support: full
  platform:
    support: full
    platforms: linux
options:
  name:
    description:
      - The program, as C(VERSION-DIGEST). It must be on the target.
      - 'Default: the one of this collection, which is installed where it is missing.'
    type: str
  current:
    description: Whether it is the one that runs from now on.
    type: bool
    default: true
  configuration:
    description:
      - A C(keepalived.conf) that the program must accept before it becomes the current one, if it is there.
      - An error with O(current=false).
    type: path
  keep:
    description:
      - Programs to keep in all, those installed last. Others are removed when O(current) changes something.
      - The one that ran before is always kept.
    type: int
    default: 2
  root:
    description: Where the programs are.
    type: path
    default: /usr/lib/lvs-agent
  links:
    description: The directory in which C(lvs-agent) and C(lvsctl) are links to the current program.
    type: path
    default: /usr/sbin
  bundle:
    description: For the action plugin only, the packed program on the target.
    type: path
"""

EXAMPLES = r"""
- name: Install lvs-agent beside the program that runs
  linuxha.lvs.agent_program:
    current: false
  register: program

- name: From now on it is the one
  linuxha.lvs.agent_program:
    configuration: /etc/keepalived/keepalived.conf

- name: Back to a former one
  linuxha.lvs.agent_program:
    name: 0.2.0-3f1c02a9be77
"""

RETURN = r"""
name:
  description: The program.
  returned: success
  type: str
  sample: 0.2.0-3f1c02a9be77
path:
  description: The file that starts it, whichever is the current one.
  returned: success
  type: str
  sample: /usr/lib/lvs-agent/0.2.0-3f1c02a9be77/lvs-agent
former:
  description: The program that was the current one before, empty when there was none.
  returned: success
  type: str
  sample: 0.2.0-77d0aa31c5e0
programs:
  description: All that are there now, the one installed last first.
  returned: success
  type: list
  elements: str
  sample: [0.2.0-3f1c02a9be77, 0.2.0-77d0aa31c5e0]
bundle_wanted:
  description: For the action plugin, the program has to be sent.
  returned: success
  type: bool
  sample: false
"""

import os
import re
import zipfile
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.linuxha.lvs.plugins.module_utils._agent_programs import BadProgram, Programs
from ansible_collections.linuxha.lvs.plugins.module_utils._module import text_diff

if TYPE_CHECKING:
    from collections.abc import Mapping


class Steps(NamedTuple):
    """What there is to do, each when true."""

    install: bool
    compile: bool
    switch: bool


def steps(programs: Programs, name: str, *, current: bool) -> Steps:
    """What has to be done. Raises BadProgram, OSError."""
    intact = programs.is_intact(name)
    links = programs.links_to_make() if current else {}
    return Steps(
        install=not intact,
        compile=intact and not programs.is_compiled(name),
        switch=current and (programs.current() != name or bool(links)),
    )


def shown(names: list[str], current: str) -> str:
    """The state as text for a diff."""
    return "".join(f"{name}{' (current)' if name == current else ''}\n" for name in sorted(names))


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str"},
            "current": {"type": "bool", "default": True},
            "configuration": {"type": "path"},
            "keep": {"type": "int", "default": 2},
            "root": {"type": "path", "default": "/usr/lib/lvs-agent"},
            "links": {"type": "path", "default": "/usr/sbin"},
            "bundle": {"type": "path"},
        },
        supports_check_mode=True,
    )
    task = module.params
    if not re.fullmatch(r"[0-9][0-9A-Za-z.+]*-[0-9a-f]{12}", task["name"] or ""):
        module.fail_json(msg=f"name: {task['name']!r} is no program; write one of {task['root']}, VERSION-DIGEST")
    if task["configuration"] and not task["current"]:
        module.fail_json(
            msg="configuration: it is read by the program that becomes the current one; leave it out, or write "
            "current: true"
        )
    if task["keep"] < 2:
        module.fail_json(msg=f"keep: {task['keep']} is too few; the program before is kept too, write 2 or more")
    try:
        module.exit_json(**carry_out(task, Programs(task["root"], task["links"]), check_mode=module.check_mode))
    except (BadProgram, OSError, ValueError, zipfile.BadZipFile) as error:
        module.fail_json(msg=f"Nothing was exchanged: {error}")


def carry_out(task: Mapping[str, Any], programs: Programs, *, check_mode: bool) -> dict[str, Any]:
    """Do what the task says; the result. Raises BadProgram, OSError, ValueError, zipfile.BadZipFile."""
    name, former, before = task["name"], programs.current(), programs.names()
    todo = steps(programs, name, current=task["current"])
    removed: list[str] = []
    after = before if name in before else [name, *before]
    wanted = todo.install and not task["bundle"]
    if not check_mode and not wanted:
        _apply(task, programs, todo)
        if todo.switch:
            removed = programs.superfluous(task["keep"], [name, former])
            for one in removed:
                programs.remove(one)
        after = programs.names()
    return {
        "changed": any(todo),
        "name": name,
        "path": os.path.join(programs.directory(name), "lvs-agent"),
        "former": former,
        "programs": after,
        "bundle_wanted": wanted,
        "diff": text_diff(
            f"{programs.root} (lvs-agent's programs)",
            shown(before, former),
            shown(after, name if task["current"] else former),
        ),
    }


def _apply(task: Mapping[str, Any], programs: Programs, todo: Steps) -> None:
    name = task["name"]
    if todo.install:
        with open(task["bundle"], "rb") as file:
            programs.install(file.read(), name)
    if todo.compile:
        programs.compile(name)
    if todo.switch:
        programs.check(name, task["configuration"] or "")
        if programs.current() != name:
            programs.try_out(name)
        programs.switch(name)


if __name__ == "__main__":
    main()
