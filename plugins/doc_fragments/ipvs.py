# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules of the action group ``ipvs`` have in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Used as ``extends_documentation_fragment: [linuxha.lvs.attributes, linuxha.lvs.ipvs]``."""

    DOCUMENTATION = r"""
options:
  netns:
    description:
      - The network namespace whose IPVS is meant, by its name under V(/run/netns) or by an absolute path such as
        V(/proc/4711/ns/net).
      - The module's own when not given.
    type: str
  timeout:
    description: The seconds after which the module no longer waits for an answer of the kernel.
    type: float
    default: 5.0
requirements:
  - The kernel module C(ip_vs) on the target, and C(CAP_NET_ADMIN) (root)
attributes:
  action_group:
    description: Use C(group/linuxha.lvs.ipvs) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - linuxha.lvs.ipvs
"""
