#!/usr/bin/python
# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The action plugin of the same name does the work; this file is its documentation.
from __future__ import annotations

DOCUMENTATION = r"""
module: warn
short_description: Show warnings
description:
  - Shows sentences as warnings of Ansible, so that they are seen whatever is shown of tasks that change nothing.
  - Runs on the controller, and changes nothing.
author:
  - The linuxha.lvs developers (@linuxha)
version_added: 0.3.0
extends_documentation_fragment:
  - linuxha.lvs.attributes
attributes:
  check_mode:
    support: full
    details: Changes nothing.
  diff_mode:
    support: N/A
    details: Changes nothing.
  platform:
    support: full
    platforms: posix
  idempotent:
    support: full
options:
  messages:
    description: The sentences; an empty list shows nothing.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show what may not be meant
  linuxha.lvs.warn:
    messages: "{{ groups['directors'] | linuxha.lvs.site_problems(hostvars, groups['real_servers'], 'warning') }}"
"""

RETURN = r"""
warnings:
  description: The sentences.
  type: list
  elements: str
  returned: when there are some
"""
