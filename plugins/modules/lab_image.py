#!/usr/bin/python
# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: lab_image
short_description: Build the root file system image that a lab's hosts boot from
description:
  - Builds a Debian root file system with C(debootstrap), once, and keeps it in the user's cache
    (C(~/.cache/linuxha-lvs)), keyed by everything that goes into it. It is built again when an input changes.
  - Inside it is a small C(file:) apt repository, so that roles really install their packages on hosts that have
    no way out.
author:
  - The linuxha.lvs developers (@linuxha)
version_added: 0.1.0
extends_documentation_fragment:
  - linuxha.lvs.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
  platform:
    support: full
    platforms: Debian
options:
  suite:
    description: The Debian release of the hosts.
    type: str
    default: bookworm
  mirror:
    description: The archive to install from. Empty means the one this machine's own apt uses.
    type: str
    default: ""
  packages:
    description: Packages that are installed in every host, besides those of any server.
    type: list
    elements: str
    default: []
  repository_packages:
    description: Packages that the hosts' own repository offers, besides those the roles of this collection need.
    type: list
    elements: str
    default: []
  kernel:
    description:
      - The kernel the hosts boot. V(package) is the one of Debian's package C(user-mode-linux).
      - V(fast) is a newer one that runs programs of the hosts two to three times as fast. C(make lab-kernel) builds
        it, once for a machine.
    type: str
    choices: [package, fast]
    default: package
seealso:
  - module: linuxha.lvs.lab
"""

EXAMPLES = r"""
- name: Build the image that also offers haproxy
  linuxha.lvs.lab_image:
    repository_packages: [haproxy]
  register: lab_image
"""

RETURN = r"""
path:
  description: The image's file.
  type: str
  returned: always
  sample: /root/.cache/linuxha-lvs/images/6f1c2a4be09d3351/base.img
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.linuxha.lvs.plugins.module_utils._lab import image, lab
from ansible_collections.linuxha.lvs.plugins.module_utils._lab.errors import LabError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "suite": {"type": "str", "default": "bookworm"},
            "mirror": {"type": "str", "default": ""},
            "packages": {"type": "list", "elements": "str", "default": []},
            "repository_packages": {"type": "list", "elements": "str", "default": []},
            "kernel": {"type": "str", "choices": ["package", "fast"], "default": "package"},
        },
        supports_check_mode=True,
    )
    try:
        lab.check_machine()
        inputs = image.ImageInputs(
            suite=module.params["suite"],
            mirror=module.params["mirror"],
            packages=tuple(module.params["packages"]),
            repository_packages=tuple(module.params["repository_packages"]),
            kernel=module.params["kernel"],
        )
        path = image.image_path(inputs)
        changed = not path.exists() if module.check_mode else image.build(inputs, module.debug)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed, path=str(path))


if __name__ == "__main__":
    main()
